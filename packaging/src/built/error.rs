//! What was built and cannot be written or used.

use std::path::PathBuf;

use lustre_files::PathError;

use super::INDEX;
use crate::store;

/// What was built and cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A digest cannot be made.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The folder is something else.
    #[error(
        "{} does not have what `cargo xtask build --output` writes: {why}",
        lustre_files::shown(path)
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// The folder where it is to be written has something else in it.
    #[error(
        "{} is there and has no {INDEX}, and was not changed; choose another --output",
        lustre_files::shown(path)
    )]
    Taken {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not what the index says, or does not belong there.
    #[error(
        "{} is refused: {file}: {why}; fetch it again from the machine that built it, or build it again",
        lustre_files::shown(path)
    )]
    Refused {
        /// The folder.
        path: PathBuf,
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
}
