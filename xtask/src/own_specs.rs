//! The specs that the program has with it: put into the user's data folder once, where the programs that read them can.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use lustre_files::advised;
use lustre_packaging::store::remove_tree;
use rustix::fs::{FlockOperation, flock, syncfs};
use walkdir::WalkDir;

use crate::exit::Usage;

/// A file of the specs: its name, whether it is a program, and what is in it.
type EmbeddedFile = (&'static str, bool, &'static [u8]);

// `FILES`, and `DIGEST` of them; both are empty in a program that has none with it. Made by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/specs.rs"));

/// What a folder is called until it is complete.
const UNFINISHED: &str = ".new-";

/// The folder with the program's own specs: written into the user's `data` folder where it is not there.
pub fn put(data: Option<&Path>) -> Result<PathBuf, Usage> {
    if FILES.is_empty() {
        return Err(Usage::new(advised(
            "this program was built without the specs, and runs outside of a checkout",
            "name them with --specs, or install it with `cargo install --locked --path xtask`, which has them with it",
        )));
    }
    let data = data.ok_or_else(|| {
        Usage::new(advised(
            "neither XDG_DATA_HOME nor HOME is set, and the specs have to be put somewhere",
            "set one, or give them with --specs",
        ))
    })?;
    put_below(&data.join("specs"), DIGEST, FILES)
}

fn put_below(parent: &Path, digest: &str, files: &[EmbeddedFile]) -> Result<PathBuf, Usage> {
    let folder = parent.join(&digest[..16]);
    if !folder.exists() {
        write(parent, &folder, files).map_err(|error| {
            Usage::new(advised(
                format!(
                    "the program's own specs cannot be put into {}: {error}",
                    folder.display()
                ),
                "give a copy of them with --specs, or another data folder in XDG_DATA_HOME",
            ))
        })?;
    }
    match difference(&folder, files) {
        None => Ok(folder),
        Some(what) => Err(Usage::new(advised(
            format!("{what} is not as this program put it there"),
            format!(
                "remove {}, and it is written anew (to change specs, copy them, and name the copy with --specs)",
                folder.display()
            ),
        ))),
    }
}

/// Writes them: whole, or not at all.
fn write(parent: &Path, folder: &Path, files: &[EmbeddedFile]) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(parent)?;
    let locked = lustre_files::open_folder(parent)?;
    flock(&locked, FlockOperation::LockExclusive)?;
    if folder.exists() {
        return Ok(());
    }
    // Nobody else is at it: what is unfinished there, a killed run left.
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            remove_tree(&entry.path()).map_err(io::Error::other)?;
        }
    }
    let new = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in(parent)?;
    for (name, is_program, bytes) in files {
        let path = new.path().join(name);
        if let Some(above) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(above)?;
        }
        fs::write(&path, bytes)?;
        let mode = if *is_program { 0o755 } else { 0o644 };
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    syncfs(&locked)?;
    fs::rename(new.keep(), folder)?;
    locked.sync_all()
}

/// The first thing in `folder` that is not as in `files`.
fn difference(folder: &Path, files: &[EmbeddedFile]) -> Option<String> {
    let shown = |path: &Path| path.display().to_string();
    for (name, is_program, bytes) in files {
        let path = folder.join(name);
        let same = lustre_files::read_no_link(&path, bytes.len() as u64)
            .is_ok_and(|found| found == *bytes)
            && fs::metadata(&path)
                .is_ok_and(|data| (data.permissions().mode() & 0o100 != 0) == *is_program);
        if !same {
            return Some(shown(&path));
        }
    }
    let known: BTreeSet<&str> = files.iter().map(|(name, ..)| *name).collect();
    for entry in WalkDir::new(folder) {
        let Ok(entry) = entry else {
            return Some(shown(folder));
        };
        let name = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if !entry.file_type().is_dir() && !name.to_str().is_some_and(|name| known.contains(name)) {
            return Some(shown(entry.path()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[EmbeddedFile] = &[
        ("targets/a.toml", false, b"a"),
        ("boot/guest/init", true, b"#!/bin/sh\n"),
    ];
    const DIGEST: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn specs_are_put_there_once_and_are_as_they_were_put() {
        let dir = tempfile::tempdir().unwrap();
        let parent = dir.path().join("data/specs");
        fs::create_dir_all(parent.join(".new-killed/targets")).unwrap();
        let put = || put_below(&parent, DIGEST, TWO);
        let folder = put().unwrap();
        assert_eq!(folder, parent.join("0123456789abcdef"));
        assert_eq!(fs::read_dir(&parent).unwrap().count(), 1);
        assert_eq!(fs::read(folder.join("targets/a.toml")).unwrap(), b"a");
        let mode = |name: &str| {
            let data = fs::metadata(folder.join(name)).unwrap();
            data.permissions().mode() & 0o777
        };
        assert_eq!(
            (mode("boot/guest/init"), mode("targets/a.toml")),
            (0o755, 0o644)
        );
        let inode = || {
            use std::os::unix::fs::MetadataExt as _;
            fs::metadata(folder.join("targets/a.toml")).unwrap().ino()
        };
        let before = inode();
        assert_eq!(put().unwrap(), folder);
        assert_eq!(inode(), before);
    }

    #[test]
    fn specs_that_somebody_changed_are_refused_with_the_file() {
        type Change = fn(&Path) -> io::Result<()>;
        let changes: [(Change, &str); 5] = [
            (|at| fs::write(at.join("targets/a.toml"), "b"), "a.toml"),
            (|at| fs::remove_file(at.join("targets/a.toml")), "a.toml"),
            (
                |at| fs::write(at.join("targets/more.toml"), "b"),
                "more.toml",
            ),
            (
                |at| {
                    let init = at.join("boot/guest/init");
                    fs::set_permissions(init, Permissions::from_mode(0o644))
                },
                "init",
            ),
            (
                |at| {
                    fs::rename(at.join("targets/a.toml"), at.with_file_name("else"))?;
                    std::os::unix::fs::symlink(at.with_file_name("else"), at.join("targets/a.toml"))
                },
                "a.toml",
            ),
        ];
        for (change, named) in changes {
            let dir = tempfile::tempdir().unwrap();
            let parent = dir.path().join("specs");
            let folder = put_below(&parent, DIGEST, TWO).unwrap();
            change(&folder).unwrap();
            let said = put_below(&parent, DIGEST, TWO).unwrap_err().to_string();
            for part in [named, "remove", "--specs"] {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
    }
}
