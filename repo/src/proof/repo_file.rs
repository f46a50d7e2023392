//! `lustre-repo.repo`: what a server's dnf is told of the repository.

use super::context::Context;
use super::report::Verdict;
use crate::repo_file::{FILE, KeyLocation};

/// The file is the one that the target says, line by line: one with `gpgcheck=0`, or with another URL, is as bad as a package that
/// somebody changed.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    let expected = context.input.repo_file.render(KeyLocation::Published);
    let findings = match lustre_files::read_no_link_to_string(
        context.input.dist.join(FILE),
        lustre_files::SOURCE,
    ) {
        Ok(found) => differences(&found, &expected),
        Err(error) => vec![format!("{FILE}: {error}")],
    };
    Verdict::from_findings(format!("{} lines", expected.lines().count()), findings)
}

fn differences(found: &str, expected: &str) -> Vec<String> {
    if found == expected {
        return Vec::new();
    }
    let (found, expected): (Vec<&str>, Vec<&str>) =
        (found.lines().collect(), expected.lines().collect());
    let mut findings = Vec::new();
    for at in 0..found.len().max(expected.len()) {
        let said = |lines: &[&str]| match lines.get(at) {
            Some(line) => format!("`{line}`"),
            None => "nothing".to_owned(),
        };
        if found.get(at) != expected.get(at) {
            findings.push(format!(
                "{FILE}:{}: it has {}, the target says {}",
                at + 1,
                said(&found),
                said(&expected)
            ));
        }
    }
    if findings.is_empty() {
        findings.push(format!(
            "{FILE}: its line breaks are not those of a repository's file"
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_compared() {
        let good = "[a]\ngpgcheck=1\n";
        assert_eq!(differences(good, good), [] as [&str; 0]);
        assert_eq!(
            differences("[a]\ngpgcheck=0\n", good),
            ["lustre-repo.repo:2: it has `gpgcheck=0`, the target says `gpgcheck=1`"]
        );
        for other in [
            "[a]\n",
            "[a]\ngpgcheck=1\nenabled=0\n",
            "[a]\r\ngpgcheck=1\n",
            "[a]\ngpgcheck=1",
        ] {
            assert_eq!(differences(other, good).len(), 1, "{other:?}");
        }
    }
}
