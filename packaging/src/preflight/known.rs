//! What is known of this Lustre with this kernel: `specs/lustre/knowledge.toml`.

use super::report::{Check, Problem, Verdict};
use super::{Error, Inputs};
use crate::knowledge::{Knowledge, Misfit};
use crate::overlay::Overlay;

/// What is known of the pair as the target has it, with the kernel's overlay; no check where nothing is known. `series` is how the ldiskfs series came out on the
/// kernel's own files: they have the last word on what a statement about releases says of patches.
pub(super) fn check(
    inputs: &Inputs<'_>,
    overlay: Option<&Overlay>,
    series: Verdict,
) -> Result<Option<Check>, Error> {
    let knowledge = Knowledge::load(inputs.specs)?;
    let Some(lustre) = &inputs.lustre.version else {
        return Ok(None);
    };
    let release = &inputs.kernel.release;
    let Ok(Some(_)) = knowledge.rule(lustre, release) else {
        // Nothing, as of every kernel that is not Enterprise Linux's.
        return Ok(None);
    };
    let misfit = knowledge.judge_target(inputs.target, overlay, lustre, release);
    let mut message = format!("Lustre {lustre} with kernel {release}");
    let mut problems: Vec<Problem> = misfit.iter().map(Problem::new).collect();
    match misfit {
        None if series == Verdict::Fail => problems.push(Problem::new(format!(
            "{} says that they build, but the ldiskfs series does not apply to this kernel's ext4: the kernel is not what its release says, \
             or the rule lacks a bound",
            Knowledge::FILE
        ))),
        Some(Misfit::FixupMissing { .. } | Misfit::FixupTooMany { .. }) if series == Verdict::Pass => {
            problems.clear();
            message.push_str(": its ext4 differs from what is known of this release, and the target's choice fits it");
        }
        _ => {}
    }
    Ok(Some(Check::of("known pairs", message, problems)))
}
