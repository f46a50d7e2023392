//! Stages that were taken out of `stages`, or replaced there. A run that looks on beside may still read one, in a buildroot that is laid over
//! it for one, so it stays, in a folder of its own in `tmp`, until no run is there but the one that removes it: whoever comes later cannot
//! find it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::folder::sync_folder;
use super::names::{REPLACED, is_replaced};
use super::{Error, PathError, remove_tree, runs};

/// Where they go: the folder for what is unfinished, and this run there.
#[derive(Clone, Copy)]
pub(super) struct Away<'s> {
    pub(super) tmp: &'s Path,
    pub(super) own: Option<&'s runs::Folder>,
}

/// Takes what is at `place` out of the store, in one step.
pub(super) fn take_out(to: Away<'_>, place: &Path) -> Result<(), Error> {
    // Renamed, it would take along what is mounted in it.
    lustre_files::nothing_mounted(place)?;
    let away = empty_folder(to.tmp)?;
    if let Err(source) = fs::rename(place, &away) {
        let _ = fs::remove_dir(&away);
        return Err(PathError::new("remove", place, source).into());
    }
    remove_unless_read(to, &away).inspect_err(|error| {
        if matches!(error, Error::MountPoint { .. }) {
            // Mounted meanwhile, and by somebody else: what becomes of it is not for us to say.
            let _ = fs::rename(&away, place);
        }
    })
}

/// Puts the folder `new` at `place`, where there is one already, in one step: at any moment, a finished one is there.
pub(super) fn replace(to: Away<'_>, new: &Path, place: &Path) -> Result<(), Error> {
    lustre_files::nothing_mounted(place)?;
    let away = empty_folder(to.tmp)?;
    let failed = |source| Error::from(PathError::new("rename to", place, source));
    // Under this name first: what it is exchanged with must not lie where it goes away with this run, or after a kill.
    if let Err(source) = fs::rename(new, &away) {
        let _ = fs::remove_dir(&away);
        return Err(failed(source));
    }
    let back = |_: &Error| {
        let _ = fs::rename(&away, new);
    };
    match renameat_with(CWD, &away, CWD, place, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            // A file system that cannot: for a moment, none is there.
            take_out(to, place).inspect_err(back)?;
            fs::rename(&away, place).map_err(failed).inspect_err(back)?;
            return Ok(());
        }
        Err(errno) => return Err(failed(errno.into())).inspect_err(back),
    }
    // Before the other one goes.
    if let Some(folder) = place.parent() {
        sync_folder(folder)?;
    }
    remove_unless_read(to, &away)
}

/// Removes from `tmp` those of `names` that nobody can read any more. The names were listed before.
pub(super) fn sweep(to: Away<'_>, names: &[PathBuf]) -> Result<(), Error> {
    names
        .iter()
        .filter(|path| is_replaced(path))
        .try_for_each(|path| remove_unless_read(to, path))
}

fn empty_folder(tmp: &Path) -> Result<PathBuf, Error> {
    let made = tempfile::Builder::new()
        .prefix("")
        .suffix(REPLACED)
        .tempdir_in(tmp)
        .map_err(|source| PathError::new("create a folder in", tmp, source))?;
    Ok(made.keep())
}

fn remove_unless_read(to: Away<'_>, path: &Path) -> Result<(), Error> {
    match runs::other(to.tmp, to.own)? {
        // What it found before this one was taken out, it may read to its end.
        Some(_) => Ok(()),
        None => remove_tree(path),
    }
}
