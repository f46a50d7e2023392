//! What is other than in the repository that was replaced.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::Manifest;
use crate::release::{ReplacedRelease, parts};

/// The differences, each list sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Packages that are new, by NEVRA.
    pub(super) added: Vec<String>,
    /// Packages that are gone.
    pub(super) removed: Vec<String>,
    /// Packages of which there is another version.
    pub(super) updated: Vec<Updated>,
    /// Packages with other content under the same NEVRA.
    pub(super) rebuilt: Vec<String>,
    /// How many packages are as they were.
    pub(super) same: usize,
    /// Known faults that stand otherwise: ticket, as it stood, as it stands.
    pub(super) faults: Vec<(String, Option<String>, Option<String>)>,
}

/// A package of which there is another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Updated {
    /// `name.architecture`.
    pub(super) name: String,
    /// The versions there were.
    pub(super) before: Vec<String>,
    /// Those there are.
    pub(super) now: Vec<String>,
}

/// The packages by name and architecture, with the versions that are only on this side.
type Versions = BTreeMap<String, Vec<String>>;

impl Changes {
    pub(super) fn of(before: &ReplacedRelease, now: &Manifest) -> Self {
        let mut changes = Self::default();
        let there: BTreeMap<&str, &str> = now
            .packages
            .iter()
            .map(|one| (one.nevra.as_str(), one.sha256_unsigned.as_str()))
            .collect();
        let (mut old, mut new) = (Versions::new(), Versions::new());
        for (nevra, content) in &before.packages {
            match there.get(nevra.as_str()) {
                Some(same) if same == content => changes.same += 1,
                Some(_) => changes.rebuilt.push(nevra.clone()),
                None => add(&mut old, nevra),
            }
        }
        for nevra in there
            .keys()
            .filter(|it| !before.packages.contains_key(**it))
        {
            add(&mut new, nevra);
        }
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let nevras = |of: &Versions| of.get(name).cloned().unwrap_or_default();
            let (before, now) = (nevras(&old), nevras(&new));
            match (before.is_empty(), now.is_empty()) {
                (true, _) => changes.added.extend(now),
                (_, true) => changes.removed.extend(before),
                _ => changes.updated.push(Updated {
                    name: name.clone(),
                    before: before.iter().map(|one| evr(one)).collect(),
                    now: now.iter().map(|one| evr(one)).collect(),
                }),
            }
        }
        let stands: BTreeMap<&String, &String> = now
            .known_faults
            .iter()
            .map(|fault| (&fault.ticket, &fault.standing))
            .collect();
        let tickets: BTreeSet<&String> = stands
            .keys()
            .copied()
            .chain(before.known_faults.keys())
            .collect();
        for ticket in tickets {
            let (stood, stands) = (before.known_faults.get(ticket), stands.get(ticket).copied());
            if stood != stands {
                changes
                    .faults
                    .push((ticket.clone(), stood.cloned(), stands.cloned()));
            }
        }
        changes
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        Self {
            same: 0,
            ..self.clone()
        } == Self::default()
    }
}

/// Adds a NEVRA under its name and architecture; one that has none of them under itself. The lowest version is first.
fn add(versions: &mut Versions, nevra: &str) {
    let name = match parts(nevra) {
        Some(((name, arch), _)) => format!("{name}.{arch}"),
        None => nevra.to_owned(),
    };
    let all = versions.entry(name).or_default();
    let at = all.partition_point(|other| match (parts(other), parts(nevra)) {
        (Some((_, a)), Some((_, b))) => a.compare(&b) != Ordering::Greater,
        _ => true,
    });
    all.insert(at, nevra.to_owned());
}

/// Version and release of a NEVRA, and its epoch where it has one.
fn evr(nevra: &str) -> String {
    parts(nevra).map_or_else(|| nevra.to_owned(), |(_, evr)| evr.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{KnownFault, Package};

    #[test]
    fn every_sort_of_change_is_told_once() {
        let before = ReplacedRelease {
            packages: [
                ("a-1-1.x86_64", "x"),
                ("b-1:1-9.x86_64", "x"),
                ("b-1:1-10.x86_64", "x"),
                ("c-1-1.src", "x"),
                ("d-1-1.noarch", "x"),
                ("odd", "x"),
            ]
            .map(|(nevra, content)| (nevra.to_owned(), content.to_owned()))
            .into(),
            known_faults: [("LU-1", "open"), ("LU-2", "open"), ("LU-3", "open")]
                .map(|(ticket, standing)| (ticket.to_owned(), standing.to_owned()))
                .into(),
            ..ReplacedRelease::default()
        };
        let package = |nevra: &str, content: &str| Package {
            nevra: nevra.to_owned(),
            sha256_unsigned: content.to_owned(),
            ..Package::default()
        };
        let fault = |ticket: &str, standing: &str| KnownFault {
            ticket: ticket.to_owned(),
            standing: standing.to_owned(),
            ..KnownFault::default()
        };
        let now = Manifest {
            packages: vec![
                package("a-1-1.x86_64", "x"),
                package("b-1:2-1.x86_64", "y"),
                package("d-1-1.noarch", "y"),
                package("e-1-1.src", "y"),
            ],
            known_faults: vec![
                fault("LU-1", "open"),
                fault("LU-2", "mended by x"),
                fault("LU-4", "open"),
            ],
            ..Manifest::default()
        };
        let changes = Changes::of(&before, &now);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            changes,
            Changes {
                added: vec!["e-1-1.src".to_owned()],
                removed: vec!["c-1-1.src".to_owned(), "odd".to_owned()],
                updated: vec![Updated {
                    name: "b.x86_64".to_owned(),
                    before: vec!["1:1-9".to_owned(), "1:1-10".to_owned()],
                    now: vec!["1:2-1".to_owned()],
                }],
                rebuilt: vec!["d-1-1.noarch".to_owned()],
                same: 1,
                faults: vec![
                    ("LU-2".to_owned(), text("open"), text("mended by x")),
                    ("LU-3".to_owned(), text("open"), None),
                    ("LU-4".to_owned(), None, text("open")),
                ],
            }
        );
        assert!(!changes.is_empty());
        let same = ReplacedRelease {
            packages: [("a-1-1.x86_64".to_owned(), "x".to_owned())].into(),
            ..ReplacedRelease::default()
        };
        let now = Manifest {
            packages: vec![package("a-1-1.x86_64", "x")],
            ..Manifest::default()
        };
        assert!(Changes::of(&same, &now).is_empty());
    }
}
