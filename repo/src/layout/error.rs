//! What can go wrong when a repository is put together.

use std::path::PathBuf;

use lustre_files::{Advised, help};

use crate::{key, manifest, repodata, sums};

/// Any error of the caller's signing function.
pub type SignError = Box<dyn std::error::Error + Send + Sync>;

/// A repository that cannot be assembled. The tree that was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
        "{} would be replaced with everything in it, including files that {why} ({count}): {names}{}",
        lustre_files::shown(path),
        help!("move them away, or choose another output")
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
    #[error(
        "{} cannot be the repository's folder: {why}",
        lustre_files::shown(path)
    )]
    Output {
        /// The output.
        path: PathBuf,
        /// Why not, and what to do.
        why: Advised,
    },
    #[error("cannot read the package {}: {source}", lustre_files::shown(path))]
    Package {
        path: PathBuf,
        /// What rpm-rs says.
        source: Box<rpm::Error>,
    },
    #[error(
        "{} is for {arch}; the repository only has x86_64, noarch and source packages",
        lustre_files::shown(path)
    )]
    Architecture {
        path: PathBuf,
        /// Its architecture.
        arch: String,
    },
    #[error(
        "{}: its name, version or release has a slash",
        lustre_files::shown(path)
    )]
    Name { path: PathBuf },
    #[error(
        "two packages are {nevra}: {} and {}",
        lustre_files::shown(first),
        lustre_files::shown(second)
    )]
    Twice {
        nevra: String,
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    #[error("{nevra} comes from the stage `{stage}`, which the manifest does not describe")]
    Stage { nevra: String, stage: String },
    #[error(
        "{} is of an earlier release that this one keeps, and not as that had it: {why}",
        lustre_files::shown(path)
    )]
    Earlier {
        /// The package, where it was.
        path: PathBuf,
        why: String,
    },
    #[error("the releases that the repository has cannot be listed: {0}")]
    Releases(String),
    #[error("{0}")]
    Assets(Advised),
    #[error("the public key of the repository: {0}")]
    Key(#[from] key::Error),
    #[error("cannot sign {}: {source}", lustre_files::shown(path))]
    Sign {
        /// `repomd.xml`.
        path: PathBuf,
        /// What the signer says.
        source: SignError,
    },
    /// The metadata's signature does not verify with the public key.
    #[error(
        "the new signature of {} does not verify: {source}{}",
        lustre_files::shown(path),
        help!("does the public key belong to the signing key?")
    )]
    Signature {
        /// `repomd.xml`.
        path: PathBuf,
        source: Box<key::Error>,
    },
    #[error(transparent)]
    Repodata(#[from] repodata::Error),
    #[error(transparent)]
    Manifest(#[from] manifest::Error),
    #[error(transparent)]
    Sums(#[from] sums::Error),
}
