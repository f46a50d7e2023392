//! A release beside the one that clients read: it lies there whole, some clients read it by a way of their own, and it is what is switched to
//! when it is promoted.

use std::collections::{BTreeMap, BTreeSet};

use lustre_files::help;

use super::listing::{Listing, RemoteEntry};
use super::names::{CURRENT, HOME, PARTIAL, PREVIOUS, PROBE, STAGED, STAGED_ON, STAGING, kept};
use super::obstacles::{own_links, staging_is};
use super::plan::{Planning, Shape, State, plan};
use super::release::{File, Release, is_id, is_package, listed};
use super::steps::{Origin, Plan, Step, Upload};
use crate::sums;

/// Why a release cannot be staged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStaged {
    #[error("`{STAGING}` at the destination was not made by this tool{}", help!("move it away"))]
    Foreign,
    #[error(
        "{file} has other content there, and those who read what is published would get this one (another signature is enough for that){}",
        help!("raise the package's release; or publish without --staging, as with another key"),
        file = .0
    )]
    Contradicts(String),
}

/// Why what is staged is not published.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotPromoted {
    /// It was staged beside another release than the one that clients read.
    #[error(
        "{staged} was staged beside {}, and {} is published now",
        told(on),
        told(live)
    )]
    Changed {
        staged: String,
        /// Beside which releases.
        on: BTreeSet<String>,
        /// What is published.
        live: BTreeSet<String>,
    },
    /// The same where what clients read cannot be told.
    #[error(
        "{staged} was staged beside {}, and it cannot be told what is published now",
        told(on)
    )]
    Untold {
        staged: String,
        /// Beside which releases.
        on: BTreeSet<String>,
    },
    #[error(
        "`{STAGING}` there {0}, where a link to `{STAGED}` has to be: whoever tested there read something else"
    )]
    Elsewhere(String),
    #[error("{0} of the staged release is missing or differs")]
    NotWhole(String),
}

fn told(ids: &BTreeSet<String>) -> String {
    match ids.is_empty() {
        true => "nothing".to_owned(),
        false => Vec::from_iter(ids.iter().map(String::as_str)).join(" and "),
    }
}

/// Where what is staged lies, and its name where that is told: a folder, with a slash at its end. None where nothing is staged.
pub fn staged(shape: Shape, listing: &Listing) -> Option<(String, Option<String>)> {
    match (shape, listing.get(STAGED)) {
        (Shape::Linked, Some(RemoteEntry::Link(id))) if is_id(id) => {
            Some((kept(id, ""), Some(id.clone())))
        }
        (Shape::Linked, _) => None,
        (Shape::Flat, _) => {
            let folder = format!("{STAGING}/");
            let sums = format!("{folder}{}", sums::FILE);
            matches!(listing.get(&sums), Some(RemoteEntry::File { .. })).then_some((folder, None))
        }
    }
}

/// Whether something leads to what is staged, whatever that is, where there are links.
pub fn something_is_staged(listing: &Listing) -> bool {
    listing.contains_key(STAGED)
}

/// Where a file of what is staged lies; `folder` is where all of it does, but for packages that other releases have as well.
pub fn staged_at(shape: Shape, folder: &str, path: &str) -> String {
    match shape {
        Shape::Linked if is_package(path) => path.to_owned(),
        Shape::Linked | Shape::Flat => format!("{folder}{path}"),
    }
}

/// How `new` is put beside what clients read.
pub fn stage(shape: Shape, new: &Release, state: &State) -> Result<Plan, NotStaged> {
    match shape {
        Shape::Linked => linked(new, state),
        Shape::Flat => flat(new, state),
    }
}

/// How what is staged takes the place of what clients read.
pub fn promote(shape: Shape, staged: &Release, state: &State) -> Result<Plan, NotPromoted> {
    let live: BTreeSet<String> = state.published.iter().map(|it| it.id.clone()).collect();
    let on = staged_on(shape, staged, &state.listing);
    // Whoever goes on where a run ended has published it already.
    if live.is_empty() && !on.is_empty() && state.all_stay {
        return Err(NotPromoted::Untold {
            staged: staged.id.clone(),
            on,
        });
    }
    if !live.contains(&staged.id) && live != on {
        return Err(NotPromoted::Changed {
            staged: staged.id.clone(),
            on,
            live,
        });
    }
    if shape == Shape::Linked
        && let Some(instead) = staging_is(&state.listing)
    {
        return Err(NotPromoted::Elsewhere(instead));
    }
    let mut plan = plan(shape, staged, state);
    if live.contains(&staged.id) && staged_beside(&state.listing, &staged.id).next().is_some() {
        for step in &mut plan.steps {
            if let Step::Remove(paths) = step {
                paths.retain(|path| [PROBE, PARTIAL].contains(&path.as_str()));
            }
        }
        plan.steps
            .retain(|step| !matches!(step, Step::Remove(paths) if paths.is_empty()));
    }
    let missing = plan
        .sent()
        .find(|put| shape == Shape::Linked && matches!(put.origin, Origin::Tree(_)));
    match missing {
        None => Ok(plan),
        Some(put) => Err(NotPromoted::NotWhole(put.path.clone())),
    }
}

/// The releases that were put beside this one where there are links. What leads to none of them may be what somebody has tested.
pub fn staged_beside<'l>(listing: &'l Listing, id: &str) -> impl Iterator<Item = &'l str> {
    let beside = RemoteEntry::Link(format!("../{id}"));
    let links = listing.iter().filter(move |(_, to)| **to == beside);
    links.filter_map(|(path, _)| {
        let within = path.strip_prefix(HOME)?.strip_prefix('/')?;
        let (id, name) = within.split_once('/')?;
        (name == PREVIOUS && is_id(id)).then_some(id)
    })
}

/// What clients read when `release` was staged.
fn staged_on(shape: Shape, release: &Release, listing: &Listing) -> BTreeSet<String> {
    match (shape, listing.get(&kept(&release.id, PREVIOUS))) {
        (Shape::Linked, Some(RemoteEntry::Link(to))) => BTreeSet::from([to.replacen("../", "", 1)]),
        (Shape::Linked, _) => BTreeSet::new(),
        (Shape::Flat, _) => {
            let below = format!("{STAGED_ON}/");
            let names = listing.keys().filter_map(|path| path.strip_prefix(&below));
            names.map(str::to_owned).collect()
        }
    }
}

fn linked(new: &Release, state: &State) -> Result<Plan, NotStaged> {
    let listing = &state.listing;
    let is_link =
        |path: &str, to: &str| listing.get(path) == Some(&RemoteEntry::Link(to.to_owned()));
    if listing.contains_key(STAGING) && !is_link(STAGING, STAGED) {
        return Err(NotStaged::Foreign);
    }
    let made = Planning::new(new, state);
    let live = state.published.as_ref();
    let before_live = live.and_then(|it| match listing.get(&kept(&it.id, PREVIOUS)) {
        Some(RemoteEntry::Link(to)) => to.strip_prefix("../"),
        _ => None,
    });
    let (anew, others) = made.packages();
    // What neither of them lists nobody reads.
    let texts = before_live.and_then(|id| state.sums.get(id));
    let mut read = live
        .into_iter()
        .flat_map(|it| it.files.iter().cloned())
        .chain(texts.into_iter().flat_map(|text| listed(text)));
    let is_read = |file: File| anew.iter().any(|put| put.path == file.path);
    if let Some(file) = read.find(|file| is_read(file.clone())) {
        return Err(NotStaged::Contradicts(file.path));
    }
    let mut links = BTreeMap::new();
    if let Some(old) = made.before {
        links.insert(kept(&new.id, PREVIOUS), format!("../{}", old.id));
    }
    let own = own_links(new).into_iter();
    links.extend(own.map(|(path, to)| (kept(&new.id, &path), to)));
    let switch = (!is_link(STAGED, &new.id)).then(|| Step::Switch {
        link: STAGED,
        to: new.id.clone(),
    });
    let entry = BTreeMap::from([(STAGING.to_owned(), STAGED.to_owned())]);
    let mut steps = made.first();
    steps.extend([
        Step::Put(others),
        Step::Put(made.inside()),
        made.missing(links),
        Step::Put(anew),
        Step::Complete(made.complete()),
    ]);
    if live.is_none() && listing.contains_key(&kept(&new.id, PREVIOUS)) {
        steps.push(Step::Remove(vec![kept(&new.id, PREVIOUS)]));
    }
    steps.extend(switch);
    steps.push(made.missing(entry));
    let mut stay = BTreeSet::from([new.id.as_str()]);
    stay.extend(live.map(|it| it.id.as_str()));
    stay.extend(before_live);
    // The link may lead to a release although that cannot be told.
    let current = match listing.get(CURRENT) {
        Some(RemoteEntry::Link(id)) => Some(id.as_str()),
        _ => None,
    };
    stay.extend(current);
    let dropped = made.dropped(&stay);
    let without = State {
        staged: None,
        ..state.clone()
    };
    let packages = Planning::new(new, &without).unnamed(&dropped, &stay, is_package);
    steps.push(Step::Remove(packages));
    let folders = dropped.iter().map(|id| format!("{HOME}/{id}"));
    let own = [PROBE, PARTIAL].map(str::to_owned);
    steps.push(Step::Remove(
        folders.chain(made.half_made()).chain(own).collect(),
    ));
    let replaced = state.staged.as_ref().filter(|it| it.id != new.id);
    Ok(Plan::of(new, replaced, steps))
}

/// As a release is published, in a folder.
fn flat(new: &Release, state: &State) -> Result<Plan, NotStaged> {
    let folder = format!("{STAGING}/");
    let own = format!("{folder}{HOME}/");
    let inside = state
        .listing
        .iter()
        .filter_map(|(path, found)| Some((path.strip_prefix(&folder)?.to_owned(), found.clone())));
    let within = State {
        listing: inside.collect(),
        published: state.staged.clone(),
        staged: None,
        sums: state.sums.clone(),
        all_stay: false,
    };
    if !within.listing.is_empty() && !state.listing.keys().any(|path| path.starts_with(&own)) {
        return Err(NotStaged::Foreign);
    }
    // That this is a place of ours is said first, and not only in the folder.
    let mut steps = vec![Step::Put(Planning::new(new, state).note())];
    let made = plan(Shape::Flat, new, &within);
    let at = |path: String| format!("{folder}{path}");
    let moved = |put: Upload| Upload {
        path: at(put.path),
        origin: match put.origin {
            Origin::Published(path) => Origin::Published(at(path)),
            tree @ Origin::Tree(_) => tree,
        },
        ..put
    };
    let steps_within = made.steps.into_iter().map(|step| match step {
        Step::Put(puts) => Step::Put(puts.into_iter().map(moved).collect()),
        Step::Complete(wanted) => Step::Complete(
            wanted
                .into_iter()
                .map(|(path, it)| (at(path), it))
                .collect(),
        ),
        Step::Remove(paths) => Step::Remove(paths.into_iter().map(at).collect()),
        linked @ (Step::Link(_) | Step::TakeOver(_) | Step::Probe(_) | Step::Switch { .. }) => {
            linked
        }
    });
    steps.extend(steps_within);
    // Behind the release itself: as long as it is not so, nothing is promoted.
    let on = staged_on(Shape::Flat, new, &state.listing);
    let live = state.published.as_ref();
    if let Some(live) = live
        && !on.contains(&live.id)
        && let Some(file) = live.file(sums::FILE)
    {
        steps.push(Step::Put(vec![Upload {
            path: format!("{STAGED_ON}/{}", live.id),
            origin: Origin::Published(sums::FILE.to_owned()),
            size: file.size,
            sha256: file.sha256.clone(),
            replaces: false,
        }]));
    }
    let stale = on
        .iter()
        .filter(|id| live.is_none_or(|live| live.id != **id))
        .map(|id| format!("{STAGED_ON}/{id}"));
    steps.push(Step::Remove(stale.collect()));
    let replaced = state.staged.as_ref().filter(|it| it.id != new.id);
    Ok(Plan::of(new, replaced, steps))
}
