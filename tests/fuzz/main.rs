//! `cargo run -p lustre-repo-fuzz -- --seconds 60 [FORMAT…]`: feeds every format, or those named, for so long each.
//!
//! Exit code 1 when something was found; the input is then in a file, and the line to run it again is shown.

// What it says is its result.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;
use lustre_packaging::shown;
use lustre_repo_fuzz::campaign::{self, Outcome};
use lustre_repo_fuzz::formats;
use lustre_repo_fuzz::worker::{self, Inputs};

/// Feeds what reads files from outside with damaged and hostile ones.
#[derive(Parser)]
struct Arguments {
    /// The formats; all of them where none is named.
    formats: Vec<String>,
    /// How long each format is fed.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Decides the inputs: the same seed, the same inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The number of the first input.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many inputs at most.
    #[arg(long, default_value_t = u64::MAX)]
    count: u64,
    /// Goes on after a finding in an input that was made, until the time is over.
    #[arg(long)]
    keep_going: bool,
    /// Where failing inputs are kept.
    #[arg(long, default_value = "target/fuzz")]
    keep: PathBuf,
    /// Only the format's own examples.
    #[arg(long)]
    cases: bool,
    /// Only this file, for the one format named.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Lists the formats.
    #[arg(long)]
    list: bool,
    /// For the program itself: be the process that reads, with this folder.
    #[arg(long, hide = true)]
    worker: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let mut wanted = formats::all();
    if arguments.list {
        for format in wanted {
            println!("{}", format.name());
        }
        return Ok(true);
    }
    for name in &arguments.formats {
        if !wanted.iter().any(|format| format.name() == name) {
            let known: Vec<_> = wanted.iter().map(|format| format.name()).collect();
            bail!("no format `{name}`; there are: {}", known.join(", "));
        }
    }
    if !arguments.formats.is_empty() {
        wanted.retain(|format| arguments.formats.iter().any(|name| format.name() == name));
    }
    let made = Inputs::Made {
        seed: arguments.seed,
        from: arguments.from,
        count: arguments.count,
        time: Duration::from_secs_f64(arguments.seconds),
    };
    let all = match (&arguments.replay, arguments.cases) {
        (Some(path), _) => vec![Inputs::File(path.clone())],
        (None, true) => vec![Inputs::Cases {
            from: arguments.from,
        }],
        (None, false) => vec![Inputs::Cases { from: 0 }, made],
    };
    if let (Some(folder), [format]) = (&arguments.worker, &wanted[..]) {
        // A worker has one kind of inputs.
        let inputs = all.into_iter().next_back().context("no inputs")?;
        return work(&**format, &inputs, folder);
    }
    for tool in ["rpm", "rpmspec", "patch"] {
        if !is_installed(tool) {
            println!("{tool} is not installed: what it makes of an input is NOT compared");
        }
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut clean = true;
    for format in &wanted {
        for inputs in &all {
            clean &= feed(arguments, &program, &**format, inputs)?;
        }
    }
    Ok(clean)
}

fn is_installed(tool: &str) -> bool {
    let run = Command::new(tool).arg("--version").output();
    run.is_ok_and(|out| out.status.success())
}

/// Feeds one format and says what came of it. After a finding it goes on behind it, as long as there are examples and time.
fn feed(
    arguments: &Arguments,
    program: &Path,
    format: &formats::AnyFormat,
    inputs: &Inputs,
) -> anyhow::Result<bool> {
    let name = format.name();
    let start = Instant::now();
    let mut inputs = inputs.clone();
    let mut clean = true;
    loop {
        let (at, what, which, input, words) = match campaign::run(program, format, &inputs)? {
            Outcome::Clean(counts) => {
                let (kind, shown) = match inputs {
                    Inputs::Made { .. } => ("made inputs", counts.inputs),
                    _ => ("examples", counts.inputs),
                };
                println!(
                    "{name}: {shown} {kind}, {} of them accepted",
                    counts.accepted
                );
                return Ok(clean);
            }
            Outcome::Found {
                at,
                what,
                which,
                input,
                words,
            } => (at, what, which, input, words),
        };
        clean = false;
        let kept = campaign::keep(&arguments.keep, name, &input)?;
        println!(
            "{name}: FOUND: {which}: {}",
            shown::shortened(&shown::harmless(&what))
        );
        println!("  {} bytes are in {}", input.len(), kept.display());
        println!(
            "  again: cargo run -p lustre-repo-fuzz -- --replay {} {name}",
            kept.display()
        );
        if let Inputs::Made { seed, .. } = &inputs {
            println!(
                "  or, without that file: cargo run -p lustre-repo-fuzz -- --seed {seed} --from {at} --count 1 {name}"
            );
        }
        for line in words.lines() {
            println!("  | {line}");
        }
        match &mut inputs {
            Inputs::Cases { from } => *from = at + 1,
            Inputs::Made {
                from, count, time, ..
            } if arguments.keep_going => {
                *count = count.saturating_sub(at + 1 - *from);
                *from = at + 1;
                *time = Duration::from_secs_f64(arguments.seconds).saturating_sub(start.elapsed());
                if time.is_zero() {
                    return Ok(clean);
                }
            }
            _ => return Ok(clean),
        }
    }
}

/// The part of the process that reads.
fn work(format: &formats::AnyFormat, inputs: &Inputs, folder: &Path) -> anyhow::Result<bool> {
    let progress = File::options()
        .write(true)
        .open(folder.join("progress"))
        .context("cannot open the progress")?;
    match worker::bounded(format, inputs, folder, &progress)? {
        Ok(counts) => {
            println!("done {} {}", counts.inputs, counts.accepted);
            Ok(true)
        }
        Err(finding) => {
            println!("finding: {}", finding.what);
            Ok(false)
        }
    }
}
