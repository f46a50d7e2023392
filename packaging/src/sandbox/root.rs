//! A copy of a chroot, as it lies on the disk.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::process;

/// The folders of a copy.
#[derive(Debug)]
pub(super) struct Root {
    /// The chroot.
    pub(super) lower: PathBuf,
    /// The folder of the copy.
    pub(super) folder: PathBuf,
    /// Whether it is an overlay over the chroot, where nothing is copied, or a copy.
    pub(super) is_overlay: bool,
}

impl Root {
    /// Where what is written before any command runs has its place.
    pub(super) fn top(&self) -> PathBuf {
        if self.is_overlay {
            self.folder.join("upper")
        } else {
            self.path()
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.join("root")
    }

    pub(super) fn copy(&self, how: &str) -> Result<(), process::Error> {
        let mut command = process::command("cp");
        command
            .args(["-a", how, "-T"])
            .arg(&self.lower)
            .arg(self.path());
        process::output(&mut command).map(drop)
    }

    /// The root, in the words of the script that mounts it.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        if self.is_overlay {
            let [lower, folder] = [&self.lower, &self.folder].map(|path| path.clone().into());
            vec!["overlay".into(), lower, folder]
        } else {
            vec!["folder".into(), self.path().into()]
        }
    }
}
