//! Folders: making them, what lies in them, and that it stays there.

use std::fs::{self, DirEntry};
use std::path::Path;

use super::PathError;

/// What lies in a folder; nothing in one that is not there.
pub(super) fn list(folder: &Path) -> Result<Vec<DirEntry>, PathError> {
    let failed = |source| PathError::new("list", folder, source);
    let listed = lustre_files::if_there(fs::read_dir(folder)).map_err(failed)?;
    let entries = listed.into_iter().flatten();
    entries.map(|entry| entry.map_err(failed)).collect()
}

/// Makes the names in a folder last.
pub(super) fn sync_folder(folder: &Path) -> Result<(), PathError> {
    lustre_files::open_folder(folder)
        .and_then(|file| file.sync_all())
        .map_err(|source| PathError::new("sync", folder, source))
}

pub(super) fn create(folder: &Path) -> Result<(), PathError> {
    fs::create_dir_all(folder).map_err(|source| PathError::new("create", folder, source))
}
