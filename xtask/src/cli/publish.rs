//! The arguments of `publish`, `promote` and `bundle`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::key::ExpectedKeyArgs;
use crate::cli::target::{TargetArgs, hidden};

/// Arguments of `publish`.
#[derive(Debug, Clone, Args)]
pub struct PublishArgs {
    /// Where to, and how.
    #[command(flatten)]
    pub place: PlaceArgs,
    /// Repository to publish; defaults to `dist/<target>`.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Publish to TO/staging, unseen by clients of TO until it is promoted.
    #[arg(long)]
    pub staging: bool,
}

/// A place where clients read a repository, and how it is changed: the arguments of `promote`, and of `publish`.
#[derive(Debug, Clone, Args)]
#[command(mut_args(|argument| hidden(argument, &Self::WITHOUT_EFFECT)))]
pub struct PlaceArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The place: a folder, rsync://HOST/MODULE/PATH, HOST:PATH, s3://BUCKET/PATH, rclone:REMOTE:PATH or github:OWNER/NAME.
    #[arg(value_name = "TO")]
    pub to: String,
    /// Only list what would be sent, replaced and removed, with sizes.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace what is published even if this release does not follow it.
    ///
    /// The published one is of another target, newer, signed by another key, or unreadable; or packages contradict it.
    #[arg(long)]
    pub replace_anyway: bool,
    /// URL at which clients read TO, checked afterwards; `none` for no check.
    ///
    /// Defaults to the URL in the repository's manifest, unless that is an example.
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// What to check there: `index` or `install`.
    ///
    /// `index`: index, sums and signatures, and that dnf reads the metadata. `install`: also all of `verify URL`: every file is fetched,
    /// and the packages are installed with the target's own dnf in a clean chroot.
    #[arg(
        long,
        value_enum,
        default_value_t = Look::Index,
        value_name = "LEVEL",
        hide_possible_values = true
    )]
    pub check: Look,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// The options on the command line that would have no effect.
    #[arg(skip)]
    pub without_effect: Vec<&'static str>,
    /// The key that the repository must be signed with.
    #[command(flatten)]
    pub expected: ExpectedKeyArgs,
}

impl PlaceArgs {
    /// The options of builds that what publishes has no use for, by their ids, and how they are written.
    pub const WITHOUT_EFFECT: [(&'static str, &'static str); 6] = [
        ("offline", "--offline"),
        ("store_remote", "--store-remote"),
        ("store_keys", "--store-key"),
        ("push", "--push"),
        ("ccache", "--ccache"),
        ("max_log", "--max-log"),
    ];
}

/// How far a client's view of what was published is looked into; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Look {
    /// Index, sums and signatures, and that dnf reads the metadata.
    Index,
    /// Also every file, and that it installs.
    Install,
}

/// Arguments of `bundle`.
#[derive(Debug, Clone, Args)]
#[command(mut_arg("public_key", |argument| argument.requires("release")))]
pub struct BundleArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The file to write; another bundle there is replaced.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Bundle a proven repository instead, for dnf from a disk; defaults to `dist/<target>`.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    pub release: Option<Option<PathBuf>>,
    /// Whether the target was named on the command line.
    #[arg(skip)]
    pub target_given: bool,
    /// The key that the repository must be signed with.
    #[command(flatten)]
    pub expected: ExpectedKeyArgs,
}
