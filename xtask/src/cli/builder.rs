//! Where packages are built.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

/// Where packages are built, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Builder")]
pub struct BuilderArgs {
    /// Where packages are built: local, or obs for an Open Build Service.
    ///
    /// All else is done here: source packages, what is checked of the result, signatures, the repository and its proofs. See docs/obs.md.
    #[arg(
        long,
        value_name = "BUILDER",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub on: On,
    /// URL of the service's API.
    ///
    /// Who asks is in LUSTRE_REPO_OBS_USER and LUSTRE_REPO_OBS_PASSWORD_FILE (or LUSTRE_REPO_OBS_PASSWORD).
    #[arg(long, value_name = "URL")]
    pub api: Option<String>,
    /// Project of the service in which is built: PROJECT, or PROJECT/REPOSITORY.
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// How long to wait for each package; defaults to 1440, a day.
    #[arg(long, value_name = "MINUTES")]
    pub wait: Option<NonZeroU32>,
}

/// What builds packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// This machine.
    #[default]
    Local,
    /// An Open Build Service.
    Obs,
}
