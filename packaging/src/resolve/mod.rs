//! What a target takes of an existing distribution (`kind = "repositories"`), exactly.
//!
//! - `keys`: the distribution's public keys, compared with the target's fingerprints.
//! - `metadata`: the repositories' metadata, checked by signature and digests, as local copies.
//! - `advisories`: the distribution's, of a kernel.
//! - `modules`: the text of module streams.
//! - `srpm`: the kernel's source package in the source repositories.
//! - `signers`: who signed the packages that were chosen.
//! - `spec`: what a spec file requires to be built.
//! - `goals`: which sets of packages a target needs; `dnf`: which packages the host's dnf chooses for them (`resolve.py`).
//! - `watched`: whether a repository has changed.
//!
//! Only `keys`, `metadata`, `signers` and `watched` use the network. Nothing of the host's configuration of dnf counts.

mod advisories;
mod dnf;
mod error;
mod goals;
mod keys;
mod metadata;
mod modules;
mod signers;
mod spec;
mod srpm;
mod watched;

pub use advisories::{Advisories, advisories};
pub use dnf::{ResolvedPackage, Solution, resolve, union};
pub use error::{Elsewhere, Error, Problem};
pub use goals::{BuildRequires, Goal, LATER_KERNEL, goals};
pub use keys::{Key, from_specs, key, keys};
use lustre_files::at;
pub use metadata::{Metadata, metadata, metadata_and_advisories};
pub use modules::module_streams;
pub use signers::signers;
pub use spec::build_requires;
pub use srpm::{SourcePackage, srpm, srpms};
pub use watched::{RepositoryState, changed};
