//! The arguments of `build` and `compare`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::builder::BuilderArgs;
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
    /// `compare` compares two such folders, and `repo --from-build` signs one. The index's digest is printed as sha256sum does; it stands
    /// for all files. An earlier build in the folder is replaced.
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["packages", "rebuild"])]
    pub output: Option<PathBuf>,
    /// Where packages are built.
    #[command(flatten)]
    pub builder: BuilderArgs,
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
    /// Such a folder of another builder.
    #[arg(value_name = "SECOND")]
    pub second: PathBuf,
    /// The result as JSON: see `GlobalArgs`.
    #[arg(skip)]
    pub json: bool,
}
