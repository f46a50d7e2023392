//! What is staged, fetched as a whole: every byte of it is looked at before it is published.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_repository::publishing::{Release, RemoteEntry, staged_at};
use lustre_repository::sums;

use super::destination::Destination;
use super::published::PublishedState;
use crate::published_tree;

/// What is staged at a destination.
pub struct Staged<'s> {
    /// A folder of this machine, laid out as a repository.
    pub tree: PathBuf,
    /// Where it is at the place itself.
    _links: Option<Links>,
    /// Where its files lie at the destination.
    folder: &'s str,
    /// What it is called there.
    pub id: &'s str,
}

/// A folder of links, which goes with this; what a kill leaves of it, the next run removes.
struct Links(PathBuf);

impl Drop for Links {
    fn drop(&mut self) {
        let _ = lustre_files::remove_tree(&self.0);
        // Where nothing else is in it.
        let _ = self.0.parent().map(fs::remove_dir);
    }
}

impl<'s> Staged<'s> {
    /// Fetches it; none where nothing is staged. What is not there is missing in it. What lies on this machine is linked and not copied, below the
    /// place itself where `scratch` is elsewhere, unless nothing may be written there.
    pub fn fetch(
        destination: &dyn Destination,
        seen: &'s PublishedState,
        scratch: &Path,
        write: bool,
    ) -> anyhow::Result<Option<Self>> {
        let Some((folder, release)) = &seen.staged else {
            return Ok(None);
        };
        let listed = release.files.iter().map(|file| file.path.as_str());
        let mut files = Vec::new();
        let mut largest = 0;
        for path in listed.chain(sums::LEFT_OUT) {
            let at = staged_at(destination.shape(), folder, path);
            if let Some(RemoteEntry::File { size, .. }) = seen.state.listing.get(&at) {
                largest = largest.max(*size);
                files.push((at, path));
            }
        }
        let wanted: Vec<String> = files.iter().map(|(at, _)| at.clone()).collect();
        let there = destination.local(&wanted, &scratch.join("whole"), largest)?;
        let near = write && !published_tree::on_one_disk(&there, scratch).unwrap_or(false);
        let beside = match near {
            true => destination.for_links()?,
            false => None,
        };
        let tree = beside.as_deref().unwrap_or(scratch).join("staged");
        let staged = Self {
            _links: beside.map(|_| Links(tree.clone())),
            tree,
            folder,
            id: &release.id,
        };
        published_tree::lay_out(&there, files.into_iter(), &staged.tree)?;
        Ok(Some(staged))
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
            if let Some(RemoteEntry::File { sha256, .. }) = listing.get_mut(&at) {
                *sha256 = Some(file.sha256.clone());
            }
        }
    }
}
