//! From a target's name or path to its tables, merged with those of its ancestors.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Error, Target, list, merge};

/// How deep targets may inherit; deeper is a loop or a mistake.
const MAX_DEPTH: usize = 8;

/// A target's file.
pub(super) struct Place {
    /// Its name: the file's, without `.toml`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// True where it was given by its path.
    pub by_path: bool,
}

impl Place {
    /// Where the target `wanted` is: a name under `specs/targets`, or a path, which contains a `/` or ends in `.toml`.
    pub(super) fn of(specs: &Path, wanted: &str) -> Result<Self, Error> {
        if !wanted.contains('/') && !wanted.ends_with(".toml") {
            return Self::named(&specs.join("targets"), wanted);
        }
        let name = wanted
            .rsplit('/')
            .next()
            .and_then(|file| file.strip_suffix(".toml"))
            .filter(|name| is_name(name))
            .ok_or_else(|| Error::Path(wanted.to_owned()))?;
        let path = std::path::absolute(wanted).map_err(|source| Error::Read {
            path: PathBuf::from(wanted),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            path,
            by_path: true,
        })
    }

    fn named(folder: &Path, name: &str) -> Result<Self, Error> {
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            path: folder.join(format!("{name}.toml")),
            by_path: false,
        })
    }

    /// The target that this one inherits from: beside it first, then in `specs/targets`. A file is not its own parent, so that a site's
    /// `rocky-9.6.toml` may inherit from the project's.
    fn parent(&self, specs: &Path, name: &str) -> Result<Self, Error> {
        if self.by_path
            && let Some(folder) = self.path.parent()
        {
            let beside = Self::named(folder, name)?;
            if beside.path != self.path && beside.path.is_file() {
                return Ok(Self {
                    by_path: true,
                    ..beside
                });
            }
        }
        Self::named(&specs.join("targets"), name)
    }
}

/// A name that leads out of no folder.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// The merged tables of the target at `place`.
pub(super) fn table(specs: &Path, place: &Place, depth: usize) -> Result<toml::Table, Error> {
    let path = &place.path;
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Unknown {
                name: place.name.clone(),
                path: path.clone(),
                known: list(specs)?,
            });
        }
        Err(source) => {
            return Err(Error::Read {
                path: path.clone(),
                source,
            });
        }
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| malformed(path, &text, &e))?;
    let Some(parent) = table.remove("inherits") else {
        // Unknown keys are found here, where line and column are known, not after merging.
        toml::from_str::<Target>(&text).map_err(|e| malformed(path, &text, &e))?;
        return Ok(table);
    };
    let invalid = |message: String| Error::Invalid {
        name: place.name.clone(),
        path: path.clone(),
        message,
    };
    let parent = parent
        .as_str()
        .ok_or_else(|| invalid("`inherits` is the name of a target, a string".to_owned()))?;
    if depth >= MAX_DEPTH {
        return Err(invalid(format!(
            "targets inherit more than {MAX_DEPTH} deep: is there a loop at `{parent}`?"
        )));
    }
    let base = self::table(specs, &place.parent(specs, parent)?, depth + 1)?;
    Ok(merge::merged(base, table))
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Error::Malformed {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        message: error.message().to_owned(),
    }
}
