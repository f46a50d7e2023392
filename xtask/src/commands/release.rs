//! When a repository is released, and whether it may replace the one that is there.
//!
//! The time is an input that is recorded in the manifest: given, or that of the repository that is replaced where nothing but the time
//! would differ, or else taken from the clock once.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_packaging::sign::{PublicKey, utc};
use lustre_packaging::stage::{self, State};
use lustre_packaging::store::{Digest, Entry, EntryKind, StageDir};
use lustre_packaging::target::{Target, own_name};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::release::{
    Contradiction, Known, Release, Rule, Said, packages_contradict, targets_contradict, told_anew,
    versions_contradict,
};
use lustre_repository::repo_file::{self, KeyLocation, RepoFile};
use lustre_repository::{proof, release_package, sums};

use crate::cli::ReleaseArgs;
use crate::context::{self, Context, variable};
use crate::exit::Usage;
use crate::road::finish::Signing;
use crate::road::name::TREE;
use crate::road::release::{Packages, has_packages, time};
use crate::road::{Road, name};
use crate::{session, ui};

/// The variable that may give the release time.
const TIME_VARIABLE: &str = "LUSTRE_REPO_RELEASE_TIME";

/// What the user says of the release.
#[derive(Debug, Default)]
pub struct Asked {
    time: Option<u32>,
    overrules: BTreeSet<Rule>,
}

impl Asked {
    /// Of the command line, else of the environment.
    ///
    /// # Errors
    /// When the variable holds no time.
    pub fn new(arguments: &ReleaseArgs) -> Result<Self, Usage> {
        let mut time = arguments.release_time;
        if let (None, Some(text)) = (time, variable(TIME_VARIABLE)) {
            let read = text.to_str().and_then(|text| text.parse().ok());
            time = Some(read.filter(|time| *time > 0).ok_or_else(|| {
                Usage(format!(
                    "{TIME_VARIABLE} is {text:?}, which is no time in seconds since 1970"
                ))
            })?);
        }
        Ok(Self {
            time,
            overrules: arguments.overrule.iter().copied().collect(),
        })
    }
}

/// The repository that another is about to replace.
#[derive(Debug)]
pub struct Before {
    path: PathBuf,
    manifest: Manifest,
    /// Its `SHA256SUMS` without the proof's.
    sums: String,
    key_digest: String,
    repo_file_digest: String,
}

impl Before {
    /// That at `output`, if one is there.
    ///
    /// # Errors
    /// When what is there does not say what it is.
    pub fn at(output: &Path) -> anyhow::Result<Option<Self>> {
        let unreadable = || {
            format!(
                "cannot tell what {} is, which would be replaced: move it away or choose another output",
                output.display()
            )
        };
        let file = output.join(manifest::FILE);
        let there = lustre_files::if_there(std::fs::symlink_metadata(&file));
        if there.with_context(unreadable)?.is_none() {
            return Ok(None);
        }
        let path = output.join(sums::FILE);
        let all = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())
            .with_context(unreadable)?;
        let digest = |name| {
            sums::digest_of(&all, name)
                .map(str::to_owned)
                .with_context(|| format!("{} has no {name}", path.display()))
                .with_context(unreadable)
        };
        // What it says of itself decides what may replace it.
        let bytes = lustre_files::read_no_link(&file, lustre_files::SOURCE)
            .with_context(|| file.display().to_string())
            .with_context(unreadable)?;
        if Digest::of_bytes(&bytes).to_string() != digest(manifest::FILE)? {
            return Err(anyhow::anyhow!(
                "{} is not what {} says of it",
                file.display(),
                path.display()
            ))
            .with_context(unreadable);
        }
        let manifest = Manifest::read(&file).with_context(unreadable)?;
        Ok(Some(Self {
            path: output.to_owned(),
            key_digest: digest(repo_file::KEY_FILE)?,
            repo_file_digest: digest(repo_file::FILE)?,
            sums: sums::without(&all, proof::FILE),
            manifest,
        }))
    }

    /// As [`Before::at`], for those who put nothing there: what cannot be told of it is said, and taken for nothing.
    fn looked_at(output: &Path, tell: &mut dyn FnMut(&str)) -> Option<Self> {
        let found = Self::at(output).and_then(|before| {
            // A plan takes its time and rules from there.
            before.as_ref().map(Self::release).transpose()?;
            Ok(before)
        });
        found.unwrap_or_else(|error| {
            tell(&format!("{error:#}; this goes on without it"));
            None
        })
    }

    fn time(&self) -> u64 {
        self.manifest.release_time()
    }

    fn release(&self) -> anyhow::Result<Release> {
        Ok(self.manifest.released()?)
    }

    fn packages(&self) -> Vec<Known<'_>> {
        self.manifest.packages.iter().map(Known::from).collect()
    }

    /// Whether it is what the stage `assemble` recorded, but for its proof.
    fn is(&self, assembled: &StageDir) -> bool {
        let wanted = Entry {
            path: format!("{TREE}/{}", sums::FILE),
            kind: EntryKind::File {
                sha256: Digest::of_bytes(self.sums.as_bytes()),
                size: self.sums.len() as u64,
                executable: false,
            },
        };
        assembled.record.outputs.contains(&wanted)
    }

    /// Whether it is of another target.
    fn of_another(&self, target: &Target) -> Option<Contradiction> {
        // Another release of Lustre is none of its own.
        let before = self.manifest.overrides.lustre.as_deref();
        let now = target.chosen.lustre.as_deref();
        targets_contradict(
            own_name(&self.manifest.target, before),
            own_name(&target.name, now.filter(|_| target.chosen.instead)),
        )
    }

    /// What it says in its release package that `signing` and the target say otherwise, where servers would not notice.
    fn told_anew(
        &self,
        target: &Target,
        signing: &Signing,
    ) -> anyhow::Result<Option<Contradiction>> {
        let repository = &target.repository;
        let text = RepoFile::new(&repository.baseurl, &repository.name)?;
        let text = text.render(KeyLocation::Published);
        let digest = |text: &str| Digest::of_bytes(text.as_bytes()).to_string();
        Ok(told_anew(
            &self.packages(),
            Said {
                public_key: &self.key_digest,
                repo_file: &self.repo_file_digest,
            },
            &release_package(target),
            Said {
                public_key: &digest(&signing.public_key),
                repo_file: &digest(&text),
            },
        ))
    }

    /// The rules of `overruled` that are needed for what contradicts this one.
    ///
    /// # Errors
    /// When another rule is broken.
    fn judge(
        &self,
        found: &[Contradiction],
        overruled: &BTreeSet<Rule>,
    ) -> anyhow::Result<BTreeSet<Rule>> {
        let broken: BTreeSet<Rule> = found.iter().map(|one| one.rule).collect();
        let open: Vec<&Rule> = broken.difference(overruled).collect();
        if open.is_empty() {
            return Ok(broken);
        }
        /// How many packages are named of each rule.
        const SHOWN: usize = 5;
        let mut text = format!(
            "this contradicts the repository at {}, of {}, which it would replace:",
            self.path.display(),
            utc(self.time())
        );
        for rule in open {
            let all: Vec<&Contradiction> = found.iter().filter(|one| one.rule == *rule).collect();
            for one in all.iter().take(SHOWN) {
                let _ = write!(text, "\n  {}", one.what);
            }
            if all.len() > SHOWN {
                let _ = write!(text, "\n  and {} more", all.len() - SHOWN);
            }
            let _ = write!(
                text,
                "\n  {}; where no server has the old one, `--overrule {rule}` does it all the same, and the manifest says so",
                rule.remedy()
            );
        }
        bail!("{text}")
    }
}

/// The release package that comes out, as in a manifest.
fn release_package(target: &Target) -> String {
    let numbers = &target.repository.release_package;
    format!(
        "{}-{}-{}{}.noarch",
        release_package::NAME,
        numbers.version,
        numbers.release,
        target.distribution.dist
    )
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
    let before = Before::at(output)?;
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
pub fn before_building(road: &Road<'_>, asked: &Asked, output: &Path) -> anyhow::Result<()> {
    let Some(before) = Before::at(output)? else {
        return Ok(());
    };
    let versions = [
        ("e2fsprogs", road.target.e2fsprogs.version.as_str()),
        ("lustre", road.target.lustre.version.as_str()),
    ];
    let found = versions_contradict(&before.packages(), &versions);
    before.judge(&found, &asked.overrules).map(drop)
}

/// That a time asked for is not before that of the repository it replaces.
fn in_time(asked: &Asked, before: &Before) -> Result<(), Usage> {
    match asked.time {
        Some(time) if u64::from(time) < before.time() => Err(Usage(format!(
            "the release time {time} ({}) is before that of the repository at {}, {} ({}): mirrors and caches would keep what they have; \
             give a later one, or none",
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
    before: Option<&Before>,
    signing: &Signing,
) -> anyhow::Result<Release> {
    match (asked.time, before) {
        (None, Some(before)) => before.release(),
        (Some(time), Some(before)) if u64::from(time) == before.time() => before.release(),
        (time, _) => Ok(Release {
            time: time.unwrap_or(signing.time),
            overrules: asked.overrules.clone(),
        }),
    }
}

/// Decides when the repository is released, and whether it may be put at `output`: that of the repository there, where it is the same but
/// for its time. The packages are built and signed for that. Gives how many stages decided it.
///
/// # Errors
/// When it contradicts what is there, or a stage fails.
pub fn settle(
    context: &Context,
    road: &Road<'_>,
    signing: &mut Signing,
    asked: &Asked,
    output: &Path,
) -> anyhow::Result<usize> {
    let before = Before::at(output)?;
    let mut overrules = asked.overrules.clone();
    if let Some(before) = &before {
        in_time(asked, before)?;
        let same_time = asked
            .time
            .is_none_or(|time| u64::from(time) == before.time());
        if same_time && is_same(context, road, signing, before)? {
            return Ok(0);
        }
        if let Some(time) = asked.time.filter(|_| same_time) {
            return Err(Usage(format!(
                "{time} is the release time of the repository at {}, which has other content: give a later one, or none",
                before.path.display()
            ))
            .into());
        }
        let packages = packages(context, road, signing)?;
        overrules = before.judge(
            &contradictions(before, &road.target, signing, &packages.known())?,
            &asked.overrules,
        )?;
    }
    chosen(
        context,
        road,
        signing,
        asked.time,
        before.as_ref(),
        overrules,
    )
}

/// The same for what leaves the store for no place: nothing is replaced, so nothing is contradicted.
///
/// # Errors
/// When a stage fails.
pub fn settle_in_store(
    context: &Context,
    road: &Road<'_>,
    signing: &mut Signing,
) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name);
    let before = Before::looked_at(&output, &mut ui::warn);
    if let Some(before) = &before
        && is_same(context, road, signing, before)?
    {
        return Ok(());
    }
    chosen(
        context,
        road,
        signing,
        None,
        before.as_ref(),
        BTreeSet::new(),
    )
    .map(drop)
}

/// The release in a plan, which runs nothing: what is there already, or what the store knows.
///
/// # Errors
/// When an input of a stage cannot be read.
pub fn planned(context: &Context, road: &Road<'_>, signing: &mut Signing) -> anyhow::Result<()> {
    let output = context::default_output(&context.target.name);
    let before = Before::looked_at(&output, &mut ui::warn);
    signing.release = first_guess(&Asked::default(), before.as_ref(), signing)?;
    if before.is_some() {
        return Ok(());
    }
    let known = {
        let mut stages = road.signed(signing)?;
        stages.push(road.release_time(signing, None)?);
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
    road: &Road<'_>,
    signing: &mut Signing,
    before: &Before,
) -> anyhow::Result<bool> {
    signing.release = before.release()?;
    let done = session::run(context, &road.signed(signing)?)?;
    // Nothing is assembled in vain.
    if !has_packages(
        session::stage(&done, name::SIGN)?,
        &before.manifest.packages,
    ) {
        return Ok(false);
    }
    let done = session::run(context, &road.assembled(signing)?)?;
    Ok(before.is(session::stage(&done, name::ASSEMBLE)?))
}

/// The packages, signed.
fn packages(context: &Context, road: &Road<'_>, signing: &Signing) -> anyhow::Result<Packages> {
    let done = session::run_taking(context, &[name::SIGN], &road.signed(signing)?)?;
    Packages::of(session::stage(&done, name::SIGN)?)
}

/// All that contradicts `before`.
fn contradictions(
    before: &Before,
    target: &Target,
    signing: &Signing,
    packages: &[Known<'_>],
) -> anyhow::Result<Vec<Contradiction>> {
    let told = before.told_anew(target, signing)?;
    let release = release_package(target);
    // What it says is its content: that is said once.
    let packages: Vec<Known<'_>> = packages
        .iter()
        .filter(|one| told.is_none() || one.nevra != release)
        .cloned()
        .collect();
    let mut found = packages_contradict(&before.packages(), &packages);
    found.extend(told);
    found.extend(before.of_another(target));
    Ok(found)
}

/// A time that is given or taken from the clock, with the rules overruled.
fn chosen(
    context: &Context,
    road: &Road<'_>,
    signing: &mut Signing,
    given: Option<u32>,
    before: Option<&Before>,
    overrules: BTreeSet<Rule>,
) -> anyhow::Result<usize> {
    let (time, stages) = match given {
        Some(time) => (time, 0),
        None => {
            let done = {
                let mut stages = road.signed(signing)?;
                stages.push(road.release_time(signing, before.map(Before::time))?);
                session::run_taking(context, &[name::RELEASE_TIME], &stages)?
            };
            (time(session::stage(&done, name::RELEASE_TIME)?)?, 1)
        }
    };
    PublicKey::parse(&signing.public_key)?.check_usable(time)?;
    signing.release = Release { time, overrules };
    Ok(stages)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A folder that has what is looked at of a repository.
    fn published(release: Option<Release>) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest {
            format: manifest::FORMAT,
            source_date_epoch: 7,
            release,
            ..Manifest::default()
        };
        manifest.write(&dir.path().join(manifest::FILE)).unwrap();
        for name in [repo_file::KEY_FILE, repo_file::FILE, proof::FILE] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        sums::write(dir.path()).unwrap();
        dir
    }

    fn asked(time: Option<u32>) -> Asked {
        Asked {
            time,
            overrules: [Rule::LowerEvr].into(),
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_cannot_be_read() {
        let empty = tempfile::tempdir().unwrap();
        for folder in [empty.path(), &empty.path().join("none")] {
            assert!(Before::at(folder).unwrap().is_none());
        }
        let before = published(None);
        assert_eq!(Before::at(before.path()).unwrap().unwrap().time(), 7);
        for (name, text) in [
            (sums::FILE, ""),
            (manifest::FILE, "{\"format\": 99}"),
            (manifest::FILE, "no manifest"),
        ] {
            fs::write(before.path().join(name), text).unwrap();
            let error = Before::at(before.path()).unwrap_err();
            let said = format!("{error:#}");
            assert!(
                said.contains("move it away") && said.contains(name),
                "{said}"
            );
        }
    }

    #[test]
    fn who_only_looks_is_told_what_a_run_would_stop_at() {
        let before = published(None);
        let looked = || {
            let mut told = Vec::new();
            let found = Before::looked_at(before.path(), &mut |line| told.push(line.to_owned()));
            (found.map(|before| before.time()), told)
        };
        assert_eq!(looked(), (Some(7), Vec::new()));
        fs::write(before.path().join(manifest::FILE), "no manifest").unwrap();
        let (found, told) = looked();
        assert_eq!(found, None);
        assert!(
            told.len() == 1 && told[0].contains(manifest::FILE) && told[0].contains("move it away"),
            "{told:?}"
        );
    }

    #[test]
    fn a_repository_of_another_target_is_told_from_another_release_of_its_own() {
        let specs = crate::context::specs();
        let load = |name, lustre| Target::load_with(&specs, name, lustre).unwrap();
        let folder = published(None);
        let mut before = Before::at(folder.path()).unwrap().unwrap();
        let (own, other) = (load("rocky-8.10", None), load("rehearsal", None));
        let instead = load("rocky-8.10", Some("2.15.8"));
        before.manifest.target = own.name.clone();
        for target in [&own, &instead] {
            assert_eq!(before.of_another(target), None, "{}", target.name);
        }
        let found = before.of_another(&other).unwrap();
        assert_eq!(found.rule, Rule::SameTarget);
        let error = before
            .judge(std::slice::from_ref(&found), &BTreeSet::new())
            .unwrap_err();
        let said = error.to_string();
        for words in [
            "rocky-8.10",
            "rehearsal",
            "another output",
            "--overrule same-target",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
        let overruled = before.judge(&[found], &[Rule::SameTarget].into()).unwrap();
        assert_eq!(overruled, [Rule::SameTarget].into());
        before.manifest.target = instead.name.clone();
        before.manifest.overrides.lustre = Some("2.15.8".to_owned());
        for target in [&own, &instead] {
            assert_eq!(before.of_another(target), None, "{}", target.name);
        }
        assert!(before.of_another(&other).is_some());
    }

    #[test]
    fn until_more_is_known_a_release_is_the_one_that_is_there() {
        let release = Release {
            time: 50,
            overrules: [Rule::SameNevra].into(),
        };
        let folder = published(Some(release.clone()));
        let before = Before::at(folder.path()).unwrap();
        let signing = Signing {
            fingerprint: String::new(),
            public_key: String::new(),
            time: 7,
            release: Release::default(),
            signer: None,
        };
        let guess = |time, before| first_guess(&asked(time), before, &signing).unwrap();
        for time in [None, Some(50)] {
            assert_eq!(guess(time, before.as_ref()), release);
        }
        let chosen = |time| Release {
            time,
            overrules: [Rule::LowerEvr].into(),
        };
        assert_eq!(guess(Some(51), before.as_ref()), chosen(51));
        assert_eq!(guess(Some(51), None), chosen(51));
        assert_eq!(guess(None, None), chosen(7));
        let before = before.unwrap();
        for (time, goes) in [(None, true), (Some(50), true), (Some(49), false)] {
            assert_eq!(in_time(&asked(time), &before).is_ok(), goes, "{time:?}");
        }
    }

    #[test]
    fn only_what_is_broken_is_overruled_and_what_is_not_allowed_is_said() {
        let folder = published(None);
        let before = Before::at(folder.path()).unwrap().unwrap();
        let broken = |rule, what: &str| Contradiction {
            rule,
            what: what.to_owned(),
        };
        let mut found = vec![broken(Rule::LowerEvr, "a is lower")];
        let all: BTreeSet<Rule> = Rule::ALL.into();
        assert_eq!(before.judge(&[], &all).unwrap(), BTreeSet::new());
        let used = before.judge(&found, &all).unwrap();
        assert_eq!(used, [Rule::LowerEvr].into());
        for number in 0..9 {
            found.push(broken(Rule::SameNevra, &format!("package {number}")));
        }
        let error = before.judge(&found, &used).unwrap_err().to_string();
        for words in ["package 4", "and 4 more", "--overrule same-nevra", "raise"] {
            assert!(error.contains(words), "{words}: {error}");
        }
        for not in ["a is lower", "package 5"] {
            assert!(!error.contains(not), "{not}: {error}");
        }
    }
}
