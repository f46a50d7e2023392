//! What can go wrong with repodata.

use std::path::PathBuf;

use lustre_files::help;

use super::Checksum;

/// Repodata that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error(
        "cannot read the package {}: {source}{}",
        lustre_files::shown(path),
        help!("remove it from the repository or build it again (`rpm -K` says what is wrong with it)")
    )]
    Rpm {
        path: PathBuf,
        /// What rpm-rs says.
        source: rpm::Error,
    },
    #[error(
        "the package {} cannot go into repodata: {reason}",
        lustre_files::shown(path)
    )]
    Package { path: PathBuf, reason: String },
    #[error("the path {} is not UTF-8: rename it", lustre_files::shown(path))]
    Name { path: PathBuf },
    #[error(
        "another run is writing the repodata of {}: wait for it to end",
        lustre_files::shown(root)
    )]
    Busy { root: PathBuf },
    #[error("{} is not valid repodata: {reason}", lustre_files::shown(path))]
    Malformed {
        path: PathBuf,
        /// What is wrong and where.
        reason: String,
    },
    /// A file of the metadata is not the one that `repomd.xml` lists.
    #[error(
        "{} is not what repomd.xml lists: {what} is {found}, expected {expected}{}",
        lustre_files::shown(path),
        help!("fetch or write the repodata again")
    )]
    Mismatch {
        path: PathBuf,
        /// What differs: `size`, `checksum`, `open size`, `open checksum`.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What `repomd.xml` says.
        expected: String,
    },
    #[error("{}: {what} is not supported; {hint}", lustre_files::shown(path))]
    Unsupported {
        path: PathBuf,
        /// What is not supported.
        what: String,
        /// What to do.
        hint: &'static str,
    },
    /// `repomd.xml` does not list a kind of metadata that is needed.
    #[error(
        "{} lists no `{kind}`: this is not a package repository",
        lustre_files::shown(path)
    )]
    Missing {
        /// `repomd.xml`.
        path: PathBuf,
        /// The kind: `primary` or `filelists`.
        kind: &'static str,
    },
}

impl Error {
    pub(super) fn malformed(path: impl Into<PathBuf>, reason: impl ToString) -> Self {
        Self::Malformed {
            path: path.into(),
            reason: reason.to_string(),
        }
    }

    pub(super) fn checksum(
        path: impl Into<PathBuf>,
        what: &'static str,
        found: &Checksum,
        expected: &Checksum,
    ) -> Self {
        Self::Mismatch {
            path: path.into(),
            what,
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }
}
