//! A commit as one file, to be carried to a store that has no network: the commit and its files, without history and tags.

use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::alternates::Alternates;
use super::git_command::Git;
use crate::store::{PathError, Store};

/// Which commit.
#[derive(Debug, Clone, Copy)]
pub struct Packed<'a> {
    /// The source's name in the target.
    pub name: &'a str,
    /// Where it was fetched from.
    pub url: &'a str,
    /// The commit's full id.
    pub commit: &'a str,
}

/// Whether the store has the commit.
pub fn has(store: &Store, packed: &Packed<'_>) -> Result<bool, Error> {
    let git = Git::new(store, packed.name);
    let found = git.commit(&git.mirror_path(packed.url), packed.commit)?;
    Ok(found.is_some())
}

/// Writes a commit of the store's mirror into a file of `folder`: the same bytes for the same commit, by the same git, whatever else the
/// mirror has and however it came there.
pub fn pack(store: &Store, packed: &Packed<'_>, folder: &Path) -> Result<PathBuf, Error> {
    let Packed { name, url, commit } = *packed;
    let git = Git::new(store, name);
    let mirror = git.mirror_path(url);
    if git.commit(&mirror, commit)?.is_none() {
        return Err(super::fetch::offline(
            name,
            url,
            &format!("commit {commit}"),
        ));
    }
    let missing = git.missing(&mirror, commit)?;
    if !missing.is_empty() {
        return Err(Error::Incomplete {
            source_name: name.to_owned(),
            repository: mirror.display().to_string(),
            commit: commit.to_owned(),
            missing,
        });
    }
    let own = Alternates::for_export(&git, &mirror)?;
    git.check_tree(own.path(), (&mirror, commit), &Default::default(), &|_| {
        true
    })?;
    let mut command = git.at(own.path());
    command.args(["rev-list", "--objects", "--no-walk", commit]);
    let objects = git.bytes(&mut command, &[])?;
    let base = folder.join(name);
    // Nothing of how the mirror has them, and of how many processors there are, is in the pack.
    let mut command = git.at(own.path());
    command
        .args(["pack-objects", "--quiet", "--threads=1"])
        .args(["--no-reuse-delta", "--no-reuse-object"])
        .args(["--window=10", "--depth=50", "--compression=6"])
        .arg(&base);
    let hash = git.bytes(&mut command, &objects)?;
    let hash = String::from_utf8_lossy(&hash).trim().to_owned();
    let path = folder.join(format!("{name}-{hash}.pack"));
    match path.is_file() {
        true => Ok(path),
        false => Err(git.invalid(format!("git made no pack of the commit {commit}"))),
    }
}

/// Brings the commit of a pack into the store's mirror: all of it or, where the pack has not all of it, nothing.
pub fn unpack(store: &Store, packed: &Packed<'_>, pack: &Path) -> Result<(), Error> {
    let Packed { name, url, commit } = *packed;
    let git = Git::new(store, name);
    let folder = store.temp_dir("git")?;
    let from = folder.path().join("from");
    git.run(git.command().args(["init", "--quiet", "--bare"]).arg(&from))?;
    let objects = from.join("objects/pack");
    let inside = objects.join("pack-bundle.pack");
    fs::create_dir_all(&objects).map_err(|source| PathError::new("create", &objects, source))?;
    fs::rename(pack, &inside).map_err(|source| PathError::new("rename to", &inside, source))?;
    // Names follow from content: an object that was changed is another one.
    git.run(git.at(&from).arg("index-pack").arg(&inside))?;
    // Its parents stayed where they are.
    let shallow = from.join("shallow");
    fs::write(&shallow, format!("{commit}\n"))
        .map_err(|source| PathError::new("write", &shallow, source))?;
    let mut command = git.at(&from);
    command.args(["update-ref", "refs/heads/bundle", commit]);
    git.run(&mut command)?;
    let missing = git.missing(&from, commit)?;
    if !missing.is_empty() {
        return Err(Error::Incomplete {
            source_name: name.to_owned(),
            repository: "the bundle".to_owned(),
            commit: commit.to_owned(),
            missing,
        });
    }
    let mirror = git.mirror(url)?;
    git.fetch(&mirror, &from.display().to_string(), None, commit)
}
