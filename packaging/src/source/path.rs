//! Sources that are folders on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::advised;

use super::Error;
use super::download::LARGEST;
use super::git_command::Git;
use crate::store::{self, Digest, Entry, EntryKind, PathError, Store};

/// The files of a folder: of a git work tree those that git knows or would add, otherwise all.
pub(super) fn list(store: &Store, source: &str, dir: &Path) -> Result<Vec<Entry>, Error> {
    if !dir.is_dir() {
        return Err(Error::Invalid {
            source_name: source.to_owned(),
            why: format!("{} is not a folder", dir.display()).into(),
        });
    }
    let mut room = SizeBudget {
        source,
        dir,
        left: LARGEST,
    };
    let entries = if dir.join(".git").exists() {
        let mut entries = Vec::new();
        for path in Git::new(store, source).files(dir)? {
            // Deleted, but not yet for git.
            if fs::symlink_metadata(dir.join(&path)).is_err() {
                continue;
            }
            if dir.join(&path).is_dir() && !dir.join(&path).is_symlink() {
                return Err(Error::Incomplete {
                    source_name: source.to_owned(),
                    repository: dir.display().to_string(),
                    commit: "its work tree".to_owned(),
                    missing: vec![format!(
                        "{} (a submodule or a repository in it)",
                        path.display()
                    )],
                });
            }
            room.take(&dir.join(&path))?;
            entries.push(store::entry(dir, &path)?);
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        entries
    } else {
        // Before any of it is read.
        for item in store::walk(dir) {
            room.take(item?.path())?;
        }
        store::list_tree(dir)?
    };
    if entries.is_empty() {
        return Err(Error::Invalid {
            source_name: source.to_owned(),
            why: format!("{} holds no files", dir.display()).into(),
        });
    }
    Ok(entries)
}

/// How much more a folder may hold: all of it is read, and a file with holes can have any size.
struct SizeBudget<'a> {
    source: &'a str,
    dir: &'a Path,
    left: u64,
}

impl SizeBudget<'_> {
    fn take(&mut self, path: &Path) -> Result<(), Error> {
        let meta =
            fs::symlink_metadata(path).map_err(|source| PathError::new("look at", path, source))?;
        let size = if meta.is_file() { meta.len() } else { 0 };
        let Some(left) = self.left.checked_sub(size) else {
            return Err(Error::Invalid {
                source_name: self.source.to_owned(),
                why: advised(
                    format!(
                        "{} is larger than {} GiB with {} ({} MiB), too large for a source",
                        self.dir.display(),
                        LARGEST >> 30,
                        path.display(),
                        size >> 20
                    ),
                    "remove what is not part of it",
                ),
            });
        };
        self.left = left;
        Ok(())
    }
}

/// Copies the listed files and links of `from` into `into`, a folder that is empty or not there, with the modes 0644 or 0755
/// and the time `mtime` (seconds since 1970), and checks that they are what was listed.
pub fn copy_tree(
    source: &str,
    from: &Path,
    entries: &[Entry],
    mtime: u64,
    into: &Path,
) -> Result<(), Error> {
    let result = copy_all(source, from, entries, mtime, into);
    if result.is_err() {
        // The first error is the one to tell.
        let _ = store::remove_tree(into);
    }
    result
}

fn copy_all(
    source: &str,
    from: &Path,
    entries: &[Entry],
    mtime: u64,
    into: &Path,
) -> Result<(), Error> {
    fs::create_dir_all(into).map_err(|source| PathError::new("create", into, source))?;
    for entry in entries {
        let to = into.join(&entry.path);
        let folder = to.parent().unwrap_or(into);
        let failed = |source| PathError::new("write", &to, source);
        fs::create_dir_all(folder).map_err(failed)?;
        match &entry.kind {
            EntryKind::File {
                sha256, executable, ..
            } => {
                let origin = from.join(&entry.path);
                lustre_files::copy(&origin, &to).map_err(failed)?;
                let (found, _) = Digest::of_file(&to)?;
                if found != *sha256 {
                    return Err(Error::Invalid {
                        source_name: source.to_owned(),
                        why: format!("{} changed while it was read: run again", origin.display())
                            .into(),
                    });
                }
                let mode = if *executable { 0o755 } else { 0o644 };
                crate::archive::finish(&to, Some(mode), mtime)?;
            }
            EntryKind::Link { target } => {
                std::os::unix::fs::symlink(target, &to).map_err(failed)?;
                crate::archive::finish(&to, None, mtime)?;
            }
            EntryKind::Folder { .. } => {}
        }
    }
    let mut folders: Vec<PathBuf> = walkdir::WalkDir::new(into)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|item| item.file_type().is_dir())
        .map(walkdir::DirEntry::into_path)
        .collect();
    // From the inside out: a folder's time changes with what is in it.
    folders.reverse();
    for folder in folders {
        crate::archive::finish(&folder, Some(0o755), mtime)?;
    }
    crate::archive::check_links(into).map_err(|error| Error::Archive {
        source_name: source.to_owned(),
        source: Box::new(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_claims_more_than_any_source_is_refused_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        for is_clone in [false, true] {
            let source = dir.path().join(format!("source-{is_clone}"));
            fs::create_dir(&source).unwrap();
            if is_clone {
                let mut command = crate::process::command("git");
                crate::process::output(command.args(["init", "-q"]).arg(&source)).unwrap();
            }
            fs::write(source.join("a"), "small").unwrap();
            assert_eq!(list(&store, "lustre", &source).unwrap().len(), 1);
            // It takes no room on the disk, and hours to read.
            let file = fs::File::create(source.join("big")).unwrap();
            file.set_len(1 << 40).unwrap();
            let error = list(&store, "lustre", &source).unwrap_err().to_string();
            assert!(
                error.contains("larger than 16 GiB") && error.contains("/big (1048576 MiB)"),
                "{error}"
            );
        }
    }
}
