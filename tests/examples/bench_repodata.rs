//! How fast our repodata is written, next to createrepo_c with the same packages and the same number of threads.
//!
//!     cargo run --release -p lustre-repo-tests --example bench_repodata -- [PACKAGES] [THREADS]
//!
//! Makes small packages (2000, unless told), runs both in turn three times and compares the fastest runs. Both have to
//! write the same metadata. createrepo_c's time includes the start of its Python wrapper, which is measured too.

#![allow(clippy::print_stdout)]

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lustre_packaging::process;
use lustre_repo_tests::{createrepo, repodata_diff};
use lustre_repository::repodata::{self, Options};

const ROUNDS: usize = 3;
const REVISION: u64 = 1_714_521_600;

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1);
    let mut number = |what: &str, default: usize| -> Result<usize> {
        let text = arguments.next();
        text.map_or(Ok(default), |text| text.parse().context(what.to_owned()))
    };
    let count = number("the number of packages", 2000)?;
    let workers = number("the number of threads", 2)?;
    let root = tempfile::tempdir()?;
    let bytes = packages(root.path(), count)?;
    let megabytes = bytes as f64 / 1e6;
    println!(
        "{count} packages, {megabytes:.0} MB, {workers} threads, the fastest of {ROUNDS} runs each"
    );

    let options = Options {
        revision: REVISION,
        workers,
        ..Options::default()
    };
    let threads = format!("--workers={workers}");
    let theirs = tempfile::tempdir()?;
    let output = theirs.path().to_str().context("a path in UTF-8")?;
    let program = createrepo::program()?;
    let mut times = [Duration::MAX; 3];
    for _ in 0..ROUNDS {
        times[0] = times[0].min(timed(|| {
            repodata::write(root.path(), &options)?;
            Ok(())
        })?);
        times[1] = times[1].min(timed(|| {
            createrepo::run(root.path(), REVISION, &[&threads, "--outputdir", output])
        })?);
        times[2] = times[2].min(timed(|| {
            process::output(Command::new(&program).arg("--version"))?;
            Ok(())
        })?);
    }
    let differences = repodata_diff::diff(root.path(), theirs.path())?;
    ensure!(
        differences.is_empty(),
        "not the same: {}",
        differences.join("\n")
    );
    // `createrepo::run` asks for the version first.
    let [ours, with_start, start] = times.map(|time| time.as_secs_f64());
    let theirs = with_start - 2.0 * start;
    println!("ours         {ours:.2} s");
    println!("createrepo_c {theirs:.2} s (and {start:.2} s to start)");
    println!("ratio        {:.2}", theirs / ours);
    let read = timed(|| {
        let found = repodata::read(root.path())?.packages.len();
        ensure!(found == count, "{found} packages read");
        Ok(())
    })?;
    println!("reading back {:.2} s", read.as_secs_f64());
    Ok(())
}

fn timed(work: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// Small packages with some files, dependencies and changelog entries each. Gives their size in bytes.
fn packages(root: &Path, count: usize) -> Result<u64> {
    let mut bytes = 0;
    for number in 0..count {
        let name = format!("bench-{number:05}");
        let config = rpm::BuildConfig::v4().compression(rpm::CompressionType::None);
        let mut builder =
            rpm::PackageBuilder::new(&name, "1.0", "MIT", "noarch", "A package to measure with");
        builder
            .using_config(config)
            .release("1")
            .description("Some words on it.\n".repeat(10));
        for file in 0..20 {
            let path = format!("/usr/share/{name}/folder/file-{file}");
            let content = format!("{number} {file}\n").repeat(20);
            builder.with_file_contents(content, rpm::FileOptions::new(path))?;
            builder.requires(rpm::Dependency::greater_eq(
                format!("lib{file}({number})"),
                "1.0-1",
            ));
            builder.provides(rpm::Dependency::eq(format!("{name}({file})"), "1.0-1"));
        }
        for entry in 0..12_u32 {
            let time = 1_700_000_000 - entry * 86_400;
            builder.add_changelog_entry("A <a@example.org> - 1.0-1", "- A change\n- Another", time);
        }
        let path = root.join(format!("Packages/{}/{name}-1.0-1.noarch.rpm", number % 26));
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        builder.build()?.write_file(&path)?;
        bytes += path.metadata()?.len();
    }
    Ok(bytes)
}
