//! What the system says of a process and of those that it started.

use std::fs;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, Signal, kill_process};

/// The processes that `id` started and that still run, with those that they started.
pub(crate) fn started_by(id: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut open = vec![id];
    while let Some(id) = open.pop() {
        for thread in threads(id) {
            let text = fs::read_to_string(thread.join("children")).unwrap_or_default();
            let found = text
                .split_whitespace()
                .filter_map(|word| word.parse::<u32>().ok());
            open.extend(found.clone());
            all.extend(found);
        }
    }
    all
}

fn threads(id: u32) -> impl Iterator<Item = std::path::PathBuf> {
    // It may have ended in the meantime.
    fs::read_dir(format!("/proc/{id}/task"))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

/// Whether a thread of the process, or of one that it started, computes or waits for nothing but a processor or a disk.
pub(crate) fn is_at_work(id: u32) -> bool {
    let of = |id: u32| {
        threads(id).any(|thread| {
            let stat = fs::read_to_string(thread.join("stat")).unwrap_or_default();
            matches!(fields(&stat).next(), Some("R" | "D"))
        })
    };
    of(id) || started_by(id).into_iter().any(of)
}

/// The processor time that the process has taken.
pub(crate) fn processor_time(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let ticks: u64 = fields(&stat)
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 1000 / clock_ticks_per_second())
}

/// The fields of a line of `stat` from the state on: what stands before is the name, which may hold anything.
fn fields(stat: &str) -> impl Iterator<Item = &str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace()
}

/// Kills the processes that `id` started.
pub(crate) fn kill_started_by(id: u32) {
    for id in started_by(id) {
        if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
            // It may have ended in the meantime.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::{Duration, Instant};

    use super::{is_at_work, kill_started_by, processor_time, started_by};

    #[test]
    fn who_computes_is_told_from_who_waits_and_both_are_ended() {
        let here = std::process::id();
        let shell = |script: &str| Command::new("sh").args(["-c", script]).spawn().unwrap();
        let waiting = shell("sleep 600; true");
        let busy = shell("(while :; do :; done); true");
        let end = Instant::now() + Duration::from_secs(120);
        let until = |what: &dyn Fn() -> bool| {
            while !what() {
                assert!(Instant::now() < end);
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        until(&|| started_by(here).len() == 4);
        until(&|| !is_at_work(waiting.id()) && is_at_work(busy.id()));
        let inner = started_by(busy.id())[0];
        until(&|| processor_time(inner) >= Duration::from_millis(50));
        kill_started_by(here);
        for mut child in [waiting, busy] {
            assert!(!child.wait().unwrap().success());
        }
        until(&|| started_by(here).is_empty());
    }
}
