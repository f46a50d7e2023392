//! `cargo xtask plan`

pub mod graph;

use std::collections::BTreeSet;
use std::time::Duration;

use lustre_packaging::lock::LockState;
use lustre_packaging::needs::Part;
use lustre_packaging::source::Error;
use lustre_packaging::stage::{self, State};

use graph::Node;

use super::{boot, needs, release, verify};
use crate::cli::{PlanArgs, Prove};
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::graph::outline::outline;
use crate::graph::preflight::Misfit;
use crate::graph::{BuildGraph, name};
use crate::place;
use crate::{key, lock, session, ui};

/// Shows every stage of the target, whether it would run, and why.
pub fn run(arguments: &PlanArgs) -> anyhow::Result<Outcome> {
    let context = Context::read_only(&arguments.target, "cargo xtask plan")?;
    let lock = match lock::find(&context)? {
        (_, LockState::Current(lock)) => lock,
        (path, LockState::Outdated(what)) => {
            return unlocked(&context, arguments, &format!("{} {what}", path.display()));
        }
    };
    let graph = match BuildGraph::planned(&context, &lock) {
        // A plan asks nobody, so what depends on what is in a tree that was never fetched cannot be known yet.
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
    stages.push(verify::stage_of(
        &graph,
        Prove::Install,
        Box::new(|_| Err("a plan runs nothing".into())),
    )?);
    if let Some(table) = &context.target.boot {
        stages.push(boot::stage_of(
            &graph,
            table,
            Box::new(|_| Err("a plan runs nothing".into())),
        )?);
    }
    stages.push(graph.finish(&signing, &[name::PROVE]));
    let planned = stage::plan(&stages, &context.store)?;
    let names: Vec<&str> = planned.iter().map(|one| one.stage.as_str()).collect();
    let times = context.store.stages().times(&names)?;
    if let Some(format) = arguments.graph {
        let nodes = planned.iter().map(|one| Node {
            stage: one.stage.clone(),
            needs: one.needs.clone(),
            cached: Some(one.state == State::Cached),
            took: times.get(&one.stage).copied(),
        });
        let nodes: Vec<Node> = nodes.collect();
        ui::print(graph::picture(&nodes, format).trim_end());
        return Ok(Outcome::Done);
    }
    if context.arguments.json {
        let items: Vec<_> = planned
            .iter()
            .map(|one| {
                let why = match &one.state {
                    State::Cached => None,
                    State::Runs(why) => Some(why),
                };
                serde_json::json!({ "stage": one.stage, "needs": one.needs, "key": one.key, "runs": why.is_some(), "why": why, "assuming": one.assuming, "last_seconds": times.get(&one.stage).map(Duration::as_secs_f64) })
            })
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
    takes(&context, &needs::left(&planned))?;
    for one in planned {
        match one.state {
            State::Cached if one.assuming.is_empty() => {
                ui::print(&format!("  cached  {}", one.stage))
            }
            State::Cached => ui::print(&format!(
                "  cached  {:16} if the output of {} does not change",
                one.stage,
                one.assuming.join(", ")
            )),
            State::Runs(why) => ui::print(&format!("  runs    {:16} {why}", one.stage)),
        }
    }
    Ok(Outcome::Done)
}

/// Shows the stages of a target that has no lock: what each will do, and what the lock has to find out. Mirrors are not asked.
fn unlocked(context: &Context, arguments: &PlanArgs, why: &str) -> anyhow::Result<Outcome> {
    let steps = outline(&context.target, &place::specs())?;
    if let Some(format) = arguments.graph {
        let nodes = steps.into_iter().map(|step| Node {
            stage: step.stage,
            needs: step.needs,
            cached: None,
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
                    "stage": step.stage, "needs": step.needs, "key": null, "runs": true, "why": why, "what": step.what
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
        ui::print(&format!("  {:16} {}", step.stage, step.what));
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
