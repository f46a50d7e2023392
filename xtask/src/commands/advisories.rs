//! `cargo xtask advisories`

use std::path::Path;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::advisories::{
    self, Advisory, Commit, Fault, History, Ledger, Selection, TargetFault,
};
use lustre_packaging::overlay::Overlay;
use lustre_packaging::shown::harmless;
use lustre_packaging::source::{Error, Histories};
use lustre_packaging::target::{Source, Target};
use serde_json::{Value, json};

use crate::cli::TargetArgs;
use crate::context::Context;
use crate::exit::Outcome;
use crate::place;
use crate::{lock, sources, ui};

/// How many letters of a commit's id are shown to people.
const SHORT: usize = 10;

/// How many commits of a kind are listed to people; `--json` has all.
const SHOWN: usize = 3;

/// Tells what is known to be wrong with the Lustre of a target, and what upstream has mended since.
pub fn run(arguments: &TargetArgs) -> anyhow::Result<Outcome> {
    let context = Context::read_only(arguments, "cargo xtask advisories")?;
    let target = &context.target;
    if let Some(model) = &target.model {
        anyhow::bail!("{model} Upstream does not fix it: choose a target with the real one");
    }
    let ledger = Ledger::load(&place::specs())?;
    ledger.check_mends(&place::specs())?;
    let what = "this needs a clone with upstream's full history and branches";
    let found = sources::lustre(&context, &lock::none(&context)?, sources::Need::Content);
    let (fetched, _) = match found {
        Ok(found) => found,
        // What fetches sources for builds fetches no history.
        Err(error) if matches!(error.downcast_ref(), Some(Error::Offline { .. })) => {
            anyhow::bail!(advised(
                format!("{what}, and none is given"),
                format!(
                    "run `git clone --bare {} lustre.git`, then add --source lustre=lustre.git",
                    place(&target.lustre.source)
                )
            ))
        }
        Err(error) => return Err(error.context(what)),
    };
    let histories = fetched.histories(&context.store)?;
    let pinned =
        matches!(&target.lustre.source, Source::Git { commit, .. } if *commit == histories.commit);
    let version = if pinned {
        target.lustre.version.clone()
    } else {
        let told = fetched.version(&context.store)?;
        told.with_context(|| {
            advised(
                format!(
                    "no release is tagged before {}, so its release is unknown",
                    histories.commit
                ),
                "fetch upstream's tags (git fetch --tags)",
            )
        })?
    };
    let overlay = overlay(&place::specs(), target)?;
    let known = ledger.known(target, &version, overlay.as_ref());
    let history = History::new(histories.history.clone());
    let selection = advisories::select(&history, &histories.later);
    if context.arguments.json {
        let report = json!({
            "target": target.name,
            "lustre": version,
            "commit": histories.commit,
            "branches": histories.branches.iter().map(|one| &one.name).collect::<Vec<_>>(),
            "later": selection.later,
            "naming": selection.naming,
            "known": known.iter().map(known_json).collect::<Vec<_>>(),
            "left_out": selection.left_out.iter().map(|one| {
                let mut value = commit_json(one.commit);
                value["why"] = json!(one.why);
                value
            }).collect::<Vec<_>>(),
            "advisories": selection.advisories.iter().map(|one| {
                advisory_json(one, standing(&ledger, &known, one))
            }).collect::<Vec<_>>(),
        });
        ui::print(&serde_json::to_string_pretty(&report)?);
    } else {
        ui::print(text(&histories, &version, &selection, &ledger, &known).trim_end());
    }
    for ticket in ledger.unknown(target) {
        ui::say(&format!(
            "lustre.accepts contains {ticket}, and specs/{} has no such fault",
            Ledger::FILE
        ));
    }
    Ok(if known.iter().any(TargetFault::stops) {
        Outcome::Misfit
    } else {
        Outcome::Done
    })
}

fn place(source: &Source) -> &str {
    match source {
        Source::Git { url, .. } | Source::GitTag { url, .. } => url,
        _ => "URL",
    }
}

/// The target's overlay of Lustre.
fn overlay(specs: &Path, target: &Target) -> anyhow::Result<Option<Overlay>> {
    let wanted = &target.lustre;
    let load =
        |folder: &String| Overlay::load_in(specs, &target.folder(specs, folder), &wanted.options);
    Ok(wanted.overlay.as_ref().map(load).transpose()?)
}

/// The known fault that an advisory is of.
fn standing<'k, 'l>(
    ledger: &Ledger,
    known: &'k [TargetFault<'l>],
    advisory: &Advisory<'_>,
) -> Option<&'k TargetFault<'l>> {
    let fault = fault(ledger, advisory)?;
    known.iter().find(|one| one.fault.ticket == fault.ticket)
}

/// The fault of the ledger that an advisory mends, whether the target has it or not.
fn fault<'l>(ledger: &'l Ledger, advisory: &Advisory<'_>) -> Option<&'l Fault> {
    let mut all = [advisory.commit]
        .into_iter()
        .chain(advisory.also.iter().copied());
    all.find_map(|one| ledger.of_change(&one.id))
}

fn commit_json(commit: &Commit) -> Value {
    json!({ "commit": commit.id, "time": commit.time, "subject": commit.subject })
}

fn known_json(known: &TargetFault<'_>) -> Value {
    let fault = known.fault;
    let mut value = json!({
        "ticket": fault.ticket,
        "severity": fault.severity,
        "title": fault.title,
        "does": fault.does,
        "until": fault.until,
    });
    if let (Value::Object(value), Ok(Value::Object(standing))) =
        (&mut value, serde_json::to_value(&known.standing))
    {
        value.extend(standing);
    }
    value
}

fn advisory_json(advisory: &Advisory<'_>, known: Option<&TargetFault<'_>>) -> Value {
    let list = |commits: &[&Commit]| {
        commits
            .iter()
            .map(|one| commit_json(one))
            .collect::<Vec<_>>()
    };
    let mut value = commit_json(advisory.commit);
    value["ticket"] = json!(advisory.commit.ticket());
    value["says"] = json!(advisory.weight.says);
    value["touches"] = json!(advisory.weight.touches);
    value["also"] = json!(list(&advisory.also));
    value["mends"] = json!(list(&advisory.mends));
    value["followed_by"] = json!(list(&advisory.followed_by));
    value["of_ticket"] = json!(list(&advisory.of_ticket));
    value["known"] = json!(known.map(known_json));
    value
}

fn text(
    histories: &Histories,
    version: &str,
    selection: &Selection<'_>,
    ledger: &Ledger,
    known: &[TargetFault<'_>],
) -> String {
    let branches: Vec<String> = histories
        .branches
        .iter()
        .map(|one| harmless(&one.name).into_owned())
        .collect();
    let mut text = format!(
        "Lustre {version}, {}: {} known faults (specs/{})\n",
        short(&histories.commit),
        known.len(),
        Ledger::FILE
    );
    for one in known {
        let fault = one.fault;
        text.push_str(&format!(
            "  {:12} {:9} {}\n{:25}{}\n",
            fault.severity, fault.ticket, fault.title, "", one.standing
        ));
    }
    let left_out = selection.left_out.len();
    let remain = selection.commits();
    text.push_str(&format!(
        "{} later commits on {}; {} fix or revert a commit of it ({} say so by `Fixes:`), {left_out} of these are left out, and {remain} \
         remain: {} fixes, the most severe first\n",
        selection.later,
        branches.join(", "),
        left_out + remain,
        selection.naming,
        selection.advisories.len()
    ));
    for one in &selection.advisories {
        let says = serde_json::to_value(one.weight.says).unwrap_or_default();
        text.push_str(&format!(
            "  {:12} {} {}\n",
            says.as_str().unwrap_or_default(),
            line(one.commit),
            one.weight.touches.join(", ")
        ));
        if let Some(known) = standing(ledger, known, one) {
            text.push_str(&format!("{:25}{}\n", "", known.standing));
        } else if let Some(fault) = fault(ledger, one) {
            let has = if fault.is_in(version) {
                format!("only with the series {}", fault.series.join(", "))
            } else {
                let until = fault.until.as_deref();
                let until = until.map_or_else(String::new, |until| format!(" before {until}"));
                format!("only from {}{until}", fault.since)
            };
            text.push_str(&format!(
                "{:25}not in this target: {has}, by specs/{}\n",
                "",
                Ledger::FILE
            ));
        }
        for (what, commits) in [
            ("and", &one.also),
            ("then", &one.followed_by),
            ("has of it", &one.of_ticket),
        ] {
            for commit in commits.iter().take(SHOWN) {
                text.push_str(&format!("{:15}{what}: {}\n", "", line(commit)));
            }
            if let Some(more) = commits.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                text.push_str(&format!("{:15}{what}: {more} more\n", ""));
            }
        }
    }
    text
}

fn line(commit: &Commit) -> String {
    format!("{} {}", short(&commit.id), harmless(&commit.subject))
}

fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}
