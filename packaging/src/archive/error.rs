//! Why an archive was refused.

use std::io;
use std::path::PathBuf;

use crate::store::PathError;

/// What can go wrong with an archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An entry that must not be unpacked.
    #[error(
        "{}: the entry `{}` {why}; nothing was unpacked",
        lustre_files::shown(archive),
        lustre_files::shown(entry)
    )]
    Refused {
        /// The archive.
        archive: PathBuf,
        /// The entry's name as the archive has it.
        entry: String,
        /// Why.
        why: Refusal,
    },
    /// The archive is cut short or damaged.
    #[error(
        "{} is damaged or is not an archive: {source}",
        lustre_files::shown(archive)
    )]
    Damaged {
        /// The archive.
        archive: PathBuf,
        /// What the reader said.
        source: io::Error,
    },
    /// A compression that is not supported.
    #[error(
        "{} is compressed by {kind}; gzip, xz, zstd and bzip2 are supported: name another file of the same source",
        lustre_files::shown(archive)
    )]
    Compression {
        /// The archive.
        archive: PathBuf,
        /// The compression.
        kind: &'static str,
    },
    /// There is nothing to unpack.
    #[error(
        "{} holds no files{}",
        lustre_files::shown(archive),
        if *strip > 0 { format!(" more than {strip} folders deep") } else { String::new() }
    )]
    Empty {
        /// The archive.
        archive: PathBuf,
        /// How many leading folders were to be removed.
        strip: usize,
    },
    /// The place to unpack to is taken.
    #[error(
        "{} is not empty: an archive is unpacked into an empty folder",
        lustre_files::shown(path)
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A package that cannot be read.
    #[error(
        "{} cannot be read as a source package: {why}",
        lustre_files::shown(package)
    )]
    Package {
        /// The package.
        package: PathBuf,
        /// Why.
        why: String,
    },
    /// A symbolic link that leads out of its tree.
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
    /// A file of a kind that cannot be packed.
    #[error(
        "{} is neither a file nor a folder nor a link and cannot be packed",
        lustre_files::shown(path)
    )]
    Special {
        /// The path.
        path: PathBuf,
    },
}

/// Why an entry must not be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its path has `..` in it.
    #[error("leaves its folder by `..`")]
    Climbs,
    /// Its path is absolute.
    #[error("has an absolute path")]
    Absolute,
    /// Its path is empty or not text.
    #[error("has no usable name")]
    Name,
    /// Its path goes through a symbolic link that the archive made.
    #[error("would be written through the link `{0}`")]
    ThroughLink(String),
    /// A symbolic link to somewhere outside.
    #[error("is a link that points outside of the archive, to `{0}`")]
    LinkOut(String),
    /// A hard link to something that is not a file of the archive.
    #[error("is a hard link to `{0}`, which is not a file of the archive")]
    HardLink(String),
    /// A device, pipe or something unknown.
    #[error("is {0}; only files, folders and links are supported")]
    Kind(String),
    /// A file where there is a folder already, or the reverse.
    #[error("has the same name as an entry of another kind")]
    Conflict,
}
