//! What was checked and how it came out, for people and for programs.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::overlay::patch::Failure;

/// How a check came out; the words are those of `proof.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It fits.
    Pass,
    /// It does not fit.
    Fail,
    /// It does not fit, and the user said, on the command line or in the target, to go on all the same.
    Waived,
    /// The target has nothing of the kind; the message says what.
    NotNeeded,
    /// What is looked at is not there; the message says what to do for it.
    NotRun,
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Waived => "waived",
            Self::NotNeeded => "not needed",
            Self::NotRun => "not run",
        })
    }
}

/// One thing that does not fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What, in words that say patch, file and hunk as well.
    pub message: String,
    /// The patch, as its series names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<String>,
    /// The file that the patch, the edit or the requirement is about, relative to its tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The hunk's number among those of this file in this patch, counted from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hunk: Option<usize>,
    /// The line, counted from 1: of the hunk's header in the patch, of the requirement in its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

impl Problem {
    /// A problem that is told by words alone.
    pub fn new(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            ..Self::default()
        }
    }

    /// A problem of one file.
    pub fn of_file(file: &str, message: impl fmt::Display) -> Self {
        Self {
            file: Some(file.to_owned()),
            ..Self::new(message)
        }
    }

    /// A patch that does not apply.
    pub(super) fn of_patch(patch: &str, failure: &Failure) -> Self {
        let shown = |path: &PathBuf| Some(path.display().to_string());
        let (file, hunk, line) = match failure {
            Failure::Hunk {
                file, hunk, line, ..
            } => (shown(file), Some(*hunk), (*line > 0).then_some(*line)),
            Failure::NoFile(file)
            | Failure::AlreadyApplied(file)
            | Failure::NotEmpty(file)
            | Failure::Stray(file)
            | Failure::NoFileMade(file) => (shown(file), None, None),
            Failure::Busy | Failure::Other(_) => (None, None, None),
        };
        Self {
            message: format!("{patch}: {failure}"),
            patch: Some(patch.to_owned()),
            file,
            hunk,
            line,
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What is checked, such as `ldiskfs series`.
    pub check: String,
    /// How it came out.
    pub result: Verdict,
    /// What was looked at, and the result in a sentence.
    pub message: String,
    /// Everything that does not fit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// What to choose or do instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Check {
    /// A check that passes where there are no problems.
    pub fn of(check: &str, message: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self {
            check: check.to_owned(),
            result: if problems.is_empty() {
                Verdict::Pass
            } else {
                Verdict::Fail
            },
            message: message.into(),
            problems,
            hint: None,
        }
    }

    /// A check for which the target has nothing.
    pub fn not_needed(check: &str, why: impl Into<String>) -> Self {
        Self {
            result: Verdict::NotNeeded,
            ..Self::of(check, why, Vec::new())
        }
    }

    /// A check that cannot be made.
    pub fn not_run(check: &str, why: impl Into<String>) -> Self {
        Self {
            result: Verdict::NotRun,
            ..Self::of(check, why, Vec::new())
        }
    }

    /// What to do where it fails; without effect where it does not.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if self.result == Verdict::Fail {
            self.hint = Some(hint.into());
        }
        self
    }
}

/// How many problems are shown of a check that is waived: those who waived it know of them.
const SHOWN_OF_WAIVED: usize = 10;

/// One line for the check, one for each problem, and the hint.
impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:<10} {:<17} {}",
            self.result, self.check, self.message
        )?;
        let shown = match self.result {
            Verdict::Waived => self.problems.len().min(SHOWN_OF_WAIVED),
            _ => self.problems.len(),
        };
        for problem in &self.problems[..shown] {
            for (number, line) in problem.message.lines().enumerate() {
                let indent = if number == 0 { "- " } else { "  " };
                write!(out, "\n           {indent}{line}")?;
            }
        }
        let more = self.problems.len() - shown;
        if more > 0 {
            write!(out, "\n           … and {more} more (--json has all)")?;
        }
        match &self.hint {
            Some(hint) => write!(out, "\n           {hint}"),
            None => Ok(()),
        }
    }
}

/// All checks of a target, in the order of the graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub target: String,
    /// Whether nothing fails.
    pub fits: bool,
    pub checks: Vec<Check>,
}

impl Report {
    /// The report of `checks`.
    pub fn new(target: &str, checks: Vec<Check>) -> Self {
        Self {
            target: target.to_owned(),
            fits: checks.iter().all(|check| check.result != Verdict::Fail),
            checks,
        }
    }

    /// How many checks came out as `verdict`.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.result == verdict)
            .count()
    }

    /// One line for all of it.
    pub fn summary(&self) -> String {
        let mut parts = vec![format!(
            "{} of {} fit",
            self.count(Verdict::Pass),
            counted(self.checks.len(), "check")
        )];
        for (verdict, one, more) in [
            (Verdict::Fail, "does not", "do not"),
            (Verdict::Waived, "is waived", "are waived"),
            (Verdict::NotNeeded, "is not needed", "are not needed"),
            (Verdict::NotRun, "is not run", "are not run"),
        ] {
            match self.count(verdict) {
                0 => {}
                1 => parts.push(format!("1 {one}")),
                count => parts.push(format!("{count} {more}")),
            }
        }
        format!("preflight of {}: {}", self.target, parts.join(", "))
    }
}

/// `1 edit`, `2 edits`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hunk_is_told_to_people_and_to_programs() {
        let failure = Failure::Hunk {
            file: "fs/ext4/xattr.c".into(),
            hunk: 3,
            line: 40,
            near: 17,
        };
        let check = Check::of(
            "ldiskfs series",
            "1 of 2 patches apply",
            vec![Problem::of_patch("base/a.patch", &failure)],
        )
        .hint("choose another");
        let text = check.to_string();
        assert!(
            text.starts_with("fail       ldiskfs series    1 of 2")
                && text.contains("base/a.patch: fs/ext4/xattr.c: hunk 3")
                && text.ends_with("choose another"),
            "{text}"
        );
        let json = serde_json::to_value(Report::new("t", vec![check])).unwrap();
        assert_eq!(json["fits"], false);
        let problem = &json["checks"][0]["problems"][0];
        assert_eq!(problem["patch"], "base/a.patch");
        assert_eq!(problem["file"], "fs/ext4/xattr.c");
        assert_eq!(problem["hunk"], 3);
        assert_eq!(problem["line"], 40);
        assert_eq!(json["checks"][0]["result"], "fail");
    }

    #[test]
    fn what_is_waived_or_not_needed_does_not_fail_and_is_counted() {
        let many: Vec<Problem> = (0..12).map(|n| Problem::new(format!("p{n}"))).collect();
        let mut waived = Check::of("a", "m", many);
        assert!(waived.to_string().contains("- p11"));
        waived.result = Verdict::Waived;
        let text = waived.to_string();
        assert!(text.contains("- p9\n") && !text.contains("p10"), "{text}");
        assert!(text.ends_with("… and 2 more (--json has all)"), "{text}");
        let report = Report::new("t", vec![waived, Check::not_needed("b", "nothing")]);
        assert!(report.fits);
        assert_eq!(
            report.summary(),
            "preflight of t: 0 of 2 checks fit, 1 is waived, 1 is not needed"
        );
        assert_eq!(Check::of("c", "m", Vec::new()).hint("no").hint, None);
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
        assert!(text.contains("\"not-needed\""), "{text}");
    }
}
