//! Content-addressed files: `files/sha256/ab/<digest>`, read only, complete or not there.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::digest::{Hasher, copy};
use super::folder::sync_folder;
use super::{Digest, Error, PathError, Store};

impl Store {
    /// Where the file with this digest is or would be.
    fn place(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root().join("files/sha256").join(&hex[..2]).join(hex)
    }

    /// The file with this digest, if it is in the store. Its content is not read again: see [`Store::verified_file`].
    pub fn file(&self, digest: &Digest) -> Option<PathBuf> {
        let place = self.place(digest);
        fs::symlink_metadata(&place)
            .is_ok_and(|meta| meta.is_file())
            .then_some(place)
    }

    /// As [`Store::file`], with the content checked. A file that no longer has its digest is removed from the store.
    pub fn verified_file(&self, digest: &Digest) -> Result<Option<PathBuf>, Error> {
        let Some(place) = self.file(digest) else {
            return Ok(None);
        };
        let (found, _) = Digest::of_file(&place)?;
        if found == *digest {
            return Ok(Some(place));
        }
        fs::remove_file(&place).map_err(|source| PathError::new("remove", &place, source))?;
        Err(Error::Digest {
            what: format!(
                "{} (damaged in the store, and now removed: run again to fetch it)",
                place.display()
            ),
            expected: *digest,
            found,
        })
    }

    /// Copies a file into the store. With `expected`, only that content is taken.
    pub fn insert_file(
        &self,
        from: &Path,
        expected: Option<&Digest>,
    ) -> Result<(Digest, PathBuf), Error> {
        let mut file =
            lustre_files::open(from).map_err(|source| PathError::new("read", from, source))?;
        self.insert_reader(&mut file, &from.display().to_string(), expected)
    }

    /// Stores what `reader` gives; `what` names it in errors. With `expected`, only that content is taken.
    pub fn insert_reader(
        &self,
        reader: &mut dyn Read,
        what: &str,
        expected: Option<&Digest>,
    ) -> Result<(Digest, PathBuf), Error> {
        let tmp = self.tmp_dir();
        let mut temp = tempfile::Builder::new()
            .prefix("file-")
            .tempfile_in(tmp)
            .map_err(|source| PathError::new("create a file in", tmp, source))?;
        let path = temp.path().to_owned();
        let mut hasher = Hasher::new();
        let mut write_failed = false;
        copy(reader, &mut |bytes| {
            hasher.update(bytes);
            temp.write_all(bytes).inspect_err(|_| write_failed = true)
        })
        .map_err(|source| {
            if write_failed {
                PathError::new("write", &path, source)
            } else {
                PathError::new("read", Path::new(what), source)
            }
        })?;
        let found = hasher.finish();
        check(what, expected, found)?;
        let mut temp = temp.into_temp_path();
        let place = self.settle(&temp, found)?;
        // The file is no longer under its temporary name.
        temp.disable_cleanup(true);
        Ok((found, place))
    }

    /// Moves a file that lies on the store's file system (a finished download) into the store, without a copy.
    ///
    /// On an error the file stays where it is.
    pub fn adopt_file(
        &self,
        from: &Path,
        what: &str,
        expected: Option<&Digest>,
    ) -> Result<(Digest, PathBuf), Error> {
        let (found, _) = Digest::of_file(from)?;
        check(what, expected, found)?;
        let place = self.settle(from, found)?;
        Ok((found, place))
    }

    /// Brings a complete temporary file to its place: read only, on the disk, then renamed.
    fn settle(&self, temp: &Path, digest: Digest) -> Result<PathBuf, Error> {
        let place = self.place(&digest);
        let folder = place.parent().unwrap_or(&place).to_owned();
        fs::create_dir_all(&folder).map_err(|source| PathError::new("create", &folder, source))?;
        let failed = |source| PathError::new("write", &place, source);
        let file = lustre_files::open(temp).map_err(failed)?;
        file.set_permissions(Permissions::from_mode(0o444))
            .map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(temp, &place).map_err(|source| PathError::new("rename to", &place, source))?;
        sync_folder(&folder)?;
        Ok(place)
    }
}

fn check(what: &str, expected: Option<&Digest>, found: Digest) -> Result<(), Error> {
    match expected {
        Some(expected) if *expected != found => Err(Error::Digest {
            what: what.to_owned(),
            expected: *expected,
            found,
        }),
        _ => Ok(()),
    }
}
