//! What can keep a check from being made.

use std::path::PathBuf;

use crate::overlay::OverlayError;
use crate::overlay::patch::ApplyError;
use crate::{advisories, archive, knowledge};

/// A check that cannot be made at all; what does not fit is no error but part of the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    #[error(transparent)]
    Faults(#[from] advisories::ledger::Error),
    #[error(transparent)]
    Knowledge(#[from] knowledge::Error),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("{}: cannot read the package: {message}", lustre_files::shown(path))]
    Package {
        /// It.
        path: PathBuf,
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
    /// A kernel's source without a file system that ldiskfs stands on.
    #[error(
        "{} has no {folder}; is it the source package of a kernel?",
        lustre_files::shown(package)
    )]
    NoFileSystem {
        /// The source package.
        package: PathBuf,
        folder: &'static str,
    },
    /// Patches of the distribution's own that do not apply to its own source, or of which that cannot be told.
    #[error(
        "{}: of the distribution's own patches, {count} cannot be laid on its source, so what its file systems are like is not known; \
         the first: {first}",
        lustre_files::shown(package)
    )]
    OwnPatches {
        /// The source package.
        package: PathBuf,
        /// How many.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        return String::new();
    }
    format!(": {}", found.join(", "))
}
