//! Targets, locks, sources, overlays, build roots, builds and signatures: everything before there is a repository.

pub mod distro;
pub mod process;
