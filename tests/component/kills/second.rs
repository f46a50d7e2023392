//! A second build that is ended.

use std::process::Stdio;
use std::time::{Duration, Instant};

use lustre_repo_tests::command_line::run;
use rustix::process::{Pid, Signal, kill_process};

use super::World;

/// How long an interruption may take: what was started has a few seconds of its own.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_signal_ends_a_second_build_and_leaves_nothing_half_made() {
    let world = World::new();
    let second = world.store().join("second/store");
    let mut command = world
        .home
        .command(&["verify", "--reproducible", "--offline"]);
    command
        .env("LUSTRE_REPO_KEY_FILE", &world.keys[0])
        .env("LUSTRE_REPO_STORE", world.store())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    // It unpacks the kernel's source beside and behind this stage, which takes longer than an interruption may.
    let works = || {
        let stages = std::fs::read_dir(second.join("stages"));
        stages.into_iter().flatten().flatten().any(|stage| {
            let name = stage.file_name();
            name.to_string_lossy().starts_with("preflight-lustre-")
        })
    };
    let began = Instant::now();
    while !works() {
        assert!(
            began.elapsed() < Duration::from_secs(900),
            "no second build"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let sent = Instant::now();
    kill_process(pid, Signal::TERM).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(130), "{said}");
    assert!(sent.elapsed() < PATIENCE, "{:?}: {said}", sent.elapsed());
    // Nothing of it runs on, and nothing unfinished stays.
    let mut asked = std::process::Command::new("pgrep");
    let left = run(asked.arg("--full").arg(second.to_str().unwrap()));
    assert_eq!((left.code, left.stdout.as_str()), (1, ""), "{said}");
    for tmp in [world.store().join("tmp"), second.join("tmp")] {
        assert_eq!(
            std::fs::read_dir(&tmp).unwrap().count(),
            0,
            "{}: {said}",
            tmp.display()
        );
    }
}
