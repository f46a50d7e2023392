//! The arguments of `lock`, `clean`, `test` and `bench`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::target::TargetArgs;

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Update all sources to the newest versions.
    #[arg(long)]
    pub update: bool,
}

/// Arguments of `clean`.
#[derive(Debug, Clone, Args)]
pub struct CleanArgs {
    /// Remove the whole store, with all downloads and build results.
    #[arg(long)]
    pub all: bool,
    /// Only list what would be removed, with sizes.
    #[arg(long)]
    pub dry_run: bool,
    /// Check the whole store, and remove what is damaged.
    ///
    /// The next run builds or fetches it again.
    #[arg(long, conflicts_with = "all")]
    pub verify: bool,
    /// The result as JSON: see `GlobalArgs`.
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see `GlobalArgs`.
    #[arg(skip)]
    pub store: Option<PathBuf>,
}

/// Arguments of `test`.
#[derive(Debug, Clone, Args)]
pub struct TestArgs {
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
    /// Arguments for the tests, such as a part of their names.
    #[arg(last = true, value_name = "ARG")]
    pub arguments: Vec<String>,
}
