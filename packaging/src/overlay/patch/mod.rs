//! Unified diffs: reading them ([`parse`]), and checking and applying them to a tree with GNU `patch` ([`apply`]).

pub mod apply;
pub mod parse;

mod named;
mod parser;
mod said;

pub use apply::{ApplyError, ApplyOptions, Failure, PatchResult, SeriesReport};
pub use parse::{FilePatch, Hunk, Line, Patch, PatchError};
