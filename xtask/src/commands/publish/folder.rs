//! Publishing to a folder of this machine.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised};
use lustre_packaging::process::room::Place;
use lustre_repository::publishing::{
    HOME, Listing, PARTIAL, Release, RemoteEntry, STAGING, Shape, Upload,
};
use lustre_repository::{assets, layout, sums};
use rustix::fs::{
    CWD, FlockOperation, Mode, OFlags, RenameFlags, flock, mkdirat, openat, renameat_with, syncfs,
};
use rustix::io::Errno;

use super::destination::Destination;
use crate::context;
use crate::exit::Usage;
use crate::published_tree;
use crate::ui;

/// A folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder `path`, which need not be there, for the repository at `dist`, where there is one.
    pub fn new(path: &Path, dist: Option<&Path>) -> anyhow::Result<Self> {
        let refused = |why: &dyn Display| {
            let what = format_args!("cannot publish to {}: {why}", path.display());
            Usage::new(Advised::of(&what))
        };
        let path = real(path).map_err(|error| refused(&error))?;
        if let Some(dist) = dist
            && (path.starts_with(dist) || dist.starts_with(&path))
        {
            return Err(refused(&advised(
                format!(
                    "it is the repository at {} itself, or one is in the other",
                    dist.display()
                ),
                "give another folder",
            ))
            .into());
        }
        if let Some(around) = layout::around(&path) {
            return Err(refused(&advised(
                format!("it is inside the repository at {}", around.display()),
                "give a folder beside that",
            ))
            .into());
        }
        // A store is cleaned as a whole, and what `build --output` wrote is refused with a file more.
        context::judge_beside("what is published", &path)?;
        let found = lustre_files::if_there(fs::metadata(&path));
        match found.map_err(|error| refused(&error))? {
            Some(found) if !found.is_dir() => Err(refused(&"it is no folder").into()),
            _ => Ok(Self { path }),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// The folder `path` below this one; no link is followed on the way to it. None where it is not there.
    fn there(&self, path: &str) -> anyhow::Result<Option<OpenedFolder>> {
        self.open(path, false)
    }

    /// The same, made where it is not there.
    fn made(&self, path: &str) -> anyhow::Result<OpenedFolder> {
        let made = self.open(path, true)?;
        made.with_context(|| format!("{} was removed meanwhile", self.at(path).display()))
    }

    fn open(&self, path: &str, make: bool) -> anyhow::Result<Option<OpenedFolder>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |at: &str, error: Errno| {
            let at = self.at(at);
            match error {
                Errno::NOTDIR | Errno::LOOP => anyhow::Error::from(advised(
                    format!("{} has to be a folder, and is none", at.display()),
                    "look who put it there, and remove it",
                )),
                _ => self.failing(&format!("cannot make {}", at.display()), error.into()),
            }
        };
        let mut folder =
            openat(CWD, &self.path, flags, Mode::empty()).map_err(|error| failed("", error))?;
        for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
            let so_far = &path[..end];
            let name = so_far.rsplit('/').next().unwrap_or_default();
            if name.is_empty() {
                continue;
            }
            if make {
                match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(failed(so_far, error)),
                }
            }
            folder = match openat(&folder, name, flags, Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(failed(so_far, error)),
            };
        }
        Ok(Some(OpenedFolder(folder)))
    }

    fn unfit(&self) -> Advised {
        advised(
            format!("cannot publish to {}", self.path.display()),
            "choose a folder that this user can write to",
        )
    }

    /// Makes the folder, and those above it; `made` are those that were not there, the innermost first.
    fn make(&self, made: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        let above = self.path.ancestors();
        let missing = above.take_while(|folder| folder.symlink_metadata().is_err());
        for folder in missing {
            if !made.iter().any(|it| it == folder) {
                made.push(folder.to_owned());
            }
        }
        fs::create_dir_all(&self.path).with_context(|| self.unfit())
    }

    fn lock(&self) -> anyhow::Result<fs::File> {
        let unfit = || self.unfit();
        let lock = lustre_files::open_folder(&self.path).with_context(unfit)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            ui::say(&format!(
                "waiting for another run that publishes to {}",
                self.path.display()
            ));
            flock(&lock, FlockOperation::LockExclusive).with_context(unfit)?;
        }
        Ok(lock)
    }

    /// Where something is put that is not in its place yet, below the name `next`. What a killed run left there goes.
    fn aside(&self) -> anyhow::Result<OpenedFolder> {
        let folder = self.made(PARTIAL)?;
        lustre_files::remove_tree(&folder.at(NEXT))
            .with_context(|| format!("cannot empty {}", self.at(PARTIAL).display()))?;
        Ok(folder)
    }

    /// What could not be done here, with what to do about it.
    fn failing(&self, what: &str, error: io::Error) -> anyhow::Error {
        const BEFORE: &str = "clients read what they read before";
        let (what, help) = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let place = Place::of(&self.path).map(|place| format!(" (now {place})"));
                (
                    format!("the disk was full: {what}{}", place.unwrap_or_default()),
                    format!("{BEFORE}: make room there, and run the same command again"),
                )
            }
            io::ErrorKind::ReadOnlyFilesystem => (
                what.to_owned(),
                "make the file system writable, or choose another folder".to_owned(),
            ),
            io::ErrorKind::PermissionDenied => (
                what.to_owned(),
                "choose a folder that this user can write to".to_owned(),
            ),
            _ => (
                what.to_owned(),
                format!("{BEFORE}: run the same command again when that is mended"),
            ),
        };
        anyhow::Error::new(error).context(advised(what, help))
    }
}

/// Nobody else of this tool is at the folder. Where nothing came to be in it, the folders that were made for it go again.
struct Alone {
    made: Vec<PathBuf>,
    _lock: fs::File,
}

impl Drop for Alone {
    fn drop(&mut self) {
        for folder in &self.made {
            // What has something in it stays.
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// What is not in its place yet is called in its folder.
const NEXT: &str = "next";

/// A folder that was opened: whatever is put in its place meanwhile, this one is meant.
struct OpenedFolder(OwnedFd);

impl OpenedFolder {
    /// A path of what is in it.
    fn at(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}

/// The folder that something is in, and its name there.
fn parted(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The path without links and `..`, also of what is not there yet.
fn real(path: &Path) -> io::Result<PathBuf> {
    let full = std::path::absolute(path)?;
    let there = full.ancestors().find(|it| it.symlink_metadata().is_ok());
    let there = there.unwrap_or(Path::new("/"));
    let rest = full.strip_prefix(there).unwrap_or(Path::new(""));
    let up = rest
        .components()
        .any(|it| it == std::path::Component::ParentDir);
    if up {
        return Err(io::Error::other("`..` of a folder that is not there"));
    }
    let real = fs::canonicalize(there)?;
    Ok(match rest.as_os_str().is_empty() {
        true => real,
        false => real.join(rest),
    })
}

impl Destination for Folder {
    fn shape(&self) -> Shape {
        Shape::Linked
    }

    fn alone(&self, make: bool) -> anyhow::Result<Option<Box<dyn Any>>> {
        if !make && !self.path.exists() {
            return Ok(None);
        }
        let mut made = Vec::new();
        loop {
            if make {
                self.make(&mut made)?;
            }
            let lock = self.lock()?;
            // Another run that waited longer may have removed what it had made.
            let same = lustre_files::if_there(fs::metadata(&self.path))
                .and_then(|there| Ok((there, lock.metadata()?)))
                .with_context(|| format!("cannot read {}", self.path.display()))?;
            if let (Some(there), own) = same
                && (there.dev(), there.ino()) == (own.dev(), own.ino())
            {
                return Ok(Some(Box::new(Alone { made, _lock: lock })));
            }
            if !make {
                return Ok(None);
            }
        }
    }

    fn is_in_one_piece(&self, listing: &Listing) -> anyhow::Result<()> {
        let mut own: Vec<String> = [HOME, STAGING, assets::FOLDER].map(str::to_owned).into();
        own.extend(layout::Kind::ALL.map(|kind| kind.folder().to_owned()));
        for mounted in lustre_files::mounted(&self.path)? {
            let Ok(within) = mounted.strip_prefix(&self.path) else {
                continue;
            };
            let Some(first) = within.components().next() else {
                continue;
            };
            let first = first.as_os_str().to_string_lossy();
            let is_folder = matches!(listing.get(&*first), Some(RemoteEntry::Folder));
            if own.iter().any(|own| *own == first) || !is_folder {
                bail!(advised(
                    format!(
                        "something is mounted at {}, and files are put in their places by renaming, which does not go there",
                        mounted.display()
                    ),
                    format!(
                        "unmount it (`umount {}`), or have all of {} on one disk",
                        mounted.display(),
                        self.path.display()
                    ),
                ));
            }
        }
        Ok(())
    }

    fn list(&self) -> anyhow::Result<Listing> {
        published_tree::list(&self.path)
    }

    fn compare(&self, _: &Path, release: &Release, listing: &mut Listing) -> anyhow::Result<()> {
        let sizes: std::collections::BTreeSet<u64> =
            release.files.iter().filter_map(|file| file.size).collect();
        for (path, found) in listing {
            let RemoteEntry::File { size, sha256 } = found else {
                continue;
            };
            let own = path.starts_with(HOME) || release.file(path).is_some();
            if own && sizes.contains(size) {
                let path = self.path.join(path);
                let read = sums::sha256(&path);
                let (digest, _) =
                    read.with_context(|| format!("cannot read {}", path.display()))?;
                *sha256 = Some(digest);
            }
        }
        Ok(())
    }

    fn local(&self, _: &[String], _: &Path, _: u64) -> anyhow::Result<PathBuf> {
        Ok(self.path.clone())
    }

    fn has_room(&self, bytes: u64) -> anyhow::Result<()> {
        let Some(place) = Place::of(&self.path) else {
            return Ok(());
        };
        if place.free >= bytes && !place.no_files {
            return Ok(());
        }
        bail!(advised(
            format!(
                "the disk is full: {} MiB are to be sent to {}, and {place}",
                bytes.div_ceil(1 << 20),
                self.path.display()
            ),
            "make room there, or choose another folder, and run the same command again"
        ))
    }

    fn for_links(&self) -> anyhow::Result<Option<PathBuf>> {
        self.aside()?;
        Ok(Some(self.at(PARTIAL)))
    }

    fn put(&self, puts: &[(PathBuf, &Upload)]) -> anyhow::Result<()> {
        for (from, put) in puts {
            let aside = self.aside()?;
            let (folder, name) = parted(&put.path);
            let folder = self.made(folder)?;
            let judge = |copy: &Path| match sums::sha256(copy)? {
                (digest, _) if digest == put.sha256 => Ok(()),
                (digest, _) => Err(io::Error::other(format!(
                    "the copy has sha256 {digest} instead of {}: it was changed meanwhile, or a disk is faulty",
                    put.sha256
                ))),
            };
            let next = aside.at(NEXT);
            let copied = lustre_files::copy_whole(from, folder.at(name), &next, judge);
            if copied.is_err() {
                let _ = fs::remove_file(&next);
            }
            copied.map_err(|error| {
                let to = self.at(&put.path);
                let what = format!("cannot copy {} to {}", from.display(), to.display());
                self.failing(&what, error)
            })?;
            if lustre_packaging::process::interrupted() {
                bail!(advised(
                    "interrupted",
                    "run the same command again to go on"
                ));
            }
        }
        Ok(())
    }

    fn link(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for (path, to) in links {
            let (folder, name) = parted(path);
            let folder = self.made(folder)?;
            let aside = self.aside()?;
            let next = aside.at(NEXT);
            let made = symlink(to, &next).and_then(|()| fs::rename(&next, folder.at(name)));
            made.map_err(|error| {
                let what = format!("cannot make the link {}", self.at(path).display());
                self.failing(&what, error)
            })?;
        }
        Ok(())
    }

    fn take_over(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for (path, to) in links {
            let (folder, name) = parted(path);
            let folder = self.made(folder)?;
            let aside = self.aside()?;
            let (next, place) = (aside.at(NEXT), folder.at(name));
            let making = |error: io::Error| {
                let what = format!("cannot put a link in place of {}", self.at(path).display());
                self.failing(&what, error)
            };
            symlink(to, &next).map_err(making)?;
            if place.symlink_metadata().map_err(making)?.is_dir() {
                // Both in one step, where the file system can.
                let swapped = renameat_with(CWD, &next, CWD, &place, RenameFlags::EXCHANGE);
                if swapped.is_err() {
                    ui::warn(&format!(
                        "warning: the file system of {} cannot exchange two names: for a moment, clients do not find it",
                        self.at(path).display()
                    ));
                    let old = aside.at("old");
                    fs::rename(&place, &old).map_err(making)?;
                    fs::rename(&next, &place).map_err(making)?;
                }
                self.remove(&[PARTIAL.to_owned()])?;
            } else {
                fs::rename(&next, &place).map_err(making)?;
            }
        }
        Ok(())
    }

    fn probe(&self, path: &str) -> anyhow::Result<()> {
        let path = self.at(path);
        fs::metadata(&path)
            .map(drop)
            .with_context(|| format!("{} has no links: {}", self.path.display(), path.display()))
    }

    fn settle(&self) -> anyhow::Result<()> {
        let folder = lustre_files::open_folder(&self.path)?;
        syncfs(&folder).map_err(|error| {
            let what = format!("cannot write {} to the disk", self.path.display());
            self.failing(&what, error.into())
        })
    }

    fn remove(&self, paths: &[String]) -> anyhow::Result<()> {
        for path in paths {
            let (folder, name) = parted(path);
            let Some(folder) = self.there(folder)? else {
                continue;
            };
            lustre_files::remove_tree(&folder.at(name))
                .with_context(|| format!("cannot remove {}", self.at(path).display()))?;
        }
        Ok(())
    }
}
