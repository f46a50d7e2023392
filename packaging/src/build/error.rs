//! What can go wrong with a build.

use std::path::PathBuf;

use lustre_files::help;

use crate::sign::utc;

/// A build that did not give what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Process(#[from] crate::process::Error),
    #[error(transparent)]
    Clone(#[from] crate::sandbox::Error),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error(transparent)]
    Macro(#[from] crate::spec_macros::SpecMacroError),
    #[error("{0}")]
    Overlay(String),
    /// The kernel's source package has no source of ext4 that can be used.
    #[error("cannot extract the ext4 source from the kernel's source package: {0}")]
    KernelSource(Box<crate::preflight::Error>),
    #[error("{}: cannot read the package: {message}", lustre_files::shown(path))]
    Package { path: PathBuf, message: String },
    /// A source package with an entry of the changelog that was written after its build, by the target's epoch.
    #[error(
        "{}: the changelog's latest entry is of {}, after the time of the build, {} (`build.source_date_epoch` of the target){}",
        lustre_files::shown(package), utc(*entry), utc(*epoch),
        help!("set `source_date_epoch = {entry}` or later in the target's [build], or correct the date of the entry in the spec")
    )]
    Changelog {
        package: PathBuf,
        /// The entry's time, as an epoch.
        entry: u64,
        /// The target's.
        epoch: u64,
    },
    /// What is built cannot be of the time of its changelog.
    #[error(
        "the changelog's latest entry is of {}, and the time of a package ends in 2106{}",
        utc(*time),
        help!("correct the date of the entry")
    )]
    Late { time: u64 },
    /// The build ended well, but what it made is not what it should be.
    #[error("{what}{}", help!("{hint}"))]
    Result {
        what: String,
        /// What to do next.
        hint: String,
    },
}
