//! `cargo xtask bench`: the tool beside the bare tools. What measures is `tests/bench`, which cargo builds as it has built this.

use std::path::{Path, absolute};

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::{host, process};
use serde::Deserialize;

use crate::cli::BenchArgs;
use crate::context;
use crate::exit::{Outcome, Usage};
use crate::invocation;
use crate::place;
use crate::ui;

/// How the bench ends where something is slower than its floor.
const BELOW: i32 = 3;

/// What there is to measure, by name alone.
#[derive(Deserialize)]
struct Rows {
    row: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
}

/// Builds the bench and runs it.
pub fn run(arguments: &BenchArgs) -> anyhow::Result<Outcome> {
    let Some(checkout) = invocation::checkout() else {
        return Err(Usage::new(advised(
            "the bench is in a checkout of the project",
            "run `cargo xtask bench` there",
        ))
        .into());
    };
    // Before anything is installed or compiled for it.
    known(&checkout, &arguments.names)?;
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

/// Checks that each name is that of a row, or what the names of rows begin with.
fn known(checkout: &Path, names: &[String]) -> anyhow::Result<()> {
    let path = checkout.join("tests/bench/rows.toml");
    let text = lustre_files::read_to_string(&path, lustre_files::TEXT);
    let text = text.with_context(|| path.display().to_string())?;
    let rows: Rows = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let means = |name: &str, row: &Row| {
        let rest = row.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    for name in names {
        if !rows.row.iter().any(|row| means(name, row)) {
            let all: Vec<&str> = rows.row.iter().map(|row| row.name.as_str()).collect();
            return Err(Usage::new(advised(
                format!("there is no bench `{name}`"),
                format!("there are {}", all.join(", ")),
            ))
            .into());
        }
    }
    Ok(())
}
