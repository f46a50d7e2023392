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
    ///
    /// # Errors
    /// When nothing can be put there at all.
    fn alone(&self, _make: bool) -> anyhow::Result<Option<Box<dyn Any>>> {
        Ok(None)
    }

    /// All that is there, without digests.
    ///
    /// # Errors
    /// When it cannot be told.
    fn list(&self) -> anyhow::Result<Listing>;

    /// Finds out the digests of what could be a file of `release` by its size, where that can be had.
    ///
    /// # Errors
    /// When it cannot be read.
    fn compare(&self, _release: &Release, _listing: &mut Listing) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine in which these files are, by their paths; they are fetched into `scratch` for that. None is larger than
    /// `largest`.
    ///
    /// # Errors
    /// When they cannot be fetched.
    fn local(&self, paths: &[String], scratch: &Path, largest: u64) -> anyhow::Result<PathBuf>;

    /// That there is room for so many bytes, where that can be asked.
    ///
    /// # Errors
    /// When there is not.
    fn has_room(&self, _bytes: u64) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine, made below the place, in which its files can be linked: nobody looks there, and the next run removes it.
    ///
    /// # Errors
    /// When it cannot be made.
    fn for_links(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(None)
    }

    /// Puts files in their places.
    ///
    /// # Errors
    /// When one cannot be put there.
    fn put(&self, puts: &[(PathBuf, &Put)]) -> anyhow::Result<()>;

    /// Makes links, each in one step.
    ///
    /// # Errors
    /// When one cannot be made.
    fn link(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()>;

    /// The same in place of files and folders.
    ///
    /// # Errors
    /// When one cannot be made.
    fn take_over(&self, links: &BTreeMap<String, String>) -> anyhow::Result<()>;

    /// That a file is seen through a link.
    ///
    /// # Errors
    /// When it is not.
    fn probe(&self, path: &str) -> anyhow::Result<()>;

    /// Has everything written, where that can be asked for: before clients depend on it.
    ///
    /// # Errors
    /// When it cannot be written.
    fn settle(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// Removes what is there of these.
    ///
    /// # Errors
    /// When something cannot be removed.
    fn remove(&self, paths: &[String]) -> anyhow::Result<()>;
}
