//! The arguments of `repo`, `assemble` and `boot`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use lustre_repository::release::Rule;

use crate::cli::builder::BuilderArgs;
use crate::cli::key::KeyArgs;
use crate::cli::target::TargetArgs;

/// Arguments of `repo` and `assemble`.
#[derive(Debug, Clone, Args)]
pub struct RepoArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Directory of the repository; defaults to `dist/<target>`.
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// When it is released, and whether it may contradict what it replaces.
    #[command(flatten)]
    pub release: ReleaseArgs,
    /// Where packages are built.
    #[command(flatten)]
    pub builder: BuilderArgs,
    /// Which key signs.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What the user says of a release.
#[derive(Debug, Clone, Default, Args)]
pub struct ReleaseArgs {
    /// Release time of the repository, in seconds since 1970.
    ///
    /// The time of its metadata and their signatures, recorded in the manifest. Defaults to LUSTRE_REPO_RELEASE_TIME; otherwise, an unchanged
    /// repository keeps its time, and a changed one gets the current time, always later than the time of the one that it replaces.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub release_time: Option<u32>,
    /// Replace a repository even though the new one contradicts it.
    ///
    /// `same-nevra`: a package has other content than the one with the same name, version and release; `lower-evr`: a package has a lower
    /// version; `release-package`: the key, the name or the URL changed, and `release` of the release package was not raised;
    /// `same-target`: it is of another target. The manifest records it.
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = rules(), hide_possible_values = true)]
    pub overrule: Vec<Rule>,
    /// Release it just as this `manifest.json` says.
    ///
    /// With its time, the rules that were overruled for it, and what it says of the repository that it replaced: to make that repository
    /// again elsewhere, byte for byte.
    #[arg(long, value_name = "MANIFEST", conflicts_with_all = ["release_time", "overrule"])]
    pub released_as: Option<PathBuf>,
}

/// Reads the name of a rule.
fn rules() -> impl TypedValueParser<Value = Rule> {
    PossibleValuesParser::new(Rule::ALL.map(Rule::name))
        .try_map(|name| Rule::named(&name).ok_or_else(|| format!("no rule is called `{name}`")))
}

/// Arguments of `repo`.
#[derive(Debug, Clone, Args)]
pub struct ProvenRepoArgs {
    /// Which target, how, and where to.
    #[command(flatten)]
    pub repo: RepoArgs,
    /// What to prove: `static`, `install` or `boot`.
    ///
    /// `static`: signatures, digests, metadata, dependencies. `install`: also that it installs, with the target's own dnf in a clean chroot.
    /// `boot`: also that its kernel boots and Lustre works, in QEMU.
    #[arg(
        long,
        value_enum,
        default_value_t = Prove::Install,
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub prove: Prove,
    /// Build from this bundle alone, without a network.
    ///
    /// A file that `cargo xtask bundle` wrote. It is checked, brought into the store, and its lock is used in place of the target's; --locked
    /// refuses another than the one there is. The target is the bundle's, unless --target names it.
    #[arg(long, value_name = "FILE", help_heading = "Sources")]
    pub from_bundle: Option<PathBuf>,
    /// Sign these packages, and build none.
    ///
    /// A folder that `cargo xtask build --output` wrote, on this machine or on another, of the same lock, sources, specs and tool. Given more
    /// than once, all of them must have the same packages, byte for byte: what two builders agree on. Otherwise, nothing is signed, and the
    /// exit code is 3.
    #[arg(
        long,
        value_name = "DIR",
        help_heading = "Sources",
        conflicts_with = "from_bundle"
    )]
    pub from_build: Vec<PathBuf>,
    /// Whether the target was named on the command line: else it is the bundle's, where there is one.
    #[arg(skip)]
    pub target_given: bool,
}

/// How much is proven; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Prove {
    /// Signatures, digests, metadata, dependencies.
    Static,
    /// Also that it installs, with the target's own dnf in a clean chroot.
    Install,
    /// Also that its kernel boots and Lustre works, in QEMU.
    Boot,
}

/// Arguments of `boot`.
#[derive(Debug, Clone, Args)]
pub struct BootArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Which key signs.
    #[command(flatten)]
    pub key: KeyArgs,
}
