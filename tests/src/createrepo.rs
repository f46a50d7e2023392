//! createrepo_c 1.2, the independent judge of our repodata.
//!
//! The first use installs the version pinned in `tests/tools/createrepo_c.txt` into `target/tools/`, from PyPI by
//! digest. [`VARIABLE`] names another one to use, where there is no network.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// The environment variable with the path of the createrepo_c (1.2 or later) to use.
pub const VARIABLE: &str = "LUSTRE_REPO_CREATEREPO_C";

const REQUIREMENTS: &str = include_str!("../tools/createrepo_c.txt");

/// The path of createrepo_c.
///
/// # Errors
/// When it is not there and cannot be installed: a comparison that did not happen must not look like one that did.
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
///
/// # Errors
/// When it fails.
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
    let tools = tools()?;
    let digest = format!("{:x}", Sha256::digest(REQUIREMENTS));
    let home = tools.join(format!("createrepo_c-{}", &digest[..12]));
    let program = home.join("bin/createrepo_c");
    let done = home.join("installed");
    // Test programs run side by side; the lock goes with the file.
    let lock = File::create(tools.join("createrepo_c.lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if done.exists() {
        return Ok(program);
    }
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    }
    process::output(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let requirements = home.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    process::output(
        Command::new(home.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--no-deps", "--only-binary=:all:", "--require-hashes", "-r"])
            .arg(&requirements),
    )?;
    if !program.is_file() {
        bail!("pip left no {}", program.display());
    }
    fs::write(done, "")?;
    Ok(program)
}

/// Where tools and what takes long to make are kept between runs: `tools` below Cargo's target folder.
///
/// # Errors
/// When it cannot be created.
pub fn tools() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let tools = target.join("tools");
    fs::create_dir_all(&tools).with_context(|| format!("create {}", tools.display()))?;
    Ok(tools.canonicalize()?)
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
