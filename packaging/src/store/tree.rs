//! Trees of files as a list and as one digest.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::digest::Hasher;
use super::remove::utf8;
use super::{Digest, Error, PathError};

/// One file, link or folder of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the tree, with `/` between the parts.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: EntryKind,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    File {
        /// The digest of its content.
        sha256: Digest,
        /// Its size in bytes.
        size: u64,
        /// Whether its owner may execute it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
    },
    /// A symbolic link.
    Link {
        /// What it holds.
        target: String,
    },
    /// A folder that stands for all in it, such as a buildroot, with a digest that its maker gives.
    Folder {
        /// What identifies its content.
        digest: Digest,
    },
}

/// All below `dir`, in no particular order, without version control's `.git`.
pub(crate) fn walk(dir: &Path) -> impl Iterator<Item = Result<walkdir::DirEntry, PathError>> {
    WalkDir::new(dir)
        .min_depth(1)
        .into_iter()
        .filter_entry(|item| item.file_name() != ".git")
        .map(move |item| {
            item.map_err(|error| {
                let path = error.path().unwrap_or(dir).to_owned();
                PathError::new("read", &path, error.into())
            })
        })
}

/// Lists all files and links below `dir` (not folders), sorted by path, without version control's `.git`.
pub fn list_tree(dir: &Path) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    for item in walk(dir) {
        let item = item?;
        if !item.file_type().is_dir() {
            entries.push(entry(
                dir,
                item.path().strip_prefix(dir).unwrap_or(item.path()),
            )?);
        }
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// The entry of the file or link `path` (relative) in `dir`.
pub(crate) fn entry(dir: &Path, path: &Path) -> Result<Entry, Error> {
    let full = dir.join(path);
    let failed = |source| PathError::new("read", &full, source);
    let meta = fs::symlink_metadata(&full).map_err(failed)?;
    let kind = if meta.is_file() {
        let (sha256, size) = Digest::of_file(&full)?;
        EntryKind::File {
            sha256,
            size,
            executable: meta.permissions().mode() & 0o100 != 0,
        }
    } else if meta.is_symlink() {
        let target = fs::read_link(&full).map_err(failed)?;
        EntryKind::Link {
            target: utf8(&target)?.to_owned(),
        }
    } else {
        return Err(Error::Special { path: full });
    };
    Ok(Entry {
        path: utf8(path)?.to_owned(),
        kind,
    })
}

/// The list of all that is in `folder` of `dir`, which may hold anything that a system's root holds: a line for each thing with its kind,
/// permissions, digest or target, and path, sorted. Two trees are alike where their lists are.
pub(super) fn contents(dir: &Path, folder: &str) -> Result<String, Error> {
    let mut lines = Vec::new();
    let top = dir.join(folder);
    for item in WalkDir::new(&top) {
        let item = item.map_err(|error| {
            let path = error.path().unwrap_or(&top).to_owned();
            PathError::new("read", &path, error.into())
        })?;
        let failed = |source| PathError::new("read", item.path(), source);
        let meta = fs::symlink_metadata(item.path()).map_err(failed)?;
        let kind = if meta.is_file() {
            format!("file {}", Digest::of_file(item.path())?.0)
        } else if meta.is_symlink() {
            let target = fs::read_link(item.path()).map_err(failed)?;
            format!("link {}", target.as_os_str().as_bytes().escape_ascii())
        } else if meta.is_dir() {
            "folder".to_owned()
        } else {
            "special".to_owned()
        };
        let path = item.path().strip_prefix(dir).unwrap_or(item.path());
        lines.push(format!(
            "{} {:o} {kind}\n",
            path.as_os_str()
                .as_bytes()
                .escape_ascii()
                .to_string()
                .replace(' ', "\\x20"),
            meta.permissions().mode() & 0o7777
        ));
    }
    lines.sort();
    Ok(lines.concat())
}

/// The first path in two such lists that is not the same in both, and how.
pub(super) fn first_difference(recorded: &str, here: &str) -> Option<String> {
    let path = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
    let (mut old, mut new) = (recorded.lines(), here.lines());
    loop {
        match (old.next(), new.next()) {
            (None, None) => return None,
            (Some(old), Some(new)) if old == new => {}
            (Some(old), Some(new)) if path(old) == path(new) => {
                return Some(format!("{} differs from its record", path(old)));
            }
            (Some(old), Some(new)) if old > new => return Some(format!("{} was added", path(new))),
            (Some(old), _) => return Some(format!("{} is not there", path(old))),
            (None, Some(new)) => return Some(format!("{} was added", path(new))),
        }
    }
}

/// One digest of a list of entries: of every path, whether it may be executed, a link's target and a file's digest.
/// Times, owners and other permissions do not count, and neither does the order of the list.
pub fn digest_entries(entries: &[Entry]) -> Digest {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut hasher = Hasher::new();
    for entry in sorted {
        hasher.field(entry.path.as_bytes());
        match &entry.kind {
            EntryKind::File {
                sha256, executable, ..
            } => {
                hasher.field(if *executable { b"x" } else { b"f" });
                hasher.field(sha256.to_string().as_bytes());
            }
            EntryKind::Link { target } => {
                hasher.field(b"l");
                hasher.field(target.as_bytes());
            }
            EntryKind::Folder { digest } => {
                hasher.field(b"d");
                hasher.field(digest.to_string().as_bytes());
            }
        }
    }
    hasher.finish()
}

/// One digest of a tree: [`digest_entries`] of [`list_tree`].
pub fn tree_digest(dir: &Path) -> Result<Digest, Error> {
    Ok(digest_entries(&list_tree(dir)?))
}

/// Whether the entry is there, as far as can be told without reading files; otherwise what is wrong.
pub(super) fn still_there(dir: &Path, entry: &Entry) -> Result<(), String> {
    let full = dir.join(&entry.path);
    let meta = fs::symlink_metadata(&full).map_err(|error| format!("{}: {error}", entry.path))?;
    let right = match &entry.kind {
        EntryKind::File { size, .. } => meta.is_file() && meta.len() == *size,
        EntryKind::Link { target } => fs::read_link(&full)
            .is_ok_and(|found| found.as_os_str().as_bytes() == target.as_bytes()),
        EntryKind::Folder { .. } => meta.is_dir(),
    };
    if right {
        Ok(())
    } else {
        Err(format!("{} differs from its record", entry.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        fs::create_dir_all(path.join("sub/.git")).unwrap();
        fs::write(path.join("sub/b"), "b").unwrap();
        fs::write(path.join("a"), "a").unwrap();
        symlink("sub/b", path.join("link")).unwrap();
        dir
    }

    #[test]
    fn content_counts_and_circumstances_do_not() {
        let (one, two) = (tree(), tree());
        let digest = tree_digest(one.path()).unwrap();
        fs::write(two.path().join("sub/.git/HEAD"), "x").unwrap();
        fs::create_dir(two.path().join("empty")).unwrap();
        fs::set_permissions(two.path().join("a"), PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(tree_digest(two.path()).unwrap(), digest);

        fs::set_permissions(two.path().join("a"), PermissionsExt::from_mode(0o755)).unwrap();
        let executable = tree_digest(two.path()).unwrap();
        assert_ne!(executable, digest);
        fs::remove_file(two.path().join("link")).unwrap();
        symlink("a", two.path().join("link")).unwrap();
        assert_ne!(tree_digest(two.path()).unwrap(), executable);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tree();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let error = tree_digest(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/s is neither"), "{error}");
    }
}
