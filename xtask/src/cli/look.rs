//! The arguments of commands that look at something: `plan`, `log`, `shell`, `compat` and `watch`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::builder::BuilderArgs;
use crate::cli::key::KeyArgs;
use crate::cli::repo::Prove;
use crate::cli::target::TargetArgs;

/// Arguments of `plan`.
#[derive(Debug, Clone, Args)]
pub struct PlanArgs {
    /// Print the build graph in a graph language: mermaid or dot.
    ///
    /// Shows which stages are cached, and how long each took the last time. Arrows implied by others are left out.
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        num_args = 0..=1,
        default_missing_value = "mermaid",
        hide_possible_values = true
    )]
    pub graph: Option<GraphFormat>,
    /// What `repo` would prove: `static`, `install` or `boot`.
    #[arg(long, value_enum, default_value_t = Prove::Install, value_name = "LEVEL", hide_possible_values = true)]
    pub prove: Prove,
    /// Where packages would be built.
    #[command(flatten)]
    pub builder: BuilderArgs,
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Which key would sign.
    #[command(flatten)]
    pub key: KeyArgs,
}

/// How the build graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// Mermaid, which GitHub and GitLab draw.
    Mermaid,
    /// DOT, which Graphviz draws.
    Dot,
}

/// Arguments of `log`.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// Which target.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The stage; by default, all stages with a log are listed.
    #[arg(value_name = "STAGE")]
    pub stage: Option<String>,
    /// Print only the path of the log.
    #[arg(long, requires = "stage")]
    pub path: bool,
}

/// Arguments of `shell`.
#[derive(Debug, Clone, Args)]
pub struct ShellArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The stage, such as `kernel`, `lustre-srpm` or `e2fsprogs-root`.
    #[arg(value_name = "STAGE")]
    pub stage: String,
    /// Command to run instead of a shell.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Arguments of `compat`.
#[derive(Debug, Clone, Args)]
pub struct CompatArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository with the modules; `dist/<target>` where not given, or what the store has of it.
    #[arg(value_name = "PATH")]
    pub path: Option<PathBuf>,
}

/// Arguments of `watch`.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The targets that the line names.
    #[arg(skip)]
    pub targets: Vec<String>,
    /// Write the new lock if there is a new kernel and everything fits it.
    ///
    /// As with `lock --update`, no version becomes older.
    #[arg(long)]
    pub update: bool,
    /// Write what is new to this file, as the text of a change request.
    ///
    /// The file is not written if nothing is new.
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Where the targets' repositories are; `dist` where not given.
    ///
    /// Each is in a folder of the target's name.
    #[arg(long, value_name = "DIR")]
    pub repositories: Option<PathBuf>,
}
