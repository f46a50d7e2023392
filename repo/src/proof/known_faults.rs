//! What is known to be wrong with the Lustre that was built: nothing of it corrupts or loses data unless whoever built it took it by
//! name. What was taken, and what is open, stands with the proof.

use super::context::Context;
use super::report::Verdict;
use crate::manifest::{self, KnownFault, Manifest};

pub(super) fn check(context: &Context<'_>) -> Verdict {
    let path = context.input.dist.join(manifest::FILE);
    match Manifest::read(&path) {
        Ok(manifest) => match manifest.known_faults_not_looked_up {
            Some(why) => Verdict::Pass {
                checked: "no known fault was looked up".to_owned(),
                note: format!("known faults were not looked up: {why}"),
            },
            None => of(&manifest.known_faults),
        },
        Err(error) => Verdict::NotRun(error.to_string()),
    }
}

fn of(faults: &[KnownFault]) -> Verdict {
    let checked = match faults.len() {
        0 => "no known fault is recorded".to_owned(),
        1 => "1 known fault".to_owned(),
        number => format!("{number} known faults"),
    };
    let name = |fault: &KnownFault| format!("{} ({})", fault.ticket, fault.severity);
    let mut findings = Vec::new();
    let mut notes = Vec::new();
    for fault in faults {
        match fault.standing_word() {
            "mended" => {}
            "accepted" => notes.push(format!(
                "waived: {}: {}; {}",
                name(fault),
                fault.title,
                fault.standing_more().unwrap_or("no reason is given")
            )),
            _ if fault.is_grave() => findings.push(format!(
                "{} is neither fixed nor accepted: {}",
                name(fault),
                fault.title
            )),
            _ => notes.push(format!("open: {}: {}", name(fault), fault.title)),
        }
    }
    match findings.is_empty() {
        true => Verdict::Pass {
            checked,
            note: notes.join("\n"),
        },
        false => Verdict::Fail { checked, findings },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(ticket: &str, severity: &str, standing: &str) -> KnownFault {
        KnownFault {
            ticket: ticket.to_owned(),
            severity: severity.to_owned(),
            title: "t".to_owned(),
            standing: standing.to_owned(),
        }
    }

    #[test]
    fn what_corrupts_or_loses_data_is_mended_or_accepted() {
        let mended = fault("LU-1", "corruption", "mended by a of b");
        let taken = fault("LU-2", "data-loss", "accepted: nobody archives here");
        let open = fault("LU-3", "crash", "open");
        let Verdict::Pass { checked, note } = of(&[mended.clone(), taken, open]) else {
            panic!("it holds");
        };
        assert_eq!(checked, "3 known faults");
        assert_eq!(
            note,
            "waived: LU-2 (data-loss): t; nobody archives here\nopen: LU-3 (crash): t"
        );
        // A severity that is not known, and a standing that is not, may be the worst.
        for grave in [
            fault("LU-4", "corruption", "open"),
            fault("LU-4", "data-loss", "open"),
            fault("LU-4", "corruption", "forgotten"),
            fault("LU-4", "fire", "open"),
        ] {
            let Verdict::Fail { findings, .. } = of(&[mended.clone(), grave.clone()]) else {
                panic!("{grave:?}");
            };
            assert!(
                findings.len() == 1 && findings[0].starts_with("LU-4 ("),
                "{findings:?}"
            );
        }
        assert!(matches!(of(&[]), Verdict::Pass { note, .. } if note.is_empty()));
    }
}
