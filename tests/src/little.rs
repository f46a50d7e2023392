//! What a target of a test says that it takes: a test that builds nothing is not to depend on the disk and the memory of the machine.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::command_line::project;

/// `[needs]` of a target that takes next to nothing, whatever the one that it inherits from takes.
pub const NEEDS: &str = "[needs]\ncores = 1\njob_memory_mib = 1\noutput_gib = 0\n\
    base = { disk_gib = 0, memory_mib = 0, minutes = 0 }\n\
    e2fsprogs = { disk_gib = 0, memory_mib = 0, minutes = 0 }\n\
    kernel = { disk_gib = 0, memory_mib = 0, minutes = 0 }\n\
    lustre = { disk_gib = 0, memory_mib = 0, minutes = 0 }\n";

/// Copies the project's specs to `to`, where the rehearsal takes next to nothing.
pub fn specs(to: &Path) -> io::Result<()> {
    let mut copy = Command::new("cp");
    copy.args(["-a", "-T"]).arg(project().join("specs")).arg(to);
    let target = to.join("targets/rehearsal.toml");
    if !copy.status()?.success() {
        return Err(io::Error::other(format!("{} was not copied", to.display())));
    }
    let text = fs::read_to_string(&target)?;
    let (before, rest) = text.split_once("[needs]\n").unwrap_or_default();
    let (_, after) = rest.split_once("\n\n").unwrap_or_default();
    if after.is_empty() {
        return Err(io::Error::other("the rehearsal has no [needs]"));
    }
    fs::write(&target, format!("{before}{NEEDS}\n{after}"))
}
