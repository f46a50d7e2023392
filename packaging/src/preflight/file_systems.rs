//! The file systems in a kernel's source that ldiskfs stands on: `fs/ext4`, of which it is a copy, and `fs/jbd2`. A kernel on which modules
//! load may have mended them, and then the copy lacks that.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::kernel::own_patches;
use super::series;
use super::{Error, KernelSource, at};
use crate::archive;
use crate::overlay::patch::ApplyOptions;
use crate::overlay::series::NamedPatch;
use crate::store::Digest;

/// The folders.
const FOLDERS: [&str; 2] = ["fs/ext4", "fs/jbd2"];

/// The digest of every file of them, by its path.
pub type Files = BTreeMap<String, Digest>;

/// The files of the kernel's source package `srpm`, with the distribution's own patches, as its spec has them. Of the archive, no more is
/// unpacked, to the new folder `scratch`.
pub fn files(srpm: &Path, scratch: &Path, arch: &str) -> Result<Files, Error> {
    fs::create_dir_all(scratch).map_err(at(scratch))?;
    let tree = scratch.join("tree");
    let source = KernelSource::of_srpm(srpm, &scratch.join("sources"), &tree, arch)?;
    let (patches, mut problems) = own_patches(&source, None)?;
    // A patch to all of the kernel needs what else it changes, too.
    let ours: Vec<NamedPatch> = patches
        .into_iter()
        .filter(|patch| {
            let touched = series::touched(std::slice::from_ref(patch));
            touched.iter().any(|path| is_in(path))
        })
        .collect();
    let touched: BTreeSet<PathBuf> = series::touched(&ours);
    archive::unpack_only(&source.archive()?, &tree, 1, &|path| {
        is_in(path) || touched.contains(path)
    })?;
    problems.extend(series::lay_on(&tree, &ours, ApplyOptions::default().fuzz)?.problems);
    if let Some(first) = problems.first() {
        return Err(Error::OwnPatches {
            package: srpm.to_owned(),
            count: problems.len(),
            first: first.message.clone(),
        });
    }
    let mut files = Files::new();
    for entry in walkdir::WalkDir::new(&tree).sort_by_file_name() {
        let entry = entry.map_err(at(&tree))?;
        let inside = entry.path().strip_prefix(&tree).unwrap_or(entry.path());
        if entry.file_type().is_dir() || !is_in(inside) {
            continue;
        }
        let digest = if entry.path_is_symlink() {
            let goal = fs::read_link(entry.path()).map_err(at(entry.path()))?;
            Digest::of_bytes(goal.to_string_lossy().as_bytes())
        } else {
            let content = lustre_files::read(entry.path(), lustre_files::SOURCE);
            Digest::of_bytes(&content.map_err(at(entry.path()))?)
        };
        files.insert(inside.to_string_lossy().into_owned(), digest);
    }
    let found = |folder: &&str| files.keys().any(|path| Path::new(path).starts_with(folder));
    if let Some(folder) = FOLDERS.iter().find(|folder| !found(folder)) {
        return Err(Error::NoFileSystem {
            package: srpm.to_owned(),
            folder,
        });
    }
    Ok(files)
}

/// The paths of the files that only one of the two has, or that differ.
pub fn differing(one: &Files, other: &Files) -> Vec<String> {
    let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differs = |name: &&String| one.get(*name) != other.get(*name);
    names.into_iter().filter(differs).cloned().collect()
}

fn is_in(path: &Path) -> bool {
    FOLDERS.iter().any(|folder| path.starts_with(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_new_or_gone_differs() {
        let files = |all: &[(&str, &str)]| -> Files {
            let digest = |(path, text): &(&str, &str)| {
                ((*path).to_owned(), Digest::of_bytes(text.as_bytes()))
            };
            all.iter().map(digest).collect()
        };
        let one = files(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let other = files(&[("a", "1"), ("b", "2"), ("d", "1")]);
        assert_eq!(differing(&one, &other), ["b", "c", "d"]);
        assert!(differing(&one, &one).is_empty());
    }
}
