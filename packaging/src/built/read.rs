//! Reading what was built.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lustre_files::PathError;
use walkdir::WalkDir;

use super::Error;
use super::index::{INDEX, Index, IndexedFile, read};
use crate::process;
use crate::store::{Digest, Hasher};

/// How much is read at a time.
const PIECE: usize = 1 << 20;

/// What was built, in a folder that has the files of its index and no others.
#[derive(Debug)]
pub struct BuildOutput {
    path: PathBuf,
    index: Index,
    sha256: Digest,
}

impl BuildOutput {
    /// Opens the folder `path`.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (index, sha256) = read(&path.join(INDEX)).map_err(|why| Error::Other {
            path: path.to_owned(),
            why,
        })?;
        let built = Self {
            path: path.to_owned(),
            index,
            sha256,
        };
        let refused = |(file, why)| built.refused(file, why);
        built.index.check().map_err(refused)?;
        built.judge_files()?;
        Ok(built)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the folder that `other` is, by another name, or has its index: a copy of it cannot be told from what another builder
    /// made, but one file can.
    pub fn is_same(&self, other: &Self) -> Result<bool, Error> {
        let same = |below: &str| -> Result<bool, Error> {
            let [one, two] = [self, other].map(|built| {
                let path = built.path.join(below);
                let found = fs::metadata(&path);
                found.map_err(|source| PathError::new("read", &path, source))
            });
            let (one, two) = (one?, two?);
            Ok((one.dev(), one.ino()) == (two.dev(), two.ino()))
        };
        Ok(same("")? || same(INDEX)?)
    }

    /// What it was built of, and what came out.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// The digest of its index, which stands for all of it.
    pub fn sha256(&self) -> &Digest {
        &self.sha256
    }

    /// Reads every file, and compares it with the index.
    pub fn check(&self) -> Result<(), Error> {
        for (path, file) in self.index.files() {
            self.read(&path, file, &mut |_| Ok(()))?;
        }
        Ok(())
    }

    /// Copies what the stage `stage` put out into the folder `to`, each file compared with the index while it is.
    pub fn take(&self, stage: &str, to: &Path) -> Result<(), Error> {
        let Some(files) = self.index.stages.get(stage) else {
            return Err(self.refused(
                INDEX.to_owned(),
                format!("it does not have the stage `{stage}`"),
            ));
        };
        for file in files {
            let out = to.join(&file.path);
            let failed = |source| PathError::new("write", &out, source);
            if let Some(above) = out.parent() {
                fs::create_dir_all(above).map_err(failed)?;
            }
            let mut made = File::create_new(&out).map_err(failed)?;
            self.read(&format!("{stage}/{}", file.path), file, &mut |piece| {
                made.write_all(piece).map_err(failed)
            })?;
            made.sync_all().map_err(failed)?;
        }
        Ok(())
    }

    /// Gives a file to `each`, piece by piece; it is not as it is listed until that is over.
    fn read(
        &self,
        path: &str,
        listed: &IndexedFile,
        each: &mut dyn FnMut(&[u8]) -> Result<(), PathError>,
    ) -> Result<(), Error> {
        let at = self.path.join(path);
        let failed = |source| PathError::new("read", &at, source);
        let mut file = lustre_files::open(&at)
            .map_err(failed)?
            .take(listed.size.saturating_add(1));
        let mut hasher = Hasher::new();
        let mut piece = vec![0; PIECE];
        loop {
            let length = file.read(&mut piece).map_err(failed)?;
            if process::interrupted() {
                return Err(Error::Interrupted);
            }
            if length == 0 {
                break;
            }
            hasher.update(&piece[..length]);
            each(&piece[..length])?;
        }
        let found = hasher.finish();
        if found == listed.sha256 {
            return Ok(());
        }
        Err(self.refused(
            path.to_owned(),
            format!(
                "it has the sha256 {found}, and {} according to {INDEX}",
                listed.sha256
            ),
        ))
    }

    /// That the folder has the files of the index with their sizes, and nothing else.
    fn judge_files(&self) -> Result<(), Error> {
        let mut wanted: BTreeMap<String, u64> = self
            .index
            .files()
            .map(|(path, file)| (path, file.size))
            .collect();
        wanted.insert(INDEX.to_owned(), 0);
        for entry in WalkDir::new(&self.path).min_depth(1) {
            let entry = entry.map_err(|error| PathError::new("read", &self.path, error.into()))?;
            let below = entry.path().strip_prefix(&self.path);
            let below = below.unwrap_or(entry.path()).display().to_string();
            if entry.file_type().is_dir() {
                continue;
            }
            let refused =
                |why: &str| self.refused(below.escape_debug().to_string(), why.to_owned());
            let Some(size) = wanted.remove(&below) else {
                return Err(refused(&format!("{INDEX} does not list it")));
            };
            if !entry.file_type().is_file() {
                return Err(refused("it is no file"));
            }
            let found = entry
                .metadata()
                .map_err(|error| PathError::new("read", entry.path(), error.into()))?;
            if below != INDEX && found.len() != size {
                return Err(refused(&format!(
                    "it has {} bytes, and {size} according to {INDEX}",
                    found.len()
                )));
            }
        }
        match wanted.into_keys().next() {
            None => Ok(()),
            Some(file) => Err(self.refused(file, format!("{INDEX} lists it, and it is not there"))),
        }
    }

    fn refused(&self, file: String, why: String) -> Error {
        Error::Refused {
            path: self.path.clone(),
            file,
            why,
        }
    }
}

/// How two builds differ: of what they were made, and what came out.
pub fn differences(first: &Index, second: &Index) -> Vec<String> {
    let mut found = Vec::new();
    let (a, b) = (&first.made_of, &second.made_of);
    let of = [
        ("target", &a.target, &b.target),
        ("version of the tool", &a.tool, &b.tool),
        ("code of the tool", &a.code, &b.code),
        ("lock", &a.lock_sha256, &b.lock_sha256),
        ("sources", &a.sources_sha256, &b.sources_sha256),
    ];
    for (what, _, _) in of.into_iter().filter(|(_, a, b)| a != b) {
        found.push(format!("built of another {what}"));
    }
    if a.target == b.target && a.target_sha256 != b.target_sha256 {
        found.push("built of another definition of the target".to_owned());
    }
    let names: BTreeSet<&String> = a.specs.keys().chain(b.specs.keys()).collect();
    for name in names {
        if a.specs.get(name) != b.specs.get(name) {
            found.push(format!("built of another specs/{name}"));
        }
    }
    let files = |index: &Index| -> BTreeMap<String, IndexedFile> {
        index
            .files()
            .map(|(path, file)| (path, file.clone()))
            .collect()
    };
    let (first, mut second) = (files(first), files(second));
    for (path, file) in first {
        match second.remove(&path) {
            None => found.push(format!("{path} is only in the first build")),
            Some(other) if other != file => found.push(format!("{path} differs")),
            Some(_) => {}
        }
    }
    let only = second.into_keys();
    found.extend(only.map(|path| format!("{path} is only in the second build")));
    found
}
