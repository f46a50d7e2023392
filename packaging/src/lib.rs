//! Targets, locks, sources, overlays, build roots, builds and signatures: everything before there is a repository.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

pub mod advisories;
pub mod archive;
pub mod boot;
pub mod bounded_toml;
pub mod build;
pub mod buildroot;
pub mod built;
pub mod bundle;
pub mod changelog;
pub mod cpu;
pub mod export;
pub mod glob;
pub mod host;
mod json_index;
pub mod knowledge;
pub mod lock;
pub mod needs;
pub mod obs;
pub mod overlay;
mod own_folder;
pub mod preflight;
pub mod resolve;
pub mod sandbox;
pub mod shared;
pub mod shown;
pub mod source;
pub mod spec_macros;
pub mod stage;
pub mod store;
pub mod target;
#[doc(hidden)]
pub mod untrusted;

pub use lustre_process as process;
pub use lustre_sign as sign;
