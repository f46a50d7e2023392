//! Packages of the distribution itself: a folder with a `package.toml` and a `root/` tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::convert::apply;
use super::provides;
use super::recipe::{self, Extra, FileTrigger, Recipe, Scriptlets, read_toml};
use super::tree::{Entry, Kind, Tree};
use super::version::Evr;
use super::writer::Plan;

/// `package.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    name: String,
    version: String,
    release: String,
    #[serde(default)]
    epoch: Option<u32>,
    #[serde(default = "noarch")]
    arch: String,
    summary: String,
    description: String,
    license: String,
    #[serde(default)]
    url: String,
    /// As in the recipe's package tables.
    #[serde(default)]
    provides: Vec<String>,
    #[serde(default)]
    requires: Vec<String>,
    #[serde(default)]
    conflicts: Vec<String>,
    #[serde(default)]
    obsoletes: Vec<String>,
    /// Symbolic links: path to target.
    #[serde(default)]
    links: BTreeMap<String, String>,
    /// Directories that `root/` cannot hold because they are empty: path to mode, such as `"0755"`.
    #[serde(default)]
    directories: BTreeMap<String, String>,
    /// Modes other than 0644 (0755 for what is executable in `root/`).
    #[serde(default)]
    modes: BTreeMap<String, String>,
    /// Owners other than `root:root`.
    #[serde(default)]
    owners: BTreeMap<String, String>,
    /// Configuration files.
    #[serde(default)]
    config: BTreeSet<String>,
    /// Configuration files whose contents change by use.
    #[serde(default)]
    changes: BTreeSet<String>,
    #[serde(default)]
    scriptlets: Scriptlets,
    #[serde(default)]
    triggers: Vec<FileTrigger>,
}

fn noarch() -> String {
    "noarch".to_owned()
}

/// An own package that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `package.toml`.
    #[error(transparent)]
    Recipe(#[from] recipe::Error),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// An entry of `package.toml` is wrong.
    #[error("{}: {entry}: {reason}", path.display())]
    Entry {
        /// The `package.toml`.
        path: PathBuf,
        entry: String,
        reason: &'static str,
    },
    #[error("{}: {source}", path.display())]
    Provides {
        /// The `package.toml`.
        path: PathBuf,
        source: provides::Error,
    },
}

/// The folders of a recipe's own packages, in order. None where the recipe has no `own` folder.
pub fn folders(recipe: &Recipe) -> Result<Vec<PathBuf>, Error> {
    below(recipe, "own")
}

/// The same of what the distribution publishes later.
pub fn updates(recipe: &Recipe) -> Result<Vec<PathBuf>, Error> {
    below(recipe, "updates")
}

fn below(recipe: &Recipe, folder: &str) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for dir in recipe.folders() {
        let own = dir.join(folder);
        if !own.is_dir() {
            continue;
        }
        let read = |source| Error::Read {
            path: own.clone(),
            source,
        };
        for entry in fs::read_dir(&own).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.join("package.toml").is_file() {
                folders.push(path);
            }
        }
    }
    folders.sort();
    Ok(folders)
}

/// The name of the own package in `folder`, and what its `package.toml` says it provides.
pub fn name_and_provides(folder: &Path) -> Result<(String, Vec<String>), Error> {
    let package: Package = read_toml(&folder.join("package.toml"))?;
    Ok((package.name, package.provides))
}

/// The plan of the own package in `folder`.
pub fn plan(folder: &Path, recipe: &Recipe) -> Result<Plan, Error> {
    let path = folder.join("package.toml");
    let package: Package = read_toml(&path)?;
    let wrong = |entry: &str, reason| Error::Entry {
        path: path.clone(),
        entry: entry.to_owned(),
        reason,
    };
    let time = recipe.distribution.time;
    let mut tree = read_tree(&folder.join("root"), time)?;
    for directory in package.directories.keys() {
        tree.entry(directory.clone())
            .or_insert_with(|| Entry::of_root(Kind::Directory, 0o755, time));
    }
    for (name, mode) in package.directories.iter().chain(&package.modes) {
        tree.get_mut(name)
            .ok_or_else(|| wrong(name, "the package has no such file"))?
            .mode = u16::from_str_radix(mode, 8)
            .map_err(|_| wrong(name, "the mode is not an octal number"))?;
    }
    for (name, owner) in &package.owners {
        let (user, group) = owner
            .split_once(':')
            .ok_or_else(|| wrong(name, "an owner is written as user:group"))?;
        let found = tree
            .get_mut(name)
            .ok_or_else(|| wrong(name, "the package has no such file"))?;
        (found.user, found.group) = (user.to_owned(), group.to_owned());
    }
    for name in package.config.iter().chain(&package.changes) {
        let found = tree
            .get_mut(name)
            .ok_or_else(|| wrong(name, "the package has no such file"))?;
        found.config = true;
        found.changes = package.changes.contains(name);
    }
    let mut plan = Plan {
        evr: Evr {
            epoch: package.epoch,
            version: package.version,
            release: package.release,
        },
        name: package.name,
        arch: package.arch,
        summary: package.summary,
        description: package.description,
        license: package.license,
        url: package.url,
        vendor: recipe.distribution.name.clone(),
        time,
        tree,
        ..Plan::default()
    };
    plan.provides =
        provides::of(&plan.tree, &recipe.provides).map_err(|source| Error::Provides {
            path: path.clone(),
            source,
        })?;
    let extra = Extra {
        provides: package.provides,
        requires: package.requires,
        conflicts: package.conflicts,
        obsoletes: package.obsoletes,
        links: package.links,
        scriptlets: package.scriptlets,
        triggers: package.triggers,
        ..Extra::default()
    };
    apply(&mut plan, extra, &recipe.distribution.skeleton);
    Ok(plan)
}

/// Everything below `root`. Modes are 0755 and 0644 by the executable bit alone: a checkout's umask is not data.
fn read_tree(root: &Path, time: u32) -> Result<Tree, Error> {
    let mut tree = Tree::new();
    if !root.is_dir() {
        return Ok(tree);
    }
    for found in walkdir::WalkDir::new(root).min_depth(1) {
        let found = found.map_err(|error| Error::Read {
            path: root.to_owned(),
            source: error.into(),
        })?;
        let read = |source| Error::Read {
            path: found.path().to_owned(),
            source,
        };
        let kind = found.file_type();
        let (kind, mode) = if kind.is_dir() {
            (Kind::Directory, 0o755)
        } else if kind.is_symlink() {
            let target = fs::read_link(found.path()).map_err(read)?;
            (Kind::Symlink(target.to_string_lossy().into_owned()), 0o777)
        } else {
            let mode = fs::metadata(found.path())
                .map_err(read)?
                .permissions()
                .mode();
            let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
            (
                Kind::File(lustre_files::read(found.path(), lustre_files::SOURCE).map_err(read)?),
                mode,
            )
        };
        let relative = found.path().strip_prefix(root).unwrap_or(found.path());
        tree.insert(
            format!("/{}", relative.display()),
            Entry::of_root(kind, mode, time),
        );
    }
    Ok(tree)
}
