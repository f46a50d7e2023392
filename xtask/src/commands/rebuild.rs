//! `cargo xtask rebuild`: the packages of a published repository, built again by whoever has nothing but that and the distribution's packages, and
//! compared with what it says they were before they were signed.
//!
//! - here: from the repository to the packages built again.
//! - `recorded`: what the repository records of how its packages were built.
//! - `compared`: what came of it; `told`: for people; `diffoscope`: how packages differ, in detail.

mod compared;
mod diffoscope;
mod recorded;
mod told;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{advised, apart, help, shown_url};
use lustre_packaging::bundle::Bundle;
use lustre_packaging::lock::Lock;
use lustre_packaging::needs::Part;
use lustre_packaging::source::{Mirror, is_near};
use lustre_packaging::stage::{self, Others, Stage};
use lustre_repository::manifest::{Manifest, Package as Manifested};
use lustre_repository::release_package::{self, ReleasePackage};
use lustre_repository::{kernel_guard, repo_file};

use super::needs;
use super::proofs::{self, ProofReport};
use super::repo::parts;
use super::verify::expected::Expected;
use super::verify::{self, TrustedRepository, trusted_repository};
use crate::cli::RebuildArgs;
use crate::cli::key::ExpectedKeyArgs;
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::graph::rebuild::Rebuild;
use crate::graph::{BuildGraph, name};
use crate::{lock, session, sources, ui};

use compared::{Compared, Package, StageResult, compare, not_built};
use recorded::Recorded;

/// A package of the repository: what its manifest says of it, and where it is.
type Published = (Manifested, PathBuf);

/// The stage of Lustre's kernel sources where the kernel is the distribution's own.
const EXT4: &str = lustre_packaging::build::ext4::NAME;

/// Where no target is named, it is the one that the manifest of the repository names. Gives what came of it where the repository cannot even
/// say what it is.
pub fn name_target(arguments: &mut RebuildArgs) -> anyhow::Result<Option<Outcome>> {
    if let Some(option) = arguments.without_effect.first() {
        return Err(Usage::new(format!(
            "{option}: what is rebuilt is the source packages of the repository, on this machine alone: no other sources, no shared store, and no \
             compiler cache"
        ))
        .into());
    }
    judge(arguments)?;
    // What the site's defaults say of them is not for this, either.
    let target = &mut arguments.target;
    (target.store_remote, target.ccache) = (None, None);
    target.store_keys.clear();
    let mut verified = arguments.verified();
    let broken = verify::named_or_broken(&mut verified)?;
    arguments.target = verified.target;
    broken
        .map(|proved| unproven(arguments, &proved))
        .transpose()
}

/// What is wrong with the line, as far as it shows without the repository.
fn judge(arguments: &RebuildArgs) -> anyhow::Result<()> {
    let target = &arguments.target;
    if target.lustre.is_some() && !arguments.target_given {
        return Err(Usage::new(advised(
            "--lustre: the repository names the release of Lustre that it has",
            "leave it out, or name the target with --target, too",
        ))
        .into());
    }
    sources::options(target)?;
    let ExpectedKeyArgs { public_key, key } = &arguments.expected;
    Expected::judge(public_key, key, arguments.trust_on_first_use)?;
    arguments.bundle.as_deref().map(Bundle::open).transpose()?;
    Ok(())
}

/// Tells that the repository is none that anything is built of: in the form of all other results.
fn unproven(arguments: &RebuildArgs, proved: &ProofReport) -> anyhow::Result<Outcome> {
    proved.show();
    if arguments.target.json {
        let shown = verify::shown(&arguments.path);
        ui::print(&Compared::unproven(shown, proved).json()?);
    }
    Ok(Outcome::Unproven)
}

/// Rebuilds and compares.
pub fn run(arguments: &RebuildArgs) -> anyhow::Result<Outcome> {
    let mut context = Context::open(
        &arguments.target,
        &context::who("rebuild", &arguments.target),
    )?;
    let target = context.target.name.clone();
    let mut fits = |manifest: &Manifest, shown: &str| {
        if arguments.target_given {
            recorded::is_of(manifest, shown, &target)?;
        }
        recorded::chosen(manifest, shown, &arguments.packages)?;
        Ok(())
    };
    let found = match trusted_repository(&mut context, &mut arguments.verified(), &mut fits)? {
        Ok(found) => found,
        Err(proved) => return unproven(arguments, &proved),
    };
    let bundle = arguments.bundle.as_deref().map(Bundle::open).transpose()?;
    let lock = bundle.as_ref().map(Bundle::lock_text);
    let recorded = Recorded::read(&found, &context.target.name, lock)?;
    let wanted = recorded.chosen(&arguments.packages)?;
    let rebuilds = recorded.rebuilds(&context, arguments, &wanted)?;
    packages_of_lock(&context, &found, &recorded.lock, bundle.as_ref(), &rebuilds)?;
    let not_rebuilt = recorded.not_rebuilt(&wanted)?;
    let (mut stages, mut packages) = (Vec::new(), Vec::new());
    // What one came to is told, whatever comes of the others.
    let mut done = |stage: &str,
                    rebuild: Option<&Rebuild>,
                    compared: &dyn Fn(&[Published]) -> anyhow::Result<Vec<Package>>|
     -> anyhow::Result<()> {
        let published = recorded.packages(stage, &found.tree);
        let compared = compared(&published);
        proofs::uninterrupted()?;
        let why = compared.as_ref().err().map(told);
        if let Some(why) = &why {
            ui::warn(&format!("warning: `{stage}` was not built: {why}"));
        }
        stages.push(StageResult {
            stage: stage.to_owned(),
            built: why.is_none(),
            why,
            own: rebuild
                .iter()
                .flat_map(|one| &one.own)
                .map(|one| one.nevra.clone())
                .collect(),
            host_not_taken: rebuild.and_then(|one| one.host_not_taken.clone()),
        });
        packages.extend(compared.unwrap_or_else(|_| not_built(&published)));
        Ok(())
    };
    for rebuild in &rebuilds {
        ui::say(&format!(
            "{}: rebuilding {}",
            found.shown, rebuild.source.nevra
        ));
        done(&rebuild.stage, Some(rebuild), &|published| {
            let made = rebuilt(&context, &recorded.lock, rebuild)?.join("RPMS");
            compare(&context, &rebuild.stage, published, &made)
        })?;
    }
    if wanted.contains(&name::RELEASE_PACKAGE.to_owned()) {
        done(name::RELEASE_PACKAGE, None, &|published| {
            let scratch = context.store.temp_dir("rebuild")?;
            own_packages(&context, &found, &recorded, scratch.path())?;
            compare(&context, name::RELEASE_PACKAGE, published, scratch.path())
        })?;
    }
    let compared = Compared {
        repository: found.shown.clone(),
        target: recorded.manifest.target.clone(),
        tool: recorded.manifest.tool.version.clone(),
        same: !packages.is_empty() && packages.iter().all(Package::is_same),
        stages,
        packages,
        not_rebuilt,
        unproven: Vec::new(),
    };
    if context.arguments.json {
        ui::print(&compared.json()?);
    } else {
        compared.tell(&mut |line| ui::print(line));
    }
    compared.outcome()
}

/// Why a stage could not be built, with its log.
fn told(error: &anyhow::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let (text, _) = apart(cause);
        // A wrapper that only repeats its cause is said once.
        if !parts.last().is_some_and(|last| last.contains(&text)) {
            parts.push(text);
        }
    }
    if let Some(stage::Error::Stage { log: Some(log), .. }) = error.downcast_ref() {
        parts.push(format!("see {}", log.display()));
    }
    parts.join(": ")
}

/// Brings what the lock pins and the builds need into the store.
fn packages_of_lock(
    context: &Context,
    found: &TrustedRepository,
    pins: &Lock,
    bundle: Option<&Bundle>,
    rebuilds: &[Rebuild],
) -> anyhow::Result<()> {
    if rebuilds.is_empty() {
        return Ok(());
    }
    let builds: Vec<&str> = rebuilds.iter().map(|one| one.stage.as_str()).collect();
    let mut needed = parts(&builds);
    if builds == ["lustre"] {
        // It is built against what the repository has.
        needed.retain(|part| matches!(part, Part::Base | Part::Lustre));
    }
    if let Some(bundle) = bundle {
        bundle.take(&context.store, &|_| {})?;
    }
    let scope = match rebuilds.iter().any(Rebuild::has_ext4_source) {
        true => lock::PinScope::All,
        false => lock::PinScope::Distribution,
    };
    if !context.arguments.offline {
        let missing = lock::missing(context, pins, scope)?;
        let files = missing.iter().map(|pin| pin.uri.as_str());
        let trees = pins
            .places_of_trees()
            .filter(|_| scope == lock::PinScope::All);
        not_near(
            &found.shown,
            files.chain(trees),
            &sources::options(&context.arguments)?.mirrors,
        )?;
    }
    needs::before_fetching_of(context, pins, scope, &needed)?;
    lock::fetch_of_others(context, pins, scope).with_context(|| {
        format!(
            "the packages that the lock of {} pins cannot all be had, and it was built with just these{}",
            found.shown,
            help!(
                "mirrors drop superseded packages: take them from a bundle that has them (--bundle FILE), or from a mirror that keeps them \
                 (--mirror FROM=TO)"
            )
        )
    })
}

/// That none of the places that a lock of others names is at an address of this machine or of its link, unless one of `mirrors` is for it: what
/// answers there is not what they mean, and not for them to ask.
fn not_near<'p>(
    shown: &str,
    mut places: impl Iterator<Item = &'p str>,
    mirrors: &[Mirror],
) -> anyhow::Result<()> {
    let named = |place: &str| mirrors.iter().any(|mirror| mirror.is_for(place));
    let Some(place) = places.find(|place| is_near(place) && !named(place)) else {
        return Ok(());
    };
    let place = shown_url(place).escape_debug().to_string();
    bail!(advised(
        format!(
            "the lock of {shown} pins something at {place}, a loopback or link-local address: what others published does not say what is fetched \
             from this machine or its link"
        ),
        format!(
            "if it is to come from there, say so with --mirror {place}={place}, or name another place that has it; or ask who published it"
        )
    ))
}

/// Builds one package again, whatever is in the store of it. Gives the folder of what came out.
fn rebuilt(context: &Context, pins: &Lock, rebuild: &Rebuild) -> anyhow::Result<PathBuf> {
    let ext4 = rebuild.has_ext4_source();
    let graph = match ext4 {
        true => BuildGraph::new(context, pins)?,
        false => BuildGraph::of_servers(context, pins)?,
    };
    let mut stages: Vec<Stage<'_>> = match ext4 {
        true => session::needed(graph.builds()?, &[name::BOOTSTRAP, EXT4]),
        false => session::needed(graph.roots()?, &[name::BOOTSTRAP]),
    };
    stages.extend(graph.rebuild(rebuild));
    let done = session::run_again(context, &rebuild.name(), Others::MadeHere, &stages)?;
    session::folder(&done, &rebuild.name())
}

/// The packages that the tool writes itself, of what the repository tells servers.
fn own_packages(
    context: &Context,
    found: &TrustedRepository,
    recorded: &Recorded,
    folder: &Path,
) -> anyhow::Result<()> {
    let key = found.said.join(repo_file::KEY_FILE);
    let key = lustre_files::read_no_link_to_string(&key, lustre_files::SOURCE)
        .with_context(|| key.display().to_string())?;
    let file = verify::said(&found.said, &recorded.manifest).map_err(anyhow::Error::msg)?;
    let target = &context.target;
    let numbers = &target.repository.release_package;
    let time = recorded.manifest.source_date_epoch;
    let release = format!("{}{}", numbers.release, target.distribution.dist);
    let built = release_package::build(&ReleasePackage {
        version: &numbers.version,
        release: &release,
        repo_file: &file,
        public_key: &key,
        source_date_epoch: time,
        url: numbers.url.as_deref(),
    })?;
    let guard = kernel_guard::build(&target.distribution.dist, time, numbers.url.as_deref())?;
    for package in [built, guard] {
        let path = folder.join(&package.file_name);
        std::fs::write(&path, package.bytes).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
