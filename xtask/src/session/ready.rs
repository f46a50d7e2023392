//! What stages are run with: a lock, and what it pins, in the store.

use std::collections::BTreeMap;

use lustre_packaging::lock::Lock;
use lustre_packaging::process;
use lustre_packaging::source::{Locked, mirror_folder};
use lustre_packaging::stage::{self, Stage, State};
use lustre_packaging::store::StageDir;

use super::run::{run_taking, user};
use crate::context::Context;
use crate::graph::name;
use crate::lock;

/// A current lock, and everything it pins in the store.
pub fn ready(context: &Context) -> anyhow::Result<Lock> {
    let lock = lock::current(context)?;
    lock::fetch(context, &lock, lock::PinScope::All)?;
    uses(context, &lock)?;
    Ok(lock)
}

/// Runs the stages of `roots`, those that any repository is proven on, as far as the stages `taken`. What the lock pins is fetched where they
/// take it from the store, which they do not where they are there.
pub fn run_servers(
    context: &Context,
    lock: &Lock,
    taken: &[&str],
    roots: &[Stage<'_>],
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    let is_there = || -> anyhow::Result<bool> {
        let planned = stage::plan(roots, &context.store)?;
        Ok(planned
            .iter()
            .any(|one| one.stage == name::DISTRIBUTION && one.state == State::Cached))
    };
    let was_there = is_there()?;
    if !was_there {
        lock::fetch(context, lock, lock::PinScope::Distribution)?;
    }
    uses(context, lock)?;
    let ran = run_taking(context, taken, roots);
    // What was taken for whole until its bytes were read is made again, of what nobody has fetched yet.
    if ran.is_err() && was_there && !process::interrupted() && !is_there()? {
        lock::fetch(context, lock, lock::PinScope::Distribution)?;
        return run_taking(context, taken, roots);
    }
    ran
}

/// Records what the lock pins as used by the target.
fn uses(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    let mut files = Vec::new();
    for pin in lock.files() {
        files.push(pin.sha256.parse()?);
    }
    let trees = lock.tree.iter().filter_map(|(name, locked)| match locked {
        Locked::Git { url, .. } => Some(mirror_folder(name, url)),
        _ => None,
    });
    context
        .store
        .record_uses(&user(context), |uses| uses.sources(files, trees))?;
    Ok(())
}
