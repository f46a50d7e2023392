//! The target that a repository is of.

use lustre_files::advised;
use lustre_packaging::target::{self, Target};
use lustre_repository::manifest::Manifest;

use crate::cli::TargetArgs;
use crate::exit::Usage;
use crate::place;

/// The target of this run is the one that the manifest `shown` names.
pub fn named(arguments: &mut TargetArgs, manifest: &Manifest, shown: &str) -> anyhow::Result<()> {
    let release = manifest.overrides.lustre.as_deref();
    let name = target::own_name(&manifest.target, release);
    let known = Target::load_with(&place::specs(), name, release).is_ok();
    if !known {
        return Err(Usage::new(advised(
            format!(
                "{shown} is for the target `{}`, which `cargo xtask targets` does not list",
                name.escape_debug()
            ),
            "give its file with --target PATH.toml",
        ))
        .into());
    }
    arguments.lustre = manifest.overrides.lustre.clone();
    arguments.target = name.to_owned();
    Ok(())
}
