//! The names of the targets and the releases that there are, and of the packages that targets build.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::Error;

/// The packages that targets build, by which stages, folders and options name them.
pub const E2FSPROGS: &str = "e2fsprogs";
pub const KERNEL: &str = "kernel";
pub const LUSTRE: &str = "lustre";

/// The names of all targets under `specs`, sorted.
///
/// # Errors
/// When `specs/targets` cannot be read.
pub fn list(specs: &Path) -> Result<Vec<String>, Error> {
    named(specs.join("targets"))
}

/// The names of all releases of `package`, `lustre` or `e2fsprogs`, under `specs`, sorted.
///
/// # Errors
/// When their folder cannot be read.
pub fn releases(specs: &Path, package: &str) -> Result<Vec<String>, Error> {
    named(specs.join(folder(package)))
}

/// The names of the TOML files in `folder`, without their ending, sorted.
pub(super) fn named(folder: PathBuf) -> Result<Vec<String>, Error> {
    let read = |source| Error::Read {
        path: folder.clone(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The folder under `specs/` of a package's releases.
pub(super) fn folder(package: &str) -> String {
    format!("{package}/releases")
}
