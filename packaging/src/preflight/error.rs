//! What can keep a check from being made.

use std::path::PathBuf;

use crate::overlay::OverlayError;
use crate::overlay::patch::ApplyError;
use crate::{advisories, archive, knowledge};

/// A check that cannot be made at all; what does not fit is no error but part of the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be used.
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// An archive.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// An overlay that cannot be read.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// What is known to be wrong cannot be read.
    #[error(transparent)]
    Faults(#[from] advisories::ledger::Error),
    /// What is known cannot be read.
    #[error(transparent)]
    Knowledge(#[from] knowledge::Error),
    /// Patches cannot be tried.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A package cannot be read.
    #[error(
        "{}: not a package that can be read: {message}",
        lustre_files::shown(path)
    )]
    Package {
        /// It.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A source package that does not hold the one archive of the kernel's source.
    #[error(
        "the source package of the kernel has {} archives of its source (`linux-*.tar.*`) where it should have one{}; is `kernel.source` of \
         the target the kernel's source package?",
        found.len(), listed(found)
    )]
    NoArchive {
        /// Those it has.
        found: Vec<String>,
    },
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        return String::new();
    }
    format!(": {}", found.join(", "))
}
