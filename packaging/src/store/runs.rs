//! The runs that use a store now: each has a folder of its own in `tmp`, and a file beside it that it holds locked while it lives.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::lock::Whose;
use super::{Error, Holder, PathError, folder, lock, names, remove};

/// What a run's file is called: its folder's name and this.
const SUFFIX: &str = ".run";

/// A run's folder in `tmp`. Dropped, it goes away; after a `kill -9` the next run removes it, since nobody holds its file locked.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    file: PathBuf,
    _held: File,
}

impl Folder {
    /// Makes one in `tmp` for the run that users know as `who`.
    pub(super) fn new(tmp: &Path, who: &str) -> Result<Self, Error> {
        loop {
            let made = tempfile::Builder::new()
                .prefix("")
                .suffix(SUFFIX)
                .rand_bytes(4)
                .tempfile_in(tmp)
                .map_err(|source| PathError::new("create a file in", tmp, source))?;
            let (mut held, file) = made
                .keep()
                .map_err(|error| PathError::new("create", error.file.path(), error.error))?;
            let locked = flock(&held, FlockOperation::NonBlockingLockExclusive).is_ok();
            // A run that swept between the two lines took it for a dead one's.
            if !locked || !lock::is_at(&held, &file) {
                continue;
            }
            let path = file.with_extension("");
            let mut begin = || {
                held.write_all(lock::text(&file, who)?.as_bytes())?;
                fs::create_dir(&path)
            };
            if let Err(source) = begin() {
                let _ = fs::remove_file(&file);
                return Err(PathError::new("create", &path, source).into());
            }
            return Ok(Self {
                path,
                file,
                _held: held,
            });
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next run, with an error if that fails too.
        if remove::unmount_and_remove(&self.path).is_ok() {
            let _ = fs::remove_file(&self.file);
        }
    }
}

/// Removes from `tmp` what belongs to no living run, but for stages that were replaced. Gives the names that were there.
pub(super) fn sweep(tmp: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| PathError::new("list", tmp, source);
    let mut there = Vec::new();
    for item in fs::read_dir(tmp).map_err(failed)? {
        there.push(item.map_err(failed)?.path());
    }
    let is_runs_file = |path: &Path| path.to_string_lossy().ends_with(SUFFIX);
    for path in there.iter().filter(|path| !names::is_replaced(path)) {
        if !is_runs_file(path) {
            let mut file = path.as_os_str().to_owned();
            file.push(SUFFIX);
            let found = lustre_files::if_there(fs::symlink_metadata(&file))
                .map_err(|source| PathError::new("look at", Path::new(&file), source))?;
            if found.is_none() {
                remove::unmount_and_remove(path)?;
            }
            continue;
        }
        let Ok(file) = lustre_files::open(path) else {
            continue;
        };
        // A link to the file of a run on another store, of which this one is a copy, says nothing here.
        let dead = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        if lock::is_at(&file, path) && (lock::whose(&file, path) == Whose::Elsewhere || dead()) {
            remove::unmount_and_remove(&path.with_extension(""))?;
            remove::unmount_and_remove(path)?;
        }
    }
    Ok(there)
}

/// A run that uses the store now, but for the one whose file is `own`.
pub(super) fn other(tmp: &Path, own: Option<&Folder>) -> Result<Option<Holder>, Error> {
    for item in folder::list(tmp)? {
        let path = item.path();
        if !path.to_string_lossy().ends_with(SUFFIX) || own.is_some_and(|own| own.file == path) {
            continue;
        }
        let failed = |source| PathError::new("read", &path, source);
        // A run may end meanwhile.
        let Some(file) = lustre_files::if_there(lustre_files::open(&path)).map_err(failed)? else {
            continue;
        };
        if lock::whose(&file, &path) != Whose::Elsewhere
            && flock(&file, FlockOperation::NonBlockingLockShared).is_err()
            && let Some(text) =
                lustre_files::if_there(lustre_files::read(&path, lustre_files::TEXT))
                    .map_err(failed)?
            && let Some(holder) = lock::parse(&text)
        {
            return Ok(Some(holder));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_cannot_be_seen_is_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let tmp = dir.path().join("tmp");
        let named = |path: &Path| {
            let error = other(&tmp, None).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        };
        assert_eq!(other(&tmp, None).unwrap(), None);
        fs::write(&tmp, "no folder").unwrap();
        named(&tmp);
        fs::remove_file(&tmp).unwrap();
        fs::create_dir(&tmp).unwrap();
        assert_eq!(other(&tmp, None).unwrap(), None);
        let loops = tmp.join("abcd.run");
        std::os::unix::fs::symlink(&loops, &loops).unwrap();
        named(&loops);
        // Nor is its folder swept.
        let folder = tmp.join("abcd");
        fs::create_dir(&folder).unwrap();
        sweep(&tmp).unwrap();
        assert!(folder.is_dir());
    }
}
