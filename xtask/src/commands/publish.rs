//! `cargo xtask publish`: puts a proven repository where clients read it, in an order in which they can read it at any moment; or beside what
//! they read, and `cargo xtask promote` switches to it.
//!
//! - `source`: the repository, looked at once more.
//! - `own`: the store and a folder for what is fetched.
//! - `published`: the one that clients read so far, and whether this one follows it.
//! - `destination`: what a destination does; `folder`, `rsync`, `store` and `github` are the four kinds.
//! - `staged`: what is staged there, fetched.
//! - `work`: the plan, carried out and told.
//! - `client`: what a client sees afterwards; `installs`: that it installs from there.
//!
//! What is done, and in which order, is decided in `lustre_repository::publishing`.

mod client;
mod destination;
mod folder;
mod github;
mod installs;
mod published;
mod rsync;
pub(super) mod source;
mod staged;
mod store;
mod work;
pub(super) mod workspace;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised};
use lustre_packaging::host;
use lustre_repository::publishing::{
    self, Listing, NotPromoted, PARTIAL, Place, Plan, Release, RemoteEntry, STAGING, Shape, State,
    plan, stage,
};
use lustre_repository::sums;

use destination::{Destination, NOTHING_SENT};
use folder::Folder;
use github::GitHub;
use rsync::Rsync;
use source::Source;
use staged::Staged;
use store::ObjectStore;
use work::{Files, Work};
use workspace::Workspace;

use super::proofs::ProofReport;
use super::verify::expected::Expected;
use crate::cli::{Look, PlaceArgs, PublishArgs};
use crate::context;
use crate::exit::{Outcome, Usage};
use crate::place;
use crate::{published_tree, ui};

/// Publishes a repository, or stages it.
///
/// What is not proven is no error but the answer.
pub fn run(arguments: &PublishArgs) -> anyhow::Result<Outcome> {
    let place = parsed(&arguments.place)?;
    if arguments.staging {
        can_stage(&place)?;
    }
    let dist = repository(arguments)?;
    let own = Workspace::open("publish", &arguments.place.target)?;
    // Where it lies at a forge, and what of it, the repository says.
    let early = destination(&place, Some(&dist))?;
    let expected = prepared(&arguments.place, &place)?;
    let source = match source::proven(&dist, &expected, &own.store.logs_dir())? {
        Ok(source) => source,
        Err(unproven) => {
            return Ok(not_published(
                &arguments.place,
                &unproven,
                &dist.display().to_string(),
            ));
        }
    };
    source.judge_target(
        &arguments.place.target,
        arguments.place.target_given,
        &dist.display().to_string(),
    )?;
    client::can_look(&arguments.place, &place, &source)?;
    let destination: Box<dyn Destination> = match (early, &place) {
        (Some(destination), _) => destination,
        (None, Place::GitHub { owner, name }) => {
            Box::new(GitHub::new(owner, name, &arguments.place, &source, &dist)?)
        }
        (None, _) => bail!("{place} is no place"),
    };
    // One at a time where that can be had, from the first look at what is there.
    let _alone = match arguments.place.dry_run {
        true => None,
        false => destination.alone(true)?,
    };
    let there = published::look(&*destination, own.scratch.path())?;
    follows(&arguments.place, &*destination, &place, &source, &there)?;
    let mut state = there.state;
    let release = destination.kept(&source.release);
    destination.compare(&dist, &release, &mut state.listing)?;
    let shape = destination.shape();
    let mut plan = match arguments.staging {
        false => plan(shape, &release, &state),
        true => stage(shape, &release, &state).map_err(|error| {
            Advised::of(&format_args!(
                "cannot stage {} at {place}: {error}",
                dist.display()
            ))
        })?,
    };
    if destination.at_once() {
        plan = plan.without(&state.listing);
    }
    if arguments.staging && shape == Shape::Flat {
        publishing::staging_has_its_own(&release, &state).context(NOTHING_SENT)?;
    }
    clear(&*destination, &plan, &source, &mut state.listing, &own)?;
    tell_foreign(&state, &source.release, shape);
    destination.fits(&plan).context(NOTHING_SENT)?;
    if !arguments.place.dry_run {
        destination.has_room(plan.sent().filter_map(|put| put.size).sum())?;
    }
    let work = Work {
        own: &own,
        staged: there.staged.as_ref().map(|(_, release)| release),
        already: false,
        arguments: &arguments.place,
        place: &place,
        destination: &*destination,
        plan: &plan,
        staging: arguments.staging,
        files: Files {
            tree: &dist,
            published: &there.root,
        },
    };
    work.done(&source)
}

/// Publishes what is staged.
///
/// What is not proven is no error but the answer.
pub fn promote(arguments: &PlaceArgs) -> anyhow::Result<Outcome> {
    let place = parsed(arguments)?;
    can_stage(&place)?;
    let own = Workspace::open("promote", &arguments.target)?;
    let Some(destination) = destination(&place, None)? else {
        bail!("{place} is no place");
    };
    let expected = prepared(arguments, &place)?;
    let _alone = match arguments.dry_run {
        true => None,
        false => destination.alone(false)?,
    };
    let there = published::look(&*destination, own.scratch.path())?;
    // Before a folder of ours is used there.
    publishing::above(&there.state.listing, &format!("{PARTIAL}/"))?;
    let scratch = own.scratch.path();
    let Some(staged) = Staged::fetch(&*destination, &there, scratch, !arguments.dry_run)? else {
        let found = publishing::staged(destination.shape(), &there.state.listing);
        let what = match found {
            None => "nothing is staged",
            Some(_) => "what is staged cannot be told, or is not what it is called,",
        };
        bail!(advised(
            format!("{what} at {place}"),
            format!("`cargo xtask publish --staging {place}` stages a release")
        ));
    };
    let proven = source::proven(&staged.tree, &expected, &own.store.logs_dir());
    let proven = proven.map_err(|error| {
        // Why, and not what a folder is that has no repository; where it lies, and not where it was looked at.
        let causes = error.chain().skip(usize::from(error.chain().len() > 1));
        let why: Vec<String> = causes.map(|cause| lustre_files::apart(cause).0).collect();
        let tree = staged.tree.display().to_string();
        let why = why.join(": ").replace(&tree, &format!("{place}/{STAGING}"));
        advised(
            format!(
                "what is staged at {place} as {} is damaged: {why}",
                staged.id
            ),
            "look who changed it, and stage it again with `cargo xtask publish --staging`",
        )
    })?;
    let source = match proven {
        Ok(source) => source,
        Err(unproven) => {
            // Where it lies, and not where it was looked at.
            let unproven = unproven.seen_at(&staged.tree, &format!("{place}/{STAGING}"));
            let what = format!("{}, as it is staged at {place},", staged.id);
            return Ok(not_published(arguments, &unproven, &what));
        }
    };
    let shown = format!("{place}/{STAGING}");
    source.judge_target(&arguments.target, arguments.target_given, &shown)?;
    client::can_look(arguments, &place, &source)?;
    if source.release.id != staged.id {
        let what = format!(
            "what is staged at {place} as {} is {}",
            staged.id, source.release.id
        );
        bail!(advised(what, "stage it again"));
    }
    follows(arguments, &*destination, &place, &source, &there)?;
    let mut state = there.state.clone();
    destination.compare(&staged.tree, &source.release, &mut state.listing)?;
    staged.know(&*destination, &source.release, &mut state.listing);
    let plan =
        publishing::promote(destination.shape(), &source.release, &state).map_err(|error| {
            let what = match &error {
                NotPromoted::Untold { .. } => {
                    "publish the release that was published last with `cargo xtask publish`, which puts that right, and promote this one then"
                }
                _ => "stage it again with `cargo xtask publish --staging`, and test it there",
            };
            advised(
                format!("what is staged at {place} is not published: {error}"),
                what,
            )
        })?;
    if destination.shape() == Shape::Flat {
        publishing::staging_has_its_own(&source.release, &state).context(NOTHING_SENT)?;
    }
    clear(&*destination, &plan, &source, &mut state.listing, &own)?;
    tell_foreign(&state, &source.release, destination.shape());
    let published = state.published.as_ref().map(|it| it.id.as_str());
    let already = published == Some(&plan.release) && !plan.switches();
    if already {
        for beside in publishing::staged_beside(&state.listing, &plan.release) {
            ui::warn(&format!(
                "warning: {beside} was put beside it, and is not what is staged now: stage it again with `cargo xtask publish --staging`"
            ));
        }
    }
    let work = Work {
        own: &own,
        staged: there.staged.as_ref().map(|(_, release)| release),
        already,
        arguments,
        place: &place,
        destination: &*destination,
        plan: &plan,
        staging: false,
        files: Files {
            tree: &staged.tree,
            published: &there.root,
        },
    };
    work.done(&source)
}

/// That nothing is in the way of the plan, and nothing in the folder of the release that would be public with it and is none of it.
fn clear(
    destination: &dyn Destination,
    plan: &Plan,
    source: &Source,
    listing: &mut Listing,
    own: &Workspace,
) -> anyhow::Result<()> {
    plan.judge(listing).context(NOTHING_SENT)?;
    if destination.shape() == Shape::Flat {
        return Ok(());
    }
    // Metadata for clients of the release before: nothing lists them there, so they are what they are called.
    let called = publishing::called_by_content(&source.release, listing);
    let paths: Vec<String> = called.iter().map(|(path, _)| path.clone()).collect();
    let folder = own.scratch.path().join("called");
    let there = destination.local(&paths, &folder, lustre_files::LARGE)?;
    for (path, _) in called {
        let file = there.join(&path);
        let read = lustre_files::if_there(sums::sha256(&file));
        let read = read.with_context(|| format!("cannot read {}", file.display()))?;
        if let (Some((digest, _)), Some(RemoteEntry::File { sha256, .. })) =
            (read, listing.get_mut(&path))
        {
            *sha256 = Some(digest);
        }
    }
    publishing::only_its_own(&source.release, listing).context(NOTHING_SENT)?;
    Ok(())
}

/// Names the packages there that are of no release. Where there are no links, `verify` of the URL is who knows what belongs there.
fn tell_foreign(state: &State, release: &Release, shape: Shape) {
    if shape != Shape::Linked {
        return;
    }
    for path in publishing::foreign_packages(state, release) {
        ui::warn(&format!(
            "warning: `{}` there is of no release of this tool, and clients can read it; it is left alone: look who put it there",
            path.escape_debug()
        ));
    }
}

fn parsed(arguments: &PlaceArgs) -> Result<Place, Usage> {
    Place::parse(&arguments.to).map_err(|error| Usage::new(Advised::of(&error)))
}

/// That a release can be staged there.
fn can_stage(place: &Place) -> Result<(), Usage> {
    match place {
        Place::GitHub { .. } => Err(Usage::new(advised(
            format!(
                "nothing can be staged at {place}: what is not published there is read by nobody but those who may write to it"
            ),
            "publish to another repository of GitHub, or to another place, to test it; or publish it without --staging",
        ))),
        Place::Folder(_) | Place::Rsync(_) | Place::Store { .. } => Ok(()),
    }
}

/// Looks at the rest of the command line and for the programs that it takes; gives which key is expected.
fn prepared(arguments: &PlaceArgs, place: &Place) -> anyhow::Result<Expected> {
    if let Some(option) = arguments.without_effect.first() {
        return Err(Usage::new(format!(
            "{option}: nothing is built to publish it, and nothing is taken from a shared store"
        ))
        .into());
    }
    if let Some(url) = &arguments.url {
        client::judge(url)?;
    }
    let mut tools = Vec::from_iter(place.tools());
    tools.push("publish");
    if arguments.check == Look::Install {
        tools.push("repo");
        if !rustix::process::geteuid().is_root() {
            tools.push("repo-unprivileged");
        }
    }
    let setup = arguments.target.setup;
    host::ensure(&place::specs(), &tools, setup, &mut |text| ui::say(text))?;
    Expected::of(
        &arguments.expected.public_key,
        &arguments.expected.key,
        false,
    )
}

fn not_published(arguments: &PlaceArgs, unproven: &ProofReport, what: &str) -> Outcome {
    unproven.show();
    if arguments.target.json {
        ui::print(unproven.text().trim_end());
    }
    ui::warn(&format!("{what} is not published: its proofs do not hold"));
    Outcome::Unproven
}

/// That the repository may take the place of what is there; what speaks against it is said.
fn follows(
    arguments: &PlaceArgs,
    destination: &dyn Destination,
    place: &Place,
    source: &Source,
    there: &published::PublishedState,
) -> anyhow::Result<()> {
    for what in published::follows(destination, place, source, there, arguments.replace_anyway)? {
        ui::warn(&format!(
            "warning: {what}; replaced anyway (--replace-anyway)"
        ));
    }
    Ok(())
}

/// The repository to publish.
fn repository(arguments: &PublishArgs) -> anyhow::Result<PathBuf> {
    let dist = match &arguments.from {
        Some(path) => path.clone(),
        None => context::default_output(&context::target(&arguments.place.target)?.name)?,
    };
    context::judge_path("the repository", &dist, &[])?;
    let dist = std::fs::canonicalize(&dist).with_context(|| {
        advised(
            format!("no repository at {}", dist.display()),
            "`cargo xtask repo` makes one",
        )
    })?;
    published_tree::whole(&dist)?;
    Ok(dist)
}

/// What is at the place; none where that is not told by its name alone.
fn destination(place: &Place, dist: Option<&Path>) -> anyhow::Result<Option<Box<dyn Destination>>> {
    Ok(Some(match place {
        Place::Folder(path) => {
            context::judge_path("the destination", path, &[])?;
            Box::new(Folder::new(path, dist)?)
        }
        Place::Rsync(to) => Box::new(Rsync::new(to)?),
        Place::Store { remote, s3 } => Box::new(ObjectStore::new(remote, *s3)?),
        Place::GitHub { .. } => return Ok(None),
    }))
}
