//! What lies where a release has to: links and files where folders of ours have to be, and in the folder of a release what is none of it.

use std::collections::BTreeSet;

use lustre_files::help;

use super::listing::{Listing, RemoteEntry};
use super::names::{
    CURRENT, HOME, PARTIAL, PREVIOUS, PROBE, STAGED, STAGED_ON, STAGING, is_half_made, kept,
    link_to,
};
use super::plan::State;
use super::release::{Release, entry, is_id, is_named_by_content, is_package, listed, time_of};
use super::steps::{Plan, Step};
use crate::layout::Kind;
use crate::{assets, sums};

/// Something that is in the way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InTheWay {
    #[error(
        "`{}` there is {what}, and has to be a folder{}",
        path.escape_debug(),
        help!("look who put it there, and remove it")
    )]
    NoFolder {
        path: String,
        /// What it is.
        what: &'static str,
    },
    #[error(
        "`{}` there is a folder, and has to be a file or a link of this tool{}",
        path.escape_debug(),
        help!("look who put it there, and remove it")
    )]
    Folder { path: String },
    /// Something that the release does not have, and that would be public with it.
    #[error(
        "`{}` there is no file of that release{}",
        path.escape_debug(),
        help!("look who put it there, and remove it")
    )]
    Foreign { path: String },
}

/// That each folder above `path`, as far as it is there, is one.
pub fn above(listing: &Listing, path: &str) -> Result<(), InTheWay> {
    let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
    for folder in folders {
        let what = match listing.get(folder) {
            None | Some(RemoteEntry::Folder) => continue,
            Some(RemoteEntry::Link(_)) => "a link",
            Some(RemoteEntry::File { .. }) => "a file",
        };
        return Err(InTheWay::NoFolder {
            path: folder.to_owned(),
            what,
        });
    }
    Ok(())
}

/// That this tool's own folders are folders, and its links no folders: whatever is done, clients, or the next run, go by these.
pub fn own_are_so(listing: &Listing) -> Result<(), InTheWay> {
    above(listing, &format!("{PARTIAL}/"))?;
    let links = [CURRENT, STAGED, PROBE];
    let folder = links
        .iter()
        .find(|path| listing.get(**path) == Some(&RemoteEntry::Folder));
    match folder {
        None => Ok(()),
        Some(path) => Err(InTheWay::Folder {
            path: (*path).to_owned(),
        }),
    }
}

/// What clients read in place of the release that our link leads to: what lies where one of the links to it has to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instead {
    /// Links that lead elsewhere.
    pub elsewhere: Vec<String>,
    /// Files, which may be those of that release.
    pub files: Vec<String>,
}

/// That, of the sums and the indexes.
pub fn instead(listing: &Listing) -> Instead {
    let plain = Kind::ALL.map(|kind| kind.folder().to_owned());
    let folders = plain.into_iter().chain(Kind::ALL.map(assets::folder));
    let indexes = folders.map(|folder| format!("{folder}/repodata/repomd.xml"));
    let mut found = Instead::default();
    for path in indexes.chain([sums::FILE.to_owned()]) {
        let at = entry(&path);
        match listing.get(at) {
            Some(RemoteEntry::Link(to)) if *to != link_to(at) => {
                found.elsewhere.push(at.to_owned())
            }
            _ if matches!(listing.get(&path), Some(RemoteEntry::File { .. })) => {
                found.files.push(path)
            }
            _ => {}
        }
    }
    found
}

impl Plan {
    /// That nothing is in the way of any of its steps: a link would have them write or remove somewhere else.
    pub fn judge(&self, listing: &Listing) -> Result<(), InTheWay> {
        own_are_so(listing)?;
        for step in &self.steps {
            let (paths, replaces): (Vec<&str>, bool) = match step {
                Step::Put(puts) => (puts.iter().map(|put| put.path.as_str()).collect(), false),
                Step::Link(links) => (links.keys().map(String::as_str).collect(), false),
                Step::TakeOver(links) => (links.keys().map(String::as_str).collect(), true),
                Step::Switch { link, .. } => (vec![*link], false),
                Step::Remove(paths) => (paths.iter().map(String::as_str).collect(), true),
                Step::Probe(_) | Step::Complete(_) => continue,
            };
            for path in paths {
                above(listing, path)?;
                if !replaces && listing.get(path) == Some(&RemoteEntry::Folder) {
                    return Err(InTheWay::Folder {
                        path: path.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

/// That the folder of `release` has nothing but its files, those that are called by their content, and links of ours.
pub fn only_its_own(release: &Release, listing: &Listing) -> Result<(), InTheWay> {
    match others_in(release, listing).next() {
        None => Ok(()),
        Some(path) => Err(InTheWay::Foreign { path: path.clone() }),
    }
}

/// What the folder of `release` has besides.
fn others_in<'l>(release: &Release, listing: &'l Listing) -> impl Iterator<Item = &'l String> {
    let folder = kept(&release.id, "");
    let links = own_links(release);
    let is_link = move |path: &str, to: &str| {
        if path == PREVIOUS {
            return to.strip_prefix("../").is_some_and(is_id);
        }
        links.iter().any(|(own, leads)| own == path && leads == to)
    };
    let is_file = |path: &str| release.file(path).is_some() && !is_package(path);
    let own = move |within: &str, found: &RemoteEntry| match found {
        RemoteEntry::Folder => {
            let below = format!("{within}/");
            let mut files = release.files.iter();
            files.any(|file| file.path.starts_with(&below))
        }
        RemoteEntry::File { sha256, .. } => {
            let named = named_by(within);
            let is_so = |digest: &str| sha256.as_deref().is_none_or(|it| it == digest);
            is_file(within) || named.is_some_and(is_so)
        }
        // A file of the release is put in the place of any other link.
        RemoteEntry::Link(to) => {
            let half = is_half_made(&kept(&release.id, within), to).then(|| whole_name(within));
            is_file(within)
                || is_link(within, to)
                || half.is_some_and(|within| is_link(&within, to))
        }
    };
    let below = listing.range(folder.clone()..);
    let within = below.map_while(move |(path, found)| {
        let within = path.strip_prefix(&folder)?;
        Some((path, within, found))
    });
    within
        .filter(move |(_, within, found)| !own(within, found))
        .map(|(path, ..)| path)
}

/// What lies where clients of the release `published` look, and is of no release of this tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// In the folders of the repository: where it lies, and where clients find it.
    pub inside: Vec<(String, String)>,
    /// Beside them, where a site may have files of its own.
    pub beside: Vec<String>,
}

/// What is there of somebody else. `texts` are the sums of the releases whose folders are there.
pub fn foreign<'s>(
    listing: &Listing,
    published: &Release,
    texts: impl Iterator<Item = &'s str>,
) -> Foreign {
    let mut known: BTreeSet<String> = texts.flat_map(listed).map(|file| file.path).collect();
    known.extend(published.files.iter().map(|file| file.path.clone()));
    // The sums list all but these.
    known.extend(sums::LEFT_OUT.map(str::to_owned));
    let entries: BTreeSet<&str> = known.iter().map(|path| entry(path)).collect();
    let folders = Kind::ALL
        .map(Kind::folder)
        .into_iter()
        .chain([assets::FOLDER]);
    let folders: Vec<String> = folders.map(|folder| format!("{folder}/")).collect();
    let home = format!("{HOME}/");
    let staging = format!("{STAGING}/");
    let mut found = Foreign::default();
    for (path, what) in listing {
        let own = match what {
            RemoteEntry::Folder => true,
            _ if path.starts_with(&home) || path.starts_with(&staging) => true,
            RemoteEntry::File { .. } => is_package(path) && known.contains(path),
            RemoteEntry::Link(to) => {
                let ours = entries.contains(path.as_str()) && *to == link_to(path);
                ours || path == STAGING || is_half_made(path, to)
            }
        };
        if own {
            continue;
        }
        match folders.iter().any(|folder| path.starts_with(folder)) {
            true => found.inside.push((path.clone(), path.clone())),
            false => found.beside.push(path.clone()),
        }
    }
    let folder = folder_of(&published.id);
    let others = others_in(published, listing)
        .filter(|path| !matches!(listing.get(*path), Some(RemoteEntry::Folder)));
    let within =
        others.filter_map(|path| Some((path.clone(), path.strip_prefix(&folder)?.to_owned())));
    found.inside.extend(within);
    found
}

/// The same of the folder that has what is staged where there are no links: its files, and those that a release had that was staged before,
/// for who still tests that.
pub fn staging_has_its_own(release: &Release, state: &State) -> Result<(), InTheWay> {
    let folder = format!("{STAGING}/");
    let note = |id: &str| format!("{HOME}/{id}/{}", sums::FILE);
    let on = format!("{STAGED_ON}/");
    // A list that is not what it is called names nothing.
    let lists = state.sums.iter().filter(|(id, text)| {
        let called = Release::new(time_of(id), text, []).id == **id;
        called && state.listing.contains_key(&format!("{folder}{}", note(id)))
    });
    let mut own: BTreeSet<String> = sums::LEFT_OUT.map(str::to_owned).into();
    own.extend(release.files.iter().map(|file| file.path.clone()));
    for (id, text) in lists {
        own.insert(note(id));
        own.extend(listed(text).map(|file| file.path));
    }
    for (path, found) in state.listing.range(folder.clone()..) {
        let Some(within) = path.strip_prefix(&folder) else {
            break;
        };
        let staged_on = format!("{folder}{within}");
        let is_own = *found == RemoteEntry::Folder
            || own.contains(within)
            || staged_on.strip_prefix(&on).is_some_and(is_id);
        if !is_own {
            return Err(InTheWay::Foreign { path: path.clone() });
        }
    }
    Ok(())
}

/// The packages there that neither `new` has nor any release that is there: they are left alone, and clients can read them.
pub fn foreign_packages(state: &State, new: &Release) -> Vec<String> {
    let mut known: BTreeSet<String> = state
        .sums
        .values()
        .flat_map(|sums| listed(sums))
        .map(|file| file.path)
        .collect();
    let releases = [Some(new), state.published.as_ref(), state.staged.as_ref()];
    let files = releases.into_iter().flatten().flat_map(|it| &it.files);
    known.extend(files.map(|file| file.path.clone()));
    let packages = state.listing.iter().filter(|(path, what)| {
        **what != RemoteEntry::Folder && is_package(path) && !known.contains(*path)
    });
    packages.map(|(path, _)| path.clone()).collect()
}

/// The files in the folder of `release` that are none of it and are called by their content, with the digests that they have to have.
pub fn called_by_content(release: &Release, listing: &Listing) -> Vec<(String, String)> {
    let folder = kept(&release.id, "");
    let below = listing.range(folder.clone()..);
    let within = below.map_while(|(path, found)| Some((path, path.strip_prefix(&folder)?, found)));
    within
        .filter(|(_, _, found)| matches!(found, RemoteEntry::File { .. }))
        .filter(|(_, within, _)| release.file(within).is_none())
        .filter_map(|(path, within, _)| Some((path.clone(), named_by(within)?.to_owned())))
        .collect()
}

/// Whether clients come to the file `path` of the release `id`, which is published, by our own link, and by no other.
pub fn leads_to(listing: &Listing, id: &str, path: &str) -> bool {
    let link = |at: &str, to: &str| listing.get(at) == Some(&RemoteEntry::Link(to.to_owned()));
    let at = entry(path);
    is_package(path) || link(at, &link_to(at)) && link(CURRENT, id)
}

/// What `staging` is instead of our own link; none where it is that.
pub(super) fn staging_is(listing: &Listing) -> Option<String> {
    match listing.get(STAGING) {
        Some(RemoteEntry::Link(to)) if to == STAGED => None,
        Some(RemoteEntry::Link(to)) => Some(format!("leads to `{}`", to.escape_debug())),
        Some(RemoteEntry::Folder) => Some("is a folder".to_owned()),
        Some(RemoteEntry::File { .. }) => Some("is a file".to_owned()),
        None => Some("is not there".to_owned()),
    }
}

/// The links in the folder of a release, but for the one to its predecessor, and what they lead to.
pub(super) fn own_links(release: &Release) -> Vec<(String, String)> {
    let mut links = Vec::new();
    for kind in Kind::ALL {
        let packages = format!("{}/Packages", kind.folder());
        let is_inside = |path: &str| is_package(path) && path.starts_with(&packages);
        if release.files.iter().any(|file| is_inside(&file.path)) {
            let to = format!("../../../{packages}");
            links.push((packages, to));
        }
    }
    links
}

/// The digest that a file of metadata has in its name.
fn named_by(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    let (digest, _) = name.split_once('-')?;
    let is_digest = digest.len() == 64
        && digest
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_named_by_content(path) && is_digest).then_some(digest)
}

/// The name that a link is to get: of `.NAME.XXXXXX`, that is NAME.
fn whole_name(path: &str) -> String {
    let (folder, name) = match path.rsplit_once('/') {
        Some((folder, name)) => (format!("{folder}/"), name),
        None => (String::new(), path),
    };
    let inner = name.strip_prefix('.').and_then(|it| it.rsplit_once('.'));
    format!("{folder}{}", inner.map_or(name, |(name, _)| name))
}

/// The folder of what is published or staged, as a path of the listing.
pub fn folder_of(id: &str) -> String {
    format!("{HOME}/{id}/")
}
