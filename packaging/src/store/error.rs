//! The store's errors, and the one for a path on which the system refused something.

use std::io;
use std::path::{Path, PathBuf};

use super::Digest;

/// The system refused something on a path. A full disk says so.
#[derive(Debug)]
pub struct PathError {
    /// What was tried: "read", "write", "rename".
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl PathError {
    /// The error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether there was no room: the file system, the quota, or the largest size of a file.
    pub fn is_full(&self) -> bool {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        matches!(
            self.source.kind(),
            StorageFull | QuotaExceeded | FileTooLarge
        )
    }
}

impl std::fmt::Display for PathError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.display();
        if self.is_full() {
            write!(f, "no room left to {} {path}: {}", self.action, self.source)?;
            if let Some((free, total)) = room(&self.path) {
                write!(
                    f,
                    " ({free} MiB of {total} MiB are free there; nothing half-written was kept: make room and run again)"
                )?;
            }
            return Ok(());
        }
        write!(f, "cannot {} {path}: {}", self.action, self.source)
    }
}

impl std::error::Error for PathError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Free and total MiB of the file system that holds `path` (or the nearest folder above it that exists).
fn room(path: &Path) -> Option<(u64, u64)> {
    let at = path.ancestors().find(|at| at.exists())?;
    let stat = rustix::fs::statvfs(at).ok()?;
    let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) >> 20;
    Some((mib(stat.f_bavail), mib(stat.f_blocks)))
}

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Ctrl-C while another run was waited for, or the store was read.
    #[error("interrupted")]
    Interrupted,
    /// A file is not what it has to be.
    #[error("{what} has the wrong digest\n  expected sha256 {expected}\n  found    sha256 {found}")]
    Digest {
        /// Which file, and where it is from.
        what: String,
        /// The digest it has to have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    /// A folder that is somebody else's.
    #[error(
        "{} is not a store of this tool ({why}), and is left as it is; name a folder that is new or empty",
        path.display()
    )]
    NotAStore {
        /// The folder.
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// A link where the store empties a folder.
    #[error(
        "{} is a link, and what it names would be emptied; remove the link, or link the whole store",
        path.display()
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    /// Something that is mounted where it would be removed.
    #[error(
        "something is mounted at {}, and nothing is removed while it is; unmount it (`umount {}`) and run again",
        path.display(), path.display()
    )]
    MountPoint {
        /// The mount point.
        path: PathBuf,
    },
    /// Something mounted in the store's `tmp` could not be unmounted, so nothing there may be removed.
    #[error(
        "{} is still mounted from an earlier run and cannot be unmounted: {source}; unmount it (`umount {}`) and run again",
        path.display(), path.display()
    )]
    Mounted {
        /// The mount point.
        path: PathBuf,
        /// Why it cannot be unmounted.
        source: io::Error,
    },
    /// A file's name cannot be recorded.
    #[error("{} has a name that is not UTF-8, which a stage cannot record", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
    },
    /// A device, socket or pipe where only files, folders and links belong.
    #[error("{} is neither a file nor a folder nor a link", path.display())]
    Special {
        /// The path.
        path: PathBuf,
    },
    /// A name for a stage that does not make a folder's name.
    #[error("`{name}` is not a stage's name: letters, digits, `-`, `_`, `.` and `+` are allowed")]
    StageName {
        /// The name.
        name: String,
    },
    /// A record that belongs to another stage than the one being finished.
    #[error("the record of stage {record} does not belong to stage {pending}")]
    WrongRecord {
        /// Name and key in the record.
        record: String,
        /// Name and key of the stage begun.
        pending: String,
    },
    /// A record that cannot be written or read as JSON.
    #[error("the record {}: {source}", path.display())]
    Record {
        /// The record's path.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}
