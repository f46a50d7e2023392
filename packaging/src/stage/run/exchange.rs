//! Taking what others made of a stage, and giving to them what is made here.

use std::collections::BTreeMap;
use std::time::Instant;

use super::super::graph::{Error, Event, Stage, key};
use super::super::remote::{Offer, ShareOutcome};
use super::{Run, TaskResult, is_made_again, now};
use crate::process;
use crate::store::{Digest, StageDir, StageRecord, StageState, first_difference};

impl Run<'_, '_> {
    /// Looks whether a stage is in the store, or where others put theirs.
    pub(super) fn look(
        &self,
        stage: &Stage<'_>,
        outputs: &BTreeMap<String, Digest>,
    ) -> Result<TaskResult, Error> {
        let (key, _) = key(stage, outputs);
        if is_made_again(self.again, stage) {
            return Ok(TaskResult::Refused);
        }
        if let StageState::Done(done) = self.store.stages().state(&stage.name, &key) {
            (self.tell)(Event::Cached {
                stage: &stage.name,
                folder: &done.path,
            });
            return Ok(TaskResult::Done(*done));
        }
        let Some(remote) = self.remote else {
            return Ok(TaskResult::Seen(None));
        };
        match remote.look(&stage.name, &key) {
            Ok(offer) => Ok(TaskResult::Seen(offer)),
            Err(_) if process::interrupted() => Err(Error::Interrupted),
            Err(why) => {
                self.not_taken(stage, &*why);
                Ok(TaskResult::Refused)
            }
        }
    }

    fn not_taken(&self, stage: &Stage<'_>, why: &dyn std::fmt::Display) {
        (self.tell)(Event::NotTaken {
            stage: &stage.name,
            why: &why.to_string(),
        });
    }

    /// Fetches what others made of a stage.
    pub(super) fn take(
        &self,
        stage: &Stage<'_>,
        outputs: &BTreeMap<String, Digest>,
        offer: &Offer,
    ) -> Result<TaskResult, Error> {
        let Some(remote) = self.remote else {
            return Ok(TaskResult::Refused);
        };
        let clock = Instant::now();
        let (key, inputs) = key(stage, outputs);
        self.store.stages().can_be_replaced(&stage.name, &key)?;
        let pending = self.store.stages().begin(&stage.name, &key)?;
        let taken = remote.take(&key, offer, pending.dir()).and_then(|()| {
            match first_difference(&offer.outputs, &pending.outputs(&[])?) {
                None => Ok(()),
                Some(what) => Err(format!(
                    "what {} has of it is not what {} signed: {what}",
                    offer.taken.from, offer.taken.signer
                )
                .into()),
            }
        });
        if process::interrupted() {
            return Err(Error::Interrupted);
        }
        if let Err(why) = taken {
            self.not_taken(stage, &*why);
            return Ok(TaskResult::Refused);
        }
        let record = StageRecord {
            name: stage.name.clone(),
            key,
            inputs,
            outputs: offer.outputs.clone(),
            started: now(),
            milliseconds: offer.milliseconds,
            log: None,
            contents: None,
            taken: Some(offer.taken.clone()),
            compiler_cache: false,
        };
        let done = self.store.stages().finish(pending, &record)?;
        (self.tell)(Event::Taken {
            stage: &stage.name,
            folder: &done.path,
            taken: &offer.taken,
            took: clock.elapsed(),
        });
        Ok(TaskResult::Done(done))
    }

    /// Gives a finished stage to others. Where that fails, it is still here.
    pub(super) fn give(&self, done: &StageDir) {
        let stage = done.record.name.as_str();
        let given = self.remote.map(|remote| remote.give(done));
        match given {
            Some(Ok(ShareOutcome::Put)) => (self.tell)(Event::Given {
                stage,
                without: None,
            }),
            Some(Ok(ShareOutcome::Described(why))) => (self.tell)(Event::Given {
                stage,
                without: Some(&why),
            }),
            Some(Err(why)) if !process::interrupted() => (self.tell)(Event::NotGiven {
                stage,
                why: &why.to_string(),
            }),
            None | Some(Ok(ShareOutcome::Kept | ShareOutcome::Own) | Err(_)) => {}
        }
    }
}
