//! Programs of Debian that judge what we do and that no machine should have for that alone: a server, once installed, is started. They are
//! unpacked, once, and kept for all later runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};

use crate::python::tools;

/// A folder with what is in these packages, in the versions that the machine's apt would install.
///
/// # Errors
/// When they are not there and cannot be fetched.
pub fn unpacked(packages: &[&str]) -> Result<PathBuf> {
    let tools = tools()?;
    let name = packages.join("+");
    let home = tools.join(format!("debian-{name}"));
    // Test programs run side by side; the lock goes with the file.
    let lock = File::create(tools.join(format!("debian-{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if home.exists() {
        return Ok(home);
    }
    let folder = tempfile::tempdir_in(&tools)?;
    process::output(
        Command::new("apt-get")
            .args(["download", "--quiet"])
            .args(packages)
            .current_dir(folder.path()),
    )?;
    let root = folder.path().join("root");
    for entry in fs::read_dir(folder.path())? {
        let package = entry?.path();
        if package.extension().is_some_and(|it| it == "deb") {
            process::output(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([&package, &root]),
            )?;
        }
    }
    fs::rename(&root, &home).with_context(|| format!("make {}", home.display()))?;
    Ok(home)
}
