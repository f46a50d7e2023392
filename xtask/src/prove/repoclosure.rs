//! dnf's own repoclosure, of our repository over the base.
//!
//! dnf 4 looks for a package that provides the text of a requirement as it stands. A conditional one, `(a if b)`, is then unresolved
//! wherever `b` is in no repository, although it asks for nothing there: whether anybody provides `b` is asked besides.

use lustre_repository::closure::{Requirement, rich};
use lustre_repository::layout::Kind;
use lustre_repository::proof::Verdict;

use super::checks::verdict;
use super::chroot::Step;
use super::guard;

/// Nothing is missing in our repository over the base.
pub fn repoclosure(step: &Step<'_>) -> Verdict {
    verdict("dnf repoclosure of our repository over the base", || {
        // It asks the newest package of a name alone, and a kernel that is installed beside the one of our modules is none for them.
        // Nor are the packages of earlier releases, which only go with each other.
        let mut left_out = guard::of_later_kernels(step)?;
        left_out.extend(of_earlier(step));
        let excluded = format!("--exclude={}", left_out.join(","));
        let mut line = vec!["--disableplugin=local", "repoclosure", "--check", "lustre"];
        if !left_out.is_empty() {
            line.push(&excluded);
        }
        let said = step.ask_dnf(&line)?;
        let ended_itself = said.code().is_some();
        let findings = said.findings("dnf repoclosure");
        if !ended_itself {
            return Ok(findings);
        }
        judge(findings, &mut |capability| {
            let line = [
                "--disableplugin=local",
                "repoquery",
                "--whatprovides",
                capability,
            ];
            let said = step.ask_dnf(&line)?;
            match said.failed("dnf repoquery") {
                Some(failed) => Err(failed),
                None => Ok(!said.lines.is_empty()),
            }
        })
    })
}

/// The packages that only earlier releases have, as name, version, release and architecture.
fn of_earlier(step: &Step<'_>) -> Vec<String> {
    let folder = format!("{}/Packages/", Kind::Binary.folder());
    let paths = step.of_earlier().into_iter();
    let files = paths.filter_map(|path| path.strip_prefix(&folder)?.strip_suffix(".rpm"));
    files.map(str::to_owned).collect()
}

/// What is left of repoclosure's `lines` when conditions that nobody provides are taken into account; `provided` says whether some
/// package provides a capability.
fn judge(
    lines: Vec<String>,
    provided: &mut dyn FnMut(&str) -> Result<bool, String>,
) -> Result<Vec<String>, String> {
    let mut left = Vec::new();
    let mut vacuous = 0;
    let mut unresolved = 0;
    for line in &lines {
        // Under a package's name and the number of its requirements, each on a line of its own.
        let Some(requirement) = line.strip_prefix("    ") else {
            left.push(line.clone());
            continue;
        };
        unresolved += 1;
        if asks_for_nothing(requirement, provided)? {
            vacuous += 1;
        } else {
            left.push(line.clone());
        }
    }
    // Only what repoclosure says around them is left. What else it says is a finding all the same.
    if vacuous > 0 && vacuous == unresolved {
        left.retain(|line| {
            !(line.starts_with("package: ")
                || line.starts_with("  unresolved deps (")
                || line.starts_with("Error: Repoclosure ended with unresolved dependencies ("))
        });
        return Ok(left);
    }
    Ok(if vacuous > 0 { lines } else { left })
}

/// Whether `requirement` is one with a single condition that no package fulfils.
fn asks_for_nothing(
    requirement: &str,
    provided: &mut dyn FnMut(&str) -> Result<bool, String>,
) -> Result<bool, String> {
    match rich::parse(requirement.trim()) {
        Ok(Requirement::If {
            condition,
            otherwise: None,
            ..
        }) => match *condition {
            Requirement::Plain(entry) => Ok(!provided(&entry.to_string())?),
            _ => Ok(false),
        },
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(requirements: &[&str], more: &[&str], provided: &[&str]) -> Vec<String> {
        let mut lines = vec![
            "package: kernel-core-5.14.0-1.x86_64 from lustre".to_owned(),
            format!("  unresolved deps ({}):", requirements.len()),
        ];
        lines.extend(requirements.iter().map(|one| format!("    {one}")));
        lines.push(
            "Error: Repoclosure ended with unresolved dependencies (1) across 1 packages."
                .to_owned(),
        );
        lines.extend(more.iter().map(|&line| line.to_owned()));
        judge(lines, &mut |capability| Ok(provided.contains(&capability))).unwrap()
    }

    #[test]
    fn a_condition_that_nobody_provides_asks_for_nothing() {
        let firmware = "(linux-firmware >= 20150904-56.git6ebf5d57 if linux-firmware)";
        assert_eq!(judged(&[firmware], &[], &[]), [] as [&str; 0]);
        // Provided in another version than the one asked for.
        assert_eq!(judged(&[firmware], &[], &["linux-firmware"]).len(), 4);
        // What is missing besides stays, and so does whatever else is said.
        let left = judged(&[firmware, "libnone"], &[], &[]);
        assert!(left.iter().any(|line| line.trim() == "libnone"), "{left:?}");
        assert!(left.len() > 1, "{left:?}");
        assert_eq!(judged(&[firmware], &["Traceback"], &[]), ["Traceback"]);
        for other in [
            "(a if b else c)",
            "(a unless b)",
            "(a if (b or c))",
            "(a or b)",
            "(a if",
        ] {
            assert_eq!(judged(&[other], &[], &[]).len(), 4, "{other}");
        }
    }

    #[test]
    fn a_question_that_fails_is_no_answer() {
        let lines = vec!["    (a if b)".to_owned()];
        assert!(judge(lines, &mut |_| Err("dnf repoquery failed".to_owned())).is_err());
    }
}
