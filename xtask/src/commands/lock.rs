//! `cargo xtask lock`, and what every command does before it builds: a current lock, and every pinned file in the store.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use lustre_packaging::distro::{Apt, Recipe};
use lustre_packaging::knowledge::Knowledge;
use lustre_packaging::lock::{Error, FilePin, Found, Lock};
use lustre_packaging::store::Digest;
use lustre_packaging::target::{Source, Target};

use crate::cli::LockArgs;
use crate::context::{self, Context};
use crate::exit::Outcome;
use crate::sources;
use crate::ui;

/// Writes the lock where there is none or an outdated one; with `--update`, always.
pub fn run(arguments: &LockArgs) -> anyhow::Result<Outcome> {
    let target = Target::load(&context::specs(), &arguments.target.target)?;
    judge(&target)?;
    let context = Context::open(&arguments.target, "cargo xtask lock")?;
    if arguments.update {
        if arguments.target.locked {
            return Err(
                crate::exit::Usage("--update and --locked exclude each other".to_owned()).into(),
            );
        }
        let lock = resolve(&context)?;
        write(&context, &lock)?;
    } else {
        current(&context)?;
    }
    let path = path(&context.target);
    if context.arguments.json {
        ui::print(&serde_json::json!({ "lock": path }).to_string());
    }
    ui::say(&format!("{} is current", path.display()));
    Ok(Outcome::Done)
}

/// Whether Lustre and the kernel's release that the target names are known to go together as it takes them. Of a kernel that the
/// target does not name, preflight tells.
///
/// # Errors
/// A [`Misfit`](lustre_packaging::knowledge::Misfit), or knowledge that cannot be read.
fn judge(target: &Target) -> anyhow::Result<()> {
    let version = target.kernel.version.as_deref();
    let Some((_, release)) = version.and_then(|version| version.split_once('-')) else {
        return Ok(());
    };
    let knowledge = Knowledge::load(&context::specs())?;
    match knowledge.judge_target(target, &target.lustre.version, release) {
        Some(misfit) => Err(misfit.into()),
        None => Ok(()),
    }
}

/// The target's lock; resolved and written where it is missing or outdated.
///
/// # Errors
/// When `--locked` or `--offline` forbids that, or a source cannot be resolved.
pub fn current(context: &Context) -> anyhow::Result<Lock> {
    let path = path(&context.target);
    let what = match Lock::find(&path, &request(&context.target)?)? {
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
    context
        .screen
        .line(&format!("{} {what}: resolving", path.display()));
    let lock = resolve(context)?;
    write(context, &lock)?;
    Ok(lock)
}

/// Puts every pinned file that is not in the store there, checked by its digest.
///
/// # Errors
/// When a file is missing and `--offline` is given, or it cannot be fetched any more.
pub fn fetch(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    let mut missing: Vec<FilePin> = Vec::new();
    for pin in needed(context, lock) {
        let digest: Digest = pin
            .sha256
            .parse()
            .with_context(|| format!("the lock's pin of {}", pin.file))?;
        if context.store.file(&digest).is_none() {
            missing.push(pin.clone());
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if context.arguments.offline {
        let names: Vec<&str> = missing
            .iter()
            .take(5)
            .map(|pin| pin.file.as_str())
            .collect();
        bail!(
            "{} of the files that the lock pins are not in the store ({}{}), and --offline was given; run `cargo xtask fetch --target {}` with network",
            missing.len(),
            names.join(", "),
            if missing.len() > names.len() {
                ", …"
            } else {
                ""
            },
            context.target.argument()
        );
    }
    let megabytes: u64 = missing.iter().map(|pin| pin.size).sum::<u64>() >> 20;
    context.screen.line(&format!(
        "fetching {} files, {megabytes} MiB",
        missing.len()
    ));
    let folder = context.store.partial_dir().join("apt");
    apt(context, false)?.fetch(&missing, &folder)?;
    for pin in &missing {
        let from = folder.join(&pin.file);
        let digest: Digest = pin.sha256.parse()?;
        context.store.insert_file(&from, Some(&digest))?;
        std::fs::remove_file(&from).with_context(|| from.display().to_string())?;
    }
    Ok(())
}

/// The pinned files that this run uses: not those of sources that it replaces.
fn needed<'l>(context: &'l Context, lock: &'l Lock) -> impl Iterator<Item = &'l FilePin> {
    let replaced = |name: &str| sources::is_replaced(&context.arguments, name);
    let unused: Vec<&FilePin> = lock
        .source
        .iter()
        .filter(|(name, _)| replaced(name))
        .map(|(_, pin)| pin)
        .collect();
    lock.files().filter(move |pin| !unused.contains(pin))
}

fn path(target: &Target) -> std::path::PathBuf {
    target.lock_path(&context::specs())
}

fn write(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    let path = path(&context.target);
    lock.write(&path)?;
    context.screen.line(&format!("wrote {}", path.display()));
    Ok(())
}

/// The distribution's recipe.
pub fn recipe(target: &Target) -> anyhow::Result<Recipe> {
    Ok(Recipe::load(
        &context::specs().join(&target.distribution.recipe),
    )?)
}

/// The sources of a target that the lock pins as single files.
fn pinned_sources(target: &Target) -> Vec<(&'static str, &Source)> {
    [
        (sources::E2FSPROGS, &target.e2fsprogs.source),
        (KERNEL_SOURCE, &target.distribution.kernel.source),
    ]
    .into_iter()
    .filter(|(_, source)| matches!(source, Source::Debian { .. }))
    .collect()
}

/// The lock's name for the upstream source of the distribution's kernel.
pub const KERNEL_SOURCE: &str = "distribution-kernel";

/// What the lock has to answer: a digest of everything that decides which files are pinned.
fn request(target: &Target) -> anyhow::Result<Digest> {
    let recipe = recipe(target)?;
    let mut fields = vec![("debian".to_owned(), format!("{:?}", recipe.debian))];
    for (name, source) in pinned_sources(target) {
        fields.push((name.to_owned(), format!("{source:?}")));
    }
    for (name, source) in [
        (sources::LUSTRE, &target.lustre.source),
        (sources::E2FSPROGS, &target.e2fsprogs.source),
    ] {
        if matches!(source, Source::Git { .. }) {
            fields.push((name.to_owned(), format!("{source:?}")));
        }
    }
    Ok(Digest::of_fields(fields))
}

fn resolve(context: &Context) -> anyhow::Result<Lock> {
    let apt = apt(context, true)?;
    let mut files = BTreeMap::new();
    for (name, source) in pinned_sources(&context.target) {
        if let Source::Debian {
            package,
            suite,
            version,
            file,
        } = source
        {
            let offered = apt.resolve_source(package, version.as_deref(), Some(suite))?;
            let mut fitting = offered
                .into_iter()
                .filter(|pin| pin.file.ends_with(file.as_str()));
            let pin = fitting.next().with_context(|| {
                format!(
                    "{name}: Debian's source package `{package}` has no file that ends in `{file}`"
                )
            })?;
            files.insert(name.to_owned(), pin);
        }
    }
    let packages = apt.resolve(&recipe(&context.target)?)?;
    let trees = sources::resolve(&context.target).into_iter().collect();
    Ok(Lock::new(
        &context.target.name,
        request(&context.target)?,
        files,
        trees,
        packages,
    ))
}

fn apt(context: &Context, update: bool) -> anyhow::Result<Apt> {
    let recipe = recipe(&context.target)?;
    let suites: Vec<String> = pinned_sources(&context.target)
        .into_iter()
        .filter_map(|(_, source)| match source {
            Source::Debian { suite, .. } => Some(suite.clone()),
            _ => None,
        })
        .collect();
    let dir = context.store.apt_dir();
    let dir: &Path = &dir;
    Ok(if update {
        Apt::update(&recipe.debian, &suites, dir)?
    } else {
        Apt::open(&recipe.debian, &suites, dir)?
    })
}

/// Puts the pinned files into another store, so that a build there needs no network.
///
/// # Errors
/// When a file cannot be copied.
pub fn share_files(context: &Context, lock: &Lock, store: &Path) -> anyhow::Result<()> {
    let other = lustre_packaging::store::Store::open(
        store,
        "cargo xtask verify --reproducible",
        &mut |_| {},
    )?;
    for pin in needed(context, lock) {
        let digest: Digest = pin.sha256.parse()?;
        let file = context
            .store
            .file(&digest)
            .with_context(|| format!("{} is not in the store", pin.file))?;
        other.insert_file(&file, Some(&digest))?;
    }
    Ok(())
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
