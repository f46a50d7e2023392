//! What a guest's report means.
//!
//! A check holds where it ended with status 0 and without a finding. The output of some is judged here as well, where what is
//! expected is known and a test can look: [`outputs`].

mod outcome;
mod outputs;

pub use outcome::{CheckOutcome, Expected};

use super::guest::{End, GuestRun};
use super::report::{Reported, START};

/// Judges all checks that the target names, and the start before them.
pub fn judge(expected: &Expected<'_>, ran: &GuestRun) -> Vec<CheckOutcome> {
    let names = std::iter::once(START).chain(expected.boot.checks.iter().map(String::as_str));
    let mut all: Vec<CheckOutcome> = names.map(|name| one(expected, ran, name)).collect();
    let all_ended = all.iter().all(|judged| judged.not_run.is_none());
    if let (Some(last), true) = (all.last_mut(), all_ended)
        && ran.end != End::Done
        && ran.report.running().is_none()
    {
        last.findings
            .extend(broken_off(ran, "after the last check"));
    }
    if let (Some(first), stray @ [_, ..]) = (all.first_mut(), &ran.report.stray[..]) {
        // Something may be missing that would have been a finding.
        first.findings.push(format!(
            "{} lines of the guest's report are not in its format, the first is: {}",
            stray.len(),
            stray[0]
        ));
    }
    all
}

fn one(expected: &Expected<'_>, ran: &GuestRun, name: &str) -> CheckOutcome {
    let mut judged = match ran.report.check(name) {
        Some(reported) => reported_check(expected, ran, reported),
        None if name == START => CheckOutcome {
            findings: broken_off(ran, "before its user space started"),
            ..CheckOutcome::default()
        },
        None => CheckOutcome {
            not_run: Some(match &ran.end {
                End::Done => "the guest has no such check".to_owned(),
                end => format!("{} before", end.words()),
            }),
            ..CheckOutcome::default()
        },
    };
    name.clone_into(&mut judged.name);
    if name == outputs::KERNEL_LOG && judged.not_run.is_some() {
        // A guest that died has said why on its console.
        let found = expected.kernel_log.look(ran.console.lines());
        if !found.findings.is_empty() {
            judged.not_run = None;
            judged.findings = found.findings;
            judged.evidence = found.known;
        }
    }
    judged
}

fn reported_check(expected: &Expected<'_>, ran: &GuestRun, reported: &Reported) -> CheckOutcome {
    let mut judged = CheckOutcome {
        evidence: reported.evidence.clone(),
        findings: reported.findings.clone(),
        output: reported.output.clone(),
        ..CheckOutcome::default()
    };
    let Some((status, when)) = reported.ended else {
        judged
            .findings
            .extend(broken_off(ran, "while this check ran"));
        return judged;
    };
    judged.seconds = (when - reported.began).max(0.0);
    outputs::judge(expected, reported, &mut judged);
    if status != 0 && judged.findings.is_empty() {
        judged.findings.push(format!(
            "it exited with status {status}; its last lines:\n{}",
            last(&reported.output).join("\n")
        ));
    }
    judged
}

/// What to say of a guest that ended in the middle.
fn broken_off(ran: &GuestRun, when: &str) -> Vec<String> {
    let mut findings = vec![format!("{}, {when}", ran.end.words())];
    if let Some(running) = ran.report.running() {
        findings.extend(
            last(&running.output)
                .iter()
                .map(|line| format!("  | {line}")),
        );
    }
    let console = ran.last_lines();
    if console.is_empty() {
        findings.push("the console is empty".to_owned());
    } else {
        findings.push(format!(
            "the last lines of the console:\n{}",
            console.join("\n")
        ));
    }
    findings
}

fn last(lines: &[String]) -> &[String] {
    /// How many lines of a check's output are shown where it failed.
    const SHOWN: usize = 5;
    &lines[lines.len().saturating_sub(SHOWN)..]
}

#[cfg(test)]
pub(crate) mod tests;
