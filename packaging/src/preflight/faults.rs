//! What is known to be wrong with this release of Lustre: `specs/lustre/safety.toml`.

use super::report::{Check, Problem, Verdict, counted};
use super::{Error, Inputs};
use crate::advisories::{Fault, FaultStatus, Ledger, TargetFault};
use crate::overlay::Overlay;

/// The check's name.
pub const NAME: &str = "known faults";

/// Whether the target takes a fault that corrupts or loses data without having said so. There is no check for a model: it is another
/// Lustre.
pub(super) fn check(
    inputs: &Inputs<'_>,
    overlay: Option<&Overlay>,
) -> Result<Option<Check>, Error> {
    if inputs.target.model.is_some() {
        return Ok(None);
    }
    let Some(version) = &inputs.lustre.version else {
        let why = format!(
            "the release of {} is unknown: it is a folder that may have been changed",
            inputs.lustre.label
        );
        return Ok(Some(Check::not_run(NAME, why)));
    };
    let ledger = Ledger::load(inputs.specs)?;
    let known = ledger.known(inputs.target, version, overlay);
    let count =
        |wanted: fn(&TargetFault<'_>) -> bool| known.iter().filter(|one| wanted(one)).count();
    let mended = count(|one| matches!(one.standing, FaultStatus::Mended { .. }));
    let accepted: Vec<Problem> = known.iter().filter_map(accepted).collect();
    let open: Vec<&str> = known
        .iter()
        .filter(|one| {
            matches!(
                one.standing,
                FaultStatus::Open | FaultStatus::Unknown { .. }
            )
        })
        .map(|one| one.fault.ticket.as_str())
        .collect();
    let mut message = format!(
        "Lustre {version} has {}: {mended} fixed by our edits, {} accepted, {} open",
        counted(known.len(), "known fault"),
        accepted.len(),
        open.len()
    );
    if !open.is_empty() {
        message.push_str(&format!(
            " ({}; `cargo xtask advisories` lists them)",
            open.join(", ")
        ));
    }
    let mut problems: Vec<Problem> = ledger
        .unknown(inputs.target)
        .into_iter()
        .map(|ticket| {
            Problem::new(format!(
                "lustre.accepts contains {ticket}, and {} has no such fault, so nothing is accepted",
                Ledger::FILE
            ))
        })
        .collect();
    let stopping = known.iter().filter(|one| one.stops());
    problems.extend(stopping.map(|one| {
        let fault = one.fault;
        let unknown = match &one.standing {
            FaultStatus::Unknown { .. } => format!("; {}", one.standing),
            _ => String::new(),
        };
        Problem::new(format!(
            "{} ({}): {}; {}{unknown}",
            fault.ticket, fault.severity, fault.title, fault.does
        ))
    }));
    if problems.is_empty() && !accepted.is_empty() {
        let mut check = Check::of(NAME, message, accepted);
        check.result = Verdict::Waived;
        return Ok(Some(check));
    }
    let stopping = |unknown: bool| {
        known.iter().find(|one| {
            one.stops() && matches!(one.standing, FaultStatus::Unknown { .. }) == unknown
        })
    };
    let hints: Vec<String> = [
        stopping(false).map(|one| at_hand(one.fault)),
        stopping(true).map(looked_for),
    ]
    .into_iter()
    .flatten()
    .collect();
    let hint = match hints.is_empty() {
        true => "correct the ticket, or remove it from `accepts` in [lustre]".to_owned(),
        false => hints.join("; "),
    };
    Ok(Some(Check::of(NAME, message, problems).hint(hint)))
}

/// What to do about a fault that is there.
fn at_hand(fault: &Fault) -> String {
    let until = fault.until.as_ref();
    let mended = until.map_or("no release has a fix".to_owned(), |until| {
        format!("{until} has {} mended", fault.ticket)
    });
    format!(
        "use another release of Lustre ({mended}; `cargo xtask targets --matrix` shows which work with this kernel), or accept it in the \
         target: `accepts = {{ {} = \"why\" }}` in [lustre]",
        fault.ticket
    )
}

/// What to do about one that may be in a series of a site's own.
fn looked_for(known: &TargetFault<'_>) -> String {
    let Fault { ticket, series, .. } = known.fault;
    format!(
        "compare the patches of the target's series with those of {}, which have {ticket}: where yours do not have it, or no longer, say so in \
         the target: `accepts = {{ {ticket} = \"why\" }}` in [lustre]",
        series.join(", ")
    )
}

/// What the target takes all the same.
fn accepted(known: &TargetFault<'_>) -> Option<Problem> {
    let fault = known.fault;
    match &known.standing {
        FaultStatus::Accepted { why } => Some(Problem::new(format!(
            "{} ({}): {}; accepted: {why}",
            fault.ticket, fault.severity, fault.title
        ))),
        _ => None,
    }
}
