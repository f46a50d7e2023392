//! Programs from PyPI that judge what we write: pinned by digest, installed once, kept for all later runs.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

/// The virtual environment `name` with the packages of `requirements`, which name each wheel by digest.
pub fn environment(name: &str, requirements: &str) -> Result<PathBuf> {
    let tools = tools()?;
    let digest = format!("{:x}", Sha256::digest(requirements));
    let home = tools.join(format!("{name}-{}", &digest[..12]));
    let done = home.join("installed");
    // Test programs run side by side; the lock goes with the file.
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if done.exists() {
        return Ok(home);
    }
    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("remove {}", home.display()))?;
    }
    process::output(Command::new("python3").args(["-m", "venv"]).arg(&home))?;
    let list = home.join("requirements.txt");
    fs::write(&list, requirements)?;
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
            .arg(&list),
    )?;
    fs::write(done, "")?;
    Ok(home)
}

/// Where tools and what takes long to make are kept between runs: `tools` below Cargo's target folder.
pub fn tools() -> Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let tools = target.join("tools");
    fs::create_dir_all(&tools).with_context(|| format!("create {}", tools.display()))?;
    Ok(tools.canonicalize()?)
}
