//! Writing what was built.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use lustre_files::PathError;

use super::index::{INDEX, Index, Listed, MadeOf};
use super::{Built, Error};
use crate::process;
use crate::store::{Digest, EntryKind, StageDir, remove_tree};

/// That what was built can be written to `out`: it is not there, is empty, or has an earlier one.
pub fn judge(out: &Path) -> Result<(), Error> {
    let failed = |source| PathError::new("read", out, source);
    let Some(there) = lustre_files::if_there(fs::symlink_metadata(out)).map_err(failed)? else {
        return Ok(());
    };
    let is_empty = || fs::read_dir(out).map(|mut items| items.next().is_none());
    if there.is_dir() && (is_empty().map_err(failed)? || Built::open(out).is_ok()) {
        return Ok(());
    }
    Err(Error::Taken {
        path: out.to_owned(),
    })
}

/// Writes what `stages` put out into the folder `out`, in place of an earlier one: all of it, or nothing. Gives the digest of its index.
/// Folders that are recorded as one are left out.
pub fn write(
    out: &Path,
    made_of: MadeOf,
    stages: &BTreeMap<String, &StageDir>,
) -> Result<Digest, Error> {
    judge(out)?;
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    // One name for all runs: what a killed one left there, the next one removes.
    let aside = out.with_file_name(format!(".{name}.part"));
    remove_tree(&aside)?;
    let done = write_to(&aside, out, made_of, stages);
    if done.is_err() {
        // What is left is removed by the next run.
        let _ = remove_tree(&aside);
    }
    done
}

fn write_to(
    aside: &Path,
    out: &Path,
    made_of: MadeOf,
    stages: &BTreeMap<String, &StageDir>,
) -> Result<Digest, Error> {
    let mut listed = BTreeMap::new();
    for (name, stage) in stages {
        let mut files = Vec::new();
        for entry in &stage.record.outputs {
            let refused = |why: &str| Error::Refused {
                path: stage.path.clone(),
                file: entry.path.clone(),
                why: why.to_owned(),
            };
            let (sha256, size) = match &entry.kind {
                EntryKind::Folder { .. } => continue,
                EntryKind::File {
                    sha256,
                    size,
                    executable: false,
                } => (*sha256, *size),
                EntryKind::File { .. } | EntryKind::Link { .. } => {
                    return Err(refused("it is no plain file"));
                }
            };
            if process::interrupted() {
                return Err(Error::Interrupted);
            }
            let (from, to) = (
                stage.path.join(&entry.path),
                aside.join(name).join(&entry.path),
            );
            make_folder(to.parent().unwrap_or(aside))?;
            lustre_files::copy(&from, &to)
                .map_err(|source| PathError::new("copy", &from, source))?;
            files.push(Listed {
                path: entry.path.clone(),
                size,
                sha256,
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        listed.insert(name.clone(), files);
    }
    let index = Index::new(made_of, listed);
    // What is not read again is not written.
    index.check().map_err(|(file, why)| Error::Refused {
        path: out.to_owned(),
        file,
        why,
    })?;
    let path = aside.join(INDEX);
    let text = index
        .to_json()
        .map_err(|error| PathError::new("write", &path, error.into()))?;
    make_folder(aside)?;
    lustre_files::write_whole(&path, text.as_bytes())
        .map_err(|source| PathError::new("write", &path, source))?;
    remove_tree(out)?;
    fs::rename(aside, out).map_err(|source| PathError::new("rename to", out, source))?;
    Ok(Digest::of_bytes(text.as_bytes()))
}

fn make_folder(path: &Path) -> Result<(), PathError> {
    fs::create_dir_all(path).map_err(|source| PathError::new("create", path, source))
}
