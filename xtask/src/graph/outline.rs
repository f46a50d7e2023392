//! The stages of a target in words, before anything is locked: what each will do, from the target and its overlays alone.

use std::path::Path;

use lustre_packaging::build::ext4;
use lustre_packaging::overlay::{Manifest, Overlay, OverlayError};
use lustre_packaging::target::{DistributionKind, KernelKind, Source, Target};

use super::inputs::needs;
use super::name;

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
    let mut steps = vec![
        step("lock", &[], lock(target)),
        step(
            "fetch",
            &[],
            "all that the lock pins, into the store, by digest".to_owned(),
        ),
        step(name::PREFLIGHT, &[], preflight(target)),
        step(name::DISTRIBUTION, &[], distribution(target)),
        step(
            name::BOOTSTRAP,
            &[name::DISTRIBUTION],
            format!(
                "a chroot with {}, by the host's dnf",
                target.distribution.bootstrap.join(", ")
            ),
        ),
        step(name::LUSTRE_TREE, &[], lustre_tree(target, specs)?),
    ];
    match target.kernel.kind {
        KernelKind::Patched => steps.extend(patched(target, specs)?),
        KernelKind::Distribution => steps.push(step(
            ext4::NAME,
            &[name::DISTRIBUTION, name::BOOTSTRAP, name::LUSTRE_TREE],
            format!(
                "the ext4 source of {}, as a package for Lustre's buildroot",
                package(target)
            ),
        )),
    }
    steps.extend(e2fsprogs(target));
    steps.extend(lustre(target));
    steps.extend(finish(target));
    Ok(steps)
}

fn step(stage: &str, on: &[&str], what: String) -> Step {
    Step {
        stage: stage.to_owned(),
        needs: needs(on),
        what,
    }
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

fn patched(target: &Target, specs: &Path) -> Result<Vec<Step>, OverlayError> {
    let kernel = &target.kernel;
    let folder = kernel.overlay.as_deref().unwrap_or_default();
    let overlay = load(target, specs, folder, &kernel.options)?;
    let flags = overlay.manifest.build.flags().join(" ");
    Ok(vec![
        step(
            "kernel-sources",
            &[name::DISTRIBUTION, name::LUSTRE_TREE],
            format!(
                "{}, changed by {}: {}",
                package(target),
                folder,
                changes(&overlay.manifest, target.kernel_version().as_deref())
            ),
        ),
        step(
            "kernel-srpm",
            &["kernel-sources", name::BOOTSTRAP],
            "its source package".to_owned(),
        ),
        step(
            "kernel-root",
            &[name::DISTRIBUTION, name::BOOTSTRAP, "kernel-srpm"],
            "a chroot with what its spec requires".to_owned(),
        ),
        step(
            "kernel",
            &["kernel-sources", "kernel-srpm", "kernel-root"],
            format!("rpmbuild {flags}: {}", kernel.packages.join(", ")),
        ),
    ])
}

fn e2fsprogs(target: &Target) -> Vec<Step> {
    let wanted = &target.e2fsprogs;
    let series = match wanted.series.as_deref() {
        Some(series) => format!(" with the patches of {}/{series}", wanted.spec),
        None => ", which has Lustre's changes".to_owned(),
    };
    vec![
        step(
            "e2fsprogs-srpm",
            &[name::BOOTSTRAP],
            format!("the source package of e2fsprogs {}{series}", wanted.version),
        ),
        step(
            "e2fsprogs-root",
            &[name::DISTRIBUTION, name::BOOTSTRAP, "e2fsprogs-srpm"],
            "a chroot with what its spec requires".to_owned(),
        ),
        step(
            "e2fsprogs",
            &["e2fsprogs-srpm", "e2fsprogs-root"],
            format!("rpmbuild: {}", wanted.packages.join(", ")),
        ),
    ]
}

fn lustre(target: &Target) -> Vec<Step> {
    let wanted = &target.lustre;
    let (kernel, devel) = match target.kernel.kind {
        KernelKind::Patched => ("kernel", "our kernel-devel"),
        KernelKind::Distribution => (ext4::NAME, "the distribution's kernel-devel and its ext4"),
    };
    vec![
        step(
            "lustre-root",
            &[name::DISTRIBUTION, name::BOOTSTRAP, kernel, "e2fsprogs"],
            format!("a chroot with {devel}, our e2fsprogs and what Lustre requires"),
        ),
        step(
            "lustre-srpm",
            &["lustre-root", name::LUSTRE_TREE],
            format!(
                "autogen.sh, configure {}, the source package",
                wanted.configure.join(" ")
            ),
        ),
        step(
            "lustre",
            &["lustre-srpm", "lustre-root"],
            format!(
                "rpmbuild {}: {}; with the modules {}",
                wanted.rpmbuild.join(" "),
                wanted.packages.join(", "),
                wanted.modules.join(", ")
            ),
        ),
    ]
}

fn finish(target: &Target) -> Vec<Step> {
    let repository = &target.repository;
    let signed: &[&str] = match target.kernel.kind {
        KernelKind::Patched => &["kernel", "e2fsprogs", "lustre", super::finish::RELEASE],
        KernelKind::Distribution => &["e2fsprogs", "lustre", super::finish::RELEASE],
    };
    let steps = [
        (
            name::INSTALL_ROOT,
            &[name::DISTRIBUTION, name::BOOTSTRAP][..],
            format!(
                "a server of the distribution alone: {}",
                target.install.base.join(", ")
            ),
        ),
        (
            super::finish::RELEASE,
            &[][..],
            format!("the release package for {}", repository.baseurl),
        ),
        (name::SIGN, signed, "every package, signed".to_owned()),
        (
            name::ASSEMBLE,
            &[name::SIGN][..],
            "x86_64, x86_64-debuginfo and source, with signed metadata".to_owned(),
        ),
        (
            name::PROVE,
            &[name::ASSEMBLE, name::DISTRIBUTION, name::INSTALL_ROOT][..],
            format!(
                "signatures, digests, dependencies; {} installed on that server",
                target.install.packages.join(", ")
            ),
        ),
        (
            name::FINISH,
            &[name::ASSEMBLE, name::PROVE][..],
            "the repository with its proof, and the digests of all of it signed".to_owned(),
        ),
    ];
    steps
        .into_iter()
        .map(|(stage, on, what)| step(stage, on, what))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::specs;

    fn of(name: &str) -> Vec<Step> {
        let target = Target::load(&specs(), name).unwrap();
        outline(&target, &specs()).unwrap()
    }

    fn what<'s>(steps: &'s [Step], stage: &str) -> &'s str {
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
                    what(&steps, stage).contains(part),
                    "{part}: {}",
                    what(&steps, stage)
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
            let steps = patched(&target, &specs()).unwrap();
            let what = what(&steps, "kernel-sources");
            assert!(what.contains(series), "{name}: {what}");
        }
    }

    #[test]
    fn every_need_comes_before() {
        for name in [
            "rocky-8.10-guide",
            "rocky-9.6",
            "rocky-10.0",
            "rocky-10.2",
            "rhel-9.7",
        ] {
            let steps = of(name);
            for (at, step) in steps.iter().enumerate() {
                for need in &step.needs {
                    let before = steps[..at].iter().any(|one| one.stage == *need);
                    assert!(before, "{name}: {} needs {need}", step.stage);
                }
            }
        }
    }

    #[test]
    fn with_the_distributions_kernel_none_is_built() {
        let steps = of("rocky-10.0");
        assert!(steps.iter().all(|step| !step.stage.starts_with("kernel")));
        assert!(what(&steps, ext4::NAME).contains("kernel-6.12.0-55.41.1.el10_0.src.rpm"));
        assert!(what(&steps, "lustre-root").contains("the distribution's kernel-devel"));
    }
}
