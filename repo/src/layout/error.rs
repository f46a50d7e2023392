//! What can go wrong when a repository is put together.

use std::path::PathBuf;

use crate::{key, manifest, repodata, sums};

/// Any error of the caller's signing function.
pub type SignError = Box<dyn std::error::Error + Send + Sync>;

/// A repository that cannot be assembled. The tree that was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// There is something at the output's place that is no repository of this tool.
    #[error(
        "{} exists and is not a repository of this tool ({why}): move it away or choose another output",
        lustre_files::shown(path)
    )]
    NotOurs {
        /// The output.
        path: PathBuf,
        /// What tells so.
        why: String,
    },
    /// There is something in the repository at the output's place that is not its own.
    #[error(
        "{} would be replaced with everything in it, including files that {why} ({count}): {names}; move them away, or choose another \
         output",
        lustre_files::shown(path)
    )]
    Foreign {
        /// The output.
        path: PathBuf,
        /// How many there are; a folder is one with all that is in it.
        count: usize,
        /// The first of them.
        names: String,
        /// What tells so.
        why: &'static str,
    },
    /// A place where no folder can be put.
    #[error(
        "{} cannot be the repository's folder: {why}",
        lustre_files::shown(path)
    )]
    Output {
        /// The output.
        path: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
    /// A package's header cannot be read.
    #[error("cannot read the package {}: {source}", lustre_files::shown(path))]
    Package {
        /// The package.
        path: PathBuf,
        /// What rpm-rs says.
        source: Box<rpm::Error>,
    },
    /// A package for another machine.
    #[error(
        "{} is for {arch}; the repository only has x86_64, noarch and source packages",
        lustre_files::shown(path)
    )]
    Architecture {
        /// The package.
        path: PathBuf,
        /// Its architecture.
        arch: String,
    },
    /// A package whose name, version or release has a slash.
    #[error(
        "{}: its name, version or release has a slash",
        lustre_files::shown(path)
    )]
    Name {
        /// The package.
        path: PathBuf,
    },
    /// Two packages for one place.
    #[error(
        "two packages are {nevra}: {} and {}",
        lustre_files::shown(first),
        lustre_files::shown(second)
    )]
    Twice {
        /// The NEVRA.
        nevra: String,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A package of a stage that the manifest does not describe.
    #[error("{nevra} comes from the stage `{stage}`, which the manifest does not describe")]
    Stage {
        /// The package.
        nevra: String,
        /// The stage.
        stage: String,
    },
    /// A package of an earlier release that cannot be kept.
    #[error(
        "{} is of an earlier release that this one keeps, and not as that had it: {why}",
        lustre_files::shown(path)
    )]
    Earlier {
        /// The package, where it was.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Releases that cannot be listed.
    #[error("the releases that the repository has cannot be listed: {0}")]
    Releases(String),
    /// The public key cannot be used.
    #[error("the public key of the repository: {0}")]
    Key(#[from] key::Error),
    /// The metadata could not be signed.
    #[error("cannot sign {}: {source}", lustre_files::shown(path))]
    Sign {
        /// `repomd.xml`.
        path: PathBuf,
        /// What the signer says.
        source: SignError,
    },
    /// The metadata's signature does not verify with the public key.
    #[error(
        "the new signature of {} does not verify: {source}; does the public key belong to the signing key?",
        lustre_files::shown(path)
    )]
    Signature {
        /// `repomd.xml`.
        path: PathBuf,
        /// What is wrong.
        source: Box<key::Error>,
    },
    /// The repodata could not be written.
    #[error(transparent)]
    Repodata(#[from] repodata::Error),
    /// The manifest could not be written.
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    /// The sums could not be written.
    #[error(transparent)]
    Sums(#[from] sums::Error),
}
