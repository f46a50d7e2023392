//! `cargo xtask bench`: how long our work takes beside that of the bare tools, in one run.
//!
//! Both sides are programs of their own, which run in turn on the same files; each row of `rows.toml` is one comparison. `work` is our side
//! of those that no command of the tool is for.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod measure;
mod metadata;
mod options;
mod packages;
mod report;
mod rows;
mod signing;
mod statistics;
mod target;
mod work;
mod world;

use std::process::ExitCode;

use anyhow::Result;

use measure::Measured;
use options::Options;
use report::{Report, Result as RowResult};
use rows::Row;
use world::World;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == work::ARGUMENT => work::run(rest).map(|()| true),
        _ => Options::parse(&arguments).and_then(|options| run(&options)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether no row is below its floor.
fn run(options: &Options) -> Result<bool> {
    let rows = rows::chosen(options)?;
    // Not after all was measured.
    if let Some(path) = &options.write {
        report::check(path)?;
    }
    let world = World::new(options)?;
    let mut report = Report::new(&world)?;
    for row in &rows {
        eprintln!("bench {}: {}", row.name, row.what(options.short));
        let result = match measured(&world, row) {
            Ok(measured) => RowResult::of(row, options.short, &measured),
            // What a run of all rows cannot have here is said in its row; what was asked for by name is an error.
            Err(error) => match error.downcast::<world::NotHere>() {
                Ok(why) if options.names.is_empty() => RowResult::NotRun(why.0),
                Ok(why) => anyhow::bail!("cannot measure {}: {}", row.name, why.0),
                Err(error) => return Err(error.context(format!("bench {}", row.name))),
            },
        };
        eprintln!("  {}", result.line());
        report.add(row, result);
    }
    if options.json {
        println!("{}", report.json()?);
    } else {
        print!("{}", report.table());
    }
    if let Some(path) = &options.write {
        report.write(path)?;
    }
    for row in report.fallen() {
        eprintln!("error: {row}");
    }
    Ok(report.fallen().is_empty())
}

fn measured(world: &World, row: &Row) -> Result<Measured> {
    match row.name.as_str() {
        "repodata" => metadata::repodata(world, world.count(2000)),
        "repodata-10000" => metadata::repodata(world, world.count(10_000)),
        "repodata-large" => metadata::large(world),
        "repodata-update" => metadata::update(world, world.count(10_000)),
        "read" => metadata::read(world, world.count(10_000)),
        "closure" => metadata::closure(world, world.count(10_000)),
        "sign" => signing::small(world),
        "sign-large" => signing::large(world),
        "clone" => target::clone(world),
        "stage" => target::stage(world),
        "patch" => target::patch(world),
        "unchanged" => target::unchanged(world),
        "verify" => target::verify(world),
        "preflight" => target::preflight(world),
        name => anyhow::bail!("rows.toml has the row `{name}`, and nothing measures it"),
    }
}
