//! What is killed is gone when that returns: alone in its process, since nothing can be started in it afterwards.

// Clippy lets tests unwrap, but not the functions that they share; and tests look from outside.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::time::{Duration, Instant};

use lustre_process::{adopt_orphans, capture, command, kill};

/// The processes below this one that have not ended, by what the system tells of each process's parent.
fn running() -> Vec<String> {
    let us = std::process::id().to_string();
    let mut below = vec![us];
    let mut found = Vec::new();
    let all: Vec<(String, String)> = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| {
            let id = entry.ok()?.file_name().into_string().ok()?;
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, stat))
        })
        .collect();
    while let Some(parent) = below.pop() {
        for (id, stat) in &all {
            let (_, rest) = stat.rsplit_once(')').unwrap();
            let fields: Vec<&str> = rest.split_whitespace().collect();
            if fields[1] == parent {
                below.push(id.clone());
                if fields[0] != "Z" && fields[0] != "X" {
                    found.push(stat.clone());
                }
            }
        }
    }
    found
}

#[test]
fn what_is_being_started_while_all_is_killed_does_not_live_on() {
    adopt_orphans().unwrap();
    // Each has a group of its own, and none heeds anything but SIGKILL.
    let script = "trap '' TERM; while :; do setsid sleep 60 & sleep 0.002; done";
    let starting = std::thread::spawn(move || capture(command("sh").args(["-c", script])));
    let patience = Instant::now() + Duration::from_secs(30);
    while running().len() < 20 {
        assert!(Instant::now() < patience, "nothing was started");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill();
    let left = running();
    assert!(left.is_empty(), "{left:#?}");
    assert!(starting.join().unwrap().is_err());
}
