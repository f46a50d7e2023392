//! The command line of this process, with a site's defaults where it says nothing.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::parser::ValueSource;
use clap::{Command, CommandFactory as _, ValueEnum};

use crate::cli::{Cli, Color, MessageFormat};
use crate::invocation::{CARGO, as_called, called};
use crate::{config, exit, ui};

impl Cli {
    /// The arguments of this process, with a site's defaults where they say nothing. Ends it where they are wrong or ask for help.
    pub fn of_process() -> anyhow::Result<Self> {
        let words: Vec<OsString> = std::env::args_os().collect();
        // The error that clap may find, and the help, are coloured as asked for, too.
        let color: Color = said_for(&words, "--color").unwrap_or_default();
        ui::set_color(color);
        let format: MessageFormat = said_for(&words, "--message-format").unwrap_or_default();
        ui::set_stream(format == MessageFormat::Json);
        let parsed = shown_as_called(Self::command())
            .color(color.into())
            .try_get_matches_from(words)
            .and_then(|line| Ok((Self::of_matches(&line)?, line)));
        let (mut cli, line) = match parsed {
            Ok(parsed) => parsed,
            Err(error) if format == MessageFormat::Json => return Err(streamed(&error)),
            Err(error) => exit::without_a_command(&error),
        };
        ui::set_verbosity(cli.global.quiet, cli.global.verbose);
        ui::set_stream(cli.global.message_format == MessageFormat::Json);
        let named = line.subcommand().is_some_and(|(_, line)| {
            let takes = line.try_contains_id("target").is_ok();
            takes && line.value_source("target") == Some(ValueSource::CommandLine)
        });
        config::fill_in(&mut cli, named)?;
        cli.hand_down();
        Ok(cli)
    }
}

/// The command line, with the name that the tool was started by in all its help.
pub fn shown_as_called(command: Command) -> Command {
    if called() == CARGO {
        return command;
    }
    with_name(command.name(called()).bin_name(called()))
}

fn with_name(mut command: Command) -> Command {
    let renamed = |text: &StyledStr| as_called(&text.to_string()).into_owned();
    if let Some(text) = command.get_after_help().map(renamed) {
        command = command.after_help(text);
    }
    if let Some(text) = command.get_long_about().map(renamed) {
        command = command.long_about(text);
    }
    command
        .mut_args(|mut argument| {
            if let Some(text) = argument.get_help().map(renamed) {
                argument = argument.help(text);
            }
            if let Some(text) = argument.get_long_help().map(renamed) {
                argument = argument.long_help(text);
            }
            argument
        })
        .mut_subcommands(with_name)
}

/// What was chosen for `option` among the words of a command line, which may be wrong otherwise.
fn said_for<T: ValueEnum>(words: &[OsString], option: &str) -> Option<T> {
    let mut words = words.iter().map(|word| word.to_string_lossy());
    let mut found = None;
    while let Some(word) = words.next().filter(|word| word != "--") {
        let value = match word.strip_prefix(option) {
            Some("") => words.next(),
            Some(rest) => rest.strip_prefix('=').map(|value| value.to_owned().into()),
            None => None,
        };
        found = value
            .and_then(|value| T::from_str(&value, false).ok())
            .or(found);
    }
    found
}

/// What clap says instead of a command, for machines: what is wrong with the line is an error like any other. Ends the program after help.
fn streamed(said: &clap::Error) -> anyhow::Error {
    let text = said.render().to_string();
    if said.use_stderr() {
        let text = text.trim_end();
        return exit::Usage::new(text.strip_prefix("error: ").unwrap_or(text).to_owned()).into();
    }
    ui::print(text.trim_end());
    ui::ended(0);
    match ui::lost() {
        // Who reports it says that.
        Some(why) => anyhow::anyhow!(why),
        None => std::process::exit(0),
    }
}
