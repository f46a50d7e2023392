//! The order of versions, as rpm itself has it.

use std::process::Command;

use anyhow::{Context, Result, ensure};

/// That `version-release` of ours is above that of the distribution: dnf takes it, then.
pub fn check_above(ours: &str, base: &str) -> Result<()> {
    let script = format!("%{{lua:print(rpm.vercmp('{ours}','{base}'))}}");
    let out = Command::new("rpm").args(["--eval", &script]).output();
    let said = String::from_utf8(out.context("rpm cannot be started")?.stdout)?;
    ensure!(
        said.trim() == "1",
        "rpm does not sort {ours} above {base}: {said}"
    );
    Ok(())
}
