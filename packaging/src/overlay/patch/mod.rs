//! Unified diffs: reading them ([`parse`]), and checking and applying them to a tree with GNU `patch` ([`apply`]).

pub mod apply;
mod model;
mod named;
mod output;
mod parse;

pub use apply::{ApplyError, ApplyOptions, PatchResult};
pub use model::{FilePatch, Hunk, Line, LineKind, Patch, PatchError};
pub use output::Failure;
