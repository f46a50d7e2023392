//! The stages of a target in words, before anything is locked: what each will do, from the target and its overlays alone.

use std::path::Path;

use lustre_packaging::build::ext4;
use lustre_packaging::overlay::{Manifest, Overlay, OverlayError};
use lustre_packaging::target::{DistributionKind, KernelKind, Source, Target};

use super::{name, shape};

/// A stage that is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The stage; `lock` and `fetch` are what comes before all stages.
    pub stage: String,
    /// The stages it needs.
    pub needs: Vec<String>,
    /// What it does.
    pub what: String,
}

/// All of them, in the order of the graph.
pub fn outline(target: &Target, specs: &Path) -> Result<Vec<Step>, OverlayError> {
    let first = [
        ("lock", lock(target)),
        (
            "fetch",
            "all that the lock pins, into the store, by digest".to_owned(),
        ),
        (name::PREFLIGHT, preflight(target)),
    ];
    let mut steps: Vec<Step> = first
        .into_iter()
        .map(|(stage, what)| Step {
            stage: stage.to_owned(),
            needs: Vec::new(),
            what,
        })
        .collect();
    for stage in shape::stages(target) {
        steps.push(Step {
            stage: stage.to_owned(),
            needs: shape::needs(target, stage),
            what: what(target, specs, stage)?,
        });
    }
    Ok(steps)
}

/// What a stage does.
fn what(target: &Target, specs: &Path, stage: &str) -> Result<String, OverlayError> {
    let (e2fsprogs, wanted) = (&target.e2fsprogs, &target.lustre);
    Ok(match stage {
        name::DISTRIBUTION => distribution(target),
        name::BOOTSTRAP => format!(
            "a chroot with {}, by the host's dnf",
            target.distribution.bootstrap.join(", ")
        ),
        name::LUSTRE_TREE => lustre_tree(target, specs)?,
        "kernel-sources" => kernel_sources(target, specs)?,
        "kernel" => {
            let flags = kernel_overlay(target, specs)?.manifest.build.flags();
            let packages = target.kernel.packages.join(", ");
            format!("{}: {packages}", rpmbuild(&flags))
        }
        ext4::NAME => format!(
            "the ext4 source of {}, as a package for Lustre's buildroot",
            package(target)
        ),
        "kernel-srpm" => "its source package".to_owned(),
        "kernel-root" | "e2fsprogs-root" => "a chroot with what its spec requires".to_owned(),
        "e2fsprogs-srpm" => {
            let series = match e2fsprogs.series.as_deref() {
                Some(series) => format!(" with the patches of {}/{series}", e2fsprogs.spec),
                None => ", which has Lustre's changes".to_owned(),
            };
            format!(
                "the source package of e2fsprogs {}{series}",
                e2fsprogs.version
            )
        }
        "e2fsprogs" => format!("rpmbuild: {}", e2fsprogs.packages.join(", ")),
        "lustre-root" => {
            let devel = match target.kernel.kind {
                KernelKind::Patched => "our kernel-devel",
                KernelKind::Distribution => "the distribution's kernel-devel and its ext4",
            };
            format!("a chroot with {devel}, our e2fsprogs and what Lustre requires")
        }
        "lustre-srpm" => format!(
            "autogen.sh, configure {}, the source package",
            wanted.configure.join(" ")
        ),
        "lustre" => format!(
            "{}: {}; with the modules {}",
            rpmbuild(&wanted.rpmbuild),
            wanted.packages.join(", "),
            wanted.modules.join(", ")
        ),
        name::INSTALL_ROOT => format!(
            "a server of the distribution alone: {}",
            target.install.base.join(", ")
        ),
        name::RELEASE_PACKAGE => format!("the release package for {}", target.repository.baseurl),
        name::SIGN => "every package, signed".to_owned(),
        name::ASSEMBLE => "x86_64, x86_64-debuginfo and source, with signed metadata".to_owned(),
        name::PROVE => format!(
            "signatures, digests, dependencies; {} installed on that server",
            target.install.packages.join(", ")
        ),
        name::FINISH => {
            "the repository with its proof, and the digests of all of it signed".to_owned()
        }
        _ => String::new(),
    })
}

fn lock(target: &Target) -> String {
    let distribution = &target.distribution;
    if distribution.kind == DistributionKind::Rehearsal {
        return format!(
            "Debian's packages and kernel source, chosen by apt; e2fsprogs: {}; Lustre: {}",
            origin(&target.e2fsprogs.source),
            origin(&target.lustre.source)
        );
    }
    let wanted = target.asks_for();
    let ids = |source: bool| -> String {
        let of_kind = distribution
            .repository
            .iter()
            .filter(|one| one.source == source && one.is_used(&wanted));
        let ids: Vec<&str> = of_kind.map(|one| one.id.as_str()).collect();
        ids.join(", ")
    };
    format!(
        "{} from {}; e2fsprogs: {}; Lustre: {}; the packages of every root, chosen by dnf from {}",
        package(target),
        ids(true),
        origin(&target.e2fsprogs.source),
        origin(&target.lustre.source),
        ids(false)
    )
}

/// The kernel's source package.
fn package(target: &Target) -> String {
    let version = target.kernel_version();
    match (&target.kernel.source, version) {
        (Source::Srpm(name), Some(version)) => format!("{name}-{version}.src.rpm"),
        (Source::Srpm(name), None) => format!("the newest {name}-*.src.rpm"),
        (other, _) => origin(other),
    }
}

fn origin(source: &Source) -> String {
    match source {
        Source::Path(path) => format!("specs/{path}"),
        Source::Debian { package, suite, .. } => format!("Debian's {package} of {suite}"),
        Source::Srpm(name) => format!("{name}.src.rpm"),
        Source::Git {
            tag: Some(tag),
            commit,
            ..
        } => format!("{tag}, commit {}", commit.get(..10).unwrap_or(commit)),
        Source::Git { commit, .. } => format!("commit {}", commit.get(..10).unwrap_or(commit)),
        Source::GitTag { url, tag } => format!("the commit of {tag} in {url}"),
    }
}

fn preflight(target: &Target) -> String {
    let series = target.lustre.ldiskfs_series.as_deref();
    format!(
        "do all series{}, overlays, configs and versions fit?",
        series.map_or_else(String::new, |name| format!(" (ldiskfs-{name}.series)"))
    )
}

fn distribution(target: &Target) -> String {
    format!(
        "the pinned packages and {}, each with its digest and signature checked, as repositories of our own",
        package(target)
    )
}

fn lustre_tree(target: &Target, specs: &Path) -> Result<String, OverlayError> {
    let wanted = &target.lustre;
    let tree = format!("Lustre {}", wanted.version);
    Ok(match &wanted.overlay {
        None => tree,
        Some(folder) => {
            let overlay = load(target, specs, folder, &wanted.options)?;
            format!(
                "{tree}, changed by {folder}: {}",
                changes(&overlay.manifest, None)
            )
        }
    })
}

fn load(
    target: &Target,
    specs: &Path,
    folder: &str,
    options: &[String],
) -> Result<Overlay, OverlayError> {
    Overlay::load_in(specs, &target.folder(specs, folder), options)
}

/// What an overlay changes, by the names that it gives it.
fn changes(overlay: &Manifest, kernel: Option<&str>) -> String {
    let mut parts = Vec::new();
    let mut add = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            parts.push(format!("{what} {}", names.join(", ")));
        }
    };
    let edits = overlay.edit.iter().map(|one| one.name.as_str());
    add("edits", edits.collect());
    let fixups = overlay.fixup.iter().map(|one| one.name.as_str());
    add("fixups", fixups.collect());
    let series = overlay
        .series
        .iter()
        .map(|one| series(overlay, &one.series, kernel));
    let series: Vec<String> = series.collect();
    add("patches of", series.iter().map(String::as_str).collect());
    let fragments = overlay.config.iter().flat_map(|config| &config.fragments);
    add("config", fragments.map(String::as_str).collect());
    if parts.is_empty() {
        return "nothing with these options".to_owned();
    }
    parts.join("; ")
}

/// A series by the name that it has for the distribution's kernel of the version `kernel`: the minor release is in the kernel's.
fn series(overlay: &Manifest, name: &str, kernel: Option<&str>) -> String {
    let minor = overlay
        .release
        .as_ref()
        .zip(kernel)
        .and_then(|(release, kernel)| release.minor(kernel).ok().flatten());
    match minor {
        Some(minor) => name.replace("{minor}", &minor),
        // Only the lock says which kernel it is.
        None => name.replace("{minor}", "MINOR"),
    }
}

/// rpmbuild, and what the spec is told as its options would.
fn rpmbuild<T: AsRef<str>>(flags: &[T]) -> String {
    if flags.is_empty() {
        return "rpmbuild".to_owned();
    }
    let words: Vec<&str> = flags.iter().map(AsRef::as_ref).collect();
    format!("rpmbuild (in the spec: {})", words.join(" "))
}

fn kernel_overlay(target: &Target, specs: &Path) -> Result<Overlay, OverlayError> {
    let kernel = &target.kernel;
    let folder = kernel.overlay.as_deref().unwrap_or_default();
    load(target, specs, folder, &kernel.options)
}

fn kernel_sources(target: &Target, specs: &Path) -> Result<String, OverlayError> {
    let overlay = kernel_overlay(target, specs)?;
    Ok(format!(
        "{}, changed by {}: {}",
        package(target),
        target.kernel.overlay.as_deref().unwrap_or_default(),
        changes(&overlay.manifest, target.kernel_version().as_deref())
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lustre_packaging::target::list;

    use super::*;
    use crate::place::specs;

    fn of(name: &str) -> Vec<Step> {
        let target = Target::load(&specs(), name).unwrap();
        outline(&target, &specs()).unwrap()
    }

    fn said<'s>(steps: &'s [Step], stage: &str) -> &'s str {
        let found = steps.iter().find(|step| step.stage == stage);
        &found.unwrap_or_else(|| panic!("no {stage}")).what
    }

    #[test]
    fn the_guides_steps_are_stages() {
        let steps = of("rocky-8.10-guide");
        for (stage, parts) in [
            (
                "lock",
                &[
                    "kernel-4.18.0-553.22.1.el8_10.src.rpm from baseos-source",
                    "v1.47.0-wc1",
                    "2.16.0-RC1",
                ][..],
            ),
            ("lustre-tree", &["ext4-delayed-iput"]),
            (
                "kernel-sources",
                &[
                    "ext4-source",
                    "declare-patch",
                    "apply-patch",
                    "lustre.config",
                    ".series",
                ],
            ),
            (
                "kernel",
                &[
                    "--with firmware",
                    "--with baseonly",
                    "--without kabichk",
                    "kernel-devel",
                ],
            ),
            ("e2fsprogs-srpm", &["1.47.0"]),
            ("lustre-srpm", &["--disable-gss", "--disable-crypto"]),
            ("lustre", &["kmod-lustre-osd-ldiskfs", "--with systemd"]),
            ("install-root", &["dnf-plugins-core"]),
            ("prove", &["kmod-lustre"]),
        ] {
            for part in parts {
                assert!(
                    said(&steps, stage).contains(part),
                    "{part}: {}",
                    said(&steps, stage)
                );
            }
        }
    }

    #[test]
    fn a_series_has_the_minor_release_of_the_kernel_in_its_name() {
        for (name, series) in [
            ("el-9.6-on-debian", "5.14-rhel9.6.series"),
            ("rocky-8.10-guide", "4.18-rhel8.10.series"),
        ] {
            let target = Target::load(&specs(), name).unwrap();
            let what = super::what(&target, &specs(), "kernel-sources").unwrap();
            assert!(what.contains(series), "{name}: {what}");
        }
    }

    #[test]
    fn every_stage_says_what_it_does() {
        for name in list(&specs()).unwrap() {
            for step in of(&name) {
                assert!(!step.what.is_empty(), "{name}: {}", step.stage);
            }
        }
    }

    #[test]
    fn with_the_distributions_kernel_none_is_built() {
        let steps = of("rocky-10.0");
        assert!(steps.iter().all(|step| !step.stage.starts_with("kernel")));
        assert!(said(&steps, ext4::NAME).contains("kernel-6.12.0-55.41.1.el10_0.src.rpm"));
        assert!(said(&steps, "lustre-root").contains("the distribution's kernel-devel"));
    }

    /// The graph of every target, as the files in tests/data/graphs have it: stages, what each needs and does.
    #[test]
    fn the_graph_of_every_target_is_the_recorded_one() {
        let folder = specs().join("../tests/data/graphs");
        let mut differ = Vec::new();
        let mut recorded: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        for name in list(&specs()).unwrap() {
            let lines = of(&name).into_iter().map(|step| {
                let needs = match step.needs.is_empty() {
                    true => String::new(),
                    false => format!(" <- {}", step.needs.join(", ")),
                };
                format!("{}{needs}\n    {}\n", step.stage, step.what)
            });
            let text: String = lines.collect();
            let file = format!("{name}.txt");
            recorded.retain(|one| *one != file);
            if std::env::var("GRAPHS").as_deref() == Ok("write") {
                fs::write(folder.join(&file), &text).unwrap();
            } else if fs::read_to_string(folder.join(&file)).unwrap_or_default() != text {
                differ.push(file);
            }
        }
        assert!(
            differ.is_empty() && recorded.is_empty(),
            "other graphs than recorded: {differ:?}; no such targets: {recorded:?}; if that is meant, run \
             GRAPHS=write cargo test --bin lustre-repo recorded, remove those of no target, and look at `git diff`"
        );
    }
}
