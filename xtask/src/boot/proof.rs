//! From what the guest's checks showed to checks of the proof.

use std::fs;

use anyhow::Context as _;
use lustre_packaging::boot::accelerator::Choice;
use lustre_packaging::boot::judge::CheckOutcome;
use lustre_packaging::boot::report::START;
use lustre_repository::proof::{Check, Verdict};

use super::input::{BootInput, Logs};

/// The machines of an upgrade, each a check: with the release before, after the upgrade, and after its undo.
pub const UPGRADE: [&str; 3] = ["predecessor", "upgrade", "undo"];

/// The check `judged`, under its name in the proof, with its log.
pub fn check(
    input: &BootInput<'_>,
    judged: CheckOutcome,
    choice: &Choice,
    logs: &Logs<'_>,
) -> anyhow::Result<Check> {
    let name = judged.name.clone();
    let log = keep(&judged, logs)?;
    let seconds = judged.seconds;
    let check = Check::run(&in_proof(&name), input.install.logs, || {
        verdict(judged, description(input, &name, choice))
    });
    Ok(Check {
        duration_ms: Some((seconds * 1000.0) as u64),
        log,
        ..check
    })
}

/// All checks of the guest, none of which ran.
pub fn not_run(input: &BootInput<'_>, why: &str) -> Vec<Check> {
    let names = std::iter::once(START).chain(input.boot.checks.iter().map(String::as_str));
    names
        .map(|name| {
            Check::run(&in_proof(name), input.install.logs, || {
                Verdict::NotRun(why.to_owned())
            })
        })
        .chain(UPGRADE.map(|name| Check::not_run(&in_proof(name), why)))
        .collect()
}

/// A name that no other proof has.
pub fn in_proof(name: &str) -> String {
    format!("boot-{name}")
}

fn verdict(judged: CheckOutcome, checked: String) -> Verdict {
    match judged.not_run {
        Some(why) => Verdict::NotRun(why),
        None if judged.findings.is_empty() => Verdict::Pass {
            checked,
            note: judged.evidence.join("\n"),
        },
        None => Verdict::Fail {
            checked,
            findings: judged.findings,
        },
    }
}

/// What a check looks at, in the words of the comment it begins with.
fn description(input: &BootInput<'_>, name: &str, choice: &Choice) -> String {
    if name == START {
        return format!(
            "the kernel of the packages boots to user space; {}",
            choice.why
        );
    }
    let script = input
        .specs
        .join(&input.boot.guest)
        .join("checks")
        .join(name);
    let text = lustre_files::read_to_string(script, lustre_files::TEXT).unwrap_or_default();
    let comment: Vec<&str> = text
        .lines()
        .map_while(|line| line.strip_prefix("# "))
        .collect();
    comment.join(" ")
}

/// All that the checks of a machine showed, as one: what each found and saw, with its name.
pub fn machine(
    name: &str,
    of: &str,
    judged: &[CheckOutcome],
    logs: &Logs<'_>,
) -> anyhow::Result<Verdict> {
    let path = logs.of(name);
    let mut text = String::new();
    let (mut findings, mut evidence) = (Vec::new(), Vec::new());
    for one in judged {
        text.push_str(&format!("{}:\n", one.name));
        text.push_str(&lines_of(one));
        let named = |said: &String| format!("{}: {said}", one.name);
        findings.extend(one.findings.iter().map(named));
        evidence.extend(one.evidence.iter().map(named));
        findings.extend(
            one.not_run
                .iter()
                .map(|why| format!("{}: not run: {why}", one.name)),
        );
    }
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(match findings.is_empty() {
        true => Verdict::Pass {
            checked: of.to_owned(),
            note: evidence.join("\n"),
        },
        false => Verdict::Fail {
            checked: of.to_owned(),
            findings,
        },
    })
}

/// Writes what a check printed, saw and found to its log.
fn keep(judged: &CheckOutcome, logs: &Logs<'_>) -> anyhow::Result<Option<std::path::PathBuf>> {
    if judged.not_run.is_some() {
        return Ok(None);
    }
    let path = logs.of(&judged.name);
    fs::write(&path, lines_of(judged)).with_context(|| path.display().to_string())?;
    Ok(Some(path))
}

fn lines_of(judged: &CheckOutcome) -> String {
    let mut text = String::new();
    for (prefix, lines) in [
        ("", &judged.output),
        ("evidence: ", &judged.evidence),
        ("finding: ", &judged.findings),
    ] {
        for line in lines {
            text.push_str(&format!("{prefix}{line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_good_where_all_of_its_checks_ran_and_found_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let logs = Logs(dir.path());
        let one = |name: &str| CheckOutcome {
            name: name.to_owned(),
            evidence: vec!["seen".to_owned()],
            output: vec!["printed".to_owned()],
            ..CheckOutcome::default()
        };
        let judge = |all: &[CheckOutcome]| machine("upgrade", "what", all, &logs).unwrap();
        let mut all = [one("kernel"), one("fsck")];
        let Verdict::Pass { note, .. } = judge(&all) else {
            panic!("it did not pass")
        };
        assert_eq!(note, "kernel: seen\nfsck: seen");
        all[1].findings.push("not clean".to_owned());
        all[0].not_run = Some("the guest died".to_owned());
        let Verdict::Fail { findings, .. } = judge(&all) else {
            panic!("it passed")
        };
        assert_eq!(
            findings,
            ["kernel: not run: the guest died", "fsck: not clean"]
        );
        let log = fs::read_to_string(logs.of("upgrade")).unwrap();
        assert!(
            log.contains("fsck:\nprinted\n") && log.contains("finding: not clean"),
            "{log}"
        );
    }
}
