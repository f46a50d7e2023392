//! Assembling a repository and proving it, with packages from the real rpmbuild, and the users' own tools (sha256sum, gpg,
//! rpmkeys, rpm, rpmlint, dnf, browsers) as judges.

// The helpers are part of the tests.
#![allow(clippy::unwrap_used)]

#[path = "assemble/advisories.rs"]
mod advisories;
#[path = "assemble/assets.rs"]
mod assets;
#[path = "assemble/changes.rs"]
mod changes;
#[path = "assemble/clients.rs"]
mod clients;
#[path = "assemble/dnf5.rs"]
mod dnf5;
#[path = "assemble/history.rs"]
mod history;
#[path = "assemble/installs.rs"]
mod installs;
#[path = "assemble/page.rs"]
mod page;
#[path = "assemble/proofs.rs"]
mod proofs;
#[path = "assemble/releases.rs"]
mod releases;
#[path = "assemble/rotation.rs"]
mod rotation;
#[path = "assemble/sbom.rs"]
mod sbom;
#[path = "assemble/tamper.rs"]
mod tamper;
#[path = "assemble/tree.rs"]
mod tree;
#[path = "assemble/upgrade.rs"]
mod upgrade;
#[path = "assemble/upstream.rs"]
mod upstream;
#[path = "assemble/world.rs"]
mod world;
