//! Locks of targets whose distribution is made of Debian's packages: apt resolves, by the archive's signed metadata.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_distro::{Apt, Recipe, debian};
use lustre_files::advised;
use lustre_packaging::lock::{FilePin, Lock};
use lustre_packaging::store::Digest;
use lustre_packaging::target::{Source, Target};

use crate::context::Context;
use crate::place;
use crate::sources;

/// The distribution's recipe.
fn recipe(target: &Target) -> anyhow::Result<Recipe> {
    let recipe = target.distribution.recipe.as_deref();
    let recipe = recipe.context("the target's distribution is not made on the spot")?;
    Ok(Recipe::load(&place::specs().join(recipe))?)
}

/// The sources of a target that the lock pins as single files.
fn pinned_sources(target: &Target) -> Vec<(&'static str, &Source)> {
    [
        (sources::E2FSPROGS, Some(&target.e2fsprogs.source)),
        (
            sources::KERNEL_SOURCE,
            target.distribution.kernel.source.as_ref(),
        ),
    ]
    .into_iter()
    .filter_map(|(name, source)| Some((name, source?)))
    .filter(|(_, source)| matches!(source, Source::Debian { .. }))
    .collect()
}

/// What the lock has to answer: a digest of everything that decides which files are pinned.
pub fn request(target: &Target) -> anyhow::Result<Digest> {
    let recipe = recipe(target)?;
    let mut fields = vec![("debian".to_owned(), format!("{:?}", recipe.debian))];
    for (name, source) in pinned_sources(target)
        .into_iter()
        .chain(sources::pinned_trees(target))
    {
        fields.push((name.to_owned(), format!("{source:?}")));
    }
    Ok(Digest::of_fields(fields))
}

/// A new lock.
pub fn resolve(context: &Context) -> anyhow::Result<Lock> {
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
    Ok(Lock::new(
        &context.target.name,
        request(&context.target)?,
        files,
        sources::resolve(context)?,
        packages,
    ))
}

/// Where apt puts what it fetches, until that is in the store.
pub fn fetched_into(context: &Context) -> PathBuf {
    context.store.partial_dir().join("apt")
}

/// Fetches `missing` into the store; `advises` says whether the lock is the checkout's.
pub fn fetch(context: &Context, missing: &[FilePin], advises: bool) -> anyhow::Result<()> {
    let folder = fetched_into(context);
    apt(context, false)?
        .fetch(missing, &folder)
        .map_err(|error| match error {
            debian::Error::Gone { .. } if advises => anyhow::Error::new(advised(
                error.to_string(),
                format!(
                    "`cargo xtask lock --update --target {}` pins those",
                    context.target.argument()
                ),
            )),
            error => error.into(),
        })?;
    for pin in missing {
        let from = folder.join(&pin.file);
        let digest: Digest = pin.sha256.parse()?;
        context.store.insert_file(&from, Some(&digest))?;
        std::fs::remove_file(&from).with_context(|| from.display().to_string())?;
    }
    Ok(())
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
