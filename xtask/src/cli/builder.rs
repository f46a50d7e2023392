//! Where packages are built.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};

/// Where packages are built, and how.
#[derive(Debug, Clone, Args)]
pub struct BuilderArgs {
    /// Where packages are built: local (the default) or obs, a build service.
    ///
    /// obs is an Open Build Service. All else is done here: source packages, what is checked of the result, signatures, the repository and its proofs. See docs/obs.md.
    #[arg(
        long,
        value_name = "BUILDER",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true,
        help_heading = "Builder"
    )]
    pub on: On,
    /// URL of the build service's API.
    ///
    /// Who asks is in LUSTRE_REPO_OBS_USER and LUSTRE_REPO_OBS_PASSWORD_FILE (or LUSTRE_REPO_OBS_PASSWORD).
    #[arg(long, value_name = "URL", help_heading = "Builder")]
    pub api: Option<String>,
    /// Its project, and which repository of it: PROJECT[/REPOSITORY].
    #[arg(long, value_name = "PROJECT", help_heading = "Builder")]
    pub project: Option<String>,
    /// How long to wait there for each package; defaults to a day.
    #[arg(long, value_name = "MINUTES", help_heading = "Builder", value_parser = minutes)]
    pub wait: Option<NonZeroU32>,
}

/// Reads how long is waited.
fn minutes(text: &str) -> Result<NonZeroU32, String> {
    let most = NonZeroU32::MAX;
    text.parse()
        .map_err(|_| format!("give a whole number of minutes, from 1 to {most}"))
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
