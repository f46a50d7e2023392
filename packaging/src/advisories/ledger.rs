//! `specs/lustre/safety.toml`: faults of Lustre that somebody has looked at, and what they do.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::commit::is_ticket;
use crate::bounded_toml;
use crate::knowledge::in_order;
use crate::overlay::{Overlay, OverlayError};

/// No ledger is larger (bytes).
const LARGEST: u64 = 1 << 20;

/// Everything that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The series of ldiskfs of upstream's releases, by the name between `ldiskfs-` and `.series`. A fault that lists its series is in
    /// none of the others; of a series that is not among these, nobody knows.
    #[serde(default)]
    pub series: BTreeSet<String>,
    #[serde(default)]
    pub fault: Vec<Fault>,
}

/// What a fault does at its worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// What is on disk becomes another.
    Corruption,
    /// What somebody wrote is gone.
    DataLoss,
    /// A node or a program ends.
    Crash,
    /// Something waits without an end.
    Hang,
    /// Somebody may do what he must not.
    Security,
    /// What is asked for is done wrongly, and nothing is lost by it.
    WrongResult,
}

impl Severity {
    /// Whether nobody is to be given such a fault without knowing.
    pub fn is_grave(self) -> bool {
        matches!(self, Self::Corruption | Self::DataLoss)
    }

    /// As the ledger has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Corruption => "corruption",
            Self::DataLoss => "data-loss",
            Self::Crash => "crash",
            Self::Hang => "hang",
            Self::Security => "security",
            Self::WrongResult => "wrong-result",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    pub ticket: String,
    /// What it is, in a few words.
    pub title: String,
    /// What it does at its worst.
    pub severity: Severity,
    /// What happens, to whom, and when.
    pub does: String,
    /// The first release that has it.
    pub since: String,
    /// The first release that has it no more; none has it mended where not given.
    #[serde(default)]
    pub until: Option<String>,
    /// The series of ldiskfs that have it, by the name between `ldiskfs-` and `.series`; all, and what has no ldiskfs as well, where
    /// not given.
    #[serde(default)]
    pub series: Vec<String>,
    /// The commits that brought it, where they are known.
    #[serde(default)]
    pub causes: Vec<String>,
    /// The commits that mend it.
    #[serde(default)]
    pub changes: Vec<String>,
    /// Our own edits that mend it.
    #[serde(default)]
    pub mend: Vec<OwnFix>,
    /// How it is known.
    pub evidence: String,
}

/// Whether a fault is in what a target builds, before any edit of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concerns {
    /// It is there.
    Yes,
    /// It is not.
    No,
    /// The series of ldiskfs is none of upstream's, so nobody knows.
    Unknown,
}

/// Edits of ours that mend a fault, all of them together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnFix {
    /// The overlay, a folder under `specs/`.
    pub overlay: String,
    /// The names of its edits.
    pub edits: Vec<String>,
}

/// A ledger that cannot be read, or says what cannot be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {}: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The file says something that is not understood, or that cannot be.
    #[error("{file}: {problem}")]
    Malformed { file: String, problem: String },
    #[error("{file}: {ticket} is fixed by the overlay `{overlay}`: {source}")]
    Overlay {
        /// The ledger.
        file: String,
        ticket: String,
        overlay: String,
        source: Box<OverlayError>,
    },
}

impl Ledger {
    /// The file under `specs/`.
    pub const FILE: &str = "lustre/safety.toml";

    /// Reads `specs/lustre/safety.toml`.
    pub fn load(specs: &Path) -> Result<Self, Error> {
        let path = specs.join(Self::FILE);
        let text = lustre_files::read_to_string(&path, LARGEST).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads the text of such a file; `file` is for messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, Error> {
        let malformed = |problem: String| Error::Malformed {
            file: file.to_owned(),
            problem,
        };
        let ledger: Self = bounded_toml::from_str(text).map_err(|e| malformed(e.to_string()))?;
        let mut known = BTreeSet::new();
        for fault in &ledger.fault {
            fault.check().map_err(malformed)?;
            if let Some(series) = (fault.series.iter()).find(|one| !ledger.series.contains(*one)) {
                return Err(malformed(format!(
                    "{} is in the series {series}, which the `series` of upstream's releases do not have",
                    fault.ticket
                )));
            }
            if !known.insert(&fault.ticket) {
                return Err(malformed(format!("{} is there twice", fault.ticket)));
            }
        }
        Ok(ledger)
    }

    /// That the overlays and edits that it names are there.
    pub fn check_mends(&self, specs: &Path) -> Result<(), Error> {
        for fault in &self.fault {
            for mend in &fault.mend {
                let folder = specs.join(&mend.overlay);
                let overlay =
                    Overlay::load_in(specs, &folder, &[]).map_err(|source| Error::Overlay {
                        file: Self::FILE.to_owned(),
                        ticket: fault.ticket.clone(),
                        overlay: mend.overlay.clone(),
                        source: Box::new(source),
                    })?;
                if let Some(edit) = mend.missing_in(&overlay) {
                    return Err(Error::Malformed {
                        file: Self::FILE.to_owned(),
                        problem: format!(
                            "{} is fixed by the edit `{edit}` of the overlay `{}`, which has no edit of that name",
                            fault.ticket, mend.overlay
                        ),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether `fault` is in the release `version` with the series `series` of ldiskfs. A target that does not say its series may have any,
    /// and in a series that is none of upstream's may be what any of these has.
    pub fn concerns(&self, fault: &Fault, version: &str, series: Option<&str>) -> Concerns {
        let listed = fault.series.is_empty()
            || series.is_none_or(|series| fault.series.iter().any(|one| one == series));
        if !fault.is_in(version) {
            Concerns::No
        } else if listed {
            Concerns::Yes
        } else if series.is_some_and(|series| self.series.contains(series)) {
            Concerns::No
        } else {
            Concerns::Unknown
        }
    }

    /// The fault of a ticket.
    pub fn of_ticket(&self, ticket: &str) -> Option<&Fault> {
        self.fault.iter().find(|fault| fault.ticket == ticket)
    }

    /// The fault that the commit `id` mends.
    pub fn of_change(&self, id: &str) -> Option<&Fault> {
        let changes = |fault: &&Fault| fault.changes.iter().any(|change| change == id);
        self.fault.iter().find(changes)
    }
}

impl OwnFix {
    /// The first edit that `overlay` does not have.
    pub(super) fn missing_in(&self, overlay: &Overlay) -> Option<&str> {
        let there = |name: &&String| overlay.manifest.edit.iter().any(|edit| edit.name == **name);
        self.edits
            .iter()
            .find(|name| !there(name))
            .map(String::as_str)
    }
}

impl Fault {
    /// Whether the release `version` has it, with one series of ldiskfs or another.
    pub fn is_in(&self, version: &str) -> bool {
        in_order(version, &self.since).is_ge()
            && self
                .until
                .as_ref()
                .is_none_or(|until| in_order(version, until).is_lt())
    }

    fn check(&self) -> Result<(), String> {
        let ticket = &self.ticket;
        if !is_ticket(ticket) {
            return Err(format!(
                "`{ticket}` is not a Lustre ticket, such as LU-20192"
            ));
        }
        for (key, value) in [("since", Some(&self.since)), ("until", self.until.as_ref())] {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            if let Some(value) = value
                && !(value.starts_with(|c: char| c.is_ascii_digit()) && value.chars().all(plain))
            {
                return Err(format!(
                    "{ticket}: `{key}` is a release of Lustre, such as 2.17.0, not `{value}`"
                ));
            }
        }
        if let Some(until) = &self.until
            && in_order(&self.since, until).is_ge()
        {
            return Err(format!(
                "{ticket}: no release has it, since {} (`since`) is not before {until} (`until`)",
                self.since
            ));
        }
        for (key, text) in [
            ("title", &self.title),
            ("does", &self.does),
            ("evidence", &self.evidence),
        ] {
            if text.trim().is_empty() {
                return Err(format!("{ticket}: `{key}` is empty"));
            }
        }
        for id in self.causes.iter().chain(&self.changes) {
            if id.len() != 40 || !id.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
                return Err(format!(
                    "{ticket}: a commit is 40 digits (0-9 and a-f), not `{id}`"
                ));
            }
        }
        if self.until.is_some() && self.changes.is_empty() {
            return Err(format!(
                "{ticket}: it has an `until` and no `changes`: which commits fixed it?"
            ));
        }
        match self.mend.iter().find(|mend| mend.edits.is_empty()) {
            Some(mend) => Err(format!(
                "{ticket}: the overlay `{}` is listed as its fix, without an edit",
                mend.overlay
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn one(lines: &str) -> Result<Ledger, String> {
        let text = format!(
            "[[fault]]\ntitle = 't'\nseverity = 'corruption'\ndoes = 'd'\nevidence = 'e'\n{lines}"
        );
        Ledger::parse(&text, "safety.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_is_told_with_its_ticket() {
        let good = format!(
            "ticket = 'LU-1'\nsince = '2.16.0-RC1'\nuntil = '2.16.0'\nchanges = ['{ID}']\n"
        );
        assert!(one(&good).is_ok());
        for (from, to, words) in [
            ("LU-1", "EX-1", "`EX-1` is not a Lustre ticket"),
            ("LU-1", "LU-", "`LU-` is not a Lustre ticket"),
            ("LU-1", "LU-1x", "not a Lustre ticket"),
            (
                "2.16.0-RC1",
                "2.16.1",
                "LU-1: no release has it, since 2.16.1",
            ),
            ("2.16.0-RC1", "2.16.0", "is not before 2.16.0"),
            ("2.16.0-RC1", "b2_16", "`since` is a release"),
            (ID, "01234567", "40 digits"),
            (ID, &ID.to_uppercase(), "40 digits"),
            ("changes", "causes", "which commits fixed it"),
        ] {
            let error = one(&good.replace(from, to)).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
            assert!(error.starts_with("safety.toml: "), "{error}");
        }
        let twice =
            format!("{good}[[fault]]\ntitle='t'\nseverity='hang'\ndoes='d'\nevidence='e'\n{good}");
        assert!(one(&twice).unwrap_err().contains("LU-1 is there twice"));
        for (lines, words) in [
            ("seveirty = 'x'\n", "seveirty"),
            (
                "mend = [{ overlay = 'a', edits = [] }]\n",
                "without an edit",
            ),
        ] {
            let error = one(&format!("{good}{lines}")).unwrap_err();
            assert!(error.contains(words), "{words}: {error}");
        }
        let error = one(&good).and_then(|_| one(&good.replace("'LU-1'", "'LU-1'\ntitle = ' '")));
        assert!(error.is_err());
    }

    #[test]
    fn a_fault_concerns_releases_and_series() {
        let text = format!(
            "[[fault]]\nticket = 'LU-1'\ntitle = 't'\nseverity = 'corruption'\ndoes = 'd'\nevidence = 'e'\nsince = '2.16.0'\n\
             until = '2.17.53'\nchanges = ['{ID}']\nseries = ['a', 'b']\n"
        );
        let error = Ledger::parse(&text, "safety.toml").unwrap_err().to_string();
        assert!(error.contains("LU-1 is in the series a"), "{error}");
        let text = format!("series = ['a', 'b', 'c']\n{text}");
        let ledger = Ledger::parse(&text, "safety.toml").unwrap();
        let fault = &ledger.fault[0];
        for (version, series, concerned) in [
            ("2.16.0", Some("a"), Concerns::Yes),
            ("2.16.0-RC1", Some("a"), Concerns::No),
            ("2.17.52", Some("b"), Concerns::Yes),
            ("2.17.53", Some("a"), Concerns::No),
            ("2.17.57_62_gc881f8e", Some("a"), Concerns::No),
            ("2.17.0", Some("c"), Concerns::No),
            ("2.17.0", None, Concerns::Yes),
            ("2.17.0", Some("a-of-a-site"), Concerns::Unknown),
            ("2.17.53", Some("a-of-a-site"), Concerns::No),
        ] {
            assert_eq!(
                ledger.concerns(fault, version, series),
                concerned,
                "{version} {series:?}"
            );
        }
        assert_eq!(ledger.of_change(ID), Some(fault));
        assert_eq!(ledger.of_ticket("LU-2"), None);
    }

    #[test]
    fn the_project_s_ledger_names_what_is_there() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let ledger = Ledger::load(&specs).unwrap();
        ledger.check_mends(&specs).unwrap();
        assert!(ledger.of_ticket("LU-20192").is_some());
        let mut wrong = ledger.clone();
        let fault = wrong.fault.iter_mut().find(|fault| !fault.mend.is_empty());
        let mend = &mut fault.unwrap().mend[0];
        mend.edits.push("no-such-edit".to_owned());
        let error = wrong.check_mends(&specs).unwrap_err().to_string();
        assert!(error.contains("`no-such-edit`"), "{error}");
        wrong.fault[0].mend = vec![OwnFix {
            overlay: "lustre/no".to_owned(),
            edits: vec!["x".to_owned()],
        }];
        let error = wrong.check_mends(&specs).unwrap_err().to_string();
        assert!(error.contains("`lustre/no`"), "{error}");
    }
}
