//! What was built and cannot be written or used.

use std::path::PathBuf;

use lustre_files::PathError;

use super::INDEX;
use crate::store;

/// What was built and cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("interrupted")]
    Interrupted,
    #[error(
        "{} does not have what `cargo xtask build --output` writes: {why}",
        lustre_files::shown(path)
    )]
    Other {
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// The folder where it is to be written has something else in it.
    #[error(
        "{} is there and has no {INDEX}, and was not changed; choose another --output",
        lustre_files::shown(path)
    )]
    Taken { path: PathBuf },
    /// A file is not what the index says, or does not belong there.
    #[error(
        "{} is refused: {file}: {why}; fetch it again from the machine that built it, or build it again",
        lustre_files::shown(path)
    )]
    Refused {
        path: PathBuf,
        file: String,
        why: String,
    },
}
