//! Commits, out of what `git log` says.

use std::borrow::Cow;

/// What git is asked for of each commit. A message has no NUL, so the fields cannot be mistaken; the names of files follow, one a line.
pub const FORMAT: &str = "%x00%H%x00%ct%x00%s%x00%b%x00";

/// How many fields of that there are, with the names.
const FIELDS: usize = 5;

/// A commit, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    pub id: String,
    /// When it was committed, in seconds since 1970.
    pub time: u64,
    /// The first line of its message.
    pub subject: String,
    /// The rest of it.
    pub body: String,
    /// The files that it changes, where git was asked for them.
    pub files: Vec<String>,
}

/// What git said is not what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse git's log at `{0}`")]
pub struct BadLog(String);

/// A commit that another one names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitReference<'a> {
    /// The beginning of its id, in lower case.
    pub id: Option<String>,
    pub subject: Option<Cow<'a, str>>,
}

impl Commit {
    /// The commits of a log in [`FORMAT`], in its order.
    pub fn parse_log(log: &[u8]) -> Result<Vec<Self>, BadLog> {
        let mut fields = log.split(|byte| *byte == 0);
        // What stands before the first one.
        let before = fields.next().unwrap_or_default();
        if !before.is_empty() {
            return Err(BadLog(beginning(before)));
        }
        let fields: Vec<&[u8]> = fields.collect();
        let mut commits = Vec::with_capacity(fields.len() / FIELDS);
        for field in fields.chunks(FIELDS) {
            let &[id, time, subject, body, names] = field else {
                return Err(BadLog(beginning(field[0])));
            };
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let id = text(id);
            let is_id = matches!(id.len(), 40 | 64) && id.chars().all(|c| c.is_ascii_hexdigit());
            let time = text(time).parse().ok().filter(|_| is_id);
            let time = time.ok_or_else(|| BadLog(beginning(id.as_bytes())))?;
            commits.push(Self {
                time,
                subject: text(subject).trim().to_owned(),
                body: text(body),
                files: text(names)
                    .lines()
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect(),
                id,
            });
        }
        Ok(commits)
    }

    /// The ticket that its subject begins with: `LU-20192`.
    pub fn ticket(&self) -> Option<&str> {
        let word = self.subject.split_whitespace().next()?;
        let word = word.trim_end_matches(':');
        is_ticket(word).then_some(word)
    }

    /// The review's ids. A commit that was picked to another branch keeps them.
    pub fn change_ids(&self) -> impl Iterator<Item = &str> {
        let values = self.body.lines().filter_map(|line| {
            let value = line.strip_prefix("Change-Id:")?.split_whitespace().next()?;
            let digits = value.strip_prefix('I')?;
            digits
                .chars()
                .all(|c| c.is_ascii_hexdigit())
                .then_some(value)
        });
        values.filter(|value| value.len() > 8)
    }

    /// Whether it says its review.
    pub fn is_reviewed(&self) -> bool {
        self.change_ids().next().is_some()
    }

    /// The commits that it says it mends, in its lines `Fixes:`.
    pub fn fixes(&self) -> Vec<CommitReference<'_>> {
        let mut named = Vec::new();
        let mut lines = self.body.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(rest) = after_ignoring_case(line.trim_start(), "fixes:") else {
                continue;
            };
            let mut text = Cow::Borrowed(rest.trim());
            // A long subject may go on in the next line.
            if text.contains("(\"")
                && !text.contains("\")")
                && let Some(next) = lines.next_if(|next| next.contains("\")"))
            {
                text = Cow::Owned(format!("{text} {}", next.trim()));
            }
            named.push(CommitReference::of(text));
        }
        named
    }

    /// The commits that it takes back.
    pub fn reverts(&self) -> Vec<CommitReference<'_>> {
        let subject = || {
            let quoted = self.subject.strip_prefix("Revert \"")?.strip_suffix('"')?;
            Some(Cow::Borrowed(quoted))
        };
        let ids = self.body.split("This reverts commit ").skip(1);
        let ids = ids.filter_map(leading_id);
        let mut named: Vec<CommitReference<'_>> = ids
            .map(|id| CommitReference {
                id: Some(id),
                subject: subject(),
            })
            .collect();
        if named.is_empty() && subject().is_some() {
            named.push(CommitReference {
                id: None,
                subject: subject(),
            });
        }
        named
    }
}

impl<'a> CommitReference<'a> {
    /// What stands behind `Fixes:`: an id, a subject in quotes, or both; or a subject alone.
    fn of(text: Cow<'a, str>) -> Self {
        let plain = after_ignoring_case(&text, "commit ").unwrap_or(&text);
        let id = leading_id(plain).or_else(|| described_id(plain));
        let quoted = text
            .split_once('"')
            .and_then(|(_, rest)| rest.rsplit_once('"'))
            .map(|(subject, _)| subject.trim().to_owned());
        let subject = match (&id, quoted) {
            (_, Some(quoted)) => Some(Cow::Owned(quoted)),
            (None, None) if !text.is_empty() => Some(text),
            _ => None,
        };
        Self { id, subject }
    }
}

/// Whether `word` is a ticket's name.
pub fn is_ticket(word: &str) -> bool {
    word.strip_prefix("LU-").is_some_and(|digits| {
        (1..=6).contains(&digits.len())
            && digits.chars().all(|c| c.is_ascii_digit())
            && !digits.starts_with('0')
    })
}

/// The id that `text` begins with: at least six digits, which no word of a subject has.
fn leading_id(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(text.len());
    let word = &text[..end];
    let is_id = (6..=64).contains(&word.len()) && word.chars().all(|c| c.is_ascii_hexdigit());
    is_id.then(|| word.to_ascii_lowercase())
}

/// The id at the end of what `git describe` says: `v2_13_53-65-gbf6e5c0c58`.
fn described_id(text: &str) -> Option<String> {
    let word = text.split_whitespace().next()?;
    let (_, id) = word.rsplit_once("-g")?;
    leading_id(id).filter(|found| found.len() == id.len())
}

fn after_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

/// The first letters, for a message.
fn beginning(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(body: &str) -> Commit {
        Commit {
            body: body.to_owned(),
            ..Commit::default()
        }
    }

    fn named(id: Option<&str>, subject: Option<&'static str>) -> CommitReference<'static> {
        CommitReference {
            id: id.map(str::to_owned),
            subject: subject.map(Cow::Borrowed),
        }
    }

    #[test]
    fn fixes_name_an_id_a_subject_or_both() {
        let commit = said(
            "Text.\n\nFixes: 8da23f070c (\"LU-1 a: b (c)\")\nfixes: Commit ABCDEF01\nFixes: LU-2 x: y\n\
             Fixes: v2_13_53-65-gbf6e5c0c58 (\"LU-3 z\")\nFixes: TBD (\"LU-4 t\")\n\
             Fixes: 12345678 (\"LU-5 so long a subject that\n it goes on\")\nThis Fixes: nothing\nFixes:\n",
        );
        assert_eq!(
            commit.fixes(),
            [
                named(Some("8da23f070c"), Some("LU-1 a: b (c)")),
                named(Some("abcdef01"), None),
                named(None, Some("LU-2 x: y")),
                named(Some("bf6e5c0c58"), Some("LU-3 z")),
                named(None, Some("LU-4 t")),
                named(
                    Some("12345678"),
                    Some("LU-5 so long a subject that it goes on")
                ),
                named(None, None),
            ]
        );
        // A word that could be a number is no id where letters follow.
        assert_eq!(
            said("Fixes: decade of faults").fixes(),
            [named(Some("decade"), None)]
        );
        assert_eq!(
            said("Fixes: facade-x").fixes()[0].id.as_deref(),
            Some("facade")
        );
        assert_eq!(said("Fixes: cafe").fixes(), [named(None, Some("cafe"))]);
    }

    #[test]
    fn reverts_name_what_they_take_back() {
        let mut commit = said("This reverts commit 0123456789abcdef.\n");
        commit.subject = "Revert \"LU-1 a: b\"".to_owned();
        assert_eq!(
            commit.reverts(),
            [named(Some("0123456789abcdef"), Some("LU-1 a: b"))]
        );
        commit.body = "It was wrong.".to_owned();
        assert_eq!(commit.reverts(), [named(None, Some("LU-1 a: b"))]);
        assert!(said("Fixes: 0123456789").reverts().is_empty());
    }

    #[test]
    fn tickets_and_ids_of_reviews() {
        let mut commit = said("x\nChange-Id: I0123456789abcdef\nChange-Id: none\nChange-Id: Iz\n");
        assert_eq!(
            commit.change_ids().collect::<Vec<_>>(),
            ["I0123456789abcdef"]
        );
        for (subject, ticket) in [
            ("LU-20192 ldiskfs: x", Some("LU-20192")),
            ("LU-19819: utils: x", Some("LU-19819")),
            ("LU- x", None),
            ("LU-012 x", None),
            ("New release 2.17.0", None),
        ] {
            commit.subject = subject.to_owned();
            assert_eq!(commit.ticket(), ticket, "{subject}");
        }
    }

    #[test]
    fn a_log_is_read_as_it_is_asked_for() {
        let id = "0123456789abcdef0123456789abcdef01234567";
        let log = format!("\0{id}\x0012\0subject\0body\n\0\n\na/b.c\nd\n\n\0{id}\x0013\0merge\0\0");
        let commits = Commit::parse_log(log.as_bytes()).unwrap();
        assert_eq!(commits.len(), 2);
        assert_eq!(commits[0].files, ["a/b.c", "d"]);
        assert_eq!((commits[0].time, commits[1].time), (12, 13));
        assert!(commits[1].files.is_empty() && commits[1].subject == "merge");
        assert!(Commit::parse_log(b"").unwrap().is_empty());
        for wrong in ["x", "\0abc\x001\0s\0b\0", "\0", &log[..52]] {
            assert!(Commit::parse_log(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }
}
