//! Whether this machine has what the work takes, before it begins: once before anything is fetched, once more when it is known what of
//! it is in the store already.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use lustre_files::advised;
use lustre_packaging::lock::{Lock, LockState};
use lustre_packaging::needs::{Estimate, Machine, NeedsSummary, Part, free_mib};
use lustre_packaging::stage::{self, Planned, Stage, State};

use crate::context::{Context, processor};
use crate::lock::PinScope;
use crate::{lock, ui};

/// Where nothing is fetched yet, all `parts` of the graph are still to be built: compared with what the machine has, its repository to
/// be put at `output`.
pub fn before_fetching(context: &Context, parts: &[Part], output: &Path) -> anyhow::Result<()> {
    processor(context)?;
    if let (_, LockState::Current(lock)) = lock::find(context)?
        && lock::missing(context, &lock, lock::PinScope::All)?.is_empty()
    {
        return Ok(());
    }
    check(context, &parts.iter().copied().collect(), output)
}

/// Where what `lock`, which is not the checkout's, pins is to be fetched for `parts` of the graph that are built in any case.
pub fn before_fetching_of(
    context: &Context,
    lock: &Lock,
    scope: PinScope,
    parts: &[Part],
) -> anyhow::Result<()> {
    processor(context)?;
    let store = context.store.root();
    let missing = lock::missing(context, lock, scope)?;
    let sizes = missing.iter().map(|pin| pin.size);
    let bytes = sizes.fold(0, u64::saturating_add);
    let free = free_mib(store)?;
    if bytes >> 20 > free {
        bail!(advised(
            format!(
                "the lock pins {} files that are not in the store {}, of {} MiB, and {free} MiB are free there",
                missing.len(),
                store.display(),
                bytes >> 20
            ),
            "make room, or use a store on another file system with --store"
        ));
    }
    check(context, &parts.iter().copied().collect(), store)
}

/// Where `bytes` of what comes from a bundle are not in the store: room for them, and for
/// what is left to build.
pub fn before_taking(
    context: &Context,
    bytes: u64,
    left: &BTreeSet<Part>,
    output: &Path,
) -> anyhow::Result<()> {
    processor(context)?;
    let store = context.store.root();
    let free = free_mib(store)?;
    if free < bytes >> 20 {
        bail!(advised(
            format!(
                "the bundle has {} MiB that are not in the store {}, and {free} MiB are free there",
                bytes >> 20,
                store.display()
            ),
            "make room, or use a store on another file system with --store"
        ));
    }
    if left.is_empty() {
        return Ok(());
    }
    check(context, left, output)
}

/// The same for those of `stages` that are not in the store.
pub fn before_building(
    context: &Context,
    stages: &[Stage<'_>],
    output: &Path,
) -> anyhow::Result<()> {
    let left = left(&stage::plan(stages, &context.store)?);
    if left.is_empty() {
        return Ok(());
    }
    processor(context)?;
    check(context, &left, output)
}

/// What is left to do takes, beside what there is, in a line; none for a target that does not say.
pub fn line(
    context: &Context,
    left: &BTreeSet<Part>,
    output: &Path,
) -> anyhow::Result<Option<String>> {
    let Some(estimate) = estimate(context, left) else {
        return Ok(None);
    };
    let machine = Machine::here(context.store.root(), output)?;
    Ok(Some(NeedsSummary(&estimate, &machine).to_string()))
}

/// The parts of the graph that `planned` says are to be done.
pub fn left(planned: &[Planned]) -> BTreeSet<Part> {
    planned
        .iter()
        .filter(|one| matches!(one.state, State::Runs(_)))
        .filter_map(|one| Part::of_stage(&one.stage))
        .collect()
}

/// What doing `parts` takes of this machine.
fn estimate(context: &Context, parts: &BTreeSet<Part>) -> Option<Estimate> {
    let of = match context.obs {
        Some(_) => Estimate::on_service,
        None => Estimate::of,
    };
    of(&context.target, parts, context.jobs)
}

/// All parts of the graph.
pub const ALL: [Part; 4] = [Part::Base, Part::E2fsprogs, Part::Kernel, Part::Lustre];

fn check(context: &Context, parts: &BTreeSet<Part>, output: &Path) -> anyhow::Result<()> {
    let target = &context.target;
    let Some(estimate) = estimate(context, parts) else {
        return Ok(());
    };
    let machine = Machine::here(context.store.root(), output)?;
    machine.check(&target.name, &estimate)?;
    ui::say(&format!("this takes {}", NeedsSummary(&estimate, &machine)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_store_is_not_left_to_do() {
        let planned = |stage: &str, state| Planned {
            stage: stage.to_owned(),
            needs: Vec::new(),
            key: None,
            state,
            unknown: false,
            assuming: Vec::new(),
        };
        let runs = || State::Runs("new".to_owned());
        let left = left(&[
            planned("distribution", State::Cached),
            planned("kernel", State::Cached),
            planned("lustre-srpm", runs()),
            planned("lustre", runs()),
            planned("prove", runs()),
        ]);
        assert_eq!(left, BTreeSet::from([Part::Lustre]));
    }
}
