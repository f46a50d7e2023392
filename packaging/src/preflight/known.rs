//! What is known of this Lustre with this kernel: `specs/lustre/knowledge.toml`.

use super::report::{Check, Problem};
use super::{Error, Inputs};
use crate::knowledge::Knowledge;

/// What is known of the pair as the target has it; no check where nothing is known.
pub(super) fn check(inputs: &Inputs<'_>) -> Result<Option<Check>, Error> {
    let knowledge = Knowledge::load(inputs.specs)?;
    let Some(lustre) = &inputs.lustre.version else {
        return Ok(None);
    };
    let release = &inputs.kernel.release;
    let Ok(Some(_)) = knowledge.rule(lustre, release) else {
        // Nothing, as of every kernel that is not Enterprise Linux's.
        return Ok(None);
    };
    let misfit = knowledge.judge_target(inputs.target, lustre, release);
    let message = format!("Lustre {lustre} with kernel {release}");
    let problems = misfit.iter().map(Problem::new).collect();
    Ok(Some(Check::of("known pairs", message, problems)))
}
