//! Running a guest to its end, or to its limit.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::qemu::Machine;
use super::report::Report;
use super::{Error, at};
use crate::process::{self, WatchOutcome};

/// How long a guest that is done has to switch itself off.
const POWER_OFF: Duration = Duration::from_secs(60);

/// How a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It said that it was done.
    Done,
    /// It ended without saying so: it panicked, or QEMU failed. How QEMU ended.
    Died(String),
    /// Its time was over.
    TimedOut(Duration),
}

impl End {
    /// Words for a check that this broke off.
    pub fn words(&self) -> String {
        match self {
            Self::Done => "the guest ended".to_owned(),
            Self::Died(how) => format!("the guest ended too early ({how})"),
            Self::TimedOut(limit) => format!(
                "the guest hung or was too slow: it was ended after {} s (boot.limit_seconds)",
                limit.as_secs()
            ),
        }
    }
}

/// A guest that ran.
#[derive(Debug)]
pub struct GuestRun {
    /// What it said.
    pub report: Report,
    pub end: End,
    pub console: String,
}

impl GuestRun {
    /// The last lines of the console.
    pub fn last_lines(&self) -> Vec<&str> {
        /// How many an error shows.
        const SHOWN: usize = 20;
        let lines: Vec<&str> = self
            .console
            .lines()
            .map(str::trim_end)
            .filter(|line| !line.is_empty())
            .collect();
        lines[lines.len().saturating_sub(SHOWN)..].to_vec()
    }
}

/// Starts `machine` and waits for its end, at most `limit`. `tell` is called with the name of every check that begins. What QEMU
/// itself says goes to `log`.
pub fn run(
    machine: &Machine<'_>,
    limit: Duration,
    log: &Path,
    tell: &mut dyn FnMut(&str),
) -> Result<GuestRun, Error> {
    for file in [machine.console, machine.report] {
        fs::write(file, "").map_err(at(file))?;
    }
    let mut seen = 0;
    let mut told = 0;
    let mut done: Option<Instant> = None;
    let mut unread = None;
    let mut enough = || {
        let size = fs::metadata(machine.report).map_or(0, |file| file.len());
        if size != seen && done.is_none() {
            seen = size;
            let report = match text(machine.report) {
                Ok(said) => Report::parse(&said),
                Err(error) => {
                    unread = Some(error);
                    return true;
                }
            };
            for check in report.checks.iter().skip(told) {
                tell(&check.name);
            }
            told = report.checks.len();
            done = report.done.then(Instant::now);
        }
        done.is_some_and(|since| since.elapsed() > POWER_OFF)
    };
    let ended = process::watch(&mut machine.command()?, log, limit, &mut enough);
    machine.take_back()?;
    let ended = ended?;
    if let Some(error) = unread {
        return Err(error);
    }
    let report = Report::parse(&text(machine.report)?);
    let end = match ended {
        _ if report.done => End::Done,
        WatchOutcome::TimedOut => End::TimedOut(limit),
        WatchOutcome::Exited(status) if status.success() => {
            End::Died("it panicked or powered off".to_owned())
        }
        WatchOutcome::Exited(status) => {
            End::Died(format!("QEMU: {status}, {}", process::tail(log, 1)))
        }
        WatchOutcome::Stopped => End::Died("waiting for QEMU failed".to_owned()),
    };
    Ok(GuestRun {
        report,
        end,
        console: text(machine.console)?,
    })
}

/// What a serial port said, as far as it can be shown: a guest may say anything, and must not move a reader's cursor. Nothing where there
/// is no file.
pub(super) fn text(path: &Path) -> Result<String, Error> {
    let bytes = lustre_files::if_there(lustre_files::read(path, lustre_files::LARGE))
        .map_err(at(path))?
        .unwrap_or_default();
    let shown = |letter: char| letter == '\n' || letter == '\t' || !letter.is_control();
    Ok(String::from_utf8_lossy(&bytes).replace(|letter| !shown(letter), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_guest_reach_nobody() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), b"one\r\n\x1b[2Jtwo\xff\tx\n").unwrap();
        assert_eq!(text(file.path()).unwrap(), "one\n[2Jtwo\u{fffd}\tx\n");
    }

    #[test]
    fn what_a_guest_said_is_never_empty_because_it_could_not_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let [console, other, none] = ["console", "other", "none"].map(|name| dir.path().join(name));
        assert_eq!(text(&none).unwrap(), "");
        // A guest that tells a lot is heard to its end.
        let length = usize::try_from(lustre_files::TEXT).unwrap();
        fs::write(&console, "x".repeat(length) + "\npanic").unwrap();
        assert!(text(&console).unwrap().ends_with("\npanic"));
        let endless = fs::File::create(&console).unwrap();
        endless.set_len(lustre_files::LARGE + 1).unwrap();
        fs::create_dir(&other).unwrap();
        for path in [&console, &other] {
            let error = text(path).unwrap_err().to_string();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
        }
    }
}
