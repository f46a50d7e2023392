//! Bundles that cannot be written or used.

use std::path::PathBuf;

use lustre_files::{PathError, help};

use crate::{lock, source, store};

/// A bundle that cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The store cannot take or give something.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// git cannot take or give a commit.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The lock in it is none.
    #[error(transparent)]
    Lock(#[from] lock::Error),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// The file is something else.
    #[error(
        "{} is not a bundle: {why}{}",
        lustre_files::shown(path),
        help!("make one with `cargo xtask bundle`")
    )]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// A part of the file is missing: a copy that broke off.
    #[error(
        "{} has {found} bytes, and {wanted} according to its index: the copy is not complete{}",
        lustre_files::shown(path),
        help!("run the copy again, which goes on where it stopped with `rsync --append-verify`")
    )]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The size that it has to have.
        wanted: u64,
    },
    /// A member is not what the index says.
    #[error(
        "{} is damaged: {member}: {why}{}",
        lustre_files::shown(path),
        help!("check the copy with `sha256sum` on both machines, and copy it again")
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The member.
        member: String,
        /// What is wrong.
        why: String,
    },
    /// Something in it that does not belong there, or something that is missing.
    #[error(
        "{} is refused: {member}: {why}{}",
        lustre_files::shown(path),
        help!("make it again with `cargo xtask bundle`")
    )]
    Refused {
        /// The file.
        path: PathBuf,
        /// The member.
        member: String,
        /// What is wrong.
        why: String,
    },
    /// A secret key among the site's files.
    #[error(
        "{} contains a private key, and a bundle is for other machines to read{}",
        lustre_files::shown(path),
        help!("remove the key from that file")
    )]
    Secret {
        /// The file.
        path: PathBuf,
    },
}
