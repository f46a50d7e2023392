//! Why an archive was refused.

use std::io;
use std::path::PathBuf;

use crate::store::PathError;

/// What can go wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(
        "{}: the entry `{}` {why}; nothing was unpacked",
        lustre_files::shown(archive),
        lustre_files::shown(entry)
    )]
    Refused {
        archive: PathBuf,
        /// The entry's name as the archive has it.
        entry: String,
        why: Refusal,
    },
    #[error(
        "{} is damaged or is not an archive: {source}",
        lustre_files::shown(archive)
    )]
    Damaged {
        archive: PathBuf,
        /// What the reader said.
        source: io::Error,
    },
    #[error(
        "{} is compressed by {kind}; gzip, xz, zstd and bzip2 are supported: name another file of the same source",
        lustre_files::shown(archive)
    )]
    Compression {
        archive: PathBuf,
        /// The compression.
        kind: &'static str,
    },
    #[error(
        "{} holds no files{}",
        lustre_files::shown(archive),
        if *strip > 0 { format!(" more than {strip} folders deep") } else { String::new() }
    )]
    Empty {
        archive: PathBuf,
        /// How many leading folders were to be removed.
        strip: usize,
    },
    #[error(
        "{} is not empty: an archive is unpacked into an empty folder",
        lustre_files::shown(path)
    )]
    NotEmpty { path: PathBuf },
    #[error(
        "{} cannot be read as a source package: {why}",
        lustre_files::shown(package)
    )]
    Package { package: PathBuf, why: String },
    #[error(
        "the link {} -> {} points outside of the tree",
        lustre_files::shown(link),
        lustre_files::shown(target)
    )]
    Link {
        /// The link's path in the tree.
        link: PathBuf,
        /// What it holds.
        target: PathBuf,
    },
    #[error(
        "{} is neither a file nor a folder nor a link and cannot be packed",
        lustre_files::shown(path)
    )]
    Special { path: PathBuf },
}

/// Why an entry must not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its path has `..` in it.
    #[error("leaves its folder by `..`")]
    Climbs,
    #[error("has an absolute path")]
    Absolute,
    #[error("has no usable name")]
    Name,
    /// Its path goes through a symbolic link that the archive made.
    #[error("would be written through the link `{0}`")]
    ThroughLink(String),
    #[error("is a link that points outside of the archive, to `{0}`")]
    LinkOut(String),
    #[error("is a hard link to `{0}`, which is not a file of the archive")]
    HardLink(String),
    #[error("is {0}; only files, folders and links are supported")]
    Kind(String),
    #[error("has the same name as an entry of another kind")]
    Conflict,
}
