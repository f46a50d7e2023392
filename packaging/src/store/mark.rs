//! Which folders are stores: those with the mark that is made only in a new or empty folder.
//!
//! A store is emptied, cleaned and removed, so a folder is one because this tool made it one, not because somebody named it. Stores of
//! versions without a mark are known by what lies in them, all of it, and get theirs.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lustre_files::place;

use super::folder::{list, sync_folder};
use super::names::{self, FOLDERS, LOCK, MARK, READERS};
use super::{Error, PathError, lock};

/// The first line of the mark.
const FIRST_LINE: &str = "store of lustre-repo, format 1\n";

const TEXT: &str = "store of lustre-repo, format 1\n\
    What the tool fetched and built; `cargo xtask clean --all` removes it. This file is what tells the tool that the folder is its own.\n";

/// Where in a store the one of a second build is.
const SECOND: &str = "second/store";
/// What that build puts out.
const SECOND_OUTPUT: &str = "second/dist";

/// What a folder is, as far as a store goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FolderState {
    Store,
    /// Nothing yet, or what an interrupted start left: it may become one.
    New,
    /// A store of a version that made no mark.
    Unmarked,
}

/// Looks at `root`, which exists, and changes nothing.
pub(super) fn look(root: &Path) -> Result<FolderState, Error> {
    let refused = |why: String| Error::NotAStore {
        path: root.to_owned(),
        why,
    };
    if let Some(around) = around(root)? {
        return Err(refused(format!(
            "it is inside the store {}, and would be removed with it",
            around.display()
        )));
    }
    let mark = root.join(MARK);
    match fs::symlink_metadata(&mark) {
        Ok(meta) if meta.is_file() => {
            let text = lustre_files::read(&mark, lustre_files::TEXT)
                .map_err(|source| PathError::new("read", &mark, source))?;
            if text.starts_with(FIRST_LINE.as_bytes()) {
                no_links(root)?;
                return Ok(FolderState::Store);
            }
            // Half written when the process or the machine stopped: what else is there decides.
            if !FIRST_LINE.as_bytes().starts_with(&text) {
                return Err(refused(format!("its {MARK} is of another version or kind")));
            }
        }
        Ok(_) => return Err(refused(format!("its {MARK} is not a file"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(source) => return Err(PathError::new("read", &mark, source).into()),
    }
    let failed = |source| PathError::new("list", root, source);
    let mut empty = true;
    for item in fs::read_dir(root).map_err(failed)? {
        let item = item.map_err(failed)?;
        let name = item.file_name();
        if name == MARK {
            continue;
        }
        empty = false;
        let kind = item.file_type().map_err(failed)?;
        let known = if name == LOCK || name == READERS {
            kind.is_file()
        } else {
            kind.is_dir() && FOLDERS.iter().any(|folder| name == *folder)
        };
        if !known {
            return Err(refused(format!(
                "it has no {MARK}, and contains {}",
                Path::new(&name).display()
            )));
        }
    }
    if empty {
        return Ok(FolderState::New);
    }
    unmarked(root)?;
    Ok(FolderState::Unmarked)
}

/// That the folders of a store are its own: what a link leads to would be emptied, cleaned and written to.
fn no_links(root: &Path) -> Result<(), Error> {
    for folder in FOLDERS.iter().chain(&["files/sha256", SECOND]) {
        let path = root.join(folder);
        let meta = lustre_files::if_there(fs::symlink_metadata(&path))
            .map_err(|source| PathError::new("read", &path, source))?;
        if meta.is_some_and(|meta| !meta.is_dir()) {
            return Err(Error::Link { path });
        }
    }
    Ok(())
}

/// The store that `path` is in, whether it is there or not: what is put there is removed with what the store does not know. What a second
/// build puts out there is to go with it.
pub fn store_around(path: &Path) -> Result<Option<PathBuf>, Error> {
    let Ok(full) = place::real(path) else {
        return Ok(None);
    };
    let above = full.ancestors().skip(1);
    let marked = above
        .filter(|above| full.strip_prefix(above) != Ok(Path::new(SECOND_OUTPUT)))
        .map(|above| Ok((above, is_marked(above)?)));
    let marked: Result<Vec<(&Path, bool)>, Error> = marked.collect();
    let found = marked?.into_iter().find(|(_, marked)| *marked);
    Ok(found.map(|(above, _)| above.to_owned()))
}

/// The store that `root` lies in, where it does: one empties folders of its own and removes what it does not know in them. The one that
/// a second build has there is of that store.
fn around(root: &Path) -> Result<Option<&Path>, Error> {
    for above in root.ancestors().skip(1) {
        if root.strip_prefix(above) != Ok(Path::new(SECOND)) && is_marked(above)? {
            return Ok(Some(above));
        }
    }
    Ok(None)
}

/// Whether `folder` has the mark of a store, made by us or by root: anybody can put a file of that name into a folder that all may write to.
fn is_marked(folder: &Path) -> Result<bool, Error> {
    let owner = |name: &str| -> Result<Option<u32>, Error> {
        let path = folder.join(name);
        let meta = lustre_files::if_there(fs::symlink_metadata(&path))
            .map_err(|source| PathError::new("read", &path, source))?;
        Ok(meta.filter(fs::Metadata::is_file).map(|meta| meta.uid()))
    };
    let us = rustix::process::geteuid().as_raw();
    let ours = |owner: Option<u32>| owner.is_some_and(|owner| owner == 0 || owner == us);
    let mark = folder.join(MARK);
    if !ours(owner(MARK)?) {
        return Ok(false);
    }
    let text = lustre_files::read(&mark, lustre_files::TEXT)
        .map_err(|source| PathError::new("read", &mark, source))?;
    Ok(text.starts_with(FIRST_LINE.as_bytes()))
}

/// Whether what has only names of ours is a store that was made before there was a mark: such a store has a lock that names a run, and
/// its files and stages have the names that only a store gives.
fn unmarked(root: &Path) -> Result<(), Error> {
    let refused = |why: String| Error::NotAStore {
        path: root.to_owned(),
        why,
    };
    let lock = root.join(LOCK);
    let text = lustre_files::if_there(lustre_files::read(&lock, lustre_files::TEXT))
        .map_err(|source| PathError::new("read", &lock, source))?
        .ok_or_else(|| refused(format!("it has neither {MARK} nor {LOCK}")))?;
    let begun = root.join("files").is_dir() && root.join("stages").is_dir();
    // A run that was killed as it took the lock left it empty.
    if lock::parse(&text).is_none() && !(text.is_empty() && begun) {
        return Err(refused(format!(
            "it has no {MARK}, and its {LOCK} records no run"
        )));
    }
    let hexadecimal =
        |text: &str, length| text.len() == length && text.bytes().all(|b| b.is_ascii_hexdigit());
    for (folder, fits) in [
        (
            "files",
            &(|name: &str| name == "sha256") as &dyn Fn(&str) -> bool,
        ),
        ("files/sha256", &|name| hexadecimal(name, 2)),
        ("stages", &|name| names::is_place(name)),
    ] {
        let folder = root.join(folder);
        for item in list(&folder)? {
            let name = item.file_name();
            if !name.to_str().is_some_and(fits) {
                return Err(refused(format!(
                    "it has no {MARK}, and contains {}",
                    item.path().display()
                )));
            }
        }
    }
    Ok(())
}

/// Marks `root` as a store, where it may be one and is not yet.
pub(super) fn make(root: &Path) -> Result<(), Error> {
    if look(root)? == FolderState::Store {
        return Ok(());
    }
    let path = root.join(MARK);
    let write = || {
        // Another run may be at the same: both write the same.
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        file.write_all(TEXT.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| PathError::new("write", &path, source))?;
    Ok(sync_folder(root)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder() -> String {
        "{\"pid\":1,\"command\":\"cargo xtask repo --target rehearsal\",\"started\":5}\n".to_owned()
    }

    /// Everything below a folder, with contents.
    fn snapshot(root: &Path) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<_> = walkdir::WalkDir::new(root)
            .into_iter()
            .map(|item| {
                let item = item.unwrap();
                let content = fs::read(item.path()).unwrap_or_default();
                (item.path().display().to_string(), content)
            })
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_as_it_is() {
        let of = |files: &[(&str, &str)]| {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            dir
        };
        let lock = holder();
        for files in [
            &[("tmp/mine/a", ""), ("docs/b", "x")][..],
            &[("tmp/mine/a", "")],
            &[("files/a", ""), ("stages/b", ""), ("tmp/c", "")],
            &[("store.lock", "mine")],
            &[("store.lock", &lock), ("docs/b", "x")],
            &[("store.lock", &lock), ("files/mine.txt", "x")],
            &[("store.lock", &lock), ("files/sha256/mine/a", "x")],
            &[("store.lock", &lock), ("stages/mine/a", "x")],
            &[("store.lock", &lock), ("tmp", "a file")],
            &[(MARK, "something else"), ("store.lock", &lock)],
            &[(MARK, "store of lustre-repo, format 2\n")],
            &[("store.lock", ""), ("tmp/a", "")],
        ] {
            let dir = of(files);
            let before = snapshot(dir.path());
            let error = make(dir.path()).unwrap_err();
            assert!(
                matches!(error, Error::NotAStore { .. }),
                "{files:?}: {error}"
            );
            assert_eq!(snapshot(dir.path()), before, "{files:?}");
        }
    }

    /// What a run of the one makes in there, a run of the other would remove.
    #[test]
    fn a_store_in_another_is_refused_unless_it_is_that_of_its_second_build() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path()).unwrap();
        let inner = |path: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(&path).unwrap();
            (make(&path), path)
        };
        for name in ["tmp/mine", "stages/mine", "mine", "second/mine", "second"] {
            let (made, path) = inner(name);
            let error = made.unwrap_err().to_string();
            assert!(
                error.contains(&format!("inside the store {}", dir.path().display())),
                "{error}"
            );
            assert!(!path.join(MARK).exists());
        }
        inner(SECOND).0.unwrap();
        // One that was made there before this was refused.
        let (_, path) = inner("tmp/mine");
        fs::write(path.join(MARK), TEXT).unwrap();
        assert!(matches!(look(&path), Err(Error::NotAStore { .. })));
    }

    #[test]
    fn a_folder_of_a_store_is_no_link_to_somebody_elses() {
        for folder in FOLDERS.iter().chain(&["files/sha256", SECOND]) {
            let dir = tempfile::tempdir().unwrap();
            let [store, other] = ["store", "other"].map(|name| dir.path().join(name));
            fs::create_dir_all(&store).unwrap();
            make(&store).unwrap();
            fs::create_dir_all(&other).unwrap();
            fs::write(other.join("mine"), "x").unwrap();
            let link = store.join(folder);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(&other, &link).unwrap();
            let error = look(&store).unwrap_err();
            assert!(
                matches!(&error, Error::Link { path } if *path == link),
                "{folder}: {error}"
            );
        }
    }

    #[test]
    fn a_second_build_puts_out_beside_its_store_and_nothing_else_is_put_there() {
        let dir = tempfile::tempdir().unwrap();
        make(dir.path()).unwrap();
        let around = |path: &str| store_around(&dir.path().join(path)).unwrap();
        assert_eq!(around("second/dist"), None);
        for path in [
            "second",
            "second/other",
            "second/dist/inner",
            "dist",
            "tmp/second/dist",
        ] {
            assert!(around(path).is_some(), "{path}");
        }
    }

    #[test]
    fn what_only_has_the_name_of_a_mark_is_no_store_around() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join(MARK);
        let inner = dir.path().join("inner");
        let makes = |what: &str| {
            fs::create_dir_all(&inner).unwrap();
            assert_eq!(look(&inner).unwrap(), FolderState::New, "{what}");
        };
        fs::write(&mark, "").unwrap();
        makes("an empty file");
        fs::write(&mark, "something else").unwrap();
        makes("another file");
        if rustix::process::geteuid().is_root() {
            fs::write(&mark, TEXT).unwrap();
            assert!(look(&inner).is_err(), "a mark of ours");
            std::os::unix::fs::chown(&mark, Some(12345), None).unwrap();
            makes("somebody else's");
        }
        fs::remove_file(&mark).unwrap();
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &mark).unwrap();
        fs::write(dir.path().join("elsewhere"), TEXT).unwrap();
        makes("a link");
        fs::remove_file(&mark).unwrap();
        // The store itself may be called so.
        fs::create_dir(&mark).unwrap();
        make(&mark).unwrap();
        assert_eq!(look(&mark).unwrap(), FolderState::Store);
    }

    #[test]
    fn a_folder_that_cannot_be_looked_through_is_no_store() {
        let dir = tempfile::tempdir().unwrap();
        let [lock, files] = [LOCK, "files/sha256"].map(|name| dir.path().join(name));
        let named = |path: &Path| {
            let error = make(dir.path()).unwrap_err();
            assert!(
                matches!(&error, Error::Path(it) if it.path == path),
                "{error}"
            );
            assert!(!dir.path().join(MARK).exists());
        };
        fs::write(&lock, holder()).unwrap();
        fs::create_dir(dir.path().join("files")).unwrap();
        fs::write(&files, "no folder").unwrap();
        named(&files);
        // Larger than any such file.
        let file = File::create(&lock).unwrap();
        file.set_len(lustre_files::TEXT + 1).unwrap();
        named(&lock);
    }

    #[test]
    fn new_folders_and_stores_of_earlier_versions_are_marked() {
        let lock = holder();
        for (files, found) in [
            (&[][..], FolderState::New),
            (&[(MARK, "")], FolderState::New),
            (&[(MARK, "store of lus")], FolderState::New),
            (
                &[
                    ("store.lock", lock.as_str()),
                    ("files/sha256/ab/abc", ""),
                    ("stages/lustre-tree-0123456789abcdef/stage.json", "{}"),
                    ("tmp/anything", ""),
                    ("second/store/x", ""),
                ],
                FolderState::Unmarked,
            ),
            // What an interrupted `clean --all` leaves last.
            (&[("store.lock", lock.as_str())], FolderState::Unmarked),
            (
                &[
                    ("store.lock", ""),
                    ("files/sha256/ab/c", ""),
                    ("stages/a-0123456789abcdef/x", ""),
                ],
                FolderState::Unmarked,
            ),
        ] {
            let dir = tempfile::tempdir().unwrap();
            for (path, text) in files {
                let path = dir.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(look(dir.path()).unwrap(), found, "{files:?}");
            make(dir.path()).unwrap();
            assert_eq!(look(dir.path()).unwrap(), FolderState::Store, "{files:?}");
        }
    }
}
