//! A file system that is soon full.

use std::path::Path;
use std::process::Command;

/// A file system in memory of a size that is soon used up; gone when dropped. It takes the right to mount.
#[derive(Debug)]
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// One of `size`, as mount takes it: `3m`.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn new(size: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for a small disk");
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("mode=0755,size={size}"),
                "small",
            ])
            .arg(dir.path())
            .status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "no file system can be mounted here"
        );
        Self(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}
