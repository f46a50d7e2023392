//! The dnf repository: repodata, layout, release package, closure and proofs.

pub mod closure;
pub mod comps;
pub mod files;
pub mod json_file;
pub mod key;
pub mod layout;
pub mod manifest;
pub mod proof;
pub mod release_package;
pub mod repo_file;
pub mod repodata;
pub mod sums;
