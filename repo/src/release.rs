//! Releases of a repository: when one was made, and whether it contradicts the one that it replaces.
//!
//! Clients, mirrors and caches keep what they have seen. So a package never has other content than before under the same name, versions
//! never go back, and what the release package tells servers only changes with a release package that they take.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::release_package;
use crate::repodata::Evr;

/// When a repository was released, and over which rules: what no other input of it decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// The time of its metadata, of their signatures and of its sums, in seconds since 1970: greater than that of the one it replaces.
    pub time: u32,
    /// The rules that it was put in place against.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub overrules: BTreeSet<Rule>,
    /// The one it replaces; none where nothing was in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ReplacedRelease>,
    /// The SHA-256 of what it keeps of earlier releases; none where it keeps nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps_sha256: Option<String>,
}

/// A repository that another replaces, as far as it is told what changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplacedRelease {
    pub target: String,
    /// When it was released, in seconds since 1970.
    pub time: u64,
    /// The SHA-256 of its manifest.
    pub manifest_sha256: String,
    /// Its packages: the digest of each before it was signed, by NEVRA.
    pub packages: BTreeMap<String, String>,
    /// How each known fault of its Lustre stood, by ticket.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known_faults: BTreeMap<String, String>,
}

/// What holds between a repository and the one that it replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A package of the same name, version, release and architecture has the same content.
    SameNevra,
    /// No package's version goes back.
    LowerEvr,
    /// The key, the name and the URL change only with a higher release package.
    ReleasePackage,
    SameTarget,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::SameNevra,
        Self::LowerEvr,
        Self::ReleasePackage,
        Self::SameTarget,
    ];

    /// Its name, as in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SameNevra => "same-nevra",
            Self::LowerEvr => "lower-evr",
            Self::ReleasePackage => "release-package",
            Self::SameTarget => "same-target",
        }
    }

    /// The rule of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// What is to be done where it is broken.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::SameNevra => {
                "servers that have it keep the old one, and caches mix both: raise the release in its spec, overlay or target"
            }
            Self::LowerEvr => {
                "servers that have it never install the lower one: raise the version or the release above it"
            }
            Self::ReleasePackage => {
                "servers keep the old keys, name and URL: raise `release` in the target's [repository.release_package]"
            }
            Self::SameTarget => {
                "servers that use it would get packages for another target: choose another output"
            }
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Something of a repository that contradicts the one that it replaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction {
    /// The rule that it breaks.
    pub rule: Rule,
    /// What it is.
    pub what: String,
}

/// A package, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComparedPackage<'a> {
    /// `name-[epoch:]version-release.arch`.
    pub nevra: &'a str,
    /// The digest of its content, signatures left out: a new key signs all anew.
    pub content: &'a str,
}

/// What a repository tells servers about itself, in its release package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerSettings<'a> {
    /// The armored public key.
    pub public_key: &'a str,
    /// The text of `lustre-repo.repo`.
    pub repo_file: &'a str,
    /// The next key, as the first; empty where there is none.
    pub next_key: &'a str,
}

/// Where packages go back, or have other content under the same name. The release package's own content is for [`told_anew`] to judge.
pub fn packages_contradict(
    before: &[ComparedPackage<'_>],
    now: &[ComparedPackage<'_>],
) -> Vec<Contradiction> {
    let old: BTreeMap<&str, &str> = before.iter().map(|one| (one.nevra, one.content)).collect();
    let mut found = Vec::new();
    for one in now {
        let is_other = old.get(one.nevra).is_some_and(|old| *old != one.content);
        if is_other {
            found.push(Contradiction {
                rule: Rule::SameNevra,
                what: format!("{} has other content than before", one.nevra),
            });
        }
    }
    let newest_now = newest(now);
    for (of, (evr, nevra)) in newest(before) {
        let replacing = newest_now.iter().filter(|(now, _)| takes_over(of, **now));
        let highest = replacing.max_by(|(_, (a, _)), (_, (b, _))| a.compare(b));
        if let Some((_, (other, now))) = highest
            && other.compare(&evr) == Ordering::Less
        {
            found.push(Contradiction {
                rule: Rule::LowerEvr,
                what: format!("{now} is lower than the previous {nevra}"),
            });
        }
    }
    found
}

/// Where a version that is known before anything is built, `(name, version)`, is lower than that of the source package there was. Versions
/// are written as upstream does; where that is not as rpm has them, it is left to [`packages_contradict`].
pub fn versions_contradict(
    before: &[ComparedPackage<'_>],
    now: &[(&str, &str)],
) -> Vec<Contradiction> {
    let plain = |version: &str| version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let was = newest(before);
    let mut found = Vec::new();
    for (name, version) in now {
        let (Some((old, nevra)), Some(evr)) = (was.get(&(*name, "src")), Evr::parse(version))
        else {
            continue;
        };
        if old.epoch == 0
            && plain(version)
            && plain(&old.version)
            && evr.compare_as_dependency(old) == Ordering::Less
        {
            found.push(Contradiction {
                rule: Rule::LowerEvr,
                what: format!("{name} {version} is lower than the previous {nevra}"),
            });
        }
    }
    found
}

/// Where the key, the name or the URL changed while the release package is `now`, no higher than the one there was.
pub fn told_anew(
    before: &[ComparedPackage<'_>],
    said_before: ServerSettings<'_>,
    now: &str,
    said: ServerSettings<'_>,
) -> Option<Contradiction> {
    // Its `.repo` file names the next key, where there is one: whether it says anything else otherwise, cannot be told then.
    let same_keys = said_before.next_key.is_empty() == said.next_key.is_empty();
    let changed: Vec<&str> = [
        ("key", said_before.public_key != said.public_key),
        ("next key", said_before.next_key != said.next_key),
        (
            "name or URL",
            same_keys && said_before.repo_file != said.repo_file,
        ),
    ]
    .into_iter()
    .filter_map(|(what, changed)| changed.then_some(what))
    .collect();
    let (_, evr) = parts(now)?;
    let was = newest(before);
    let (old, nevra) = was.get(&(release_package::NAME, "noarch"))?;
    if changed.is_empty() || evr.compare(old) == Ordering::Greater {
        return None;
    }
    Some(Contradiction {
        rule: Rule::ReleasePackage,
        what: format!(
            "the {} changed, but the release package {now} is not higher than the previous {nevra}",
            changed.join(" and the ")
        ),
    })
}

/// A package's name and architecture.
pub(crate) type Of<'a> = (&'a str, &'a str);

/// Whether servers that have the package `old` take `new` as a version of it: dnf goes from an architecture to `noarch` and back.
fn takes_over(old: Of<'_>, new: Of<'_>) -> bool {
    const SOURCE: [&str; 2] = ["src", "nosrc"];
    let is_source = |of: Of<'_>| SOURCE.contains(&of.1);
    let any = |of: Of<'_>| of.1 == "noarch";
    old.0 == new.0
        && is_source(old) == is_source(new)
        && (is_source(old) || old.1 == new.1 || any(old) || any(new))
}

/// Where it is of another target than the one that it replaces: `before` and `now` are their names.
pub fn targets_contradict(before: &str, now: &str) -> Option<Contradiction> {
    (before != now).then(|| Contradiction {
        rule: Rule::SameTarget,
        what: format!(
            "it is of the target `{}`, not `{now}`",
            before.escape_debug()
        ),
    })
}

/// The highest version of every package.
fn newest<'a>(packages: &[ComparedPackage<'a>]) -> BTreeMap<Of<'a>, (Evr, &'a str)> {
    let mut newest: BTreeMap<Of<'a>, (Evr, &'a str)> = BTreeMap::new();
    for one in packages {
        let Some((of, evr)) = parts(one.nevra) else {
            continue;
        };
        let higher = newest
            .get(&of)
            .is_none_or(|(there, _)| evr.compare(there) == Ordering::Greater);
        if higher {
            newest.insert(of, (evr, one.nevra));
        }
    }
    newest
}

/// Name, architecture and version out of `name-[epoch:]version-release.arch`.
pub(crate) fn parts(nevra: &str) -> Option<(Of<'_>, Evr)> {
    let (rest, arch) = nevra.rsplit_once('.')?;
    let (rest, release) = rest.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    let evr = Evr::parse(&format!("{version}-{release}"))?;
    Some(((name, arch), evr))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(list: &[&'static str]) -> Vec<ComparedPackage<'static>> {
        let one = |text: &'static str| {
            let (nevra, content) = text.split_once(' ').unwrap();
            ComparedPackage { nevra, content }
        };
        list.iter().map(|text| one(text)).collect()
    }

    fn rules(before: &[&'static str], now: &[&'static str]) -> Vec<(Rule, String)> {
        packages_contradict(&known(before), &known(now))
            .into_iter()
            .map(|one| (one.rule, one.what))
            .collect()
    }

    #[test]
    fn content_never_changes_under_a_name_and_versions_never_go_back() {
        let before = ["a-b-1:2.0-3.el9.x86_64 x", "a-b-1:2.0-3.el9.src s"];
        for now in [
            &["a-b-1:2.0-3.el9.x86_64 x", "a-b-1:2.0-3.el9.src s"][..],
            // Higher, as rpm sees it, whatever the letters say.
            &["a-b-1:2.0-10.el9.x86_64 y"],
            &["a-b-2:1.0-1.el9.x86_64 y"],
            // Gone, or another package.
            &[],
            &["a-1-1.x86_64 z"],
            // An older one may stay beside the newest.
            &["a-b-1:2.0-3.el9.x86_64 x", "a-b-1:1.0-1.el9.x86_64 old"],
        ] {
            assert_eq!(rules(&before, now), [], "{now:?}");
        }
        for (now, rule) in [
            ("a-b-1:2.0-3.el9.x86_64 y", Rule::SameNevra),
            ("a-b-1:2.0-3.el9.src t", Rule::SameNevra),
            ("a-b-1:2.0-2.el9.x86_64 y", Rule::LowerEvr),
            ("a-b-2.1-1.el9.x86_64 y", Rule::LowerEvr),
            ("a-b-1:2.0~rc1-9.el9.x86_64 y", Rule::LowerEvr),
        ] {
            let found = rules(&before, &[now]);
            assert_eq!(found.len(), 1, "{now}: {found:?}");
            let (nevra, _) = now.split_once(' ').unwrap();
            assert!(
                found[0].0 == rule && found[0].1.contains(nevra),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_package_that_changes_its_architecture_does_not_go_back() {
        let before = ["tool-2-1.noarch x", "data-2-1.x86_64 x", "tool-2-1.src s"];
        for now in [
            &["tool-3-1.x86_64 y", "data-3-1.noarch y"][..],
            &["tool-2-1.x86_64 y"],
            // The old one beside the new one.
            &["tool-1-1.noarch y", "tool-2-2.x86_64 y"],
            // Neither is a source package a version of a package, nor one architecture's of another's.
            &["tool-1-1.src y", "tool-2-1.src s", "data-1-1.i686 y"],
        ] {
            assert_eq!(rules(&before, now), [], "{now:?}");
        }
        for now in ["tool-1-1.x86_64 y", "data-1-1.noarch y", "tool-1-1.nosrc y"] {
            let found = rules(&before, &[now]);
            assert_eq!(found.len(), 1, "{now}: {found:?}");
            assert_eq!(found[0].0, Rule::LowerEvr);
        }
    }

    #[test]
    fn a_repository_of_another_target_is_no_next_one() {
        assert_eq!(targets_contradict("rocky-9.6", "rocky-9.6"), None);
        let found = targets_contradict("rocky-8.10", "rocky-9.6").unwrap();
        assert_eq!(found.rule, Rule::SameTarget);
        for name in ["rocky-8.10", "rocky-9.6"] {
            assert!(found.what.contains(name), "{found:?}");
        }
        let hostile = targets_contradict("a\n\u{1b}[2J", "b").unwrap();
        assert!(!hostile.what.contains('\n') && !hostile.what.contains('\u{1b}'));
    }

    #[test]
    fn a_version_that_is_known_to_go_back_is_refused_before_it_is_built() {
        let before = known(&["lustre-2.17.0-1.src x", "lustre-9.0-1.x86_64 y"]);
        let judged = |version: &str| versions_contradict(&before, &[("lustre", version)]);
        for fine in ["2.17.0", "2.17.1", "2.17.0.1", "2.16.0-RC1", ""] {
            assert_eq!(judged(fine), [], "{fine}");
        }
        let found = judged("2.16.9");
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].rule, Rule::LowerEvr);
        assert!(found[0].what.contains("2.16.9") && found[0].what.contains("lustre-2.17.0-1.src"));
        for unlike in ["lustre-2.17.0_RC1-1.src x", "lustre-1:2.17.0-1.src x"] {
            let before = known(&[unlike]);
            assert_eq!(versions_contradict(&before, &[("lustre", "2.16.9")]), []);
        }
    }

    #[test]
    fn what_servers_are_told_changes_with_a_higher_release_package_alone() {
        let before = known(&["lustre-repo-release-9-2.el9.noarch x"]);
        let said = ServerSettings {
            public_key: "key",
            repo_file: "file",
            next_key: "",
        };
        let other_key = ServerSettings {
            public_key: "other",
            ..said
        };
        let other_url = ServerSettings {
            repo_file: "other",
            ..said
        };
        let other_next = ServerSettings {
            next_key: "other",
            ..said
        };
        let judged = |now: &str, said_now| told_anew(&before, said, now, said_now);
        let same = "lustre-repo-release-9-2.el9.noarch";
        assert_eq!(judged(same, said), None);
        for (now_said, word) in [
            (other_key, "key"),
            (other_next, "next key"),
            (other_url, "URL"),
        ] {
            assert_eq!(judged("lustre-repo-release-9-3.el9.noarch", now_said), None);
            for now in [same, "lustre-repo-release-9-1.el9.noarch"] {
                let found = judged(now, now_said).unwrap();
                assert_eq!(found.rule, Rule::ReleasePackage);
                assert!(
                    found.what.contains(word) && found.what.contains(now),
                    "{found:?}"
                );
            }
        }
        // The file names the next key, so it is another one where there is a next key for the first time.
        let first_next = ServerSettings {
            repo_file: "other",
            ..other_next
        };
        let found = judged(same, first_next).unwrap().what;
        assert!(found.contains("the next key changed"), "{found}");
        // There was none that servers could have.
        assert_eq!(told_anew(&[], said, same, other_key), None);
    }

    #[test]
    fn rules_have_one_name_everywhere() {
        for rule in Rule::ALL {
            assert_eq!(Rule::named(rule.name()), Some(rule));
            let text = serde_json::to_string(&rule).unwrap();
            assert_eq!(text, format!("\"{rule}\""));
        }
        assert_eq!(Rule::named("time"), None);
    }
}
