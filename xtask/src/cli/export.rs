//! The arguments of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lustre_packaging::export::Builder;

use crate::cli::target::TargetArgs;

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Who is to build it.
    #[arg(value_name = "BUILDER")]
    pub builder: ExportBuilder,
    /// Write it to this folder; an earlier export in it is replaced.
    ///
    /// That has to be one of the same target for the same builder; all else is refused.
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    /// Export only this package: e2fsprogs, kernel, lustre.
    ///
    /// May be given more than once. Lustre's source package is made with the kernel's packages, so these are built first; the others need no
    /// build.
    #[arg(long = "package", value_name = "NAME")]
    pub packages: Vec<String>,
    /// With `obs`: name of the project, and of the repository that it gets: PROJECT[/REPOSITORY]; defaults to lustre:TARGET/standard.
    ///
    /// On build.opensuse.org, a user's own project is home:USER:NAME.
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
}

/// Who builds what is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportBuilder {
    /// An Open Build Service.
    Obs,
    /// A Koji.
    Koji,
    /// mock alone.
    Mock,
}

impl From<ExportBuilder> for Builder {
    fn from(builder: ExportBuilder) -> Self {
        match builder {
            ExportBuilder::Obs => Self::Obs,
            ExportBuilder::Koji => Self::Koji,
            ExportBuilder::Mock => Self::Mock,
        }
    }
}
