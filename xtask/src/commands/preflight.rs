//! `cargo xtask preflight`, and the same before everything that builds.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Instant;

use anyhow::Context as _;
use lustre_packaging::lock::LockState;
use lustre_packaging::preflight::{Report, Verdict};
use lustre_packaging::process;
use lustre_packaging::stage;
use lustre_packaging::store::StageDir;

use crate::cli::TargetArgs;
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::graph::preflight::{Misfit, REPORT};
use crate::graph::{BuildGraph, name};
use crate::{lock, session, sources, ui};

/// Tells of every check whether it fits.
pub fn run(arguments: &TargetArgs) -> anyhow::Result<Outcome> {
    let clock = Instant::now();
    let context = Context::beside(arguments, &context::who("preflight", arguments))?;
    // Where kernel and Lustre are given, no mirror has to be asked to look whether they fit.
    let given = [sources::KERNEL, sources::LUSTRE]
        .iter()
        .all(|name| sources::is_replaced(arguments, name));
    let (lock, graph);
    let graph = match lock::find(&context)? {
        (_, LockState::Outdated(_)) if given => {
            lock = lock::none(&context)?;
            graph = BuildGraph::of_given(&context, &lock)?;
            &graph
        }
        _ => {
            lock = session::ready(&context)?;
            graph = BuildGraph::new(&context, &lock)?;
            &graph
        }
    };
    let (report, _) = look(&context, graph)?;
    let show = if report.fits { ui::say } else { ui::warn };
    for check in &report.checks {
        show(&check.to_string());
    }
    show(&format!(
        "{}, {}",
        report.summary(),
        ui::duration(clock.elapsed())
    ));
    if context.arguments.json {
        ui::print(&serde_json::to_string_pretty(&report)?);
    }
    Ok(if report.fits {
        Outcome::Done
    } else {
        Outcome::Misfit
    })
}

/// Looks before anything is built. Gives the stages where all fits; otherwise says what does not, and nothing may be built.
pub fn gate(
    context: &Context,
    graph: &BuildGraph<'_>,
) -> anyhow::Result<Option<BTreeMap<String, StageDir>>> {
    let before = context.screen.ran();
    let (report, stages) = look(context, graph)?;
    if report.fits {
        if context.screen.ran() > before {
            ui::say(&report.summary());
        }
        return Ok(Some(stages));
    }
    for check in &report.checks {
        if matches!(check.result, Verdict::Fail | Verdict::Waived) {
            ui::warn(&check.to_string());
        }
    }
    ui::warn(&format!(
        "{}; nothing was built. All checks: `cargo xtask preflight` with the same options",
        report.summary()
    ));
    if context.arguments.json {
        ui::print(&serde_json::to_string_pretty(&report)?);
    }
    Ok(None)
}

/// The report, and the stages where all fits.
pub fn look(
    context: &Context,
    graph: &BuildGraph<'_>,
) -> anyhow::Result<(Report, BTreeMap<String, StageDir>)> {
    let misfit = Misfit::default();
    let stages = graph.preflight(&misfit)?;
    let ran = session::run_taking(context, &[name::PREFLIGHT], &stages);
    drop(stages);
    if process::interrupted() {
        return Err(stage::Error::Interrupted.into());
    }
    let misfit = misfit.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(report) = misfit {
        return Ok((report, BTreeMap::new()));
    }
    let ran = ran?;
    let path = session::folder(&ran, name::PREFLIGHT)?.join(REPORT);
    let text = lustre_files::read(&path, lustre_files::TEXT)
        .with_context(|| path.display().to_string())?;
    let report = serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
    Ok((report, ran))
}
