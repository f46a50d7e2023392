//! When a repository is released, and whether it may replace the one that is there.
//!
//! The time is an input that is recorded in the manifest: given, or that of the repository that is replaced where nothing but the time
//! would differ, or else taken from the clock once.

mod previous;

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use lustre_packaging::sign::{PublicKey, utc};
use lustre_packaging::stage::{self, State};
use lustre_repository::manifest::Manifest;
use lustre_repository::release::{Release, Rule, versions_contradict};

use previous::{PreviousRelease, contradictions};

use crate::cli::ReleaseArgs;
use crate::context::{self, Context, variable};
use crate::exit::Usage;
use crate::graph::finish::Signing;
use crate::graph::release::{Packages, has_packages, time};
use crate::graph::{BuildGraph, name};
use crate::{session, ui};

/// The variable that may give the release time.
const TIME_VARIABLE: &str = "LUSTRE_REPO_RELEASE_TIME";

/// What the user says of the release.
#[derive(Debug, Default)]
pub struct Asked {
    time: Option<u32>,
    overrules: BTreeSet<Rule>,
    /// All that a manifest says of the release, with the time and the rules above.
    whole: Option<Release>,
}

impl Asked {
    /// Of the command line, else of the environment.
    ///
    /// # Errors
    /// When the variable holds no time, or there is no such manifest.
    pub fn new(arguments: &ReleaseArgs) -> anyhow::Result<Self> {
        if let Some(path) = &arguments.released_as {
            let option = || format!("--released-as {}", path.display());
            let whole = Manifest::read(path).with_context(option)?;
            let whole = whole.released().with_context(option)?;
            return Ok(Self {
                time: Some(whole.time),
                overrules: whole.overrules.clone(),
                whole: Some(whole),
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

    /// The release of the time `time`, in place of `before` and over `overrules`.
    fn release(
        &self,
        time: u32,
        before: Option<&PreviousRelease>,
        overrules: BTreeSet<Rule>,
    ) -> Release {
        self.whole.clone().unwrap_or_else(|| Release {
            time,
            overrules,
            replaces: before.map(PreviousRelease::replaced),
        })
    }
}

/// What can be said before anything is built: whether what the user asks for goes back in time, or changes what servers are told without
/// a release package that they take. Until [`settle`] knows better, the release is the one that is there already.
///
/// # Errors
/// When it does, or it cannot be told what would be replaced.
pub fn begin(
    context: &Context,
    asked: &Asked,
    output: &Path,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    if let Some(time) = asked.time {
        PublicKey::parse(&signing.public_key)?.check_usable(time)?;
    }
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
///
/// # Errors
/// When one of them is lower than what is at `output`.
pub fn before_building(graph: &BuildGraph<'_>, asked: &Asked, output: &Path) -> anyhow::Result<()> {
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
fn in_time(asked: &Asked, before: &PreviousRelease) -> Result<(), Usage> {
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
    asked: &Asked,
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
        )),
    }
}

/// Decides when the repository is released, and whether it may be put at `output`: that of the repository there, where it is the same but
/// for its time. The packages are built and signed for that. Gives how many stages decided it.
///
/// # Errors
/// When it contradicts what is there, or a stage fails.
pub fn settle(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
    asked: &Asked,
    output: &Path,
) -> anyhow::Result<usize> {
    let before = PreviousRelease::at(output)?;
    let mut overrules = asked.overrules.clone();
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
        let packages = packages(context, graph, signing)?;
        overrules = before.judge(
            &contradictions(before, &graph.target, signing, &packages.known())?,
            &asked.overrules,
        )?;
    }
    chosen(context, graph, signing, asked, before.as_ref(), overrules)
}

/// The same for what leaves the store for no place: nothing is replaced, so nothing is contradicted.
///
/// # Errors
/// When a stage fails.
pub fn settle_in_store(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name)?;
    let before = PreviousRelease::looked_at(&output, &mut ui::warn);
    if let Some(before) = &before
        && is_same(context, graph, signing, before)?
    {
        return Ok(());
    }
    chosen(
        context,
        graph,
        signing,
        &Asked::default(),
        before.as_ref(),
        BTreeSet::new(),
    )
    .map(drop)
}

/// The release in a plan, which runs nothing: what is there already, or what the store knows.
///
/// # Errors
/// When an input of a stage cannot be read.
pub fn planned(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name)?;
    let before = PreviousRelease::looked_at(&output, &mut ui::warn);
    signing.release = first_guess(&Asked::default(), before.as_ref(), signing)?;
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
    signing.release = before.release()?;
    let done = session::run(context, &graph.signed(signing)?)?;
    // Nothing is assembled in vain.
    if !has_packages(
        session::stage(&done, name::SIGN)?,
        &before.manifest.packages,
    ) {
        return Ok(false);
    }
    let done = session::run(context, &graph.assembled(signing)?)?;
    Ok(before.is(session::stage(&done, name::ASSEMBLE)?))
}

/// The packages, signed.
fn packages(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &Signing,
) -> anyhow::Result<Packages> {
    let done = session::run_taking(context, &[name::SIGN], &graph.signed(signing)?)?;
    Packages::of(session::stage(&done, name::SIGN)?)
}

/// A time that is given or taken from the clock, with the rules overruled.
fn chosen(
    context: &Context,
    graph: &BuildGraph<'_>,
    signing: &mut Signing,
    asked: &Asked,
    before: Option<&PreviousRelease>,
    overrules: BTreeSet<Rule>,
) -> anyhow::Result<usize> {
    let (time, stages) = match asked.time {
        Some(time) => (time, 0),
        None => {
            let done = {
                let mut stages = graph.signed(signing)?;
                stages.push(graph.release_time(signing, before.map(PreviousRelease::time))?);
                session::run_taking(context, &[name::RELEASE_TIME], &stages)?
            };
            (time(session::stage(&done, name::RELEASE_TIME)?)?, 1)
        }
    };
    PublicKey::parse(&signing.public_key)?.check_usable(time)?;
    signing.release = asked.release(time, before, overrules);
    Ok(stages)
}

#[cfg(test)]
mod tests;
