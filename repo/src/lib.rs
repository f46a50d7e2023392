//! The dnf repository: repodata, layout, release package, closure and proofs.

pub mod repodata;
