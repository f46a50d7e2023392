//! The outputs that are judged outside the guest, by the name of the check.

use std::collections::BTreeMap;

use super::{CheckOutcome, Expected};
use crate::boot::report::Reported;

/// The check that prints the kernel's log.
pub(super) const KERNEL_LOG: &str = "kernel-log";

/// Adds what the output of `reported` shows to `judged`.
pub(super) fn judge(expected: &Expected<'_>, reported: &Reported, judged: &mut CheckOutcome) {
    let output = &reported.output;
    match reported.name.as_str() {
        "kernel" => kernel(expected.release, output, judged),
        "devices" => devices(expected, output, judged),
        "sanity" => sanity(&expected.boot.sanity, output, judged),
        KERNEL_LOG => kernel_log(expected, output, judged),
        _ => {}
    }
}

/// `uname -r` is the packaged kernel.
fn kernel(release: &str, output: &[String], judged: &mut CheckOutcome) {
    match output {
        [said] if said == release => judged.evidence.push(format!("uname -r: {said}")),
        said => judged.findings.push(format!(
            "uname -r says `{}`; the installed package is {release}",
            said.join(" ")
        )),
    }
}

/// `lctl dl` shows every device UP, and as many of each type as there must be.
fn devices(expected: &Expected<'_>, output: &[String], judged: &mut CheckOutcome) {
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for line in output {
        // Number, state, type, name, uuid, references.
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(Ok(_)), Some(state), Some(kind)) = (
            words.first().map(|number| number.parse::<usize>()),
            words.get(1),
            words.get(2),
        ) else {
            judged
                .findings
                .push(format!("not a device of `lctl dl`: {line}"));
            continue;
        };
        if *state == "UP" {
            *types.entry(kind).or_default() += 1;
        } else {
            judged.findings.push(format!("not UP: {}", line.trim()));
        }
        judged.evidence.push(line.trim().to_owned());
    }
    for wanted in &expected.boot.devices {
        let found = types.get(wanted.kind.as_str()).copied().unwrap_or_default();
        if found < wanted.count {
            judged.findings.push(format!(
                "{found} devices of type {} are UP, expected {}",
                wanted.kind, wanted.count
            ));
        }
    }
}

/// Every case asked for has passed, or said that it was skipped; at least one has passed.
fn sanity(wanted: &[String], output: &[String], judged: &mut CheckOutcome) {
    let said = |verdict: &str| -> Vec<String> {
        output
            .iter()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                (words.next() == Some(verdict)).then(|| words.next())?
            })
            // A skip also comes as a sentence, with a colon.
            .filter(|case| case.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
            .collect()
    };
    let (passed, failed, skipped) = (said("PASS"), said("FAIL"), said("SKIP"));
    for case in &failed {
        judged.findings.push(format!("case {case} failed"));
    }
    // `17` runs 17a, 17b and so on.
    let of = |case: &str, wanted: &str| {
        case.strip_prefix(wanted)
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    for wanted in wanted {
        let ran = [&passed, &failed, &skipped];
        if !ran
            .iter()
            .any(|cases| cases.iter().any(|case| of(case, wanted)))
        {
            judged.findings.push(format!("case {wanted} did not run"));
        }
    }
    if passed.is_empty() {
        judged.findings.push("no case passed".to_owned());
    }
    judged.evidence.push(format!(
        "{} cases passed: {}",
        passed.len(),
        passed.join(" ")
    ));
    if !skipped.is_empty() {
        judged.evidence.push(format!(
            "{} cases were skipped: {}",
            skipped.len(),
            skipped.join(" ")
        ));
    }
}

/// The log has no error lines.
fn kernel_log(expected: &Expected<'_>, output: &[String], judged: &mut CheckOutcome) {
    if !output.iter().any(|line| line.contains("Linux version ")) {
        judged.findings.push(format!(
            "the log does not begin with the kernel's first line: {} lines were read",
            output.len()
        ));
    }
    let found = expected.kernel_log.look(output.iter().map(String::as_str));
    judged.findings.extend(found.findings);
    judged.evidence.push(format!("{} lines", output.len()));
    judged.evidence.extend(found.known);
}
