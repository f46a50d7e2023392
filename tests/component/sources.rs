//! Sources and the store, against real servers, repositories, processes and disks.

// The helpers are part of the tests.
#![allow(clippy::unwrap_used)]

#[path = "sources/clones.rs"]
mod clones;
#[path = "sources/downloads.rs"]
mod downloads;
#[path = "sources/hostile.rs"]
mod hostile;
#[path = "sources/kernel_trees.rs"]
mod kernel_trees;
#[path = "sources/packs.rs"]
mod packs;
#[path = "sources/repositories.rs"]
mod repositories;
#[path = "sources/stores.rs"]
mod stores;
#[path = "sources/tools.rs"]
mod tools;
