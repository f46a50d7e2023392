//! Writing what was built.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::PathError;
use lustre_files::place;
use lustre_files::swap::FolderAside;

use super::Error;
use super::index::{INDEX, Index, IndexedFile, MadeOf};
use crate::json_index::JsonIndex as _;
use crate::own_folder;
use crate::process::{self, room};
use crate::store::{Digest, EntryKind, StageDir};

/// That what was built can be written to `out`: it is not there, is empty, or has an earlier one and nothing else, changed or not; and
/// something can be put there.
pub fn judge(out: &Path) -> Result<(), Error> {
    let refused = |why| own_folder::cannot_be::<Index>(out, why);
    own_folder::judge::<Index>(out)?;
    if let Some(around) = around(out) {
        let why = lustre_files::advised(
            format!(
                "it is inside {}, which `build --output` wrote",
                around.display()
            ),
            "choose a folder beside that",
        );
        return Err(refused(why).into());
    }
    Ok(place::can_be_made(out).map_err(refused)?)
}

/// The folder that has what was built, which `path` is in, whether it is there or not: what is put there is none of its files.
pub fn around(path: &Path) -> Option<PathBuf> {
    own_folder::around::<Index>(path)
}

/// Writes what `stages` put out into the folder `out`, in place of an earlier one: all of it, or nothing. Gives the digest of its index.
/// Folders that are recorded as one are left out.
pub fn write(
    out: &Path,
    made_of: MadeOf,
    stages: &BTreeMap<String, &StageDir>,
) -> Result<Digest, Error> {
    judge(out)?;
    let mut listed = BTreeMap::new();
    for (name, stage) in stages {
        listed.insert(name.clone(), files(stage)?);
    }
    let index = Index::new(made_of, listed);
    // What is not read again is not written.
    index.check().map_err(|(file, why)| Error::Refused {
        path: out.to_owned(),
        file,
        why,
    })?;
    let bytes = index.files().map(|(_, file)| file.size).sum();
    let what = format!("what was built, at {},", out.display());
    let of = stages.values().next().map(|stage| stage.path.as_path());
    room::at_output(&what, bytes, out, of)?;

    let failed = |action| move |source| PathError::new(action, out, source);
    let aside = FolderAside::new(out).map_err(failed("write next to"))?;
    for (name, stage) in stages {
        for file in &index.stages[name] {
            if process::interrupted() {
                return Err(Error::Interrupted);
            }
            copy(
                &stage.path.join(&file.path),
                &aside.path().join(name).join(&file.path),
            )?;
        }
    }
    let path = aside.path().join(INDEX);
    let text = index
        .to_json()
        .map_err(|error| PathError::new("write", &path, error.into()))?;
    lustre_files::write_whole(&path, text.as_bytes())
        .map_err(|source| PathError::new("write", &path, source))?;
    aside
        .commit(|| {
            own_folder::judge::<Index>(out)
                .map(drop)
                .map_err(std::io::Error::other)
        })
        .map_err(failed("move what was built to"))?;
    Ok(Digest::of_bytes(text.as_bytes()))
}

/// The files that a stage put out.
fn files(stage: &StageDir) -> Result<Vec<IndexedFile>, Error> {
    let mut files = Vec::new();
    for entry in &stage.record.outputs {
        match &entry.kind {
            EntryKind::Folder { .. } => {}
            EntryKind::File {
                sha256,
                size,
                executable: false,
            } => files.push(IndexedFile {
                path: entry.path.clone(),
                size: *size,
                sha256: *sha256,
            }),
            EntryKind::File { .. } | EntryKind::Link { .. } => {
                return Err(Error::Refused {
                    path: stage.path.clone(),
                    file: entry.path.clone(),
                    why: "it is no plain file".to_owned(),
                });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|source| PathError::new("create", folder, source))?;
    }
    let Err(source) = lustre_files::copy(from, to) else {
        return Ok(());
    };
    // Room is lacking where it is written to, and all else is said of what is read.
    let read = PathError::new("copy", from, source);
    Err(match read.is_full() {
        true => PathError::new("write", to, read.source).into(),
        false => read.into(),
    })
}
