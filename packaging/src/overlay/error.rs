//! Why an overlay cannot be loaded or does not fit.

use std::path::PathBuf;

use super::config::{ConfigError, KnownError};
use super::edit::EditErrors;
use super::manifest::ManifestError;
use super::{fixup, patch, release, series};

/// An overlay that cannot be loaded or that does not fit a source.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    /// A file or folder cannot be used.
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// `overlay.toml` is not right.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Edits do not fit.
    #[error(transparent)]
    Edits(#[from] EditErrors),
    /// A series is not right.
    #[error(transparent)]
    Series(#[from] series::SeriesError),
    /// A patch of a series is not right.
    #[error(transparent)]
    Patch(#[from] patch::PatchError),
    /// A series cannot be tried on a tree.
    #[error(transparent)]
    Apply(#[from] patch::ApplyError),
    /// A fixup does not fit.
    #[error(transparent)]
    Fixup(#[from] fixup::FixupError),
    /// A config is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The release cannot be formed.
    #[error(transparent)]
    Release(#[from] release::ReleaseError),
    /// The kernel's options cannot be told.
    #[error(transparent)]
    Known(#[from] KnownError),
    /// A placeholder or a root that the caller does not give, or something left unused.
    #[error("overlay {}: {problem}", lustre_files::shown(overlay))]
    Input {
        /// The overlay's folder.
        overlay: PathBuf,
        /// What is wrong.
        problem: String,
    },
}
