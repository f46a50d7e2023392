//! Stages, and the order in which they need each other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use lustre_files::help;

use crate::store::{Digest, SharedOrigin, StageDir};

/// The label of the input that stands for the code that a stage runs.
pub const CODE: &str = "code";

/// What a stage's recipe may fail with.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A stage's recipe.
pub type Recipe<'a> = Box<dyn Fn(&Work<'_>) -> Result<(), Failure> + Send + Sync + 'a>;

/// One step of the build graph.
pub struct Stage<'a> {
    /// Its name, unique in the graph.
    pub name: String,
    /// The stages whose outputs it reads.
    pub needs: Vec<String>,
    /// What else it depends on: label and digest or short text. A change of the recipe's code is a change of its `recipe` label.
    pub inputs: Vec<(String, String)>,
    /// A top-level folder of the output that is too large to hash; the file named second stands for it.
    pub whole: Option<(String, String)>,
    /// What to do.
    pub recipe: Recipe<'a>,
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .finish_non_exhaustive()
    }
}

/// What a recipe gets.
#[derive(Debug)]
pub struct Work<'w> {
    /// The folder for its outputs; empty.
    pub output: &'w Path,
    /// A folder for what it needs meanwhile; removed afterwards.
    pub scratch: &'w Path,
    pub log: &'w Path,
    /// Set where the stage compiles with a cache: what comes out is what is in there.
    pub cached: &'w AtomicBool,
    pub(super) done: &'w BTreeMap<String, StageDir>,
}

impl Work<'_> {
    /// The output folder of a stage this one needs.
    pub fn need(&self, name: &str) -> Result<&Path, Failure> {
        self.done
            .get(name)
            .map(|stage| stage.path.as_path())
            .ok_or_else(|| {
                format!("the graph does not list `{name}` as a dependency of this stage").into()
            })
    }

    /// The digest of the outputs of a stage this one needs.
    pub fn digest(&self, name: &str) -> Result<String, Failure> {
        self.need(name)?;
        Ok(self.done[name].record.digest().to_string())
    }
}

/// What happens while a graph runs.
#[derive(Debug)]
pub enum Event<'e> {
    /// A stage begins.
    Started {
        stage: &'e str,
        /// Where it will be, once it is finished.
        folder: &'e Path,
        log: &'e Path,
    },
    /// A stage was found in the store.
    Cached { stage: &'e str, folder: &'e Path },
    /// A stage in the store is no longer as it was recorded, and is made again.
    Damaged { stage: &'e str, why: &'e str },
    /// A stage ended well.
    Finished {
        stage: &'e str,
        folder: &'e Path,
        /// How long it took.
        took: Duration,
    },
    /// A stage failed.
    Failed { stage: &'e str },
    /// A stage was taken from where others put it.
    Taken {
        stage: &'e str,
        folder: &'e Path,
        /// Where it is from, and who signed it.
        taken: &'e SharedOrigin,
        /// How long that took.
        took: Duration,
    },
    /// A stage could not be taken from there, and is made here.
    NotTaken { stage: &'e str, why: &'e str },
    /// A finished stage was given to others; without its content for the reason given.
    Given {
        stage: &'e str,
        without: Option<&'e str>,
    },
    /// It could not be given to others.
    NotGiven { stage: &'e str, why: &'e str },
}

/// A graph that could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("stage `{stage}` failed")]
    Stage {
        stage: String,
        /// Its log, where it wrote one.
        log: Option<PathBuf>,
        source: Failure,
    },
    /// A stage in the store was no longer as it was recorded, was made again, and is damaged once more.
    #[error(
        "{} in the store is damaged ({why}), even after it was rebuilt{}",
        stage.path.display(),
        help!("check this machine's disk and memory")
    )]
    Damaged { stage: Box<StageDir>, why: String },
    /// The graph needs a stage that is not in it, or goes in a circle.
    #[error("the graph of stages is wrong: {0}")]
    Graph(String),
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    #[error("interrupted; finished stages are kept: run the same command to continue")]
    Interrupted,
}

/// The key of `stage`, from its own inputs and the outputs of what it needs, with the inputs as recorded.
pub(super) fn key(
    stage: &Stage<'_>,
    outputs: &BTreeMap<String, Digest>,
) -> (Digest, BTreeMap<String, String>) {
    let mut inputs: BTreeMap<String, String> = stage.inputs.iter().cloned().collect();
    for need in &stage.needs {
        if let Some(digest) = outputs.get(need) {
            inputs.insert(format!("stage {need}"), digest.to_string());
        }
    }
    let mut fields = vec![("stage".to_owned(), stage.name.clone())];
    fields.extend(inputs.clone());
    (Digest::of_fields(fields), inputs)
}

/// The stages in an order in which every one comes after those it needs.
pub(super) fn ordered<'s, 'a>(stages: &'s [Stage<'a>]) -> Result<Vec<&'s Stage<'a>>, Error> {
    let known: BTreeSet<&str> = stages.iter().map(|s| s.name.as_str()).collect();
    if known.len() != stages.len() {
        return Err(Error::Graph("two stages have one name".to_owned()));
    }
    for stage in stages {
        if let Some(need) = stage
            .needs
            .iter()
            .find(|need| !known.contains(need.as_str()))
        {
            return Err(Error::Graph(format!(
                "`{}` needs `{need}`, which is not in it",
                stage.name
            )));
        }
    }
    let mut order: Vec<&Stage<'_>> = Vec::new();
    while order.len() < stages.len() {
        let ready: Vec<&Stage<'_>> = stages
            .iter()
            .filter(|stage| {
                let placed = |name: &str| order.iter().any(|done| done.name == name);
                !placed(&stage.name) && stage.needs.iter().all(|need| placed(need))
            })
            .collect();
        if ready.is_empty() {
            return Err(Error::Graph(
                "the stages depend on each other in a cycle".to_owned(),
            ));
        }
        order.extend(ready);
    }
    Ok(order)
}
