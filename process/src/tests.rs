use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::shown::describe;
use super::*;

#[test]
fn a_failure_shows_the_last_lines_and_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("a/b.log");
    let error = run_logged(
        command("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
        &log,
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("two"), "{error}");
    assert!(error.contains(&log.display().to_string()), "{error}");
    assert!(error.contains('3'), "{error}");
}

#[test]
fn a_log_holds_this_run_alone_and_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let [ran, watched, told] = ["ran", "watched", "told"].map(|name| dir.path().join(name));
    let linked = dir.path().join("linked");
    for log in [&ran, &watched, &told] {
        fs::write(log, "error of an earlier run\n").unwrap();
    }
    fs::hard_link(&ran, &linked).unwrap();
    for word in ["one", "two"] {
        let mut command = command("echo");
        command.arg(word);
        run_logged(&mut command, &ran).unwrap();
        watch(&mut command, &watched, Duration::from_secs(60), &mut || {
            false
        })
        .unwrap();
        writeln!(log_file(&told).unwrap(), "{word}").unwrap();
    }
    let text = |log: &Path| fs::read_to_string(log).unwrap();
    for log in [&ran, &watched] {
        assert_eq!(text(log), "+ echo one\none\n+ echo two\ntwo\n", "{log:?}");
    }
    assert_eq!(text(&told), "one\ntwo\n");
    assert_eq!(text(&linked), "error of an earlier run\n");
}

#[test]
fn a_command_is_shown_by_what_tells_it_from_others() {
    let words = ["-c", "gc.auto=0", "-c", "a b", "log", "-c", "x y"];
    let mut git = command("git");
    assert_eq!(describe(git.args(words)), "git log -c 'x y'");
    let mut sandboxed = command("setpriv");
    sandboxed.args(["--reset-env", "bwrap", "--ro-bind", "/", "/", "--", "git"]);
    assert_eq!(
        describe(sandboxed.args(words)),
        "(in a sandbox) git log -c 'x y'"
    );
    let mut shell = command("sh");
    assert_eq!(describe(shell.args(["-c", "x y"])), "sh -c 'x y'");
    let mut long = command("echo");
    assert!(describe(long.arg("é".repeat(999))).ends_with("é…"));
}

#[test]
fn a_full_disk_is_named_whatever_the_program_calls_it() {
    let said = |script: &str| {
        let dir = tempfile::tempdir().unwrap();
        let mut command = command("sh");
        command.args(["-c", script]);
        let logged = run_logged(&mut command, &dir.path().join("log"));
        let captured = output(&mut command);
        [
            logged.unwrap_err().to_string(),
            captured.unwrap_err().to_string(),
        ]
    };
    for error in said("cat /proc/version >/dev/full") {
        assert!(error.contains("disk was full"), "{error}");
        assert!(
            error.contains("MiB free") && error.contains("make room"),
            "{error}"
        );
    }
    for error in said("echo other >&2; exit 1") {
        assert!(!error.contains("disk"), "{error}");
    }
}

#[test]
fn a_missing_program_is_named() {
    let error = output(&mut command("no-such-program-here"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no-such-program-here"), "{error}");
}

#[test]
fn a_program_is_started_without_the_variables_that_hold_secrets() {
    let removed = |command: &Command, name: &str| {
        command
            .get_envs()
            .any(|(variable, value)| variable == name && value.is_none())
    };
    for secret in secrets::VARIABLES {
        assert!(removed(&command("env"), secret), "{secret}");
        assert!(removed(&ourselves("env"), secret), "{secret}");
    }
}

#[test]
fn lines_are_given_one_by_one_and_the_end_is_told() {
    let mut seen = Vec::new();
    let status = lines(
        command("sh").args(["-c", "echo one; printf two; exit 3"]),
        &mut |line| seen.push(String::from_utf8_lossy(line).into_owned()),
    )
    .unwrap();
    assert_eq!(seen, ["one", "two"]);
    assert_eq!(status.code(), Some(3));
}

#[test]
fn both_outputs_are_captured_whatever_the_end() {
    let done = capture(command("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap();
    assert_eq!(done.stdout, b"one\n");
    assert_eq!(done.stderr, b"two\n");
    assert_eq!(done.status.code(), Some(3));
}

#[test]
fn a_program_that_never_rests_is_ended_at_its_bound() {
    let bounded = |script: &str| {
        capture_bounded(command("sh").args(["-c", script]), Duration::from_secs(1)).unwrap()
    };
    match bounded("echo one; exit 3") {
        Bounded::Ended(done) => assert_eq!(
            (&done.stdout[..], done.status.code()),
            (&b"one\n"[..], Some(3))
        ),
        Bounded::Busy => panic!("it does next to nothing"),
    }
    let ended = bounded("while :; do :; done");
    assert!(matches!(ended, Bounded::Busy), "{ended:?}");
    // Also one that is deaf to the first signal.
    match bounded("trap '' XCPU; while :; do :; done") {
        Bounded::Ended(done) => assert_eq!(done.status.signal(), Some(Signal::KILL.as_raw())),
        Bounded::Busy => panic!("it is deaf"),
    }
}

#[test]
fn input_reaches_the_program() {
    let out = output_with_input(&mut command("cat"), b"hello").unwrap();
    assert_eq!(out, b"hello");
}

#[test]
fn a_watched_program_ends_by_itself_by_its_watcher_or_by_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let ends = |script: &str, limit: u64, enough: &mut dyn FnMut() -> bool| {
        let mut command = command("sh");
        command.args(["-c", script]);
        watch(&mut command, &log, Duration::from_secs(limit), enough).unwrap()
    };
    match ends("echo said; exit 3", 60, &mut || false) {
        WatchOutcome::Exited(status) => assert_eq!(status.code(), Some(3)),
        other => panic!("{other:?}"),
    }
    assert_eq!(tail(&log, 1), "said");
    let clock = Instant::now();
    assert_eq!(
        ends("exec sleep 60", 60, &mut || true),
        WatchOutcome::Stopped
    );
    assert_eq!(
        ends("exec sleep 60", 1, &mut || false),
        WatchOutcome::TimedOut
    );
    assert!(clock.elapsed() < Duration::from_secs(30));
}

/// Whoever wrote a source package could fill the disk, or keep the machine for ever.
#[test]
fn a_program_that_goes_further_than_its_limits_is_ended_with_all_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("written");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("before"), vec![0; 8 << 20]).unwrap();
    let before = limits::written(&folder, u64::MAX);
    let small = Limits {
        time: Some(Duration::from_secs(60)),
        disk: Some(4 << 20),
        log: 1 << 20,
    };
    let pid = dir.path().join("pid");
    let run = |name: &str, script: &str, limits: &Limits| {
        let script = format!("sleep 1000 & echo $! >'{}'; {script}", pid.display());
        let log = dir.path().join(name);
        let clock = Instant::now();
        let written = limits::Written {
            folder: &folder,
            before,
            since: clock,
        };
        let error = run_limited(
            command("sh").args(["-c", &script]),
            &log,
            limits,
            Some(written),
        );
        assert!(clock.elapsed() < Duration::from_secs(50), "{name}");
        let beside: u32 = fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
        let left = table::is_running(beside);
        assert_eq!(left, error.is_ok(), "{name}");
        if left {
            let beside = table::pid_of(beside).unwrap();
            rustix::process::kill_process(beside, Signal::KILL).unwrap();
        }
        (error.map_err(|error| error.to_string()), log)
    };
    let soon = Limits {
        time: Some(Duration::from_millis(300)),
        ..small
    };
    let fill = format!(
        "dd if=/dev/zero of='{}/a' bs=1M count=9; sleep 1000",
        folder.display()
    );
    for (name, script, limits, parts) in [
        (
            "time",
            "sleep 1000",
            soon,
            ["ran for 0 seconds", "--max-time"],
        ),
        (
            "log",
            "yes",
            small,
            ["more than 1 MiB, the limit of its log", "--max-log"],
        ),
        (
            "disk",
            &fill,
            small,
            ["and its limit is 4 MiB", "--max-disk"],
        ),
    ] {
        let (error, log) = run(name, script, &limits);
        let error = error.unwrap_err();
        for part in parts
            .into_iter()
            .chain(["was ended", &*log.to_string_lossy()])
        {
            assert!(error.contains(part), "{name}: {part}: {error}");
        }
        assert!(fs::metadata(&log).unwrap().len() < 2 << 20, "{name}");
    }
    let text = fs::read_to_string(dir.path().join("log")).unwrap();
    assert!(text.ends_with("the limit of its log\n"));
    // What was there before is none of it.
    fs::remove_file(folder.join("a")).unwrap();
    run("well", "echo well", &small).0.unwrap();
}

/// Many small files fill a file system as well, and a link leads out of the folder.
#[test]
fn what_is_written_is_counted_by_files_too_and_not_through_links() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("a");
    fs::create_dir_all(folder.join("b")).unwrap();
    std::os::unix::fs::symlink("/usr", folder.join("usr")).unwrap();
    let before = limits::written(&folder, u64::MAX);
    assert!(before < 1 << 20, "{before}");
    for number in 0..100 {
        fs::write(folder.join(format!("b/{number}")), "").unwrap();
    }
    let all = limits::written(&folder, u64::MAX);
    assert!(all - before >= 100 << 12, "{before} {all}");
    assert!(limits::written(&folder, before + 1) < all);
}
