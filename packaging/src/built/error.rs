//! What was built and cannot be written or used.

use std::path::PathBuf;

use lustre_files::{Advised, PathError, help};

use crate::own_folder::Unfit;
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
    /// It cannot be written there.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is no room.
    #[error(transparent)]
    Room(#[from] Advised),
    /// A file is not what the index says, or does not belong there.
    #[error(
        "{} is refused: {file}: {why}{}",
        lustre_files::shown(path),
        help!("fetch it again from the machine that built it, or build it again")
    )]
    Refused {
        path: PathBuf,
        file: String,
        why: String,
    },
}
