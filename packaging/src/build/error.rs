//! What can go wrong with a build.

use std::path::PathBuf;

use lustre_files::help;

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
    /// The build ended well, but what it made is not what it should be.
    #[error("{what}{}", help!("{hint}"))]
    Result {
        what: String,
        /// What to do next.
        hint: String,
    },
}
