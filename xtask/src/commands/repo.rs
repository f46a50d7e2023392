//! `cargo xtask repo`, `assemble`, `build` and `fetch`: the build graph, as far as each goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised};
use lustre_packaging::built;
use lustre_packaging::lock::{Lock, LockState};
use lustre_packaging::needs::Part;
use lustre_packaging::source::{self, FetchedSource, Locked};
use lustre_packaging::stage::{self, Recipe, State};
use lustre_packaging::store::{Digest, StageDir, StageRecord};

use super::proofs::ProofReport;
use super::release::{self, ReleaseRequest};
use super::{boot, compare, from_bundle, named, needs, preflight, verify};
use crate::cli::{BuildArgs, On, Prove, ProvenRepoArgs, RepoArgs, TargetArgs};
use crate::context::{self, Context, default_output, who};
use crate::exit::{Outcome, Usage};
use crate::graph::finish::Signing;
use crate::graph::name::tree;
use crate::graph::{BuildGraph, name, shape};
use crate::obs::ObsBuilder;
use crate::publish::{self, PublishOutcome};
use crate::session::{folder, needed, ready, run, run_taking, signing, stage};
use crate::sources::Need;
use crate::{leftovers, lock, sources, ui};

/// Everything: lock, fetch, build, sign, assemble, prove.
pub fn repo(arguments: &ProvenRepoArgs) -> anyhow::Result<Outcome> {
    let level = arguments.prove;
    let from_bundle = arguments.from_bundle.as_deref();
    let from_build = &arguments.from_build;
    let arguments = &arguments.repo;
    let clock = Instant::now();
    let output = output(arguments)?;
    if arguments.builder.on == On::Obs && !from_build.is_empty() {
        return Err(Usage::new(advised(
            "--on obs: packages that were built already are not built, and --from-build was given",
            "omit one of them",
        ))
        .into());
    }
    // Before a key is looked at.
    let built = compare::compared(from_build)?;
    if !built.differs.is_empty() {
        compare::tell(&built.differs, &mut |line| ui::warn(line));
        ui::warn("the builders do not agree: nothing was signed");
        return Ok(Outcome::Unproven);
    }
    let built = built.built.into_iter().next();
    let on_obs = ObsBuilder::of(&arguments.builder, &arguments.target)?;
    let mut context = Context::open(&arguments.target, &who("repo", &arguments.target))?;
    context.obs = on_obs;
    ask_first(&context, &shape::built(&context.target))?;
    let bundle = from_bundle
        .map(|path| from_bundle::fitting(&context, path))
        .transpose()?;
    // What is wrong with the key is said now, not after hours of building.
    let mut signing = signing(&context, &arguments.key)?;
    let asked = ReleaseRequest::new(&arguments.release)?;
    // What it replaces may have to get its name back first.
    recover(&output)?;
    release::begin(&context, &asked, &output, &mut signing)?;
    if level == Prove::Boot {
        // Said now, not after an hour of building.
        boot::table(&context)?;
    }
    if let Some(bundle) = bundle {
        // Before all of it is copied to where there is no room to build it.
        bundle.room(&context, &signing, &output)?;
        bundle.take(&context)?;
    }
    let left: &[Part] = match built.is_some() {
        true => &[Part::Base],
        false => &needs::ALL,
    };
    needs::before_fetching(&context, left, &output)?;
    let lock = ready(&context)?;
    let mut graph = BuildGraph::new(&context, &lock)?;
    if let Some(built) = &built {
        graph = of_built(graph, built)?;
    } else {
        needs::before_building(&context, &graph.assembled(&signing)?, &output)?;
    }
    release::before_building(&graph, &asked, &output)?;
    let Some(checked) = preflight::gate(&context, &graph)? else {
        return Ok(Outcome::Misfit);
    };
    let judged = publish::state(&output)?;
    let decided = release::settle(&context, &graph, &mut signing, &asked, &output)?;
    let mut attempts = 1;
    let (done, proof, booted) = loop {
        let done = run(&context, &graph.assembled(&signing)?)?;
        let mut proof = verify::prove(&context, &graph, &signing, &done, level)?;
        let booted = level == Prove::Boot || boot::held_before(&context, &graph, &signing)?;
        if booted {
            if proof.good() {
                proof.add(boot::prove(&context, &graph, &signing, &done)?);
            } else {
                ui::warn(boot::NOT_BOOTED);
            }
        }
        let assembled = stage(&done, name::ASSEMBLE)?;
        if !proof.good() {
            return unproven(&context, &proof, &tree(&assembled.path), &output);
        }
        let finished = finished(&context, &graph, &signing, level, booted)?;
        if put(&context, &finished, &output, judged, attempts)? {
            break (done, proof, booted);
        }
        attempts += 1;
    };
    if let Some(model) = &context.target.model {
        ui::warn(model);
    }
    // The proofs and what puts them beside the repository are stages too.
    let stages = checked.len() + decided + done.len() + 2 + usize::from(booted);
    ui::say(&format!(
        "{}: {stages} stages, {} from the store, {}",
        output.display(),
        stages.saturating_sub(context.screen.ran()),
        ui::duration(clock.elapsed())
    ));
    proof.show();
    if context.arguments.json {
        ui::print(proof.text().trim_end());
    } else {
        ui::print(&output.display().to_string());
    }
    Ok(Outcome::Done)
}

/// The graph with the packages of `from` in place of its builds: packages of just what this run would build of.
fn of_built<'a>(
    graph: BuildGraph<'a>,
    from: &'a built::BuildOutput,
) -> anyhow::Result<BuildGraph<'a>> {
    let path = from.path().display();
    let mut here = from.index().clone();
    here.made_of = graph.made_of()?;
    let differs = built::differences(&here, from.index());
    if !differs.is_empty() {
        compare::tell(&differs, &mut |line| ui::warn(&format!("{path}: {line}")));
        bail!(
            "what {path} has was not built of what this run would build of, as told above, and was not signed; use the same commit, the same \
             lock and the same options on all machines"
        );
    }
    ui::say(&format!(
        "packages of {path}, whose index has the sha256 {}; nothing is built",
        from.sha256()
    ));
    graph
        .of_built(from)
        .map_err(|why| anyhow::anyhow!("{path}: {why}"))
}

/// The stage that puts the repository and its proofs together: those of `level`, and the boot proof where it was `booted`. All of them
/// held.
fn finished(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
    level: Prove,
    booted: bool,
) -> anyhow::Result<StageDir> {
    let held = || -> Recipe<'_> { Box::new(|_| Err("its proof is no longer in the store".into())) };
    let mut stages = graph.assembled(signing)?;
    stages.push(verify::stage_of(graph, level, held())?);
    let mut proofs = vec![name::PROVE];
    if booted {
        stages.push(boot::stage_of(graph, boot::table(context)?, held())?);
        proofs.push(name::BOOT);
    }
    stages.push(graph.finish(signing, &proofs));
    let mut done = run(context, &stages)?;
    done.remove(name::FINISH)
        .with_context(|| format!("the stage `{}` did not run", name::FINISH))
}

/// Says what does not hold, and where it is. It is not put where people publish from.
fn unproven(
    context: &Context,
    proof: &ProofReport,
    assembled: &Path,
    output: &Path,
) -> anyhow::Result<Outcome> {
    let report = context.store.logs_dir().join("unproven.json");
    std::fs::write(&report, proof.text()).with_context(|| report.display().to_string())?;
    proof.show();
    ui::warn(&format!(
        "{} was not changed; the rejected repository is {}, its proofs are {}",
        output.display(),
        assembled.display(),
        report.display()
    ));
    if context.arguments.json {
        ui::print(proof.text().trim_end());
    }
    Ok(Outcome::Unproven)
}

/// Puts what a stage made at `output`. Where the store's copy is damaged, that stage is taken out of it, to be made again, and the
/// answer is no; when that has happened twice, it is an error.
fn put(
    context: &Context,
    made: &StageDir,
    output: &Path,
    judged: Option<Digest>,
    attempts: usize,
) -> anyhow::Result<bool> {
    let published = publish::publish(&context.store, made, output, judged, &context.screen)?;
    let PublishOutcome::Damaged(why) = published else {
        return Ok(true);
    };
    if attempts > 1 {
        let stage = Box::new(made.clone());
        return Err(stage::Error::Damaged { stage, why }.into());
    }
    context.screen.event(&stage::Event::Damaged {
        stage: &made.record.name,
        why: &why,
    });
    context.store.stages().forget(made)?;
    Ok(false)
}

/// The repository without its proofs.
pub fn assemble(arguments: &RepoArgs) -> anyhow::Result<Outcome> {
    let output = output(arguments)?;
    let on_obs = ObsBuilder::of(&arguments.builder, &arguments.target)?;
    let mut context = Context::open(&arguments.target, &who("assemble", &arguments.target))?;
    context.obs = on_obs;
    ask_first(&context, &shape::built(&context.target))?;
    // What is wrong with the key is said now, not after hours of building.
    let mut signing = signing(&context, &arguments.key)?;
    let asked = ReleaseRequest::new(&arguments.release)?;
    // What it replaces may have to get its name back first.
    recover(&output)?;
    release::begin(&context, &asked, &output, &mut signing)?;
    needs::before_fetching(&context, &needs::ALL, &output)?;
    let lock = ready(&context)?;
    let graph = BuildGraph::new(&context, &lock)?;
    release::before_building(&graph, &asked, &output)?;
    needs::before_building(&context, &graph.assembled(&signing)?, &output)?;
    if preflight::gate(&context, &graph)?.is_none() {
        return Ok(Outcome::Misfit);
    }
    let judged = publish::state(&output)?;
    release::settle(&context, &graph, &mut signing, &asked, &output)?;
    let mut attempts = 1;
    loop {
        let done = run(&context, &graph.assembled(&signing)?)?;
        let assembled = stage(&done, name::ASSEMBLE)?;
        if put(&context, assembled, &output, judged, attempts)? {
            break;
        }
        attempts += 1;
    }
    ui::warn("not proven; run `cargo xtask verify`");
    if context.arguments.json {
        ui::print(&serde_json::json!({ "repository": output }).to_string());
    } else {
        ui::print(&output.display().to_string());
    }
    Ok(Outcome::Done)
}

/// Unsigned packages; their folders go to standard output.
pub fn build(arguments: &BuildArgs) -> anyhow::Result<Outcome> {
    named::known(&arguments.packages)?;
    if let Some(output) = &arguments.output {
        built::judge(output).map_err(|error| Usage::new(Advised::of(&error)))?;
        let store = arguments.target.store.as_deref();
        context::judge_output("the folder of the packages", output, store)?;
    }
    let on_obs = ObsBuilder::of(&arguments.builder, &arguments.target)?;
    if on_obs.is_some() && arguments.output.is_some() {
        return Err(Usage::new(advised(
            "--on obs: --output is for what this machine builds",
            "omit one of them",
        ))
        .into());
    }
    let mut context = Context::open(&arguments.target, &who("build", &arguments.target))?;
    context.obs = on_obs;
    if arguments.output.is_some() && context.shared.take().is_some() {
        ui::say("the shared store is not used: --output is for what this machine built");
    }
    if arguments.output.is_some() && context.arguments.ccache.take().is_some() {
        ui::say("the compiler cache is not used: --output is for what the compiler made");
    }
    let wanted = named::chosen(&arguments.packages, &context.target)?;
    // Without one, nothing leaves the store.
    let chosen = arguments.output.as_deref();
    let output = chosen.unwrap_or(context.store.root());
    if chosen.is_some() {
        // What it replaces may have to get its name back first.
        recover(output)?;
    }
    ask_first(&context, &wanted)?;
    needs::before_fetching(&context, &parts(&wanted), output)?;
    let lock = ready(&context)?;
    let graph = BuildGraph::new(&context, &lock)?;
    if chosen.is_some() {
        // Said now, not after hours of building.
        only_own(stage::used(&graph.builds()?, &context.store)?.iter())?;
    }
    needs::before_building(&context, &needed(graph.builds()?, &wanted), output)?;
    // e2fsprogs alone depends on nothing of Lustre's.
    if wanted.iter().any(|package| *package != name::E2FSPROGS)
        && preflight::gate(&context, &graph)?.is_none()
    {
        return Ok(Outcome::Misfit);
    }
    if let Some(output) = &arguments.output {
        return handed_on(&context, &graph, output);
    }
    let stages = needed(graph.builds()?, &wanted);
    let done = run_taking(&context, &wanted, &stages)?;
    let mut folders = BTreeMap::new();
    for package in wanted {
        folders.insert(package, folder(&done, package)?.join("RPMS"));
    }
    if context.arguments.json {
        ui::print(&serde_json::to_string_pretty(&folders)?);
    } else {
        for folder in folders.values() {
            ui::print(&folder.display().to_string());
        }
    }
    Ok(Outcome::Done)
}

/// All unsigned packages, written into the folder `output` for another machine.
fn handed_on(context: &Context, graph: &BuildGraph<'_>, output: &Path) -> anyhow::Result<Outcome> {
    let names = graph.handed_on();
    let taken: Vec<&str> = names.iter().map(String::as_str).collect();
    let done = run_taking(context, &taken, &graph.builds()?)?;
    // What could not be told before.
    only_own(done.values().map(|stage| &stage.record))?;
    let mut stages = BTreeMap::new();
    for name in &names {
        stages.insert(name.clone(), stage(&done, name)?);
    }
    let made_of = graph.made_of()?;
    let sha256 = leftovers::noted(&context.store, output, || {
        Ok(built::write(output, made_of, &stages)?)
    })?;
    let index = output.join(built::INDEX);
    if context.arguments.json {
        let result = serde_json::json!({ "output": output, "sha256": sha256 });
        ui::print(&result.to_string());
    } else {
        // As sha256sum has it: the same on every machine that built the same.
        ui::print(&format!("{sha256}  {}", index.display()));
    }
    Ok(Outcome::Done)
}

/// That all these stages are what the compilers of this machine's buildroots made, as `build --output` hands on: all that are not are named.
fn only_own<'r>(used: impl Iterator<Item = &'r StageRecord>) -> anyhow::Result<()> {
    // Two builders that take from one place agree on what a third one built.
    let mut taken: Vec<&str> = Vec::new();
    let mut cached: Vec<&str> = Vec::new();
    for record in used {
        let names = match record {
            record if record.taken.is_some() => &mut taken,
            record if record.compiler_cache => &mut cached,
            _ => continue,
        };
        if !names.contains(&record.name.as_str()) {
            names.push(&record.name);
        }
    }
    let mut why = Vec::new();
    for (names, how) in [
        (&taken, "taken from a shared store"),
        (&cached, "compiled with a compiler cache"),
    ] {
        if !names.is_empty() {
            why.push(format!("{how}: {}", names.join(", ")));
        }
    }
    if why.is_empty() {
        return Ok(());
    }
    bail!(advised(
        format!(
            "`build --output` writes what this machine built, without a compiler cache, and stages in the store are not: {}",
            why.join("; ")
        ),
        "build each of them here with `cargo xtask build --rebuild STAGE`, without --store-remote and --ccache, or use another --store"
    ))
}

/// Asks a build service for its projects before anything is fetched or made for it. One that is out of reach may be back by the time it is
/// needed, and what is in the store does not need it.
fn ask_first(context: &Context, wanted: &[&str]) -> anyhow::Result<()> {
    let Some(builder) = &context.obs else {
        return Ok(());
    };
    if is_built(context, wanted)? {
        return Ok(());
    }
    match builder.check_projects(&builder.api.once(), &context.target) {
        Err(error) if error.is_transient() => {
            let (why, _) = lustre_files::apart(&error);
            ui::warn(&format!(
                "warning: the build service is out of reach; it is asked again when there is something to build: {why}"
            ));
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Whether the packages `wanted` are in the store, as far as that is known before anything is fetched.
fn is_built(context: &Context, wanted: &[&str]) -> anyhow::Result<bool> {
    let (_, LockState::Current(lock)) = lock::find(context)? else {
        return Ok(false);
    };
    let graph = match BuildGraph::planned(context, &lock) {
        // Its trees were never fetched.
        Err(error) if matches!(error.downcast_ref(), Some(source::Error::Offline { .. })) => {
            return Ok(false);
        }
        graph => graph?,
    };
    let planned = stage::plan(&graph.builds()?, &context.store)?;
    Ok(wanted.iter().all(|package| {
        let mut stages = planned.iter().filter(|one| one.stage == **package);
        stages.all(|one| one.state == State::Cached)
    }))
}

/// The parts of the graph up to the packages `wanted`.
pub fn parts(wanted: &[&str]) -> Vec<Part> {
    let mut parts = needs::ALL.to_vec();
    // Lustre is built against all others.
    if !wanted.contains(&name::LUSTRE) {
        parts.retain(|part| match part {
            Part::Kernel => wanted.contains(&name::KERNEL),
            Part::E2fsprogs => wanted.contains(&name::E2FSPROGS),
            Part::Base => true,
            Part::Lustre => false,
        });
    }
    parts
}

/// Every source into the store: the files that the lock pins, and the trees.
pub fn fetch(arguments: &TargetArgs) -> anyhow::Result<Outcome> {
    let context = Context::open(arguments, &who("fetch", arguments))?;
    let (lock, mut trees) = fetched(&context)?;
    let files = lock.files().count();
    // A folder of the project, or one that --source names, is where it is.
    trees.retain(|tree| tree.replaced.is_none() && !matches!(tree.locked, Locked::Path { .. }));
    if context.arguments.json {
        let trees: Vec<&str> = trees.iter().map(|tree| tree.name.as_str()).collect();
        ui::print(&serde_json::json!({ "files": files, "trees": trees }).to_string());
    }
    let trees: String = trees
        .iter()
        .map(|tree| format!(", and the tree of {}", tree.name))
        .collect();
    ui::say(&format!("{files} files are in the store{trees}"));
    Ok(Outcome::Done)
}

/// A current lock, with all that it pins in the store, and the source trees.
pub fn fetched(context: &Context) -> anyhow::Result<(Lock, Vec<FetchedSource>)> {
    let lock = ready(context)?;
    let (lustre, incomplete) = sources::lustre(context, &lock, Need::Content)?;
    if let Some(why) = incomplete {
        bail!("{why}");
    }
    let kernel = sources::kernel(context, &lock)?;
    if let Some((_, Some(why))) = &kernel {
        bail!("{why}");
    }
    let mut trees = vec![lustre];
    trees.extend(kernel.map(|(tree, _)| tree.source().clone()));
    trees.extend(sources::e2fsprogs(context, &lock, Need::Content)?);
    Ok((lock, trees))
}

/// Removes what was left beside the output by killed runs, of whichever store.
fn recover(output: &Path) -> anyhow::Result<()> {
    lustre_files::swap::recover(output)
        .with_context(|| format!("what a killed run left beside {}", output.display()))
}

/// Where the repository goes: a place that it can be put at, which is found out before anything is done for it.
fn output(arguments: &RepoArgs) -> anyhow::Result<PathBuf> {
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => default_output(&context::target(&arguments.target)?.name)?,
    };
    lustre_repository::layout::judge(&output).map_err(|error| Usage::new(Advised::of(&error)))?;
    let store = arguments.target.store.as_deref();
    context::judge_output("the repository", &output, store)?;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lustre_packaging::store::SharedOrigin;

    use super::*;

    #[test]
    fn what_is_handed_on_is_this_machines_and_all_that_is_not_is_named_at_once() {
        let record = |name: &str, from: Option<&str>, compiler_cache| StageRecord {
            name: name.to_owned(),
            key: Digest::of_bytes(name.as_bytes()),
            inputs: BTreeMap::new(),
            outputs: Vec::new(),
            started: 0,
            milliseconds: 0,
            log: None,
            contents: None,
            taken: from.map(|from| SharedOrigin {
                from: from.to_owned(),
                signer: String::new(),
            }),
            compiler_cache,
        };
        let own = record("base", None, false);
        only_own([&own].into_iter()).unwrap();
        let all = [
            record("kernel", Some("/srv/shared"), false),
            own,
            record("lustre", Some("/srv/shared"), false),
            record("e2fsprogs", None, true),
            // Of two runs of it, either may be used.
            record("lustre", Some("/srv/other"), false),
        ];
        let error = only_own(all.iter()).unwrap_err();
        let error = format!("{error:#}");
        for part in [
            "taken from a shared store: kernel, lustre;",
            "compiled with a compiler cache: e2fsprogs",
            "--rebuild STAGE",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
