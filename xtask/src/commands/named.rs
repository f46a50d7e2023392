//! The packages that a command line names.

use lustre_packaging::target::Target;

use crate::exit::Usage;
use crate::graph::shape::{self, PACKAGES};

/// That there are packages of these names, whatever the target.
pub fn known(named: &[String]) -> anyhow::Result<()> {
    match named.iter().find(|one| !PACKAGES.contains(&one.as_str())) {
        None => Ok(()),
        Some(other) => Err(Usage::new(format!(
            "no package `{other}`; available packages: {}",
            PACKAGES.join(", ")
        ))
        .into()),
    }
}

/// Those of the packages of `target` that are `named`, in the order of the graph; all of them where none is.
pub fn chosen(named: &[String], target: &Target) -> anyhow::Result<Vec<&'static str>> {
    let mut there = shape::built(target);
    if let Some(other) = named.iter().find(|one| !there.contains(&one.as_str())) {
        return Err(Usage::new(format!(
            "`{other}` is not built for `{}`, whose servers run the distribution's own; available packages: {}",
            target.name,
            there.join(", ")
        ))
        .into());
    }
    there.retain(|package| named.is_empty() || named.iter().any(|one| one == package));
    Ok(there)
}
