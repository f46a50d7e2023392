//! One module a command.

mod clean;
mod key;
pub mod lock;
mod plan;
mod repo;
mod targets;
mod test;
mod verify;

use std::os::unix::process::CommandExt;

use lustre_packaging::{host, process};

use crate::cli::{Cli, Command};
use crate::context;
use crate::exit::Outcome;
use crate::ui;

/// Runs the command given.
///
/// # Errors
/// Whatever the command fails with.
pub fn run(cli: Cli) -> anyhow::Result<Outcome> {
    if let Some(setup) = builds(&cli.command) {
        prepare(setup)?;
    }
    match cli.command {
        Command::Repo(arguments) => repo::repo(&arguments),
        Command::Assemble(arguments) => repo::assemble(&arguments),
        Command::Build(arguments) => repo::build(&arguments),
        Command::Fetch(arguments) => repo::fetch(&arguments),
        Command::Plan(arguments) => plan::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Lock(arguments) => lock::run(&arguments),
        Command::Targets { json } => targets::run(json),
        Command::Key(command) => key::run(&command),
        Command::Clean(arguments) => clean::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
    }
}

/// Whether the command makes chroots, and whether it may install what is missing on the host.
fn builds(command: &Command) -> Option<bool> {
    match command {
        Command::Repo(arguments) | Command::Assemble(arguments) => Some(arguments.target.setup),
        Command::Build(arguments) => Some(arguments.target.setup),
        Command::Fetch(arguments) => Some(arguments.setup),
        Command::Verify(arguments) => Some(arguments.target.setup),
        _ => None,
    }
}

/// What must hold before any work: privileges, host tools, and a Ctrl-C that cleans up.
fn prepare(setup: bool) -> anyhow::Result<()> {
    // What is made for chroots and repositories must be readable there, whatever the user's habits.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let root = rustix::process::geteuid().is_root();
    let purpose: &[&str] = if root {
        &["repo"]
    } else {
        &["repo", "repo-unprivileged"]
    };
    host::ensure(&context::specs(), purpose, setup, &mut |text| ui::say(text))?;
    if let Some(mut command) = host::privileges(&std::env::current_exe()?, &arguments)? {
        // From here on as root of a user namespace of our own.
        return Err(command.exec().into());
    }
    let mut signals = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
        signal_hook::consts::SIGHUP,
    ])?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            ui::say("interrupted: stopping builds and cleaning up");
            process::interrupt();
        }
    });
    Ok(())
}
