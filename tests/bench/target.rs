//! What is measured on a target that was built: its repository in `dist/`, and its stages in the store.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use lustre_packaging::process;
use lustre_repo_tests::command_line::{CARGO_SAYS, of_checkout, program, project};
use walkdir::WalkDir;

use crate::measure::{Measured, Side, alone, pair};
use crate::world::{NotHere, World};

/// A command of the tool, as `cargo xtask` runs it, about the target.
fn tool(world: &World, words: &[&str]) -> Command {
    let tool = world.options.tool.as_deref();
    let mut command = Command::new(tool.unwrap_or_else(|| program()));
    let (name, rest) = words.split_first().unwrap_or((&"--help", &[]));
    command.arg(name).args(["--target", &world.options.target]);
    if let Some(store) = &world.options.store {
        command.arg("--store").arg(store);
    }
    command
        .args(rest)
        .env(CARGO_SAYS, of_checkout())
        .current_dir(project());
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
    .prepared(|| world.new_folder("clone").map(drop));
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

/// The stage whose overhead is measured: the shortest that has rpmbuild compile.
const STAGE: &str = "lustre";

/// A whole stage, from the plan to the comparison with what was built before, beside its rpmbuild alone, in the same root.
pub fn stage(world: &World) -> Result<Measured> {
    dist(world)?;
    let ours = Side::new(|| tool(world, &["build", "--rebuild", STAGE]));
    let theirs = by_hand(world);
    pair(world.options.rounds, world.folder(), &ours, &theirs)
}

/// rpmbuild alone, in the root of [`STAGE`].
fn by_hand<'w>(world: &'w World) -> Side<'w> {
    // It says how long rpmbuild took, so what opens the root does not count.
    const BY_HAND: &str = "umask 022; rpm -i /srv/srpms/*.src.rpm; cat /proc/uptime; \
        rpmbuild -bb --noclean build/SPECS/*.spec >build.log 2>&1; cat /proc/uptime";
    Side::new(|| tool(world, &["shell", STAGE, "--", "sh", "-ec", BY_HAND])).timed(|output| {
        let text = String::from_utf8_lossy(output);
        let uptime = |line: &str| line.split(' ').next()?.parse::<f64>().ok();
        let times: Vec<f64> = text.lines().filter_map(uptime).collect();
        match times[..] {
            [start, end] => Ok(end - start),
            _ => bail!("it does not say how long rpmbuild took: {text}"),
        }
    })
}

/// The patch of the model that is changed, from the folder of specs.
const PATCH: &str = "model/lustre/ldiskfs/kernel_patches/patches/ext4-volume-label.patch";

/// All packages after a patch of Lustre was changed, from the plan on, beside Lustre's rpmbuild alone.
pub fn patch(world: &World) -> Result<Measured> {
    dist(world)?;
    let specs = world.new_folder("patch")?.join("specs");
    let mut copy = Command::new("cp");
    process::output(copy.arg("-a").arg(project().join("specs")).arg(&specs))?;
    let path = specs.join(PATCH);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let round = Cell::new(0);
    let start = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    // What stands above a patch is for people. It is another in each round of each run: what was built once is not built again.
    let change = || -> Result<()> {
        round.set(round.get() + 1);
        let changed = format!("Measured: {start}, {}\n\n{text}", round.get());
        Ok(fs::write(&path, changed)?)
    };
    let specs = specs.display().to_string();
    let options = ["--specs", &specs, "--locked", "--offline"];
    change()?;
    let mut plan = tool(world, &["plan", "--json", "--specs", &specs, "--offline"]);
    let runs = running(&mut plan)?;
    if !runs.iter().any(|stage| stage == STAGE) || runs.iter().any(|stage| stage == "kernel") {
        return Err(NotHere(format!(
            "a change of {PATCH} was to have {STAGE} built, and the kernel not; what would run: {}",
            runs.join(", ")
        ))
        .into());
    }
    let ours = Side::new(|| tool(world, &[&["build"][..], &options].concat())).prepared(change);
    pair(world.options.rounds, world.folder(), &ours, &by_hand(world))
}

/// The stages that a plan says would run, but for the one that is for `repo --prove boot`.
fn running(plan: &mut Command) -> Result<Vec<String>> {
    let plan = process::output(plan)?;
    let plan: Vec<serde_json::Value> = serde_json::from_slice(&plan).context("plan --json")?;
    let runs = plan
        .iter()
        .filter(|stage| stage["runs"].as_bool() == Some(true))
        .filter_map(|stage| stage["stage"].as_str())
        .filter(|stage| *stage != "boot");
    Ok(runs.map(str::to_owned).collect())
}

/// The whole of `cargo xtask repo`, where all of it is in the store, without cargo.
pub fn unchanged(world: &World) -> Result<Measured> {
    dist(world)?;
    let runs = running(&mut tool(world, &["plan", "--json"]))?;
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
