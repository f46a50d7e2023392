//! `cargo xtask completions` and `man`: what a shell and `man` need to know of the command line, made from it.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::command_line::shown_as_called;
use crate::context;
use crate::exit::Outcome;
use crate::invocation::{CARGO, called};
use crate::ui;

/// The name of the manual's pages, where cargo runs the tool: `cargo help xtask` shows the first.
const PAGES: &str = "cargo-xtask";

/// Writes the completions for `shell` to standard output, for the program called `name`.
pub fn completions(shell: Shell, name: &str) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    generate(shell, &mut shown_as_called(Cli::command()), name, &mut text);
    // It is a program, and nothing in it is somebody else's.
    ui::print_as_is(&text);
    Ok(Outcome::Done)
}

/// Writes a page for the tool and one for each of its commands into `folder`.
pub fn man(folder: &Path) -> anyhow::Result<Outcome> {
    context::judge_beside("the folder of the pages", folder)?;
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let pages = if called() == CARGO { PAGES } else { called() };
    let command = shown_as_called(Cli::command())
        .name(pages)
        .display_name(pages);
    clap_mangen::generate_to(command, folder)
        .with_context(|| format!("cannot write the pages into {}", folder.display()))?;
    ui::print(&folder.display().to_string());
    Ok(Outcome::Done)
}
