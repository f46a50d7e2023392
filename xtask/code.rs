//! The digest of the tool's code: for `build.rs`, and for the test that holds it to the code.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The one crate that stages do not run. All others of the project count, those that are yet to come included.
const NOT_A_PART: &str = "tests";

/// What no stage runs: it reads the command line, talks to people, or does things with what stages made. Only such may be named here.
pub const NOT_RUN_BY_STAGES: [&str; 35] = [
    "xtask/src/cli.rs",
    "xtask/src/cli/build.rs",
    "xtask/src/cli/global.rs",
    "xtask/src/cli/key.rs",
    "xtask/src/cli/look.rs",
    "xtask/src/cli/publish.rs",
    "xtask/src/cli/repo.rs",
    "xtask/src/cli/target.rs",
    "xtask/src/cli/upkeep.rs",
    "xtask/src/cli/verify.rs",
    "xtask/src/command_line.rs",
    "xtask/src/config.rs",
    "xtask/src/events.rs",
    "xtask/src/exit.rs",
    "xtask/src/invocation.rs",
    "xtask/src/key.rs",
    "xtask/src/leftovers.rs",
    "xtask/src/main.rs",
    "xtask/src/own_specs.rs",
    "xtask/src/place.rs",
    "xtask/src/publish.rs",
    "xtask/src/terminal.rs",
    "xtask/src/transfer.rs",
    "xtask/src/ui.rs",
    "xtask/src/commands/build_again.rs",
    "xtask/src/commands/clean.rs",
    "xtask/src/commands/key.rs",
    "xtask/src/commands/log.rs",
    "xtask/src/commands/needs.rs",
    "xtask/src/commands/plan.rs",
    "xtask/src/commands/plan/graph.rs",
    "xtask/src/commands/shell.rs",
    "xtask/src/commands/shipped.rs",
    "xtask/src/commands/targets.rs",
    "xtask/src/commands/test.rs",
];

/// Where the code of `project` is: its list of crates, which versions of others they use, and each crate's own.
pub fn places(project: &Path) -> io::Result<Vec<PathBuf>> {
    let mut places = vec![project.join("Cargo.toml"), project.join("Cargo.lock")];
    for entry in fs::read_dir(project)? {
        let crate_ = entry?.path();
        let manifest = crate_.join("Cargo.toml");
        if manifest.is_file() && crate_.file_name().is_some_and(|name| name != NOT_A_PART) {
            places.extend([manifest, crate_.join("src")]);
        }
    }
    Ok(places)
}

/// The digest of all that is at `places`, as it is named in `project`.
pub fn digest(project: &Path, places: &[PathBuf]) -> io::Result<String> {
    let mut files = Vec::new();
    for place in places {
        collect(place, &mut files)?;
    }
    files.sort();
    let mut hasher = Sha256::new();
    for path in files {
        let name = path
            .strip_prefix(project)
            .unwrap_or(&path)
            .to_string_lossy()
            .into_owned();
        let is_test = name.ends_with("/tests.rs") || name.contains("/tests/");
        if is_test || NOT_RUN_BY_STAGES.contains(&name.as_str()) {
            continue;
        }
        #[allow(
            clippy::disallowed_methods,
            reason = "the project's own code, and lustre_files is part of it"
        )]
        let bytes = fs::read(&path)?;
        for part in [name.as_bytes(), &bytes] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// The files at `path`: itself, or all below that are code or data of code; not what editors leave.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?.path();
        let name = entry
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !name.starts_with('.') && !name.ends_with('~') {
            collect(&entry, files)?;
        }
    }
    Ok(())
}
