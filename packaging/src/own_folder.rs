//! Folders that this tool writes as a whole, each with an index: whether one may be put at a place.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::place::{self, Foreign, Occupant};
use lustre_files::{Advised, PathError, help};

use crate::json_index::JsonIndex;

/// Why a folder cannot be put at a place.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("{} cannot be the folder of {what}: {why}", lustre_files::shown(path))]
    Place {
        path: PathBuf,
        /// What is put into such a folder.
        what: &'static str,
        /// Why not, and what to do.
        why: Advised,
    },
    /// There is something else.
    #[error(
        "{} {other} ({why}); it was not changed{}",
        lustre_files::shown(path),
        help!("choose another --output")
    )]
    Taken {
        path: PathBuf,
        /// What is said of all that is no such folder.
        other: &'static str,
        /// What tells so.
        why: String,
    },
    /// There is something in the folder that is not its own.
    #[error(
        "{} would be replaced with everything in it, including files that its {index} does not list ({}): {}{}",
        lustre_files::shown(path), foreign.count, foreign.names,
        help!("move them away, or choose another --output")
    )]
    Foreign {
        path: PathBuf,
        index: &'static str,
        foreign: Foreign,
    },
}

/// The index of such a folder.
pub(crate) trait FolderIndex: JsonIndex {
    /// What is put into the folder, as in "the folder of".
    const WHAT: &'static str;

    /// What is said of something else at its place.
    const OTHER: &'static str;

    /// Reads that of the folder `out`, or says why it is none.
    fn of(out: &Path) -> Result<Self, String>;

    /// The names of the folder's other files.
    fn listed(&self) -> HashSet<String>;
}

/// That nothing is at `out`, or an empty folder, or one of this tool's with nothing else in it, which can be replaced: its index. Names alone
/// are compared.
pub(crate) fn judge<I: FolderIndex>(out: &Path) -> Result<Option<I>, Unfit> {
    let place = |why| cannot_be::<I>(out, why);
    let taken = |why| Unfit::Taken {
        path: out.to_owned(),
        other: I::OTHER,
        why,
    };
    match place::there(out).map_err(place)? {
        Occupant::Nothing => return Ok(None),
        Occupant::Other => return Err(taken("it is no folder".to_owned())),
        Occupant::Folder => {}
    }
    let mut entries = fs::read_dir(out).map_err(|source| PathError::new("read", out, source))?;
    let index = match entries.next() {
        Some(_) => Some(I::of(out).map_err(taken)?),
        None => None,
    };
    place::can_go(out).map_err(place)?;
    let Some(index) = index else {
        return Ok(None);
    };
    let mut own = index.listed();
    own.insert(I::FILE.to_owned());
    let own = own.iter().map(Path::new).collect();
    match place::foreign(out, &own, &[])? {
        None => Ok(Some(index)),
        Some(foreign) => Err(Unfit::Foreign {
            path: out.to_owned(),
            index: I::FILE,
            foreign,
        }),
    }
}

/// The folder with such an index that `path` is in, whether it is there or not: what is put there is none of its files.
pub(crate) fn around<I: FolderIndex>(path: &Path) -> Option<PathBuf> {
    let full = place::real(path).ok()?;
    let is_one = |folder: &&Path| I::of(folder).is_ok();
    full.ancestors().skip(1).find(is_one).map(Path::to_owned)
}

/// That such a folder cannot be at `out`, and why.
pub(crate) fn cannot_be<I: FolderIndex>(out: &Path, why: Advised) -> Unfit {
    Unfit::Place {
        path: out.to_owned(),
        what: I::WHAT,
        why,
    }
}
