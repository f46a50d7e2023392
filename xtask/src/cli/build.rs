//! The arguments of `build` and `compare`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::target::TargetArgs;

/// Arguments of `build`.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Run this stage again even if it is cached.
    ///
    /// The new output is compared with the cached one and replaces it; the exit code is 3 if they differ.
    #[arg(long, value_name = "STAGE", conflicts_with = "packages")]
    pub rebuild: Option<String>,
    /// Write all unsigned packages to this folder, to be compared or signed.
    ///
    /// `compare` holds two of them against each other, `repo --from-build` signs. The result is the line of sha256sum of the folder's index,
    /// which stands for all of it. An earlier one there is replaced.
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["packages", "rebuild"])]
    pub output: Option<PathBuf>,
    /// The packages: e2fsprogs, kernel, lustre.
    #[arg(value_name = "PACKAGE")]
    pub packages: Vec<String>,
}

/// Arguments of `compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// A folder that `cargo xtask build --output` wrote.
    #[arg(value_name = "FIRST")]
    pub first: PathBuf,
    /// The same of another builder.
    #[arg(value_name = "SECOND")]
    pub second: PathBuf,
    /// The result as JSON: see `GlobalArgs`.
    #[arg(skip)]
    pub json: bool,
}
