//! Digests of files, each of which is read once however many checks ask for it.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use lustre_files::Stamp;
use lustre_sign::{PublicKey, verify_package};

use crate::sums;

/// What the files of a run were found to be when they were read. One into which somebody has written since is read again.
#[derive(Debug, Default)]
pub struct Digests {
    /// Who reads a file has its place locked; who needs the same waits.
    files: Mutex<HashMap<PathBuf, Arc<Mutex<CachedDigest>>>>,
}

/// What is known of a file.
#[derive(Debug, Default)]
struct CachedDigest {
    /// Its digest and its size, with what it was when they were taken.
    digest: Option<(Stamp, (String, u64))>,
    /// Whether it is a package signed with a key, or why not; with the key's fingerprint.
    signed: Option<(Stamp, String, Result<(), String>)>,
}

impl Digests {
    /// The SHA-256 of a file's content, in lower-case hexadecimal, and its length in bytes.
    pub fn sha256(&self, path: &Path) -> io::Result<(String, u64)> {
        let place = self.place(path);
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        known.sha256(path)
    }

    /// As [`sha256`](Self::sha256), of what ought to be a package signed with `key`: where it is read for that, whether it is one comes of
    /// it.
    pub fn sha256_of_package(&self, path: &Path, key: &PublicKey) -> io::Result<(String, u64)> {
        let place = self.place(path);
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        // What is wrong with it is said by who asks for that.
        let _ = known.signed(path, key);
        known.sha256(path)
    }

    /// Whether the file is a package signed with `key` whose digests hold; or why not.
    pub fn signed(&self, path: &Path, key: &PublicKey) -> Result<(), String> {
        let place = self.place(path);
        let mut known = place.lock().unwrap_or_else(PoisonError::into_inner);
        known.signed(path, key)
    }

    fn place(&self, path: &Path) -> Arc<Mutex<CachedDigest>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.entry(path.to_owned()).or_default().clone()
    }
}

impl CachedDigest {
    fn sha256(&mut self, path: &Path) -> io::Result<(String, u64)> {
        let stamp = stamp(path);
        if let Some((then, digest)) = &self.digest
            && stamp == Some(*then)
        {
            return Ok(digest.clone());
        }
        let digest = sums::sha256(path)?;
        self.digest = kept(stamp).map(|stamp| (stamp, digest.clone()));
        Ok(digest)
    }

    fn signed(&mut self, path: &Path, key: &PublicKey) -> Result<(), String> {
        let (stamp, by) = (stamp(path), key.fingerprint());
        if let Some((then, whom, result)) = &self.signed
            && stamp == Some(*then)
            && *whom == by
        {
            return result.clone();
        }
        let verified = verify_package(path, key);
        let kept = kept(stamp);
        if let Ok(package) = &verified {
            self.digest = kept.map(|stamp| (stamp, (package.sha256.clone(), package.size)));
        }
        let result = verified.map(drop).map_err(|error| error.to_string());
        self.signed = kept.map(|stamp| (stamp, by, result.clone()));
        result
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(|meta| Stamp::of(&meta))
}

/// The stamp by which what was read is known again: one that was taken before, since what is written meanwhile has another.
fn kept(before: Option<Stamp>) -> Option<Stamp> {
    before.filter(Stamp::is_settled)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::time::Duration;

    use super::*;

    fn settled(path: &Path) {
        while !stamp(path).unwrap().is_settled() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_file_is_read_once_and_again_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        settled(&path);
        let digests = Digests::default();
        let first = digests.sha256(&path).unwrap();
        assert_eq!(first, (sums::of_text("one"), 3));
        // Where it is not read, nobody may have looked at it.
        let read = fs::metadata(&path).unwrap();
        assert_eq!(digests.sha256(&path).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().ctime(), read.ctime());
        assert!(digests.place(&path).lock().unwrap().digest.is_some());
        // Of the same size and time.
        fs::write(&path, "two").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(read.modified().unwrap()).unwrap();
        assert_eq!(digests.sha256(&path).unwrap().0, sums::of_text("two"));
        fs::remove_file(&path).unwrap();
        digests.sha256(&path).unwrap_err();
    }

    #[test]
    fn what_was_just_written_is_not_known_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "one").unwrap();
        let digests = Digests::default();
        digests.sha256(&path).unwrap();
        if !stamp(&path).unwrap().is_settled() {
            assert!(digests.place(&path).lock().unwrap().digest.is_none());
        }
    }
}
