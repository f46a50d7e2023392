//! What the guest says over its second serial port; `specs/boot/README.md` has the format.

/// The first line of a report.
pub const FIRST_LINE: &str = "lustre-repo-boot 1";

/// The check that every guest begins with: user space is up and prepared.
pub const START: &str = "start";

/// All that a guest said.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// Whether the first line was there: the guest's first process runs and knows this format.
    pub begun: bool,
    /// The checks, in the order they began.
    pub checks: Vec<Reported>,
    /// Whether the guest said that it is done.
    pub done: bool,
    /// Lines that are no lines of a report: the port was disturbed.
    pub stray: Vec<String>,
}

/// What the guest said of one check.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    pub name: String,
    /// When it began, in seconds since power-on.
    pub began: f64,
    /// Its status and when it ended, in seconds since power-on; nothing where it did not.
    pub ended: Option<(i32, f64)>,
    /// What it and its programs printed.
    pub output: Vec<String>,
    /// What it saw.
    pub evidence: Vec<String>,
    pub findings: Vec<String>,
}

impl Report {
    /// Reads a report, or as much of it as there is: a last line without its end is left for later.
    pub fn parse(text: &str) -> Self {
        let mut report = Self::default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.split('\n') {
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            if !report.take(line) {
                report.stray.push(line.to_owned());
            }
        }
        report
    }

    /// The check `name`, where it began.
    pub fn check(&self, name: &str) -> Option<&Reported> {
        self.checks.iter().find(|check| check.name == name)
    }

    /// The check that began and did not end.
    pub fn running(&self) -> Option<&Reported> {
        self.checks.last().filter(|check| check.ended.is_none())
    }

    /// Whether the line belongs here.
    fn take(&mut self, line: &str) -> bool {
        if !self.begun {
            self.begun = line == FIRST_LINE;
            return self.begun;
        }
        if self.done {
            return false;
        }
        if line == "done" {
            self.done = self.running().is_none();
            return self.done;
        }
        let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
        if kind == "begin" {
            return self.begin(rest);
        }
        let Some(check) = self.checks.last_mut().filter(|check| check.ended.is_none()) else {
            return false;
        };
        match kind {
            "|" => check.output.push(rest.to_owned()),
            "=" => check.evidence.push(rest.to_owned()),
            "!" => check.findings.push(rest.to_owned()),
            "end" => return check.end(rest),
            _ => return false,
        }
        true
    }

    fn begin(&mut self, rest: &str) -> bool {
        let Some((name, Ok(began))) = rest.split_once(' ').map(|(n, t)| (n, t.parse())) else {
            return false;
        };
        if self.running().is_some() || self.check(name).is_some() {
            return false;
        }
        self.checks.push(Reported {
            name: name.to_owned(),
            began,
            ..Reported::default()
        });
        true
    }
}

impl Reported {
    fn end(&mut self, rest: &str) -> bool {
        let words: Vec<&str> = rest.split(' ').collect();
        let [name, status, when] = words[..] else {
            return false;
        };
        match (status.parse(), when.parse()) {
            (Ok(status), Ok(when)) if name == self.name => {
                self.ended = Some((status, when));
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "lustre-repo-boot 1\r\nbegin start 3.10\r\nend start 0 4.20\r\nbegin mount 4.3\n| Format mds1\n|\n| end mount 0 5\n= mounted\n\
                         ! odd: it\nend mount 1 60.5\ndone\n";

    #[test]
    fn a_report_is_read_whole() {
        let report = Report::parse(WHOLE);
        assert!(
            report.begun && report.done && report.stray.is_empty(),
            "{report:?}"
        );
        assert!(report.running().is_none());
        let mount = report.check("mount").unwrap();
        assert_eq!(mount.ended, Some((1, 60.5)));
        // What a program prints is never taken for a word of the report.
        assert_eq!(mount.output, ["Format mds1", "", "end mount 0 5"]);
        assert_eq!(mount.evidence, ["mounted"]);
        assert_eq!(mount.findings, ["odd: it"]);
        assert_eq!(report.check(START).unwrap().ended, Some((0, 4.2)));
    }

    #[test]
    fn at_any_point_what_is_there_is_read() {
        for end in 0..WHOLE.len() {
            let report = Report::parse(&WHOLE[..end]);
            assert!(report.stray.is_empty() && !report.done, "{end}: {report:?}");
        }
        let running = Report::parse("lustre-repo-boot 1\nbegin mount 4\n| half a li");
        assert_eq!(running.running().unwrap().name, "mount");
        assert_eq!(running.running().unwrap().output, [""; 0]);
    }

    #[test]
    fn a_disturbed_report_does_not_pass_for_a_whole_one() {
        for text in [
            "hello\n",
            "lustre-repo-boot 2\nbegin a 1\nend a 0 2\ndone\n",
            "lustre-repo-boot 1\nbegin a 1\ndone\n",
            "lustre-repo-boot 1\nbegin a 1\nbegin b 2\nend b 0 3\n",
            "lustre-repo-boot 1\nbegin a 1\nend b 0 3\n",
            "lustre-repo-boot 1\nbegin a 1\nend a 0\n",
            "lustre-repo-boot 1\nbegin a 1\nend a 0 2\nbegin a 3\nend a 0 4\n",
            "lustre-repo-boot 1\n= evidence of nothing\n",
            "lustre-repo-boot 1\nbegin a 1\nend a 0 2\ndone\n| more\n",
        ] {
            let report = Report::parse(text);
            assert!(!report.stray.is_empty(), "{text:?}: {report:?}");
        }
    }
}
