//! `cargo xtask`: builds, signs, assembles and proves a dnf repository of Lustre servers.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

mod base;
mod boot;
mod cli;
mod command_line;
mod commands;
mod compat;
mod config;
mod context;
mod events;
mod exit;
mod graph;
mod invocation;
mod key;
mod leftovers;
mod lock;
mod misplaced;
mod obs;
mod own_specs;
mod place;
mod prove;
mod publish;
mod published_tree;
mod session;
mod shared;
mod signals;
mod sources;
mod terminal;
mod transfer;
mod ui;
mod watch;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::process;

fn main() -> std::process::ExitCode {
    // Before anything is started, or read.
    let secrets = process::secrets::take().context(
        advised("cannot remove the key or its passphrase from the environment, where every program could read it", "use a file instead"),
    );
    let result = secrets
        .and_then(|()| Ok(misplaced::check()?))
        .and_then(|()| cli::Cli::of_process())
        .and_then(commands::run);
    process::interruption::finish();
    exit::report(result)
}
