//! Throw-away copies of chroots: overlayfs where the kernel gives it, else reflinks, else hard links, or true copies where root works in
//! them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::User;
use crate::process;

/// A clone that could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A folder of the clone could not be made or removed.
    #[error("clone of the chroot {}: {source}", path.display())]
    Io {
        /// The path in question.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// None of the methods works between the chroot and the clone's folder.
    #[error("cannot clone the chroot {}: {source}", chroot.display())]
    NoMethod {
        /// The chroot.
        chroot: PathBuf,
        /// What the last attempt said.
        source: process::Error,
    },
}

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

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { path, source }
}

/// A throw-away copy of a chroot; gone when dropped.
#[derive(Debug)]
pub struct ChrootClone {
    lower: PathBuf,
    folder: PathBuf,
    method: CloneMethod,
}

/// Mounts the overlay, then becomes the command: in a mount namespace of its own, so that the mount ends with it.
const MOUNT_AND_RUN: &str = r#"mount -t overlay overlay -o "$1" "$2" && shift 2 && exec "$@""#;

impl ChrootClone {
    /// Clones `chroot` into the new folder `folder`, by the best method that works there, for commands that `user` will run in it.
    ///
    /// # Errors
    /// When no method works or a folder cannot be made.
    pub fn new(chroot: &Path, folder: &Path, user: User) -> Result<Self, Error> {
        let mut clone = Self::prepare(chroot, folder, CloneMethod::Overlay)?;
        let (mut probe, _) = clone.enter();
        let works = process::capture(probe.arg("true")).is_ok_and(|done| done.status.success());
        if works {
            return Ok(clone);
        }
        clone.method = CloneMethod::Reflink;
        if clone.copy("--reflink=always").is_ok() {
            return Ok(clone);
        }
        let root = clone.root();
        fs::remove_dir_all(&root).map_err(at(&root))?;
        // Through a hard link, root would write into the chroot itself: rpm's database, for one.
        let (method, how) = match user {
            User::Builder => (CloneMethod::HardLink, "--link"),
            User::Root => (CloneMethod::Copy, "--reflink=never"),
        };
        clone.method = method;
        clone.copy(how).map_err(|source| Error::NoMethod {
            chroot: chroot.to_owned(),
            source,
        })?;
        Ok(clone)
    }

    /// The folders of a clone; the topmost has the mode of the chroot's own, whatever the umask.
    fn prepare(chroot: &Path, folder: &Path, method: CloneMethod) -> Result<Self, Error> {
        for part in ["upper", "work", "root"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let mode = fs::metadata(chroot).map_err(at(chroot))?.permissions();
        let upper = folder.join("upper");
        fs::set_permissions(&upper, mode).map_err(at(&upper))?;
        Ok(Self {
            lower: chroot.to_owned(),
            folder: folder.to_owned(),
            method,
        })
    }

    /// How it was made.
    pub fn method(&self) -> CloneMethod {
        self.method
    }

    /// Where a file of the clone, given by its absolute path inside, can be written before any command runs.
    pub fn writable_path(&self, inside: &str) -> PathBuf {
        let top = match self.method {
            CloneMethod::Overlay => self.folder.join("upper"),
            CloneMethod::Reflink | CloneMethod::HardLink | CloneMethod::Copy => self.root(),
        };
        top.join(inside.trim_start_matches('/'))
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    fn copy(&self, how: &str) -> Result<(), process::Error> {
        let mut command = process::command("cp");
        command
            .args(["-a", how, "-T"])
            .arg(&self.lower)
            .arg(self.root());
        process::output(&mut command).map(drop)
    }

    /// A command that still lacks what to run, and the path of the chroot's root as that will see it.
    pub(super) fn enter(&self) -> (Command, PathBuf) {
        if self.method != CloneMethod::Overlay {
            let mut command = process::command("env");
            command.arg("--");
            return (command, self.root());
        }
        let mut command = process::command("unshare");
        command.args(["--mount", "--propagation", "private", "--"]);
        command.args(["sh", "-ec", MOUNT_AND_RUN, "sh"]);
        command.arg(format!(
            "lowerdir={},upperdir={},workdir={}",
            self.lower.display(),
            self.folder.join("upper").display(),
            self.folder.join("work").display()
        ));
        command.arg(self.root());
        (command, self.root())
    }
}

impl Drop for ChrootClone {
    fn drop(&mut self) {
        // A folder that stays behind costs disk, not truth: the store empties its temporary folder when it is opened.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
