//! Bundles that cannot be written or used.

use std::path::PathBuf;

use lustre_files::{Advised, PathError, help};

use crate::{lock, source, store};

/// A bundle that cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Lock(#[from] lock::Error),
    #[error("interrupted")]
    Interrupted,
    /// There is no room for it.
    #[error(transparent)]
    Room(#[from] Advised),
    #[error(
        "{} is not a bundle: {why}{}",
        lustre_files::shown(path),
        help!("make one with `cargo xtask bundle`")
    )]
    NotABundle {
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
        path: PathBuf,
        found: u64,
        /// The size that it has to have.
        wanted: u64,
    },
    #[error(
        "{} is damaged: {member}: {why}{}",
        lustre_files::shown(path),
        help!("check the copy with `sha256sum` on both machines, and copy it again")
    )]
    Damaged {
        path: PathBuf,
        member: String,
        why: String,
    },
    /// Something in it that does not belong there, or something that is missing.
    #[error(
        "{} is refused: {member}: {why}{}",
        lustre_files::shown(path),
        help!("make it again with `cargo xtask bundle`")
    )]
    Refused {
        path: PathBuf,
        member: String,
        why: String,
    },
    #[error(
        "{} contains a private key, and a bundle is for other machines to read{}",
        lustre_files::shown(path),
        help!("remove the key from that file")
    )]
    Secret { path: PathBuf },
}
