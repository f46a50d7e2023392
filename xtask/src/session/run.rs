//! Stages run for a target: what they use is recorded, and what happens is shown.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use lustre_packaging::shared::Shared;
use lustre_packaging::stage::{self, Event, Options, Others, Remote, Stage};
use lustre_packaging::store::{self, StageDir, Uses};

use crate::context::Context;
use crate::graph::name;
use crate::shared::{SharedStore, shares};

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

/// The same of the stage `wanted`, which is made once more where it is finished, with what becomes of those that `others` made.
pub fn run_again(
    context: &Context,
    wanted: &str,
    others: Others,
    stages: &[Stage<'_>],
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    recorded(context, stages, &|options, tell| {
        stage::run_again(wanted, others, stages, &context.store, options, tell)
    })
}

/// What a repository is proven on, and what of it commands look at.
const KEPT: [&str; 4] = [
    name::DISTRIBUTION,
    name::INSTALL_ROOT,
    name::SIGN,
    name::ASSEMBLE,
];

type Tell<'t> = dyn Fn(Event<'_>) + Sync + 't;
type RunResult = Result<BTreeMap<String, StageDir>, stage::Error>;

/// Runs `stages` by `run`: what is used is recorded, and what happens is shown.
fn recorded(
    context: &Context,
    stages: &[Stage<'_>],
    run: &dyn Fn(Options<'_>, &Tell<'_>) -> RunResult,
) -> anyhow::Result<BTreeMap<String, StageDir>> {
    let remote = context.shared.as_ref().map(|shared| {
        let shares = shares(&context.target);
        let SharedStore {
            place,
            keys,
            standing,
        } = shared;
        Shared::new(&context.store, &**place, keys, shares, standing)
    });
    // What is proven is looked at by more than the stages.
    let is_signed = stages.iter().any(|stage| stage.name == name::SIGN);
    let options = Options {
        // More stages than cores would only take each other's time.
        width: context.jobs.clamp(1, 4),
        remote: remote.as_ref().map(|remote| remote as &dyn Remote),
        keeps: if is_signed { &KEPT } else { &[] },
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
            Event::Cached { stage, folder }
            | Event::Finished { stage, folder, .. }
            | Event::Taken { stage, folder, .. } => {
                record(folder, &|folder| {
                    context.store.record_stage(&user, stage, folder)
                });
            }
            Event::Damaged { .. }
            | Event::Failed { .. }
            | Event::NotTaken { .. }
            | Event::Given { .. }
            | Event::NotGiven { .. } => {}
        }
        context.screen.event(&event);
    });
    context.screen.ends();
    let unrecorded = unrecorded
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    // What the run itself failed with comes first.
    let done = ran?;
    for stage in done.values() {
        if let Some(taken) = &stage.record.taken {
            context.screen.was_taken(&stage.record.name, taken);
        }
    }
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
    use lustre_packaging::shared::{Folder, Found, Keys, Place, Standing};
    use lustre_packaging::sign::{DEV_KEY_CREATED, Key, Signer};
    use lustre_packaging::stage::Failure;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lustre_packaging::store::{Digest, Store};

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

    /// A chroot's digest is enough to know what was built in it, and nobody signs what others made.
    #[test]
    fn what_one_machine_shares_another_takes_and_records() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("shared");
        std::fs::create_dir(&place).unwrap();
        let made = Mutex::new(Vec::new());
        let stage = |name: &'static str, needs: &[&str]| Stage {
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            inputs: Vec::new(),
            whole: name
                .ends_with("-root")
                .then(|| ("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new({
                let made = &made;
                move |work| {
                    made.lock().unwrap().push(name);
                    std::fs::create_dir(work.output.join("root"))?;
                    Ok(std::fs::write(work.output.join("packages.txt"), name)?)
                }
            }),
        };
        let stages = || {
            [
                stage(name::DISTRIBUTION, &[]),
                stage("kernel-root", &[name::DISTRIBUTION]),
                stage("kernel", &["kernel-root"]),
                stage(name::SIGN, &["kernel"]),
            ]
        };
        let key = Key::generate("Builder <b@example.org>", DEV_KEY_CREATED).unwrap();
        let accepted = vec![key.public_key()];
        let fingerprint = accepted[0].fingerprint();
        let machine = |name: &str, signer: Option<Box<dyn Signer>>| {
            let folder = dir.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            let mut context = Context::of_a_test(&folder);
            context.shared = Some(SharedStore {
                place: Box::new(Folder(place.clone())),
                keys: Keys {
                    accepted: accepted.clone(),
                    signer,
                },
                standing: Standing::default(),
            });
            context
        };
        run(&machine("first", Some(Box::new(key))), &stages()).unwrap();
        assert_eq!(std::mem::take(&mut *made.lock().unwrap()).len(), 4);
        let second = machine("second", None);
        let done = run(&second, &stages()).unwrap();
        // What clients trust is made here; what it is proven on is there.
        assert_eq!(*made.lock().unwrap(), [name::SIGN]);
        let names: Vec<&str> = done.keys().map(String::as_str).collect();
        assert_eq!(names, [name::DISTRIBUTION, "kernel", name::SIGN]);
        let taken = done["kernel"].record.taken.as_ref().unwrap();
        assert_eq!(taken.signer, fingerprint);
        let uses = second.store.all_uses().unwrap();
        let current: Vec<&String> = uses.iter().flat_map(Uses::current).collect();
        assert_eq!(current.len(), 3, "{current:?}");
    }

    /// A place that nobody answers at, and how often it was asked.
    #[derive(Debug, Default, Clone)]
    struct Nowhere(Arc<AtomicUsize>);

    impl std::fmt::Display for Nowhere {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("nowhere")
        }
    }

    impl Place for Nowhere {
        fn small(&self, _: &Store, _: &str, _: u64) -> Result<Found, Failure> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Err("nobody answers".into())
        }

        fn fetch(&self, _: &Store, _: &str, _: (&Digest, u64), _: &Path) -> Result<(), Failure> {
            panic!("nothing is offered");
        }

        fn put(&self, _: &Store, _: &Path, _: &str) -> Result<(), Failure> {
            panic!("it was given up");
        }
    }

    /// A command runs stages more than once: what looks before it builds, what builds, what proves.
    #[test]
    fn what_cannot_be_reached_is_asked_once_in_a_command_and_what_it_lacks_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let mut context = Context::of_a_test(dir.path());
        let nowhere = Nowhere::default();
        let key = Key::generate("Builder <b@example.org>", DEV_KEY_CREATED).unwrap();
        context.shared = Some(SharedStore {
            place: Box::new(nowhere.clone()),
            keys: Keys {
                accepted: vec![key.public_key()],
                signer: Some(Box::new(key)),
            },
            standing: Standing::default(),
        });
        for name in ["preflight-lustre", "kernel", name::SIGN] {
            let stage = Stage {
                name: name.to_owned(),
                needs: Vec::new(),
                inputs: Vec::new(),
                whole: None,
                recipe: Box::new(|_| Ok(())),
            };
            run(&context, &[stage]).unwrap();
        }
        assert_eq!(nowhere.0.load(Ordering::SeqCst), 1);
        let shared = context.shared.as_ref().unwrap();
        assert_eq!(shared.standing.lacking(), ["kernel", "preflight-lustre"]);
        let said = shared.lacking().unwrap();
        assert!(said.contains("nowhere: kernel, preflight-lustre"), "{said}");
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
