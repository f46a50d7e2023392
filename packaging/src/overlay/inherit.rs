//! Overlays that extend others: a site's own three patches on what the project changes anyway, and the kernels of one release of
//! Enterprise Linux on those of another.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::manifest::{ExtraSource, KernelConfig, Manifest, ManifestError, SeriesSource};
use super::{Overlay, OverlayError};

/// How deep overlays may extend each other; deeper is a cycle.
const MAX_DEPTH: usize = 4;

/// The overlay at `path`, merged with those that it extends.
pub(super) fn load(specs: &Path, path: &Path, depth: usize) -> Result<Overlay, OverlayError> {
    let mut overlay = Overlay::alone(path)?;
    let file = path.display().to_string();
    let invalid = |problem: String| {
        OverlayError::Manifest(ManifestError::Invalid {
            file: file.clone(),
            problem,
        })
    };
    let mut below: Option<Manifest> = None;
    for name in std::mem::take(&mut overlay.manifest.with) {
        let inside = Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside {
            return Err(invalid(format!(
                "`{name}` in `with` is not a folder under specs/, such as `kernel/el9`"
            )));
        }
        if depth >= MAX_DEPTH {
            return Err(invalid(format!(
                "overlays extend each other more than {MAX_DEPTH} deep: is there a cycle at `{name}`?"
            )));
        }
        let folder = specs.join(&name);
        let mut one = load(specs, &folder.join("overlay.toml"), depth + 1)?;
        if one.manifest.package != overlay.manifest.package {
            return Err(invalid(format!(
                "it is for the package `{}`, and `{name}`, which it extends, for `{}`",
                overlay.manifest.package, one.manifest.package
            )));
        }
        named(&mut one.manifest, &name, &one.below);
        overlay.below.extend(one.below);
        overlay.below.insert(name, one.folder);
        below = Some(match below {
            Some(first) => over(first, one.manifest).map_err(invalid)?,
            None => one.manifest,
        });
    }
    if let Some(mut below) = below {
        for name in std::mem::take(&mut overlay.manifest.drop) {
            dropped(&mut below, &name).map_err(invalid)?;
        }
        overlay.manifest = over(below, overlay.manifest).map_err(invalid)?;
    }
    overlay.manifest.validate().map_err(invalid)?;
    Ok(overlay)
}

/// `below` without the edit, the option or the collated series `name`.
fn dropped(below: &mut Manifest, name: &str) -> Result<(), String> {
    let before = below.edit.len() + below.series.len();
    below.edit.retain(|edit| edit.name != name);
    below.series.retain(|series| series.collated != name);
    let option = below.option.remove(name).is_some();
    if option || below.edit.len() + below.series.len() < before {
        return Ok(());
    }
    Err(format!(
        "`drop` contains `{name}`, which is not an edit, option or collated series of the overlays that it extends"
    ))
}

/// The files of an overlay's own folder, by the name of the overlay: they are not in the folder of the one above. Those of overlays that
/// it extends itself, `lower`, have their names already.
fn named(manifest: &mut Manifest, name: &str, lower: &BTreeMap<String, PathBuf>) {
    let own = |root: &mut Option<String>| {
        if root.is_none() {
            *root = Some(name.to_owned());
        }
    };
    let place = |fragments: &mut Vec<String>| {
        for fragment in fragments {
            if below_of(lower, fragment).is_none() {
                *fragment = format!("{name}/{fragment}");
            }
        }
    };
    for series in &mut manifest.series {
        own(&mut series.root);
    }
    for source in &mut manifest.source {
        source.name = Some(source.name().to_owned());
        own(&mut source.root);
    }
    if let Some(config) = &mut manifest.config {
        place(&mut config.fragments);
    }
    for choice in manifest.option.values_mut() {
        for source in &mut choice.source {
            source.name = Some(source.name().to_owned());
            own(&mut source.root);
        }
        place(&mut choice.fragments);
    }
}

/// The file that `fragment` is where it begins with the name of one of the overlays `below`.
pub(super) fn below_of(below: &BTreeMap<String, PathBuf>, fragment: &str) -> Option<PathBuf> {
    // The longest name first: one may be the folder of another.
    below.iter().rev().find_map(|(name, folder)| {
        let rest = fragment.strip_prefix(name.as_str())?.strip_prefix('/')?;
        Some(folder.join(rest))
    })
}

/// `above` merged over `below`: lists are concatenated, anything else is overridden.
fn over(below: Manifest, above: Manifest) -> Result<Manifest, String> {
    let mut option = below.option;
    for (name, choice) in above.option {
        if option.insert(name.clone(), choice).is_some() {
            return Err(format!(
                "the overlay that it extends already has an option `{name}`"
            ));
        }
    }
    let join = |mut first: Vec<String>, then: Vec<String>| {
        first.extend(then);
        first
    };
    let mut build = below.build;
    build.with = join(build.with, above.build.with);
    build.without = join(build.without, above.build.without);
    let config = match (below.config, above.config) {
        (Some(first), Some(then)) => {
            let either = |then: String, first: String| if then.is_empty() { first } else { then };
            Some(KernelConfig {
                base: either(then.base, first.base),
                fragments: join(first.fragments, then.fragments),
                tree: either(then.tree, first.tree),
                used: either(then.used, first.used),
            })
        }
        (first, then) => then.or(first),
    };
    Ok(Manifest {
        with: Vec::new(),
        drop: Vec::new(),
        package: above.package,
        spec: above.spec.or(below.spec),
        release: above.release.or(below.release),
        build,
        config,
        series: [below.series, above.series].concat::<SeriesSource>(),
        source: [below.source, above.source].concat::<ExtraSource>(),
        edit: [below.edit, above.edit].concat(),
        fixup: [below.fixup, above.fixup].concat(),
        option,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SITE: &str = "with = ['kernel/el9']\npackage = 'kernel'\n[config]\nfragments = ['site.config']\n\
        [[series]]\nseries = 'series'\npatches = 'patches'\ncollated = 'patch-site.patch'\n\
        [[edit]]\nname = 'declare-site-patch'\nwhy = 'ours'\nanchor = '# empty final patch to facilitate testing of kernel patches'\n\
        position = 'before'\nexpect = 1\ntext = 'Patch99996: patch-site.patch'\n";

    fn specs() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
    }

    fn site(text: &str) -> (tempfile::TempDir, Result<Overlay, OverlayError>) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("overlay.toml"), text).unwrap();
        fs::write(folder.path().join("site.config"), "CONFIG_SITE=y\n").unwrap();
        let overlay = Overlay::load_in(&specs(), folder.path(), &["no-debuginfo".to_owned()]);
        (folder, overlay)
    }

    #[test]
    fn a_sites_overlay_has_what_the_projects_has_and_its_own_files_in_their_place() {
        let (_folder, overlay) = site(SITE);
        let overlay = overlay.unwrap();
        let plain = Overlay::load_in(&specs(), &specs().join("kernel/el9"), &[]).unwrap();
        assert_eq!(overlay.manifest.edit.len(), plain.manifest.edit.len() + 1);
        assert_eq!(overlay.manifest.release, plain.manifest.release);
        assert!(
            overlay
                .manifest
                .build
                .without
                .contains(&"debuginfo".to_owned())
        );
        let names: Vec<&str> = overlay
            .manifest
            .series
            .iter()
            .map(|one| one.collated.as_str())
            .collect();
        assert_eq!(names, ["patch-{version}-lustre.patch", "patch-site.patch"]);
        let merged = overlay.merge_config("CONFIG_MD=y\n").unwrap().unwrap();
        assert!(merged.text.contains("CONFIG_SITE=y"), "{}", merged.text);
        let own = fs::read_to_string(specs().join("kernel/el9/lustre.config")).unwrap();
        let option = own
            .lines()
            .find(|line| line.starts_with("CONFIG_"))
            .unwrap();
        assert!(merged.text.contains(option), "{option}: {}", merged.text);
    }

    #[test]
    fn what_is_dropped_of_an_overlay_below_is_not_there() {
        let load = |name: &str| {
            let options = ["absent-patches".to_owned(), "trimmed-config".to_owned()];
            Overlay::load_in(&specs(), &specs().join(name), &options).unwrap()
        };
        let (patched, plain) = (load("kernel/el10"), load("kernel/el10-unpatched"));
        let edits = |overlay: &Overlay| -> Vec<String> {
            let all = overlay.manifest.edit.iter();
            all.map(|edit| edit.name.clone()).collect()
        };
        assert!(patched.takes_of(Overlay::LUSTRE) && !plain.takes_of(Overlay::LUSTRE));
        let left: Vec<String> = edits(&patched)
            .into_iter()
            .filter(|name| !["declare-patch", "apply-patch"].contains(&name.as_str()))
            .collect();
        assert_eq!(left.len() + 2, edits(&patched).len());
        assert_eq!(edits(&plain), left);
        // Fragments two overlays below are found where they are.
        assert!(plain.merge_config("CONFIG_MD=y\n").unwrap().is_some());
    }

    #[test]
    fn overlays_that_are_laid_over_each_other_in_a_loop_are_told() {
        let specs = tempfile::tempdir().unwrap();
        for (name, below) in [("a", "b"), ("b", "a")] {
            let folder = specs.path().join(name);
            fs::create_dir(&folder).unwrap();
            let text = format!("package = 'kernel'\nwith = ['{below}']\n");
            fs::write(folder.join("overlay.toml"), text).unwrap();
        }
        let error = Overlay::load_in(specs.path(), &specs.path().join("a"), &[]).unwrap_err();
        let said = "more than 4 deep: is there a cycle at `b`?";
        assert!(error.to_string().contains(said), "{error}");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (from, to, part) in [
            (
                "package = 'kernel'",
                "package = 'lustre'",
                "for the package `lustre`",
            ),
            ("kernel/el9", "../el9", "not a folder under specs/"),
            ("kernel/el9", "kernel/none", "kernel/none"),
            ("declare-site-patch", "declare-patch", "two edits are named"),
            ("with = ['kernel/el9']\n", "", "no `base`"),
            (
                "[config]",
                "drop = ['none']\n[config]",
                "`drop` contains `none`",
            ),
            (
                "with = ['kernel/el9']\n",
                "drop = ['x']\n",
                "there are none",
            ),
        ] {
            let text = SITE.replacen(from, to, 1);
            assert_ne!(text, SITE);
            let error = site(&text).1.unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
