//! Finished stages: `stages/NAME-KEY/` with the stage's outputs and its record, `stage.json`.
//!
//! The key is the digest of everything the stage depends on, so a finished stage is never repeated. It is made in `tmp` and
//! renamed when it is complete, so an interrupted one leaves nothing behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use super::folder::sync_folder;
use super::names::{is_name, is_place, place_name};
use super::record::StageRecord;
use super::tree::still_there;
use super::{Digest, Entry, EntryKind, Error, PathError, Store, TempDir, list_tree, replaced};
use lustre_files::Stamp;

/// The name of a stage's record in its folder.
pub const RECORD: &str = "stage.json";

/// The name of the list of what is in the folders of a stage that are recorded as one.
const CONTENTS: &str = "stage.contents";

/// What in a stage's folder is none of its outputs.
pub(crate) struct Reserved;

impl Reserved {
    /// Whether the path in a stage's folder is such a thing.
    pub(crate) fn is(path: &Path) -> bool {
        [RECORD, CONTENTS]
            .iter()
            .any(|name| path == Path::new(name))
            || path.components().any(|part| part.as_os_str() == ".git")
    }
}

/// A stage that is being made.
#[derive(Debug)]
pub struct PendingStage {
    name: String,
    key: Digest,
    dir: TempDir,
}

impl PendingStage {
    /// The folder that takes the stage's outputs. Dropping the value removes it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// All that is in the folder now, with digests. `whole` are folders that are recorded as one entry with the digest given.
    pub fn outputs(&self, whole: &[(&str, Digest)]) -> Result<Vec<Entry>, Error> {
        outputs(self.dir(), whole)
    }

    /// Writes the list of what is in the folders `whole`, so that damage there is noticed, and gives its digest.
    pub fn list_contents(&self, whole: &[(&str, Digest)]) -> Result<Option<Digest>, Error> {
        if whole.is_empty() {
            return Ok(None);
        }
        let text = contents(self.dir(), whole.iter().map(|(folder, _)| *folder))?;
        let path = self.dir().join(CONTENTS);
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|source| PathError::new("write", &path, source))?;
        Ok(Some(Digest::of_bytes(text.as_bytes())))
    }
}

/// All that is in `dir`, a stage's folder, with digests, but its record.
fn outputs(dir: &Path, whole: &[(&str, Digest)]) -> Result<Vec<Entry>, Error> {
    let mut entries: Vec<Entry> = whole
        .iter()
        .map(|(path, digest)| Entry {
            path: (*path).to_owned(),
            kind: EntryKind::Folder { digest: *digest },
        })
        .collect();
    let listed = |source| PathError::new("list", dir, source);
    for item in fs::read_dir(dir).map_err(listed)? {
        let item = item.map_err(listed)?;
        let name = PathBuf::from(item.file_name());
        let is = |other: &str| Path::new(other) == name;
        if whole.iter().any(|(path, _)| is(path)) || is(RECORD) || is(CONTENTS) || is(".git") {
            continue;
        }
        if item.file_type().map_err(listed)?.is_dir() {
            entries.extend(list_tree(&item.path())?.into_iter().map(|inner| Entry {
                path: format!("{}/{}", name.display(), inner.path),
                kind: inner.kind,
            }));
        } else {
            entries.push(super::entry(dir, &name)?);
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// The list of what is in `folders` of `dir`.
fn contents<'f>(dir: &Path, folders: impl Iterator<Item = &'f str>) -> Result<String, Error> {
    let mut text = String::new();
    for folder in folders {
        text.push_str(&super::tree::contents(dir, folder)?);
    }
    Ok(text)
}

/// A finished stage.
#[derive(Debug, Clone)]
pub struct StageDir {
    /// Its folder. Nothing in it may be changed.
    pub path: PathBuf,
    pub record: StageRecord,
}

/// Whether a stage has been done.
#[derive(Debug)]
pub enum StageState {
    /// It is finished.
    Done(Box<StageDir>),
    /// It was finished, but its folder is no longer as recorded: why.
    Damaged(String),
    /// It is not there.
    Absent,
}

/// A folder in `stages`.
#[derive(Debug)]
pub struct StoredStage {
    pub path: PathBuf,
    /// Its record, or why it has none that can be used.
    pub record: Result<StageRecord, String>,
}

/// The finished stages of a store.
#[derive(Debug, Clone, Copy)]
pub struct StageStore<'s> {
    store: &'s Store,
}

impl Store {
    /// The finished stages.
    pub fn stages(&self) -> StageStore<'_> {
        StageStore::new(self)
    }
}

impl<'s> StageStore<'s> {
    pub(super) fn new(store: &'s Store) -> Self {
        Self { store }
    }

    fn folder(&self) -> PathBuf {
        self.store.root().join("stages")
    }

    /// Where a stage is, once it is finished.
    pub fn place(&self, name: &str, key: &Digest) -> PathBuf {
        self.folder().join(place_name(name, key))
    }

    /// Begins a stage.
    pub fn begin(&self, name: &str, key: &Digest) -> Result<PendingStage, Error> {
        if !is_name(name) {
            return Err(Error::StageName {
                name: name.to_owned(),
            });
        }
        Ok(PendingStage {
            name: name.to_owned(),
            key: *key,
            dir: self.store.temp_dir(&format!("stage-{name}"))?,
        })
    }

    /// Finishes a stage: writes its record, brings all to the disk and gives the folder its final name. A damaged stage of
    /// the same key is replaced.
    pub fn finish(&self, pending: PendingStage, record: &StageRecord) -> Result<StageDir, Error> {
        // Another run beside this one was as quick: what it made is in use.
        let keeps = |state| match state {
            StageState::Done(there) => Some(*there),
            StageState::Damaged(_) | StageState::Absent => None,
        };
        self.put(pending, record, &keeps)
    }

    /// As [`StageStore::finish`], for a stage that was made again: a finished one of the same key is replaced, too, in one step. What a run
    /// beside reads of it stays until that is over.
    pub fn finish_again(
        &self,
        pending: PendingStage,
        record: &StageRecord,
    ) -> Result<StageDir, Error> {
        self.put(pending, record, &|_| None)
    }

    fn put(
        &self,
        pending: PendingStage,
        record: &StageRecord,
        keeps: &dyn Fn(StageState) -> Option<StageDir>,
    ) -> Result<StageDir, Error> {
        if record.name != pending.name || record.key != pending.key {
            return Err(Error::WrongRecord {
                record: format!("{}-{}", record.name, record.key),
                pending: format!("{}-{}", pending.name, pending.key),
            });
        }
        let dir = pending.dir();
        write_record(&dir.join(RECORD), record)?;
        for entry in &record.outputs {
            let path = dir.join(&entry.path);
            let failed = |source| PathError::new("sync", &path, source);
            match entry.kind {
                EntryKind::Link { .. } => {}
                EntryKind::File { .. } => lustre_files::open(&path)
                    .and_then(|file| file.sync_all())
                    .map_err(failed)?,
                EntryKind::Folder { .. } => {
                    let folder = lustre_files::open_folder(&path).map_err(failed)?;
                    rustix::fs::syncfs(&folder).map_err(|errno| failed(errno.into()))?;
                }
            }
        }
        sync_folder(dir)?;
        let place = self.place(&record.name, &record.key);
        if let Some(there) = keeps(self.state(&record.name, &record.key)) {
            return Ok(there);
        }
        let failed = |source| PathError::new("rename to", &place, source);
        if lustre_files::if_there(fs::symlink_metadata(&place))
            .map_err(failed)?
            .is_some()
        {
            self.store.holds_no_more(&place);
            replaced::replace(self.store.away(), dir, &place)?;
        } else {
            fs::rename(dir, &place).map_err(failed)?;
        }
        // The folder is no longer under its temporary name.
        pending.dir.keep();
        sync_folder(&self.folder())?;
        self.store.holds(&place);
        Ok(StageDir {
            path: place,
            record: record.clone(),
        })
    }

    /// The finished stage with this name and key: its record is read and its outputs are there with the sizes recorded.
    pub fn lookup(&self, name: &str, key: &Digest) -> Option<StageDir> {
        match self.state(name, key) {
            StageState::Done(stage) => Some(*stage),
            StageState::Damaged(_) | StageState::Absent => None,
        }
    }

    /// As [`StageStore::lookup`], with the reason where a stage's folder is there and cannot be used.
    pub fn state(&self, name: &str, key: &Digest) -> StageState {
        let path = self.place(name, key);
        if fs::symlink_metadata(&path).is_err() {
            return StageState::Absent;
        }
        let checked = self.record(&path).and_then(|record| {
            if record.name != name || record.key != *key {
                return Err(format!("it is stage {}-{}", record.name, record.key));
            }
            record
                .outputs
                .iter()
                .try_for_each(|entry| still_there(&path, entry))?;
            Ok(record)
        });
        match checked {
            Ok(record) => StageState::Done(Box::new(StageDir { path, record })),
            Err(why) => StageState::Damaged(format!("{}: {why}", path.display())),
        }
    }

    /// Whether all that a finished stage put out is as it was recorded, every byte of it, and nothing was added; otherwise what is not.
    /// What held once is not read again by the same run, and neither is what it made itself.
    pub fn check(&self, stage: &StageDir) -> Result<(), String> {
        if self.store.has_held(&stage.path) {
            return Ok(());
        }
        self.read_all(stage)?;
        self.store.holds(&stage.path);
        Ok(())
    }

    /// As [`StageStore::check`], of what is in `folder` alone, for who reads nothing else.
    pub fn check_folder(&self, stage: &StageDir, folder: &str) -> Result<(), String> {
        let is_whole = |entry: &Entry| matches!(entry.kind, EntryKind::Folder { .. });
        if self.store.has_held(&stage.path) || stage.record.outputs.iter().any(is_whole) {
            return self.check(stage);
        }
        let within = |path: &str| {
            let rest = path.strip_prefix(folder);
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        let recorded = stage.record.outputs.iter();
        let recorded = recorded.filter(|entry| within(&entry.path)).cloned();
        let found = list_tree(&stage.path.join(folder)).map_err(|error| error.to_string())?;
        let here = found.into_iter().map(|inner| Entry {
            path: format!("{folder}/{}", inner.path),
            kind: inner.kind,
        });
        let here: Vec<Entry> = here.collect();
        match first_difference(&recorded.collect::<Vec<_>>(), &here) {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    fn read_all(&self, stage: &StageDir) -> Result<(), String> {
        let StageDir { path, record } = stage;
        let whole: Vec<(&str, Digest)> = record
            .outputs
            .iter()
            .filter_map(|entry| match &entry.kind {
                EntryKind::Folder { digest } => Some((entry.path.as_str(), *digest)),
                _ => None,
            })
            .collect();
        for (folder, _) in &whole {
            if !path.join(folder).is_dir() {
                return Err(format!("{folder} is not there"));
            }
        }
        let here = outputs(path, &whole).map_err(|error| error.to_string())?;
        if let Some(what) = first_difference(&record.outputs, &here) {
            return Err(what);
        }
        let Some(wanted) = record.contents else {
            return Ok(());
        };
        let list = path.join(CONTENTS);
        let text = lustre_files::read(&list, lustre_files::LARGE)
            .map_err(|error| format!("{CONTENTS}: {error}"))?;
        if Digest::of_bytes(&text) != wanted {
            return Err(format!("{CONTENTS} differs from its record"));
        }
        let text = String::from_utf8_lossy(&text);
        let here = contents(path, whole.iter().map(|(folder, _)| *folder))
            .map_err(|error| error.to_string())?;
        match super::tree::first_difference(&text, &here) {
            Some(what) => Err(what),
            None => Ok(()),
        }
    }

    /// Removes a finished stage, so that it is made again when it is needed.
    pub fn forget(&self, stage: &StageDir) -> Result<(), Error> {
        self.discard(&stage.path)
    }

    /// That what is there of a stage can be replaced by what is made of it: said before it is made.
    pub fn can_be_replaced(&self, name: &str, key: &Digest) -> Result<(), Error> {
        Ok(lustre_files::nothing_mounted(&self.place(name, key))?)
    }

    /// All stages, sorted by folder.
    ///
    /// A store that does not exist has none.
    pub fn list(&self) -> Result<Vec<StoredStage>, Error> {
        let folder = self.folder();
        let failed = |source| PathError::new("list", &folder, source);
        let mut all = Vec::new();
        let items = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            items => items.map_err(failed)?,
        };
        for item in items {
            let item = item.map_err(failed)?;
            let path = item.path();
            // What is not named like a stage is not ours.
            if !item.file_name().to_str().is_some_and(is_place) {
                continue;
            }
            let record = self.record(&path);
            all.push(StoredStage { path, record });
        }
        all.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(all)
    }

    /// The record in a stage's folder. One that is still the file that this run has read is not parsed again.
    fn record(&self, dir: &Path) -> Result<StageRecord, String> {
        let known = || {
            self.store
                .records
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let stamp = fs::symlink_metadata(dir.join(RECORD)).map(|meta| Stamp::of(&meta));
        if let (Ok(stamp), Some((read, record))) = (&stamp, known().get(dir))
            && stamp == read
        {
            return Ok(record.clone());
        }
        let record = read_record(dir)?;
        if let Ok(stamp) = stamp
            && stamp.is_settled()
        {
            known().insert(dir.to_owned(), (stamp, record.clone()));
        }
        Ok(record)
    }

    /// How long each of the stages `names` took the last time that it was made.
    pub fn times(&self, names: &[&str]) -> Result<BTreeMap<String, Duration>, Error> {
        let mut latest: BTreeMap<String, (u64, Duration)> = BTreeMap::new();
        for listed in self.list()? {
            let Ok(record) = listed.record else { continue };
            if !names.contains(&record.name.as_str()) {
                continue;
            }
            let took = Duration::from_millis(record.milliseconds);
            let known = latest.entry(record.name).or_default();
            *known = (*known).max((record.started, took));
        }
        let times = latest.into_iter().map(|(name, (_, took))| (name, took));
        Ok(times.collect())
    }

    /// Takes a folder out of `stages` in one step. It is removed when no run beside can read it any more.
    pub(super) fn discard(&self, path: &Path) -> Result<(), Error> {
        self.store.holds_no_more(path);
        replaced::take_out(self.store.away(), path)
    }
}

/// What of the entries recorded is not so any more, or what is there besides.
pub(crate) fn first_difference(recorded: &[Entry], here: &[Entry]) -> Option<String> {
    let sorted: BTreeMap<&str, &Entry> = here.iter().map(|e| (e.path.as_str(), e)).collect();
    for entry in recorded {
        match sorted.get(entry.path.as_str()) {
            None => return Some(format!("{} is not there", entry.path)),
            Some(found) if **found != *entry => {
                return Some(format!("{} differs from its record", entry.path));
            }
            Some(_) => {}
        }
    }
    let known: std::collections::BTreeSet<&str> =
        recorded.iter().map(|e| e.path.as_str()).collect();
    here.iter()
        .find(|entry| !known.contains(entry.path.as_str()))
        .map(|entry| format!("{} was added", entry.path))
}

fn write_record(path: &Path, record: &StageRecord) -> Result<(), Error> {
    let mut text = serde_json::to_string_pretty(record).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })?;
    text.push('\n');
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    Ok(write().map_err(|source| PathError::new("write", path, source))?)
}

fn read_record(dir: &Path) -> Result<StageRecord, String> {
    let path = dir.join(RECORD);
    let text = lustre_files::read(&path, lustre_files::LARGE)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
