//! Targets: what a repository is built for, one TOML file each under `specs/targets/`.
//!
//! A target may inherit from another (`inherits = "rehearsal"`): tables are merged key by key, anything else replaces.
//! [`Target::load`] reads a target with its ancestors and checks it; [`list`] names those that exist.

mod boot;
mod check;
mod merge;
mod model;
mod repositories;
mod summary;

use std::fs;
use std::path::{Path, PathBuf};

pub use boot::{Boot, Devices, KnownLine};
pub use model::{
    Build, Distribution, DistributionKernel, DistributionKind, E2fsprogs, Group, Install, Kernel,
    KernelKind, Lustre, Repository, Source, Target,
};
pub use repositories::{BaseRepository, KeyFile, UnknownVariable};

/// How deep targets may inherit; deeper is a loop or a mistake.
const MAX_DEPTH: usize = 8;

/// A target that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such target.
    #[error("no target `{name}`: {} does not exist; there are: {}", path.display(), known.join(", "))]
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
    /// The file is not TOML, or not that of a target.
    #[error("{}:{line}:{column}: {message}", path.display())]
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
    #[error("target `{name}` ({}): {message}", path.display())]
    Invalid {
        /// The target.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The road from this target's distribution to a repository is not there yet.
    #[error(
        "target `{name}` {missing}; `cargo xtask targets` lists the targets with what each builds, and `rehearsal`, `debian-12` \
         and `debian-12-next` are those that can be built here"
    )]
    NoRoad {
        /// The target.
        name: String,
        /// What of it the tool cannot do yet.
        missing: &'static str,
    },
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The names of all targets under `specs`, sorted.
///
/// # Errors
/// When `specs/targets` cannot be read.
pub fn list(specs: &Path) -> Result<Vec<String>, Error> {
    let folder = specs.join("targets");
    let read = |source| Error::Read {
        path: folder.clone(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

impl Target {
    /// Loads target `name` from `specs/targets/NAME.toml`, with what it inherits.
    ///
    /// # Errors
    /// When there is no such target, when a file is malformed (with line and column), or when the whole is not complete.
    pub fn load(specs: &Path, name: &str) -> Result<Self, Error> {
        let (table, path) = load_table(specs, name, 0)?;
        let invalid = |message: String| Error::Invalid {
            name: name.to_owned(),
            path: path.clone(),
            message,
        };
        let mut target: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.message().to_owned()))?;
        name.clone_into(&mut target.name);
        target.model = target.model.filter(|sentence| !sentence.is_empty());
        target.check().map_err(invalid)?;
        Ok(target)
    }
}

impl Target {
    /// Fails for a target that can be read but not built yet.
    ///
    /// # Errors
    /// [`Error::NoRoad`].
    pub fn expect_road(&self) -> Result<(), Error> {
        let tag = |source: &Source| matches!(source, Source::GitTag { .. });
        let missing = if self.distribution.kind == DistributionKind::Repositories {
            "takes its packages from the repositories of a distribution that is there already, and this version of the tool \
             builds only from a distribution made on the spot"
        } else if self.kernel.kind == KernelKind::Distribution {
            "is for the distribution's own kernel (`kernel.kind`), and this version of the tool makes modules only for a kernel \
             that it rebuilds"
        } else if tag(&self.e2fsprogs.source) {
            "takes e2fsprogs by a tag alone (`git-tag`), and this version of the tool takes a tree only by its commit (`git`)"
        } else {
            return Ok(());
        };
        Err(Error::NoRoad {
            name: self.name.clone(),
            missing,
        })
    }
}

fn load_table(specs: &Path, name: &str, depth: usize) -> Result<(toml::Table, PathBuf), Error> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(Error::Name(name.to_owned()));
    }
    let path = specs.join("targets").join(format!("{name}.toml"));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Unknown {
                name: name.to_owned(),
                path,
                known: list(specs)?,
            });
        }
        Err(source) => return Err(Error::Read { path, source }),
    };
    let mut table: toml::Table = toml::from_str(&text).map_err(|e| malformed(&path, &text, &e))?;
    let Some(parent) = table.remove("inherits") else {
        // Unknown keys are found here, where line and column are known, not after merging.
        toml::from_str::<Target>(&text).map_err(|e| malformed(&path, &text, &e))?;
        return Ok((table, path));
    };
    let invalid = |message: String| Error::Invalid {
        name: name.to_owned(),
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
    let (base, _) = load_table(specs, parent, depth + 1)?;
    Ok((merge::merged(base, table), path))
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

#[cfg(test)]
mod tests;
