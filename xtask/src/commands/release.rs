//! When a repository is released, and whether it may replace the one that is there.
//!
//! The time is an input that is recorded in the manifest: given, or that of the repository that is replaced where nothing but the time
//! would differ, or else taken from the clock once.

mod previous;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_packaging::sign::{PublicKey, utc};
use lustre_packaging::stage::{self, Stage, State};
use lustre_packaging::store::StageDir;
use lustre_packaging::target::MOST_KEPT;
use lustre_repository::assets;
use lustre_repository::earlier::{Choice, Earlier, choose, holds};
use lustre_repository::history::{self, MOST_SETS};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::release::{Release, Rule, versions_contradict};
use lustre_repository::repodata;

pub use previous::PreviousRelease;
use previous::contradictions;

use crate::cli::ReleaseArgs;
use crate::context::{self, Context, variable};
use crate::exit::Usage;
use crate::graph::finish::Signing;
use crate::graph::release::{Packages, has_packages, time};
use crate::graph::{self, BuildGraph, name};
use crate::{session, ui};

// What a target may keep, a repository can list.
const _: () = assert!(MOST_KEPT <= MOST_SETS);

/// The variable that may give the release time.
const TIME_VARIABLE: &str = "LUSTRE_REPO_RELEASE_TIME";

/// What the user says of the release.
#[derive(Debug, Default)]
pub struct ReleaseRequest {
    time: Option<u32>,
    overrules: BTreeSet<Rule>,
    /// All that a manifest says of the release, with the time and the rules above, and the folder that it is in.
    whole: Option<(Release, PathBuf)>,
}

impl ReleaseRequest {
    /// Of the command line, else of the environment.
    pub fn new(arguments: &ReleaseArgs) -> anyhow::Result<Self> {
        if let Some(path) = &arguments.released_as {
            let option = || format!("--released-as {}", path.display());
            let whole = Manifest::read(path).with_context(option)?;
            let whole = whole.released().with_context(option)?;
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            return Ok(Self {
                time: Some(whole.time),
                overrules: whole.overrules.clone(),
                whole: Some((whole, folder)),
            });
        }
        let mut time = arguments.release_time;
        if let (None, Some(text)) = (time, variable(TIME_VARIABLE)) {
            let read = text.to_str().and_then(|text| text.parse().ok());
            time = Some(read.filter(|time| *time > 0).ok_or_else(|| {
                Usage::new(format!(
                    "{TIME_VARIABLE} is {text:?}, which is not a time in seconds since 1970"
                ))
            })?);
        }
        Ok(Self {
            time,
            overrules: arguments.overrule.iter().copied().collect(),
            whole: None,
        })
    }

    /// The release of the time `time`, in place of `before`, over `overrules`, which keeps `earlier`.
    fn release(
        &self,
        time: u32,
        before: Option<&PreviousRelease>,
        overrules: BTreeSet<Rule>,
        earlier: &Earlier,
    ) -> Release {
        match &self.whole {
            Some((whole, _)) => whole.clone(),
            None => Release {
                time,
                overrules,
                replaces: before.map(PreviousRelease::replaced),
                keeps_sha256: earlier.digest(),
            },
        }
    }

    /// What the release of the manifest keeps of earlier ones, which is not built here: it is taken from the repository that the manifest is
    /// in. None where nobody gave a manifest.
    fn earlier(&self, key: &PublicKey) -> anyhow::Result<Option<Earlier>> {
        let Some((whole, folder)) = &self.whole else {
            return Ok(None);
        };
        if whole.keeps_sha256.is_none() {
            return Ok(Some(Earlier::default()));
        }
        let there = PreviousRelease::read(folder).and_then(|there| {
            let there = there.with_context(|| format!("there is no {}", manifest::FILE))?;
            if let Some(why) = there.not_signed_by(key) {
                bail!("{why}");
            }
            let earlier = there.earlier();
            if earlier.digest() != whole.keeps_sha256 {
                bail!(
                    "{} or {} is not the one of the manifest",
                    history::FILE,
                    assets::FILE
                );
            }
            let packages = earlier.sets.iter().flat_map(|set| &set.packages);
            for package in packages {
                let found = std::fs::symlink_metadata(folder.join(&package.path));
                if !found.is_ok_and(|it| it.is_file() && it.len() == package.size) {
                    bail!("{} is missing, or not whole", package.path);
                }
            }
            Ok(earlier)
        });
        let earlier = there.with_context(|| {
            format!(
                "--released-as: the release keeps packages of earlier releases, which are not built again but taken from the repository \
                 that the manifest is in, {}: give the manifest of a whole copy of it, signed with the key of this run; or \
                 `--release-time {}` to make the release without them",
                folder.display(),
                whole.time
            )
        })?;
        Ok(Some(earlier))
    }
}

/// What can be said before anything is built: whether what the user asks for goes back in time, or changes what servers are told without
/// a release package that they take. Until [`settle`] knows better, the release is the one that is there already.
pub fn begin(
    context: &Context,
    asked: &ReleaseRequest,
    output: &Path,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let key = PublicKey::parse(&signing.public_key)?;
    if let Some(time) = asked.time {
        key.check_usable(time)?;
    }
    asked.earlier(&key)?;
    let before = PreviousRelease::at(output)?;
    if let Some(before) = &before {
        in_time(asked, before)?;
        let mut found = Vec::from_iter(before.of_another(&context.target));
        found.extend(before.told_anew(&context.target, signing)?);
        before.judge(&found, &asked.overrules)?;
    }
    signing.release = first_guess(asked, before.as_ref(), signing)?;
    Ok(())
}

/// What more can be said before anything is built, once it is known which releases of e2fsprogs and Lustre it would be.
pub fn before_building(
    graph: &BuildGraph<'_>,
    asked: &ReleaseRequest,
    output: &Path,
) -> anyhow::Result<()> {
    let Some(before) = PreviousRelease::at(output)? else {
        return Ok(());
    };
    let versions = [
        ("e2fsprogs", graph.target.e2fsprogs.version.as_str()),
        ("lustre", graph.target.lustre.version.as_str()),
    ];
    let found = versions_contradict(&before.packages(), &versions);
    before.judge(&found, &asked.overrules).map(drop)
}

/// That a time asked for is not before that of the repository it replaces.
fn in_time(asked: &ReleaseRequest, before: &PreviousRelease) -> Result<(), Usage> {
    match asked.time {
        Some(time) if u64::from(time) < before.time() => Err(Usage::new(format!(
            "the release time {time} ({}) is before that of the repository at {}, {} ({}): mirrors and caches would keep the old files; \
             give a later time, or none",
            utc(time.into()),
            before.path.display(),
            before.time(),
            utc(before.time())
        ))),
        _ => Ok(()),
    }
}

/// The release that it is where nothing of the content changed.
fn first_guess(
    asked: &ReleaseRequest,
    before: Option<&PreviousRelease>,
    signing: &Signing,
) -> anyhow::Result<Release> {
    match (asked.time, before) {
        (None, Some(before)) => before.release(),
        (Some(time), Some(before)) if u64::from(time) == before.time() => before.release(),
        (time, _) => Ok(asked.release(
            time.unwrap_or(signing.time),
            before,
            asked.overrules.clone(),
            &Earlier::default(),
        )),
    }
}

/// Decides when the repository is released, and whether it may be put at `output`: that of the repository there, where it is the same but
/// for its time. The packages are built and signed for that. Gives how many stages decided it.
pub fn settle(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
    asked: &ReleaseRequest,
    output: &Path,
) -> anyhow::Result<usize> {
    let before = PreviousRelease::at(output)?;
    let mut overrules = asked.overrules.clone();
    let mut replaced = None;
    if let Some(before) = &before {
        in_time(asked, before)?;
        let same_time = asked
            .time
            .is_none_or(|time| u64::from(time) == before.time());
        if same_time && is_same(context, graph, signing, before)? {
            return Ok(0);
        }
        if let Some(time) = asked.time.filter(|_| same_time) {
            return Err(Usage::new(format!(
                "{time} is the release time of the repository at {}, which has other content: give a later time, or none",
                before.path.display()
            ))
            .into());
        }
        let made = made(context, graph, signing)?;
        let known = made.packages.known();
        overrules = before.judge(
            &contradictions(before, &graph.target, signing, &known)?,
            &asked.overrules,
        )?;
        replaced = Some((before, made));
    }
    let replaced = replaced.as_ref().map(|(before, made)| (*before, made));
    chosen(context, graph, signing, asked, replaced, overrules)
}

/// The same for what leaves the store for no place: nothing is replaced, so nothing is contradicted.
pub fn settle_in_store(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name)?;
    let before = PreviousRelease::looked_at(&output, &mut ui::warn);
    let mut replaced = None;
    if let Some(before) = &before {
        if is_same(context, graph, signing, before)? {
            return Ok(());
        }
        replaced = Some((before, made(context, graph, signing)?));
    }
    let replaced = replaced.as_ref().map(|(before, made)| (*before, made));
    let asked = ReleaseRequest::default();
    chosen(context, graph, signing, &asked, replaced, BTreeSet::new()).map(drop)
}

/// The release in a plan, which runs nothing: what is there already, or what the store knows.
pub fn planned(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name)?;
    let before = PreviousRelease::looked_at(&output, &mut ui::warn);
    signing.release = first_guess(&ReleaseRequest::default(), before.as_ref(), signing)?;
    if before.is_some() {
        return Ok(());
    }
    let known = {
        let mut stages = graph.signed(signing)?;
        stages.push(graph.release_time(signing, None)?);
        let planned = stage::plan(&stages, &context.store)?;
        let one = planned.into_iter().find(|one| {
            one.stage == name::RELEASE_TIME && one.state == State::Cached && one.assuming.is_empty()
        });
        let key = one.and_then(|one| one.key);
        key.and_then(|key| context.store.stages().lookup(name::RELEASE_TIME, &key))
    };
    if let Some(stage) = known {
        signing.release.time = time(&stage)?;
    }
    Ok(())
}

/// Whether the repository would be what is there already but for its proof, with that one's time; where it is, that is its time.
fn is_same(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
    before: &PreviousRelease,
) -> anyhow::Result<bool> {
    if before.kept() > graph.target.repository.keep {
        return Ok(false);
    }
    signing.release = before.release()?;
    signing.earlier = before.earlier();
    let done = session::run(context, &graph.signed(signing)?)?;
    // Nothing is assembled in vain.
    if !has_packages(
        session::stage(&done, name::SIGN)?,
        &before.manifest.packages,
    ) {
        return Ok(false);
    }
    let assembled = graph.assembled(signing)?;
    let keeps = !signing.earlier.sets.is_empty() || !signing.earlier.assets.is_empty();
    if keeps && !is_stored(context, &assembled, name::ASSEMBLE)? {
        // It would be copied into what is signed here.
        let key = PublicKey::parse(&signing.public_key)?;
        let base = base(graph, &done)?;
        let unfit = before.not_signed_by(&key);
        let unfit = unfit.or_else(|| holds(&signing.earlier, &key, &base).err());
        if let Some(why) = unfit {
            ui::warn(&format!(
                "the earlier releases in {} cannot be kept as they are: {why}",
                before.path.display()
            ));
            return Ok(false);
        }
    }
    let done = session::run(context, &assembled)?;
    Ok(before.is(session::stage(&done, name::ASSEMBLE)?))
}

/// Whether a stage is in the store, as a plan tells it.
fn is_stored(context: &Context, stages: &[Stage<'_>], name: &str) -> anyhow::Result<bool> {
    let planned = stage::plan(stages, &context.store)?;
    let one = planned.into_iter().find(|one| one.stage == name);
    Ok(one.is_some_and(|one| one.state == State::Cached))
}

/// The distribution's packages.
fn base(
    graph: &BuildGraph<'_>,
    done: &BTreeMap<String, StageDir>,
) -> anyhow::Result<Vec<repodata::Package>> {
    let base = graph::base(&graph.target, &session::folder(done, name::DISTRIBUTION)?);
    let mut packages = Vec::new();
    for repository in base.repos {
        packages.extend(repodata::read(&repository.folder)?.packages);
    }
    Ok(packages)
}

/// What the release that is `made` keeps of `before`; what it does not keep is said.
fn chosen_earlier(
    graph: &BuildGraph<'_>,
    signing: &Signing,
    before: &PreviousRelease,
    made: &SignedPackages,
) -> anyhow::Result<Earlier> {
    let key = PublicKey::parse(&signing.public_key)?;
    let earlier = choose(&Choice {
        folder: &before.path,
        candidates: &before.candidates(&key, &graph.target)?,
        now: &made.packages.published()?,
        keep: graph.target.repository.keep,
        key: &key,
        base: &base(graph, &made.done)?,
        assets: before.assets(graph.target.repository.assets_url.as_deref(), &key),
    });
    for one in &earlier.dropped {
        let version = |name: &str, version: &str| match version {
            "" => String::new(),
            version => format!(", {name} {version}"),
        };
        ui::warn(&format!(
            "the release of {}{}{} is not kept: {}",
            utc(one.time.into()),
            version("Lustre", &one.lustre),
            version("kernel", &one.kernel),
            one.why
        ));
    }
    Ok(earlier)
}

/// The packages, signed, with the stages that made them.
struct SignedPackages {
    packages: Packages,
    done: BTreeMap<String, StageDir>,
}

fn made(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
) -> anyhow::Result<SignedPackages> {
    let done = session::run_taking(context, &[name::SIGN], &graph.signed(signing)?)?;
    Ok(SignedPackages {
        packages: Packages::of(session::stage(&done, name::SIGN)?)?,
        done,
    })
}

/// A time that is given or taken from the clock, with the rules overruled.
fn chosen(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
    asked: &ReleaseRequest,
    before: Option<(&PreviousRelease, &SignedPackages)>,
    overrules: BTreeSet<Rule>,
) -> anyhow::Result<usize> {
    let (time, stages) = match asked.time {
        Some(time) => (time, 0),
        None => {
            let done = {
                let mut stages = graph.signed(signing)?;
                let replaced = before.map(|(before, _)| before.time());
                stages.push(graph.release_time(signing, replaced)?);
                session::run_taking(context, &[name::RELEASE_TIME], &stages)?
            };
            (time(session::stage(&done, name::RELEASE_TIME)?)?, 1)
        }
    };
    let key = PublicKey::parse(&signing.public_key)?;
    key.check_usable(time)?;
    signing.earlier = match (asked.earlier(&key)?, before) {
        (Some(told), _) => told,
        (None, Some((before, made))) => chosen_earlier(graph, signing, before, made)?,
        (None, None) => Earlier::default(),
    };
    let before = before.map(|(before, _)| before);
    signing.release = asked.release(time, before, overrules, &signing.earlier);
    Ok(stages)
}

#[cfg(test)]
mod tests;
