//! What was found, for people: on a terminal, and as the text of a change request.

use std::fmt::Write as _;

use lustre_packaging::preflight::Verdict;
use lustre_packaging::shown::harmless;
use lustre_repository::compat;

use super::{Fits, New, Preflight, Report, TargetReport};

/// How many of a kind are listed to people; `--json` has all.
const SHOWN: usize = 20;

/// No text of a change request is longer (characters): GitHub takes 65,536, and an advisory of a kernel may have hundreds of CVEs.
const LONGEST: usize = 60_000;

/// What was found of a target, on a terminal.
pub fn plain(watched: &TargetReport) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", heading(watched));
    for line in lines(watched) {
        let _ = writeln!(
            text,
            "  {}{}",
            "  ".repeat(line.depth),
            harmless(&line.text())
        );
    }
    text
}

/// What is new of all targets, in Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    for watched in report.targets.iter().filter(|one| one.new) {
        let _ = writeln!(text, "## {}\n", code(&heading(watched)));
        for line in lines(watched) {
            let indent = "  ".repeat(line.depth);
            let _ = match &line.quoted {
                Some(quoted) => writeln!(text, "{indent}- {}{}", line.words, code(quoted)),
                None => writeln!(text, "{indent}- {}", line.words),
            };
        }
        text.push('\n');
    }
    cut(text)
}

/// The text as far as a change request has room for it, in whole lines.
fn cut(text: String) -> String {
    let Some((end, _)) = text.char_indices().nth(LONGEST) else {
        return text;
    };
    let end = text[..end].rfind('\n').map_or(0, |at| at + 1);
    format!(
        "{}\nThis text was too long: the rest is in what `watch --json` says.\n",
        &text[..end]
    )
}

/// A line: words of ours, and after them what others may have written.
struct Line {
    depth: usize,
    words: String,
    quoted: Option<String>,
}

impl Line {
    fn text(&self) -> String {
        format!(
            "{}{}",
            self.words,
            self.quoted.as_deref().unwrap_or_default()
        )
    }
}

/// A text of others in Markdown: nothing in it is a link, a name of somebody, or markup.
fn code(text: &str) -> String {
    let plain: String = harmless(text)
        .chars()
        .map(|c| if c == '`' || c.is_control() { ' ' } else { c })
        .collect();
    format!("`{}`", plain.trim())
}

fn heading(watched: &TargetReport) -> String {
    let what = match watched.kernels.last() {
        Some(newest) if watched.new => {
            format!("kernel {} in place of {}", newest.version, watched.locked)
        }
        _ => format!("nothing newer than kernel {}", watched.locked),
    };
    format!("{}, Lustre {}: {what}", watched.target, watched.lustre)
}

fn lines(watched: &TargetReport) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |depth, words: &str, quoted: Option<String>| {
        lines.push(Line {
            depth,
            words: words.to_owned(),
            quoted,
        });
    };
    let changed: Vec<&str> = watched
        .repositories
        .iter()
        .filter(|one| one.changed)
        .map(|one| one.id.as_str())
        .collect();
    if !changed.is_empty() {
        say(0, "changed repositories: ", Some(changed.join(", ")));
    }
    if !watched.new {
        return lines;
    }
    for kernel in &watched.kernels {
        of_kernel(kernel, &mut say);
    }
    for one in &watched.repositories {
        if one.updateinfo == Some(false) {
            say(
                0,
                "no advisories (updateinfo.xml) are in the repository ",
                Some(one.id.clone()),
            );
        }
    }
    if let Some(preflight) = &watched.preflight {
        of_preflight(preflight, &mut say);
    }
    if watched.faults.is_empty() {
        say(0, "known faults of this Lustre: none", None);
    } else {
        say(0, "known faults of this Lustre:", None);
    }
    for fault in &watched.faults {
        let text = format!(
            "{} {} {}: {}",
            fault.severity, fault.ticket, fault.title, fault.standing
        );
        say(1, "", Some(text));
    }
    if !watched.moves.is_empty() {
        say(0, "what the new lock moves:", None);
    }
    for line in watched.moves.iter().take(SHOWN) {
        say(1, "", Some(line.clone()));
    }
    if watched.moves.len() > SHOWN {
        say(
            1,
            &format!("and {} more", watched.moves.len() - SHOWN),
            None,
        );
    }
    if watched.updated {
        say(0, "the lock was moved", None);
    }
    lines
}

type Say<'s> = dyn FnMut(usize, &str, Option<String>) + 's;

fn of_kernel(kernel: &New, say: &mut Say<'_>) {
    let text = format!("{} ({})", kernel.version, kernel.repository);
    say(0, "new kernel ", Some(text));
    match &kernel.known.why {
        Some(why) => say(1, "known not to go with this Lustre: ", Some(why.clone())),
        None => say(1, "no known problem with this Lustre", None),
    }
    match (&kernel.compat, &kernel.why_no_compat) {
        (Some(fit), _) => {
            let words = match fit.verdict {
                compat::Verdict::Loads => "the modules of the repository load on it",
                compat::Verdict::DoesNotLoad => "the modules of the repository do not load on it",
                compat::Verdict::Unknown => {
                    "whether the modules of the repository load on it cannot be told"
                }
            };
            say(1, words, None);
            for one in fit.lacking.iter().take(SHOWN) {
                let has = one.has.as_deref().unwrap_or("none");
                let text = format!("{} {}, the kernel has {has}", one.symbol, one.wanted);
                say(2, "", Some(text));
            }
            if fit.lacking.len() > SHOWN {
                say(2, &format!("and {} more", fit.lacking.len() - SHOWN), None);
            }
            let names = fit.ext4.files.join(", ");
            match fit.ext4.result {
                compat::Ext4Comparison::Same => say(1, "its ext4 and jbd2 are the same", None),
                compat::Ext4Comparison::Differs => say(1, "its ext4 or jbd2 differ: ", Some(names)),
                compat::Ext4Comparison::NotCompared => say(
                    1,
                    "whether its ext4 or jbd2 differ is not known: ",
                    fit.ext4.why.clone(),
                ),
                compat::Ext4Comparison::NotNeeded => {}
            }
        }
        (None, why) => say(
            1,
            "whether the modules of the repository load on it was not looked at: ",
            why.clone(),
        ),
    }
    for one in kernel.advisories.iter().take(SHOWN) {
        let severity = one.severity.as_deref().unwrap_or("no severity");
        let cves = match one.cves.len() {
            0 => "no CVE".to_owned(),
            number if number <= SHOWN => one.cves.join(", "),
            number => format!(
                "{}, and {} more CVEs",
                one.cves[..SHOWN].join(", "),
                number - SHOWN
            ),
        };
        let text = format!("{} {} {severity}: {} ({cves})", one.id, one.kind, one.title);
        say(1, "advisory ", Some(text));
    }
    if let Some(more) = kernel.advisories.len().checked_sub(SHOWN + 1) {
        say(1, &format!("and {} more advisories", more + 1), None);
    }
    if kernel.advisories.is_empty() {
        say(1, "no advisory of the distribution names it", None);
    }
}

fn of_preflight(preflight: &Preflight, say: &mut Say<'_>) {
    let words = match preflight.result {
        Fits::Pass => "preflight: everything fits ",
        Fits::Fail => "preflight: something does not fit ",
        Fits::NotRun => "preflight was not run for ",
        Fits::NotNeeded => "preflight was not needed for ",
    };
    say(0, words, Some(preflight.kernel.clone()));
    if let Some(why) = &preflight.why {
        say(1, "", Some(why.clone()));
    }
    for check in &preflight.checks {
        if !matches!(check.result, Verdict::Fail | Verdict::Waived) {
            continue;
        }
        say(
            1,
            "",
            Some(format!(
                "{} {}: {}",
                check.result, check.check, check.message
            )),
        );
        for problem in check.problems.iter().take(SHOWN) {
            say(2, "", Some(problem.message.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_mirror_says_is_no_markup() {
        assert_eq!(
            code("a`](https://x) @you\n# b"),
            "`a ](https://x) @you # b`"
        );
        assert_eq!(code("6.12.0-1"), "`6.12.0-1`");
    }

    #[test]
    fn a_change_request_has_room_for_the_text_whatever_a_mirror_says() {
        let kernel = |number: usize| New {
            version: format!("6.12.0-{number}"),
            repository: "base".to_owned(),
            known: super::super::Compatibility {
                result: "pass",
                why: None,
            },
            compat: None,
            why_no_compat: Some("none".to_owned()),
            advisories: (0..30)
                .map(|number| super::super::Advisory {
                    id: format!("RLSA-2026:{number}"),
                    kind: "security".to_owned(),
                    severity: None,
                    title: "kernel".to_owned(),
                    issued: None,
                    cves: (0..900).map(|one| format!("CVE-2026-{one:05}")).collect(),
                    repository: "base".to_owned(),
                })
                .collect(),
        };
        let report = |kernels: usize| Report {
            format: super::super::FORMAT,
            new: true,
            targets: vec![TargetReport {
                target: "site".to_owned(),
                lustre: "2.17.0".to_owned(),
                locked: "6.12.0-0".to_owned(),
                repositories: Vec::new(),
                new: true,
                kernels: (0..kernels).map(kernel).collect(),
                preflight: None,
                faults: Vec::new(),
                moves: Vec::new(),
                updated: false,
            }],
            failed: Vec::new(),
        };
        let short = markdown(&report(1));
        assert!(
            short.contains("CVE-2026-00019, and 880 more CVEs)`")
                && short.contains("and 10 more advisories")
                && !short.contains("too long"),
            "{short}"
        );
        let long = markdown(&report(40));
        assert!(long.chars().count() < 65_536);
        assert!(long.ends_with("the rest is in what `watch --json` says.\n"));
        assert!(long.starts_with("## `site, Lustre 2.17.0: kernel 6.12.0-39 in place of"));
    }
}
