//! The target's lock as it is, and made where there is none that answers the target.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_packaging::lock::{Error, Lock, LockState};
use lustre_packaging::store::Digest;
use lustre_packaging::target::{DistributionKind, Target};

use super::{debian, repositories};
use crate::context::Context;
use crate::exit::Usage;
use crate::place;

/// What stands where the target's lock should be.
pub fn find(context: &Context) -> anyhow::Result<(PathBuf, LockState)> {
    let (path, found) = of_target(&context.target)?;
    if let LockState::Current(lock) = &found {
        judge(context, &path, lock)?;
    }
    Ok((path, found))
}

/// The same of any target, whatever is in its lock.
pub fn of_target(target: &Target) -> anyhow::Result<(PathBuf, LockState)> {
    let path = path(target)?;
    let found = Lock::find(&path, &request(target)?)?;
    Ok((path, found))
}

/// Whether `lock`, which is at `path`, answers what the target asks for now.
pub fn answers(context: &Context, path: &Path, lock: &Lock) -> anyhow::Result<bool> {
    judge(context, path, lock)?;
    Ok(lock.request == request(&context.target)?)
}

/// Repositories are on the web, and another place is given with --mirror. Where Debian's packages are, apt's own sources say.
fn judge(context: &Context, path: &Path, lock: &Lock) -> anyhow::Result<()> {
    if context.target.distribution.kind == DistributionKind::Repositories
        && let Some(pin) = lock.files().find(|pin| is_of_this_machine(&pin.uri))
    {
        let message = format!(
            "{} is from {}, which is on this machine, and not where a distribution has its packages",
            pin.file, pin.uri
        );
        let path = path.to_owned();
        return Err(Error::Malformed { path, message }.into());
    }
    Ok(())
}

/// Whether a location is a file's, of whatever machine it is read on.
fn is_of_this_machine(uri: &str) -> bool {
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    uri.starts_with('/') || scheme.eq_ignore_ascii_case("file")
}

/// The target's lock; resolved and written where it is missing or outdated.
pub fn current(context: &Context) -> anyhow::Result<Lock> {
    let (path, found) = find(context)?;
    let what = match found {
        LockState::Current(lock) => return Ok(lock),
        LockState::Outdated(what) => what,
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
pub fn path(target: &Target) -> Result<PathBuf, Usage> {
    Ok(target.lock_path(&place::locks()?))
}

/// Puts `lock` where the target's is.
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
pub fn resolve(context: &Context, update: bool) -> anyhow::Result<Lock> {
    match context.target.distribution.kind {
        DistributionKind::Rehearsal => debian::resolve(context),
        DistributionKind::Repositories => repositories::resolve(context, update),
    }
}

#[cfg(test)]
mod tests {
    use super::is_of_this_machine;

    #[test]
    fn a_file_of_this_machine_is_told_by_its_location() {
        for (uri, is) in [
            ("https://file.example/a.rpm", false),
            ("file:///etc/shadow", true),
            ("FILE:/etc/shadow", true),
            ("/etc/shadow", true),
        ] {
            assert_eq!(is_of_this_machine(uri), is, "{uri}");
        }
    }
}
