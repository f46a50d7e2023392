//! Signatures, beside rpmsign with GnuPG and the same key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use lustre_packaging::process;
use lustre_packaging::sign::{PublicKey, verify_package};
use lustre_repo_tests::gpg::Gpg;

use crate::measure::{Measured, Side, pair};
use crate::packages;
use crate::world::World;

/// Many small packages.
pub fn small(world: &World) -> Result<Measured> {
    let count = if world.options.short { 100 } else { 1000 };
    let from = world.new_folder("unsigned")?;
    let made = world.packages(world.count(2000))?;
    let mut files = Vec::new();
    for folder in fs::read_dir(made.join("Packages"))? {
        for entry in fs::read_dir(folder?.path())? {
            files.push(entry?.path());
        }
    }
    files.sort();
    for path in &files[..count] {
        fs::copy(path, from.join(path.file_name().context("a file")?))?;
    }
    compared(world, &from)
}

/// One large package.
pub fn large(world: &World) -> Result<Measured> {
    let from = world.new_folder("unsigned")?;
    let megabytes = if world.options.short { 100 } else { 500 };
    packages::large(&from.join("bench-large.rpm"), megabytes)?;
    let measured = compared(world, &from);
    fs::remove_dir_all(from)?;
    measured
}

fn compared(world: &World, from: &Path) -> Result<Measured> {
    let gpg = Gpg::new("Bench <bench@example.org>");
    let secret = process::output(gpg.command().args(["--armor", "--export-secret-keys"]))?;
    let key = world.folder().join("secret.asc");
    fs::write(&key, secret)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    let ours_to = world.new_folder("signed-by-us")?;
    let theirs_to = world.new_folder("signed-by-rpmsign")?;
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let ours = Side::new(|| {
        let mut command = world.work();
        command.arg("sign").arg(&key).arg(from).arg(&ours_to);
        command.arg(time.to_string());
        command
    });
    // It signs in place: each time, copies of what is not signed.
    let theirs = Side::new(|| {
        let mut command = gpg.rpmsign();
        command.args(packages_in(&theirs_to).unwrap_or_default());
        command
    })
    .prepared(|| {
        for path in packages_in(from)? {
            fs::copy(&path, theirs_to.join(path.file_name().context("a file")?))?;
        }
        Ok(())
    });
    let measured = pair(world.options.rounds, world.folder(), &ours, &theirs)?;
    let public = PublicKey::parse(gpg.public_key())?;
    for path in packages_in(from)? {
        let name = path.file_name().context("a file")?;
        verify_package(&ours_to.join(name), &public)?;
        verify_package(&theirs_to.join(name), &public)?;
    }
    Ok(measured)
}

fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
