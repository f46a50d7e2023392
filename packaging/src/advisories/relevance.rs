//! What a commit says and touches, for the order of what is listed.

use serde::Serialize;

use super::commit::Commit;

/// What a commit's message speaks of, the gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Data that is lost.
    DataLoss,
    /// What is on disk or in memory becomes another.
    Corruption,
    /// The kernel or a program ends.
    Crash,
    /// Memory or references are not given back.
    Leak,
    /// Something waits without an end.
    Hang,
    /// Nothing of these.
    Other,
}

/// Words for each, in lower case. They are looked for where a word begins.
const WORDS: [(Impact, &[&str]); 5] = [
    (
        Impact::DataLoss,
        &[
            "data loss",
            "data-loss",
            "lost data",
            "lose data",
            "loses data",
            "losing data",
            "lost write",
            "lost file",
            "file is lost",
            "data is lost",
            "data are lost",
            "data could be lost",
        ],
    ),
    (
        Impact::Corruption,
        &["corrupt", "stale data", "wrong data", "bad data"],
    ),
    (
        Impact::Crash,
        &[
            "panic",
            "crash",
            "oops",
            "kernel bug",
            "bug:",
            "bug_on",
            "lbug",
            "assertion",
            "null pointer",
            "null deref",
            "use-after-free",
            "use after free",
            "double free",
            "double-free",
            "out-of-bound",
            "out of bound",
            "overflow",
            "general protection",
            "uninitialized",
            "div-by-zero",
        ],
    ),
    (Impact::Leak, &["leak"]),
    (
        Impact::Hang,
        &[
            "hang",
            "hung",
            "deadlock",
            "livelock",
            "lockup",
            "stuck",
            "endless",
            "infinite loop",
            "wait forever",
            "waits forever",
        ],
    ),
];

/// Where a fault is worst: the parts that write to servers' disks, then the others of a server. The beginnings of paths, in this order.
const PARTS: [(&str, &str); 13] = [
    ("ldiskfs", "ldiskfs/"),
    ("osd-ldiskfs", "lustre/osd-ldiskfs/"),
    ("mdd", "lustre/mdd/"),
    ("ofd", "lustre/ofd/"),
    ("quota", "lustre/quota/"),
    ("llog", "lustre/obdclass/llog"),
    ("lfsck", "lustre/lfsck/"),
    ("mdt", "lustre/mdt/"),
    ("lod", "lustre/lod/"),
    ("osp", "lustre/osp/"),
    ("target", "lustre/target/"),
    ("ldlm", "lustre/ldlm/"),
    ("ptlrpc", "lustre/ptlrpc/"),
];

/// Beginnings of paths that do no harm to a server that runs.
const HARMLESS: [&str; 7] = [
    "lustre/tests/",
    "lustre/kunit/",
    "Documentation/",
    "lustre/doc/",
    "contrib/",
    "config/",
    "debian/",
];

/// What a commit says and touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Relevance {
    /// What its message speaks of.
    pub says: Impact,
    /// The parts of Lustre whose files it changes, the gravest first.
    pub touches: Vec<String>,
    /// Where the first of them stands in the order.
    #[serde(skip)]
    place: usize,
}

impl Relevance {
    /// That of `commit`.
    pub fn of(commit: &Commit) -> Self {
        let text = format!("{}\n{}", commit.subject, commit.body).to_lowercase();
        let says = WORDS
            .iter()
            .find(|(_, words)| words.iter().any(|word| has_word(&text, word)))
            .map_or(Impact::Other, |(says, _)| *says);
        let mut parts: Vec<(usize, String)> = Vec::new();
        for file in &commit.files {
            let known = PARTS.iter().position(|(_, start)| file.starts_with(start));
            let part = match known {
                Some(place) => (place, PARTS[place].0.to_owned()),
                None if HARMLESS.iter().any(|start| file.starts_with(start)) => {
                    (PARTS.len() + 1, folder(file))
                }
                None => (PARTS.len(), folder(file)),
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts.sort();
        Self {
            says,
            place: parts.first().map_or(PARTS.len(), |(place, _)| *place),
            touches: parts.into_iter().map(|(_, name)| name).collect(),
        }
    }

    /// The lower, the graver. What touches nothing that a server runs is last.
    pub fn order(&self) -> (bool, Impact, usize) {
        (self.place > PARTS.len(), self.says, self.place)
    }
}

/// The folder that says which part a file is of: `lustre/llite`, `lnet`.
fn folder(file: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    let depth = if parts.first() == Some(&"lustre") {
        2
    } else {
        1
    };
    parts.truncate(depth);
    parts.join("/")
}

/// Whether `word` is in `text` where a word begins.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight(subject: &str, files: &[&str]) -> Relevance {
        Relevance::of(&Commit {
            subject: subject.to_owned(),
            files: files.iter().map(|file| (*file).to_owned()).collect(),
            ..Commit::default()
        })
    }

    #[test]
    fn the_gravest_word_counts_where_a_word_begins() {
        for (subject, says) in [
            ("a crash after Silent Data Loss", Impact::DataLoss),
            ("corrupted list, panic", Impact::Corruption),
            ("kernel BUG at x", Impact::Crash),
            ("a ref leaks and hangs", Impact::Leak),
            ("it could hang", Impact::Hang),
            ("this changes and exchanges", Impact::Other),
            ("debug: x", Impact::Other),
        ] {
            assert_eq!(weight(subject, &[]).says, says, "{subject}");
        }
    }

    #[test]
    fn what_writes_to_servers_disks_is_first_and_tests_are_last() {
        let mut all = [
            weight("corrupt", &["lustre/tests/a.sh"]),
            weight("x", &["lustre/llite/a.c"]),
            weight("hang", &["lustre/quota/a.c"]),
            weight("hang", &["lustre/osd-ldiskfs/a.c", "lustre/llite/b.c"]),
            weight("corrupt", &["lnet/klnds/a.c"]),
        ];
        all.sort_by_key(Relevance::order);
        let touched: Vec<String> = all.iter().map(|one| one.touches.join(" ")).collect();
        assert_eq!(
            touched,
            [
                "lnet",
                "osd-ldiskfs lustre/llite",
                "quota",
                "lustre/llite",
                "lustre/tests"
            ]
        );
    }
}
