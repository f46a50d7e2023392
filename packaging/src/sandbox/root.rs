//! A copy of a chroot, as it lies on the disk.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::process;

/// How a clone was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloneMethod {
    /// An overlay over the chroot; nothing is copied.
    Overlay,
    /// Copies that share blocks.
    Reflink,
    /// Hard links; the builder, who owns none of the files, cannot write to them.
    HardLink,
    /// Copies: slow, but root may write to them without writing to the chroot.
    Copy,
}

/// The folders of a copy.
#[derive(Debug)]
pub(super) struct Root {
    /// The chroot.
    pub(super) lower: PathBuf,
    /// The folder of the copy.
    pub(super) folder: PathBuf,
    /// How it was made.
    pub(super) method: CloneMethod,
}

impl Root {
    /// Where what is written before any command runs has its place.
    pub(super) fn top(&self) -> PathBuf {
        match self.method {
            CloneMethod::Overlay => self.folder.join("upper"),
            CloneMethod::Reflink | CloneMethod::HardLink | CloneMethod::Copy => self.path(),
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
        match self.method {
            CloneMethod::Overlay => vec![
                "overlay".into(),
                self.lower.clone().into(),
                self.folder.clone().into(),
            ],
            CloneMethod::Reflink | CloneMethod::HardLink | CloneMethod::Copy => {
                vec!["folder".into(), self.path().into()]
            }
        }
    }
}
