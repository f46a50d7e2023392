//! The graph of stages: what depends on what, what has to run, and running it as wide as the graph allows.
//!
//! A stage's key is the digest of its recipe, its own inputs and the *outputs* of the stages it depends on. So a stage whose inputs
//! changed but whose output did not stops the change there.

mod graph;
mod plan;
mod remote;
mod run;

pub use graph::{CODE, Error, Event, Failure, Recipe, Stage, Work};
pub use plan::{Planned, State, is_finished, plan, plan_with, used};
pub use remote::{Offer, Remote, ShareOutcome};
pub use run::{Options, Others, digest_of, run_again, run_taking};

#[cfg(test)]
mod tests;
