//! Targets, locks, sources, overlays, build roots, builds and signatures: everything before there is a repository.

pub mod archive;
pub mod process;
pub mod sign;
pub mod source;
pub mod store;
