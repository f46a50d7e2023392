//! `cargo xtask targets`

use lustre_packaging::target::{self, Target};

use crate::context;
use crate::exit::Outcome;
use crate::ui;

/// Lists the targets with what each builds.
pub fn run(json: bool) -> anyhow::Result<Outcome> {
    let specs = context::specs();
    let mut targets = Vec::new();
    for name in target::list(&specs)? {
        targets.push(Target::load(&specs, &name)?);
    }
    if json {
        ui::print(&serde_json::to_string_pretty(&targets)?);
        return Ok(Outcome::Done);
    }
    for target in targets {
        ui::print(&format!("{:16} {}", target.name, target.description));
        ui::print(&format!("{:16}   {}", "", target.summary()));
    }
    Ok(Outcome::Done)
}
