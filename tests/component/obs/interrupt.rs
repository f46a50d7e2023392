//! Ctrl-C while a build is waited for. In a process of its own: an interruption holds for all that a process does after it.

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use lustre_packaging::obs::Pace;
use lustre_packaging::process;
use lustre_repo_tests::obs_stub::Built;

use super::{PACKAGE, Run, api, pace, service, submitted};

/// Is set in the process that is interrupted.
const ALONE: &str = "INTERRUPTED_ALONE";

#[test]
fn an_interruption_ends_the_waiting_at_once_and_not_the_build() {
    if env::var_os(ALONE).is_none() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = "an_interruption_ends_the_waiting_at_once_and_not_the_build";
        let out = Command::new(env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::{name}")])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let obs = service(|_| Built::Never);
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let run = Run::new();
    let pace = Pace {
        first: Duration::from_secs(50),
        most: Duration::from_secs(50),
        ..pace()
    };
    let clock = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while run.states.lock().unwrap().is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
            process::interrupt();
        });
        run.waited(&api, &there, pace).unwrap_err().to_string()
    });
    assert!(
        clock.elapsed() < Duration::from_secs(20),
        "{:?}",
        clock.elapsed()
    );
    for part in [
        PACKAGE,
        "the server goes on building",
        "the same command goes on",
    ] {
        assert!(error.contains(part), "{error}");
    }
}
