//! What a program on a server said, and how it ended: a check that looks at one of them alone passes when the program dies without a
//! word, or complains and ends well.

use std::process::ExitStatus;

/// A program's status and output.
#[derive(Debug)]
pub struct ProgramOutput {
    status: ExitStatus,
    /// Its standard output.
    pub output: String,
    /// The lines of standard output and standard error that are not blank.
    pub lines: Vec<String>,
    errors: Vec<String>,
}

impl ProgramOutput {
    /// What a program said that ended with `status`.
    #[must_use]
    pub fn new(status: ExitStatus, output: &[u8], errors: &[u8]) -> Self {
        let lines = |bytes: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(bytes)
                .lines()
                .filter(|line| !line.trim().is_empty())
                .map(str::to_owned)
                .collect()
        };
        let errors = lines(errors);
        Self {
            status,
            output: String::from_utf8_lossy(output).into_owned(),
            lines: lines(output).into_iter().chain(errors.clone()).collect(),
            errors,
        }
    }

    /// The same without its standard output.
    pub fn errors_only(&self) -> Self {
        Self {
            status: self.status,
            output: self.output.clone(),
            lines: self.errors.clone(),
            errors: self.errors.clone(),
        }
    }

    /// Its exit code; none where a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// A finding where `what` failed.
    pub fn failed(&self, what: &str) -> Option<String> {
        (!self.status.success()).then(|| {
            let said = match self.lines.last() {
                Some(line) => format!(": {line}"),
                None => " and said nothing".to_owned(),
            };
            format!("{what} failed ({}){said}", self.status)
        })
    }

    /// A finding where `what` failed without a word.
    pub fn silent(&self, what: &str) -> Option<String> {
        self.failed(what).filter(|_| self.lines.is_empty())
    }

    /// Everything that `what` said is a finding, and that it failed where it said nothing.
    pub fn findings(self, what: &str) -> Vec<String> {
        match self.silent(what) {
            Some(finding) => vec![finding],
            None => {
                let ended = self.ended_early(what);
                self.lines.into_iter().chain(ended).collect()
            }
        }
    }

    /// A finding where a signal ended `what`: it may have said but a part.
    pub fn ended_early(&self, what: &str) -> Option<String> {
        let ended = self.code().is_none();
        ended.then(|| format!("{what} was ended ({})", self.status))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn said(status: i32, output: &str, errors: &str) -> ProgramOutput {
        ProgramOutput::new(
            ExitStatus::from_raw(status),
            output.as_bytes(),
            errors.as_bytes(),
        )
    }

    #[test]
    fn status_and_output_are_both_judged() {
        let (well, failed, killed) = (0, 1 << 8, 9);
        assert_eq!(said(well, "\n", "").findings("x"), [] as [&str; 0]);
        assert_eq!(said(well, "a\n", "b\n").findings("x"), ["a", "b"]);
        assert_eq!(said(failed, "a\n", "").findings("x"), ["a"]);
        for (status, text) in [(failed, "exit status: 1"), (killed, "signal: 9")] {
            let findings = said(status, "", "").findings("x");
            assert!(
                findings[0].contains(text) && findings[0].contains("said nothing"),
                "{findings:?}"
            );
        }
        let findings = said(killed, "a\n", "").findings("x");
        assert!(findings[1].contains("signal: 9"), "{findings:?}");
        assert!(said(killed, "a\n", "").ended_early("x").is_some());
        assert_eq!(said(failed, "a\n", "").ended_early("x"), None);
        let depmod = said(failed, "alias x y\n", "");
        assert!(depmod.errors_only().findings("x")[0].contains("said nothing"));
        assert_eq!(said(well, "fine", "").failed("x"), None);
        assert!(
            said(failed, "", "why")
                .failed("x")
                .unwrap()
                .ends_with(": why")
        );
    }
}
