//! Running a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::graph::{Error, Event, Failure, Stage, Work, key, ordered};
use crate::process;
use crate::store::{Digest, StageDir, StageRecord, StageState, Store};

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many stages may run at a time.
    pub width: usize,
}

/// What the threads share.
#[derive(Default)]
struct Shared {
    done: BTreeMap<String, StageDir>,
    /// The digests of what they put out.
    outputs: BTreeMap<String, Digest>,
    started: Vec<String>,
    error: Option<Error>,
}

/// Runs all `stages` that are not in the store yet and gives every stage's folder by name. One that another reads, or that is among `taken`,
/// which the caller takes out of the store or reads itself, and that is no longer as it was recorded, is made again.
pub fn run_taking(
    taken: &[&str],
    stages: &[Stage<'_>],
    store: &Store,
    options: Options,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    run_mending(None, taken, stages, store, options, tell)
}

/// As [`run_taking`] of the stage `wanted`, which is made once more where it is finished. What is there of it stays in its place until then.
pub fn run_again(
    wanted: &str,
    stages: &[Stage<'_>],
    store: &Store,
    options: Options,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    let again = Again {
        stage: wanted,
        made: AtomicBool::new(false),
    };
    run_mending(Some(&again), &[wanted], stages, store, options, tell)
}

/// A stage that is made once more.
struct Again<'s> {
    stage: &'s str,
    /// It was.
    made: AtomicBool,
}

fn run_mending(
    again: Option<&Again<'_>>,
    taken: &[&str],
    stages: &[Stage<'_>],
    store: &Store,
    options: Options,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    let mut mended = BTreeSet::new();
    let whole = |done: &BTreeMap<String, StageDir>| {
        let taken = taken.iter().filter_map(|name| done.get(*name));
        taken.into_iter().try_for_each(|stage| held(store, stage))
    };
    loop {
        let ran = once(again, stages, store, options, tell);
        match ran.and_then(|done| whole(&done).map(|()| done)) {
            // What was not read to its end is not damaged.
            Err(Error::Damaged { .. }) if process::interrupted() => return Err(Error::Interrupted),
            Err(Error::Damaged { stage, why }) if mended.insert(stage.path.clone()) => {
                tell(Event::Damaged {
                    stage: &stage.record.name,
                    why: &why,
                });
                store.stages().forget(&stage)?;
            }
            result => return result,
        }
    }
}

/// That a finished stage is as it was recorded.
fn held(store: &Store, stage: &StageDir) -> Result<(), Error> {
    store.stages().check(stage).map_err(|why| Error::Damaged {
        stage: Box::new(stage.clone()),
        why,
    })
}

fn once(
    again: Option<&Again<'_>>,
    stages: &[Stage<'_>],
    store: &Store,
    options: Options,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    let order = ordered(stages)?;
    let shared = Mutex::new(Shared::default());
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..options.width.max(1).min(order.len()) {
            scope.spawn(|| worker(again, &order, store, tell, &shared, &changed));
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    match shared.error {
        Some(error) => Err(error),
        None if process::interrupted() => Err(Error::Interrupted),
        None => Ok(shared.done),
    }
}

fn worker(
    again: Option<&Again<'_>>,
    order: &[&Stage<'_>],
    store: &Store,
    tell: &(dyn Fn(Event<'_>) + Sync),
    shared: &Mutex<Shared>,
    changed: &Condvar,
) {
    let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        if state.error.is_some() || state.started.len() == order.len() || process::interrupted() {
            changed.notify_all();
            return;
        }
        let next = order.iter().find(|stage| {
            !state.started.contains(&stage.name)
                && stage.needs.iter().all(|need| state.done.contains_key(need))
        });
        let Some(stage) = next else {
            state = changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        state.started.push(stage.name.clone());
        let outputs: BTreeMap<String, Digest> = of_needs(stage, &state.outputs);
        drop(state);
        let needs = || {
            let state = shared.lock().unwrap_or_else(PoisonError::into_inner);
            of_needs(stage, &state.done)
        };
        // A panic that ended this thread would leave the others waiting for a stage that never ends.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let done = one(again, stage, &outputs, &needs, store, tell)?;
            let digest = done.record.digest();
            Ok((done, digest))
        }))
        .unwrap_or_else(|panic| Err(panicked(&stage.name, panic.as_ref())));
        state = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok((done, digest)) => {
                state.done.insert(stage.name.clone(), done);
                state.outputs.insert(stage.name.clone(), digest);
            }
            Err(error) => {
                if !matches!(error, Error::Damaged { .. }) {
                    tell(Event::Failed { stage: &stage.name });
                }
                // The first failure is the one to read; what fails beside it often fails because of it.
                state.error.get_or_insert(error);
            }
        }
        changed.notify_all();
    }
}

/// What `all` has of the stages that a stage needs.
fn of_needs<T: Clone>(stage: &Stage<'_>, all: &BTreeMap<String, T>) -> BTreeMap<String, T> {
    let needs = stage.needs.iter();
    needs
        .filter_map(|need| Some((need.clone(), all.get(need)?.clone())))
        .collect()
}

fn panicked(stage: &str, panic: &(dyn std::any::Any + Send)) -> Error {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    Error::Stage {
        stage: stage.to_owned(),
        log: None,
        source: format!("a bug in this tool: {said}").into(),
    }
}

fn one(
    again: Option<&Again<'_>>,
    stage: &Stage<'_>,
    outputs: &BTreeMap<String, Digest>,
    needs: &dyn Fn() -> BTreeMap<String, StageDir>,
    store: &Store,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<StageDir, Error> {
    let (key, inputs) = key(stage, outputs);
    let again = again.filter(|again| again.stage == stage.name);
    let again = again.filter(|again| !again.made.load(Ordering::SeqCst));
    match store.stages().state(&stage.name, &key) {
        // Said before it is made, as for one that is damaged.
        StageState::Done(_) if again.is_some() => {
            store.stages().can_be_replaced(&stage.name, &key)?;
        }
        StageState::Done(done) => {
            tell(Event::Cached {
                stage: &stage.name,
                folder: &done.path,
            });
            return Ok(*done);
        }
        StageState::Damaged(why) => {
            tell(Event::Damaged {
                stage: &stage.name,
                why: &why,
            });
            store.stages().can_be_replaced(&stage.name, &key)?;
        }
        StageState::Absent => {}
    }
    let needs = needs();
    // Reading them costs little beside making something of them.
    needs.values().try_for_each(|need| held(store, need))?;
    let log = store
        .logs_dir()
        .join(format!("{}-{}.log", stage.name, key.short()));
    // One log, one run: what an earlier, failed run wrote would only mislead.
    let _ = std::fs::remove_file(&log);
    tell(Event::Started {
        stage: &stage.name,
        folder: &store.stages().place(&stage.name, &key),
        log: &log,
    });
    let clock = Instant::now();
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let failed = |source: Failure| Error::Stage {
        stage: stage.name.clone(),
        log: log.exists().then(|| log.clone()),
        source,
    };
    let pending = store.stages().begin(&stage.name, &key)?;
    let scratch = store.temp_dir(&format!("scratch-{}", stage.name))?;
    let work = Work {
        output: pending.dir(),
        scratch: scratch.path(),
        log: &log,
        done: &needs,
    };
    let result = (stage.recipe)(&work);
    if process::interrupted() {
        return Err(Error::Interrupted);
    }
    result.map_err(failed)?;
    let whole = match &stage.whole {
        Some((folder, stands_for)) => {
            let digest = Digest::of_file(&pending.dir().join(stands_for))
                .map_err(crate::store::Error::from)?
                .0;
            vec![(folder.as_str(), digest)]
        }
        None => Vec::new(),
    };
    let record = StageRecord {
        name: stage.name.clone(),
        key,
        inputs,
        outputs: pending.outputs(&whole)?,
        started,
        milliseconds: u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX),
        log: log.exists().then(|| log.clone()),
        contents: pending.list_contents(&whole)?,
    };
    let done = match again {
        Some(again) => {
            let done = store.stages().finish_again(pending, &record)?;
            again.made.store(true, Ordering::SeqCst);
            done
        }
        None => store.stages().finish(pending, &record)?,
    };
    tell(Event::Finished {
        stage: &stage.name,
        folder: &done.path,
        took: clock.elapsed(),
    });
    Ok(done)
}

/// A stage's input that is a folder or file of the project: its digest.
pub fn digest_of(path: &Path) -> Result<String, crate::store::Error> {
    if path.is_dir() {
        Ok(crate::store::tree_digest(path)?.to_string())
    } else {
        Ok(Digest::of_file(path)?.0.to_string())
    }
}
