//! The store: what was fetched and what was built, on disk, found again by digest.
//!
//! ```text
//! store.lock          who uses the store now (lock)
//! files/sha256/ab/…   files by digest, read only (files)
//! stages/NAME-KEY/    finished stages with their record, stage.json (stages)
//! partial/            downloads that are not complete yet; they are resumed
//! git/                bare mirrors of git sources
//! apt/                apt's lists and archives
//! logs/               logs
//! tmp/                everything unfinished; emptied when the store is opened
//! ```
//!
//! A name in `files` or `stages` stands for something complete: it is made in `tmp` and renamed when it is on the disk.

mod digest;
mod error;
mod files;
mod lock;
mod remove;
mod stages;
mod tree;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

pub(crate) use digest::copy as copy_bytes;
pub use digest::{Digest, ParseDigestError};
pub use error::{Error, PathError};
pub use lock::Holder;
pub use remove::remove_tree;
pub use stages::{Listed, PendingStage, RECORD, StageDir, StageRecord, StageState, StageStore};
pub use tree::{Entry, EntryKind, digest_entries, list_tree, tree_digest};
pub(crate) use tree::{entry, walk};

/// The name of the file that says who uses the store.
pub const LOCK: &str = "store.lock";

/// An opened store. While it lives, no other run uses the same store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    tmp: PathBuf,
    lock: File,
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing alone would leave the lock with a child that is just being started and has not yet closed its copy.
        let _ = rustix::fs::flock(&self.lock, rustix::fs::FlockOperation::Unlock);
    }
}

impl Store {
    /// Opens the store in `root` (made where it is missing) for the run that users know as `who`. While another run holds
    /// it, waits, and tells `on_wait` once for whom. What an interrupted run left in `tmp` is removed.
    ///
    /// # Errors
    /// When the folders or the lock cannot be made, or `tmp` cannot be emptied.
    pub fn open(root: &Path, who: &str, on_wait: &mut dyn FnMut(&Holder)) -> Result<Self, Error> {
        create(root)?;
        let root = fs::canonicalize(root).map_err(|source| PathError::new("find", root, source))?;
        let lock = lock::take(&root.join(LOCK), who, on_wait)?;
        let tmp = root.join("tmp");
        for folder in [
            "files/sha256",
            "stages",
            "partial",
            "git",
            "apt",
            "logs",
            "tmp",
        ] {
            create(&root.join(folder))?;
        }
        remove::empty(&tmp)?;
        Ok(Self { root, tmp, lock })
    }

    /// The store's folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where unfinished things go.
    pub fn tmp_dir(&self) -> &Path {
        &self.tmp
    }

    /// Downloads that are not complete yet.
    pub fn partial_dir(&self) -> PathBuf {
        self.root.join("partial")
    }

    /// Bare mirrors of git sources.
    pub fn git_dir(&self) -> PathBuf {
        self.root.join("git")
    }

    /// apt's lists and archives.
    pub fn apt_dir(&self) -> PathBuf {
        self.root.join("apt")
    }

    /// Logs.
    pub fn logs_dir(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// A new folder in `tmp`, removed when the value is dropped; `purpose` becomes part of its name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temp_dir(&self, purpose: &str) -> Result<TempDir, Error> {
        TempDir::new(&self.tmp, purpose)
    }

    /// The finished stages.
    pub fn stages(&self) -> StageStore<'_> {
        StageStore::new(self)
    }
}

/// A folder that is removed when the value is dropped, read-only folders in it and all.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    fn new(parent: &Path, purpose: &str) -> Result<Self, Error> {
        let dir = tempfile::Builder::new()
            .prefix(&format!("{purpose}-"))
            .tempdir_in(parent)
            .map_err(|source| PathError::new("create a folder in", parent, source))?;
        Ok(Self(dir.keep()))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the folder up: it stays where it is.
    pub fn keep(mut self) -> PathBuf {
        std::mem::take(&mut self.0)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if !self.0.as_os_str().is_empty() {
            // What cannot be removed now is removed when the store is opened again, with an error if that fails too.
            let _ = remove_tree(&self.0);
        }
    }
}

fn create(folder: &Path) -> Result<(), PathError> {
    fs::create_dir_all(folder).map_err(|source| PathError::new("create", folder, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn open(root: &Path) -> Store {
        Store::open(root, "a test", &mut |holder| panic!("waits for {holder}")).unwrap()
    }

    #[test]
    fn a_file_is_found_by_its_digest_and_read_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (digest, path) = store
            .insert_reader(&mut &b"hello"[..], "five bytes", None)
            .unwrap();
        assert_eq!(digest, Digest::of_bytes(b"hello"));
        assert_eq!(store.file(&digest), Some(path.clone()));
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
        // Once more is the same.
        let again = store.insert_file(&path, Some(&digest)).unwrap();
        assert_eq!(again, (digest, path));
        assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    }

    #[test]
    fn a_wrong_digest_shows_both_and_stores_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let file = dir.path().join("linux.tar.xz");
        fs::write(&file, "what came").unwrap();
        let wanted = Digest::of_bytes(b"what was wanted");
        let came = Digest::of_bytes(b"what came");
        for error in [
            store.insert_file(&file, Some(&wanted)).unwrap_err(),
            store
                .adopt_file(&file, &file.display().to_string(), Some(&wanted))
                .unwrap_err(),
        ] {
            let error = error.to_string();
            for part in [&wanted.to_string(), &came.to_string(), "linux.tar.xz"] {
                assert!(error.contains(part), "{error}");
            }
        }
        assert_eq!((store.file(&wanted), store.file(&came)), (None, None));
        assert!(file.exists());
        assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    }

    #[test]
    fn damage_in_the_store_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let (digest, path) = store
            .insert_reader(&mut &b"hello"[..], "five bytes", None)
            .unwrap();
        assert_eq!(store.verified_file(&digest).unwrap(), Some(path.clone()));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "hullo").unwrap();
        let error = store.verified_file(&digest).unwrap_err().to_string();
        assert!(error.contains("damaged"), "{error}");
        assert_eq!(store.file(&digest), None);
    }

    #[test]
    fn opening_empties_tmp() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let kept = store.temp_dir("left").unwrap().keep();
        fs::create_dir_all(kept.join("a/b")).unwrap();
        fs::write(kept.join("a/b/file"), "x").unwrap();
        for folder in ["a/b", "a"] {
            fs::set_permissions(kept.join(folder), PermissionsExt::from_mode(0o000)).unwrap();
        }
        drop(store);
        let store = open(dir.path());
        assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    }
}
