//! What is measured on a target that was built: its repository in `dist/`, and its stages in the store.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lustre_packaging::process;
use lustre_repo_tests::command_line::{CARGO_SAYS, of_checkout, program, project};
use walkdir::WalkDir;

use crate::measure::{Measured, Side, alone, pair};
use crate::world::{NotHere, World};

/// A command of the tool, as `cargo xtask` runs it, about the target.
fn tool(world: &World, words: &[&str]) -> Command {
    let tool = world.options.tool.as_deref();
    let mut command = Command::new(tool.unwrap_or_else(|| program()));
    command
        .args(words)
        .args(["--target", &world.options.target])
        .env(CARGO_SAYS, of_checkout())
        .current_dir(project());
    if let Some(store) = &world.options.store {
        command.arg("--store").arg(store);
    }
    command
}

/// The repository of the target.
fn dist(world: &World) -> Result<PathBuf> {
    let target = &world.options.target;
    let dist = project().join("dist").join(target);
    if !dist.join("manifest.json").is_file() {
        return Err(NotHere(format!(
            "there is no dist/{target}; `cargo xtask repo --target {target}` makes it"
        ))
        .into());
    }
    Ok(dist)
}

/// A throw-away copy of a chroot: of the last that a package was built in.
pub fn clone(world: &World) -> Result<Measured> {
    let stages = world
        .options
        .store
        .as_ref()
        .map(|store| store.join("stages"));
    let root = stages.as_deref().and_then(newest_root);
    let Some(root) = root else {
        return Err(NotHere(
            "the store has no buildroot; `cargo xtask build` makes some".to_owned(),
        )
        .into());
    };
    let folder = world.new_folder("clone")?;
    let ours = Side::new(|| {
        let mut command = world.work();
        command.arg("clone").arg(&root).arg(&folder);
        command
    })
    .prepared(|| {
        fs::remove_dir_all(&folder)?;
        Ok(fs::create_dir(&folder)?)
    });
    alone(world.options.rounds, world.folder(), &ours)
}

/// The buildroot that was made last.
fn newest_root(stages: &Path) -> Option<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(stages).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let root = entry.path().join("root");
        if name.contains("-root-") && root.is_dir() {
            found.push((entry.metadata().ok()?.modified().ok()?, root));
        }
    }
    found.into_iter().max().map(|(_, root)| root)
}

/// The whole of `cargo xtask repo`, where all of it is in the store, without cargo.
pub fn unchanged(world: &World) -> Result<Measured> {
    dist(world)?;
    let plan = process::output(&mut tool(world, &["plan", "--json"]))?;
    let plan: Vec<serde_json::Value> = serde_json::from_slice(&plan).context("plan --json")?;
    let runs: Vec<&str> = plan
        .iter()
        .filter(|stage| stage["runs"].as_bool() == Some(true))
        .filter_map(|stage| stage["stage"].as_str())
        .collect();
    if !runs.is_empty() {
        return Err(NotHere(format!(
            "something changed, and {} would run; `cargo xtask repo --target {}` first",
            runs.join(", "),
            world.options.target
        ))
        .into());
    }
    let ours = Side::new(|| tool(world, &["repo"]));
    alone(world.options.rounds, world.folder(), &ours)
}

/// All static proofs of a repository, beside rpm's check of the signatures and digests of its packages alone.
pub fn verify(world: &World) -> Result<Measured> {
    let dist = dist(world)?;
    let mut packages = Vec::new();
    for entry in WalkDir::new(&dist) {
        let path = entry?.into_path();
        if path.extension().is_some_and(|it| it == "rpm") {
            packages.push(path);
        }
    }
    let keys = world.new_folder("rpm-keys")?;
    let rpmkeys = || {
        let mut command = Command::new("rpmkeys");
        command
            .arg("--define")
            .arg(format!("_dbpath {}", keys.display()));
        command
    };
    let key = dist.join("RPM-GPG-KEY-lustre-repo");
    process::output(rpmkeys().arg("--import").arg(key))?;
    let path = dist.display().to_string();
    let ours = Side::new(|| tool(world, &["verify", "--static", &path]));
    let theirs = Side::new(|| {
        let mut command = rpmkeys();
        command.arg("--checksig").args(&packages);
        command
    });
    pair(world.options.rounds, world.folder(), &ours, &theirs)
}

/// Whether everything fits, tried again on sources that are there.
pub fn preflight(world: &World) -> Result<Measured> {
    let ours = Side::new(|| tool(world, &["preflight", "--offline"]));
    if let Err(error) = process::output(&mut (ours.command)()) {
        return Err(NotHere(format!("`preflight --offline` does not work here: {error}")).into());
    }
    alone(world.options.rounds, world.folder(), &ours)
}
