//! What is staged, fetched as a whole: every byte of it is looked at before it is published.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_repository::publishing::{Found, Release, staged_at};
use lustre_repository::sums;

use super::destination::Destination;
use super::published::Seen;

/// What is staged at a destination.
pub struct Staged<'s> {
    /// A folder of this machine, laid out as a repository.
    pub tree: PathBuf,
    /// Where its files lie at the destination.
    folder: &'s str,
    /// What it is called there.
    pub id: &'s str,
}

impl<'s> Staged<'s> {
    /// Fetches it; none where nothing is staged. What is not there is missing in it.
    ///
    /// # Errors
    /// When it cannot be fetched.
    pub fn fetch(
        destination: &dyn Destination,
        seen: &'s Seen,
        scratch: &Path,
    ) -> anyhow::Result<Option<Self>> {
        let Some((folder, release)) = &seen.staged else {
            return Ok(None);
        };
        let listed = release.files.iter().map(|file| file.path.as_str());
        let mut files = Vec::new();
        let mut largest = 0;
        for path in listed.chain(sums::LEFT_OUT) {
            let at = staged_at(destination.shape(), folder, path);
            if let Some(Found::File { size, .. }) = seen.state.listing.get(&at) {
                largest = largest.max(*size);
                files.push((at, path));
            }
        }
        let wanted: Vec<String> = files.iter().map(|(at, _)| at.clone()).collect();
        let there = destination.local(&wanted, &scratch.join("whole"), largest)?;
        let tree = scratch.join("staged");
        for (at, path) in files {
            let (from, to) = (there.join(at), tree.join(path));
            let failed = || format!("cannot read {}", from.display());
            let parent = to.parent().unwrap_or(&tree);
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
            // It may be elsewhere, or somebody else's.
            if !to.exists() && fs::hard_link(&from, &to).is_err() {
                lustre_files::copy(&from, &to).with_context(failed)?;
            }
        }
        Ok(Some(Self {
            tree,
            folder,
            id: &release.id,
        }))
    }

    /// Has the listing say that the files are those of `release`: they were all read.
    pub fn know(
        &self,
        destination: &dyn Destination,
        release: &Release,
        listing: &mut lustre_repository::publishing::Listing,
    ) {
        for file in &release.files {
            let at = staged_at(destination.shape(), self.folder, &file.path);
            if let Some(Found::File { sha256, .. }) = listing.get_mut(&at) {
                *sha256 = Some(file.sha256.clone());
            }
        }
    }
}
