//! What of the known faults concerns a target, and how each of them stands there.

use std::fmt;

use serde::Serialize;

use super::ledger::{Fault, Ledger};
use crate::overlay::Overlay;
use crate::target::Target;

/// A known fault of the Lustre that a target builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault<'l> {
    /// The fault.
    pub fault: &'l Fault,
    /// How it stands.
    pub standing: FaultStatus,
}

/// How a fault stands in what a target builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub enum FaultStatus {
    /// Our edits mend it.
    Mended {
        /// The overlay and its edits.
        by: String,
    },
    /// The target takes it.
    Accepted {
        /// Why.
        why: String,
    },
    /// It is there.
    Open,
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mended { by } => write!(out, "mended by {by}"),
            Self::Accepted { why } => write!(out, "accepted: {why}"),
            Self::Open => out.write_str("open"),
        }
    }
}

impl TargetFault<'_> {
    /// Whether nothing may be built with it: it is grave, and nobody has mended or accepted it.
    pub fn stops(&self) -> bool {
        self.fault.severity.is_grave() && self.standing == FaultStatus::Open
    }
}

impl Ledger {
    /// The faults that the release `version` of Lustre has in `target`, the gravest first. `overlay` is the target's, as it changes the
    /// tree.
    pub fn known<'l>(
        &'l self,
        target: &Target,
        version: &str,
        overlay: Option<&Overlay>,
    ) -> Vec<TargetFault<'l>> {
        let lustre = &target.lustre;
        let standing = |fault: &Fault| {
            let mended = fault.mend.iter().find(|mend| {
                overlay.is_some_and(|overlay| {
                    // A site's own may extend it, and may drop an edit.
                    let taken = lustre.overlay.as_ref() == Some(&mend.overlay)
                        || overlay.below.contains_key(&mend.overlay);
                    taken && mend.missing_in(overlay).is_none()
                })
            });
            match (mended, lustre.accepts.get(&fault.ticket)) {
                (Some(mend), _) => FaultStatus::Mended {
                    by: format!("{} of {}", mend.edits.join(", "), mend.overlay),
                },
                (None, Some(why)) => FaultStatus::Accepted { why: why.clone() },
                (None, None) => FaultStatus::Open,
            }
        };
        let series = lustre.ldiskfs_series.as_deref();
        let mut known: Vec<TargetFault<'l>> = self
            .fault
            .iter()
            .filter(|fault| fault.concerns(version, series))
            .map(|fault| TargetFault {
                fault,
                standing: standing(fault),
            })
            .collect();
        known.sort_by(|a, b| {
            let order = |one: &TargetFault<'_>| (!one.stops(), one.fault.severity);
            order(a).cmp(&order(b))
        });
        known
    }

    /// The tickets that a target accepts and nobody knows.
    pub fn unknown<'t>(&self, target: &'t Target) -> Vec<&'t str> {
        let accepts = target.lustre.accepts.keys().map(String::as_str);
        accepts
            .filter(|ticket| self.of_ticket(ticket).is_none())
            .collect()
    }
}
