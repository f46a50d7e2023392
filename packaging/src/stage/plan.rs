//! What would run, and why.

use std::collections::BTreeMap;

use super::{Error, Stage, key, ordered};
use crate::store::{Digest, StageState, Store};

/// Whether a stage would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is in the store.
    Cached,
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
}

/// Looks at every stage, in the order in which they would run, without running any.
///
/// # Errors
/// When the graph is wrong or the store cannot be read.
pub fn plan(stages: &[Stage<'_>], store: &Store) -> Result<Vec<Planned>, Error> {
    let mut outputs: BTreeMap<String, Digest> = BTreeMap::new();
    let mut planned = Vec::new();
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
            match store.stages().state(&stage.name, &key) {
                StageState::Done(done) => {
                    outputs.insert(stage.name.clone(), done.record.digest());
                    State::Cached
                }
                StageState::Damaged(why) => State::Runs(format!("its folder is damaged: {why}")),
                StageState::Absent => State::Runs(why(stage, &inputs, store)?),
            }
        } else {
            State::Runs(format!("after {}", waits.join(", ")))
        };
        planned.push(Planned {
            stage: stage.name.clone(),
            needs: stage.needs.clone(),
            key: known,
            state,
        });
    }
    Ok(planned)
}

/// Which inputs differ from those of the stage's latest run.
fn why(
    stage: &Stage<'_>,
    inputs: &BTreeMap<String, String>,
    store: &Store,
) -> Result<String, Error> {
    let latest = store
        .stages()
        .list()?
        .into_iter()
        .filter_map(|listed| listed.record.ok())
        .filter(|record| record.name == stage.name)
        .max_by_key(|record| record.started);
    let Some(latest) = latest else {
        return Ok("it has never run here".to_owned());
    };
    let mut changed: Vec<&str> = inputs
        .iter()
        .filter(|(label, value)| latest.inputs.get(*label) != Some(value))
        .map(|(label, _)| label.as_str())
        .collect();
    changed.extend(
        latest
            .inputs
            .keys()
            .filter(|label| !inputs.contains_key(*label))
            .map(String::as_str),
    );
    Ok(format!("changed: {}", changed.join(", ")))
}
