//! `cargo xtask plan`

pub mod graph;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lustre_packaging::lock::LockState;
use lustre_packaging::needs::Part;
use lustre_packaging::shared::{self, Shared};
use lustre_packaging::source::Error;
use lustre_packaging::stage::{self, Failure, Planned, Recipe, State};

use graph::{Node, Stands};

use super::{boot, needs, release, verify};
use crate::cli::{PlanArgs, Prove};
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::graph::outline::{Step, outline};
use crate::graph::preflight::Misfit;
use crate::graph::{BuildGraph, name, obs, shape};
use crate::obs::ObsBuilder;
use crate::place;
use crate::shared::{SharedStore, shares};
use crate::{key, lock, session, ui};

/// Shows every stage of the target, whether it would run, and why. Nobody is asked but the shared store, where one is named.
pub fn run(arguments: &PlanArgs) -> anyhow::Result<Outcome> {
    let shared = SharedStore::asked(&arguments.target)?;
    let on_obs = ObsBuilder::named(&arguments.builder, &arguments.target)?;
    let mut context = Context::read_only(&arguments.target, "cargo xtask plan")?;
    context.obs = on_obs;
    let lock = match lock::find(&context)? {
        (_, LockState::Current(lock)) => lock,
        (path, LockState::Outdated(what)) => {
            return unlocked(&context, arguments, &format!("{} {what}", path.display()));
        }
    };
    let graph = match BuildGraph::planned(&context, &lock) {
        // A plan fetches nothing, so what depends on what is in a tree that was never fetched cannot be known yet.
        Err(error) if matches!(error.downcast_ref(), Some(Error::Offline { .. })) => {
            return unlocked(&context, arguments, &error.to_string());
        }
        graph => graph?,
    };
    // A plan makes nothing, not even a development key, and needs no passphrase.
    let public = key::source(&arguments.key)?.public()?;
    if public.is_none() {
        ui::say(
            "there is no key yet: the first run creates a development key; use --key-file for another one",
        );
    }
    let mut signing = session::planned_signing(&context, public.as_ref())?;
    release::planned(&context, &graph, &mut signing)?;
    let misfit = Misfit::default();
    let mut stages = graph.preflight(&misfit)?;
    stages.extend(graph.assembled(&signing)?);
    let nothing = || -> Recipe<'_> { Box::new(|_| Err("a plan runs nothing".into())) };
    stages.push(verify::stage_of(&graph, arguments.prove, nothing())?);
    let mut proofs = vec![name::PROVE];
    // As `repo` does.
    if arguments.prove == Prove::Boot || boot::held_before(&context, &graph, &signing)? {
        stages.push(boot::stage_of(
            &graph,
            boot::described(&context)?,
            nothing(),
        )?);
        proofs.push(name::BOOT);
    }
    stages.push(graph.finish(&signing, &proofs));
    let planned = match &shared {
        None => stage::plan(&stages, &context.store)?,
        Some(SharedStore {
            place,
            keys,
            standing,
        }) => {
            let shares = shares(&context.target);
            let remote = Shared::new(&context.store, &**place, keys, shares, standing);
            stage::plan_with(&stages, &context.store, &remote, &mut |stage, why| {
                ui::warn(&not_taken(stage, why));
            })?
        }
    };
    let builder_of = |stage: &str| obs::builder_of(context.obs.as_ref(), &context.target, stage);
    let names: Vec<&str> = planned.iter().map(|one| one.stage.as_str()).collect();
    let times = context.store.stages().times(&names)?;
    if let Some(format) = arguments.graph {
        let nodes = planned.iter().map(|one| Node {
            stage: one.stage.clone(),
            needs: one.needs.clone(),
            stands: Some(match one.state {
                State::Cached => Stands::Cached,
                State::Shared(_) => Stands::Shared,
                State::Runs(_) => Stands::Runs,
            }),
            took: times.get(&one.stage).copied(),
        });
        let nodes: Vec<Node> = nodes.collect();
        ui::print(graph::picture(&nodes, format).trim_end());
        return Ok(Outcome::Done);
    }
    if context.arguments.json {
        let items: Vec<_> = planned
            .iter()
            .map(|one| item(one, builder_of(&one.stage).as_deref(), &times))
            .collect();
        ui::print(&serde_json::to_string_pretty(&items)?);
        return Ok(Outcome::Done);
    }
    if let Some(model) = &context.target.model {
        ui::print(&format!("{}: {model}", context.target.name));
    }
    ui::print(&format!(
        "store: {}",
        context::store_folder(arguments.target.store.as_deref())?.display()
    ));
    if let Some(shared) = &shared {
        ui::print(&format!("shared store: {}", shared.place));
    }
    takes(&context, &needs::left(&planned))?;
    for one in &planned {
        ui::print(&line(one, builder_of(&one.stage).as_deref()));
    }
    Ok(Outcome::Done)
}

/// That a stage would not be taken, or that nobody knows of which that is so.
fn not_taken(stage: &str, why: &Failure) -> String {
    match why.downcast_ref() {
        Some(shared::Error::Unreachable { .. }) => {
            format!("warning: it is unknown which stages are in the shared store: {why}")
        }
        _ => format!("warning: {stage} would not be taken from the shared store: {why}"),
    }
}

/// A stage in a line.
fn line(one: &Planned, builder: Option<&str>) -> String {
    let (state, mut said) = match &one.state {
        State::Cached => ("cached", String::new()),
        State::Shared(from) => ("shared", format!("signed by {}", from.signer)),
        State::Runs(why) => ("runs", why.clone()),
    };
    if one.unknown {
        said.push_str(", unless the shared store has it");
    }
    if !matches!(one.state, State::Runs(_)) && !one.assuming.is_empty() {
        let separator = if said.is_empty() { "" } else { ", " };
        let assuming = one.assuming.join(", ");
        said = format!("{said}{separator}if the output of {assuming} does not change");
    }
    if let Some(builder) = builder {
        let separator = if said.is_empty() { "" } else { "; " };
        said = format!("{said}{separator}built by {builder}");
    }
    let line = format!("  {state:7} {:16} {said}", one.stage);
    line.trim_end().to_owned()
}

/// The same for programs.
fn item(
    one: &Planned,
    builder: Option<&str>,
    times: &BTreeMap<String, Duration>,
) -> serde_json::Value {
    let (shared, why) = match &one.state {
        State::Cached => (None, None),
        State::Shared(from) => (Some(from), None),
        State::Runs(why) => (None, Some(why)),
    };
    serde_json::json!({
        "stage": one.stage, "needs": one.needs, "key": one.key, "runs": why.is_some(), "why": why, "shared": shared,
        "shared_unknown": one.unknown, "assuming": one.assuming, "builder": builder, "last_seconds": times.get(&one.stage).map(Duration::as_secs_f64)
    })
}

/// Shows the stages of a target that has no lock: what each will do, and what the lock has to find out. Mirrors are not asked, and neither is
/// a shared store: without a lock, no stage has a key.
fn unlocked(context: &Context, arguments: &PlanArgs, why: &str) -> anyhow::Result<Outcome> {
    let builder_of = |stage: &str| obs::builder_of(context.obs.as_ref(), &context.target, stage);
    let mut steps = outline(&context.target, &place::specs())?;
    if arguments.prove == Prove::Boot {
        boot::described(context)?;
        let step = Step {
            stage: name::BOOT.to_owned(),
            needs: shape::needs(&context.target, name::BOOT),
            what: "its kernel boots in QEMU, and Lustre works there".to_owned(),
        };
        let finish = steps.iter().position(|step| step.stage == name::FINISH);
        let at = finish.unwrap_or(steps.len());
        for last in &mut steps[at..] {
            last.needs.push(name::BOOT.to_owned());
        }
        steps.insert(at, step);
    }
    if let Some(format) = arguments.graph {
        let nodes = steps.into_iter().map(|step| Node {
            stage: step.stage,
            needs: step.needs,
            stands: None,
            took: None,
        });
        let nodes: Vec<Node> = nodes.collect();
        ui::print(graph::picture(&nodes, format).trim_end());
        return Ok(Outcome::Done);
    }
    if context.arguments.json {
        let items: Vec<_> = steps
            .iter()
            .map(|step| {
                serde_json::json!({
                    "stage": step.stage, "needs": step.needs, "key": null, "runs": true, "why": why, "what": step.what,
                    "builder": builder_of(&step.stage)
                })
            })
            .collect();
        ui::print(&serde_json::to_string_pretty(&items)?);
        return Ok(Outcome::Done);
    }
    ui::print(&format!(
        "{why}; the planned stages, and what `cargo xtask lock --target {}` or a fetch has to resolve first:",
        context.target.argument()
    ));
    takes(context, &needs::ALL.into_iter().collect())?;
    for step in steps {
        let builder = builder_of(&step.stage).map(|builder| format!("; built by {builder}"));
        ui::print(&format!(
            "  {:16} {}{}",
            step.stage,
            step.what,
            builder.unwrap_or_default()
        ));
    }
    Ok(Outcome::Done)
}

/// Says what doing the parts `left` takes of this machine, where the target says it.
fn takes(context: &Context, left: &BTreeSet<Part>) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name)?;
    if let Some(line) = needs::line(context, left, &output)? {
        ui::print(&format!("takes: {line}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use lustre_packaging::store::{Digest, SharedOrigin};

    use super::*;

    #[test]
    fn a_stage_of_the_shared_store_is_said_to_be_there() {
        let one = |state, assuming: &[&str]| Planned {
            stage: "kernel".to_owned(),
            needs: vec!["kernel-root".to_owned()],
            key: Some(Digest::of_bytes(b"x")),
            state,
            unknown: false,
            assuming: assuming.iter().map(|name| (*name).to_owned()).collect(),
        };
        let shared = || {
            State::Shared(SharedOrigin {
                from: "https://cache.example/lustre".to_owned(),
                signer: "ABCD".to_owned(),
            })
        };
        let there = one(shared(), &[]);
        let said = |state: &str, why: &str| format!("  {state:7} {:16} {why}", "kernel");
        assert_eq!(line(&there, None), said("shared", "signed by ABCD"));
        assert_eq!(
            line(&one(shared(), &["base"]), None),
            said(
                "shared",
                "signed by ABCD, if the output of base does not change"
            )
        );
        assert_eq!(line(&one(State::Cached, &[]), None), "  cached  kernel");
        let runs = State::Runs("after base".to_owned());
        assert_eq!(
            line(&one(runs, &["base"]), None),
            said("runs", "after base")
        );
        let told = item(&there, None, &BTreeMap::new());
        assert_eq!(told["runs"], false);
        assert_eq!(told["shared"]["signer"], "ABCD");
        assert_eq!(told["shared"]["from"], "https://cache.example/lustre");
        let cached = item(&one(State::Cached, &[]), None, &BTreeMap::new());
        assert!(cached["shared"].is_null(), "{cached}");
        assert_eq!(cached["shared_unknown"], false);
    }

    #[test]
    fn a_shared_store_that_cannot_be_asked_is_not_one_without_the_stage() {
        let one = Planned {
            stage: "kernel".to_owned(),
            needs: Vec::new(),
            key: None,
            state: State::Runs("it has never run here".to_owned()),
            unknown: true,
            assuming: Vec::new(),
        };
        let said = line(&one, None);
        let end = "it has never run here, unless the shared store has it";
        assert!(said.ends_with(end), "{said}");
        let told = item(&one, None, &BTreeMap::new());
        assert!(told["shared"].is_null(), "{told}");
        assert_eq!(told["shared_unknown"], true);
        let gone = shared::Error::Unreachable {
            place: "https://cache.example".to_owned(),
            why: "no route".into(),
        };
        let said = not_taken("kernel", &Failure::from(gone));
        assert!(
            said.contains("unknown") && !said.contains("kernel"),
            "{said}"
        );
        let said = not_taken("kernel", &"no accepted key".into());
        assert!(said.contains("kernel would not be taken"), "{said}");
    }
}
