//! The dnf repository: repodata, layout, release package, kernel guard, closure and proofs.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

pub mod assets;
pub mod compat;
pub mod comps;
pub mod differences;
pub mod digests;
pub mod earlier;
pub mod files;
pub mod history;
pub mod json_file;
pub mod kernel_guard;
pub mod key;
pub mod layout;
pub mod manifest;
pub mod own_package;
pub mod page;
pub mod program_output;
pub mod proof;
pub mod provenance;
pub mod publishing;
pub mod release;
pub mod release_package;
pub mod repo_file;
pub mod sbom;
pub mod scriptlets;
pub mod sums;
pub mod updateinfo;
pub mod upgrade;

/// Of a crate of their own, which is optimised in every build.
pub use lustre_repodata as repodata;
pub use lustre_repodata::closure;
