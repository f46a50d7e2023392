//! What each target uses of a store, and what it used before: `targets/NAME.json`. Several targets share a store, and what one of them has
//! superseded may be what another needs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use lustre_files::{Aside, Stamp, advised};
use rustix::fs::{FlockOperation, flock};

use super::uses::Uses;
use super::{Digest, Error, PathError, Store, folder};

impl Store {
    fn uses_place(&self, target: &str) -> PathBuf {
        let name = Digest::of_bytes(target.as_bytes()).short();
        self.root().join("targets").join(format!("{name}.json"))
    }

    /// The target uses the folder `folder` of `stages/` for the stage `name`, as [`Uses::stage`] has it.
    pub fn record_stage(&self, target: &str, name: &str, folder: &str) -> Result<(), Error> {
        let path = self.uses_place(target);
        let is_so = |uses: &Uses| uses.is_stage(name, folder);
        // A run says it of every stage several times. What others have written since has another stamp.
        if self.known_uses(&path, &stamp(&path), is_so) == Some(true) {
            return Ok(());
        }
        self.record_uses(target, |uses| uses.stage(name, folder))
    }

    /// Changes what is recorded of `target`; nothing is written where nothing changed.
    pub fn record_uses(&self, target: &str, change: impl FnOnce(&mut Uses)) -> Result<(), Error> {
        let path = self.uses_place(target);
        let folder = self.root().join("targets");
        // Another run of the target may look on beside this one, and record what it uses.
        let held = lustre_files::open_folder(&folder)
            .and_then(|held| Ok(flock(&held, FlockOperation::LockExclusive).map(|()| held)?));
        let _held = held.map_err(|source| PathError::new("lock", &folder, source))?;
        let read_now = stamp(&path);
        let before = read(&path)?;
        let mut uses = before.clone().unwrap_or_default();
        uses.target = target.to_owned();
        change(&mut uses);
        if before.as_ref() == Some(&uses) {
            self.knows_uses(path, read_now, uses);
            return Ok(());
        }
        let failed = |source| PathError::new("write", &path, source);
        // Names and paths can always be said.
        let mut text = serde_json::to_string_pretty(&uses).unwrap_or_default();
        text.push('\n');
        let mut file = Aside::new(self.tmp_dir()).map_err(failed)?;
        let written = file.write_all(text.as_bytes());
        // After a power failure, too, it is what other runs must not remove.
        let put = written.and_then(|()| file.put_synced(&path));
        Ok(put.map_err(failed)?)
    }

    /// What is so of what this run knows to be recorded at `path`; nothing where that has another stamp by `now`.
    fn known_uses<T>(
        &self,
        path: &Path,
        now: &Option<Stamp>,
        what: impl FnOnce(&Uses) -> T,
    ) -> Option<T> {
        let known = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let (read, uses) = known.get(path)?;
        (now.as_ref() == Some(read)).then(|| what(uses))
    }

    fn knows_uses(&self, path: PathBuf, read: Option<Stamp>, uses: Uses) {
        // One that was written just now may be written again without another stamp.
        if let Some(stamp) = read.filter(Stamp::is_settled) {
            let mut known = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
            known.insert(path, (stamp, uses));
        }
    }

    /// What is recorded of all targets.
    pub fn all_uses(&self) -> Result<Vec<Uses>, Error> {
        let folder = self.root().join("targets");
        let mut all = Vec::new();
        for item in folder::list(&folder)? {
            all.extend(read(&item.path())?);
        }
        Ok(all)
    }
}

/// What tells whether what is at `path` is still what was read.
fn stamp(path: &Path) -> Option<Stamp> {
    Some(Stamp::of(&std::fs::symlink_metadata(path).ok()?))
}

/// What is recorded at `path`, where something is.
fn read(path: &Path) -> Result<Option<Uses>, Error> {
    let text = lustre_files::if_there(lustre_files::read(path, lustre_files::SOURCE))
        .map_err(|source| PathError::new("read", path, source))?;
    let parse = |text: Vec<u8>| {
        serde_json::from_slice(&text).map_err(|error| {
            let why = advised(
                format!("it is damaged ({error})"),
                "remove it, and the next run of its target writes it again",
            );
            let source = io::Error::new(io::ErrorKind::InvalidData, why);
            Error::from(PathError::new("read", path, source))
        })
    };
    text.map(parse).transpose()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_recorded_and_cannot_be_read_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
        let change = |uses: &mut Uses| uses.stage("kernel", "kernel-0123456789abcdef");
        store.record_uses("a", change).unwrap();
        assert_eq!(store.all_uses().unwrap().len(), 1);

        let path = store.uses_place("a");
        fs::write(&path, "damaged").unwrap();
        let named = |error: Error| {
            let error = error.to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        };
        named(store.record_uses("a", change).unwrap_err());
        named(store.all_uses().unwrap_err());
        assert_eq!(fs::read(&path).unwrap(), b"damaged");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&path, &path).unwrap();
        named(store.record_uses("a", change).unwrap_err());
        assert!(path.is_symlink());

        let folder = path.parent().unwrap();
        fs::remove_dir_all(folder).unwrap();
        assert_eq!(store.all_uses().unwrap(), []);
        fs::write(folder, "no folder").unwrap();
        let error = store.superseded().unwrap_err().to_string();
        assert!(error.contains(folder.to_str().unwrap()), "{error}");
    }
}
