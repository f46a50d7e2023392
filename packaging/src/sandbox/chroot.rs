//! Throw-away copies of chroots: overlayfs where the kernel gives it, else reflinks, else hard links, or true copies where root works in
//! them.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use lustre_files::{at, help};

use super::root::Root;
use super::{Entrance, Ids, Sandbox, User, View};
use crate::process;

/// A clone that could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// The user namespace or the filter that commands run with cannot be made.
    #[error(
        "cannot create a sandbox: {}{}",
        .0,
        help!("the chroot has its own ids, which need user namespaces (`user.max_user_namespaces`): allow them, or remove the store's \
               chroots with `cargo xtask clean --all`")
    )]
    Namespace(io::Error),
    /// None of the methods works between the chroot and the clone's folder.
    #[error("cannot clone the chroot {}: {source}", chroot.display())]
    NoMethod {
        chroot: PathBuf,
        /// What the last attempt said.
        source: process::Error,
    },
}

/// A throw-away copy of a chroot; gone when dropped.
#[derive(Debug)]
pub struct ChrootClone {
    root: Root,
    ids: Ids,
    entrance: Entrance,
}

impl ChrootClone {
    /// Clones `chroot` into the new folder `folder`, by the best method that works there, for commands that `user` will run in it.
    pub fn new(chroot: &Path, folder: &Path, user: User) -> Result<Self, Error> {
        let mut clone = Self::prepare(chroot, folder, user)?;
        let mut probe = Sandbox::new(&clone, user, "probe").prepared();
        let works = process::capture(probe.arg("true")).is_ok_and(|done| done.status.success());
        if works {
            return Ok(clone);
        }
        clone.root.is_overlay = false;
        if clone.root.copy("--reflink=always").is_ok() {
            return Ok(clone);
        }
        let root = clone.root.path();
        lustre_files::remove_tree(&root).map_err(at(&root))?;
        // Through a hard link, root would write into the chroot itself: rpm's database, for one. The builder owns none of the files.
        let how = match user {
            User::Builder | User::OtherBuilder => "--link",
            User::Root | User::BareRoot => "--reflink=never",
        };
        clone.root.copy(how).map_err(|source| Error::NoMethod {
            chroot: chroot.to_owned(),
            source,
        })?;
        Ok(clone)
    }

    /// The folders of a clone; the topmost has the mode and owner of the chroot's own, whatever the umask.
    fn prepare(chroot: &Path, folder: &Path, user: User) -> Result<Self, Error> {
        for part in ["upper", "work", "root"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let upper = folder.join("upper");
        like(chroot, &upper)?;
        let ids = Ids::in_chroot(chroot, user).map_err(at(chroot))?;
        Ok(Self {
            root: Root {
                lower: std::path::absolute(chroot).map_err(at(chroot))?,
                folder: std::path::absolute(folder).map_err(at(folder))?,
                is_overlay: true,
            },
            ids,
            entrance: Entrance::new(ids).map_err(Error::Namespace)?,
        })
    }

    /// The ids of those inside.
    pub fn ids(&self) -> Ids {
        self.ids
    }

    /// Makes the folder `inside`, an absolute path in the clone, before any command runs; it belongs to root inside.
    pub fn make_folder(&self, inside: &str) -> Result<PathBuf, Error> {
        let mut path = self.root.top();
        let mut below = self.root.lower.clone();
        for part in inside.split('/').filter(|part| !part.is_empty()) {
            path.push(part);
            below.push(part);
            match fs::symlink_metadata(&path) {
                Ok(there) if there.is_dir() => continue,
                Ok(_) => return Err(at(&path)(io::ErrorKind::NotADirectory).into()),
                Err(_) => fs::create_dir(&path).map_err(at(&path))?,
            }
            // Over a folder of the chroot, what is here decides.
            let is_folder = fs::symlink_metadata(&below).is_ok_and(|below| below.is_dir());
            if is_folder {
                like(&below, &path)?;
            } else {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .and_then(|()| self.ids.give(&path, 0))
                    .map_err(at(&path))?;
            }
        }
        Ok(path)
    }

    /// Writes the file `inside`, an absolute path in the clone, before any command runs; it belongs to root inside.
    pub fn write(&self, inside: &str, text: &str) -> Result<(), Error> {
        let (folder, name) = inside.rsplit_once('/').unwrap_or(("", inside));
        let path = self.make_folder(folder)?.join(name);
        // What is there may be a link, of either kind, to what is not ours to write.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(at(&path)(error).into());
            }
            _ => {}
        }
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)))
            .and_then(|()| self.ids.give(&path, 0))
            .map_err(at(&path))?;
        Ok(())
    }
}

impl<'a> Sandbox<'a> {
    /// A sandbox in `clone`, run by `user`, on a machine called `hostname`.
    pub fn new(clone: &'a ChrootClone, user: User, hostname: &str) -> Self {
        let entrance = clone.entrance.clone();
        Self::with(
            View::Chroot(&clone.root),
            entrance,
            clone.ids,
            user,
            hostname,
        )
    }
}

/// Gives `path` the mode and the owner of `model`.
fn like(model: &Path, path: &Path) -> Result<(), Error> {
    let of = fs::metadata(model).map_err(at(model))?;
    std::os::unix::fs::chown(path, Some(of.uid()), Some(of.gid()))
        .and_then(|()| fs::set_permissions(path, of.permissions()))
        .map_err(at(path))?;
    Ok(())
}

impl Drop for ChrootClone {
    fn drop(&mut self) {
        // A folder that stays behind costs disk, not truth: the store empties its temporary folder when it is opened.
        let _ = lustre_files::remove_tree(&self.root.folder);
    }
}
