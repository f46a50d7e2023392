//! Removing trees with the store's errors, and names that can be recorded.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use lustre_files::RemoveError;
use rustix::mount::{UnmountFlags, unmount};

use super::Error;

impl From<RemoveError> for Error {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Mounted { path } => Self::MountPoint { path },
            RemoveError::Path(error) => error.into(),
        }
    }
}

/// Removes `path` and all below it. Folders without write permission are no obstacle. Something that is not there is no error.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    Ok(lustre_files::remove_tree(path)?)
}

/// As [`remove_tree`], for what a run of this tool made itself in `tmp` and may have mounted something in: that is unmounted first.
pub(super) fn unmount_and_remove(path: &Path) -> Result<(), Error> {
    // The last mounted first: mounts lie on mounts.
    for point in lustre_files::mounted(path)?.into_iter().rev() {
        unmount(&point, UnmountFlags::DETACH).map_err(|errno| Error::Mounted {
            path: point.clone(),
            source: errno.into(),
        })?;
    }
    remove_tree(path)
}

/// Whether the bytes of a path make a name that can be recorded.
pub(super) fn utf8(path: &Path) -> Result<&str, Error> {
    std::str::from_utf8(path.as_os_str().as_bytes()).map_err(|_| Error::NotUtf8 {
        path: path.to_owned(),
    })
}
