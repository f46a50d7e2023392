//! `cargo xtask build --rebuild STAGE`: a stage once more, and whether its output is the same.

use std::collections::BTreeMap;

use lustre_files::advised;
use lustre_packaging::stage::{Others, Stage};
use lustre_packaging::store::{Entry, EntryKind, StageDir};

use super::repo::parts;
use super::{needs, preflight};
use crate::cli::BuildArgs;
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::graph::shape::PACKAGES;
use crate::graph::{BuildGraph, name};
use crate::obs::ObsBuilder;
use crate::session::{self, needed};
use crate::ui;

/// How many differences are told.
const SHOWN: usize = 12;

/// Runs the stage `wanted` though it is in the store.
pub fn run(arguments: &BuildArgs, wanted: &str) -> anyhow::Result<Outcome> {
    if ObsBuilder::named(&arguments.builder, &arguments.target)?.is_some() {
        return Err(Usage::new(advised(
            "--on obs: --rebuild is for what this machine builds",
            "omit one of them",
        ))
        .into());
    }
    let context = Context::open(&arguments.target, &context::who("build", &arguments.target))?;
    // Nothing leaves the store.
    let output = context.store.root();
    let package: Vec<&str> = PACKAGES
        .into_iter()
        .filter(|package| wanted.starts_with(package))
        .collect();
    needs::before_fetching(&context, &parts(&package), output)?;
    let lock = session::ready(&context)?;
    let graph = BuildGraph::new(&context, &lock)?;
    let all = graph.builds()?;
    if !all.iter().any(|stage| stage.name == wanted) {
        let names: Vec<&str> = all.iter().map(|stage| stage.name.as_str()).collect();
        return Err(Usage::new(format!(
            "no build of `{}` has a stage `{wanted}`; available stages: {}",
            context.target.name,
            names.join(", ")
        ))
        .into());
    }
    let stages = needed(all, &[wanted]);
    needs::before_building(&context, &stages, output)?;
    let of_lustre = stages.iter().any(|stage| stage.name == name::LUSTRE_TREE);
    if of_lustre && preflight::gate(&context, &graph)?.is_none() {
        return Ok(Outcome::Misfit);
    }
    let RebuildComparison { made, differs } = again(&context, &stages, wanted)?;
    let folder = made.path.display();
    if context.arguments.json {
        let told = serde_json::json!({
            "stage": wanted,
            "folder": made.path,
            "same": differs.is_empty(),
            "differs": differs,
        });
        ui::print(&serde_json::to_string_pretty(&told)?);
    } else if differs.is_empty() {
        let files = made.record.outputs.len();
        ui::print(&format!("{wanted}: identical, {files} files: {folder}"));
    } else {
        ui::print(&format!(
            "{wanted}: differs from the cached result, which it replaces: {folder}"
        ));
        for line in differs.iter().take(SHOWN) {
            ui::print(&format!("  {line}"));
        }
        if differs.len() > SHOWN {
            ui::print(&format!("  … and {} more", differs.len() - SHOWN));
        }
    }
    Ok(if differs.is_empty() {
        Outcome::Done
    } else {
        Outcome::Unproven
    })
}

/// A stage that ran again, and what it put out otherwise than before.
struct RebuildComparison {
    made: StageDir,
    differs: Vec<String>,
}

/// Runs the stage `wanted` of `stages` once more, whatever is in the store of it; that stays where it fails.
fn again(
    context: &Context,
    stages: &[Stage<'_>],
    wanted: &str,
) -> anyhow::Result<RebuildComparison> {
    let done = session::run(context, stages)?;
    let before = session::stage(&done, wanted)?;
    let ran = session::run_again(context, wanted, Others::Taken, stages)?;
    let made = session::stage(&ran, wanted)?.clone();
    let differs = differences(&before.record.outputs, &made.record.outputs);
    Ok(RebuildComparison { made, differs })
}

/// What is in one list and not, or otherwise, in the other.
fn differences(before: &[Entry], after: &[Entry]) -> Vec<String> {
    let by_path = |entries: &[Entry]| -> BTreeMap<String, EntryKind> {
        let all = entries.iter();
        all.map(|entry| (entry.path.clone(), entry.kind.clone()))
            .collect()
    };
    let (before, mut after) = (by_path(before), by_path(after));
    let mut found = Vec::new();
    for (path, kind) in before {
        match after.remove(&path) {
            None => found.push(format!("{path} is no longer there")),
            Some(now) if now != kind => found.push(format!("{path} differs")),
            Some(_) => {}
        }
    }
    found.extend(after.into_keys().map(|path| format!("{path} is new")));
    found
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsRawFd;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lustre_packaging::store::Store;

    use super::*;

    #[test]
    fn a_stage_runs_again_and_what_it_puts_out_is_compared() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let (runs, base) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let changes = AtomicUsize::new(0);
        let root = context.store.root().to_owned();
        // What stands in the place of the stage while it is made again.
        let in_place = || -> Vec<String> {
            let listed = Store::look(&root, "a reader").unwrap();
            let listed = listed.stages().list().unwrap().into_iter();
            let kernels = listed.filter(|one| one.record.as_ref().unwrap().name == "kernel");
            let texts = kernels.map(|one| std::fs::read_to_string(one.path.join("made.rpm")));
            texts.map(Result::unwrap).collect()
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
            stage(
                "base",
                &[],
                Box::new(|_| {
                    base.fetch_add(1, Ordering::SeqCst);
                    Ok(())
                }),
            ),
            stage(
                "kernel",
                &["base"],
                Box::new(|work| {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    seen.lock().unwrap().push(in_place());
                    let text = match changes.load(Ordering::SeqCst) {
                        0 => "same".to_owned(),
                        1 => format!("run {run}"),
                        _ => return Err("it fails".into()),
                    };
                    std::fs::write(work.output.join("made.rpm"), text)?;
                    Ok(())
                }),
            ),
        ];
        let first = again(&context, &stages, "kernel").unwrap();
        assert_eq!(first.differs, Vec::<String>::new());
        assert_eq!(runs.load(Ordering::SeqCst), 2, "made, and made again");
        assert_eq!(base.load(Ordering::SeqCst), 1, "what it needs is not");

        changes.store(1, Ordering::SeqCst);
        let second = again(&context, &stages, "kernel").unwrap();
        assert_eq!(second.differs, ["made.rpm differs"]);
        let text = std::fs::read_to_string(second.made.path.join("made.rpm")).unwrap();
        assert_eq!(text, "run 2", "the new one is in its place");

        // Who reads beside reads on to the end, whatever took the place.
        let reader = Store::beside(&root, "a reader", &mut |_| {}).unwrap();
        let read = File::open(&second.made.path).unwrap();
        let third = again(&context, &stages, "kernel").unwrap();
        assert_eq!(third.made.path, second.made.path);
        let held = format!("/proc/self/fd/{}/made.rpm", read.as_raw_fd());
        assert_eq!(std::fs::read_to_string(&held).unwrap(), "run 2");
        drop(reader);

        changes.store(2, Ordering::SeqCst);
        let error = again(&context, &stages, "kernel").err().unwrap();
        assert!(format!("{error:#}").contains("it fails"), "{error:#}");
        let text = std::fs::read_to_string(second.made.path.join("made.rpm")).unwrap();
        assert_eq!(text, "run 3", "what fails takes no place");
        let made = ["same", "same", "run 2", "run 3"];
        let made = made.map(|text| vec![text.to_owned()]);
        assert_eq!(seen.lock().unwrap()[1..], made);
        let left = context.store.tmp_dir().read_dir().unwrap().count();
        assert_eq!(left, 0);
        // With nobody who reads it, the next run removes it.
        drop(context);
        let store = Store::open(&root, "a test", &mut |_| {}).unwrap();
        let tmp = root.join("tmp").read_dir().unwrap();
        assert_eq!(tmp.count(), 2, "the folder of this run, and its file");
        drop(store);
        std::fs::read_to_string(&held).unwrap_err();
    }
}
