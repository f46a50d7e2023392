//! The JSON files at the top of a repository: written whole, and read with the format's version looked at first.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A file that cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read the {what} {}: {source}", path.display())]
    Read {
        /// Which kind of file: `manifest`, `proof`.
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot write the {what} {}: {source}", path.display())]
    Write {
        /// Which kind of file.
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("{} is not a {what}: {source}", path.display())]
    Json {
        /// Which kind of file.
        what: &'static str,
        path: PathBuf,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    #[error("{} is not a {what}: {why}", path.display())]
    Wrong {
        /// Which kind of file.
        what: &'static str,
        path: PathBuf,
        why: String,
    },
    #[error("{} has format {found}, this tool reads up to {newest}: use the tool that wrote it, or a newer one", path.display())]
    Format {
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is known here.
        newest: u32,
    },
}

/// The text of a value of strings, numbers, lists and maps with string keys, in which there is nothing that JSON cannot say; with a
/// line break at the end.
pub(crate) fn text(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Writes the file whole.
pub(crate) fn write(what: &'static str, path: &Path, text: &str) -> Result<(), Error> {
    lustre_files::write_whole(path, text.as_bytes()).map_err(|source| Error::Write {
        what,
        path: path.to_owned(),
        source,
    })
}

/// Reads the file, if it is there, and has `wrong` say what in it cannot be.
pub(crate) fn read_if_there<T: DeserializeOwned>(
    what: &'static str,
    path: &Path,
    newest: u32,
    wrong: impl Fn(&T) -> Option<String>,
) -> Result<Option<T>, Error> {
    let there = lustre_files::if_there(std::fs::symlink_metadata(path));
    let there = there.map_err(|source| Error::Read {
        what,
        path: path.to_owned(),
        source,
    })?;
    if there.is_none() {
        return Ok(None);
    }
    let value: T = read(what, path, newest)?;
    match wrong(&value) {
        None => Ok(Some(value)),
        Some(why) => Err(Error::Wrong {
            what,
            path: path.to_owned(),
            why,
        }),
    }
}

/// Reads a file whose `format` is at most `newest`.
pub(crate) fn read<T: DeserializeOwned>(
    what: &'static str,
    path: &Path,
    newest: u32,
) -> Result<T, Error> {
    /// Read first, so that a newer format is named as such and not by its unknown fields.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let text =
        lustre_files::read_no_link_to_string(path, lustre_files::SOURCE).map_err(|source| {
            Error::Read {
                what,
                path: path.to_owned(),
                source,
            }
        })?;
    let json = |source| Error::Json {
        what,
        path: path.to_owned(),
        source,
    };
    let head: Head = serde_json::from_str(&text).map_err(json)?;
    if head.format > newest {
        return Err(Error::Format {
            path: path.to_owned(),
            found: head.format,
            newest,
        });
    }
    serde_json::from_str(&text).map_err(json)
}
