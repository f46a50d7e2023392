//! `cargo xtask boot`: the boot proof of what the stage `assemble` made, a stage of its own.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use lustre_packaging::boot::qemu;
use lustre_packaging::stage::{self, Recipe, Stage, digest_of};
use lustre_packaging::store::StageDir;
use lustre_packaging::target::Boot;
use lustre_repository::proof::Check;

use super::proofs::{self, ProofReport};
use super::{needs, preflight, release};
use crate::boot::{BootInput, boot_checks};
use crate::cli::BootArgs;
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::graph::finish::Signing;
use crate::graph::name::tree;
use crate::graph::{BuildGraph, name, recipes};
use crate::prove::{InstallInput, Server};
use crate::{session, ui};

/// Said where the proofs before it do not hold.
pub const NOT_BOOTED: &str = "not booted: an earlier proof failed";

/// Builds what is missing, boots it, and says what was seen.
pub fn run(arguments: &BootArgs) -> anyhow::Result<Outcome> {
    let context = Context::open(&arguments.target, &context::who("boot", &arguments.target))?;
    table(&context)?;
    let mut signing = session::signing(&context, &arguments.key)?;
    // Nothing leaves the store.
    needs::before_fetching(&context, &needs::ALL, context.store.root())?;
    let lock = session::ready(&context)?;
    let graph = BuildGraph::new(&context, &lock)?;
    needs::before_building(&context, &graph.assembled(&signing)?, context.store.root())?;
    if preflight::gate(&context, &graph)?.is_none() {
        return Ok(Outcome::Misfit);
    }
    release::settle_in_store(&context, &graph, &mut signing)?;
    let done = session::run_taking(&context, &[name::ASSEMBLE], &graph.assembled(&signing)?)?;
    let proved = prove(&context, &graph, &signing, &done)?;
    if let Some(model) = &context.target.model {
        ui::warn(model);
    }
    ui::say(&format!(
        "{}\n{}",
        tree(&session::folder(&done, name::ASSEMBLE)?).display(),
        proved.summary()
    ));
    ui::print(
        if context.arguments.json {
            proved.text()
        } else {
            proved.details()
        }
        .trim_end(),
    );
    Ok(if proved.good() {
        Outcome::Done
    } else {
        Outcome::Unproven
    })
}

/// The table `[boot]` of the target.
pub fn table(context: &Context) -> anyhow::Result<&Boot> {
    let cpu = context.target.distribution.cpu;
    if let Some(program) = qemu::find() {
        qemu::check_cpu(&program, cpu)?;
    }
    described(context)
}

/// The same, without a look at whether QEMU can do it.
pub fn described(context: &Context) -> anyhow::Result<&Boot> {
    context.target.boot.as_ref().with_context(|| {
        format!(
            "the target `{0}` cannot be booted: specs/targets/{0}.toml has no table [boot], and inherits none",
            context.target.name
        )
    })
}

/// The stage of the boot proof, with its recipe still to be said.
pub fn stage_of<'s>(
    graph: &BuildGraph<'_>,
    boot: &Boot,
    recipe: Recipe<'s>,
) -> anyhow::Result<Stage<'s>> {
    let mut inputs = recipes::of(name::BOOT);
    inputs.extend([
        ("boot".to_owned(), serde_json::to_string(boot)?),
        (
            "install".to_owned(),
            serde_json::to_string(&graph.target.install)?,
        ),
        (
            "guest".to_owned(),
            digest_of(&graph.specs.join(&boot.guest))?,
        ),
        (
            "kernel-log".to_owned(),
            digest_of(&graph.specs.join(&boot.kernel_log))?,
        ),
    ]);
    Ok(proofs::stage_of(graph, name::BOOT, inputs, recipe))
}

/// Whether this very repository was booted before, and all checks held: then the proof says so whatever this run asks for.
pub fn held_before(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
) -> anyhow::Result<bool> {
    let Some(boot) = &context.target.boot else {
        return Ok(false);
    };
    let mut stages = graph.assembled(signing)?;
    let nothing = stage_of(graph, boot, Box::new(|_| Err("nothing is run here".into())))?;
    stages.push(nothing);
    Ok(stage::is_finished(name::BOOT, &stages, &context.store)?)
}

/// The boot proof of what the stage `assemble` made.
///
/// Checks that fail are no error but the answer.
pub fn prove(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
    done: &BTreeMap<String, StageDir>,
) -> anyhow::Result<ProofReport> {
    let boot = table(context)?;
    proofs::in_stage(
        context,
        graph,
        signing,
        done,
        |recipe| stage_of(graph, boot, recipe),
        |dist| checks(context, &Server::of(graph, done)?, dist),
    )
}

/// The boot checks of the tree `dist`, installed on `server`.
pub fn checks(context: &Context, server: &Server, dist: &Path) -> anyhow::Result<Vec<Check>> {
    let scratch = context.store.temp_dir("boot")?;
    let logs = context.store.logs_dir();
    boot_checks(&BootInput {
        install: InstallInput {
            server,
            dist,
            scratch: scratch.path(),
            logs: &logs,
        },
        boot: table(context)?,
        specs: &crate::place::specs(),
        tell: &|text| context.screen.line(text),
    })
}
