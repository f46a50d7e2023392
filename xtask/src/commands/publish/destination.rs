//! What a destination does, whatever it is.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_repository::publishing::{Listing, Put, Release, Shape};

/// A destination.
pub trait Destination {
    /// How releases lie there.
    fn shape(&self) -> Shape;

    /// Keeps others of this tool out for as long as what it gives is there; none where that cannot be had. With `make`, the place is made for that.
    fn alone(&self, _make: bool) -> anyhow::Result<Option<Box<dyn Any>>> {
        Ok(None)
    }

    /// All that is there, without digests.
    fn list(&self) -> anyhow::Result<Listing>;

    /// Finds out the digests of what could be a file of `release` by its size, where that can be had.
    fn compare(&self, _release: &Release, _listing: &mut Listing) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine in which these files are, by their paths; they are fetched into `scratch` for that. None is larger than
    /// `largest`.
    fn local(&self, paths: &[String], scratch: &Path, largest: u64) -> anyhow::Result<PathBuf>;

    /// That there is room for so many bytes, where that can be asked.
    fn has_room(&self, _bytes: u64) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine, made below the place, in which its files can be linked: nobody looks there, and the next run removes it.
    fn for_links(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(None)
    }

    /// Puts files in their places.
    fn put(&self, puts: &[(PathBuf, &Put)]) -> anyhow::Result<()>;

    /// Makes links, each in one step.
    fn link(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()>;

    /// The same in place of files and folders.
    fn take_over(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()>;

    /// That a file is seen through a link.
    fn probe(&self, path: &str) -> anyhow::Result<()>;

    /// Has everything written, where that can be asked for: before clients depend on it.
    fn settle(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Removes what is there of these.
    fn remove(&self, paths: &[String]) -> anyhow::Result<()>;
}
