//! Removing trees, also read-only ones, and never anything that is mounted into them.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

use super::{Error, PathError};

/// Removes `path` and all below it. Folders without write permission are no obstacle. Something that is not there is no error.
///
/// # Errors
/// When something is mounted there, and then nothing is removed; or something cannot be removed.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    nothing_mounted(path)?;
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

/// As [`remove_tree`], for what this tool made itself and may have mounted something in: that is unmounted first.
pub(super) fn unmount_and_remove(path: &Path) -> Result<(), Error> {
    // The last mounted first: mounts lie on mounts.
    for point in mounted(path)?.into_iter().rev() {
        unmount(&point, UnmountFlags::DETACH).map_err(|errno| Error::Mounted {
            path: point.clone(),
            source: errno.into(),
        })?;
    }
    remove_tree(path)
}

/// # Errors
/// When something is mounted at `path` or below.
pub(super) fn nothing_mounted(path: &Path) -> Result<(), Error> {
    match mounted(path)?.into_iter().next() {
        Some(path) => Err(Error::MountPoint { path }),
        None => Ok(()),
    }
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

/// What is mounted at `path` or below, in the order in which it was mounted.
fn mounted(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = Path::new("/proc/self/mountinfo");
    let text = lustre_files::read(table, lustre_files::SOURCE)
        .map_err(|source| PathError::new("read", table, source))?;
    let mut points = mount_points(&text);
    points.retain(|point| point.starts_with(path));
    Ok(points)
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
