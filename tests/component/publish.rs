//! Publishing small repositories: to a folder, by rsync to a daemon and through a shell, to an object store; staged first; killed at any moment, and to
//! places that do not take it.

mod assets;
mod client;
mod disks;
mod faults;
mod github;
mod github_releases;
mod kept;
mod kills;
mod places;
mod planted;
mod releases;
mod rotation;
mod served;
mod servers;
mod staging;
mod two_releases;
mod untold;

use crate::assemble::world;
