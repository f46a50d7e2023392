//! Unpacking tar archives that nobody vouches for.
//!
//! An entry's path is followed through folders that this archive made, never through links, so nothing is written outside
//! while unpacking; links are checked when all are there. Everything is done in a folder next to the final one, which gets
//! its name when all is well.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
use tar::EntryType;

use super::bounded::{Bounded, Budget};
use super::{Error, Refusal, check_links};
use crate::store::{PathError, remove_tree};

/// No archive gives more than this (bytes): a kernel's is a tenth of it.
const LARGEST: u64 = 32 << 30;

/// No archive has more members than this: a kernel's has a tenth of it.
const MEMBERS: u64 = 1 << 20;

/// What was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// How many files and links.
    pub files: u64,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
}

/// Unpacks the tar archive `archive` into `into`, a folder that is empty or not there, without the first `strip` folders of
/// every path (entries that are not deeper are left out, as tar does). Files get the mode 0644 or 0755 and the time that the archive has for them; owners are not restored. Folders that the archive has
/// no entry for get the time of the newest that made them necessary.
///
/// Where it fails, nothing is left in `into`.
pub fn unpack(archive: &Path, into: &Path, strip: usize) -> Result<Unpacked, Error> {
    unpack_only(archive, into, strip, &|_| true)
}

/// As [`unpack`], of an archive of which somebody said how much is in it: it gives no more than `most` bytes.
pub fn unpack_within(
    archive: &Path,
    into: &Path,
    strip: usize,
    most: u64,
) -> Result<Unpacked, Error> {
    unpack_part(archive, into, strip, most.min(LARGEST), &|_| true)
}

/// As [`unpack`], but only what `wanted` takes of its paths, which come without their first `strip` folders; the folders above come
/// with them. The whole archive is read all the same, so that damage anywhere is noticed.
///
/// A hard link to a file that was left out is refused.
pub fn unpack_only(
    archive: &Path,
    into: &Path,
    strip: usize,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Unpacked, Error> {
    unpack_part(archive, into, strip, LARGEST, wanted)
}

fn unpack_part(
    archive: &Path,
    into: &Path,
    strip: usize,
    most: u64,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<Unpacked, Error> {
    let content = super::open(archive)?;
    in_new_folder(into, |folder| {
        let mut run = Run {
            archive,
            folder,
            strip,
            most,
            wanted,
            done: Unpacked { files: 0, bytes: 0 },
            folders: BTreeMap::new(),
            made: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        run.all(content)?;
        if run.done.files == 0 {
            return Err(Error::Empty {
                archive: archive.to_owned(),
                strip,
            });
        }
        run.check_links()?;
        // From the inside out: writing into a folder changes its time.
        let mut folders = std::mem::take(&mut run.made);
        folders.append(&mut run.folders);
        for (path, time) in folders.iter().rev() {
            finish(&folder.join(path), Some(0o755), *time)?;
        }
        Ok(run.done)
    })
}

/// Runs `make` on a new folder next to `into`, which becomes `into` when all went well and is removed otherwise.
pub(super) fn in_new_folder<T>(
    into: &Path,
    make: impl FnOnce(&Path) -> Result<T, Error>,
) -> Result<T, Error> {
    if fs::read_dir(into).is_ok_and(|mut items| items.next().is_some()) {
        return Err(Error::NotEmpty {
            path: into.to_owned(),
        });
    }
    let parent = into.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|source| PathError::new("create", parent, source))?;
    let temp = tempfile::Builder::new()
        .prefix(".unpacking-")
        .tempdir_in(parent)
        .map_err(|source| PathError::new("create a folder in", parent, source))?
        .keep();
    let made = make(&temp).and_then(|made| {
        fs::set_permissions(&temp, Permissions::from_mode(0o755))
            .and_then(|()| fs::rename(&temp, into))
            .map_err(|source| PathError::new("rename to", into, source))?;
        Ok(made)
    });
    if made.is_err() {
        // The first error is the one to tell; what stays is named `.unpacking-` and in a temporary folder.
        let _ = remove_tree(&temp);
    }
    made
}

struct Run<'a> {
    archive: &'a Path,
    folder: &'a Path,
    strip: usize,
    /// How many bytes it may give.
    most: u64,
    /// Which files and links are unpacked.
    wanted: &'a dyn Fn(&Path) -> bool,
    done: Unpacked,
    /// Folders by path, with the time the archive gives.
    folders: BTreeMap<PathBuf, u64>,
    /// Folders by path that something lies in, the top one among them, with the time of the newest of that.
    made: BTreeMap<PathBuf, u64>,
    /// The archive's names of links, by path.
    links: BTreeMap<PathBuf, String>,
}

impl Run<'_> {
    fn all(&mut self, content: Box<dyn Read>) -> Result<(), Error> {
        let damaged = |source| Error::Damaged {
            archive: self.archive.to_owned(),
            source,
        };
        let budget = Budget::new(self.most);
        let mut tar = tar::Archive::new(budget.reader(content));
        let mut entries = tar.entries().map_err(damaged)?;
        let mut members = 0;
        while let Some(mut item) = budget.next(&mut entries).map_err(damaged)? {
            members += 1;
            if members > MEMBERS {
                let why = format!("it has more than {MEMBERS} members");
                return Err(damaged(io::Error::new(io::ErrorKind::InvalidData, why)));
            }
            if item.header().entry_type() == EntryType::GNUSparse {
                budget.take(item.size()).map_err(damaged)?;
            }
            self.one(&mut item)?;
            // Of what was not unpacked, the rest.
            io::copy(&mut item, &mut io::sink()).map_err(damaged)?;
        }
        // The rest of the compressed stream holds its checksum.
        let damaged = |source| Error::Damaged {
            archive: self.archive.to_owned(),
            source,
        };
        io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(damaged)?;
        Ok(())
    }

    fn one(&mut self, item: &mut tar::Entry<'_, Bounded<Box<dyn Read>>>) -> Result<(), Error> {
        let name = String::from_utf8_lossy(&item.path_bytes()).into_owned();
        let refuse = |why| Error::Refused {
            archive: self.archive.to_owned(),
            entry: name.clone(),
            why,
        };
        let damaged = |source| Error::Damaged {
            archive: self.archive.to_owned(),
            source,
        };
        let kind = item.header().entry_type();
        if kind.is_pax_global_extensions() {
            return Ok(());
        }
        let Some(path) = inner_path(&item.path_bytes(), self.strip).map_err(&refuse)? else {
            return Ok(());
        };
        let mtime = item.header().mtime().map_err(damaged)?;
        let full = self.folder.join(&path);
        let link = item.link_name_bytes().map(std::borrow::Cow::into_owned);
        if !(self.wanted)(&path) {
            return Ok(());
        }
        match kind {
            EntryType::Directory => {
                if path.as_os_str().is_empty() {
                    self.folders.insert(path, mtime);
                    return Ok(());
                }
                self.make_parents(&path, mtime)
                    .map_err(|error| error.or(&refuse))?;
                self.make_folder(&path).map_err(|error| error.or(&refuse))?;
                self.folders.insert(path, mtime);
                return Ok(());
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                self.make_parents(&path, mtime)
                    .map_err(|error| error.or(&refuse))?;
                clear(&full).map_err(|error| error.or(&refuse))?;
                let mode = item.header().mode().map_err(damaged)?;
                let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
                self.done.bytes += write_file(self.archive, item, &full, mode, mtime)?;
            }
            EntryType::Symlink => {
                let target = link.ok_or_else(|| refuse(Refusal::Name))?;
                self.make_parents(&path, mtime)
                    .map_err(|error| error.or(&refuse))?;
                clear(&full).map_err(|error| error.or(&refuse))?;
                std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(&target), &full)
                    .map_err(|source| PathError::new("create", &full, source))?;
                finish(&full, None, mtime)?;
                self.links.insert(path, name);
            }
            EntryType::Link => {
                let target = link.ok_or_else(|| refuse(Refusal::Name))?;
                let shown = String::from_utf8_lossy(&target).into_owned();
                let bad = || refuse(Refusal::HardLink(shown.clone()));
                let from = inner_path(&target, self.strip)
                    .map_err(|_| bad())?
                    .ok_or_else(bad)?;
                let from_is_file = self.no_links_in(&from).is_ok()
                    && fs::symlink_metadata(self.folder.join(&from))
                        .is_ok_and(|meta| meta.is_file());
                if !from_is_file {
                    return Err(bad());
                }
                if from == path {
                    return Ok(());
                }
                self.make_parents(&path, mtime)
                    .map_err(|error| error.or(&refuse))?;
                clear(&full).map_err(|error| error.or(&refuse))?;
                fs::hard_link(self.folder.join(&from), &full)
                    .map_err(|source| PathError::new("create", &full, source))?;
            }
            EntryType::Char | EntryType::Block => {
                return Err(refuse(Refusal::Kind("a device".to_owned())));
            }
            EntryType::Fifo => return Err(refuse(Refusal::Kind("a pipe".to_owned()))),
            other => {
                let kind = format!("of the unknown kind {:#04x}", other.as_byte());
                return Err(refuse(Refusal::Kind(kind)));
            }
        }
        self.done.files += 1;
        Ok(())
    }

    /// Makes the folders above `path`, something of the time `mtime`, and refuses links among them.
    fn make_parents(&mut self, path: &Path, mtime: u64) -> Result<(), Stop> {
        for above in path.ancestors().skip(1) {
            let time = self.made.entry(above.to_owned()).or_insert(mtime);
            *time = mtime.max(*time);
        }
        let mut at = PathBuf::new();
        for part in path.parent().into_iter().flat_map(Path::components) {
            at.push(part);
            self.make_folder(&at)?;
        }
        Ok(())
    }

    fn make_folder(&self, path: &Path) -> Result<(), Stop> {
        let full = self.folder.join(path);
        match fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_dir() => Ok(()),
            Ok(meta) if meta.is_symlink() => Err(Stop::Refusal(Refusal::ThroughLink(
                path.display().to_string(),
            ))),
            Ok(_) => Err(Stop::Refusal(Refusal::Conflict)),
            Err(_) => fs::create_dir(&full)
                .map_err(|source| Stop::Path(PathError::new("create", &full, source))),
        }
    }

    /// That no folder above `path` is a link.
    fn no_links_in(&self, path: &Path) -> Result<(), Refusal> {
        for above in path.ancestors().skip(1) {
            let full = self.folder.join(above);
            if !above.as_os_str().is_empty() && full.is_symlink() {
                return Err(Refusal::ThroughLink(above.display().to_string()));
            }
        }
        Ok(())
    }

    fn check_links(&self) -> Result<(), Error> {
        check_links(self.folder).map_err(|error| match error {
            Error::Link { link, target } => Error::Refused {
                archive: self.archive.to_owned(),
                entry: self
                    .links
                    .get(&link)
                    .cloned()
                    .unwrap_or_else(|| link.display().to_string()),
                why: Refusal::LinkOut(target.display().to_string()),
            },
            other => other,
        })
    }
}

/// Why an entry cannot be made, before it is known how to say so.
enum Stop {
    Refusal(Refusal),
    Path(PathError),
}

impl Stop {
    fn or(self, refuse: &dyn Fn(Refusal) -> Error) -> Error {
        match self {
            Self::Refusal(why) => refuse(why),
            Self::Path(error) => error.into(),
        }
    }
}

/// An entry's path without its first `strip` parts; `None` where nothing is left. Only plain names are let through.
fn inner_path(bytes: &[u8], strip: usize) -> Result<Option<PathBuf>, Refusal> {
    if bytes.is_empty() || bytes.contains(&0) {
        return Err(Refusal::Name);
    }
    let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(Refusal::Climbs),
            Component::RootDir | Component::Prefix(_) => return Err(Refusal::Absolute),
        }
    }
    if parts.len() < strip || (strip > 0 && parts.len() == strip) {
        return Ok(None);
    }
    Ok(Some(parts[strip..].iter().collect()))
}

/// Makes room for a file: an earlier file of the same name goes, as tar has it; a link or a folder is refused.
fn clear(full: &Path) -> Result<(), Stop> {
    match fs::symlink_metadata(full) {
        Err(_) => Ok(()),
        Ok(meta) if meta.is_file() => fs::remove_file(full)
            .map_err(|source| Stop::Path(PathError::new("replace", full, source))),
        Ok(meta) if meta.is_symlink() => {
            let name = full.file_name().unwrap_or_default().to_string_lossy();
            Err(Stop::Refusal(Refusal::ThroughLink(name.into_owned())))
        }
        Ok(_) => Err(Stop::Refusal(Refusal::Conflict)),
    }
}

fn write_file(
    archive: &Path,
    content: &mut dyn Read,
    full: &Path,
    mode: u32,
    mtime: u64,
) -> Result<u64, Error> {
    let failed = |source| PathError::new("write", full, source);
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(full)
        .map_err(failed)?;
    let mut write_error = None;
    let copied = crate::store::copy_bytes(content, &mut |bytes| {
        file.write_all(bytes).map_err(|error| {
            let kind = error.kind();
            write_error = Some(error);
            kind.into()
        })
    });
    if let Some(error) = write_error {
        return Err(failed(error).into());
    }
    let length = copied.map_err(|source| Error::Damaged {
        archive: archive.to_owned(),
        source,
    })?;
    finish(full, Some(mode), mtime)?;
    Ok(length)
}

/// Sets mode and time, whatever the umask and the clock are.
pub(crate) fn finish(full: &Path, mode: Option<u32>, mtime: u64) -> Result<(), PathError> {
    if let Some(mode) = mode {
        fs::set_permissions(full, Permissions::from_mode(mode))
            .map_err(|source| PathError::new("set the mode of", full, source))?;
    }
    let time = Timespec {
        tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, full, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|errno| PathError::new("set the time of", full, errno.into()))
}
