//! Assembling a repository and proving it, with packages from the real rpmbuild, and the users' own tools (sha256sum, gpg,
//! rpmkeys, rpm, rpmlint, dnf, browsers) as judges.

mod advisories;
mod assets;
mod changes;
mod clients;
mod dnf5;
mod history;
mod installs;
mod page;
mod proofs;
mod releases;
mod rotation;
mod sbom;
mod tamper;
mod tree;
mod upgrade;
mod upstream;
pub mod world;
