//! What moved between two locks, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rpm_version::Evr;

use super::Lock;
use crate::source::Locked;

/// What a new lock has other than an old one. As text: a line for every source and a count of the packages, with the first of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diff {
    /// One line for every source that changed: `kernel: a.src.rpm -> b.src.rpm`.
    pub sources: Vec<String>,
    /// One line for every package: `gcc.x86_64: 8.5.0-1 -> 8.5.0-2`, `+ new 1-1`, `- old 1-1`.
    pub packages: Vec<String>,
    /// Those of both that go down to an older version.
    pub older: Vec<String>,
}

impl Diff {
    /// From `old` to `new`.
    pub fn of(old: &Lock, new: &Lock) -> Self {
        let mut older = older(&source_packages(old), &source_packages(new));
        older.extend(self::older(&packages(old), &packages(new)));
        Self {
            sources: changes(&sources(old), &sources(new)),
            packages: changes(&packages(old), &packages(new)),
            older,
        }
    }

    /// True where the two pin the same.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.packages.is_empty()
    }
}

/// How many packages are shown; all of them are in the lock.
const SHOWN: usize = 20;

impl fmt::Display for Diff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "nothing moved");
        }
        let mut lines = self.sources.clone();
        lines.extend(self.packages.iter().take(SHOWN).cloned());
        if self.packages.len() > SHOWN {
            lines.push(format!("and {} more packages", self.packages.len() - SHOWN));
        }
        write!(f, "{}", lines.join("\n"))
    }
}

type Versions = BTreeMap<String, BTreeSet<String>>;

fn sources(lock: &Lock) -> Versions {
    let files = lock.source.iter().map(|(name, pin)| {
        // The same name with other bytes is another file.
        let digest = pin.sha256.get(..12).unwrap_or(&pin.sha256);
        (name.clone(), format!("{} ({digest})", pin.file))
    });
    let trees = lock.tree.iter().map(|(name, locked)| {
        let what = match locked {
            Locked::Git {
                tag: Some(tag),
                commit,
                ..
            } => format!("{tag} (commit {})", commit.get(..10).unwrap_or(commit)),
            Locked::Git { commit, .. } => format!("commit {commit}"),
            other => format!("{other:?}"),
        };
        (name.clone(), what)
    });
    collect(files.chain(trees))
}

/// The source packages among the pinned files, by their version.
fn source_packages(lock: &Lock) -> Versions {
    collect(lock.source.iter().filter_map(|(name, pin)| {
        let nevra = rpm_version::Nevra::parse(pin.file.strip_suffix(".rpm")?);
        if nevra.arch() != "src" {
            return None;
        }
        let version = format!("{}-{}", nevra.evr().version(), nevra.evr().release());
        Some((name.clone(), version))
    }))
}

/// What has a newest version below the one it had.
fn older(old: &Versions, new: &Versions) -> Vec<String> {
    let newest = |versions: &BTreeSet<String>| {
        versions
            .iter()
            .max_by(|a, b| Evr::parse(a).cmp(&Evr::parse(b)))
            .cloned()
    };
    old.iter()
        .filter_map(|(name, versions)| {
            let (before, after) = (newest(versions)?, newest(new.get(name)?)?);
            (Evr::parse(&after) < Evr::parse(&before))
                .then(|| format!("{name}: {before} -> {after}"))
        })
        .collect()
}

fn packages(lock: &Lock) -> Versions {
    collect(lock.package.iter().map(|pin| {
        let name = format!("{}.{}", pin.name, pin.arch);
        (name, pin.version.clone())
    }))
}

fn collect(items: impl Iterator<Item = (String, String)>) -> Versions {
    let mut all = Versions::new();
    for (name, version) in items {
        all.entry(name).or_default().insert(version);
    }
    all
}

fn changes(old: &Versions, new: &Versions) -> Vec<String> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let said = |versions: &BTreeSet<String>| {
        let list: Vec<&str> = versions.iter().map(String::as_str).collect();
        list.join(", ")
    };
    names
        .into_iter()
        .filter_map(|name| match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) if old == new => None,
            (Some(old), Some(new)) => Some(format!("{name}: {} -> {}", said(old), said(new))),
            (Some(old), None) => Some(format!("- {name} {}", said(old))),
            (None, Some(new)) => Some(format!("+ {name} {}", said(new))),
            (None, None) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::{FilePin, PackagePin};
    use super::*;
    use crate::store::Digest;

    fn lock(kernel: &str, packages: &[(&str, &str)]) -> Lock {
        let file = |name: &str| FilePin {
            file: name.to_owned(),
            size: 1,
            sha256: Digest::of_bytes(name.as_bytes()).to_string(),
            uri: format!("https://a.example/{name}"),
        };
        let packages = packages.iter().map(|(name, version)| PackagePin {
            name: (*name).to_owned(),
            version: (*version).to_owned(),
            arch: "x86_64".to_owned(),
            file: file(name),
        });
        Lock::new(
            "t",
            Digest::of_bytes(b""),
            BTreeMap::from([("kernel".to_owned(), file(kernel))]),
            BTreeMap::new(),
            packages.collect(),
        )
    }

    #[test]
    fn what_moved_is_said_and_nothing_else() {
        let old = lock(
            "kernel-1.src.rpm",
            &[("gcc", "8-1"), ("make", "4-1"), ("ed", "1-1")],
        );
        assert!(Diff::of(&old, &old).is_empty());
        assert_eq!(Diff::of(&old, &old).to_string(), "nothing moved");
        let new = lock(
            "kernel-2.src.rpm",
            &[
                ("gcc", "8-2"),
                ("gcc", "8-1"),
                ("make", "4-1"),
                ("xz", "5-1"),
            ],
        );
        let diff = Diff::of(&old, &new);
        assert_eq!(diff.sources.len(), 1);
        assert!(
            diff.sources[0].contains("kernel-1.src.rpm")
                && diff.sources[0].contains("-> kernel-2.src.rpm")
        );
        assert_eq!(
            diff.packages,
            [
                "- ed.x86_64 1-1",
                "gcc.x86_64: 8-1 -> 8-1, 8-2",
                "+ xz.x86_64 5-1"
            ]
        );
        assert_eq!(diff.to_string().lines().count(), 4);
    }

    #[test]
    fn what_goes_down_is_told_apart() {
        let old = lock(
            "kernel-5.14.0-570.62.1.el9_6.src.rpm",
            &[
                ("gcc", "8-10"),
                ("gcc", "8-9"),
                ("make", "4-1"),
                ("ed", "1-1"),
            ],
        );
        let new = lock(
            "kernel-5.14.0-570.9.1.el9_6.src.rpm",
            &[("gcc", "8-10"), ("make", "1:3-1"), ("ed", "1-0.9")],
        );
        assert_eq!(
            Diff::of(&old, &new).older,
            [
                "kernel: 5.14.0-570.62.1.el9_6 -> 5.14.0-570.9.1.el9_6",
                "ed.x86_64: 1-1 -> 1-0.9"
            ]
        );
        assert_eq!(Diff::of(&new, &new).older, [] as [&str; 0]);
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        let names: Vec<String> = (0..30).map(|number| format!("p{number:02}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "1-1")).collect();
        let text = Diff::of(&lock("k", &[]), &lock("k", &many)).to_string();
        assert_eq!(text.lines().count(), SHOWN + 1);
        assert!(text.ends_with("and 10 more packages"), "{text}");
    }
}
