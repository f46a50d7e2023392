//! What can go wrong with repodata.

use std::path::PathBuf;

use lustre_files::help;

use super::Checksum;

/// Repodata that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// An RPM whose header cannot be read.
    #[error(
        "cannot read the package {}: {source}{}",
        lustre_files::shown(path),
        help!("remove it from the repository or build it again (`rpm -K` says what is wrong with it)")
    )]
    Rpm {
        /// The package.
        path: PathBuf,
        /// What rpm-rs says.
        source: rpm::Error,
    },
    /// An RPM whose header can be read but does not make sense.
    #[error(
        "the package {} cannot go into repodata: {reason}",
        lustre_files::shown(path)
    )]
    Package {
        /// The package.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file name that is not UTF-8 cannot be a location in XML.
    #[error("the path {} is not UTF-8: rename it", lustre_files::shown(path))]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// Another run writes the repodata of the same folder.
    #[error(
        "another run is writing the repodata of {}: wait for it to end",
        lustre_files::shown(root)
    )]
    Busy {
        /// The repository.
        root: PathBuf,
    },
    /// A file of the metadata is not XML or lacks something.
    #[error("{} is not valid repodata: {reason}", lustre_files::shown(path))]
    Malformed {
        /// The file.
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
        /// The file.
        path: PathBuf,
        /// What differs: `size`, `checksum`, `open size`, `open checksum`.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What `repomd.xml` says.
        expected: String,
    },
    /// A compression or digest that this reader does not know.
    #[error("{}: {what} is not supported; {hint}", lustre_files::shown(path))]
    Unsupported {
        /// The file.
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
