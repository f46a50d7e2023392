//! `cargo xtask watch`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_files::{advised, tried};
use lustre_packaging::advisories::Ledger;
use lustre_packaging::knowledge::Misfit;
use lustre_packaging::lock::Lock;
use lustre_packaging::overlay::Overlay;
use lustre_packaging::process;
use lustre_packaging::resolve::{self, SourcePackage};
use lustre_packaging::stage;
use lustre_packaging::target::{self, DistributionKind, Source, Target};
use lustre_repository::compat::Compat;
use lustre_repository::manifest::KnownFault;

use super::lock::next;
use super::preflight::look;
use crate::cli::{TargetArgs, WatchArgs};
use crate::compat::{Repository as BuildOutput, Upstream, line, name_and_version};
use crate::context::{self, Context};
use crate::exit::{Outcome, Usage};
use crate::graph::{BuildGraph, KERNEL_PACKAGE};
use crate::lock::{PinScope, fetch, misfit, path, write};
use crate::watch::state::State;
use crate::watch::{
    Advisory, Compatibility, FORMAT, Fits, New, Preflight, Report, Repository, TargetError,
    TargetReport, text,
};
use crate::{place, sources, ui};

/// Asks the repositories of targets what is new.
pub fn run(arguments: &WatchArgs) -> anyhow::Result<Outcome> {
    if arguments.target.offline {
        return Err(
            Usage::new("watch asks repositories, and --offline forbids it".to_owned()).into(),
        );
    }
    if arguments.update && arguments.target.locked {
        return Err(Usage::new("--update and --locked exclude each other".to_owned()).into());
    }
    let names = names(arguments)?;
    // That it can be written is known before anything is asked.
    if let Some(file) = &arguments.markdown {
        let folder = file.parent().filter(|one| !one.as_os_str().is_empty());
        let probe = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")));
        probe.map_err(tried("write", file))?;
    }
    let mut report = Report {
        format: FORMAT,
        new: false,
        targets: Vec::new(),
        failed: Vec::new(),
    };
    let mut first = None;
    for name in names {
        let one = TargetArgs {
            target: name.clone(),
            ..arguments.target.clone()
        };
        match look_at(&one, arguments.update, arguments.repositories.as_deref()) {
            Ok(watched) => {
                report.new |= watched.new;
                if !arguments.target.json {
                    ui::print(text::plain(&watched).trim_end());
                }
                report.targets.push(watched);
            }
            Err(error) if process::interrupted() => return Err(error),
            // One mirror that is away does not hide what others have.
            Err(error) => {
                ui::warn(&format!("{name}: {}", line(&error)));
                report.failed.push(TargetError {
                    target: name,
                    error: line(&error),
                });
                first.get_or_insert(error);
            }
        }
    }
    if let Some(file) = arguments.markdown.as_ref().filter(|_| report.new) {
        let text = text::markdown(&report);
        lustre_files::write_whole(file, text.as_bytes()).map_err(tried("write", file))?;
    }
    if arguments.target.json {
        ui::print(&serde_json::to_string_pretty(&report)?);
    }
    if let Some(error) = first {
        return Err(error);
    }
    Ok(if report.targets.iter().all(TargetReport::is_good) {
        Outcome::Done
    } else {
        Outcome::Misfit
    })
}

/// The targets to look at: those that the line names, the site's own, or all that have a lock and an existing distribution.
fn names(arguments: &WatchArgs) -> anyhow::Result<Vec<String>> {
    if !arguments.targets.is_empty() {
        return Ok(arguments.targets.clone());
    }
    let specs = place::specs();
    let load = |name: &str| Target::load_with(&specs, name, arguments.target.lustre.as_deref());
    let is_watched = |target: &Target| target.distribution.kind == DistributionKind::Repositories;
    if is_watched(&load(&arguments.target.target)?) {
        return Ok(vec![arguments.target.target.clone()]);
    }
    let mut names = Vec::new();
    for name in target::list(&specs)? {
        let target = load(&name)?;
        if is_watched(&target) && path(&target)?.is_file() {
            names.push(name);
        }
    }
    if names.is_empty() {
        return Err(Usage::new(advised(
            "no target with repositories of a distribution has a lock yet",
            "name some with --target, and run `cargo xtask lock --target T` for each",
        ))
        .into());
    }
    Ok(names)
}

fn look_at(
    arguments: &TargetArgs,
    update: bool,
    repositories: Option<&Path>,
) -> anyhow::Result<TargetReport> {
    let context = Context::beside(arguments, &context::who("watch", arguments))?;
    let target = &context.target;
    if target.distribution.kind != DistributionKind::Repositories {
        return Err(Usage::new(format!(
            "`{}` has no repositories that could be asked: its distribution is made here, of packages that apt resolves",
            target.name
        ))
        .into());
    }
    let locked = locked(&context)?;
    let before = State::read(&context.store, &target.argument(), &locked)?;
    // What was told and not taken is to be taken now.
    let afresh = update && !before.told.is_empty();
    let mut after = before.clone();
    let mut watched = TargetReport {
        target: target.name.clone(),
        lustre: target.lustre.version.clone(),
        locked,
        repositories: Vec::new(),
        new: false,
        kernels: Vec::new(),
        preflight: None,
        faults: Vec::new(),
        moves: Vec::new(),
        updated: false,
    };
    let options = sources::options(&context.arguments)?;
    let downloader = sources::downloader(&context, &options);
    let wanted = target.asks_for();
    for repository in &target.distribution.repository {
        if !repository.is_used(&wanted) {
            continue;
        }
        let seen = before.repositories.get(&repository.id).filter(|_| !afresh);
        let now = resolve::changed(&downloader, &target.distribution, repository, seen)?;
        let location = now.as_ref().or(seen).map(|seen| seen.location.clone());
        watched.repositories.push(Repository {
            id: repository.id.clone(),
            location: location.unwrap_or_default(),
            changed: now.is_some(),
            updateinfo: None,
        });
        if let Some(now) = now {
            after.repositories.insert(repository.id.clone(), now);
        }
    }
    if watched.repositories.iter().all(|one| !one.changed) {
        return Ok(watched);
    }
    context.alone()?;
    let upstream = Upstream::fetch(&context, &downloader, true)?;
    for one in &mut watched.repositories {
        let found = upstream.metadata.advisories.get(&one.id);
        one.updateinfo = found.map(Option::is_some);
    }
    let newer = newer(&context, &upstream, &watched.locked)?;
    let told: Vec<String> = newer.iter().map(|one| one.version.clone()).collect();
    watched.new = afresh && !told.is_empty() || told.iter().any(|one| !before.told.contains(one));
    if watched.new {
        let name = &target.name;
        let put = match repositories {
            Some(folder) => folder.join(name),
            None => context::default_output(name)?,
        };
        tell(&context, &upstream, &newer, &mut watched, put)?;
        watched.faults = faults(target)?;
        let (preflight, next, moves) = preflight(&context, &newer)?;
        watched.preflight = Some(preflight);
        watched.moves = moves;
        let good = watched.is_good();
        if let Some(lock) = next.filter(|_| update && good) {
            write(&context, &lock)?;
            watched.updated = true;
            after.told.clear();
        }
    }
    // What could not be looked at is looked at the next time.
    let looked = |one: &Preflight| one.result != Fits::NotRun;
    if !watched.preflight.as_ref().is_none_or(looked) {
        return Ok(watched);
    }
    match told.last().filter(|_| watched.updated) {
        Some(newest) => after.locked.clone_from(newest),
        None => after.told = told,
    }
    if after != before {
        after.write(&context.store)?;
    }
    Ok(watched)
}

/// The kernel that the target's lock pins.
fn locked(context: &Context) -> anyhow::Result<String> {
    let path = path(&context.target)?;
    let lock = Lock::read(&path)?.with_context(|| {
        advised(
            format!(
                "{} does not exist, and what is new is told against it",
                path.display()
            ),
            format!(
                "run `cargo xtask lock --target {}`",
                context.target.argument()
            ),
        )
    })?;
    let pin = lock.file(KERNEL_PACKAGE)?;
    let version = name_and_version(&pin.file).map(|(_, version)| version);
    version.with_context(|| {
        format!(
            "{} pins {}, which names no version",
            path.display(),
            pin.file
        )
    })
}

/// The source packages of kernels newer than `locked`, oldest first, each version once.
fn newer(
    context: &Context,
    upstream: &Upstream<'_>,
    locked: &str,
) -> anyhow::Result<Vec<SourcePackage>> {
    let Source::Srpm(name) = &context.target.kernel.source else {
        bail!(
            "kernel.source: a distribution's kernel is a source package (`srpm`), not {:?}",
            context.target.kernel.source
        );
    };
    let mut all = resolve::srpms(&upstream.metadata, name)?;
    all.retain(|one| one.version != locked && !one.is_older_than(locked));
    all.sort_by(|a, b| {
        if a.is_older_than(&b.version) {
            std::cmp::Ordering::Less
        } else if b.is_older_than(&a.version) {
            std::cmp::Ordering::Greater
        } else {
            std::cmp::Ordering::Equal
        }
    });
    all.dedup_by(|a, b| a.version == b.version);
    Ok(all)
}

/// What is told of each new kernel.
fn tell(
    context: &Context,
    upstream: &Upstream<'_>,
    newer: &[SourcePackage],
    watched: &mut TargetReport,
    put: PathBuf,
) -> anyhow::Result<()> {
    let built = BuildOutput::find(context, None, put)?;
    let compat: Result<Compat, String> = match &built {
        Some(built) => Ok(built.on(upstream)?),
        None => Err(format!(
            "there is no repository of `{}` here",
            context.target.name
        )),
    };
    for one in newer {
        let version = &one.version;
        let known = misfit(&context.target, version)?.map(|misfit| misfit.to_string());
        let fit = compat.as_ref().ok().and_then(|compat| {
            let name = format!("kernel-{version}.");
            let mut kernels = compat.kernels.iter();
            kernels
                .find(|kernel| kernel.kernel.starts_with(&name))
                .cloned()
        });
        let why_no_compat = match (&compat, &fit) {
            (Err(why), _) => Some(why.clone()),
            (Ok(_), None) => {
                Some("no repository of packages has this kernel, only its source".to_owned())
            }
            (Ok(_), Some(_)) => None,
        };
        watched.kernels.push(New {
            version: version.clone(),
            repository: one.repository.clone(),
            known: Compatibility {
                result: if known.is_some() { "fail" } else { "pass" },
                why: known,
            },
            compat: fit,
            why_no_compat,
            advisories: advisories(upstream, version),
        });
    }
    Ok(())
}

/// The distribution's advisories of the kernel `version`.
fn advisories(upstream: &Upstream<'_>, version: &str) -> Vec<Advisory> {
    let mut all: Vec<Advisory> = Vec::new();
    for (repository, found) in &upstream.metadata.advisories {
        for one in found.iter().flatten() {
            let names_it = one.packages.iter().any(|(_, other)| other == version);
            if !names_it || all.iter().any(|other| other.id == one.id) {
                continue;
            }
            all.push(Advisory {
                id: one.id.clone(),
                kind: one.kind.clone(),
                severity: one.severity.clone(),
                title: one.title.clone(),
                issued: one.issued.clone(),
                cves: one.cves.clone(),
                repository: repository.clone(),
            });
        }
    }
    all
}

/// What is known to be wrong with the target's Lustre.
fn faults(target: &Target) -> anyhow::Result<Vec<KnownFault>> {
    if target.model.is_some() {
        return Ok(Vec::new());
    }
    let specs = place::specs();
    let wanted = &target.lustre;
    let load =
        |folder: &String| Overlay::load_in(&specs, &target.folder(&specs, folder), &wanted.options);
    let overlay = wanted.overlay.as_ref().map(load).transpose()?;
    let ledger = Ledger::load(&specs)?;
    let known = ledger.known(target, &wanted.version, overlay.as_ref());
    Ok(known
        .iter()
        .map(|one| KnownFault {
            ticket: one.fault.ticket.clone(),
            severity: one.fault.severity.name().to_owned(),
            title: one.fault.title.clone(),
            standing: one.standing.to_string(),
        })
        .collect())
}

/// Whether everything fits the newest kernel, on the lock that would be the next; it, where all fits, and what it moves.
fn preflight(
    context: &Context,
    newer: &[SourcePackage],
) -> anyhow::Result<(Preflight, Option<Lock>, Vec<String>)> {
    let kernel = newer.last().map(|one| one.version.clone());
    let mut preflight = Preflight {
        result: Fits::NotNeeded,
        kernel: kernel.unwrap_or_default(),
        why: None,
        checks: Vec::new(),
    };
    if !context.target.kernel.moves && context.target.kernel.version.is_some() {
        preflight.why = Some("set `version` in the target's [kernel]".to_owned());
        return Ok((preflight, None, Vec::new()));
    }
    let mut moves = Vec::new();
    let mut looked = || -> anyhow::Result<_> {
        let (lock, diff) = next(context)?;
        if let Some(diff) = diff {
            moves.extend(diff.sources);
            moves.extend(diff.packages);
        }
        fetch(context, &lock, PinScope::All)?;
        let graph = BuildGraph::new(context, &lock)?;
        let report = look(context, &graph)?.0;
        drop(graph);
        Ok((lock, report))
    };
    match looked() {
        Ok((lock, report)) if report.fits => {
            preflight.result = Fits::Pass;
            preflight.checks = report.checks;
            return Ok((preflight, Some(lock), moves));
        }
        Ok((_, report)) => {
            preflight.result = Fits::Fail;
            preflight.checks = report.checks;
        }
        Err(_) if process::interrupted() => return Err(stage::Error::Interrupted.into()),
        Err(error) => {
            let known = error.is::<Misfit>();
            preflight.result = if known { Fits::Fail } else { Fits::NotRun };
            preflight.why = Some(line(&error));
        }
    }
    Ok((preflight, None, moves))
}
