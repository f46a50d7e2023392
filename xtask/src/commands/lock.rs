//! `cargo xtask lock`, and what every command does before it builds: a current lock, and every pinned file in the store.
//!
//! - [`debian`]: locks of distributions made of Debian's packages; [`repositories`]: of those that are there already.
//! - [`fetch`](mod@fetch): the pinned files into the store.

mod debian;
mod fetch;
mod repositories;

use std::collections::BTreeMap;
use std::path::PathBuf;

use lustre_packaging::knowledge::{Knowledge, Misfit};
use lustre_packaging::lock::{Diff, Error, Found, Lock};
use lustre_packaging::store::Digest;
use lustre_packaging::target::{DistributionKind, Target};

use super::preflight;
use crate::cli::LockArgs;
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::road::Road;
use crate::ui;

pub use fetch::{Wanted, fetch, missing, share_files};

/// Writes the lock where there is none or an outdated one; with `--update`, always.
pub fn run(arguments: &LockArgs) -> anyhow::Result<Outcome> {
    let target = context::target(&arguments.target)?;
    judge(&target)?;
    if arguments.update && arguments.target.locked {
        return Err(
            crate::exit::Usage("--update and --locked exclude each other".to_owned()).into(),
        );
    }
    let context = Context::open(&arguments.target, "cargo xtask lock")?;
    let path = path(&context.target);
    if !arguments.update {
        current(&context)?;
    } else if update(&context)? == Outcome::Misfit {
        ui::say(&format!("{} is left as it was", path.display()));
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
        let (path, target) = (path(target), target.argument());
        let what = "is to be made anew";
        return Err(Error::Offline { path, what, target }.into());
    }
    let old = match Lock::read(&path(target)) {
        Ok(old) => old,
        // One that is no lock is replaced: that is what its error asks for.
        Err(error @ Error::Malformed { .. }) => {
            ui::say(&format!(
                "{error}\nit is made anew, and what moves is not known"
            ));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let lock = resolve(context, true)?;
    if let Some(old) = &old {
        let diff = Diff::of(old, &lock);
        ui::say(&diff.to_string());
        if !diff.older.is_empty() {
            let lines = diff.older.join("\n  ");
            // Where the target asks for something else now, that is why.
            if old.request == lock.request {
                let path = path(target);
                anyhow::bail!(
                    "the repositories have older versions than {} pins:\n  {lines}\n  the mirror is behind, or somebody shows a state of \
                     before: try again later, or another with --mirror FROM=TO; where the distribution took the newer ones back, remove \
                     the lock and run `cargo xtask lock --target {}`",
                    path.display(),
                    target.argument()
                );
            }
            ui::say(&format!(
                "older than before, as the target asks for it now:\n  {lines}"
            ));
        }
    }
    if target.distribution.kind == DistributionKind::Repositories {
        fetch(context, &lock, Wanted::All)?;
        let road = Road::new(context, &lock)?;
        if preflight::gate(context, &road)?.is_none() {
            return Ok(Outcome::Misfit);
        }
    }
    write(context, &lock)?;
    Ok(Outcome::Done)
}

/// Whether Lustre and the kernel's release that the target names are known to go together as it takes them. Of a kernel that the
/// target does not name, preflight tells.
///
/// # Errors
/// A [`Misfit`], or knowledge that cannot be read.
fn judge(target: &Target) -> anyhow::Result<()> {
    let Some(version) = target.kernel.version.as_deref() else {
        return Ok(());
    };
    misfit(target, version)?.map_or(Ok(()), |misfit| Err(misfit.into()))
}

/// What is known against the target's Lustre with the kernel `version`, a `version-release`.
fn misfit(target: &Target, version: &str) -> anyhow::Result<Option<Misfit>> {
    let Some((_, release)) = version.split_once('-') else {
        return Ok(None);
    };
    let specs = context::specs();
    let overlay = target.kernel_overlay(&specs)?;
    let lustre = &target.lustre.version;
    Ok(Knowledge::load(&specs)?.judge_target(target, overlay.as_ref(), lustre, release))
}

/// What stands where the target's lock should be.
///
/// # Errors
/// When it cannot be read.
pub fn find(context: &Context) -> anyhow::Result<(PathBuf, Found)> {
    let path = path(&context.target);
    let found = Lock::find(&path, &request(&context.target)?)?;
    Ok((path, found))
}

/// The target's lock; resolved and written where it is missing or outdated.
///
/// # Errors
/// When `--locked` or `--offline` forbids that, or a source cannot be resolved.
pub fn current(context: &Context) -> anyhow::Result<Lock> {
    let (path, found) = find(context)?;
    let what = match found {
        Found::Current(lock) => return Ok(lock),
        Found::Outdated(what) => what,
    };
    let target = context.target.argument();
    if context.arguments.locked {
        return Err(Error::Locked { path, what, target }.into());
    }
    if context.arguments.offline {
        return Err(Error::Offline { path, what, target }.into());
    }
    context.alone()?;
    context
        .screen
        .line(&format!("{} {what}: resolving", path.display()));
    let lock = resolve(context, false)?;
    write(context, &lock)?;
    Ok(lock)
}

/// A lock that pins nothing.
///
/// # Errors
/// When what it would answer cannot be read.
pub fn none(context: &Context) -> anyhow::Result<Lock> {
    let target = &context.target;
    let (files, trees) = (BTreeMap::new(), BTreeMap::new());
    Ok(Lock::new(
        &target.name,
        request(target)?,
        files,
        trees,
        Vec::new(),
    ))
}

fn path(target: &Target) -> PathBuf {
    target.lock_path(&context::specs())
}

fn write(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    let path = path(&context.target);
    lock.write(&path)?;
    context.screen.line(&format!("wrote {}", path.display()));
    Ok(())
}

/// What the lock has to answer: a digest of everything that decides which files are pinned.
fn request(target: &Target) -> anyhow::Result<Digest> {
    match target.distribution.kind {
        DistributionKind::Rehearsal => debian::request(target),
        DistributionKind::Repositories => repositories::request(target),
    }
}

fn resolve(context: &Context, update: bool) -> anyhow::Result<Lock> {
    match context.target.distribution.kind {
        DistributionKind::Rehearsal => debian::resolve(context),
        DistributionKind::Repositories => repositories::resolve(context, update),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_not_to_build_is_not_locked() {
        let load = |name| Target::load(&context::specs(), name).unwrap();
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
