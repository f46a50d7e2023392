//! Publishing small repositories: to a folder, by rsync to a daemon and through a shell, to an object store; staged first; killed at any moment, and to
//! places that do not take it.

// The helpers are part of the tests.
#![allow(clippy::unwrap_used)]

#[path = "publish/assets.rs"]
mod assets;
#[path = "publish/client.rs"]
mod client;
#[path = "publish/disks.rs"]
mod disks;
#[path = "publish/faults.rs"]
mod faults;
#[path = "publish/github.rs"]
mod github;
#[path = "publish/github_releases.rs"]
mod github_releases;
#[path = "publish/kept.rs"]
mod kept;
#[path = "publish/kills.rs"]
mod kills;
#[path = "publish/places.rs"]
mod places;
#[path = "publish/planted.rs"]
mod planted;
#[path = "publish/releases.rs"]
mod releases;
#[path = "publish/rotation.rs"]
mod rotation;
#[path = "publish/served.rs"]
mod served;
#[path = "publish/servers.rs"]
mod servers;
#[path = "publish/staging.rs"]
mod staging;
#[path = "publish/two_releases.rs"]
mod two_releases;
#[path = "publish/untold.rs"]
mod untold;
#[path = "assemble/world.rs"]
#[allow(dead_code, reason = "the tests of assembling use all of it")]
mod world;
