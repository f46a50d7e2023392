//! The result of a proof: one entry per check, as JSON for machines and as a line for people.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::json_file;

/// The report's file at the top of a repository.
pub const FILE: &str = "proof.json";

/// The format's version; a reader refuses a higher one. Version 1 had durations in every check.
pub const FORMAT: u32 = 2;

/// What the file is, in errors.
const WHAT: &str = "proof";

/// A report that cannot be written, read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] json_file::Error),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What was checked holds.
    Pass,
    /// It does not.
    Fail,
    /// It could not be checked: a tool or an input was not there. Counts as a failure.
    NotRun,
    /// There is nothing that it could be checked on: a first release has none to upgrade from. Neither a failure nor a pass.
    NotNeeded,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::NotRun => "not run",
            Self::NotNeeded => "not needed",
        })
    }
}

/// One check and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The name: lower case, with dashes.
    pub name: String,
    pub result: Outcome,
    /// What was looked at: `14 packages`, …
    pub checked: String,
    /// What was found; several lines where several things are wrong.
    pub message: String,
    /// How long it took, in milliseconds; not in what is published, which is the same whoever checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The file with all findings or the output of the tool, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<PathBuf>,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything holds.
    Pass {
        /// What was looked at.
        checked: String,
        /// What is worth saying all the same.
        note: String,
    },
    /// Something does not hold.
    Fail {
        /// What was looked at.
        checked: String,
        /// One line for each thing that is wrong.
        findings: Vec<String>,
    },
    /// Nothing could be said.
    NotRun(String),
    /// There is nothing to check, and why.
    NotNeeded(String),
}

impl Verdict {
    /// Pass where there are no findings.
    pub fn from_findings(checked: impl Into<String>, findings: Vec<String>) -> Self {
        let checked = checked.into();
        if findings.is_empty() {
            Self::Pass {
                checked,
                note: String::new(),
            }
        } else {
            Self::Fail { checked, findings }
        }
    }
}

/// The result of `work`, or in words that it panicked: a fault of ours that a hostile input found says nothing of that input, and must
/// not end all other checks.
pub(super) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    // What the work has left half done is not looked at again.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).map_err(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        format!("the check itself crashed, which is a bug in this tool: {what}")
    })
}

impl Check {
    /// A check that was not made.
    pub fn not_run(name: &str, why: &str) -> Self {
        Self::unmade(name, Outcome::NotRun, why)
    }

    /// A check that there is nothing for.
    pub fn not_needed(name: &str, why: &str) -> Self {
        Self::unmade(name, Outcome::NotNeeded, why)
    }

    fn unmade(name: &str, result: Outcome, why: &str) -> Self {
        Self {
            name: name.to_owned(),
            result,
            checked: String::new(),
            message: why.to_owned(),
            duration_ms: None,
            log: None,
        }
    }

    /// Runs a check and takes its time. One that panics has not run. Where there are more findings than fit in a message, all of them go to
    /// `logs/<name>.log`.
    pub fn run(name: &str, logs: &Path, check: impl FnOnce() -> Verdict) -> Self {
        /// How many findings a message shows.
        const SHOWN: usize = 12;
        let path = logs.join(format!("{name}.log"));
        // One that cannot be removed is told where it is to be written.
        let begun = lustre_process::begin_log(&path);
        let start = Instant::now();
        let verdict = guarded(check).unwrap_or_else(Verdict::NotRun);
        let duration_ms = u64::try_from(start.elapsed().as_millis()).ok();
        let (result, checked, message, log) = match verdict {
            Verdict::Pass { checked, note } => (Outcome::Pass, checked, note, None),
            Verdict::NotRun(why) => (Outcome::NotRun, String::new(), why, None),
            Verdict::NotNeeded(why) => (Outcome::NotNeeded, String::new(), why, None),
            Verdict::Fail { checked, findings } => {
                let mut message = findings[..findings.len().min(SHOWN)].join("\n");
                let mut log = None;
                if findings.len() > SHOWN {
                    message.push_str(&format!("\n… and {} more", findings.len() - SHOWN));
                    let text = findings.join("\n") + "\n";
                    let written =
                        begun.and_then(|()| lustre_files::write_whole(&path, text.as_bytes()));
                    match written {
                        Ok(()) => log = Some(path),
                        Err(error) => message
                            .push_str(&format!(" (cannot write {}: {error})", path.display())),
                    }
                }
                (Outcome::Fail, checked, message, log)
            }
        };
        Self {
            name: name.to_owned(),
            result,
            checked,
            message,
            duration_ms,
            log,
        }
    }
}

/// All checks of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// [`FORMAT`].
    pub format: u32,
    /// The target's name.
    pub target: String,
    /// The version of the tool that checked.
    pub tool_version: String,
    /// The SHA-256 of the `SHA256SUMS` that was checked: it ties the proof to one repository. None where there was none that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sums_sha256: Option<String>,
    /// The checks, in the order they ran.
    pub checks: Vec<Check>,
}

impl Proof {
    /// As it is published: without the durations and logs of the machine that checked, and without what `folders` of it are called. The first of them that a
    /// path begins with counts, so the deeper ones come first.
    #[must_use]
    pub fn published(mut self, folders: &[&Path]) -> Self {
        let without = |text: &mut String| {
            for folder in folders.iter().filter(|folder| folder.parent().is_some()) {
                *text = text.replace(&format!("{}/", folder.display()), "");
            }
        };
        for check in &mut self.checks {
            without(&mut check.checked);
            without(&mut check.message);
            check.log = None;
            check.duration_ms = None;
        }
        self
    }

    /// Whether every check that is needed passed, and there was one at all.
    pub fn holds(&self) -> bool {
        let mut needed = self
            .checks
            .iter()
            .filter(|check| check.result != Outcome::NotNeeded)
            .peekable();
        needed.peek().is_some() && needed.all(|check| check.result == Outcome::Pass)
    }

    /// One line: `14 checks: 12 pass, 1 fail (closure), 1 not run (repoclosure)`.
    pub fn summary(&self) -> String {
        let mut text = format!("{} checks", self.checks.len());
        let mut separator = ": ";
        for outcome in [
            Outcome::Pass,
            Outcome::Fail,
            Outcome::NotRun,
            Outcome::NotNeeded,
        ] {
            let names: Vec<&str> = self
                .checks
                .iter()
                .filter(|c| c.result == outcome)
                .map(|c| c.name.as_str())
                .collect();
            if names.is_empty() {
                continue;
            }
            text.push_str(&format!("{separator}{} {outcome}", names.len()));
            if outcome != Outcome::Pass {
                text.push_str(&format!(" ({})", names.join(", ")));
            }
            separator = ", ";
        }
        text
    }

    /// The report as JSON.
    pub fn to_json(&self) -> String {
        // A path that is not UTF-8 cannot come from `Check::run` with a UTF-8 log folder.
        json_file::text(self)
    }

    /// Reads a report.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Ok(json_file::read(WHAT, path, FORMAT)?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn proof(checks: Vec<Check>) -> Proof {
        Proof {
            format: FORMAT,
            target: "test".to_owned(),
            tool_version: "1".to_owned(),
            sums_sha256: None,
            checks,
        }
    }

    fn check(name: &str, verdict: Verdict) -> Check {
        Check::run(name, Path::new("/nonexistent"), || verdict)
    }

    #[test]
    fn what_is_published_says_nothing_of_the_machine_that_checked() {
        let said =
            "/srv/store/stages/assemble-1/tree/x86_64/a.rpm: not signed; see /srv/store/logs/a";
        let many = vec![said.to_owned(); 20];
        let logs = tempfile::tempdir().unwrap();
        let checked = Check::run("one", logs.path(), || Verdict::from_findings(said, many));
        assert!(checked.log.is_some());
        let all = proof(vec![checked]);
        let store = Path::new("/srv/store");
        let published =
            all.published(&[&store.join("stages/assemble-1/tree"), store, Path::new("/")]);
        let check = &published.checks[0];
        assert_eq!(check.checked, "x86_64/a.rpm: not signed; see logs/a");
        assert!(
            check.message.starts_with("x86_64/a.rpm"),
            "{}",
            check.message
        );
        let text = published.to_json();
        assert!(
            !text.contains("/srv") && !text.contains(logs.path().to_str().unwrap()),
            "{text}"
        );
        assert!(!text.contains("duration"), "{text}");
    }

    #[test]
    fn what_did_not_run_fails() {
        let pass = check("one", Verdict::from_findings("1 file", vec![]));
        let not_run = check("two", Verdict::NotRun("no rpmkeys".to_owned()));
        let proof = proof(vec![pass, not_run]);
        assert!(!proof.holds());
        assert_eq!(proof.summary(), "2 checks: 1 pass, 1 not run (two)");
    }

    #[test]
    fn a_check_that_panics_has_not_run() {
        let broken = Check::run("one", Path::new("/nonexistent"), || panic!("of {}", "it"));
        assert_eq!(broken.result, Outcome::NotRun);
        assert!(broken.message.ends_with("of it"), "{}", broken.message);
    }

    #[test]
    fn nothing_checked_proves_nothing() {
        assert!(!proof(vec![]).holds());
        assert!(!proof(vec![Check::not_needed("two", "nothing before")]).holds());
    }

    #[test]
    fn what_is_not_needed_neither_fails_nor_passes() {
        let pass = check("one", Verdict::from_findings("1 file", vec![]));
        let not_needed = check("two", Verdict::NotNeeded("nothing before".to_owned()));
        let mut proof = proof(vec![pass, not_needed]);
        assert!(proof.holds());
        assert_eq!(proof.summary(), "2 checks: 1 pass, 1 not needed (two)");
        assert!(proof.to_json().contains("\"result\": \"not-needed\""));
        proof.checks.push(Check::not_run("three", "no tool"));
        assert!(!proof.holds());
    }

    #[test]
    fn what_an_earlier_run_found_is_gone() {
        let logs = tempfile::tempdir().unwrap();
        let log = logs.path().join("closure.log");
        fs::write(&log, "finding of an earlier run").unwrap();
        let check = Check::run("closure", logs.path(), || {
            Verdict::from_findings("100 things", Vec::new())
        });
        assert_eq!((check.result, check.log), (Outcome::Pass, None));
        assert!(!log.exists());
    }

    #[test]
    fn many_findings_go_to_a_log() {
        let logs = tempfile::tempdir().unwrap();
        let findings: Vec<String> = (0..100).map(|n| format!("finding {n}")).collect();
        let check = Check::run("closure", logs.path(), || {
            Verdict::from_findings("100 things", findings)
        });
        assert_eq!(check.result, Outcome::Fail);
        assert!(
            check.message.ends_with("… and 88 more"),
            "{}",
            check.message
        );
        let log = fs::read_to_string(check.log.as_ref().unwrap()).unwrap();
        assert_eq!(log.lines().count(), 100);

        let path = logs.path().join(FILE);
        let proof = proof(vec![check]);
        fs::write(&path, proof.to_json()).unwrap();
        assert_eq!(Proof::read(&path).unwrap(), proof);
        assert!(
            fs::read_to_string(&path)
                .unwrap()
                .contains("\"result\": \"fail\"")
        );
    }
}
