//! createrepo_c 1.2, the independent judge of our repodata.
//!
//! The first use installs the version pinned in `tests/tools/createrepo_c.txt` into `target/tools/`, from PyPI by
//! digest. [`VARIABLE`] names another one to use, where there is no network.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lustre_packaging::process;

use crate::python;

/// The environment variable with the path of the createrepo_c (1.2 or later) to use.
pub const VARIABLE: &str = "LUSTRE_REPO_CREATEREPO_C";

const REQUIREMENTS: &str = include_str!("../tools/createrepo_c.txt");

/// The path of createrepo_c.
pub fn program() -> Result<PathBuf> {
    let program = match env::var_os(VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => installed().with_context(|| {
            format!(
                "cannot install createrepo_c for the tests. With network and Python 3.11 or later (`apt install \
                 python3-venv`) it installs itself; without, set {VARIABLE} to the path of a createrepo_c 1.2 or later"
            )
        })?,
    };
    let version = process::output(Command::new(&program).arg("--version"))?;
    let version = String::from_utf8_lossy(&version).into_owned();
    ensure!(
        is_recent(&version),
        "{} is `{}`, but the tests compare with createrepo_c 1.2 or later",
        program.display(),
        version.trim()
    );
    Ok(program)
}

/// Writes `root/repodata` with createrepo_c, gzip and a fixed revision.
pub fn run(root: &Path, revision: u64, extra: &[&str]) -> Result<()> {
    let revision = revision.to_string();
    process::output(
        Command::new(program()?)
            .args(["--quiet", "--no-database", "--general-compress-type=gz"])
            .args(["--revision", &revision, "--set-timestamp-to-revision"])
            .args(extra)
            .arg(root)
            // Of translated texts it takes those of the locale.
            .env("LC_ALL", "C.UTF-8"),
    )?;
    Ok(())
}

/// Reads `Version: 1.2.5 (Features: …)`.
fn is_recent(text: &str) -> bool {
    let Some(version) = text.split_whitespace().nth(1) else {
        return false;
    };
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next(), parts.next()) >= (Some(1), Some(2))
}

fn installed() -> Result<PathBuf> {
    let program = python::environment("createrepo_c", REQUIREMENTS)?.join("bin/createrepo_c");
    ensure!(program.is_file(), "pip left no {}", program.display());
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::is_recent;

    #[test]
    fn versions() {
        assert!(is_recent("Version: 1.2.5 (Features: LegacyWeakdeps )"));
        assert!(is_recent("Version: 2.0.0"));
        assert!(!is_recent("Version: 0.17.3 (Features: DeltaRPM )"));
        assert!(!is_recent("Version: 1.1.4"));
        assert!(!is_recent(""));
    }
}
