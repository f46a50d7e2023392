//! The proof that a repository is what it should be.
//!
//! - [`report`]: checks, their results, `proof.json`.

pub mod report;

pub use report::{Check, FILE, Outcome, Proof, Verdict};
