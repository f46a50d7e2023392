//! Running a graph.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

mod exchange;

use super::graph::{Error, Event, Failure, Stage, Work, key, ordered};
use super::remote::{Offer, Remote};
use crate::process;
use crate::store::{Digest, StageDir, StageRecord, StageState, Store};

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options<'r> {
    /// How many stages may run at a time.
    pub width: usize,
    /// Where results of others are, if anywhere. With one, stages that nothing needs here are left out: what is made of them is there.
    pub remote: Option<&'r dyn Remote>,
    /// The stages that are not left out in any case.
    pub keeps: &'r [&'r str],
}

/// What the threads share.
#[derive(Default)]
struct RunState {
    done: BTreeMap<String, StageDir>,
    /// The stages for which something is being done.
    busy: BTreeSet<String>,
    /// What is known of those that are not done, where results of others are asked for.
    stands: BTreeMap<String, Stand>,
    /// What is to be given to others.
    to_give: Vec<StageDir>,
    /// Whether what was assumed of a stage turned out to be otherwise.
    stale: bool,
    error: Option<Error>,
}

/// What is known of a stage that is not in the store.
#[derive(Default)]
struct Stand {
    /// What others made of it.
    offer: Option<Offer>,
    /// It is made here all the same.
    make: bool,
}

impl Stand {
    /// What can be fetched in place of making it.
    fn to_take(&self) -> Option<&Offer> {
        let offer = self.offer.as_ref().filter(|_| !self.make)?;
        offer.content.is_some().then_some(offer)
    }
}

/// One thing to do.
enum Task {
    Look,
    Take(Box<Offer>),
    Make,
    Give(Box<StageDir>),
}

/// What came of it.
enum TaskResult {
    Done(StageDir),
    Seen(Option<Offer>),
    Refused,
    Given,
}

/// One run of a graph.
struct Run<'g, 'a> {
    again: Option<&'g Again<'g>>,
    order: Vec<&'g Stage<'a>>,
    /// The stages that have to be there in the end.
    goals: Vec<&'g str>,
    store: &'g Store,
    remote: Option<&'g dyn Remote>,
    tell: &'g (dyn Fn(Event<'_>) + Sync),
    shared: Mutex<RunState>,
    changed: Condvar,
}

/// Those that are `taken`, and those that no other stage needs; or all.
fn goals<'g>(order: &[&'g Stage<'_>], taken: &[&str], all: bool) -> Vec<&'g str> {
    let needed: BTreeSet<&str> = order
        .iter()
        .flat_map(|stage| stage.needs.iter().map(String::as_str))
        .collect();
    let names = order.iter().map(|stage| stage.name.as_str());
    names
        .filter(|name| all || taken.contains(name) || !needed.contains(name))
        .collect()
}

/// Whether the stage is the one that is made once more, and was not yet.
fn is_made_again(again: Option<&Again<'_>>, stage: &Stage<'_>) -> bool {
    again.is_some_and(|again| again.stage == stage.name && !again.made.load(Ordering::SeqCst))
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Runs all `stages` that are not in the store yet and gives every stage's folder by name. One that another reads, or that is among `taken`,
/// which the caller takes out of the store or reads itself, and that is no longer as it was recorded, is made again.
pub fn run_taking(
    taken: &[&str],
    stages: &[Stage<'_>],
    store: &Store,
    options: Options<'_>,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    run_mending(None, taken, stages, store, options, tell)
}

/// What becomes of the stages that others made, or a compiler cache, where one of them is needed for a stage that is made once more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They are taken for what they are.
    Taken,
    /// They are made here, and nothing is taken: the result is on nobody's word.
    MadeHere,
}

/// As [`run_taking`] of the stage `wanted`, which is made once more where it is finished. What is there of it stays in its place until then.
pub fn run_again(
    wanted: &str,
    others: Others,
    stages: &[Stage<'_>],
    store: &Store,
    options: Options<'_>,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    let again = Again {
        stage: wanted,
        made: AtomicBool::new(false),
        here: others == Others::MadeHere,
    };
    let options = Options {
        remote: options.remote.filter(|_| !again.here),
        ..options
    };
    run_mending(Some(&again), &[wanted], stages, store, options, tell)
}

/// A stage that is made once more.
struct Again<'s> {
    stage: &'s str,
    /// It was.
    made: AtomicBool,
    /// Whether what others made of the other stages is made here as well.
    here: bool,
}

fn run_mending(
    again: Option<&Again<'_>>,
    taken: &[&str],
    stages: &[Stage<'_>],
    store: &Store,
    options: Options<'_>,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<BTreeMap<String, StageDir>, Error> {
    let mut mended = BTreeSet::new();
    let whole = |done: &BTreeMap<String, StageDir>| {
        let taken = taken.iter().filter_map(|name| done.get(*name));
        taken.into_iter().try_for_each(|stage| held(store, stage))
    };
    loop {
        let ran = match once(again, taken, stages, store, options, tell) {
            // A stage more is in the store than before.
            Ok(None) => continue,
            Ok(Some(done)) => Ok(done),
            Err(error) => Err(error),
        };
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

/// Runs the graph once; none where what was assumed of a stage turned out to be otherwise, and all has to be looked at anew.
fn once(
    again: Option<&Again<'_>>,
    taken: &[&str],
    stages: &[Stage<'_>],
    store: &Store,
    options: Options<'_>,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<Option<BTreeMap<String, StageDir>>, Error> {
    let order = ordered(stages)?;
    let run = Run {
        again,
        goals: goals(
            &order,
            &[taken, options.keeps].concat(),
            options.remote.is_none(),
        ),
        order,
        store,
        remote: options.remote,
        tell,
        shared: Mutex::default(),
        changed: Condvar::new(),
    };
    std::thread::scope(|scope| {
        for _ in 0..options.width.max(1).min(run.order.len()) {
            scope.spawn(|| run.worker());
        }
    });
    let shared = run.shared.into_inner();
    let shared = shared.unwrap_or_else(PoisonError::into_inner);
    match shared.error {
        Some(error) => Err(error),
        None if process::interrupted() => Err(Error::Interrupted),
        None if shared.stale => Ok(None),
        None => Ok(Some(shared.done)),
    }
}

impl Run<'_, '_> {
    fn worker(&self) {
        let mut state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.error.is_some() || state.stale || process::interrupted() || self.over(&state) {
                self.changed.notify_all();
                return;
            }
            let Some((stage, task)) = self.next(&state) else {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy.insert(stage.name.clone());
            if matches!(task, Task::Give(_)) {
                state.to_give.remove(0);
            }
            let needs: BTreeMap<String, StageDir> = stage
                .needs
                .iter()
                .filter_map(|need| Some((need.clone(), state.done.get(need)?.clone())))
                .collect();
            let outputs = self.outputs(&state, stage);
            drop(state);
            // A panic that ended this thread would leave the others waiting for a stage that never ends.
            let result = catch_unwind(AssertUnwindSafe(|| {
                self.does(stage, task, &outputs, &needs)
            }))
            .unwrap_or_else(|panic| Err(panicked(&stage.name, panic.as_ref())));
            state = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            state.busy.remove(&stage.name);
            match result {
                Ok(came) => self.came(&mut state, stage, came),
                Err(error) => {
                    if !matches!(error, Error::Damaged { .. }) {
                        (self.tell)(Event::Failed { stage: &stage.name });
                    }
                    // The first failure is the one to read; what fails beside it often fails because of it.
                    state.error.get_or_insert(error);
                }
            }
            self.changed.notify_all();
        }
    }

    /// Does one thing for a stage.
    fn does(
        &self,
        stage: &Stage<'_>,
        task: Task,
        outputs: &BTreeMap<String, Digest>,
        needs: &BTreeMap<String, StageDir>,
    ) -> Result<TaskResult, Error> {
        match task {
            Task::Look => self.look(stage, outputs),
            Task::Take(offer) => self.take(stage, outputs, &offer),
            Task::Make => {
                one(self.again, stage, needs, self.store, self.tell).map(TaskResult::Done)
            }
            Task::Give(done) => {
                self.give(&done);
                Ok(TaskResult::Given)
            }
        }
    }

    fn came(&self, state: &mut RunState, stage: &Stage<'_>, came: TaskResult) {
        let name = stage.name.clone();
        match came {
            TaskResult::Done(done) => {
                let offer = state.stands.get(&name).and_then(|it| it.offer.as_ref());
                // What others made of it is not what is made of it here: neither is what follows.
                state.stale |= offer.is_some_and(|it| it.digest() != done.record.digest());
                if self.remote.is_some_and(Remote::receives) {
                    state.to_give.push(done.clone());
                }
                state.done.insert(name, done);
            }
            TaskResult::Seen(offer) => {
                let stand = Stand { offer, make: false };
                state.stands.insert(name, stand);
            }
            TaskResult::Refused => {
                state.stands.entry(name).or_default().make = true;
            }
            TaskResult::Given => {}
        }
    }

    /// Whether there is nothing left to do.
    fn over(&self, state: &RunState) -> bool {
        let done = |name: &&str| state.done.contains_key(*name);
        state.to_give.is_empty() && self.goals.iter().all(done)
    }

    /// The digest of what a stage puts out, as far as it is known.
    fn digest(state: &RunState, name: &str) -> Option<Digest> {
        let done = state.done.get(name).map(|done| done.record.digest());
        let offered = || state.stands.get(name)?.offer.as_ref().map(Offer::digest);
        done.or_else(offered)
    }

    /// The digests of what it needs, of those that are known.
    fn outputs(&self, state: &RunState, stage: &Stage<'_>) -> BTreeMap<String, Digest> {
        let needs = stage.needs.iter();
        needs
            .filter_map(|need| Some((need.clone(), Self::digest(state, need)?)))
            .collect()
    }

    /// What to do next, and for which stage.
    fn next(&self, state: &RunState) -> Option<(&Stage<'_>, Task)> {
        let idle = |stage: &&&Stage<'_>| {
            !state.busy.contains(&stage.name) && !state.done.contains_key(&stage.name)
        };
        let ready = |stage: &Stage<'_>| {
            let mut needs = stage.needs.iter();
            needs.all(|need| state.done.contains_key(need))
        };
        if self.remote.is_none() {
            let next = self.order.iter().filter(idle).find(|stage| ready(stage));
            return next.map(|stage| (*stage, Task::Make));
        }
        // Whoever waits for it, waits for all of it.
        if let Some(done) = state.to_give.first() {
            let of = |stage: &&&Stage<'_>| stage.name == done.record.name;
            let stage = self.order.iter().find(of)?;
            return Some((*stage, Task::Give(Box::new(done.clone()))));
        }
        for stage in self.order.iter().filter(idle) {
            let mut needs = stage.needs.iter();
            if !state.stands.contains_key(&stage.name)
                && needs.all(|need| Self::digest(state, need).is_some())
            {
                return Some((*stage, Task::Look));
            }
        }
        let wanted = self.wanted(state);
        for stage in self.order.iter().filter(idle) {
            if !wanted.contains(stage.name.as_str()) {
                continue;
            }
            let Some(stand) = state.stands.get(&stage.name) else {
                continue;
            };
            match stand.to_take() {
                Some(offer) => return Some((*stage, Task::Take(Box::new(offer.clone())))),
                None if ready(stage) => return Some((*stage, Task::Make)),
                None => {}
            }
        }
        None
    }

    /// The stages that have to be there, as far as that can be known yet, beginning at the end.
    fn wanted<'s>(&'s self, state: &RunState) -> BTreeSet<&'s str> {
        let mut wanted = BTreeSet::new();
        let mut next = self.goals.clone();
        while let Some(name) = next.pop() {
            if state.done.contains_key(name) || !wanted.insert(name) {
                continue;
            }
            let Some(stage) = self.order.iter().find(|stage| stage.name == name) else {
                continue;
            };
            match state.stands.get(name) {
                // Its key has to be known first, and that depends on what these put out.
                None => {
                    let needs = stage.needs.iter();
                    let unknown = needs.filter(|need| Self::digest(state, need).is_none());
                    next.extend(unknown.map(String::as_str));
                }
                Some(stand) if stand.to_take().is_some() => {}
                Some(_) => next.extend(stage.needs.iter().map(String::as_str)),
            }
        }
        wanted
    }
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
    needs: &BTreeMap<String, StageDir>,
    store: &Store,
    tell: &(dyn Fn(Event<'_>) + Sync),
) -> Result<StageDir, Error> {
    let outputs: BTreeMap<String, Digest> = needs
        .iter()
        .map(|(name, done)| (name.clone(), done.record.digest()))
        .collect();
    let (key, inputs) = key(stage, &outputs);
    let here = again.is_some_and(|again| again.here);
    let again = again.filter(|again| again.stage == stage.name);
    let again = again.filter(|again| !again.made.load(Ordering::SeqCst));
    let of_others = |record: &StageRecord| record.taken.is_some() || record.compiler_cache;
    let mut replaces = again.is_some();
    match store.stages().state(&stage.name, &key) {
        // Said before it is made, as for one that is damaged.
        StageState::Done(done) if replaces || here && of_others(&done.record) => {
            store.stages().can_be_replaced(&stage.name, &key)?;
            replaces = true;
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
    let started = now();
    let failed = |source: Failure| Error::Stage {
        stage: stage.name.clone(),
        log: log.exists().then(|| log.clone()),
        source,
    };
    let pending = store.stages().begin(&stage.name, &key)?;
    let scratch = store.temp_dir(&format!("scratch-{}", stage.name))?;
    let cached = AtomicBool::new(false);
    let work = Work {
        cached: &cached,
        output: pending.dir(),
        scratch: scratch.path(),
        log: &log,
        done: needs,
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
        taken: None,
        compiler_cache: cached.load(Ordering::SeqCst),
    };
    let done = match replaces {
        true => store.stages().finish_again(pending, &record)?,
        false => store.stages().finish(pending, &record)?,
    };
    if let Some(again) = again {
        again.made.store(true, Ordering::SeqCst);
    }
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
