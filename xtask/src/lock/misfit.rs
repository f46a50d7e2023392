//! What is known against the kernel and the Lustre of a target, before they are locked.

use lustre_packaging::knowledge::{Knowledge, Misfit};
use lustre_packaging::target::Target;

use crate::place;

/// What is known against the target's Lustre with the kernel `version`, a `version-release`.
pub fn misfit(target: &Target, version: &str) -> anyhow::Result<Option<Misfit>> {
    let Some((_, release)) = version.split_once('-') else {
        return Ok(None);
    };
    let specs = place::specs();
    let overlay = target.kernel_overlay(&specs)?;
    let lustre = &target.lustre.version;
    Ok(Knowledge::load(&specs)?.judge_target(target, overlay.as_ref(), lustre, release))
}
