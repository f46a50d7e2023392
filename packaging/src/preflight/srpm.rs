//! The kernel's source as a distribution's source package holds it: the spec and small files side by side, and one archive.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, KernelSource, at};
use crate::archive;

impl KernelSource {
    /// Unpacks the source package `srpm` to the new folder `folder`. `parts` is where what is needed of the archive is or will be.
    pub fn of_srpm(srpm: &Path, folder: &Path, parts: &Path, arch: &str) -> Result<Self, Error> {
        let unreadable = |error: rpm::Error| Error::Package {
            path: srpm.to_owned(),
            message: error.to_string(),
        };
        let metadata = lustre_rpm_header::metadata(srpm).map_err(unreadable)?;
        archive::unpack_srpm(srpm, folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            parts: parts.to_owned(),
            version: metadata.get_version().map_err(unreadable)?.to_owned(),
            release: metadata.get_release().map_err(unreadable)?.to_owned(),
            arch: arch.to_owned(),
            tree: None,
        })
    }

    /// The archive of the kernel's source among the unpacked files: `linux-6.12.0-55.43.1.el10_0.tar.xz`.
    pub fn archive(&self) -> Result<PathBuf, Error> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let name = entry.map_err(at(&self.folder))?.file_name();
            let name = name.to_string_lossy().into_owned();
            if is_linux(&name) {
                found.push(name);
            }
        }
        found.sort();
        match found.as_slice() {
            [one] => Ok(self.folder.join(one)),
            _ => Err(Error::NoArchive { found }),
        }
    }
}

/// Whether a file is named as the archive of the kernel's source is, by distributions (`linux-6.12.0-55.el10.tar.xz`) or by Debian
/// (`linux_6.1.176.orig.tar.xz`).
fn is_linux(name: &str) -> bool {
    let rest = name.strip_prefix("linux");
    rest.is_some_and(|rest| rest.starts_with(['-', '_'])) && name.contains(".tar.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_the_one_that_is_named_as_the_kernels() {
        let dir = tempfile::tempdir().unwrap();
        let source = KernelSource {
            folder: dir.path().to_owned(),
            parts: PathBuf::new(),
            version: "6.12.0".to_owned(),
            release: "1.el10_0".to_owned(),
            arch: "x86_64".to_owned(),
            tree: None,
        };
        let write = |name: &str| fs::write(dir.path().join(name), "").unwrap();
        write("kernel.spec");
        write("kernel-abi-stablelists-6.12.0.tar.xz");
        write("linux-kernel-test.patch");
        let error = source.archive().unwrap_err().to_string();
        assert!(
            error.contains("has 0 archives") && error.contains("kernel.source"),
            "{error}"
        );
        write("linux-6.12.0-1.el10_0.tar.xz");
        let found = source.archive().unwrap();
        assert!(found.ends_with("linux-6.12.0-1.el10_0.tar.xz"));
        write("linux-6.12.tar.gz");
        let error = source.archive().unwrap_err().to_string();
        assert!(error.contains("linux-6.12.tar.gz"), "{error}");
    }
}
