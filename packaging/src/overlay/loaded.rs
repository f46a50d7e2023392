//! An overlay as it lies in its folder, and its files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::tried;

use super::Manifest;
use super::error::OverlayError;

/// An overlay, loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// The folder of its `overlay.toml`, where its fragments and extra sources are.
    pub folder: PathBuf,
    /// The folders of those that it extends, by their names under `specs/`.
    pub below: BTreeMap<String, PathBuf>,
    /// What it consists of.
    pub manifest: Manifest,
}

impl Overlay {
    /// What an `overlay.toml` says itself, without those that it extends.
    pub(super) fn alone(path: &Path) -> Result<Self, OverlayError> {
        let manifest = Manifest::parse(&read_text(path)?, &path.display().to_string())?;
        Ok(Self {
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            below: BTreeMap::new(),
            manifest,
        })
    }
}

pub(super) fn read_text(path: &Path) -> Result<String, OverlayError> {
    Ok(lustre_files::read_to_string(path, lustre_files::TEXT).map_err(tried("read", path))?)
}

/// Writes aside and renames, so that nobody sees a half-written file. Keeps the permissions of what was there.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), OverlayError> {
    let mut aside = path.to_owned().into_os_string();
    aside.push(".new~");
    let aside = PathBuf::from(aside);
    fs::write(&aside, content).map_err(tried("write", &aside))?;
    if let Ok(there) = fs::metadata(path) {
        fs::set_permissions(&aside, there.permissions())
            .map_err(tried("change the mode of", &aside))?;
    }
    Ok(fs::rename(&aside, path).map_err(tried("replace", path))?)
}
