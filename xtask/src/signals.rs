//! What Ctrl-C, `Ctrl-\`, SIGTERM and SIGHUP do: the first ends everything that was started, and this program when it has cleaned up or waits for
//! something that may never come; the second this program, at once.

use std::time::Duration;

use lustre_packaging::process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::INTERRUPTED;
use crate::{terminal, ui};

/// What is left to do after the first signal, when nothing that was started runs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSignal {
    /// The command ends by itself, and cleans up.
    CleanUp,
    /// The command may not notice: it is ended.
    End,
}

/// How long a program that is to clean up may do nothing at all before it is ended.
const IDLE: Duration = Duration::from_secs(10);

/// How much processor time is nothing in that time.
const NOTHING: Duration = Duration::from_millis(10);

/// From here on, signals are heeded.
pub fn heed(then: AfterSignal) -> anyhow::Result<()> {
    let heeded: Vec<i32> = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    for signal in &heeded {
        signal_hook::flag::register(*signal, process::interruption::flag())?;
    }
    let mut signals = Signals::new(heeded)?;
    process::adopt_orphans()?;
    process::end_with_parent()?;
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_none() {
            return;
        }
        std::thread::spawn(move || {
            if then == AfterSignal::CleanUp {
                ui::warn(
                    "interrupted: stopping builds and cleaning up; press again to end at once",
                );
            }
            process::interrupt();
            while then == AfterSignal::CleanUp && is_at_work() {}
            if then == AfterSignal::CleanUp {
                ui::warn(
                    "still waiting after the interruption: ended; the next run removes unfinished work",
                );
            }
            end();
        });
        if signals.next().is_some() {
            process::kill();
            end();
        }
    });
    Ok(())
}

/// Whether who started this program had the signal ignored, as `nohup` has SIGHUP and a shell SIGINT of what runs in the background.
fn is_ignored(signal: i32) -> bool {
    lustre_files::read_to_string("/proc/self/status", lustre_files::TEXT)
        .is_ok_and(|status| ignored(&status, signal))
}

/// The same, by what the system says of a process.
fn ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Ends this program: the terminal is as it was, and machines hear of it.
fn end() -> ! {
    terminal::restore();
    ui::ended_at_once(INTERRUPTED);
    std::process::exit(INTERRUPTED.into());
}

/// Whether this program did anything for a while. A read that never ends, of a terminal, a pipe or a file on a server that is gone, does not.
fn is_at_work() -> bool {
    let before = processor_time();
    std::thread::sleep(IDLE);
    processor_time().saturating_sub(before) > NOTHING
}

fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000004440\n";
        for (signal, is) in [(SIGHUP, true), (SIGINT, true), (13, true), (SIGTERM, false)] {
            assert_eq!(ignored(status, signal), is, "{signal}");
        }
        assert!(!ignored("", SIGHUP));
    }

    #[test]
    fn a_read_that_never_ends_does_not_outlive_a_signal() {
        const INSIDE: &str = "LUSTRE_REPO_TEST_INSIDE";
        if std::env::var_os(INSIDE).is_some() {
            heed(AfterSignal::CleanUp).unwrap();
            println!("reads");
            // Nobody writes, and nobody closes the other end.
            let _ = std::io::stdin().read(&mut [0]);
            return;
        }
        let name = "signals::tests::a_read_that_never_ends_does_not_outlive_a_signal";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(INSIDE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        let stdout = child.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&said).contains("reads") {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1);
            said.push(byte[0]);
        }
        let clock = Instant::now();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        while child.try_wait().unwrap().is_none() && clock.elapsed() < IDLE * 6 {
            std::thread::sleep(Duration::from_millis(100));
        }
        // Where it has ended, there is nothing to kill.
        let _ = child.kill();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(INTERRUPTED.into()));
    }
}
