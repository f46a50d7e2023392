//! Runs that wait for another run on the same store.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, namespaces, program, project, run};

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

/// Every name below a folder with what it holds and when it was written.
fn snapshot(folder: &std::path::Path) -> Vec<(String, Vec<u8>, std::time::SystemTime)> {
    let mut all: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|item| {
            let item = item.unwrap();
            let content = std::fs::read(item.path()).unwrap_or_default();
            let written = item.metadata().unwrap().modified().unwrap();
            (item.path().display().to_string(), content, written)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn what_only_looks_does_not_wait_for_a_run_that_builds() {
    let home = Home::new();
    let _held = Store::open(&home.store(), "a run that builds", &mut |_| {}).unwrap();
    for (arguments, code) in [
        (&["plan"][..], 0),
        (&["clean", "--dry-run"], 0),
        // What is not in this store ends them; but they got so far.
        (&["preflight", "--offline", "--locked"], 1),
        (&["verify", "--offline", "/no/such/repository"], 1),
    ] {
        let mut ran = home
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(&mut ran);
        let clock = std::time::Instant::now();
        let status = loop {
            if let Some(status) = ran.try_wait().unwrap() {
                break status;
            }
            if clock.elapsed() > PATIENCE {
                ran.kill().unwrap();
                ran.wait().unwrap();
                panic!("{arguments:?} waits");
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let said: Vec<String> = lines.iter().collect();
        assert!(
            !said.iter().any(|line| line.contains("waiting")),
            "{arguments:?}: {said:?}"
        );
        assert_eq!(status.code(), Some(code), "{arguments:?}: {said:?}");
    }
}

#[test]
fn a_plan_changes_nothing_and_asks_nobody() {
    let home = Home::new();
    // Nothing of what it would need of the network is there.
    let plan = |home: &Home| {
        let ran = home.run(&["plan"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        // There is no network at all.
        let mut command = namespaces(&["--net"]);
        command
            .args([
                "sh",
                "-c",
                "[ \"$(tail -n +3 /proc/net/dev | grep -cv '^ *lo:')\" = 0 ] || exit 99; exec \"$@\"",
                "sh",
            ])
            .arg(program())
            .args(["plan", "--json", "--target", "debian-12"]);
        home.prepare(&mut command);
        let ran = run(&mut command);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(
            serde_json::from_str::<serde_json::Value>(&ran.stdout)
                .unwrap()
                .is_array()
        );
    };
    let locks = project().join("specs/locks");
    let before = snapshot(&locks.parent().unwrap().join("targets"));
    let lock_before = locks.exists().then(|| snapshot(&locks));
    plan(&home);
    assert!(home.is_untouched());
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let store = snapshot(&home.store());
    plan(&home);
    assert_eq!(snapshot(&home.store()), store);
    assert_eq!(locks.exists().then(|| snapshot(&locks)), lock_before);
    assert_eq!(snapshot(&locks.parent().unwrap().join("targets")), before);
}

#[test]
fn cleaning_waits_for_those_who_look() {
    let home = Home::new();
    let looks = Store::beside(&home.store(), "one that looks", &mut |_| {}).unwrap();
    let mut clean = home
        .command(&["clean", "--all"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = lines_of(&mut clean);
    let line = lines.recv_timeout(PATIENCE).unwrap();
    assert!(
        line.contains("waiting") && line.contains("one that looks"),
        "{line}"
    );
    assert!(home.store().join("files").is_dir());
    drop(looks);
    assert!(clean.wait().unwrap().success());
    assert!(!home.store().exists());
}
