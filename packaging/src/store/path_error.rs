//! What could not be done with which file, and why.

use std::io;
use std::path::{Path, PathBuf};

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
        let path = lustre_files::shown(&self.path);
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
