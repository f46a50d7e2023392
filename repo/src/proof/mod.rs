//! The proof that a repository is what it should be.
//!
//! - [`report`]: checks, their results, `proof.json`.
//! - `context`: what the static checks look at, read once. `tool`: running rpmkeys and gpg.
//! - `signatures`, `metadata`: packages and `repomd.xml`, by ourselves and by the users' tools.
//! - `inventory`: sums, manifest, expected packages, nothing twice.
//! - `metadata_content`: repodata against the packages.
//! - `dependencies`: closure, kernel symbols, the base after the upgrade, who sorts above whom.
//! - `conflicts`: files.

mod conflicts;
mod context;
mod dependencies;
mod inventory;
mod metadata;
mod metadata_content;
pub mod report;
mod signatures;
mod tool;

pub use context::StaticInput;
pub use report::{Check, FILE, Outcome, Proof, Verdict};

use context::Context;

/// A check's name and what runs it.
type Named = (&'static str, fn(&Context<'_>) -> Verdict);

/// The static checks in the order they run: what needs no chroot and no network.
const STATIC: [Named; 14] = [
    ("package-signatures", signatures::packages),
    ("rpmkeys", signatures::rpmkeys),
    ("metadata-signatures", metadata::signatures),
    ("gpg-verify", metadata::gpg),
    ("sha256sums", inventory::sums),
    ("manifest", inventory::manifest),
    ("repodata", metadata_content::check),
    ("closure", dependencies::closure),
    ("kernel-symbols", dependencies::kernel_symbols),
    ("base-upgrade", dependencies::base_upgrade),
    ("file-conflicts", conflicts::check),
    ("newer-than-base", dependencies::newer),
    ("expected-packages", inventory::expected),
    ("duplicates", inventory::duplicates),
];

/// Runs every static check. A check that cannot be made says so in its result; none is ever left out.
pub fn static_checks(input: &StaticInput<'_>) -> Vec<Check> {
    let context = Context::load(*input);
    STATIC
        .into_iter()
        .map(|(name, check)| Check::run(name, input.logs, || check(&context)))
        .collect()
}

impl Proof {
    /// A report on the repository at `dist`, tied to its `SHA256SUMS`.
    ///
    /// # Errors
    /// When the sums cannot be read.
    pub fn new(
        dist: &std::path::Path,
        target: &str,
        tool_version: &str,
        checks: Vec<Check>,
    ) -> Result<Self, report::Error> {
        let path = dist.join(crate::sums::FILE);
        let (sums_sha256, _) =
            crate::sums::sha256(&path).map_err(|source| report::Error::Read { path, source })?;
        Ok(Self {
            format: report::FORMAT,
            target: target.to_owned(),
            tool_version: tool_version.to_owned(),
            sums_sha256,
            checks,
        })
    }
}
