//! What signals do to a run that has another run of the tool build for it: everything that was started ends with it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lustre_repo_tests::command_line::run;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::World;

/// All processes that `of` started, and those that they started: with what else tells one from a later one of the same number.
fn descendants(of: u32) -> BTreeMap<u32, String> {
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        if let Some((parent, started)) = stat(pid) {
            parents.insert(pid, (parent, started));
        }
    }
    let mut found = BTreeMap::new();
    let mut next = vec![of];
    while let Some(one) = next.pop() {
        for (pid, (parent, started)) in &parents {
            if *parent == one {
                found.insert(*pid, started.clone());
                next.push(*pid);
            }
        }
    }
    found
}

/// The parent of a process that runs, and when it was started.
fn stat(pid: u32) -> Option<(u32, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ended = ["Z", "X"].contains(&fields[0]);
    (!ended).then(|| (fields[1].parse().unwrap(), fields[19].to_owned()))
}

/// How a run that got signals ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    /// How long after the first signal.
    took: Duration,
    said: String,
    /// What it had started that still ran then, by its command line.
    left: Vec<String>,
}

/// Runs `verify` with `arguments`, and has `send` send signals to it when the second build has begun to make its bootstrap.
fn interrupted(world: &World, arguments: &[&str], send: impl FnOnce(Pid)) -> Ended {
    let mut child = world
        .home
        .command(&["verify", "--reproducible", "--offline", "--key-file"])
        .arg(&world.keys[0])
        .args(arguments)
        .env("LUSTRE_REPO_STORE", world.store())
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("start   bootstrap, ") {
        assert_ne!(lines.read_line(&mut said).unwrap(), 0, "{said}");
    }
    // In the midst of the work of a program in a sandbox.
    let bwrap = |pid: &u32| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "dnf")
    };
    let patience = Instant::now() + Duration::from_secs(60);
    let mut started = descendants(child.id());
    while !started.keys().any(bwrap) {
        assert!(Instant::now() < patience, "{said}");
        std::thread::sleep(Duration::from_millis(20));
        started = descendants(child.id());
    }
    let clock = Instant::now();
    send(Pid::from_child(&child));
    let status = child.wait().unwrap();
    let took = clock.elapsed();
    // The kernel ends what is in a sandbox of its own after that.
    std::thread::sleep(Duration::from_millis(500));
    let still = |(pid, started): (&u32, &String)| {
        stat(*pid).filter(|(_, now)| now == started)?;
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Some(format!(
            "{pid} {}",
            String::from_utf8_lossy(&line).replace('\0', " ")
        ))
    };
    let left = started.iter().filter_map(still).collect();
    lines.read_to_string(&mut said).unwrap();
    Ended {
        code: status.code(),
        took,
        said,
        left,
    }
}

/// What is in the folders for unfinished things, of the store and of that of the second build.
fn unfinished(world: &World) -> Vec<String> {
    let folders = ["tmp", "second/store/tmp"].map(|name| world.store().join(name));
    let items = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap());
    items
        .map(|item| item.unwrap().path().display().to_string())
        .collect()
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_second_build_that_is_interrupted_ends_with_all_it_started_and_leaves_nothing_half_made() {
    let world = World::new();
    world.repo(0);
    let published = world.published();
    let dist = world.dist();
    let path = [dist.to_str().unwrap()];
    type Send = fn(Pid);
    let terminate: Send = |pid| kill_process(pid, Signal::TERM).unwrap();
    // As a terminal does: to all that are of the group in front.
    let control_c: Send = |pid| kill_process_group(pid, Signal::INT).unwrap();
    for (arguments, send) in [(&[][..], terminate), (&path, terminate), (&path, control_c)] {
        let ended = interrupted(&world, arguments, send);
        assert_eq!(ended.code, Some(130), "{ended:#?}");
        assert!(ended.said.contains("interrupted: stopping"), "{ended:#?}");
        assert_eq!(ended.left, [] as [&str; 0], "{ended:#?}");
        assert!(!ended.said.contains("cannot start"), "{ended:#?}");
        assert!(ended.took < Duration::from_secs(60), "{ended:#?}");
        assert_eq!(unfinished(&world), [] as [&str; 0], "{ended:#?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(world.base.to_str().unwrap()), "{mounts}");
    }
    // Twice: at once. What is then left unfinished, the next run removes.
    let ended = interrupted(&world, &path, |pid| {
        kill_process(pid, Signal::TERM).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        // Where the first was enough, there is nobody to get it.
        let _ = kill_process(pid, Signal::TERM);
    });
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert_eq!(ended.left, [] as [&str; 0], "{ended:#?}");
    assert!(ended.took < Duration::from_secs(5), "{ended:#?}");

    assert_eq!(world.published(), published);
    let mut clean = world.home.command(&["clean", "--verify"]);
    let ran = run(clean.env("LUSTRE_REPO_STORE", world.store()));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        fs::read_dir(world.store().join("tmp"))
            .unwrap()
            .next()
            .is_none()
    );
}
