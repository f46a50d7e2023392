//! The proof that a repository is what it should be.
//!
//! - [`report`]: checks, their results, `proof.json`.
//! - `input`: what they are made of. `context`: what they look at, read once. `tool`: running rpmkeys and gpg.
//! - `sizes`: what of it is not read.
//! - `signatures`, `metadata`: packages and `repomd.xml`, by ourselves and by the users' tools.
//! - `inventory`: sums, manifest, expected packages, nothing twice. `repo_file`: what a server's dnf is told.
//! - `metadata_content`: repodata against the packages. `assets`: where else the packages are. `releases`: what is there of earlier ones.
//! - `page`: what people read of it. `known_faults`: what is wrong with its Lustre. `provenance`: what is said of how it was made.
//! - `dependencies`: closure, kernel symbols, the base after the upgrade, who sorts above whom.
//! - `conflicts`: files.

mod assets;
mod conflicts;
mod context;
mod dependencies;
mod input;
mod inventory;
mod known_faults;
mod metadata;
mod metadata_content;
mod page;
mod provenance;
mod releases;
mod repo_file;
pub mod report;
mod signatures;
mod sizes;
mod tool;

pub use input::{Confine, FILES, HOME, StaticInput};
pub use report::{Check, FILE, Outcome, Proof, Verdict};

use std::path::Path;
use std::thread;

use context::{CombinedSet, Context};

use crate::json_file;

/// What runs a check.
#[derive(Clone, Copy)]
enum Run {
    /// One that looks at files of our tree by itself.
    Files(fn(&StaticInput<'_>) -> Verdict),
    /// One that looks at our tree alone.
    Tree(fn(&Context<'_>) -> Verdict),
    /// One that needs the base, too.
    Sides(fn(&CombinedSet<'_>) -> Verdict),
}

/// The name of the check of which key the packages and the metadata are signed with.
pub const KEY: &str = "key";

/// The name of the check that holds every file against the sums.
pub const SUMS: &str = "sha256sums";

/// The name of the check that holds the packages against the manifest.
pub const MANIFEST: &str = "manifest";

/// The name of the check that holds the packages of earlier releases against the list of these.
pub const RELEASES: &str = "releases";

/// The name of the check that holds the packages against the list of the assets that they are.
pub const ASSETS: &str = "assets";

/// The name of the check that the page is the one that this tool makes.
pub const PAGE: &str = "page";

/// The name of the check that the packages are there that the target promises.
pub const EXPECTED: &str = "expected-packages";

/// The static checks: what needs no chroot and no network.
const STATIC: [(&str, Run); 20] = [
    ("package-signatures", Run::Tree(signatures::packages)),
    ("rpmkeys", Run::Tree(signatures::rpmkeys)),
    ("metadata-signatures", Run::Files(metadata::signatures)),
    ("gpg-verify", Run::Files(metadata::gpg)),
    ("provenance", Run::Tree(provenance::check)),
    (SUMS, Run::Tree(inventory::sums)),
    (MANIFEST, Run::Tree(inventory::manifest)),
    (RELEASES, Run::Tree(releases::check)),
    ("repo-file", Run::Tree(repo_file::check)),
    (PAGE, Run::Tree(page::check)),
    ("known-faults", Run::Tree(known_faults::check)),
    ("repodata", Run::Tree(metadata_content::check)),
    (ASSETS, Run::Tree(assets::check)),
    ("closure", Run::Sides(dependencies::closure)),
    ("kernel-symbols", Run::Sides(dependencies::kernel_symbols)),
    ("base-upgrade", Run::Sides(dependencies::base_upgrade)),
    ("file-conflicts", Run::Sides(conflicts::check)),
    ("newer-than-base", Run::Sides(dependencies::newer)),
    (EXPECTED, Run::Tree(inventory::expected)),
    ("duplicates", Run::Tree(inventory::duplicates)),
];

/// How many of [`STATIC`], from its start, say who made a repository and that nobody changed it since.
const SIGNATURES: usize = 6;

/// Runs every static check: those of [`signature_checks`], then those of [`content_checks`].
pub fn static_checks(input: &StaticInput<'_>) -> Vec<Check> {
    let mut checks = signature_checks(input);
    checks.extend(content_checks(input));
    checks
}

/// The static checks that say who made a repository and that nobody changed it since. Where one of them does not hold, nothing of it
/// should be installed. None looks at the base.
pub fn signature_checks(input: &StaticInput<'_>) -> Vec<Check> {
    all(&STATIC[..SIGNATURES], input)
}

/// Those of [`signature_checks`] that our own code makes, and those of the manifest, of the releases and of the assets: what is to be published is looked at once more, after all
/// proofs were made and recorded.
pub fn own_checks(input: &StaticInput<'_>) -> Vec<Check> {
    let by_tools = ["rpmkeys", "gpg-verify"];
    let wanted = STATIC
        .iter()
        .enumerate()
        .filter(|(at, (name, _))| *at < SIGNATURES || [MANIFEST, RELEASES, ASSETS].contains(name))
        .filter(|(_, (name, _))| !by_tools.contains(name))
        .map(|(_, check)| *check);
    all(&wanted.collect::<Vec<_>>(), input)
}

/// All other static checks. What is not signed as it should be is not unpacked for them.
pub fn content_checks(input: &StaticInput<'_>) -> Vec<Check> {
    all(&STATIC[SIGNATURES..], input)
}

/// As [`content_checks`], without the distribution's packages: the checks that do without, and those that are not made, with `why`.
pub fn content_checks_without_base(input: &StaticInput<'_>, why: &str) -> (Vec<Check>, Vec<Check>) {
    let (own, others): (Vec<_>, Vec<_>) = STATIC[SIGNATURES..]
        .iter()
        .copied()
        .partition(|(_, run)| matches!(run, Run::Tree(_)));
    let left = others.iter().filter(|(name, _)| applies(name, input));
    let left = left.map(|(name, _)| Check::not_run(name, why));
    (all(&own, input), left.collect())
}

/// The result for every other static check, where none of them is made.
pub fn content_not_checked(input: &StaticInput<'_>, why: &str) -> Vec<Check> {
    STATIC[SIGNATURES..]
        .iter()
        .filter(|(name, _)| applies(name, input))
        .map(|(name, _)| Check::not_run(name, why))
        .collect()
}

/// Whether a check has something to look at. Most repositories have no assets, and nobody should have any that the target does not.
fn applies(name: &str, input: &StaticInput<'_>) -> bool {
    name != ASSETS || input.has_assets()
}

/// Runs checks, as many at a time as there are processors, and gives the results in a fixed order. A check that cannot be made says so
/// in its result; none is ever left out.
fn all(checks: &[(&'static str, Run)], input: &StaticInput<'_>) -> Vec<Check> {
    let checks: Vec<(&'static str, Run)> = checks
        .iter()
        .filter(|(name, _)| applies(name, input))
        .copied()
        .collect();
    let context = Context::load(*input);
    let sides = if checks.iter().any(|(_, run)| matches!(run, Run::Sides(_))) {
        report::guarded(|| context.sides()).and_then(|sides| sides)
    } else {
        Err(String::new())
    };
    let one = |(name, run): (&str, Run)| {
        Check::run(name, input.logs, || match (run, &sides) {
            (Run::Files(check), _) => check(input),
            (Run::Tree(check), _) => check(&context),
            (Run::Sides(check), Ok(sides)) => check(sides),
            (Run::Sides(_), Err(why)) => Verdict::NotRun(why.clone()),
        })
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let Ok(done) = lustre_files::side_by_side(&checks, workers, |check| {
        Ok::<_, std::convert::Infallible>(one(*check))
    });
    done
}

impl Proof {
    /// A report on the repository at `dist`, tied to its `SHA256SUMS`: to all of them but that of the report itself and that of the page,
    /// which shows it.
    pub fn new(
        dist: &Path,
        target: &str,
        tool_version: &str,
        checks: Vec<Check>,
    ) -> Result<Self, report::Error> {
        let path = dist.join(crate::sums::FILE);
        let sums = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE).map_err(
            |source| json_file::Error::Read {
                what: "list of digests",
                path,
                source,
            },
        )?;
        Ok(Self::of_sums(&sums, target, tool_version, checks))
    }

    /// The same where the sums are known.
    pub fn of_sums(sums: &str, target: &str, tool_version: &str, checks: Vec<Check>) -> Self {
        Self {
            format: report::FORMAT,
            target: target.to_owned(),
            tool_version: tool_version.to_owned(),
            sums_sha256: Some(crate::sums::of_text(&crate::sums::without(
                &crate::sums::without(sums, FILE),
                crate::page::FILE,
            ))),
            checks,
        }
    }
}
