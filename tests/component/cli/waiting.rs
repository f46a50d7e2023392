//! Runs that wait for another run on the same store.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::Home;

/// Long enough for a slow machine; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a program says on standard error, line by line as it comes.
fn lines_of(program: &mut Child) -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    let stderr = program.stderr.take().unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

#[test]
fn two_runs_on_one_store_the_second_waits_and_says_for_whom() {
    let home = Home::new();
    let first = "cargo xtask repo --target rehearsal";
    let held = Store::open(&home.store(), first, &mut |holder| {
        panic!("waits for {holder}")
    })
    .unwrap();
    let mut second = home
        .command(&["clean", "--store", home.store().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut second);
    let line = lines.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("waiting") && line.contains(first), "{line}");
    assert!(
        line.contains(&format!("process {}", std::process::id())),
        "{line}"
    );
    // It says so once, and waits.
    assert!(lines.recv_timeout(Duration::from_millis(500)).is_err());
    assert_eq!(second.try_wait().unwrap(), None);
    drop(held);
    let line = lines.recv_timeout(PATIENCE).unwrap();
    assert!(line.starts_with("removed 0 of 0 stages"), "{line}");
    assert!(second.wait().unwrap().success());
}

#[test]
fn a_run_that_waits_can_be_interrupted() {
    let home = Home::new();
    let _held = Store::open(&home.store(), "another run", &mut |_| {}).unwrap();
    let mut second = home
        .command(&["fetch", "--store", home.store().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut second);
    let line = lines.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("waiting"), "{line}");
    let pid = rustix::process::Pid::from_child(&second);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(130));
}
