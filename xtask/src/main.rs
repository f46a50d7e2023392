//! `cargo xtask`: builds, signs, assembles and proves a dnf repository of Lustre servers.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

mod boot;
mod cli;
mod commands;
mod context;
mod exit;
mod prove;
mod publish;
mod road;
mod signals;
mod sources;
mod ui;

fn main() -> std::process::ExitCode {
    exit::report(commands::run(cli::Cli::of_process()))
}
