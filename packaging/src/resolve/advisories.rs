//! The distribution's advisories of a kernel, as a lock keeps them.

use std::collections::{BTreeMap, BTreeSet};

use rpm_version::Evr;

use super::Metadata;
use crate::source::Advisory;
use crate::source::updateinfo::KINDS;

/// The advisories of a kernel.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Advisories {
    /// Each once, sorted by name, without its packages, and with no more of its text than a lock, a terminal and an XML document can take.
    pub kept: Vec<Advisory>,
    /// Those that a lock cannot keep, and why, in words.
    pub left_out: BTreeSet<String>,
}

/// The advisories of the kernel `version` (`version-release`) and of all before it: it mends what they mend.
pub fn advisories(metadata: &Metadata, version: &str) -> Advisories {
    let version = Evr::parse(version);
    let all = metadata.advisories.values().flatten().flatten();
    let of_it = all.filter(|one| {
        one.packages
            .iter()
            .any(|(_, other)| Evr::parse(other) <= version)
    });
    let mut found = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for one in of_it {
        let id = text(&one.id);
        if id.is_empty() {
            left_out.insert(format!("one without a name (`{}`)", text(&one.title)));
            continue;
        }
        if !KINDS.contains(&one.kind.as_str()) {
            left_out.insert(format!("{id} (of the kind `{}`)", text(&one.kind)));
            continue;
        }
        // The same advisory may be in two repositories, each with the packages that it has.
        let kept = found.entry(id.clone()).or_insert_with(|| Advisory {
            id,
            kind: one.kind.clone(),
            severity: one.severity.as_deref().map(text),
            title: text(&one.title),
            issued: one.issued.as_deref().and_then(date),
            ..Advisory::default()
        });
        kept.cves.extend(one.cves.iter().map(|cve| text(cve)));
        kept.cves.sort();
        kept.cves.dedup();
    }
    Advisories {
        kept: found.into_values().collect(),
        left_out,
    }
}

/// One line of text without control characters.
fn text(text: &str) -> String {
    let words: Vec<&str> = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// `YYYY-MM-DD hh:mm:ss` out of what distributions write: with or without the time of day, or `T` in place of the blank.
fn date(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('Z').trim_end_matches(" UTC");
    let text = match text.split_once('T') {
        Some((day, time)) => format!("{day} {time}"),
        None => text.to_owned(),
    };
    let fits = |text: &str, form: &str| {
        text.len() == form.len()
            && text.bytes().zip(form.bytes()).all(|(c, f)| match f {
                b'0' => c.is_ascii_digit(),
                _ => c == f,
            })
    };
    if fits(&text, "0000-00-00 00:00:00") {
        Some(text)
    } else if fits(&text, "0000-00-00") {
        Some(format!("{text} 00:00:00"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advisory(id: &str, kind: &str, version: &str, cves: &[&str]) -> Advisory {
        Advisory {
            id: id.to_owned(),
            kind: kind.to_owned(),
            title: "kernel\u{1b}[2J\n update".to_owned(),
            issued: Some("2026-01-02".to_owned()),
            cves: cves.iter().map(|&cve| cve.to_owned()).collect(),
            packages: vec![("kernel-core".to_owned(), version.to_owned())],
            ..Advisory::default()
        }
    }

    #[test]
    fn a_kernel_has_the_advisories_of_all_before_it() {
        let metadata = Metadata {
            advisories: BTreeMap::from([
                (
                    "a".to_owned(),
                    Some(vec![
                        advisory("A-9", "security", "5.14.0-570.9.1.el9_6", &["CVE-2"]),
                        advisory("A-32", "security", "5.14.0-570.32.1.el9_6", &[]),
                        advisory("A-33", "security", "5.14.0-570.33.1.el9_6", &[]),
                        advisory("A-X", "odd", "5.14.0-570.9.1.el9_6", &[]),
                        advisory("", "security", "5.14.0-570.9.1.el9_6", &[]),
                        // Of a later kernel: nobody asked.
                        advisory("A-Y", "odd", "5.14.0-570.33.1.el9_6", &[]),
                    ]),
                ),
                ("b".to_owned(), None),
                (
                    "c".to_owned(),
                    Some(vec![advisory(
                        "A-9",
                        "security",
                        "5.14.0-570.9.1.el9_6",
                        &["CVE-1"],
                    )]),
                ),
            ]),
            ..Metadata::default()
        };
        let Advisories {
            kept: found,
            left_out,
        } = advisories(&metadata, "5.14.0-570.32.1.el9_6");
        let left_out: Vec<String> = left_out.into_iter().collect();
        assert_eq!(
            left_out,
            [
                "A-X (of the kind `odd`)",
                "one without a name (`kernel [2J update`)"
            ]
        );
        let names: Vec<&str> = found.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(names, ["A-32", "A-9"]);
        assert_eq!(found[1].cves, ["CVE-1", "CVE-2"]);
        assert_eq!(found[1].title, "kernel [2J update");
        assert!(found.iter().all(|one| one.packages.is_empty()));
    }

    #[test]
    fn dates_of_distributions_have_one_form() {
        for (written, read) in [
            ("2026-01-02 03:04:05", Some("2026-01-02 03:04:05")),
            ("2026-01-02T03:04:05Z", Some("2026-01-02 03:04:05")),
            ("2026-01-02 03:04:05 UTC", Some("2026-01-02 03:04:05")),
            ("2026-01-02", Some("2026-01-02 00:00:00")),
            ("yesterday", None),
            ("", None),
        ] {
            assert_eq!(date(written).as_deref(), read, "{written}");
        }
    }
}
