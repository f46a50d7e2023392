//! The store: what was fetched and what was built, on disk, found again by digest.
//!
//! ```text
//! lustre-repo-store   the mark: this folder is a store (mark)
//! store.lock          who builds in the store now (lock)
//! store.use           held, shared, by every run that uses the store (lock)
//! files/sha256/ab/…   files by digest, read only (files)
//! stages/NAME-KEY/    finished stages with their record, stage.json (stages)
//! targets/NAME.json   what of it each target uses (targets)
//! outputs/            where a run is just publishing
//! partial/            downloads that are not complete yet; they are resumed
//! git/                bare mirrors of git sources
//! apt/                apt's lists and archives
//! logs/               logs
//! second/             a second build, to be compared with the first
//! ccache/             what was compiled with --ccache
//! tmp/                everything unfinished, by run (runs), and stages that were replaced (replaced)
//! ```
//!
//! A name in `files` or `stages` stands for something complete: it is made in `tmp` and renamed when it is on the disk.
//!
//! One run at a time builds; runs that look at something else go on beside it. Only `clean` needs the store for itself.

mod clean;
mod digest;
mod error;
mod files;
mod folder;
mod lock;
mod mark;
mod names;
mod record;
mod remove;
mod replaced;
mod runs;
mod stages;
mod targets;
mod tree;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

pub use clean::Spare;
pub use digest::{Digest, ParseDigestError};
pub(crate) use digest::{Hasher, copy as copy_bytes};
pub use error::Error;
use folder::create;
pub use lock::{Holder, OnWait};
pub use lustre_files::PathError;
use lustre_files::Stamp;
pub use mark::store_around;
use names::{BESIDE, FOLDERS, READERS, SELDOM};
pub use names::{LOCK, MARK};
pub use record::{SharedOrigin, StageRecord};
pub use remove::remove_tree;
pub(crate) use stages::Reserved;
pub(crate) use stages::first_difference;
pub use stages::{PendingStage, RECORD, StageDir, StageState, StageStore, StoredStage};
pub use tree::{Entry, EntryKind, digest_entries, list_tree, tree_digest};
pub(crate) use tree::{entry, walk};
pub use uses::Uses;

/// An opened store.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    who: String,
    tmp: PathBuf,
    /// This run's folder in `tmp`; none where nothing may be written.
    folder: Option<runs::Folder>,
    /// Where its logs go.
    logs: PathBuf,
    /// For a run that only looks: its unfinished things are not in the store.
    _elsewhere: Option<tempfile::TempDir>,
    /// The lock of the run that builds, once it is held.
    lock: Mutex<Option<File>>,
    /// The lock of all that use the store.
    readers: Option<File>,
    /// The folders of stages that this run has read, or made itself, and found as recorded.
    held: Mutex<BTreeSet<PathBuf>>,
    /// The records of stages that this run has read: each is looked at many times.
    records: Mutex<BTreeMap<PathBuf, (Stamp, StageRecord)>>,
    /// What it has read or written of what targets use.
    uses: Mutex<BTreeMap<PathBuf, (Stamp, Uses)>>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.folder = None;
        let lock = self.lock.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Closing alone would leave a lock with a child that is just being started and has not yet closed its copy.
        for lock in lock.take().iter().chain(&self.readers) {
            let _ = rustix::fs::flock(lock, rustix::fs::FlockOperation::Unlock);
        }
    }
}

/// How a store is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// Building: one run at a time.
    Alone,
    /// Beside others.
    Beside,
    /// Removing: no other run.
    Clear,
}

impl Store {
    /// Opens the store in `root` for the run that users know as `who`, which builds: while another run does, waits, and tells `on_wait`
    /// for whom. A folder that is new or empty becomes a store; any other that is none is refused as it is. What an interrupted run left
    /// in `tmp` is removed.
    pub fn open(root: &Path, who: &str, on_wait: &mut OnWait<'_>) -> Result<Self, Error> {
        Self::opened(root, who, Use::Alone, on_wait)
    }

    /// The same for a run that looks at something and seldom makes anything: it does not wait for one that builds, until it calls
    /// [`Store::alone`].
    pub fn beside(root: &Path, who: &str, on_wait: &mut OnWait<'_>) -> Result<Self, Error> {
        Self::opened(root, who, Use::Beside, on_wait)
    }

    /// The same for a run that removes: no other run uses the store meanwhile.
    pub fn clear(root: &Path, who: &str, on_wait: &mut OnWait<'_>) -> Result<Self, Error> {
        Self::opened(root, who, Use::Clear, on_wait)
    }

    /// The store in `root` for reading alone: nothing is written, nobody is waited for, and it need not exist.
    pub fn look(root: &Path, who: &str) -> Result<Self, Error> {
        let root = match fs::canonicalize(root) {
            Ok(root) => {
                mark::look(&root)?;
                root
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => root.to_owned(),
            Err(source) => return Err(PathError::new("find", root, source).into()),
        };
        let elsewhere = tempfile::tempdir().map_err(|source| {
            PathError::new("create a folder in", &std::env::temp_dir(), source)
        })?;
        Ok(Self {
            tmp: elsewhere.path().to_owned(),
            logs: root.join("logs"),
            _elsewhere: Some(elsewhere),
            root,
            who: who.to_owned(),
            folder: None,
            lock: Mutex::new(None),
            readers: None,
            held: Mutex::default(),
            records: Mutex::default(),
            uses: Mutex::default(),
        })
    }

    fn opened(given: &Path, who: &str, how: Use, on_wait: &mut OnWait<'_>) -> Result<Self, Error> {
        loop {
            create(given)?;
            let root =
                fs::canonicalize(given).map_err(|source| PathError::new("find", given, source))?;
            mark::make(&root)?;
            // One that was removed while it was waited for is opened anew.
            if let Some(store) = Self::locked(root, who, how, on_wait)? {
                store.begin()?;
                return Ok(store);
            }
        }
    }

    fn locked(
        root: PathBuf,
        who: &str,
        how: Use,
        on_wait: &mut OnWait<'_>,
    ) -> Result<Option<Self>, Error> {
        let (tmp, path) = (root.join("tmp"), root.join(READERS));
        let readers = if how == Use::Clear {
            let whom = || runs::other(&tmp, None);
            lock::take(&path, who, lock::Kind::Exclusive, &whom, on_wait)?
        } else {
            let whom = || Ok(lock::read(&path));
            lock::take(&path, who, lock::Kind::Shared, &whom, on_wait)?
        };
        let Some(readers) = readers else {
            return Ok(None);
        };
        let mut store = Self {
            logs: root.join("logs"),
            _elsewhere: None,
            root,
            who: who.to_owned(),
            tmp,
            folder: None,
            lock: Mutex::new(None),
            readers: Some(readers),
            held: Mutex::default(),
            records: Mutex::default(),
            uses: Mutex::default(),
        };
        if how != Use::Beside && !store.locks(on_wait)? {
            return Ok(None);
        }
        create(&store.tmp)?;
        if !fs::symlink_metadata(&store.tmp).is_ok_and(|meta| meta.is_dir()) {
            return Err(Error::Link {
                path: store.tmp.clone(),
            });
        }
        let folder = runs::Folder::new(&store.tmp, who)?;
        if how == Use::Beside && runs::other(&store.tmp, Some(&folder))?.is_some() {
            // The other's logs are not to be mixed with ours.
            let name = folder
                .path()
                .file_name()
                .unwrap_or_default()
                .to_string_lossy();
            store.logs.push(format!("{BESIDE}{name}"));
            create(&store.logs)?;
        }
        store.folder = Some(folder);
        Ok(Some(store))
    }

    fn begin(&self) -> Result<(), Error> {
        for folder in FOLDERS.iter().filter(|folder| !SELDOM.contains(folder)) {
            create(&self.root.join(folder))?;
        }
        create(&self.root.join("files/sha256"))?;
        let names = runs::sweep(&self.tmp)?;
        replaced::sweep(self.away(), &names)
    }

    /// Where stages go that are taken out or replaced.
    fn away(&self) -> replaced::Away<'_> {
        replaced::Away {
            tmp: &self.tmp,
            own: self.folder.as_ref(),
        }
    }

    /// Waits until no other run builds in the store, and keeps it so while the value lives.
    pub fn alone(&self, on_wait: &mut OnWait<'_>) -> Result<(), Error> {
        if self.locks(on_wait)? {
            return Ok(());
        }
        let source = std::io::ErrorKind::NotFound.into();
        Err(PathError::new("lock", &self.root.join(LOCK), source).into())
    }

    /// Takes the lock of the run that builds, where it is not held; not where the store was removed meanwhile.
    fn locks(&self, on_wait: &mut OnWait<'_>) -> Result<bool, Error> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if lock.is_none() {
            let path = self.root.join(LOCK);
            let whom = || Ok(lock::read(&path));
            *lock = lock::take(&path, &self.who, lock::Kind::Exclusive, &whom, on_wait)?;
        }
        Ok(lock.is_some())
    }

    /// The store's folder, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where this run's unfinished things go.
    pub fn tmp_dir(&self) -> &Path {
        self.folder.as_ref().map_or(&self.tmp, runs::Folder::path)
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

    /// What was seen of repositories when they were looked at last.
    pub fn watch_dir(&self) -> PathBuf {
        self.root.join("watch")
    }

    /// What was compiled with a compiler cache.
    pub fn ccache_dir(&self) -> PathBuf {
        self.root.join("ccache")
    }

    /// Logs.
    pub fn logs_dir(&self) -> PathBuf {
        self.logs.clone()
    }

    /// A new folder in `tmp`, removed when the value is dropped; `purpose` becomes part of its name.
    pub fn temp_dir(&self, purpose: &str) -> Result<TempDir, Error> {
        TempDir::new(self.tmp_dir(), purpose)
    }

    fn has_held(&self, stage: &Path) -> bool {
        self.lock_held().contains(stage)
    }

    fn holds(&self, stage: &Path) {
        self.lock_held().insert(stage.to_owned());
    }

    fn holds_no_more(&self, stage: &Path) {
        self.lock_held().remove(stage);
    }

    fn lock_held(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all that a store holds, and its folder where nothing else is in it and no link leads to it. Gives what is left.
    pub fn remove_all(self, given: &Path) -> Result<Vec<PathBuf>, Error> {
        for folder in FOLDERS {
            if folder != "tmp" {
                lustre_files::nothing_mounted(&self.root.join(folder))?;
            }
        }
        for folder in FOLDERS {
            let path = self.root.join(folder);
            if folder == "tmp" {
                remove::unmount_and_remove(&path)?;
            } else {
                remove_tree(&path)?;
            }
        }
        // The locks go last: until then, nobody else may begin to use what is being removed.
        for name in [MARK, LOCK, READERS] {
            remove_tree(&self.root.join(name))?;
        }
        let is_link = fs::symlink_metadata(given).is_ok_and(|meta| meta.is_symlink());
        if !is_link && fs::remove_dir(&self.root).is_ok() {
            return Ok(Vec::new());
        }
        let failed = |source| PathError::new("list", &self.root, source);
        let mut left = Vec::new();
        for item in fs::read_dir(&self.root).map_err(failed)? {
            left.push(item.map_err(failed)?.path());
        }
        left.sort();
        Ok(left)
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
            let _ = remove::unmount_and_remove(&self.0);
        }
    }
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
