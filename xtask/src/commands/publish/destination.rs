//! What a destination does, whatever it is.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lustre_repository::publishing::{Listing, Plan, Release, Shape, Upload};

/// What an error says that comes before anything is done.
pub const NOTHING_SENT: &str = "nothing was sent";

/// A file that goes elsewhere than where the metadata are.
pub struct Beside {
    pub path: String,
    pub size: u64,
    /// Whether something else has been there.
    pub replaces: bool,
}

/// A destination.
pub trait Destination {
    /// How releases lie there.
    fn shape(&self) -> Shape;

    /// Whether all of it is changed in one step, at the end.
    fn at_once(&self) -> bool {
        false
    }

    /// `release` without the files that do not lie there.
    fn kept(&self, release: &Release) -> Release {
        release.clone()
    }

    /// Keeps others of this tool out for as long as what it gives is there; none where that cannot be had. With `make`, the place is made for that.
    fn alone(&self, _make: bool) -> anyhow::Result<Option<Box<dyn Any>>> {
        Ok(None)
    }

    /// All that is there, without digests.
    fn list(&self) -> anyhow::Result<Listing>;

    /// That files can be put in their places there in one step.
    fn is_in_one_piece(&self, _listing: &Listing) -> anyhow::Result<()> {
        Ok(())
    }

    /// What beside its files says that a release of the target that is later than `_time` was published there.
    fn later(&self, _target: &str, _time: u64) -> anyhow::Result<Option<String>> {
        Ok(None)
    }

    /// Finds out the digests of what could be a file of `release`, which is at `_from`, by its size, where that can be had.
    fn compare(
        &self,
        _from: &Path,
        _release: &Release,
        _listing: &mut Listing,
    ) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine in which these files are, by their paths; they are fetched into `scratch` for that. None is larger than
    /// `largest`.
    fn local(&self, paths: &[String], scratch: &Path, largest: u64) -> anyhow::Result<PathBuf>;

    /// That what is there after the plan is not more than the place takes.
    fn fits(&self, _plan: &Plan) -> anyhow::Result<()> {
        Ok(())
    }

    /// What goes elsewhere: known when it was looked whether the plan fits.
    fn beside(&self) -> Vec<Beside> {
        Vec::new()
    }

    /// Puts that there, before the first step.
    fn begin(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// That there is room for so many bytes, where that can be asked.
    fn has_room(&self, _bytes: u64) -> anyhow::Result<()> {
        Ok(())
    }

    /// A folder of this machine, made below the place, in which its files can be linked: nobody looks there, and the next run removes it.
    fn for_links(&self) -> anyhow::Result<Option<PathBuf>> {
        Ok(None)
    }

    /// Puts files in their places.
    fn put(&self, puts: &[(PathBuf, &Upload)]) -> anyhow::Result<()>;

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

    /// Has clients read it, behind the last step, where all of it is changed at once.
    fn end(&self) -> anyhow::Result<()> {
        Ok(())
    }

    /// For how long clients may still see what was there.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    /// The folder with the metadata that servers read, where that is not the top.
    fn metadata(&self) -> &'static str {
        ""
    }
}
