//! What killed runs leave beside the folders where they published: each notes in the store where that is, so that the next one finds it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_files::swap;
use lustre_packaging::store::{Digest, Store};

/// The folder of the store in which a run notes where it publishes, so that the next one finds what a kill leaves there.
pub const NOTES: &str = "outputs";

/// An output beside which a killed run may have left something that is there still.
#[derive(Debug)]
pub struct Leftover {
    pub output: PathBuf,
    /// Why it could not be removed; none where the folder that the output was in is not there now.
    pub why: Option<std::io::Error>,
}

/// Removes what runs of this store that were killed while they published left beside their outputs, and gives those where it is not known
/// to be gone; the notes of these stay.
pub fn recover(store: &Store) -> anyhow::Result<Vec<Leftover>> {
    let mut left = Vec::new();
    for (note, output) in notes(store)? {
        let there = output.parent().is_some_and(Path::is_dir);
        match swap::recover(&output) {
            Ok(()) if there => note.remove()?,
            Ok(()) => left.push(Leftover { output, why: None }),
            Err(error) => left.push(Leftover {
                output,
                why: Some(error),
            }),
        }
    }
    Ok(left)
}

/// As [`recover`], for a run that goes on where something cannot be removed, and says so.
pub fn recover_and_tell(store: &Store, tell: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    for Leftover { output, why } in recover(store)? {
        if let Some(why) = why {
            tell(&format!(
                "cannot remove what a killed run left beside {}: {why}",
                output.display()
            ));
        }
    }
    Ok(())
}

/// The same for a run that only looks: it says what is there, and leaves it.
pub fn tell_leftovers(store: &Store, tell: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    for (_, output) in notes(store)? {
        let found = swap::leftovers(&output)
            .with_context(|| format!("what a killed run left beside {}", output.display()))?;
        for folder in found {
            tell(&format!(
                "a killed run left {}; the next build or `clean` removes it",
                folder.display()
            ));
        }
    }
    Ok(())
}

/// Does `work`, which puts something at `output`; what it leaves there if it is killed is found by the next run that uses the store.
pub fn noted<T>(
    store: &Store,
    output: &Path,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let note = Note::write(store, output)?;
    let done = work();
    // What could not be removed is left for the next run to find.
    if swap::leftovers(output).is_ok_and(|left| left.is_empty()) {
        note.remove()?;
    }
    done
}

/// What is noted of runs that publish, or did when they were killed, with the outputs.
fn notes(store: &Store) -> anyhow::Result<Vec<(Note, PathBuf)>> {
    let folder = store.root().join(NOTES);
    let listed = lustre_files::if_there(fs::read_dir(&folder));
    let listed = listed.with_context(|| format!("cannot list {}", folder.display()))?;
    let mut notes = Vec::new();
    for note in listed.into_iter().flatten() {
        let note = note.with_context(|| format!("cannot list {}", folder.display()))?;
        // A run beside this one may be done with it.
        let text = lustre_files::if_there(lustre_files::read(note.path(), lustre_files::TEXT))
            .with_context(|| note.path().display().to_string())?;
        let Some(text) = text else { continue };
        let noted: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&text[..]);
        let noted = Path::new(noted);
        if noted.is_absolute() {
            notes.push((Note(note.path()), noted.to_owned()));
        }
    }
    Ok(notes)
}

/// That a run publishes at an output, on the disk.
#[derive(Debug)]
pub struct Note(pub PathBuf);

impl Note {
    pub fn write(store: &Store, output: &Path) -> anyhow::Result<Self> {
        use std::os::unix::ffi::OsStrExt;
        let output = std::path::absolute(output)?;
        let bytes = output.as_os_str().as_bytes();
        let path = store
            .root()
            .join(NOTES)
            .join(Digest::of_bytes(bytes).short());
        let write = || {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            // It is there after a power failure, too.
            file.sync_all()
        };
        write().with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub fn remove(self) -> anyhow::Result<()> {
        fs::remove_file(&self.0).with_context(|| self.0.display().to_string())
    }
}
