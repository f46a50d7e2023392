//! Removing trees, also read-only ones, and never anything that is mounted into them.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::{Error, PathError};

/// Removes `path` and all below it. Folders without write permission are no obstacle; what is mounted below `path` is
/// unmounted first, and when that fails nothing is removed. Something that is not there is no error.
///
/// # Errors
/// When something is mounted and stays so, or cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    unmount_below(path)?;
    let failed = |source| PathError::new("remove", path, source);
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Ok(fs::remove_file(path).map_err(failed)?),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error).into()),
    }
    if fs::remove_dir_all(path).is_err() {
        make_writable(path);
        fs::remove_dir_all(path).map_err(failed)?;
    }
    Ok(())
}

/// Removes all in `folder`, but not itself.
pub(super) fn empty(folder: &Path) -> Result<(), Error> {
    unmount_below(folder)?;
    let failed = |source| PathError::new("list", folder, source);
    for item in fs::read_dir(folder).map_err(failed)? {
        remove_tree(&item.map_err(failed)?.path())?;
    }
    Ok(())
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

fn unmount_below(path: &Path) -> Result<(), Error> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read(table).map_err(|source| PathError::new("read", table, source))?;
    // The last mounted first: mounts lie on mounts.
    for point in mount_points(&text).into_iter().rev() {
        if point.starts_with(path) {
            unmount(&point, UnmountFlags::DETACH).map_err(|errno| Error::Mounted {
                path: point.clone(),
                source: errno.into(),
            })?;
        }
    }
    Ok(())
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
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Whether the bytes of a path make a name that can be recorded.
pub(super) fn utf8(path: &Path) -> Result<&str, Error> {
    std::str::from_utf8(path.as_os_str().as_bytes()).map_err(|_| Error::NotUtf8 {
        path: path.to_owned(),
    })
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
