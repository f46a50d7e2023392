//! The processes of the system, as it tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::Pid;

pub(crate) fn pid_of(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// What the system tells of a process.
pub(crate) struct Process {
    pub(crate) parent: u32,
    /// Whether it only waits for its parent to ask how it ended.
    ended: bool,
}

impl Process {
    pub(crate) fn of(id: u32) -> Option<Self> {
        let stat = lustre_files::read(format!("/proc/{id}/stat"), lustre_files::TEXT).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name before may have blanks and brackets in it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        Some(Self { parent, ended })
    }
}

/// All processes that there are; none where the system does not tell.
fn processes() -> impl Iterator<Item = (u32, Process)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, Process::of(id)?))
    })
}

/// The children of this process that have ended and that nobody has waited for.
pub(crate) fn ended_children() -> Vec<u32> {
    let us = std::process::id();
    processes()
        .filter(|(_, process)| process.ended && process.parent == us)
        .map(|(id, _)| id)
        .collect()
}

/// All processes that run and that this one started, or those that it started; none where the system does not tell.
pub(crate) fn descendants() -> BTreeSet<u32> {
    descendants_of(std::process::id())
}

/// Whether a process runs.
pub(crate) fn is_running(id: u32) -> bool {
    Process::of(id).is_some_and(|process| !process.ended)
}

/// The same of another process.
pub(crate) fn descendants_of(id: u32) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (id, process) in processes().filter(|(_, process)| !process.ended) {
        children.entry(process.parent).or_default().push(id);
    }
    let mut found = BTreeSet::new();
    let mut next = vec![id];
    while let Some(one) = next.pop() {
        for child in children.remove(&one).unwrap_or_default() {
            found.insert(child);
            next.push(child);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_parent() {
        let of = |id| Process::of(id).map(|process| process.parent);
        assert_eq!(
            of(std::process::id()),
            Some(std::os::unix::process::parent_id())
        );
        assert_eq!(of(1), Some(0));
    }
}
