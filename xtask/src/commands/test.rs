//! `cargo xtask test`: all tests of the project, with what they need installed first.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use lustre_files::advised;
use lustre_packaging::store::remove_tree;
use lustre_packaging::{host, process};

use crate::cli::TestArgs;
use crate::exit::{Outcome, Usage};
use crate::invocation;
use crate::place;
use crate::ui;

/// What cargo's test runner says of one test binary.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// What `cargo test` is told, before what somebody names of the tests.
const RUNS: [&[&str]; 2] = [
    &["--workspace", "--no-fail-fast", "--"],
    // Unit tests that need root are ignored, so that `cargo test` is for everybody. Those are all that are: another name here would be one
    // more that is run, whatever was named.
    &[
        "--workspace",
        "--lib",
        "--bins",
        "--no-fail-fast",
        "--",
        "--ignored",
    ],
];

/// Runs `cargo test` over the workspace and closes with one line that counts all tests.
pub fn run(arguments: &TestArgs) -> anyhow::Result<Outcome> {
    let Some(checkout) = invocation::checkout() else {
        return Err(Usage::new(advised(
            "the tests are in a checkout of the project",
            "run `cargo xtask test` there",
        ))
        .into());
    };
    host::ensure(
        &place::specs(),
        &["repo", "test"],
        arguments.setup,
        &mut |text| ui::say(text),
    )?;
    // Tests that are killed leave their folders behind. Others than we have to get through, to their own: tests drop privileges.
    let scratch = tempfile::Builder::new()
        .prefix("lustre-repo-tests-")
        .permissions(Permissions::from_mode(0o755))
        .tempdir()
        .context("cannot make a folder for the tests")?;
    let mut total = Counts::default();
    let mut failed = false;
    for run in RUNS {
        let mut command = invocation::cargo(&checkout);
        command
            .env("TMPDIR", scratch.path())
            .arg("test")
            .args(run)
            .args(&arguments.arguments);
        let status = process::lines(&mut command, &mut |line| {
            let line = String::from_utf8_lossy(line);
            ui::print(&line);
            if let Some(counts) = counts(&line) {
                total.passed += counts.passed;
                total.failed += counts.failed;
                total.skipped += counts.skipped;
            }
        });
        match status {
            Ok(status) => failed |= !status.success(),
            Err(error) => {
                remove(&scratch.keep())?;
                return Err(error).context("cannot run the tests");
            }
        }
    }
    remove(&scratch.keep())?;
    if failed {
        // Also where nothing could be compiled, and so nothing was counted.
        total.failed = total.failed.max(1);
    }
    ui::print(&format!(
        "{} passed, {} failed, {} skipped",
        total.passed, total.failed, total.skipped
    ));
    if failed {
        bail!("cargo test failed; the failures are listed above");
    }
    if total.passed == 0 {
        bail!("no test ran");
    }
    Ok(Outcome::Done)
}

/// Removes the tests' folder. What tests left to be removed after their end may be going at the same time, and then it is tried again.
fn remove(folder: &Path) -> anyhow::Result<()> {
    const ATTEMPTS: usize = 20;
    for _ in 1..ATTEMPTS {
        if remove_tree(folder).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    remove_tree(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

/// The counts in a line `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
fn counts(line: &str) -> Option<Counts> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let end = rest.find(word)?;
        rest[..end]
            .trim_end()
            .rsplit([' ', '.'])
            .next()?
            .parse()
            .ok()
    };
    Some(Counts {
        passed: number("passed")?,
        failed: number("failed")?,
        skipped: number("ignored")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_named_is_run() {
        for run in RUNS {
            let to_the_tests = run.iter().skip_while(|word| **word != "--").skip(1);
            for word in to_the_tests {
                assert!(word.starts_with('-'), "{word}");
            }
        }
    }

    #[test]
    fn the_runners_line_is_counted() {
        let line = "test result: FAILED. 31 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.82s";
        let wanted = Counts {
            passed: 31,
            failed: 2,
            skipped: 1,
        };
        assert_eq!(counts(line), Some(wanted));
        assert_eq!(counts("test sign::works ... ok"), None);
    }
}
