//! Sources and the store, against real servers, repositories, processes and disks.

mod clones;
mod downloads;
mod hostile;
mod kernel_trees;
mod packs;
mod repositories;
mod stores;
mod tools;
