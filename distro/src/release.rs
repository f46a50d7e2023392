//! The kernel's spec for the upstream release that the lock pins: Debian moves on, and the spec must not have to. Its config, for
//! another series of releases, is changed by fragments.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::at;

use lustre_packaging::overlay::config::{self, ConfigError, Fragment};

/// The line of the spec that says which upstream release it packages.
const VERSION_LINE: &str = "%global rpmversion ";

/// The line that says which release of the distribution's kernel, without `%dist`.
const RELEASE_LINE: &str = "%global pkgrelease ";

/// A spec that cannot be made to fit.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error("`{0}` is not named like a Debian kernel source, linux_VERSION.orig.tar.xz")]
    Name(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{} has {found} lines that start with `{line}`, expected one", spec.display())]
    Line {
        spec: PathBuf,
        /// How the line begins.
        line: &'static str,
        /// How many such lines it has.
        found: usize,
    },
}

/// Copies the folder `spec_dir` to `into`, with the spec's release set to that of the archive named `archive` and the config fragments
/// at `fragments` merged into its config.
pub fn for_archive(
    spec_dir: &Path,
    archive: &str,
    fragments: &[PathBuf],
    into: &Path,
) -> Result<(), Error> {
    let version = archive
        .strip_prefix("linux_")
        .and_then(|rest| rest.split_once(".orig.tar"))
        .map(|(version, _)| version)
        .ok_or_else(|| Error::Name(archive.to_owned()))?;
    fs::create_dir_all(into).map_err(at(into))?;
    let mut texts = Vec::new();
    for path in fragments {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        texts.push((
            name,
            lustre_files::read_to_string(path, lustre_files::TEXT).map_err(at(path))?,
        ));
    }
    let fragments: Vec<Fragment<'_>> = texts
        .iter()
        .map(|(name, text)| Fragment { name, text })
        .collect();
    for entry in fs::read_dir(spec_dir).map_err(at(spec_dir))? {
        let path = entry.map_err(at(spec_dir))?.path();
        let copy = into.join(path.file_name().unwrap_or_default());
        let is = |kind: &str| path.extension().is_some_and(|extension| extension == kind);
        if is("config") && !fragments.is_empty() {
            let text =
                lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let base = Fragment {
                name: &name,
                text: &text,
            };
            let merged = config::merge(base, &fragments)?;
            fs::write(&copy, merged.text).map_err(at(&copy))?;
        } else if is("spec") {
            let text =
                lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
            let edited = with_value(&text, VERSION_LINE, version).map_err(|found| Error::Line {
                spec: path,
                line: VERSION_LINE,
                found,
            })?;
            fs::write(&copy, edited).map_err(at(&copy))?;
        } else {
            lustre_files::copy(&path, &copy).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// Copies the folder `spec_dir` over `into`, with the spec's version and release set to those of a distribution's kernel.
pub fn for_release(
    spec_dir: &Path,
    version: &str,
    release: &str,
    into: &Path,
) -> Result<(), Error> {
    // Its `%dist` the spec gets from rpm.
    let number = release
        .rsplit_once(".el")
        .map_or(release, |(number, _)| number);
    for entry in fs::read_dir(spec_dir).map_err(at(spec_dir))? {
        let path = entry.map_err(at(spec_dir))?.path();
        let copy = into.join(path.file_name().unwrap_or_default());
        if path
            .extension()
            .is_some_and(|extension| extension == "spec")
        {
            let wrong = |line| {
                let spec = path.clone();
                move |found| Error::Line { spec, line, found }
            };
            let text =
                lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
            let text = with_value(&text, VERSION_LINE, version).map_err(wrong(VERSION_LINE))?;
            let text = with_value(&text, RELEASE_LINE, number).map_err(wrong(RELEASE_LINE))?;
            fs::write(&copy, text).map_err(at(&copy))?;
        } else {
            lustre_files::copy(&path, &copy).map_err(at(&path))?;
        }
    }
    Ok(())
}

/// The spec with another value behind what a line of it begins with; the error is the number of such lines, where it is not one.
fn with_value(spec: &str, start: &str, value: &str) -> Result<String, usize> {
    let found = spec.lines().filter(|line| line.starts_with(start)).count();
    if found != 1 {
        return Err(found);
    }
    let edited: Vec<String> = spec
        .lines()
        .map(|line| {
            if line.starts_with(start) {
                format!("{start}{value}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    Ok(edited.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_decides_which_release_is_packaged() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir(&from).unwrap();
        fs::write(
            from.join("kernel.spec"),
            "Name: kernel\n%global rpmversion 6.1.1\nVersion: x\n",
        )
        .unwrap();
        fs::write(from.join("kernel.config"), "CONFIG_A=y\n").unwrap();
        let fragment = dir.path().join("new.config");
        fs::write(&fragment, "# CONFIG_A is not set\nCONFIG_B=m\n").unwrap();
        for_archive(&from, "linux_6.1.180.orig.tar.xz", &[fragment], &to).unwrap();
        let spec = fs::read_to_string(to.join("kernel.spec")).unwrap();
        assert_eq!(
            spec,
            "Name: kernel\n%global rpmversion 6.1.180\nVersion: x\n"
        );
        let config = fs::read_to_string(to.join("kernel.config")).unwrap();
        assert!(config.contains("# CONFIG_A is not set\n") && config.contains("CONFIG_B=m\n"));
        for_archive(&from, "linux_6.1.180.orig.tar.xz", &[], &to).unwrap();
        let config = fs::read_to_string(to.join("kernel.config")).unwrap();
        assert_eq!(config, "CONFIG_A=y\n");
    }

    #[test]
    fn a_tree_decides_which_release_of_a_distribution_is_packaged() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for folder in [&from, &to] {
            fs::create_dir(folder).unwrap();
        }
        let spec = "%global rpmversion 1\n%global pkgrelease 1\nName: kernel\n";
        fs::write(from.join("kernel.spec"), spec).unwrap();
        for_release(&from, "4.18.0", "553.22.1.el8_10", &to).unwrap();
        let text = fs::read_to_string(to.join("kernel.spec")).unwrap();
        assert_eq!(
            text,
            "%global rpmversion 4.18.0\n%global pkgrelease 553.22.1\nName: kernel\n"
        );
        fs::write(from.join("kernel.spec"), "%global rpmversion 1\n").unwrap();
        let error = for_release(&from, "1", "1.el8", &to).unwrap_err();
        assert!(error.to_string().contains("pkgrelease"), "{error}");
    }

    #[test]
    fn a_spec_or_an_archive_of_another_shape_is_refused() {
        assert_eq!(with_value("Name: kernel\n", VERSION_LINE, "6.1"), Err(0));
        let dir = tempfile::tempdir().unwrap();
        let refused = for_archive(dir.path(), "linux-6.1.tar.xz", &[], &dir.path().join("to"));
        assert!(matches!(refused, Err(Error::Name(_))));
    }
}
