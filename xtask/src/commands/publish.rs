//! `cargo xtask publish`: puts a proven repository where clients read it, in an order in which they can read it at any moment.
//!
//! - `source`: the repository, looked at once more.
//! - `published`: the one that clients read so far, and whether this one follows it.
//! - `destination`: what a destination does; `folder`, `rsync` and `store` are the three kinds.
//! - `client`: what a client sees afterwards.
//!
//! What is done, and in which order, is decided in `lustre_repository::publishing`.

mod client;
mod destination;
mod folder;
mod published;
mod rsync;
pub(super) mod source;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::host;
use lustre_repository::publishing::{Found, Origin, Place, Plan, Put, Step, plan};

use client::Seen;
use destination::Destination;
use folder::Folder;
use rsync::Rsync;
use store::ObjectStore;

use super::verify::expected::Expected;
use crate::cli::PublishArgs;
use crate::context;
use crate::exit::{Outcome, Usage};
use crate::place;
use crate::ui;

/// Publishes a repository.
///
/// # Errors
/// When the destination is none, has something else, or a step fails. What is not proven is no error but the answer.
pub fn run(arguments: &PublishArgs) -> anyhow::Result<Outcome> {
    let place = Place::parse(&arguments.to).map_err(|error| Usage(error.to_string()))?;
    let dist = repository(arguments)?;
    let destination = destination(&place, &dist)?;
    if let Some(url) = &arguments.url {
        client::judge(url)?;
    }
    let mut tools = Vec::from_iter(place.program().map(|program| match program {
        "rsync" => "publish-rsync",
        _ => "publish-store",
    }));
    tools.push("publish");
    let setup = arguments.target.setup;
    host::ensure(&place::specs(), &tools, setup, &mut |text| ui::say(text))?;
    let expected = Expected::of(arguments.public_key.as_deref(), &arguments.key, false)?;
    let scratch = tempfile::tempdir().context("a temporary folder")?;
    let source = match source::proven(&dist, &expected, scratch.path())? {
        Ok(source) => source,
        Err(unproven) => {
            unproven.show();
            if arguments.target.json {
                ui::print(unproven.text().trim_end());
            }
            ui::warn(&format!(
                "{} is not published: its proofs do not hold",
                dist.display()
            ));
            return Ok(Outcome::Unproven);
        }
    };
    // One at a time where that can be had, from the first look at what is there.
    let _alone = match arguments.dry_run {
        true => None,
        false => destination.alone()?,
    };
    let there = published::look(&*destination, scratch.path())?;
    let overruled = published::follows(&place, &source, &there, arguments.replace_anyway)?;
    for what in overruled {
        ui::warn(&format!(
            "warning: {what}; replaced anyway (--replace-anyway)"
        ));
    }
    let mut state = there.state;
    destination.compare(&source.release, &mut state.listing)?;
    let plan = plan(destination.shape(), &source.release, &state);
    if arguments.dry_run {
        tell(arguments, &place, &plan, None)?;
        return Ok(Outcome::Done);
    }
    let files = Files {
        tree: &dist,
        published: &there.root,
    };
    for step in &plan.steps {
        perform(&*destination, step, &files)?;
    }
    ui::say(&format!(
        "published {} to {place}: {}",
        plan.release,
        summary(&plan)
    ));
    let seen = client::look(arguments, &dist, &source, scratch.path())?;
    tell(arguments, &place, &plan, Some(&seen))?;
    Ok(match seen {
        Seen::Broken { .. } => Outcome::Unproven,
        Seen::Whole { .. } | Seen::NotLooked(_) => Outcome::Done,
    })
}

/// The repository to publish.
fn repository(arguments: &PublishArgs) -> anyhow::Result<PathBuf> {
    let dist = match &arguments.from {
        Some(path) => path.clone(),
        None => context::default_output(&context::target(&arguments.target)?.name)?,
    };
    context::judge_path("the repository", &dist, &[])?;
    std::fs::canonicalize(&dist).with_context(|| {
        format!(
            "no repository at {}; `cargo xtask repo` makes one",
            dist.display()
        )
    })
}

/// What is at the place.
fn destination(place: &Place, dist: &Path) -> anyhow::Result<Box<dyn Destination>> {
    Ok(match place {
        Place::Folder(path) => {
            context::judge_path("the destination", path, &[])?;
            Box::new(Folder::new(path, dist)?)
        }
        Place::Rsync(to) => Box::new(Rsync::new(to)?),
        Place::Store { remote, s3 } => Box::new(ObjectStore::new(remote, *s3)?),
    })
}

/// Where the files of a plan are.
struct Files<'a> {
    tree: &'a Path,
    published: &'a Path,
}

fn perform(destination: &dyn Destination, step: &Step, files: &Files<'_>) -> anyhow::Result<()> {
    match step {
        Step::Put(puts) => {
            ui::say(&format!("sending {}", amount(puts.iter())));
            let with_source: Vec<(PathBuf, &Put)> = puts
                .iter()
                .map(|put| match &put.origin {
                    Origin::Tree(path) => (files.tree.join(path), put),
                    Origin::Published(path) => (files.published.join(path), put),
                })
                .collect();
            destination.put(&with_source)
        }
        Step::Link(links) => destination.link(links),
        Step::TakeOver(links) => destination.take_over(links),
        Step::Probe(path) => destination.probe(path),
        Step::Complete(wanted) => complete(destination, wanted),
        Step::Switch(id) => {
            destination.settle()?;
            let current = lustre_repository::publishing::CURRENT.to_owned();
            destination.link(&BTreeMap::from([(current, id.clone())]))
        }
        Step::Remove(paths) => {
            // Clients read the new release by now: what cannot be removed is no reason to fail.
            if let Err(error) = destination.remove(paths) {
                ui::warn(&format!(
                    "warning: what is not needed any more is still there: {error:#}; the next publish removes it"
                ));
            }
            Ok(())
        }
    }
}

/// That everything has come as it was sent, and that nobody removed it meanwhile.
fn complete(destination: &dyn Destination, wanted: &BTreeMap<String, u64>) -> anyhow::Result<()> {
    let listing = destination.list()?;
    let missing = wanted.iter().find(|(path, size)| {
        !matches!(listing.get(*path), Some(Found::File { size: there, .. }) if there == *size)
    });
    match missing {
        None => Ok(()),
        Some((path, size)) => anyhow::bail!(
            "{path} is not at the destination with its {size} bytes, although it was sent: another run may be publishing there; \
             run the same command again"
        ),
    }
}

fn amount<'p>(puts: impl Iterator<Item = &'p Put>) -> String {
    let (mut files, mut bytes) = (0, 0);
    for put in puts {
        files += 1;
        bytes += put.size.unwrap_or_default();
    }
    format!("{files} files, {}", size(bytes))
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        _ => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

fn summary(plan: &Plan) -> String {
    let removed = plan.removed().count();
    let mut text = match plan.sent().next() {
        None => "everything was there".to_owned(),
        Some(_) => format!("{} sent", amount(plan.sent())),
    };
    if let Some(old) = &plan.replaces {
        text.push_str(&format!(
            "; it replaces {old}, which stays for clients that have its metadata"
        ));
    }
    if removed > 0 {
        text.push_str(&format!("; {removed} old ones removed"));
    }
    text
}

/// The result, for machines or, of a dry run, for people.
fn tell(
    arguments: &PublishArgs,
    place: &Place,
    plan: &Plan,
    seen: Option<&Seen>,
) -> anyhow::Result<()> {
    let removed: Vec<&str> = plan.removed().collect();
    if arguments.target.json {
        let sent: Vec<_> = plan
            .sent()
            .map(|put| {
                serde_json::json!({ "path": put.path, "size": put.size, "replaces": put.replaces })
            })
            .collect();
        let result = serde_json::json!({
            "to": place.to_string(),
            "release": plan.release,
            "replaces": plan.replaces,
            "dry_run": arguments.dry_run,
            "sent": sent,
            "removed": removed,
            "client": seen.map(Seen::json),
        });
        ui::print(&serde_json::to_string_pretty(&result)?);
        return Ok(());
    }
    if arguments.dry_run {
        for put in plan.sent() {
            let word = if put.replaces { "replace" } else { "send" };
            let bytes = put.size.map_or_else(|| "old".to_owned(), size);
            ui::print(&format!("{word:8}{bytes:>9}  {}", put.path));
        }
        for path in removed {
            ui::print(&format!("remove            {path}"));
        }
        ui::say(&format!(
            "nothing was sent: {} would be published to {place}: {}",
            plan.release,
            summary(plan)
        ));
    }
    Ok(())
}
