//! What would run, and why.

use std::collections::{BTreeMap, BTreeSet};

use super::graph::{CODE, Error, Failure, Stage, key, ordered};
use super::remote::Remote;
use crate::store::{Digest, SharedOrigin, StageRecord, StageState, Store};

/// Whether a stage would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is in the store.
    Cached,
    /// It is not in the store, and would be taken from others.
    Shared(SharedOrigin),
    /// It would run: why.
    Runs(String),
}

/// A stage and whether it would run.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The stage's name.
    pub stage: String,
    /// The stages it needs.
    pub needs: Vec<String>,
    /// Its key, where the outputs of all it needs are known.
    pub key: Option<Digest>,
    /// Whether it would run.
    pub state: State,
    /// Whether others may have it, who could not be asked.
    pub unknown: bool,
    /// The stages of which that assumes that they put out what they did before: they run because the tool's code changed, and nothing
    /// else that they depend on.
    pub assuming: Vec<String>,
}

/// Looks at every stage, in the order in which they would run, without running any.
pub fn plan(stages: &[Stage<'_>], store: &Store) -> Result<Vec<Planned>, Error> {
    planned(stages, store, None)
}

/// The same where a run would take from `remote` what is not in the store. `not_taken` is told of stages that are there and would not be
/// taken, and why.
pub fn plan_with(
    stages: &[Stage<'_>],
    store: &Store,
    remote: &dyn Remote,
    not_taken: &mut dyn FnMut(&str, &Failure),
) -> Result<Vec<Planned>, Error> {
    planned(stages, store, Some((remote, not_taken)))
}

/// Results of others, and who is told what of them would not be taken.
type Others<'o> = (&'o dyn Remote, &'o mut dyn FnMut(&str, &Failure));

fn planned(
    stages: &[Stage<'_>],
    store: &Store,
    mut others: Option<Others<'_>>,
) -> Result<Vec<Planned>, Error> {
    let mut outputs: BTreeMap<String, Digest> = BTreeMap::new();
    let mut planned: Vec<Planned> = Vec::new();
    // The stages of which it is assumed what they will put out.
    let mut assumed: BTreeSet<String> = BTreeSet::new();
    for stage in ordered(stages)? {
        let waits: Vec<&str> = stage
            .needs
            .iter()
            .filter(|need| !outputs.contains_key(*need))
            .map(String::as_str)
            .collect();
        let mut known = None;
        let state = if waits.is_empty() {
            let (key, inputs) = key(stage, &outputs);
            known = Some(key);
            let state = store.stages().state(&stage.name, &key);
            let offer = match (&state, &mut others) {
                (StageState::Done(_), _) | (_, None) => None,
                (_, Some((remote, not_taken))) => {
                    let seen = remote.look(&stage.name, &key);
                    seen.unwrap_or_else(|why| {
                        not_taken(&stage.name, &why);
                        None
                    })
                }
            };
            match (state, offer) {
                (StageState::Done(done), _) => {
                    outputs.insert(stage.name.clone(), done.record.digest());
                    State::Cached
                }
                (_, Some(offer)) => {
                    outputs.insert(stage.name.clone(), offer.digest());
                    match offer.content {
                        Some(_) => State::Shared(offer.taken),
                        None => State::Runs("only its digest is in the shared store".to_owned()),
                    }
                }
                (StageState::Damaged(why), None) => {
                    State::Runs(format!("its folder is damaged: {why}"))
                }
                (StageState::Absent, None) => match nearest(stage, &inputs, store)? {
                    None => State::Runs("it has never run here".to_owned()),
                    Some((record, changed)) => {
                        // Most changes of code change nothing of what comes out.
                        if changed == [CODE] {
                            outputs.insert(stage.name.clone(), record.digest());
                            assumed.insert(stage.name.clone());
                        }
                        State::Runs(format!("changed: {}", changed.join(", ")))
                    }
                },
            }
        } else {
            State::Runs(format!("after {}", waits.join(", ")))
        };
        let mut assuming: BTreeSet<String> = BTreeSet::new();
        for need in &stage.needs {
            if assumed.contains(need) {
                assuming.insert(need.clone());
            }
            let before = planned.iter().find(|one| one.stage == *need);
            assuming.extend(
                before
                    .into_iter()
                    .flat_map(|one| one.assuming.iter().cloned()),
            );
        }
        let unknown = match (&state, &others) {
            (State::Runs(_), Some((remote, _))) => remote.is_unknown(&stage.name),
            (State::Cached | State::Shared(_), _) | (_, None) => false,
        };
        planned.push(Planned {
            unknown,
            stage: stage.name.clone(),
            needs: stage.needs.clone(),
            key: known,
            state,
            assuming: assuming.into_iter().collect(),
        });
    }
    Ok(planned)
}

/// Whether the stage `wanted` of `stages` and all that it needs are in the store: as [`plan`] would tell, without why not.
pub fn is_finished(wanted: &str, stages: &[Stage<'_>], store: &Store) -> Result<bool, Error> {
    let mut outputs: BTreeMap<String, Digest> = BTreeMap::new();
    for stage in ordered(stages)? {
        if !stage.needs.iter().all(|need| outputs.contains_key(need)) {
            continue;
        }
        let (key, _) = key(stage, &outputs);
        if let StageState::Done(done) = store.stages().state(&stage.name, &key) {
            outputs.insert(stage.name.clone(), done.record.digest());
        }
    }
    Ok(outputs.contains_key(wanted))
}

/// The records in the store that a run of `stages` would use, as far as they can be known before: where it is not known yet what a stage
/// needs puts out, every one whose other inputs are the same.
pub fn used(stages: &[Stage<'_>], store: &Store) -> Result<Vec<StageRecord>, Error> {
    let mut outputs: BTreeMap<String, Digest> = BTreeMap::new();
    let mut used = Vec::new();
    let listed = store.stages().list()?.into_iter();
    let records: Vec<StageRecord> = listed.filter_map(|listed| listed.record.ok()).collect();
    for stage in ordered(stages)? {
        let (key, mut inputs) = key(stage, &outputs);
        if stage.needs.iter().all(|need| outputs.contains_key(need)) {
            if let StageState::Done(done) = store.stages().state(&stage.name, &key) {
                outputs.insert(stage.name.clone(), done.record.digest());
                used.push(done.record.clone());
            }
            continue;
        }
        let unknown = stage.needs.iter().filter(|it| !outputs.contains_key(*it));
        let unknown: Vec<String> = unknown.map(|need| format!("stage {need}")).collect();
        for record in records.iter().filter(|record| record.name == stage.name) {
            for label in &unknown {
                match record.inputs.get(label) {
                    Some(digest) => inputs.insert(label.clone(), digest.clone()),
                    None => inputs.remove(label),
                };
            }
            if unknown.iter().all(|label| inputs.contains_key(label)) && inputs == record.inputs {
                used.push(record.clone());
            }
        }
    }
    Ok(used)
}

/// The stage's run that is most like this one, the latest of such, and which inputs differ from its.
fn nearest(
    stage: &Stage<'_>,
    inputs: &BTreeMap<String, String>,
    store: &Store,
) -> Result<Option<(StageRecord, Vec<String>)>, Error> {
    let records = store
        .stages()
        .list()?
        .into_iter()
        .filter_map(|listed| listed.record.ok())
        .filter(|record| record.name == stage.name);
    Ok(records
        .map(|record| {
            let changed = changed(inputs, &record.inputs);
            (record, changed)
        })
        .min_by_key(|(record, changed)| (changed.len(), std::cmp::Reverse(record.started))))
}

/// The labels whose values differ.
fn changed(now: &BTreeMap<String, String>, then: &BTreeMap<String, String>) -> Vec<String> {
    let all: BTreeSet<&String> = now.keys().chain(then.keys()).collect();
    all.into_iter()
        .filter(|label| now.get(*label) != then.get(*label))
        .cloned()
        .collect()
}
