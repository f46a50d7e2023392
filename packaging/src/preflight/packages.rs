//! The packages that chroots are made of: does the distribution have every name that the target lists? dnf would tell as well, but of
//! Lustre's buildroot only after the kernel was built.

use std::collections::BTreeSet;
use std::path::Path;

use super::Error;
use super::report::{Check, Problem};
use crate::target::Target;

/// What the packages at `paths` offer: their names, what they provide, and their files.
pub fn offered<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Result<BTreeSet<String>, Error> {
    let mut offered = BTreeSet::new();
    for path in paths {
        let unreadable = |error: rpm::Error| Error::Package {
            path: path.to_owned(),
            message: error.to_string(),
        };
        let metadata = lustre_rpm_header::metadata(path).map_err(unreadable)?;
        offered.insert(metadata.get_name().map_err(unreadable)?.to_owned());
        for provided in metadata.get_provides().map_err(unreadable)? {
            offered.insert(provided.name);
        }
        for file in metadata.get_file_paths().map_err(unreadable)? {
            offered.insert(file.to_string_lossy().into_owned());
        }
    }
    Ok(offered)
}

/// Looks up the names that the target's chroots are made of among `offered`, what the distribution's packages have or provide.
pub(super) fn check(target: &Target, offered: &BTreeSet<String>) -> Check {
    let lists = [
        ("distribution.bootstrap", &target.distribution.bootstrap),
        ("distribution.buildroot", &target.distribution.buildroot),
        ("lustre.buildroot", &target.lustre.buildroot),
        ("install.base", &target.install.base),
    ];
    let mut looked_at = BTreeSet::new();
    let mut problems = Vec::new();
    for (list, names) in lists {
        for name in names {
            // `name >= version`: whether the version fits is for dnf to say.
            let plain = name.split_whitespace().next().unwrap_or(name);
            looked_at.insert(plain);
            if !offered.contains(plain) {
                let message = format!("{list}: no package of the distribution provides `{plain}`");
                problems.push(Problem::new(message));
            }
        }
    }
    let message = format!(
        "{} names in the target's lists of packages",
        looked_at.len()
    );
    Check::of("packages", message, problems)
        .hint(
            "correct the name; for a generated distribution, add the package or its Provides to the recipe; for another, write a new lock: \
             `cargo xtask lock --update`",
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_offer_their_names_provides_and_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.rpm");
        rpm::PackageBuilder::new("tool", "1", "MIT", "x86_64", "a test")
            .provides(rpm::Dependency::eq("capability", "2"))
            .with_file_contents("x", rpm::FileOptions::new("/usr/bin/tool"))
            .unwrap()
            .build()
            .unwrap()
            .write_file(&path)
            .unwrap();
        let found = offered([path.as_path()]).unwrap();
        for name in ["tool", "capability", "/usr/bin/tool"] {
            assert!(found.contains(name), "{name} in {found:?}");
        }
        let error = offered([dir.path()]).unwrap_err().to_string();
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }
}
