//! The options of every command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Directory for downloads and build results.
    ///
    /// Defaults to LUSTRE_REPO_STORE, or to `lustre-repo` in the user's cache directory.
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Directory of the specs: `specs` of a checkout, or a copy of it.
    ///
    /// Defaults to LUSTRE_REPO_SPECS, or to the specs of the checkout; an installed program contains its own. Locks are in DIR/locks.
    #[arg(long, global = true, value_name = "DIR")]
    pub specs: Option<PathBuf>,
    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only results, errors and warnings.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Print more: which stages are cached, and where logs are.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// When to use colors: auto, always or never.
    ///
    /// `auto` respects NO_COLOR and CLICOLOR_FORCE.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: Color,
    /// Output format: human, or json for one event per line.
    ///
    /// docs/schema/events.schema.json describes the events. Results are events, too.
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub message_format: MessageFormat,
}

/// What standard output is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// Results alone.
    #[default]
    Human,
    /// Events, a JSON object a line.
    Json,
}

/// When there are colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal that has them.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl From<Color> for clap::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}
