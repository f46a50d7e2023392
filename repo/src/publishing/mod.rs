//! Publishing a repository where clients read it while it changes: what is sent, in which order, what is switched in one step, and what
//! goes afterwards. All of it is decided here, from what is to be published and what is there; nothing is read or written.
//!
//! - `place`: where to.
//! - `release`: the files of a repository, and what they are for.
//! - `plan`: from both sides to a list of steps.

mod place;
mod plan;
mod release;

pub use place::{BadPlace, Place};
pub use plan::{Found, Listing, Origin, Plan, Put, Shape, State, Step, There, plan, there};
pub use release::{File, Release, is_id};

/// The folder at the destination that holds what changes from release to release: a folder for each, named after its content.
pub const HOME: &str = ".releases";

/// The link in it to the release that clients read: what is renamed when one is published.
pub const CURRENT: &str = ".releases/current";

/// The folder for files that are not whole yet.
pub const PARTIAL: &str = ".releases/.partial";

/// A link that is made to see whether the destination has links.
pub const PROBE: &str = ".releases/probe";

/// The link in a release's folder to the one that it replaced.
pub const PREVIOUS: &str = "previous";
