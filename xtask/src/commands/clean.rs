//! `cargo xtask clean`

use std::path::Path;

use anyhow::Context as _;
use lustre_packaging::store::{Spare, Store};

use crate::cli::CleanArgs;
use crate::context;
use crate::exit::Outcome;
use crate::leftovers::{self, Leftover};
use crate::ui;

/// Removes what no target needs any more; with `--all`, the whole store; with `--verify`, what is damaged.
pub fn run(arguments: &CleanArgs) -> anyhow::Result<Outcome> {
    let folder = context::store_folder(arguments.store.as_deref())?;
    if !folder.exists() {
        if arguments.json {
            json(&[], arguments);
        }
        ui::say(&format!(
            "nothing to clean: {} does not exist",
            folder.display()
        ));
        return Ok(Outcome::Done);
    }
    let who = "cargo xtask clean";
    let store = if arguments.dry_run {
        Store::look(&folder, who)
    } else {
        Store::clear(&folder, who, &mut |holder| {
            ui::warn(&format!("waiting for another run: {holder}"));
        })
    }
    .with_context(|| format!("the store {}", folder.display()))?;
    let mut tell = |line: &str| ui::warn(line);
    if arguments.dry_run {
        leftovers::tell_leftovers(&store, &mut tell)?;
    } else if !arguments.all {
        leftovers::recover_and_tell(&store, &mut tell)?;
    }
    match (arguments.all, arguments.verify) {
        (true, _) => all(store, &folder, arguments),
        (_, true) => damaged(&store, arguments),
        _ => superseded(&store, &folder, arguments),
    }
}

fn all(store: Store, folder: &Path, arguments: &CleanArgs) -> anyhow::Result<Outcome> {
    let sizes = store.sizes();
    let room = total(&sizes);
    if arguments.dry_run {
        list(&sizes, arguments);
        if arguments.json {
            json(&sizes, arguments);
        }
        ui::say(&format!(
            "would remove the store in {}: {room}",
            folder.display()
        ));
        return Ok(Outcome::Done);
    }
    // The only record of what killed runs left is in the store.
    let mut away = Vec::new();
    for Leftover { output, why } in leftovers::recover(&store)? {
        if let Some(why) = why {
            return Err(why).with_context(|| {
                format!(
                    "cannot remove what a killed run left beside {}, so nothing was removed",
                    output.display()
                )
            });
        }
        away.push(output);
    }
    let left = store.remove_all(folder)?;
    if arguments.json {
        json(&sizes, arguments);
    }
    ui::say(&format!(
        "removed the store in {}: {room}",
        folder.display()
    ));
    for output in away {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        ui::warn(&format!(
            "a run was killed while it published at {}, and the parent folder does not exist now; remove `.{name}.lustre-repo-*` there when it does",
            output.display()
        ));
    }
    for path in left {
        ui::say(&format!(
            "{} does not belong to the store, and was not removed",
            path.display()
        ));
    }
    Ok(Outcome::Done)
}

fn superseded(store: &Store, folder: &Path, arguments: &CleanArgs) -> anyhow::Result<Outcome> {
    let spare = store.superseded()?;
    let results = store.stages().list()?.len();
    if arguments.dry_run {
        list(&spare, arguments);
    } else {
        for one in &spare {
            store.remove(one)?;
        }
    }
    if arguments.json {
        json(&spare, arguments);
    }
    let of = |start: &str| {
        spare
            .iter()
            .filter(|one| one.path.starts_with(start))
            .count()
    };
    ui::say(&format!(
        "{} {} of {results} stages, {} downloads, {} git mirrors and {} logs from {}: {}",
        if arguments.dry_run {
            "would remove"
        } else {
            "removed"
        },
        of("stages/"),
        of("files/") + of("partial/"),
        of("git/"),
        of("logs/"),
        folder.display(),
        total(&spare)
    ));
    Ok(Outcome::Done)
}

fn damaged(store: &Store, arguments: &CleanArgs) -> anyhow::Result<Outcome> {
    let damage = store.damage(&mut |what| ui::say(&format!("reading {what}")))?;
    for (what, why) in &damage {
        if !arguments.json {
            ui::print(&format!(
                "{}: {why}",
                store.root().join(&what.path).display()
            ));
        }
        if !arguments.dry_run {
            store.remove(what)?;
        }
    }
    if arguments.json {
        let found: Vec<_> = damage
            .iter()
            .map(|(what, why)| serde_json::json!({ "path": what.path, "bytes": what.bytes, "why": why }))
            .collect();
        let found = serde_json::json!({ "removed": !arguments.dry_run, "damaged": found });
        ui::print(&found.to_string());
    }
    if damage.is_empty() {
        ui::say("the store is not damaged");
        return Ok(Outcome::Done);
    }
    ui::warn(&format!(
        "{} entries are damaged{}; the next run that needs them builds or fetches them again",
        damage.len(),
        if arguments.dry_run {
            ""
        } else {
            ", and were removed"
        }
    ));
    Ok(Outcome::Unproven)
}

/// What goes, or would, for machines.
fn json(things: &[Spare], arguments: &CleanArgs) {
    let items: Vec<_> = things
        .iter()
        .map(|one| serde_json::json!({ "path": one.path, "bytes": one.bytes }))
        .collect();
    let removed = !arguments.dry_run;
    ui::print(&serde_json::json!({ "removed": removed, "things": items }).to_string());
}

fn list(things: &[Spare], arguments: &CleanArgs) {
    if arguments.json {
        return;
    }
    for one in things {
        ui::print(&format!("{:>10}  {}", size(one.bytes), one.path));
    }
}

fn total(things: &[Spare]) -> String {
    size(things.iter().map(|one| one.bytes).sum())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
