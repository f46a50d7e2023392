//! The store's errors, and the one for a path on which the system refused something.

use std::io;
use std::path::PathBuf;

use lustre_files::help;

use super::{Digest, PathError};

/// What can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    /// Ctrl-C while another run was waited for, or the store was read.
    #[error("interrupted")]
    Interrupted,
    #[error("{what} has the wrong digest\n  expected sha256 {expected}\n  found    sha256 {found}")]
    Digest {
        /// Which file, and where it is from.
        what: String,
        /// The digest it has to have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    #[error(
        "{} is not a store of this tool ({why}), and was not changed{}",
        lustre_files::shown(path),
        help!("give a new or empty folder")
    )]
    NotAStore {
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    #[error(
        "{} is a link or a file instead of a folder of the store, and the target of a link would be emptied{}",
        lustre_files::shown(path),
        help!("remove it, or link the whole store")
    )]
    Link {
        /// The link.
        path: PathBuf,
    },
    #[error(
        "something is mounted at {}, and nothing is removed while it is mounted{}",
        lustre_files::shown(path),
        help!("unmount it (`umount {}`) and run again", lustre_files::shown(path))
    )]
    MountPoint {
        /// The mount point.
        path: PathBuf,
    },
    /// Something mounted in the store's `tmp` could not be unmounted, so nothing there may be removed.
    #[error(
        "{} is still mounted from an earlier run and cannot be unmounted: {source}{}",
        lustre_files::shown(path),
        help!("unmount it (`umount {}`) and run again", lustre_files::shown(path))
    )]
    Mounted {
        /// The mount point.
        path: PathBuf,
        /// Why it cannot be unmounted.
        source: io::Error,
    },
    #[error(
        "{} has a name that is not UTF-8, which a stage cannot record",
        lustre_files::shown(path)
    )]
    NotUtf8 { path: PathBuf },
    /// A device, socket or pipe where only files, folders and links belong.
    #[error(
        "{} is neither a file nor a folder nor a link",
        lustre_files::shown(path)
    )]
    Special { path: PathBuf },
    #[error("`{name}` is not a stage's name: letters, digits, `-`, `_`, `.` and `+` are allowed")]
    StageName { name: String },
    /// A record that belongs to another stage than the one being finished.
    #[error("the record is of stage {record}, not of stage {pending}")]
    WrongRecord {
        /// Name and key in the record.
        record: String,
        /// Name and key of the stage begun.
        pending: String,
    },
    #[error("the record {}: {source}", lustre_files::shown(path))]
    Record {
        /// The record's path.
        path: PathBuf,
        source: serde_json::Error,
    },
}
