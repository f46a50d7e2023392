//! Publishing a repository where clients read it while it changes: what is sent, in which order, what is switched in one step, and what
//! goes afterwards. All of it is decided here, from what is to be published and what is there; nothing is read or written.
//!
//! - `names`: what is called how at the destination.
//! - `place`: where to.
//! - `release`: the files of a repository, and what they are for.
//! - `forge`: what a forge takes, on its pages and as assets of its releases.
//! - `obstacles`: what somebody put where a release has to lie.
//! - `listing`: what is there. `steps`: what a publication is made of.
//! - `plan`: from both sides to a list of steps; `staging`: the same for a release that only some clients read, until it is promoted.

mod forge;
mod listing;
mod names;
mod obstacles;
mod place;
mod plan;
mod release;
mod staging;
mod steps;

pub use forge::{
    NotSo, ReleaseAsset, TooMuch, Uploads, assets_fit, pages_fit, published_has, uploads,
};
pub use listing::{Listing, RemoteEntry, RemoteState, newest, remains, there};
pub use names::{CURRENT, HOME, PARTIAL, STAGING};
pub use obstacles::{
    Foreign, InTheWay, Instead, above, called_by_content, folder_of, foreign, foreign_packages,
    instead, leads_to, only_its_own, own_are_so, staging_has_its_own,
};
pub use place::{BadPlace, Place};
pub use plan::{Shape, State, plan};
pub use release::{File, Release, is_id, is_package, time_of};
pub use staging::{
    NotPromoted, NotStaged, promote, something_is_staged, stage, staged, staged_at, staged_beside,
};
pub use steps::{Origin, Plan, Step, Upload};
