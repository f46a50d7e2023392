//! Stages run for a target: what they use is recorded, and what happens is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use lustre_packaging::stage::{self, Event, Options, Stage};
use lustre_packaging::store::{self, StageDir, Uses};

use crate::context::Context;

/// The context's target, as the store knows who uses what: the same wherever the command was given.
pub(super) fn user(context: &Context) -> String {
    context.target.argument()
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
type RunResult = Result<BTreeMap<String, StageDir>, stage::Error>;

/// Runs `stages` by `run`: what is used is recorded, and what happens is shown.
fn recorded(
    context: &Context,
    stages: &[Stage<'_>],
    run: &dyn Fn(Options, &Tell<'_>) -> RunResult,
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    let options = Options {
        // More stages than cores would only take each other's time.
        width: context.jobs.clamp(1, 4),
    };
    let user = user(context);
    let unrecorded = Mutex::new(None);
    // At once: a run may be killed, and what it made is not to be taken for nobody's.
    let record = |folder: &Path, how: &dyn Fn(&str) -> Result<(), store::Error>| {
        let folder = folder.file_name().unwrap_or_default().to_string_lossy();
        if let Err(error) = how(&folder) {
            let mut first = unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(error);
        }
    };
    context.screen.begins(stages.len(), past(context, stages));
    let ran = run(options, &|event| {
        match &event {
            Event::Started { stage, folder, .. } => {
                record(folder, &|folder| {
                    let begins = |uses: &mut Uses| uses.begins(stage, folder);
                    context.store.record_uses(&user, begins)
                });
            }
            Event::Cached { stage, folder } | Event::Finished { stage, folder, .. } => {
                record(folder, &|folder| {
                    context.store.record_stage(&user, stage, folder)
                });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_makes_is_its_targets_before_the_run_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
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
