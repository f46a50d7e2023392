//! Why an overlay cannot be loaded or does not fit.

use std::path::PathBuf;

use super::config::{ConfigError, KnownError};
use super::edit::EditErrors;
use super::manifest::ManifestError;
use super::{fixup, patch, release, series};
use crate::spec_macros::SpecMacroError;

/// An overlay that cannot be loaded or that does not fit a source.
#[derive(Debug, thiserror::Error)]
pub enum OverlayError {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// `overlay.toml` is not right.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(transparent)]
    Edits(#[from] EditErrors),
    #[error(transparent)]
    Series(#[from] series::SeriesError),
    #[error(transparent)]
    Patch(#[from] patch::PatchError),
    #[error(transparent)]
    Apply(#[from] patch::ApplyError),
    #[error(transparent)]
    Fixup(#[from] fixup::FixupError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Release(#[from] release::ReleaseError),
    #[error(transparent)]
    Macro(#[from] SpecMacroError),
    #[error(transparent)]
    Known(#[from] KnownError),
    /// A placeholder or a root that the caller does not give, or something left unused.
    #[error("overlay {}: {problem}", lustre_files::shown(overlay))]
    Input {
        /// The overlay's folder.
        overlay: PathBuf,
        problem: String,
    },
}
