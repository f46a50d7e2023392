//! What could not be done with which file, and why.

use std::io;
use std::path::{Path, PathBuf};

use super::shown::shown;

/// The system refused something on a path. A full disk says so.
#[derive(Debug)]
pub struct PathError {
    /// What was tried: "read", "write", "rename". None where the path alone says enough.
    pub action: Option<&'static str>,
    pub path: PathBuf,
    pub source: io::Error,
}

/// For `map_err`: the error of something that the path alone tells.
pub fn at<E: Into<io::Error>>(path: impl Into<PathBuf>) -> impl FnOnce(E) -> PathError {
    let path = path.into();
    |source| PathError {
        action: None,
        path,
        source: source.into(),
    }
}

/// For `map_err`: the error of `action` on `path`.
pub fn tried<E: Into<io::Error>>(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> PathError {
    let path = path.into();
    move |source| PathError {
        action: Some(action),
        path,
        source: source.into(),
    }
}

impl PathError {
    /// The error of `action` on `path`.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        tried(action, path)(source)
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
        let path = shown(&self.path);
        match (self.is_full(), self.action) {
            (false, None) => write!(f, "{path}: {}", self.source),
            (false, Some(action)) => write!(f, "cannot {action} {path}: {}", self.source),
            (true, action) => {
                let action = action.map(|action| format!(" to {action}"));
                let action = action.as_deref().unwrap_or(" at");
                write!(f, "no room left{action} {path}: {}", self.source)?;
                match room(&self.path) {
                    Some((free, total)) => write!(
                        f,
                        " ({free} MiB of {total} MiB are free there; partial files were removed: make room and run again)"
                    ),
                    None => Ok(()),
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_tried_is_told_where_it_is_known_and_a_full_disk_always() {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let told = at::<io::Error>("/a\nb")(missing()).to_string();
        assert_eq!(told, "/a\\nb: entity not found");
        let told = tried::<io::Error>("read", "/a")(missing()).to_string();
        assert_eq!(told, "cannot read /a: entity not found");
        for error in [
            at("/a")(io::ErrorKind::StorageFull),
            tried("write", "/a")(io::ErrorKind::QuotaExceeded),
        ] {
            let told = error.to_string();
            assert!(
                told.starts_with("no room left ") && told.contains("MiB are free"),
                "{told}"
            );
        }
    }
}
