//! Folders that this tool writes as a whole, each with an index: whether one may be put at a place.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use lustre_files::place::{self, Foreign, Occupant};
use lustre_files::{Advised, PathError};

/// Why a folder cannot be put at a place.
#[derive(Debug)]
pub(crate) enum Unfit {
    Path(PathError),
    Place(Advised),
    /// There is something else; and what tells so.
    Taken(String),
    /// There is something in the folder that is not its own.
    Foreign(Foreign),
}

/// Reads the index of a folder and gives the names of the folder's files, with its own; or says why it is none.
pub(crate) type OwnFiles<'o> = &'o dyn Fn() -> Result<HashSet<String>, String>;

/// That nothing is at `out`, or an empty folder, or one of this tool with nothing else in it that could not go.
pub(crate) fn judge(out: &Path, own: OwnFiles<'_>) -> Result<(), Unfit> {
    match place::there(out).map_err(Unfit::Place)? {
        Occupant::Nothing => Ok(()),
        Occupant::Other => Err(Unfit::Taken("it is no folder".to_owned())),
        Occupant::Folder => {
            let entries = fs::read_dir(out);
            let mut entries =
                entries.map_err(|source| Unfit::Path(PathError::new("read", out, source)))?;
            if entries.next().is_some() {
                own().map_err(Unfit::Taken)?;
            }
            place::can_go(out).map_err(Unfit::Place)?;
            nothing_foreign(out, own)
        }
    }
}

/// That nothing is in `out` but its own files: all else would go with what is replaced. Names alone are compared.
pub(crate) fn nothing_foreign(out: &Path, own: OwnFiles<'_>) -> Result<(), Unfit> {
    if place::there(out).map_err(Unfit::Place)? == Occupant::Nothing {
        return Ok(());
    }
    // An index that is gone lists nothing.
    let own = own().unwrap_or_default();
    let own = own.iter().map(Path::new).collect();
    match place::foreign(out, &own, &[]).map_err(Unfit::Path)? {
        None => Ok(()),
        Some(foreign) => Err(Unfit::Foreign(foreign)),
    }
}
