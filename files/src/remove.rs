//! Removing trees, also read-only ones, and never anything that is mounted into them.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::path_error::{PathError, tried};

/// Why a tree was not removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Something is mounted there: what is removed would be gone from where it comes from, too.
    #[error(
        "something is mounted at {}, and nothing is removed while it is mounted; unmount it (`umount {}`) and run again",
        path.display(), path.display()
    )]
    Mounted {
        /// The mount point.
        path: PathBuf,
    },
    #[error(transparent)]
    Path(#[from] PathError),
}

impl From<RemoveError> for io::Error {
    fn from(error: RemoveError) -> Self {
        let kind = match &error {
            RemoveError::Mounted { .. } => ErrorKind::ResourceBusy,
            RemoveError::Path(error) => error.source.kind(),
        };
        Self::new(kind, error)
    }
}

/// Removes `path` and all below it. Folders without write permission are no obstacle. Something that is not there is no error.
#[allow(
    clippy::disallowed_methods,
    reason = "this is where trees are removed, once nothing is mounted there"
)]
pub fn remove_tree(path: &Path) -> Result<(), RemoveError> {
    let failed = |source: io::Error| RemoveError::from(tried("remove", path)(source));
    let Some(meta) = super::if_there(fs::symlink_metadata(path)).map_err(failed)? else {
        return Ok(());
    };
    nothing_mounted(path)?;
    if !meta.is_dir() {
        return fs::remove_file(path).map_err(failed);
    }
    if fs::remove_dir_all(path).is_err() {
        make_writable(path);
        fs::remove_dir_all(path).map_err(failed)?;
    }
    Ok(())
}

pub fn nothing_mounted(path: &Path) -> Result<(), RemoveError> {
    match mounted(path)?.into_iter().next() {
        Some(path) => Err(RemoveError::Mounted { path }),
        None => Ok(()),
    }
}

/// What is mounted at `path` or below, in the order in which it was mounted.
pub fn mounted(path: &Path) -> Result<Vec<PathBuf>, RemoveError> {
    let path = real(path).map_err(tried("find", path))?;
    let table = Path::new("/proc/self/mountinfo");
    let text = super::read(table, super::SOURCE).map_err(tried("read", table))?;
    let mut points = mount_points(&text);
    points.retain(|point| point.starts_with(&path));
    Ok(points)
}

/// The path as the table of mounts has it: absolute, and without links above its last part, which may be one itself.
fn real(path: &Path) -> io::Result<PathBuf> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else {
        return fs::canonicalize(path);
    };
    let parent = match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    };
    Ok(match super::if_there(fs::canonicalize(parent))? {
        Some(parent) => parent.join(name),
        // Nothing is mounted where nothing is.
        None => std::path::absolute(path)?,
    })
}

/// Gives the owner all permissions on a folder and those below it. What fails shows when it is removed.
fn make_writable(folder: &Path) {
    let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
    for item in fs::read_dir(folder).into_iter().flatten().flatten() {
        if item.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_writable(&item.path());
        }
    }
}

/// The mount points in the text of `/proc/PID/mountinfo` (proc(5)): the fifth field, blanks written as `\040`.
fn mount_points(text: &[u8]) -> Vec<PathBuf> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
        .map(unescape)
        .collect()
}

fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read() {
        let text = b"22 1 0:21 / /proc rw,nosuid shared:5 - proc proc rw\n\
            90 22 0:40 /x /srv/a\\040b\\134c rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mount_points(text),
            [Path::new("/proc"), Path::new("/srv/a b\\c")]
        );
    }

    #[test]
    fn what_is_mounted_is_found_however_the_path_is_written() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", dir.path().join("root")).unwrap();
        for path in ["/proc", "/sys/../proc", "/proc/", "//proc/."] {
            let found = mounted(Path::new(path)).unwrap();
            assert!(found.contains(&PathBuf::from("/proc")), "{path}: {found:?}");
        }
        let through = dir.path().join("root/proc");
        assert!(matches!(
            remove_tree(&through),
            Err(RemoveError::Mounted { path }) if path == Path::new("/proc")
        ));
        // The link itself is none.
        remove_tree(&dir.path().join("root")).unwrap();
        assert!(mounted(&dir.path().join("not/there")).unwrap().is_empty());
    }

    #[test]
    fn a_link_is_removed_and_not_what_it_names() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        let tree = dir.path().join("tree");
        fs::create_dir(&tree).unwrap();
        std::os::unix::fs::symlink(&outside, tree.join("link")).unwrap();
        std::os::unix::fs::symlink(dir.path(), tree.join("up")).unwrap();
        remove_tree(&tree).unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "stays");
        remove_tree(&tree).unwrap();
    }
}
