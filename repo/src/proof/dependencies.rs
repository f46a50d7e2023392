//! Dependencies: closure over base and ours, kernel symbols, what our packages do to the base, and who sorts above whom.

use std::cmp::Ordering;
use std::collections::HashMap;

use lustre_sign::utc;

use super::context::CombinedSet;
use super::report::Verdict;
use crate::closure::universe::is_obsoleted;
use crate::closure::{Missing, Origin, Universe, kernel};
use crate::repodata::Package;

fn texts(missing: &[Missing]) -> Vec<String> {
    missing.iter().map(ToString::to_string).collect()
}

/// Every requirement of every package of ours, kernel symbol checksums included, has a provider; those of an earlier release among its own.
pub(super) fn closure(sides: &CombinedSet<'_>) -> Verdict {
    let universe = &sides.universe;
    let requirements: usize = universe.ours().map(|m| m.requires.len()).sum();
    let packages = universe.ours().count();
    let mut findings = texts(&universe.missing());
    findings.extend(of_earlier(sides, |universe| texts(&universe.missing())));
    Verdict::from_findings(
        format!(
            "{requirements} requirements of {packages} packages, against {} packages of the base{}",
            universe.members().len() - packages,
            and_earlier(sides)
        ),
        findings,
    )
}

/// What is found in each earlier release, with which that is.
fn of_earlier(
    sides: &CombinedSet<'_>,
    find: impl Fn(&Universe<'_>) -> Vec<String>,
) -> impl Iterator<Item = String> {
    sides.earlier.iter().flat_map(move |(time, universe)| {
        let found = find(universe).into_iter();
        found.map(move |what| format!("the release of {}: {what}", utc((*time).into())))
    })
}

/// How many earlier releases were looked at besides, in words.
fn and_earlier(sides: &CombinedSet<'_>) -> String {
    match sides.earlier.len() {
        0 => String::new(),
        1 => "; and the same of 1 earlier release".to_owned(),
        count => format!("; and the same of {count} earlier releases"),
    }
}

/// The kernel symbols of each kmod come from one kernel.
pub(super) fn kernel_symbols(sides: &CombinedSet<'_>) -> Verdict {
    let universe = &sides.universe;
    let kmods = universe
        .ours()
        .filter(|m| {
            m.package
                .requires
                .iter()
                .any(|r| r.name.starts_with("kernel("))
        })
        .count();
    let mixed = |universe: &Universe<'_>| -> Vec<String> {
        let mixed = kernel::mixtures(universe);
        mixed.iter().map(ToString::to_string).collect()
    };
    let mut findings = mixed(universe);
    findings.extend(of_earlier(sides, mixed));
    Verdict::from_findings(
        format!("{kmods} packages with kernel symbols{}", and_earlier(sides)),
        findings,
    )
}

/// Nothing of the base loses what it needs when our packages replace the base's.
pub(super) fn base_upgrade(sides: &CombinedSet<'_>) -> Verdict {
    let universe = &sides.universe;
    let replaced = universe.members().iter().filter(|m| m.replaced).count();
    Verdict::from_findings(
        format!("{replaced} packages of the base that ours replace"),
        texts(&universe.broken_base()),
    )
}

/// Every package of ours sorts above all of the base with its name, the kernel first of all.
pub(super) fn newer(sides: &CombinedSet<'_>) -> Verdict {
    let side = |origin| -> Vec<&Package> {
        sides
            .universe
            .members()
            .iter()
            .filter(|m| m.origin == origin)
            .map(|m| m.package)
            .collect()
    };
    let (ours, base) = (side(Origin::Ours), side(Origin::Base));
    let (pairs, mut findings) = compare(&ours, &base);
    findings.extend(obsoleting(&ours, &base));
    Verdict::from_findings(format!("{pairs} pairs with the same name"), findings)
}

/// Packages of the base that replace ours: dnf takes them at the next upgrade, whatever the priorities.
fn obsoleting(ours: &[&Package], base: &[&Package]) -> Vec<String> {
    let mut by_name: HashMap<&str, Vec<&Package>> = HashMap::new();
    for package in ours {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut findings = Vec::new();
    for theirs in base {
        for entry in &theirs.obsoletes {
            for ours in by_name.get(entry.name.as_str()).into_iter().flatten() {
                // A package that has the name itself is an upgrade, which is compared above.
                if is_obsoleted(ours, entry) && ours.name != theirs.name {
                    findings.push(format!(
                        "{} of the base obsoletes {entry}, which {} is: an upgrade would replace ours; raise our version",
                        theirs.nevra(),
                        ours.nevra()
                    ));
                }
            }
        }
    }
    findings
}

fn compare(ours: &[&Package], base: &[&Package]) -> (usize, Vec<String>) {
    let mut by_name: HashMap<&str, Vec<&Package>> = HashMap::new();
    for package in base {
        by_name.entry(&package.name).or_default().push(package);
    }
    let mut pairs = 0;
    let mut findings = Vec::new();
    for ours in ours {
        for theirs in by_name.get(ours.name.as_str()).into_iter().flatten() {
            pairs += 1;
            let how = match ours.evr.compare(&theirs.evr) {
                Ordering::Greater => continue,
                Ordering::Equal => "is not newer than",
                Ordering::Less => "sorts below",
            };
            findings.push(format!(
                "{} {how} {} of the base: change its release, or build from the newer source (`cargo xtask lock --update`)",
                ours.nevra(),
                theirs.nevra()
            ));
        }
    }
    (pairs, findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repodata::{Entry, Evr, Flag};

    fn package(name: &str, evr: &str) -> Package {
        Package {
            name: name.to_owned(),
            arch: "x86_64".to_owned(),
            evr: Evr::parse(evr).unwrap(),
            ..Package::default()
        }
    }

    #[test]
    fn the_release_of_the_guide_sorts_below_and_is_found() {
        let base = package("kernel-core", "4.18.0-553.22.1.el8_10");
        for (release, finding) in [
            ("553.22.1.el8_lustre", Some("sorts below")),
            ("553.22.1.el8_10", Some("is not newer than")),
            ("553.22.1.el8_10_lustre", None),
        ] {
            let ours = package("kernel-core", &format!("4.18.0-{release}"));
            let (pairs, findings) = compare(&[&ours], &[&base, &package("other", "9-1")]);
            assert_eq!(pairs, 1);
            match finding {
                None => assert!(findings.is_empty(), "{findings:?}"),
                Some(text) => assert!(findings[0].contains(text), "{findings:?}"),
            }
        }
        // By Version alone do Whamcloud's packages beat the distribution's.
        let ours = package("e2fsprogs", "1.47.0-wc1.el8");
        let base = package("e2fsprogs", "1.47.0-1.el8");
        assert_eq!(compare(&[&ours], &[&base]).1.len(), 1);
    }

    #[test]
    fn a_package_of_the_base_that_obsoletes_ours_is_found() {
        let ours = package("e2fsprogs", "1.47-1");
        let mut base = package("e2fsprogs-ng", "1-1");
        for (below, found) in [("2", 1), ("1.47", 0)] {
            base.obsoletes = vec![Entry {
                name: "e2fsprogs".into(),
                flags: Some(Flag::Lt),
                evr: Evr::parse(below),
                pre: false,
            }];
            let findings = obsoleting(&[&ours], &[&base]);
            assert_eq!(findings.len(), found, "{findings:?}");
        }
    }
}
