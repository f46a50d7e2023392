//! e2fsprogs: our spec and series around the upstream release.

use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};

/// Puts the spec, the patches and the upstream archive in place and makes the SRPM.
///
/// `archive` is the file and the name it has as a source; `folder` is the target's `e2fsprogs.spec` folder: `e2fsprogs.spec`, `series` and `patches/`.
///
/// # Errors
/// When a file is missing or rpmbuild fails.
pub fn source_package(
    work: &Workdir,
    folder: &Path,
    archive: (&Path, &str),
    log: &Path,
) -> Result<PathBuf, Error> {
    let spec = folder.join("e2fsprogs.spec");
    let text = fs::read_to_string(&spec).map_err(at(&spec))?;
    let sources = work.path("build/SOURCES");
    fs::copy(archive.0, sources.join(archive.1)).map_err(at(archive.0))?;
    let patches = folder.join("patches");
    for entry in fs::read_dir(&patches).map_err(at(&patches))? {
        let path = entry.map_err(at(&patches))?.path();
        let target = sources.join(path.file_name().unwrap_or_default());
        fs::copy(&path, &target).map_err(at(&path))?;
    }
    let target = work.path("build/SPECS/e2fsprogs.spec");
    fs::write(&target, text).map_err(at(&target))?;
    rpmbuild::source_package(work, "e2fsprogs.spec", &[], log)
}
