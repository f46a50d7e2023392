//! The target's lock as it is, and made where there is none that answers the target.

use std::collections::BTreeMap;
use std::path::PathBuf;

use lustre_packaging::lock::{Error, Found, Lock};
use lustre_packaging::store::Digest;
use lustre_packaging::target::{DistributionKind, Target};

use super::{debian, repositories};
use crate::context::Context;
use crate::exit::Usage;
use crate::place;

/// What stands where the target's lock should be.
///
/// # Errors
/// When it cannot be read.
pub fn find(context: &Context) -> anyhow::Result<(PathBuf, Found)> {
    let path = path(&context.target)?;
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

/// Where the target's lock is.
///
/// # Errors
/// When there is no folder for it.
pub fn path(target: &Target) -> Result<PathBuf, Usage> {
    Ok(target.lock_path(&place::locks()?))
}

/// Puts `lock` where the target's is.
///
/// # Errors
/// When it cannot be written.
pub fn write(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    let path = path(&context.target)?;
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

/// A new lock; with `update`, of what is newest now.
///
/// # Errors
/// When a source cannot be resolved.
pub fn resolve(context: &Context, update: bool) -> anyhow::Result<Lock> {
    match context.target.distribution.kind {
        DistributionKind::Rehearsal => debian::resolve(context),
        DistributionKind::Repositories => repositories::resolve(context, update),
    }
}
