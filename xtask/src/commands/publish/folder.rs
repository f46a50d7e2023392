//! Publishing to a folder of this machine.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised};
use lustre_repository::publishing::{Found, HOME, Listing, PARTIAL, Put, Release, Shape};
use lustre_repository::sums;
use rustix::fs::{CWD, FlockOperation, RenameFlags, flock, renameat_with, syncfs};
use walkdir::WalkDir;

use super::destination::Destination;
use crate::exit::Usage;
use crate::ui;

/// A folder.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder `path`, which need not be there, for the repository at `dist`, where there is one.
    ///
    /// # Errors
    /// When it is no folder, or one of the two is in the other.
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
        let found = lustre_files::if_there(fs::metadata(&path));
        match found.map_err(|error| refused(&error))? {
            Some(found) if !found.is_dir() => Err(refused(&"it is no folder").into()),
            _ => Ok(Self { path }),
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// A path for something that is not in its place yet. What a killed run left there goes.
    fn aside(&self) -> anyhow::Result<PathBuf> {
        let folder = self.at(PARTIAL);
        let making = || format!("cannot make {}", folder.display());
        fs::create_dir_all(&folder).with_context(making)?;
        let path = folder.join("next");
        lustre_files::remove_tree(&path)?;
        Ok(path)
    }

    fn make_parent(&self, path: &Path) -> anyhow::Result<()> {
        let parent = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))
    }
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

    fn alone(&self) -> anyhow::Result<Option<Box<dyn Any>>> {
        let unfit = || {
            advised(
                format!("cannot publish to {}", self.path.display()),
                "choose a folder that this user can write to",
            )
        };
        fs::create_dir_all(&self.path).with_context(unfit)?;
        let lock = lustre_files::open_folder(&self.path).with_context(unfit)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            ui::say(&format!(
                "waiting for another run that publishes to {}",
                self.path.display()
            ));
            flock(&lock, FlockOperation::LockExclusive).with_context(unfit)?;
        }
        Ok(Some(Box::new(lock)))
    }

    fn list(&self) -> anyhow::Result<Listing> {
        let mut listing = Listing::new();
        if !self.path.exists() {
            return Ok(listing);
        }
        let reading = || format!("cannot read {}", self.path.display());
        for entry in WalkDir::new(&self.path).min_depth(1) {
            let entry = entry.with_context(reading)?;
            let within = entry
                .path()
                .strip_prefix(&self.path)
                .with_context(reading)?;
            let found = match entry.file_type() {
                kind if kind.is_dir() => Found::Folder,
                kind if kind.is_symlink() => {
                    let to = fs::read_link(entry.path()).with_context(reading)?;
                    Found::Link(to.to_string_lossy().into_owned())
                }
                _ => Found::File {
                    size: entry.metadata().with_context(reading)?.len(),
                    sha256: None,
                },
            };
            listing.insert(within.to_string_lossy().into_owned(), found);
        }
        Ok(listing)
    }

    fn compare(&self, release: &Release, listing: &mut Listing) -> anyhow::Result<()> {
        let sizes: std::collections::BTreeSet<u64> =
            release.files.iter().filter_map(|file| file.size).collect();
        for (path, found) in listing {
            let Found::File { size, sha256 } = found else {
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

    fn put(&self, puts: &[(PathBuf, &Put)]) -> anyhow::Result<()> {
        for (from, put) in puts {
            let to = self.at(&put.path);
            let aside = self.aside()?;
            self.make_parent(&to)?;
            let judge = |copy: &Path| match sums::sha256(copy)? {
                (digest, _) if digest == put.sha256 => Ok(()),
                (digest, _) => Err(io::Error::other(format!(
                    "the copy has sha256 {digest} instead of {}: it was changed meanwhile, or a disk is faulty",
                    put.sha256
                ))),
            };
            let copied = lustre_files::copy_whole(from, &to, &aside, judge);
            if copied.is_err() {
                let _ = fs::remove_file(&aside);
            }
            copied.with_context(|| {
                advised(
                    format!("cannot copy {} to {}", from.display(), to.display()),
                    "clients read what they read before: run the same \
                    command again when that is mended",
                )
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
            let path = self.at(path);
            self.make_parent(&path)?;
            let aside = self.aside()?;
            let made = symlink(to, &aside).and_then(|()| fs::rename(&aside, &path));
            made.with_context(|| format!("cannot make the link {}", path.display()))?;
        }
        Ok(())
    }

    fn take_over(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()> {
        for (path, to) in links {
            let path = self.at(path);
            let aside = self.aside()?;
            let making = || format!("cannot put a link in place of {}", path.display());
            symlink(to, &aside).with_context(making)?;
            if path.is_dir() {
                // Both in one step, where the file system can.
                let swapped = renameat_with(CWD, &aside, CWD, &path, RenameFlags::EXCHANGE);
                if swapped.is_err() {
                    ui::warn(&format!(
                        "warning: the file system of {} cannot exchange two names: for a moment, clients do not find it",
                        path.display()
                    ));
                    let old = aside.with_file_name("old");
                    fs::rename(&path, &old).with_context(making)?;
                    fs::rename(&aside, &path).with_context(making)?;
                }
                lustre_files::remove_tree(&self.at(PARTIAL))?;
            } else {
                fs::rename(&aside, &path).with_context(making)?;
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
        syncfs(&folder).with_context(|| format!("cannot write {} to the disk", self.path.display()))
    }

    fn remove(&self, paths: &[String]) -> anyhow::Result<()> {
        for path in paths {
            let path = self.at(path);
            let Some(found) = lustre_files::if_there(path.symlink_metadata())? else {
                continue;
            };
            if found.is_dir() {
                lustre_files::remove_tree(&path)?;
            } else {
                fs::remove_file(&path).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }
}
