//! `cargo xtask compat`

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::target::DistributionKind;
use lustre_repository::compat::{Ext4Comparison, Kernel, Verdict};

use crate::cli::CompatArgs;
use crate::compat::{Repository, Upstream};
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::{sources, ui};

/// Tells on which kernels the modules of a repository load, and whether anything speaks against the newest.
pub fn run(arguments: &CompatArgs) -> anyhow::Result<Outcome> {
    let context = Context::beside(
        &arguments.target,
        &context::who("compat", &arguments.target),
    )?;
    let put = context::default_output(&context.target.name)?;
    let repository = Repository::find(&context, arguments.path.as_deref(), put.clone())?.with_context(|| {
        advised(format!("there is no repository of `{}` whose modules could be looked at, neither at {} nor in the store", context.target.name, put.display()), format!("name its folder, or run `cargo xtask repo --target {}`", context.target.argument()))
    })?;
    context
        .screen
        .line(&format!("the modules of {}", repository.path.display()));
    let locked = context.arguments.offline
        || context.target.distribution.kind == DistributionKind::Rehearsal;
    let compat = if locked {
        repository.on_locked(&context)?
    } else {
        context.alone()?;
        let options = sources::options(&context.arguments)?;
        let downloader = sources::downloader(&context, &options);
        repository.on(&Upstream::fetch(&context, &downloader, false)?)?
    };
    if context.arguments.json {
        ui::print(compat.to_json().trim_end());
    } else {
        ui::print(compat.to_text().trim_end());
    }
    let newest = compat
        .newest()
        .with_context(|| format!("there is no kernel among {}", compat.of))?;
    let show = if newest.fits() { ui::say } else { ui::warn };
    show(&answer(newest));
    Ok(if newest.fits() {
        Outcome::Done
    } else {
        Outcome::Misfit
    })
}

/// May it be installed?
pub fn answer(newest: &Kernel) -> String {
    let why = match (newest.verdict, newest.ext4.result) {
        (Verdict::DoesNotLoad, _) => "the modules do not load",
        (Verdict::Unknown, _) => "whether the modules load cannot be told",
        (Verdict::Loads, Ext4Comparison::Differs) => {
            "the modules load, and ldiskfs lacks what its ext4 has: build the repository again for it"
        }
        (Verdict::Loads, Ext4Comparison::NotCompared) => {
            "the modules load, and whether ldiskfs lacks what its ext4 has is not known"
        }
        (Verdict::Loads, Ext4Comparison::Same | Ext4Comparison::NotNeeded) => {
            "the modules load, and nothing speaks against it"
        }
    };
    format!("{}, the newest: {why}", newest.kernel)
}
