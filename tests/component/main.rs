//! The component tests. They are one program: it is linked once, what many of them need is made once, and while one of them waits for a
//! long build, others run.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used)]

mod assemble;
mod boot;
mod buildroot;
mod cli;
mod distro;
mod e2fsprogs;
mod el_kernels;
mod export;
mod ext4_source;
mod kernel_guard;
mod kills;
mod lock;
mod lustre_knowledge;
mod model;
mod modules;
mod obs;
mod obs_backend;
mod overlay;
mod preflight;
mod publish;
mod readme;
mod recipes;
mod repodata;
mod repodata_safety;
mod rocky;
mod sandbox;
mod security;
mod shared;
mod sign;
mod sources;
