//! `cargo xtask bench`: the tool beside the bare tools. What measures is `tests/bench`, which cargo builds as it has built this.

use std::path::absolute;

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::{host, process};

use crate::cli::BenchArgs;
use crate::context;
use crate::exit::{Outcome, Usage};
use crate::invocation;
use crate::place;
use crate::ui;

/// How the bench ends where something is slower than its floor.
const BELOW: i32 = 3;

/// Builds the bench and runs it.
pub fn run(arguments: &BenchArgs) -> anyhow::Result<Outcome> {
    let Some(checkout) = invocation::checkout() else {
        return Err(Usage::new(advised(
            "the bench is in a checkout of the project",
            "run `cargo xtask bench` there",
        ))
        .into());
    };
    host::ensure(
        &place::specs(),
        &["repo", "test"],
        arguments.setup,
        &mut |text| ui::say(text),
    )?;
    let mut command = invocation::cargo(&checkout);
    command
        .args(["run", "--quiet", "--package", "lustre-repo-tests"])
        .args(["--bin", "bench", "--"])
        .args(&arguments.names)
        .args(["--rounds", &arguments.rounds.to_string()])
        .args(["--target", &arguments.target])
        .arg("--tool")
        .arg(std::env::current_exe()?)
        .arg("--store")
        .arg(context::store_folder(arguments.store.as_deref())?);
    if arguments.json {
        command.arg("--json");
    }
    if arguments.short {
        command.arg("--short");
    }
    if let Some(path) = &arguments.write {
        command.arg("--write").arg(absolute(path)?);
    }
    let status = process::lines(&mut command, &mut |line| {
        ui::print(&String::from_utf8_lossy(line))
    });
    let status = status.context("cannot run the bench")?;
    match status.code() {
        Some(0) => Ok(Outcome::Done),
        Some(BELOW) => Ok(Outcome::Misfit),
        _ => bail!("the bench {status}; what is wrong is said above"),
    }
}
