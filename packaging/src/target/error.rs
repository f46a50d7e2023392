//! Why a target cannot be used.

use std::path::PathBuf;

use lustre_files::Help;

/// What to write instead of a target's name that is none.
fn instead(name: &str, known: &[String]) -> String {
    let stem = name.strip_suffix(".toml");
    match stem.filter(|stem| known.iter().any(|one| one == stem)) {
        Some(stem) => format!("write `{stem}`, without `.toml`"),
        None if stem.is_some() => format!(
            "write the name without `.toml`, or give a path with a `/`; available targets: {}",
            known.join(", ")
        ),
        None => format!("available targets: {}", known.join(", ")),
    }
}

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such target.
    #[error(
        "no target `{name}`: {} does not exist{}",
        lustre_files::shown(path),
        Help(instead(name, known))
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The targets there are.
        known: Vec<String>,
    },
    /// A name that could lead out of the folder of targets.
    #[error("`{0}` is not a target's name: use letters, digits, dots and dashes")]
    Name(String),
    /// A path that is not one of a target's file.
    #[error(
        "`{0}` is not the path of a target: the file name must be letters, digits, dots and dashes, and end in `.toml`"
    )]
    Path(String),
    /// The file is not TOML, or not that of a target.
    #[error("{}:{line}:{column}: {message}", lustre_files::shown(path))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1, in characters.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// The merged target lacks something or says something that cannot be.
    #[error("target `{name}` ({place}): {message}")]
    Invalid {
        /// The target.
        name: String,
        /// Its file; with line and column where a key is wrong, and then the file that has it.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", lustre_files::shown(path))]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
