//! Every pinned file into the store.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};
use lustre_files::{advised, side_by_side};
use lustre_packaging::lock::{FilePin, Lock};
use lustre_packaging::resolve;
use lustre_packaging::source::{self, Downloader};
use lustre_packaging::store::Digest;
use lustre_packaging::target::DistributionKind;

use super::debian;
use crate::context::Context;
use crate::events::Amount;
use crate::graph::repositories::key_source;
use crate::place;
use crate::sources;
use crate::transfer;

/// How many files come at a time: mirrors ask for no more from one place.
const WIDTH: usize = 4;

/// Which of the pinned files are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinScope {
    /// All of them.
    All,
    /// Those that the distribution is made of.
    Distribution,
}

/// The pinned files that this run uses and that are not in the store.
pub fn missing(context: &Context, lock: &Lock, wanted: PinScope) -> anyhow::Result<Vec<FilePin>> {
    // Two packages may be of the same bytes: one download.
    let mut missing: BTreeMap<&str, FilePin> = BTreeMap::new();
    let of_e2fsprogs = lock.source.get(sources::E2FSPROGS);
    for pin in needed(context, lock) {
        if wanted == PinScope::Distribution && of_e2fsprogs == Some(pin) {
            continue;
        }
        if context.store.file(&digest(pin)?).is_none() {
            missing.insert(&pin.sha256, pin.clone());
        }
    }
    Ok(missing.into_values().collect())
}

/// Puts every pinned file that is not in the store there, checked by its digest.
pub fn fetch(context: &Context, lock: &Lock, wanted: PinScope) -> anyhow::Result<()> {
    fetch_for(context, lock, wanted, true)
}

/// The same of a lock that is not the checkout's, so that no command about that one helps where a file cannot be had.
pub fn fetch_of_others(context: &Context, lock: &Lock, wanted: PinScope) -> anyhow::Result<()> {
    fetch_for(context, lock, wanted, false)
}

/// Fetches; `advises` says whether the lock is the checkout's.
fn fetch_for(
    context: &Context,
    lock: &Lock,
    wanted: PinScope,
    advises: bool,
) -> anyhow::Result<()> {
    from_project(context, lock)?;
    let missing = missing(context, lock, wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    if context.arguments.offline {
        let names: Vec<&str> = missing
            .iter()
            .take(5)
            .map(|pin| pin.file.as_str())
            .collect();
        let what = format!(
            "{} of the files that the lock pins are not in the store ({}{}), and --offline was given",
            missing.len(),
            names.join(", "),
            if missing.len() > names.len() {
                ", …"
            } else {
                ""
            }
        );
        if !advises {
            bail!(what);
        }
        bail!(advised(
            what,
            format!(
                "run `cargo xtask fetch --target {}` with network",
                context.target.argument()
            )
        ));
    }
    // Another run may be at the same files.
    context.alone()?;
    let missing = self::missing(context, lock, wanted)?;
    if missing.is_empty() {
        return Ok(());
    }
    let all = Amount {
        files: missing.len(),
        bytes: missing
            .iter()
            .fold(0, |sum: u64, pin| sum.saturating_add(pin.size)),
    };
    let megabytes = all.bytes >> 20;
    context
        .screen
        .line(&format!("fetching {} files, {megabytes} MiB", all.files));
    let come = || come(context, &missing);
    transfer::told(&context.screen, all, &come, || {
        match context.target.distribution.kind {
            DistributionKind::Rehearsal => debian::fetch(context, &missing, advises),
            DistributionKind::Repositories => download(context, missing.clone(), advises),
        }
    })
}

/// The pinned files that this run uses: not those of sources that it replaces.
pub fn needed<'l>(context: &'l Context, lock: &'l Lock) -> impl Iterator<Item = &'l FilePin> {
    let replaced = |name: &str| sources::is_replaced(&context.arguments, name);
    let unused: Vec<&FilePin> = lock
        .source
        .iter()
        .filter(|(name, _)| replaced(name))
        .map(|(_, pin)| pin)
        .collect();
    lock.files().filter(move |pin| !unused.contains(pin))
}

fn digest(pin: &FilePin) -> anyhow::Result<Digest> {
    pin.sha256
        .parse()
        .with_context(|| format!("the lock's pin of {}", pin.file))
}

/// Keys that the project has itself are not fetched.
fn from_project(context: &Context, lock: &Lock) -> anyhow::Result<()> {
    for (name, key) in &context.target.distribution.keys {
        let Some(pin) = lock.source.get(&key_source(name)) else {
            continue;
        };
        let wanted = digest(pin)?;
        if context.store.file(&wanted).is_none()
            && let Some(path) = resolve::from_specs(&place::specs(), key)
            && Digest::of_file(&path)?.0 == wanted
        {
            context.store.insert_file(&path, Some(&wanted))?;
        }
    }
    Ok(())
}

/// Fetches from the distribution's mirrors, several files at a time, the largest first. One that fails ends it; what has come stays.
fn download(context: &Context, mut missing: Vec<FilePin>, advises: bool) -> anyhow::Result<()> {
    missing.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.file.cmp(&b.file)));
    let options = sources::options(&context.arguments)?;
    let downloader = sources::downloader(context, &options);
    side_by_side(&missing, WIDTH, |pin| {
        one(context, &downloader, pin, advises)
    })?;
    Ok(())
}

/// What of the files `wanted` is there: in the store, or on its way into it.
fn come(context: &Context, wanted: &[FilePin]) -> Amount {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |data| data.len());
    let partial = context.store.partial_dir();
    let apt = debian::fetched_into(context);
    let mut come = Amount::default();
    for pin in wanted {
        let is_there = digest(pin).is_ok_and(|digest| context.store.file(&digest).is_some());
        come.files += usize::from(is_there);
        come.bytes += if is_there {
            pin.size
        } else {
            let places = [
                partial.join(&pin.sha256),
                apt.join(&pin.file),
                apt.join(".part").join(&pin.file),
            ];
            let longest = places.iter().map(|path| length(path)).max();
            longest.unwrap_or(0).min(pin.size)
        };
    }
    come
}

fn one(
    context: &Context,
    downloader: &Downloader<'_>,
    pin: &FilePin,
    advises: bool,
) -> anyhow::Result<()> {
    let wanted = digest(pin)?;
    // Its repository may have moved since.
    let urls = context.target.distribution.places(&pin.uri);
    match downloader.file(&pin.file, &urls, &wanted, Some(pin.size)) {
        Ok(_) => Ok(()),
        Err(error @ (source::Error::Download { .. } | source::Error::Digest { .. })) => {
            let target = context.target.argument();
            let gone = format!("{} is pinned by the lock and no longer available", pin.file);
            Err(anyhow::Error::new(error).context(match advises {
                false => gone,
                true => format!(
                    "{gone}; mirrors drop superseded versions: `cargo xtask lock --update --target {target}` pins the current ones"
                ),
            }))
        }
        Err(error) => Err(error.into()),
    }
}

/// Puts the pinned files into another store, so that a build there needs no network.
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
