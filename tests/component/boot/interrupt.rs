//! Ctrl-C while a guest runs. In a process of its own: an interruption holds for all that a process does after it.

use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use lustre_packaging::boot::Error;
use lustre_packaging::boot::accelerator::Accelerator;
use lustre_packaging::boot::guest;
use lustre_packaging::process;

use super::fake::Fake;

/// Is set in the process that is interrupted.
const ALONE: &str = "INTERRUPTED_ALONE";

#[test]
fn an_interruption_ends_the_emulator_even_one_that_is_deaf_to_it() {
    if env::var_os(ALONE).is_none() {
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = "an_interruption_ends_the_emulator_even_one_that_is_deaf_to_it";
        let out = Command::new(env::current_exe().unwrap())
            .args(["--exact", &format!("{module}::{name}")])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&out.stdout);
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let deaf =
        Fake::new("trap '' TERM INT HUP\nwhile :; do echo on >> \"$report\"; sleep 0.1; done\n");
    let clock = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !fs::read_to_string(deaf.path("report")).is_ok_and(|said| said.contains("on")) {
                assert!(clock.elapsed() < Duration::from_secs(60));
                std::thread::sleep(Duration::from_millis(50));
            }
            process::interrupt();
        });
        deaf.with(Accelerator::Tcg, |machine, log| {
            guest::run(machine, Duration::from_secs(600), log, &mut |_| {}).unwrap_err()
        })
    });
    assert!(
        matches!(error, Error::Process(process::Error::Interrupted { .. })),
        "{error}"
    );
    assert!(clock.elapsed() < Duration::from_secs(90));
    assert!(!deaf.still_writes(), "it still runs");
}
