//! `cargo xtask clean`

use anyhow::Context as _;
use lustre_packaging::store::{LOCK as STORE_LOCK, Store, remove_tree};

use crate::cli::CleanArgs;
use crate::context;
use crate::exit::Outcome;
use crate::ui;

/// Removes all but the latest result of every stage; with `--all`, the whole store.
pub fn run(arguments: &CleanArgs) -> anyhow::Result<Outcome> {
    let folder = context::store_folder(arguments.store.as_deref())?;
    if !folder.exists() {
        ui::say(&format!(
            "nothing to clean: {} does not exist",
            folder.display()
        ));
        return Ok(Outcome::Done);
    }
    let store = Store::open(&folder, "cargo xtask clean", &mut |holder| {
        ui::say(&format!("waiting for another run: {holder}"));
    })?;
    if arguments.all {
        // The lock goes last: until then, nobody else may begin to use what is being removed.
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.file_name().is_none_or(|name| name != STORE_LOCK) {
                remove_tree(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        remove_tree(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        drop(store);
        ui::say(&format!("removed {}", folder.display()));
        return Ok(Outcome::Done);
    }
    let mut latest = std::collections::BTreeMap::new();
    let listed = store.stages().list()?;
    for stage in &listed {
        if let Ok(record) = &stage.record {
            let seen: &mut u64 = latest.entry(record.name.clone()).or_insert(0);
            *seen = (*seen).max(record.started);
        }
    }
    let mut removed = 0;
    for stage in &listed {
        let keep = stage
            .record
            .as_ref()
            .is_ok_and(|record| latest.get(&record.name) == Some(&record.started));
        if !keep {
            store.stages().remove(stage)?;
            removed += 1;
        }
    }
    ui::say(&format!(
        "removed {removed} of {} stages from {}",
        listed.len(),
        folder.display()
    ));
    Ok(Outcome::Done)
}
