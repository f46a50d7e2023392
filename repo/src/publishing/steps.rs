//! The steps of which a publication is made, in their order.

use std::collections::BTreeMap;

use super::listing::{Listing, RemoteEntry};
use super::names::{PARTIAL, PROBE};
use super::release::{Release, is_package};

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The repository that is published: a path in it.
    Tree(String),
    /// The one that clients read so far: a path in that.
    Published(String),
}

/// A file that is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its path at the destination.
    pub path: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Its size, where it is known.
    pub size: Option<u64>,
    pub sha256: String,
    /// Whether something else has been there.
    pub replaces: bool,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Puts files in their places, each whole or not at all.
    Put(Vec<Upload>),
    /// Makes links, by path; each takes the place of another link in one step.
    Link(BTreeMap<String, String>),
    /// The same where a file or a folder is, of the same content as what the link leads to.
    TakeOver(BTreeMap<String, String>),
    /// Looks whether a file is seen through a link: before anything depends on it.
    Probe(String),
    /// Looks whether these files are there, in their sizes.
    Complete(BTreeMap<String, u64>),
    /// From here on, the clients that come by a link read another release.
    Switch {
        link: &'static str,
        /// The release's name.
        to: String,
    },
    /// Removes files, links and folders.
    Remove(Vec<String>),
}

/// What is done to publish a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The release's name at the destination.
    pub release: String,
    /// The one that clients read so far, where that is another.
    pub replaces: Option<String>,
    /// The steps, in their order. None is without work.
    pub steps: Vec<Step>,
}

impl Plan {
    /// Without the files that are there as they have to be: where all of it is switched in one step, none has to be put once more.
    #[must_use]
    pub fn without(mut self, listing: &Listing) -> Self {
        for step in &mut self.steps {
            if let Step::Put(puts) = step {
                puts.retain(|put| {
                    let there = listing.get(&put.path);
                    !matches!(there, Some(RemoteEntry::File { sha256, .. }) if sha256.as_ref() == Some(&put.sha256))
                });
            }
        }
        self.steps
            .retain(|step| !matches!(step, Step::Put(puts) if puts.is_empty()));
        self
    }

    /// All files that are sent.
    pub fn sent(&self) -> impl Iterator<Item = &Upload> {
        self.steps.iter().flat_map(|step| match step {
            Step::Put(puts) => puts.as_slice(),
            _ => &[],
        })
    }

    /// The packages that take the place of others of the same name: a client that has the metadata of what was there refuses them.
    pub fn anew(&self) -> impl Iterator<Item = &str> {
        let anew = self.sent().filter(|put| put.replaces);
        anew.map(|put| put.path.as_str())
            .filter(|path| is_package(path))
    }

    /// All that is removed, but for what this tool keeps for itself.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        let paths = self.steps.iter().flat_map(|step| match step {
            Step::Remove(paths) => paths.as_slice(),
            _ => &[],
        });
        let own = [PARTIAL, PROBE];
        paths
            .map(String::as_str)
            .filter(move |it| !own.contains(it))
    }

    /// Whether clients read another release afterwards.
    pub fn switches(&self) -> bool {
        self.steps
            .iter()
            .any(|it| matches!(it, Step::Switch { .. }))
    }

    /// That of these steps, but for those without work.
    pub(super) fn of(release: &Release, replaces: Option<&Release>, mut steps: Vec<Step>) -> Self {
        steps.retain(|step| match step {
            Step::Put(puts) => !puts.is_empty(),
            Step::Link(links) | Step::TakeOver(links) => !links.is_empty(),
            Step::Remove(paths) => !paths.is_empty(),
            Step::Probe(_) | Step::Complete(_) | Step::Switch { .. } => true,
        });
        Self {
            release: release.id.clone(),
            replaces: replaces.map(|it| it.id.clone()),
            steps,
        }
    }
}
