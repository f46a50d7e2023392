//! A program that could not be run or that failed.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use lustre_files::help;

use crate::limits::Reached;

/// A program that could not be run or that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start `{program}`: {source}")]
    Start { program: String, source: io::Error },
    #[error("`{program}` failed ({status}); log: {}\n{tail}", log.display())]
    Failed {
        /// The program and its first arguments.
        program: String,
        status: ExitStatus,
        /// The whole of its output.
        log: PathBuf,
        /// The last lines of its output, and a hint where the disk was full.
        tail: String,
    },
    /// The program's output is not what it should be, or it failed without a log.
    #[error("`{program}` failed ({status}): {stderr}")]
    Output {
        /// The program and its first arguments.
        program: String,
        status: ExitStatus,
        /// What it wrote to standard error, and a hint where the disk was full.
        stderr: String,
    },
    /// The program went further than it may.
    #[error("`{program}` was ended: {reached}; log: {}\n{tail}{}", log.display(), help!("{}", reached.next()))]
    Limit {
        /// The program and its first arguments.
        program: String,
        reached: Box<Reached>,
        /// The whole of its output, or as much of it as a log may hold.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
    #[error("cannot write the log {}: {source}", log.display())]
    Log {
        /// The log's path.
        log: PathBuf,
        source: io::Error,
    },
    #[error("`{program}` was interrupted")]
    Interrupted {
        /// The program and its first arguments.
        program: String,
    },
}
