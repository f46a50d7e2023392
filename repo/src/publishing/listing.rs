//! What is at the destination, as it is listed.

use std::collections::{BTreeMap, BTreeSet};

use super::names::{CURRENT, HOME, link_to};
use super::release::{self, is_id, is_index_file};
use crate::{assets, manifest, sums};

/// Something at the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteEntry {
    File {
        /// Its size in bytes.
        size: u64,
        /// Its digest, where it is known.
        sha256: Option<String>,
    },
    /// A link, and what it points to.
    Link(String),
    Folder,
}

/// What is at the destination, by path.
pub type Listing = BTreeMap<String, RemoteEntry>;

/// What a listing shows, as far as it is told by names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    /// Nothing that clients read, and nothing of somebody else: a first publish may have begun.
    Nothing,
    /// The release of this name, by the link.
    Linked(String),
    /// A repository whose files lie where clients find them.
    Plain,
    /// A release, and nothing says which: by the name of this, for one.
    Untold(String),
    /// Something else, by this name for one.
    Foreign(String),
}

/// What is there.
pub fn there(listing: &Listing) -> RemoteState {
    match (listing.get(manifest::FILE), listing.get(CURRENT)) {
        (Some(RemoteEntry::File { .. }), _) => return RemoteState::Plain,
        // Whatever became of the link to its manifest: clients come to its metadata by this one.
        (_, Some(RemoteEntry::Link(id))) if is_id(id) => return RemoteState::Linked(id.clone()),
        _ => {}
    }
    let home = format!("{HOME}/");
    // Folders without anything in them are nobody's: what a file system has at its top, and what a killed run has made.
    let mut outside = listing.iter().filter(|(path, found)| {
        **found != RemoteEntry::Folder && *path != HOME && !path.starts_with(&home)
    });
    // What a run begins with is the folder of its release.
    let is_ours = listing.contains_key(CURRENT) || !ids(listing).is_empty();
    if let Some((first, _)) = outside.next()
        && !is_ours
    {
        return RemoteState::Foreign(first.clone());
    }
    let trace = listing.iter().find(|(path, found)| is_trace(path, found));
    trace.map_or(RemoteState::Nothing, |(path, _)| {
        RemoteState::Untold(path.clone())
    })
}

/// The names at the top of a place without a repository that has something which only a repository of this tool has: what may be left of one.
/// None where nothing tells of that.
pub fn remains(listing: &Listing) -> BTreeSet<&str> {
    let mut traces = listing.iter();
    if !traces.any(|(path, found)| is_trace(path, found) || release::is_package(path)) {
        return BTreeSet::new();
    }
    let names = listing.keys().filter_map(|path| path.split('/').next());
    names.collect()
}

/// Whether clients read a release by this, or read one by it before somebody changed something.
fn is_trace(path: &str, found: &RemoteEntry) -> bool {
    let own = [sums::FILE, sums::SIGNATURE, manifest::FILE, assets::FILE];
    path == CURRENT
        || own.contains(&path)
        || is_index_file(path)
        || *found == RemoteEntry::Link(link_to(path))
}

/// The releases that have a folder at the destination.
pub(super) fn ids(listing: &Listing) -> BTreeSet<&str> {
    let inside = listing
        .keys()
        .filter_map(|path| path.strip_prefix(HOME)?.strip_prefix('/'));
    inside
        .filter_map(|rest| rest.split('/').next())
        .filter(|name| is_id(name))
        .collect()
}

/// The one of them that was released last.
pub fn newest(listing: &Listing) -> Option<&str> {
    ids(listing)
        .into_iter()
        .max_by_key(|id| release::time_of(id))
}
