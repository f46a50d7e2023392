//! `cargo xtask clean`

use anyhow::Context as _;
use lustre_packaging::store::Store;

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
    let store = Store::clear(&folder, "cargo xtask clean", &mut |holder| {
        ui::say(&format!("waiting for another run: {holder}"));
    })
    .with_context(|| format!("the store {}", folder.display()))?;
    if arguments.all {
        let left = store.remove_all(&folder)?;
        ui::say(&format!("removed the store in {}", folder.display()));
        for path in left {
            ui::say(&format!(
                "{} is not the store's, and is left as it was",
                path.display()
            ));
        }
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
