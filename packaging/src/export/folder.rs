//! What is exported, in a folder: all of it or nothing, in place of an earlier one.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lustre_files::place;
use lustre_files::swap::FolderAside;
use lustre_files::{PathError, at};
use serde::{Deserialize, Serialize};

pub use super::INDEX;
use super::{Builder, Error};
use crate::json_index::JsonIndex;
use crate::own_folder::{self, FolderIndex};
use crate::store::{Digest, EntryKind, list_tree};

/// No index is larger (bytes): it has a line for each file.
const LARGEST: u64 = 16 << 20;

/// The index: what is in the folder. The same of the same target, whatever the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    format: String,
    version: u32,
    /// For whom it is.
    pub builder: String,
    /// The target's name.
    pub target: String,
    /// The packages, in the order in which they are built.
    pub packages: Vec<String>,
    /// Every other file, with its SHA-256.
    pub files: BTreeMap<String, Digest>,
}

impl JsonIndex for Index {
    const FILE: &'static str = INDEX;
    const FORMAT: &'static str = "lustre-repo-export";
    const VERSION: u32 = 1;
}

impl FolderIndex for Index {
    const WHAT: &'static str = "what is exported";
    const OTHER: &'static str = "is not empty and is no earlier export";

    fn of(out: &Path) -> Result<Self, String> {
        let text = lustre_files::read_no_link(out.join(INDEX), LARGEST);
        Self::parse(&text.map_err(|error| format!("{INDEX}: {error}"))?)
    }

    fn listed(&self) -> HashSet<String> {
        self.files.keys().cloned().collect()
    }
}

/// That what is for `builder` and of `target` can be written to `out`: that is not there, is empty, or has an earlier one of the same and nothing
/// else; and something can be put there.
pub fn judge(out: &Path, builder: Builder, target: &str) -> Result<(), Error> {
    judge_there(out, builder, target)?;
    let refused = |why| own_folder::cannot_be::<Index>(out, why);
    Ok(place::can_be_made(out).map_err(refused)?)
}

/// The export that `path` is in, whether it is there or not.
pub fn around(path: &Path) -> Option<PathBuf> {
    own_folder::around::<Index>(path)
}

/// That what is at `out` may be replaced.
fn judge_there(out: &Path, builder: Builder, target: &str) -> Result<(), Error> {
    let Some(there) = own_folder::judge::<Index>(out)? else {
        return Ok(());
    };
    if (there.builder.as_str(), there.target.as_str()) != (builder.name(), target) {
        return Err(Error::Other {
            path: out.to_owned(),
            builder: there.builder.escape_debug().to_string(),
            target: there.target.escape_debug().to_string(),
        });
    }
    nothing_edited(out, &there)
}

/// That the files are as the index has them: what somebody did to them would be lost.
fn nothing_edited(out: &Path, index: &Index) -> Result<(), Error> {
    let mut edited = Vec::new();
    for (file, sha256) in &index.files {
        let path = out.join(file);
        // What was taken away comes back.
        if path.symlink_metadata().is_ok() && Digest::of_file(&path)?.0 != *sha256 {
            edited.push(lustre_files::shown(Path::new(file)).to_string());
        }
    }
    if edited.is_empty() {
        return Ok(());
    }
    Err(Error::Edited {
        path: out.to_owned(),
        files: edited.join(", "),
    })
}

/// Writes what `fill` puts into a folder to `out`. Gives the digest of its index, which stands for all of it.
pub fn write(
    out: &Path,
    builder: Builder,
    target: &str,
    packages: &[&str],
    fill: impl FnOnce(&Path) -> Result<(), Error>,
) -> Result<Digest, Error> {
    judge(out, builder, target)?;
    let failed = |action| move |source| PathError::new(action, out, source);
    let aside = FolderAside::new(out).map_err(failed("write next to"))?;
    let folder = aside.path();
    fill(folder)?;
    if crate::process::interrupted() {
        return Err(Error::Interrupted);
    }
    let mut files = BTreeMap::new();
    for entry in list_tree(folder)? {
        match entry.kind {
            EntryKind::File { sha256, .. } => {
                files.insert(entry.path, sha256);
            }
            EntryKind::Folder { .. } => {
                let path = folder.join(&entry.path);
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(&path, mode).map_err(at(&path))?;
            }
            // None is made.
            EntryKind::Link { .. } => {}
        }
    }
    let index = Index {
        format: Index::FORMAT.to_owned(),
        version: Index::VERSION,
        builder: builder.name().to_owned(),
        target: target.to_owned(),
        packages: packages.iter().map(|&name| name.to_owned()).collect(),
        files,
    };
    let path = folder.join(INDEX);
    let text = index
        .to_json()
        .map_err(|error| at(&path)(std::io::Error::from(error)))?;
    fs::write(&path, &text).map_err(at(&path))?;
    let mode = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, mode).map_err(at(folder))?;
    aside
        .commit(|| judge_there(out, builder, target).map_err(std::io::Error::other))
        .map_err(failed("move what is exported to"))?;
    Ok(Digest::of_bytes(text.as_bytes()))
}

/// Writes a file below `folder`, and the folders that it is in.
pub(super) fn put(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> Result<(), Error> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(at(parent))?;
    }
    Ok(fs::write(&path, content).map_err(at(&path))?)
}
