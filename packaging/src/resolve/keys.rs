//! The distribution's public keys: from the target's file or URL, and only with the target's fingerprint.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use lustre_files::shown_url;

use super::{Error, at};
use crate::lock::FilePin;
use crate::sign::{PublicKey, Purpose};
use crate::source::Downloader;
use crate::store::Store;
use crate::target::{Distribution, KeyFile};

/// A key whose fingerprint is the target's.
#[derive(Debug)]
pub struct Key {
    /// Its file, which is in the store.
    pub pin: FilePin,
    /// That key alone, armored, whatever else is in the file.
    pub armored: String,
}

/// All keys of `distribution`, by their names.
pub fn keys(
    downloader: &Downloader<'_>,
    store: &Store,
    specs: &Path,
    distribution: &Distribution,
) -> Result<BTreeMap<String, Key>, Error> {
    distribution
        .keys
        .iter()
        .map(|(name, wanted)| Ok((name.clone(), key(downloader, store, specs, name, wanted)?)))
        .collect()
}

/// The file of a key under `specs`, where there is one: whether it can be read shows when it is.
pub fn from_specs(specs: &Path, wanted: &KeyFile) -> Option<PathBuf> {
    let path = specs.join(&wanted.file);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        _ => Some(path),
    }
}

/// The key `name`: its file under `specs` where that is there, otherwise fetched from its URL. It is put into the store.
pub fn key(
    downloader: &Downloader<'_>,
    store: &Store,
    specs: &Path,
    name: &str,
    wanted: &KeyFile,
) -> Result<Key, Error> {
    let (bytes, place) = match from_specs(specs, wanted) {
        Some(path) => (
            lustre_files::read(&path, lustre_files::TEXT).map_err(at(&path))?,
            path.display().to_string(),
        ),
        None => (
            downloader.small(&format!("key-{name}"), &wanted.url)?,
            shown_url(&wanted.url),
        ),
    };
    let armored = check(name, wanted, &bytes, &place)?;
    let (digest, _) = store.insert_reader(&mut bytes.as_slice(), &place, None)?;
    let file = wanted.file.rsplit('/').next().unwrap_or(&wanted.file);
    Ok(Key {
        pin: FilePin {
            file: file.to_owned(),
            size: bytes.len() as u64,
            sha256: digest.to_string(),
            uri: wanted.url.clone(),
        },
        armored,
    })
}

/// The key with the target's fingerprint, of those in a file.
fn check(name: &str, wanted: &KeyFile, bytes: &[u8], place: &str) -> Result<String, Error> {
    let bad = |source| Error::BadKey {
        name: name.to_owned(),
        place: place.to_owned(),
        source: Box::new(source),
    };
    let read = PublicKey::parse_many(bytes).map_err(bad)?;
    let found: Vec<String> = read.iter().map(PublicKey::fingerprint).collect();
    let fits = |key: &&PublicKey| key.fingerprint().eq_ignore_ascii_case(&wanted.fingerprint);
    match read.iter().find(fits) {
        Some(key) => key
            .check_for(Purpose::Distribution)
            .and_then(|()| key.armored())
            .map_err(bad),
        None => Err(Error::Fingerprint {
            name: name.to_owned(),
            place: place.to_owned(),
            expected: wanted.fingerprint.clone(),
            found,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Retry;

    #[test]
    fn a_key_of_the_target_that_cannot_be_read_is_not_fetched_instead() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        let downloader = Downloader::new(&store, true, &[], Retry::default(), &|_| {});
        let path = dir.path().join("key.asc");
        let wanted = KeyFile {
            file: "key.asc".to_owned(),
            url: "https://keys.example/key.asc".to_owned(),
            fingerprint: "A".repeat(40),
        };
        let error = || {
            key(&downloader, &store, dir.path(), "release", &wanted)
                .unwrap_err()
                .to_string()
        };
        assert!(error().contains("https://keys.example"), "{}", error());
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
        let pipe = error();
        assert!(
            pipe.contains("key.asc") && pipe.contains("a pipe"),
            "{pipe}"
        );
        fs::remove_file(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(300 << 20).unwrap();
        assert!(error().contains("314572800 bytes"), "{}", error());
    }
}
