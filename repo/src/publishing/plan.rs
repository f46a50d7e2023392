//! From what is to be published, and what is there, to a list of steps. A run that ends after any of them leaves a repository that can be
//! read, and the same command goes on from there.

use std::collections::{BTreeMap, BTreeSet};

use super::listing::{Listing, RemoteEntry, ids};
use super::names::{CURRENT, HOME, PARTIAL, PREVIOUS, PROBE, is_half_made, kept, link_to};
use super::release::{
    self, Release, entry, is_index_file, is_named_by_content, is_package, listed,
};
use super::steps::{Origin, Plan, Step, Upload};
use crate::layout::Kind;
use crate::{assets, sums};

/// How releases lie at the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// What changes lies in a folder for each release, and clients come to it by one link: it is the only thing that is switched.
    Linked,
    /// Everything lies where clients find it: object stores have no links.
    Flat,
}

/// The destination as it is.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// All of it.
    pub listing: Listing,
    /// The repository that clients read there.
    pub published: Option<Release>,
    /// The one that is staged there.
    pub staged: Option<Release>,
    /// The sums of the releases whose folders are there, by their names.
    pub sums: BTreeMap<String, String>,
    /// Whether all of these stay, because clients may read any of them.
    pub all_stay: bool,
}

/// How `new` is published where it is as `state` says.
pub fn plan(shape: Shape, new: &Release, state: &State) -> Plan {
    let made = Planning::new(new, state);
    let steps = match shape {
        Shape::Linked => made.linked(),
        Shape::Flat => made.flat(),
    };
    Plan::of(new, made.before, steps)
}

/// The place of a file that stays where it is in the tree, if it is one of those.
fn only(is: fn(&str) -> bool) -> impl Fn(&str) -> Option<String> {
    move |path| is(path).then(|| path.to_owned())
}

/// Both sides.
pub(super) struct Planning<'a> {
    new: &'a Release,
    state: &'a State,
    /// What is replaced, where that is another.
    pub(super) before: Option<&'a Release>,
}

impl<'a> Planning<'a> {
    pub(super) fn new(new: &'a Release, state: &'a State) -> Self {
        let before = state.published.as_ref().filter(|it| it.id != new.id);
        Self { new, state, before }
    }

    /// What says that the folder of the new release is one, before anything else is sent.
    pub(super) fn note(&self) -> Vec<Upload> {
        let new = self.new;
        self.puts(
            |path| (path == sums::FILE).then(|| kept(&new.id, path)),
            false,
        )
    }

    /// That note, and whether there are links: before what takes long to send.
    pub(super) fn first(&self) -> Vec<Step> {
        let probe = BTreeMap::from([(PROBE.to_owned(), self.new.id.clone())]);
        vec![
            Step::Put(self.note()),
            self.missing(probe),
            Step::Probe(format!("{PROBE}/{}", sums::FILE)),
        ]
    }

    /// The packages that take the place of others, and all others.
    pub(super) fn packages(&self) -> (Vec<Upload>, Vec<Upload>) {
        self.puts(only(is_package), false)
            .into_iter()
            .partition(|put| put.replaces)
    }

    /// What is in the folder of the new release but for the note.
    pub(super) fn inside(&self) -> Vec<Upload> {
        let own = |path: &str| {
            let is_own = !is_package(path) && path != sums::FILE;
            is_own.then(|| kept(&self.new.id, path))
        };
        let mut inside = self.puts(own, false);
        inside.extend(self.carried());
        inside
    }

    /// The links that are not there, or not so.
    pub(super) fn missing(&self, mut links: BTreeMap<String, String>) -> Step {
        links.retain(|path, to| {
            self.state.listing.get(path) != Some(&RemoteEntry::Link(to.clone()))
        });
        Step::Link(links)
    }

    fn linked(&self) -> Vec<Step> {
        let new = self.new;
        let listing = &self.state.listing;
        let is_current = |id: &str| listing.get(CURRENT) == Some(&RemoteEntry::Link(id.to_owned()));
        let mut steps = self.first();
        // What was put there by other means gets a folder as all others have, and is read from it before anything changes.
        if let Some(old) = self.before
            && !is_current(&old.id)
        {
            let files = old.files.iter().filter(|file| !is_package(&file.path));
            let missing = files.filter_map(|file| {
                let path = kept(&old.id, &file.path);
                self.put(path, Origin::Published(file.path.clone()), file)
            });
            steps.push(Step::Put(missing.collect()));
        }
        let (anew, others) = self.packages();
        steps.push(Step::Put(others));
        steps.push(Step::Put(self.inside()));
        let mut links = BTreeMap::new();
        if let Some(old) = self.before {
            links.insert(kept(&new.id, PREVIOUS), format!("../{}", old.id));
            if !is_current(&old.id) {
                links.insert(CURRENT.to_owned(), old.id.clone());
            }
        }
        steps.push(self.missing(links));
        steps.push(Step::Put(anew));
        steps.push(Step::Complete(self.complete()));
        // The same repository, put there by other means, is in a folder of its own by now.
        let same = self.before.is_none() && self.state.published.is_some();
        let switch = (!is_current(&new.id)).then(|| Step::Switch {
            link: CURRENT,
            to: new.id.clone(),
        });
        let (first, last) = if same { (switch, None) } else { (None, switch) };
        steps.extend(first);
        let (mut free, mut taken) = (BTreeMap::new(), BTreeMap::new());
        for path in self.entries(new) {
            let to = link_to(path);
            match listing.get(path) {
                Some(RemoteEntry::Link(there)) if *there == to => {}
                None | Some(RemoteEntry::Link(_)) => drop(free.insert(path.to_owned(), to)),
                Some(RemoteEntry::File { .. } | RemoteEntry::Folder) => {
                    drop(taken.insert(path.to_owned(), to));
                }
            }
        }
        steps.push(Step::Link(free));
        steps.push(Step::TakeOver(taken));
        steps.extend(last);
        steps.extend(self.removals().map(Step::Remove));
        steps
    }

    fn flat(&self) -> Vec<Step> {
        let new = self.new;
        let note = |path: &str, id: &str| (path == sums::FILE).then(|| kept(id, path));
        let mut first = self.puts(|path| note(path, &new.id), false);
        if let Some(old) = self.before
            && let Some(file) = old.file(sums::FILE)
        {
            let origin = Origin::Published(sums::FILE.to_owned());
            first.extend(self.put(kept(&old.id, sums::FILE), origin, file));
        }
        let (anew, packages) = self.packages();
        let plain =
            |path: &str| !is_package(path) && !is_named_by_content(path) && !is_index_file(path);
        // What the sums there say of what keeps its name may not be so: the run that put them may have ended before the index.
        // They come first, so that whoever goes on knows which release that was.
        let (sums, others): (Vec<Upload>, Vec<Upload>) = self
            .puts(|path| plain(path).then(|| path.to_owned()), true)
            .into_iter()
            .partition(|put| put.path == sums::FILE);
        let mut index = self.puts(only(is_index_file), true);
        // Each with its signature behind it, and what servers install from last.
        let of = |put: &Upload| {
            let folders = Kind::ALL.map(|kind| (assets::folder(kind), kind.folder().to_owned()));
            let (with_assets, plain): (Vec<_>, Vec<_>) = folders.into_iter().unzip();
            let mut all = with_assets.iter().chain(&plain);
            all.position(|folder| put.path.starts_with(&format!("{folder}/")))
        };
        index.sort_by_key(|put| (std::cmp::Reverse(of(put)), put.path.clone()));
        let mut steps = vec![
            Step::Put(first),
            Step::Put(packages),
            Step::Put(self.puts(only(is_named_by_content), false)),
            Step::Put(anew),
            Step::Put(sums),
            Step::Put(others),
            Step::Put(index),
            Step::Complete(self.complete_flat()),
        ];
        steps.extend(self.removals_flat().map(Step::Remove));
        steps
    }

    /// The files of the release that `place` has a path for and that are not there, or not so; with `all`, those that are there as well.
    fn puts(&self, place: impl Fn(&str) -> Option<String>, all: bool) -> Vec<Upload> {
        let files = self.new.files.iter();
        let puts = files.filter_map(|file| {
            let path = place(&file.path)?;
            let origin = Origin::Tree(file.path.clone());
            match self.put(path.clone(), origin.clone(), file) {
                None if all => Some(Upload {
                    path,
                    origin,
                    size: file.size,
                    sha256: file.sha256.clone(),
                    replaces: false,
                }),
                put => put,
            }
        });
        puts.collect()
    }

    /// That a file has to be put at `path`; none where it is there.
    fn put(&self, path: String, origin: Origin, file: &release::File) -> Option<Upload> {
        let there = self.state.listing.get(&path);
        let replaces = match there {
            None => false,
            Some(RemoteEntry::File { size, sha256 }) => {
                let size = file.size.is_none_or(|wanted| wanted == *size);
                let known = sha256.as_ref().map(|it| *it == file.sha256);
                if size && known == Some(true) {
                    return None;
                }
                !size || known == Some(false)
            }
            Some(_) => true,
        };
        Some(Upload {
            path,
            origin,
            size: file.size,
            sha256: file.sha256.clone(),
            replaces,
        })
    }

    /// The metadata of what is replaced, for clients that hold its index: they ask for it where they asked before.
    fn carried(&self) -> Vec<Upload> {
        let old = self.before.iter().flat_map(|old| &old.files);
        let files = old.filter(|file| is_named_by_content(&file.path));
        let others = files.filter(|file| self.new.file(&file.path).is_none());
        let puts = others.filter_map(|file| {
            let path = kept(&self.new.id, &file.path);
            self.put(path, Origin::Published(file.path.clone()), file)
        });
        puts.collect()
    }

    /// Where clients look for what is in the folder of a release.
    fn entries<'r>(&self, release: &'r Release) -> BTreeSet<&'r str> {
        let paths = release.files.iter().map(|file| file.path.as_str());
        paths.filter(|path| !is_package(path)).map(entry).collect()
    }

    pub(super) fn complete(&self) -> BTreeMap<String, u64> {
        self.sizes(|path| match is_package(path) {
            true => path.to_owned(),
            false => kept(&self.new.id, path),
        })
    }

    fn complete_flat(&self) -> BTreeMap<String, u64> {
        self.sizes(str::to_owned)
    }

    fn sizes(&self, place: impl Fn(&str) -> String) -> BTreeMap<String, u64> {
        let files = self.new.files.iter();
        files
            .filter_map(|file| Some((place(&file.path), file.size?)))
            .collect()
    }

    /// The releases that have a folder at the destination, and are not among these: nobody reads them any more.
    pub(super) fn dropped(&self, stay: &BTreeSet<&str>) -> Vec<&str> {
        if self.state.all_stay {
            return Vec::new();
        }
        let ids = ids(&self.state.listing).into_iter();
        ids.filter(|id| !stay.contains(id)).collect()
    }

    /// The one before the one that clients read afterwards.
    fn predecessor(&self) -> Option<&str> {
        if let Some(old) = self.before {
            return Some(&old.id);
        }
        match self.state.listing.get(&kept(&self.new.id, PREVIOUS)) {
            Some(RemoteEntry::Link(to)) => to.strip_prefix("../"),
            _ => None,
        }
    }

    /// The releases that stay, by their names: the new one, the one before, and the one that is staged.
    fn kept(&self) -> BTreeSet<&str> {
        let staged = self.state.staged.as_ref().map(|it| it.id.as_str());
        [Some(self.new.id.as_str()), self.predecessor(), staged]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The files that the releases `dropped` list, that are there, and that none of those that stay lists. None where it is not known what
    /// one of those lists.
    pub(super) fn unnamed(
        &self,
        dropped: &[&str],
        stay: &BTreeSet<&str>,
        is: fn(&str) -> bool,
    ) -> Vec<String> {
        let state = self.state;
        let known = [
            Some(self.new),
            state.published.as_ref(),
            state.staged.as_ref(),
        ];
        let known: Vec<&Release> = known.into_iter().flatten().collect();
        let files = known.iter().flat_map(|release| &release.files);
        let mut named: BTreeSet<String> = files.map(|it| it.path.clone()).collect();
        for id in stay {
            match self.state.sums.get(*id) {
                _ if known.iter().any(|release| release.id == *id) => {}
                Some(text) => named.extend(listed(text).map(|file| file.path)),
                None => return Vec::new(),
            }
        }
        let texts = dropped.iter().filter_map(|id| self.state.sums.get(*id));
        let files: BTreeSet<String> = texts
            .flat_map(|text| listed(text).map(|file| file.path))
            .filter(|path| is(path) && !named.contains(path))
            .filter(|path| self.state.listing.contains_key(path))
            .collect();
        files.into_iter().collect()
    }

    /// What goes once nobody reads it: packages first, since it is a folder that tells which of them were a release's.
    fn removals(&self) -> [Vec<String>; 2] {
        let listing = &self.state.listing;
        let stay = self.kept();
        let dropped = self.dropped(&stay);
        let packages = self.unnamed(&dropped, &stay, is_package);
        let mut rest: Vec<String> = dropped.iter().map(|id| format!("{HOME}/{id}")).collect();
        let entries = self.entries(self.new);
        let links = listing.iter().filter(|(path, found)| {
            **found == RemoteEntry::Link(link_to(path)) && !path.starts_with(HOME)
        });
        let links = links.map(|(path, _)| path.as_str());
        let old = self.before.iter().flat_map(|old| self.entries(old));
        let old = old.filter(|path| listing.contains_key(*path));
        let stale: BTreeSet<&str> = links
            .chain(old)
            .filter(|it| !entries.contains(it))
            .collect();
        rest.extend(stale.into_iter().map(str::to_owned));
        rest.extend(self.half_made());
        rest.extend([PROBE, PARTIAL].map(str::to_owned));
        [packages, rest]
    }

    /// Links that a run left under another name.
    pub(super) fn half_made(&self) -> impl Iterator<Item = String> {
        let listing = self.state.listing.iter();
        listing.filter_map(|(path, found)| match found {
            RemoteEntry::Link(to) if is_half_made(path, to) => Some(path.clone()),
            _ => None,
        })
    }

    /// The same where nothing says which release was before, but for a publish that replaces one.
    fn removals_flat(&self) -> [Vec<String>; 2] {
        let Some(old) = self.before else {
            return [Vec::new(), Vec::new()];
        };
        let listing = &self.state.listing;
        let stay = BTreeSet::from([self.new.id.as_str(), &old.id]);
        let dropped = self.dropped(&stay);
        let is = |path: &str| is_package(path) || is_named_by_content(path);
        let mut files = self.unnamed(&dropped, &stay, is);
        let stale = old.files.iter().map(|file| file.path.as_str());
        let stale = stale.filter(|path| !is_package(path) && !is_named_by_content(path));
        let stale = stale.filter(|path| self.new.file(path).is_none());
        let stale = stale.filter(|path| listing.contains_key(*path));
        files.extend(stale.map(str::to_owned));
        let notes = dropped.iter().map(|id| kept(id, sums::FILE));
        [files, notes.collect()]
    }
}

#[cfg(test)]
mod tests;
