//! `cargo xtask repo`, `assemble`, `build` and `fetch`: the road, as far as each goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use lustre_packaging::lock::Lock;
use lustre_packaging::needs::Part;
use lustre_packaging::process;
use lustre_packaging::sign::PublicKey;
use lustre_packaging::source::{Locked, mirror_folder};
use lustre_packaging::stage::{self, Event, Options, Stage, State};
use lustre_packaging::store::{Digest, StageDir, Uses};
use lustre_repository::release::Release;

use super::proofs::{self, Proved};
use super::release::{self, Asked};
use super::{boot, key, lock, needs, preflight, verify};
use crate::cli::{BuildArgs, KeyArgs, Prove, ProvenRepoArgs, RepoArgs, TargetArgs};
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::publish::{self, Published};
use crate::road::finish::Signing;
use crate::road::name::tree;
use crate::road::packages::{PACKAGES, built};
use crate::road::{Road, name};
use crate::sources::Need;
use crate::{sources, ui};

/// Everything: lock, fetch, build, sign, assemble, prove.
pub fn repo(arguments: &ProvenRepoArgs) -> anyhow::Result<Outcome> {
    let level = arguments.prove;
    let arguments = &arguments.repo;
    let clock = Instant::now();
    let output = output(arguments)?;
    let context = Context::open(&arguments.target, &who("repo", &arguments.target))?;
    // What is wrong with the key is said now, not after hours of building.
    let mut signing = signing(&context, &arguments.key)?;
    let asked = Asked::new(&arguments.release)?;
    // What it replaces may have to get its name back first.
    recover(&output)?;
    release::begin(&context, &asked, &output, &mut signing)?;
    if level == Prove::Boot {
        // Said now, not after an hour of building.
        boot::table(&context)?;
    }
    needs::before_fetching(&context, &needs::ALL, &output)?;
    let lock = ready(&context)?;
    let road = Road::new(&context, &lock)?;
    release::before_building(&road, &asked, &output)?;
    needs::before_building(&context, &road.assembled(&signing)?, &output)?;
    let Some(checked) = preflight::gate(&context, &road)? else {
        return Ok(Outcome::Misfit);
    };
    let judged = publish::state(&output)?;
    let decided = release::settle(&context, &road, &mut signing, &asked, &output)?;
    let mut attempts = 1;
    let (done, proof, booted) = loop {
        let done = run(&context, &road.assembled(&signing)?)?;
        let mut proof = verify::prove(&context, &road, &signing, &done, level)?;
        let booted = level == Prove::Boot || boot::held_before(&context, &road, &signing)?;
        if booted {
            if proof.good() {
                proof.add(boot::prove(&context, &road, &signing, &done)?);
            } else {
                ui::warn(boot::NOT_BOOTED);
            }
        }
        let assembled = stage(&done, name::ASSEMBLE)?;
        if !proof.good() {
            return unproven(&context, &proof, &tree(&assembled.path), &output);
        }
        let finished = proofs::finished(&context, &road, &signing, level, booted)?;
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

/// Says what does not hold, and where it is. It is not put where people publish from.
fn unproven(
    context: &Context,
    proof: &Proved,
    assembled: &Path,
    output: &Path,
) -> anyhow::Result<Outcome> {
    let report = context.store.logs_dir().join("unproven.json");
    std::fs::write(&report, proof.text()).with_context(|| report.display().to_string())?;
    proof.show();
    ui::warn(&format!(
        "{} is left as it was; the repository that does not hold is {}, its proofs are {}",
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
    let Published::Damaged(why) = published else {
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
    let context = Context::open(&arguments.target, &who("assemble", &arguments.target))?;
    // What is wrong with the key is said now, not after hours of building.
    let mut signing = signing(&context, &arguments.key)?;
    let asked = Asked::new(&arguments.release)?;
    // What it replaces may have to get its name back first.
    recover(&output)?;
    release::begin(&context, &asked, &output, &mut signing)?;
    needs::before_fetching(&context, &needs::ALL, &output)?;
    let lock = ready(&context)?;
    let road = Road::new(&context, &lock)?;
    release::before_building(&road, &asked, &output)?;
    needs::before_building(&context, &road.assembled(&signing)?, &output)?;
    if preflight::gate(&context, &road)?.is_none() {
        return Ok(Outcome::Misfit);
    }
    let judged = publish::state(&output)?;
    release::settle(&context, &road, &mut signing, &asked, &output)?;
    let mut attempts = 1;
    loop {
        let done = run(&context, &road.assembled(&signing)?)?;
        let assembled = stage(&done, name::ASSEMBLE)?;
        if put(&context, assembled, &output, judged, attempts)? {
            break;
        }
        attempts += 1;
    }
    ui::warn("not proven: `cargo xtask verify` does that");
    if context.arguments.json {
        ui::print(&serde_json::json!({ "repository": output }).to_string());
    } else {
        ui::print(&output.display().to_string());
    }
    Ok(Outcome::Done)
}

/// Unsigned packages; their folders go to standard output.
pub fn build(arguments: &BuildArgs) -> anyhow::Result<Outcome> {
    for package in &arguments.packages {
        if !PACKAGES.contains(&package.as_str()) {
            return Err(Usage(format!(
                "no package `{package}`; there are: {}",
                PACKAGES.join(", ")
            ))
            .into());
        }
    }
    let context = Context::open(&arguments.target, &who("build", &arguments.target))?;
    let there = built(&context.target);
    if let Some(other) = arguments
        .packages
        .iter()
        .find(|one| !there.contains(&one.as_str()))
    {
        return Err(Usage(format!(
            "`{other}` is not built for `{}`, whose servers run the distribution's own; there are: {}",
            context.target.name,
            there.join(", ")
        ))
        .into());
    }
    let wanted: Vec<&str> = if arguments.packages.is_empty() {
        there
    } else {
        arguments.packages.iter().map(String::as_str).collect()
    };
    // Nothing leaves the store.
    let output = context.store.root();
    needs::before_fetching(&context, &parts(&wanted), output)?;
    let lock = ready(&context)?;
    let road = Road::new(&context, &lock)?;
    needs::before_building(&context, &needed(road.builds()?, &wanted), output)?;
    // e2fsprogs alone depends on nothing of Lustre's.
    if wanted.iter().any(|package| *package != "e2fsprogs")
        && preflight::gate(&context, &road)?.is_none()
    {
        return Ok(Outcome::Misfit);
    }
    let stages = needed(road.builds()?, &wanted);
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

/// The parts of the road up to the packages `wanted`.
pub fn parts(wanted: &[&str]) -> Vec<Part> {
    let mut parts = needs::ALL.to_vec();
    // Lustre is built against all others.
    if !wanted.contains(&"lustre") {
        parts.retain(|part| match part {
            Part::Kernel => wanted.contains(&"kernel"),
            Part::E2fsprogs => wanted.contains(&"e2fsprogs"),
            Part::Base => true,
            Part::Lustre => false,
        });
    }
    parts
}

/// Every source into the store: the files that the lock pins, and the trees.
pub fn fetch(arguments: &TargetArgs) -> anyhow::Result<Outcome> {
    let context = Context::open(arguments, &who("fetch", arguments))?;
    let lock = ready(&context)?;
    let files = lock.files().count();
    let (lustre, incomplete) = sources::lustre(&context, &lock, Need::Content)?;
    if let Some(why) = incomplete {
        bail!("{why}");
    }
    let kernel = sources::kernel(&context, &lock)?;
    if let Some((_, Some(why))) = &kernel {
        bail!("{why}");
    }
    let mut trees = vec![lustre];
    trees.extend(kernel.map(|(tree, _)| tree.source().clone()));
    trees.extend(sources::e2fsprogs(&context, &lock, Need::Content)?);
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

/// The context's target, as the store knows who uses what: the same wherever the command was given.
fn user(context: &Context) -> String {
    context.target.argument()
}

/// A current lock, and everything it pins in the store.
pub fn ready(context: &Context) -> anyhow::Result<Lock> {
    let lock = lock::current(context)?;
    lock::fetch(context, &lock, lock::Wanted::All)?;
    uses(context, &lock)?;
    Ok(lock)
}

/// Runs the stages of `roots`, those that any repository is proven on, as far as the stages `taken`. What the lock pins is fetched where they
/// take it from the store, which they do not where they are there.
///
/// # Errors
/// When it cannot be fetched, or a stage fails.
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
        lock::fetch(context, lock, lock::Wanted::Distribution)?;
    }
    uses(context, lock)?;
    let ran = run_taking(context, taken, roots);
    // What was taken for whole until its bytes were read is made again, of what nobody has fetched yet.
    if ran.is_err() && was_there && !process::interrupted() && !is_there()? {
        lock::fetch(context, lock, lock::Wanted::Distribution)?;
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

/// The key, and a signature time that does not change from run to run: that of the packages, or the first that every client takes from
/// the key where that is later. The key is alive then and now.
pub fn signing(context: &Context, arguments: &KeyArgs) -> anyhow::Result<Signing> {
    let signer = key::open(arguments)?;
    let public = PublicKey::parse(signer.public_key_armored()?)?;
    let planned = planned_signing(context, Some(&public))?;
    public.check_usable(planned.time)?;
    Ok(Signing {
        signer: Some(signer),
        ..planned
    })
}

/// The same as far as its stages' keys need it. Where there is no key yet, those stages will run in any case.
pub fn planned_signing(context: &Context, public: Option<&PublicKey>) -> anyhow::Result<Signing> {
    let packages = context.target.build.source_date_epoch;
    let time = public.map_or(packages, |key| packages.max(key.signs_from()));
    Ok(Signing {
        fingerprint: public.map(PublicKey::fingerprint).unwrap_or_default(),
        public_key: public
            .map(PublicKey::armored)
            .transpose()?
            .unwrap_or_default(),
        time,
        // No release is earlier; when it is, is decided once it is known what is in it.
        release: Release {
            time,
            ..Release::default()
        },
        signer: None,
    })
}

/// Runs stages and shows what happens.
pub fn run(context: &Context, stages: &[Stage<'_>]) -> anyhow::Result<BTreeMap<String, StageDir>> {
    run_taking(context, &[], stages)
}

/// The same where what the stages `taken` put out is read here or handed out: it is as it was recorded, every byte of it.
pub fn run_taking(
    context: &Context,
    taken: &[&str],
    stages: &[Stage<'_>],
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    recorded(context, stages, &|options, tell| {
        stage::run_taking(taken, stages, &context.store, options, tell)
    })
}

/// The same of the stage `wanted`, which is made once more where it is finished.
pub fn run_again(
    context: &Context,
    wanted: &str,
    stages: &[Stage<'_>],
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    recorded(context, stages, &|options, tell| {
        stage::run_again(wanted, stages, &context.store, options, tell)
    })
}

type Tell<'t> = dyn Fn(Event<'_>) + Sync + 't;
type Ran = Result<BTreeMap<String, StageDir>, stage::Error>;

/// Runs `stages` by `run`: what is used is recorded, and what happens is shown.
fn recorded(
    context: &Context,
    stages: &[Stage<'_>],
    run: &dyn Fn(Options, &Tell<'_>) -> Ran,
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    let options = Options {
        // More stages than cores would only take each other's time.
        width: context.jobs.clamp(1, 4),
    };
    let user = user(context);
    let unrecorded = Mutex::new(None);
    // At once: a run may be killed, and what it made is not to be taken for nobody's.
    let record = |folder: &Path, change: &dyn Fn(&mut Uses, &str)| {
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        let recorded = context
            .store
            .record_uses(&user, |uses| change(uses, &folder));
        if let Err(error) = recorded {
            let mut first = unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    };
    context.screen.begins(stages.len(), past(context, stages));
    let ran = run(options, &|event| {
        match &event {
            Event::Started { stage, folder, .. } => {
                record(folder, &|uses, folder| uses.begins(stage, folder));
            }
            Event::Cached { stage, folder } | Event::Finished { stage, folder, .. } => {
                record(folder, &|uses, folder| uses.stage(stage, folder));
            }
            Event::Damaged { .. } | Event::Failed { .. } => {}
        }
        context.screen.event(&event);
    });
    context.screen.ends();
    let unrecorded = unrecorded
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // What the run itself failed with comes first.
    let done = ran?;
    match unrecorded {
        Some(error) => Err(error.into()),
        None => Ok(done),
    }
}

/// How long the stages took when they last ran, for who looks on. What cannot be read is not known.
fn past(context: &Context, stages: &[Stage<'_>]) -> BTreeMap<String, Duration> {
    let mut past = BTreeMap::new();
    if context.screen.is_live() {
        let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        let times = context.store.stages().times(&names);
        past.extend(times.unwrap_or_default());
    }
    past
}

/// A finished stage.
///
/// # Errors
/// When it did not run.
pub fn stage<'d>(
    done: &'d BTreeMap<String, StageDir>,
    stage: &str,
) -> anyhow::Result<&'d StageDir> {
    done.get(stage)
        .with_context(|| format!("the stage `{stage}` did not run"))
}

/// The folder of a finished stage.
pub fn folder(done: &BTreeMap<String, StageDir>, name: &str) -> anyhow::Result<PathBuf> {
    Ok(stage(done, name)?.path.clone())
}

/// Of `stages`, those that `wanted` need.
pub fn needed<'a>(stages: Vec<Stage<'a>>, wanted: &[&str]) -> Vec<Stage<'a>> {
    let mut names: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let mut at = 0;
    while at < names.len() {
        if let Some(stage) = stages.iter().find(|stage| stage.name == names[at]) {
            for need in &stage.needs {
                if !names.contains(need) {
                    names.push(need.clone());
                }
            }
        }
        at += 1;
    }
    stages
        .into_iter()
        .filter(|stage| names.contains(&stage.name))
        .collect()
}

/// Removes what was left beside the output by killed runs, of whichever store.
fn recover(output: &Path) -> anyhow::Result<()> {
    lustre_repository::layout::recover(output)
        .with_context(|| format!("what a killed run left beside {}", output.display()))
}

/// Where the repository goes: a place that it can be put at, which is found out before anything is done for it.
fn output(arguments: &RepoArgs) -> anyhow::Result<PathBuf> {
    let output = match &arguments.output {
        Some(output) => output.clone(),
        None => default_output(&context::target(&arguments.target)?.name),
    };
    context::judge_path("the repository", &std::path::absolute(&output)?, &[])?;
    lustre_repository::layout::judge(&output).map_err(|error| Usage(error.to_string()))?;
    let store = context::store_folder(arguments.target.store.as_deref())?;
    let [there, kept] = [&output, &store].map(|path| real(path));
    let (there, kept) = (there?, kept?);
    if there.starts_with(&kept) || kept.starts_with(&there) {
        return Err(Usage(format!(
            "the repository would be at {} and the store is at {}: one cannot be in the other; choose another --output or --store",
            output.display(),
            store.display()
        ))
        .into());
    }
    Ok(output)
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> anyhow::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    for there in path.ancestors() {
        let found = lustre_files::if_there(std::fs::canonicalize(there));
        if let Some(found) = found.with_context(|| path.display().to_string())? {
            return Ok(found.join(path.strip_prefix(there)?));
        }
        // Where it leads is there once something is made there: the store, maybe.
        if std::fs::symlink_metadata(there).is_ok() {
            return Err(Usage(format!(
                "{} cannot be used: {} is a link that leads to nothing; name the place itself",
                path.display(),
                there.display()
            ))
            .into());
        }
    }
    Ok(path)
}

/// `dist/<target>` in the project's folder.
pub fn default_output(target: &str) -> PathBuf {
    let project = context::project();
    Path::new(&project).join("dist").join(target)
}

/// How a run names itself to others that wait for it.
pub fn who(command: &str, arguments: &TargetArgs) -> String {
    format!("cargo xtask {command} --target {}", arguments.target)
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use lustre_packaging::store::Store;
    use lustre_packaging::target::Target;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::ui::Screen;

    #[test]
    fn what_a_run_makes_is_its_targets_before_the_run_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let line = ["cargo xtask", "repo"];
        let Command::Repo(arguments) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let context = Context {
            target: Target::load(&context::specs(), "rehearsal").unwrap(),
            store: Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap(),
            screen: Screen::new(),
            jobs: 1,
            arguments: arguments.repo.target,
        };
        let current = || -> Vec<String> {
            let uses = context.store.all_uses().unwrap();
            uses.iter().flat_map(Uses::current).cloned().collect()
        };
        let seen = Mutex::new(Vec::new());
        let stage = |name: &str, needs: &[&str], recipe| Stage {
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            inputs: Vec::new(),
            whole: None,
            recipe,
        };
        let stages = [
            stage("kernel", &[], Box::new(|_| Ok(()))),
            stage(
                "lustre",
                &["kernel"],
                Box::new(|_| {
                    // Killed here, or when this is finished and before that is recorded, it keeps both.
                    *seen.lock().unwrap() = current();
                    Ok(())
                }),
            ),
        ];
        let done = run(&context, &stages).unwrap();
        let paths = || {
            let folders = done.values().map(|stage| stage.path.file_name().unwrap());
            folders.map(|name| format!("stages/{}", name.to_str().unwrap()))
        };
        for path in paths() {
            assert!(seen.lock().unwrap().contains(&path), "{path}: {seen:?}");
        }
        assert_eq!(current(), paths().collect::<Vec<_>>());
        assert!(context.store.all_uses().unwrap()[0].begun.is_empty());
    }

    #[test]
    fn a_package_needs_what_its_stages_need_and_nothing_else() {
        let stage = |name: &str, needs: &[&str]| Stage {
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            inputs: Vec::new(),
            whole: None,
            recipe: Box::new(|_| Ok(())),
        };
        let graph = || {
            vec![
                stage("base", &[]),
                stage("kernel", &["base"]),
                stage("e2fsprogs", &["base"]),
                stage("lustre", &["kernel", "base"]),
            ]
        };
        let names = |wanted: &[&str]| -> Vec<String> {
            let stages = needed(graph(), wanted);
            stages.into_iter().map(|stage| stage.name).collect()
        };
        assert_eq!(names(&["e2fsprogs"]), ["base", "e2fsprogs"]);
        assert_eq!(names(&["lustre"]), ["base", "kernel", "lustre"]);
        assert_eq!(
            names(&["lustre", "e2fsprogs"]),
            ["base", "kernel", "e2fsprogs", "lustre"]
        );
        assert!(names(&[]).is_empty());
    }
}
