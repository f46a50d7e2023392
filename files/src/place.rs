//! Places that somebody names for what we write: whether a folder or a file can be put there, found out before there is anything to put.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::help::{Advised, advised};
use super::path_error::{PathError, tried};
use super::{shown, swap};

/// How long the path of a place may be, so that what is below it has one, too (bytes; Linux takes 4095).
const LONGEST: usize = 3500;

/// What is at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occupant {
    Nothing,
    /// One that could be replaced, by what it is.
    Folder,
    /// Something else than a folder.
    Other,
}

/// What is at the place `out` of a folder that is to be replaced as a whole. A link is none, and neither is where something is mounted.
pub fn there(out: &Path) -> Result<Occupant, Advised> {
    let said = |error: io::Error| Advised::from(error.to_string());
    // With a slash at its end, a link would be what it leads to.
    let out: &Path = &out.components().collect::<PathBuf>();
    let Some(found) = can_be_there(fs::symlink_metadata(out)).map_err(said)? else {
        return Ok(Occupant::Nothing);
    };
    if found.is_symlink() {
        return Err(advised("it is a link", "give the folder that it points to"));
    }
    if !found.is_dir() {
        return Ok(Occupant::Other);
    }
    // Under its own name, whatever `..` led to it.
    let folder = fs::canonicalize(out).map_err(said)?;
    let mounted = super::mounted(&folder).map_err(|error| Advised::of(&error))?;
    if folder.parent().is_none() || mounted.contains(&folder) {
        return Err(advised(
            "something is mounted there, and what is written takes its place by renaming",
            "give a folder below it",
        ));
    }
    Ok(Occupant::Folder)
}

/// That nothing is mounted below the folder `out`, and that nobody's work goes on in it: this run's own, for one.
pub fn can_go(out: &Path) -> Result<(), Advised> {
    let mounted = super::mounted(out).map_err(|error| Advised::of(&error))?;
    if let Some(below) = mounted.first() {
        let below = shown(below);
        return Err(advised(
            format!("something is mounted below it, at {below}, and would be removed"),
            format!("unmount it (`umount {below}`), or give another folder"),
        ));
    }
    let (Ok(folder), Ok(here)) = (fs::canonicalize(out), std::env::current_dir()) else {
        return Ok(());
    };
    if here.starts_with(&folder) {
        return Err(advised(
            format!(
                "it is replaced as a whole, and this runs in it, in {}",
                shown(&here)
            ),
            "run in a folder that is not in it",
        ));
    }
    Ok(())
}

/// That a folder or a file can be made at `out`: its name leaves room for what is added while it is written, and the nearest folder above it
/// that is there can be written to. It leaves everything as it is.
pub fn can_be_made(out: &Path) -> Result<(), Advised> {
    let (above, missing) = nearest(out)?;
    let whole = missing.iter().map(|name| name.as_os_str().len() + 1);
    let whole = above.as_os_str().len() + whole.sum::<usize>();
    if whole > LONGEST {
        return Err(advised(
            format!(
                "its path has {whole} bytes, and no more than {LONGEST} leave room for what is below it"
            ),
            "give a shorter one",
        ));
    }
    let stat = rustix::fs::statvfs(&above)
        .map_err(|error| format!("{}: {error}", shown(&above)))
        .map_err(Advised::from)?;
    let most = usize::try_from(stat.f_namemax).unwrap_or(usize::MAX);
    for (at, name) in missing.iter().enumerate() {
        // The last one has another beside it while it is written.
        let more = if at == 0 { swap::LONGER } else { 0 };
        let length = name.as_os_str().len();
        if length + more > most {
            return Err(advised(
                format!(
                    "the name {} has {length} bytes, and no more than {} fit there",
                    shown(name),
                    most.saturating_sub(more)
                ),
                "give a shorter one",
            ));
        }
    }
    // What permissions say is not all: a file system may take no folders, or nothing at all.
    tempfile::Builder::new()
        .prefix(".lustre-repo-")
        .tempdir_in(&above)
        .and_then(tempfile::TempDir::close)
        .map_err(|error| {
            advised(
                format!("cannot write to {}: {error}", shown(&above)),
                "give a place that can be written to",
            )
        })
}

/// The nearest folder above `out` that is there, and the names from that of `out` up to it.
fn nearest(out: &Path) -> Result<(PathBuf, Vec<PathBuf>), Advised> {
    let full = fs::canonicalize(out)
        .or_else(|_| std::path::absolute(out))
        .map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    let mut at = full.as_path();
    loop {
        let (Some(name), Some(above)) = (at.file_name(), at.parent()) else {
            return Err(advised(
                "its last component is not a name",
                "give the folder's own name",
            ));
        };
        names.push(PathBuf::from(name));
        match fs::metadata(above) {
            Ok(meta) if meta.is_dir() => return Ok((above.to_owned(), names)),
            Ok(_) => return Err(format!("{} is no folder", shown(above)).into()),
            Err(error) => {
                can_be_there::<()>(Err(error))
                    .map_err(|error| format!("{}: {error}", shown(above)))?;
                at = above;
            }
        }
    }
}

/// None where what was asked for is not there, or cannot be: its name is too long.
fn can_be_there<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NAMETOOLONG) => Ok(None),
        result => super::if_there(result),
    }
}

/// The path without links, as far as it is there.
pub fn real(path: &Path) -> Result<PathBuf, Advised> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    for there in path.ancestors() {
        let found = can_be_there(fs::canonicalize(there))
            .map_err(|error| format!("{}: {error}", shown(&path)))?;
        if let Some(found) = found {
            let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
            return Ok(found.join(rest));
        }
        // Where it leads is there once something is made there.
        if fs::symlink_metadata(there).is_ok() {
            return Err(advised(
                format!(
                    "{} cannot be used: {} is a dangling link",
                    shown(&path),
                    shown(there)
                ),
                "give the folder itself",
            ));
        }
    }
    Ok(path)
}

/// What is in a folder and does not belong there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// How many there are; a folder is one with all that is in it.
    pub count: usize,
    /// The first of them.
    pub names: String,
}

/// What is in the folder `out` that is neither one of the files `own`, nor a folder with one, nor one of the `folders`. Names alone are
/// compared.
pub fn foreign(
    out: &Path,
    own: &HashSet<&Path>,
    folders: &[PathBuf],
) -> Result<Option<Foreign>, PathError> {
    /// How many names are said.
    const SHOWN: usize = 5;
    let folders = folders.iter().map(PathBuf::as_path);
    let folders: HashSet<&Path> = own
        .iter()
        .copied()
        .chain(folders.clone())
        .flat_map(|path| path.ancestors().skip(1))
        .chain(folders)
        .collect();
    let mut all = Vec::new();
    // The next one is the last: those of a folder before what stands behind it.
    let mut left = entries(out, Path::new(""))?;
    while let Some((name, is_folder)) = left.pop() {
        if if is_folder { &folders } else { own }.contains(name.as_path()) {
            if is_folder {
                left.extend(entries(out, &name)?);
            }
            continue;
        }
        let slash = if is_folder { "/" } else { "" };
        all.push(format!("{}{slash}", shown(&name)));
    }
    let count = all.len();
    if count == 0 {
        return Ok(None);
    }
    if count > SHOWN {
        all.truncate(SHOWN);
        all.push(format!("and {} more", count - SHOWN));
    }
    let names = all.join(", ");
    Ok(Some(Foreign { count, names }))
}

/// What is in `out/below`, the last name first, and whether each is a folder.
fn entries(out: &Path, below: &Path) -> Result<Vec<(PathBuf, bool)>, PathError> {
    let folder = out.join(below);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).map_err(tried("read", &folder))? {
        let entry = entry.map_err(tried("read", &folder))?;
        let kind = entry.file_type().map_err(tried("read", entry.path()))?;
        found.push((below.join(entry.file_name()), kind.is_dir()));
    }
    found.sort();
    found.reverse();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_to_leave_room_for_what_is_added_while_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let most = 255 - swap::LONGER;
        can_be_made(&dir.path().join("a".repeat(most))).unwrap();
        swap::FolderAside::new(&dir.path().join("a".repeat(most))).unwrap();
        for name in [
            "a".repeat(most + 1),
            "a".repeat(255),
            "a".repeat(256),
            format!("{}/dist", "a".repeat(256)),
            format!("new/{}/dist", "a".repeat(256)),
            format!("new/{}", "a".repeat(most + 1)),
            "deep/".repeat(800),
        ] {
            let error = can_be_made(&dir.path().join(&name)).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("give a shorter one"), "{name}: {error}");
        }
        can_be_made(&dir.path().join("a".repeat(255)).join("dist")).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_path_that_ends_in_no_name_is_a_place_where_it_is_one_and_told_where_it_is_none() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("out/below")).unwrap();
        let out = dir.path().join("out/below/..");
        assert_eq!(there(&out), Ok(Occupant::Folder));
        can_be_made(&out).unwrap();
        let aside = swap::FolderAside::new(&out).unwrap();
        fs::write(aside.path().join("new"), "").unwrap();
        aside.commit(|| Ok(())).unwrap();
        assert!(dir.path().join("out/new").exists());
        let none = dir.path().join("none/..");
        assert_eq!(there(&none), Ok(Occupant::Nothing));
        let error = can_be_made(&none).unwrap_err().to_string();
        assert!(error.contains("not a name; give"), "{error}");
        // Where tests run.
        for here in [".", "src/.."] {
            let error = can_go(Path::new(here)).unwrap_err().to_string();
            assert!(error.contains("runs in it"), "{error}");
        }
        can_go(dir.path()).unwrap();
    }
}
