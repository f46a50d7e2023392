//! What of the known faults concerns a target, and how each of them stands there.

use std::fmt;

use serde::Serialize;

use super::ledger::{Concerns, Fault, Ledger};
use crate::overlay::Overlay;
use crate::target::Target;

/// A known fault of the Lustre that a target builds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFault<'l> {
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
    Accepted { why: String },
    /// It is there.
    Open,
    /// It may be there: the target's series of ldiskfs is none of upstream's, and nobody has said what is in it.
    Unknown { series: String },
}

impl fmt::Display for FaultStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mended { by } => write!(out, "mended by {by}"),
            Self::Accepted { why } => write!(out, "accepted: {why}"),
            Self::Open => out.write_str("open"),
            Self::Unknown { series } => write!(
                out,
                "open: it may be in the series {series}, which is none of upstream's"
            ),
        }
    }
}

impl TargetFault<'_> {
    /// Whether nothing may be built with it: it is grave, and nobody has mended or accepted it.
    pub fn stops(&self) -> bool {
        let open = matches!(
            self.standing,
            FaultStatus::Open | FaultStatus::Unknown { .. }
        );
        self.fault.severity.is_grave() && open
    }
}

impl Ledger {
    /// The faults that the release `version` of Lustre has in `target`, or may have, the gravest first. `overlay` is the target's, as it
    /// changes the tree. Our edits are of upstream's patches, so they mend nothing in a series that is none of upstream's.
    pub fn known<'l>(
        &'l self,
        target: &Target,
        version: &str,
        overlay: Option<&Overlay>,
    ) -> Vec<TargetFault<'l>> {
        let lustre = &target.lustre;
        let series = lustre.ldiskfs_series.as_deref();
        let standing = |fault: &Fault| {
            let concerns = self.concerns(fault, version, series);
            if concerns == Concerns::No {
                return None;
            }
            let mended = fault.mend.iter().find(|mend| {
                overlay.is_some_and(|overlay| {
                    // A site's own may extend it, and may drop an edit.
                    let taken = lustre.overlay.as_ref() == Some(&mend.overlay)
                        || overlay.below.contains_key(&mend.overlay);
                    taken && mend.missing_in(overlay).is_none()
                })
            });
            let accepted = lustre.accepts.get(&fault.ticket);
            Some(match (concerns, mended, accepted, series) {
                (Concerns::Yes, Some(mend), ..) => FaultStatus::Mended {
                    by: format!("{} of {}", mend.edits.join(", "), mend.overlay),
                },
                (_, _, Some(why), _) => FaultStatus::Accepted { why: why.clone() },
                (Concerns::Unknown, _, None, Some(series)) => FaultStatus::Unknown {
                    series: series.to_owned(),
                },
                _ => FaultStatus::Open,
            })
        };
        let mut known: Vec<TargetFault<'l>> = self
            .fault
            .iter()
            .filter_map(|fault| {
                let standing = standing(fault)?;
                Some(TargetFault { fault, standing })
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The standing of `ticket` in the target `rocky-9.6` with Lustre 2.17.0, its overlay, and these of the target's settings.
    fn standing(series: &str, accepts: &[&str], ticket: &str) -> Option<(FaultStatus, bool)> {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let mut target = Target::load(&specs, "rocky-9.6").unwrap();
        target.lustre.ldiskfs_series = Some(series.to_owned());
        let accepts = accepts
            .iter()
            .map(|one| ((*one).to_owned(), "read".to_owned()));
        target.lustre.accepts.extend(accepts);
        let folder = specs.join(target.lustre.overlay.as_ref().unwrap());
        let overlay = Overlay::load_in(&specs, &folder, &[]).unwrap();
        let ledger = Ledger::load(&specs).unwrap();
        let known = ledger.known(&target, "2.17.0", Some(&overlay));
        let found = known.iter().find(|one| one.fault.ticket == ticket)?;
        Some((found.standing.clone(), found.stops()))
    }

    #[test]
    fn a_series_of_a_site_may_have_what_series_of_upstream_have() {
        let ticket = "LU-20192";
        let (mended, stops) = standing("5.14-rhel9.6", &[], ticket).unwrap();
        assert!(
            matches!(mended, FaultStatus::Mended { .. }) && !stops,
            "{mended}"
        );
        assert_eq!(standing("5.14-rhel9.5", &[], ticket), None);
        // Whether it takes the patch that our edit changes, nobody knows.
        let (unknown, stops) = standing("5.14-of-a-site", &[], ticket).unwrap();
        assert!(stops, "{unknown}");
        assert_eq!(
            unknown.to_string(),
            "open: it may be in the series 5.14-of-a-site, which is none of upstream's"
        );
        let (accepted, stops) = standing("5.14-of-a-site", &[ticket], ticket).unwrap();
        assert_eq!(
            (accepted.to_string().as_str(), stops),
            ("accepted: read", false)
        );
        // What does not hang on a series is known of all.
        let (mended, _) = standing("5.14-of-a-site", &[], "LU-12268").unwrap();
        assert!(matches!(mended, FaultStatus::Mended { .. }), "{mended}");
    }
}
