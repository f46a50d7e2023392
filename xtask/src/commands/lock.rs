//! `cargo xtask lock`

use lustre_packaging::lock::{Diff, Error, Lock};
use lustre_packaging::target::{DistributionKind, Target};

use super::preflight;
use crate::cli::LockArgs;
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::graph::BuildGraph;
use crate::lock::{PinScope, current, fetch, misfit, path, resolve, write};
use crate::ui;

/// Writes the lock where there is none or an outdated one; with `--update`, always.
pub fn run(arguments: &LockArgs) -> anyhow::Result<Outcome> {
    let target = context::target(&arguments.target)?;
    judge(&target)?;
    if arguments.update && arguments.target.locked {
        return Err(
            crate::exit::Usage::new("--update and --locked exclude each other".to_owned()).into(),
        );
    }
    let context = Context::open(&arguments.target, "cargo xtask lock")?;
    let path = path(&context.target)?;
    if !arguments.update {
        current(&context)?;
    } else if update(&context)? == Outcome::Misfit {
        ui::say(&format!("{} was not changed", path.display()));
        return Ok(Outcome::Misfit);
    }
    if context.arguments.json {
        ui::print(&serde_json::json!({ "lock": path }).to_string());
    }
    ui::say(&format!("{} is current", path.display()));
    Ok(Outcome::Done)
}

/// A new lock in place of the one there is, with what it moves. Where the distribution moves its kernel under the target, everything has
/// to fit it before it is written.
fn update(context: &Context) -> anyhow::Result<Outcome> {
    let target = &context.target;
    if context.arguments.offline {
        let (path, target) = (path(target)?, target.argument());
        let what = "is resolved again";
        return Err(Error::Offline { path, what, target }.into());
    }
    let (lock, _) = next(context)?;
    if target.distribution.kind == DistributionKind::Repositories {
        fetch(context, &lock, PinScope::All)?;
        let graph = BuildGraph::new(context, &lock)?;
        if preflight::gate(context, &graph)?.is_none() {
            return Ok(Outcome::Misfit);
        }
    }
    write(context, &lock)?;
    Ok(Outcome::Done)
}

/// A lock of what is newest now, and what it moves of the one there is; none of it is written.
pub fn next(context: &Context) -> anyhow::Result<(Lock, Option<Diff>)> {
    let target = &context.target;
    let old = match Lock::read(&path(target)?) {
        Ok(old) => old,
        // One that is no lock is replaced: that is what its error asks for.
        Err(error @ Error::Malformed { .. }) => {
            ui::say(&format!(
                "{error}\nit is written again, and the changes are not known"
            ));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let lock = resolve(context, true)?;
    let Some(old) = old else {
        return Ok((lock, None));
    };
    let diff = Diff::of(&old, &lock);
    ui::say(&diff.to_string());
    if !diff.older.is_empty() {
        let lines = diff.older.join("\n  ");
        // Where the target asks for something else now, that is why.
        if old.request == lock.request {
            let path = path(target)?;
            anyhow::bail!(
                "the repositories have older versions than {} pins:\n  {lines}\n  the mirror is outdated, or serves an old state: try \
                 again \
                 later, or use another one with --mirror FROM=TO; if the distribution withdrew the newer ones, remove the lock and run \
                 `cargo xtask lock --target {}`",
                path.display(),
                target.argument()
            );
        }
        ui::say(&format!(
            "older than before, as the target now requests:\n  {lines}"
        ));
    }
    Ok((lock, Some(diff)))
}

/// Whether Lustre and the kernel's release that the target names are known to go together as it takes them. Of a kernel that the
/// target does not name, preflight tells.
fn judge(target: &Target) -> anyhow::Result<()> {
    let Some(version) = target.kernel.version.as_deref() else {
        return Ok(());
    };
    misfit(target, version)?.map_or(Ok(()), |misfit| Err(misfit.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_not_to_build_is_not_locked() {
        let load = |name| Target::load(&crate::place::specs(), name).unwrap();
        let mut target = load("rocky-8.10-guide");
        judge(&target).unwrap();
        target.lustre.options.clear();
        let error = judge(&target).unwrap_err().to_string();
        assert!(
            error.contains("553.22.1.el8_10") && error.contains("ext4-delayed-iput"),
            "{error}"
        );
        // It names no kernel, and nothing is known of its own.
        judge(&load("rehearsal")).unwrap();
    }
}
