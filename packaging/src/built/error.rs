//! What was built and cannot be written or used.

use std::path::{Path, PathBuf};

use lustre_files::place::Foreign;
use lustre_files::{Advised, PathError, help};

use super::INDEX;
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
    /// There is something else where it is to be written.
    #[error(
        "{} is there and is not what `build --output` writes ({why}), and was not changed{}",
        lustre_files::shown(path),
        help!("choose another --output")
    )]
    Taken {
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// There is something in the folder that is to be replaced that is not its own.
    #[error(
        "{} would be replaced with everything in it, including files that its {INDEX} does not list ({}): {}{}",
        lustre_files::shown(path), foreign.count, foreign.names,
        help!("move them away, or choose another --output")
    )]
    Foreign { path: PathBuf, foreign: Foreign },
    #[error(
        "{} cannot be the folder of what is built: {why}",
        lustre_files::shown(path)
    )]
    Place {
        path: PathBuf,
        /// Why not, and what to do.
        why: Advised,
    },
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

impl Error {
    /// Of a folder that cannot be put at `out`.
    pub(super) fn unfit(out: &Path, why: Unfit) -> Self {
        let path = out.to_owned();
        match why {
            Unfit::Path(error) => error.into(),
            Unfit::Place(why) => Self::Place { path, why },
            Unfit::Taken(why) => Self::Taken { path, why },
            Unfit::Foreign(foreign) => Self::Foreign { path, foreign },
        }
    }
}
