//! Programs of the host that look at what somebody else made.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Ids, Sandbox, User};
use crate::process;

/// A sandbox in which a program of the host reads `path`, which somebody else made, at `inside`.
pub fn reading(path: &Path, inside: &str) -> io::Result<Sandbox<'static>> {
    // What is for its owner alone is read by him, without any capability.
    let ids = if is_open(path) {
        Ids::for_new_chroots()?
    } else {
        Ids::Host
    };
    Ok(Sandbox::with_host_programs(ids, User::BareRoot, "host")?.read_only(path, inside))
}

/// The command by which a program of the host looks at `files`, which somebody else made and which it sees at `/files`; it may write in
/// `home`, at `/home`.
pub fn looking(
    program: &str,
    arguments: &[&str],
    files: &Path,
    home: &Path,
) -> io::Result<Command> {
    let sandbox = reading(files, "/files")?
        .writable(home, "/home")
        .env("HOME", "/home");
    sandbox.give(home)?;
    Ok(sandbox.command(program, arguments))
}

/// Whether everybody may read everything in `path`.
fn is_open(path: &Path) -> bool {
    let closed = |entry: &walkdir::DirEntry| {
        let mode = entry.metadata().map_or(0, |of| of.mode());
        match entry.file_type() {
            of if of.is_dir() => mode & 0o5 != 0o5,
            of if of.is_file() => mode & 0o4 == 0,
            _ => false,
        }
    };
    walkdir::WalkDir::new(path)
        .into_iter()
        .all(|entry| entry.is_ok_and(|entry| !closed(&entry)))
}

/// `folder` where everybody may read everything in it, and else a copy of it that is so, at `copy`: the users of a sandbox are nobody
/// on the host, and a checkout or a repository may be for its owner alone.
pub fn readable(folder: &Path, copy: &Path) -> Result<PathBuf, process::Error> {
    if is_open(folder) {
        return Ok(folder.to_owned());
    }
    let mut command = process::command("cp");
    command.args(["-RT", "--preserve=timestamps,links", "--"]);
    process::output(command.arg(folder).arg(copy))?;
    let mut command = process::command("chmod");
    process::output(command.args(["-R", "a+rX", "--"]).arg(copy))?;
    Ok(copy.to_owned())
}
