//! The repository that another is about to replace, and what of the new one contradicts it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lustre_packaging::sign::{PublicKey, utc};
use lustre_packaging::store::{Digest, Entry, EntryKind, StageDir};
use lustre_packaging::target::{Target, own_name};
use lustre_repository::assets::{self, Asset, Assets};
use lustre_repository::earlier::{Candidate, Earlier};
use lustre_repository::history::{self, History, Set};
use lustre_repository::layout::assembled_sums;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Proof};
use lustre_repository::release::{
    ComparedPackage, Contradiction, Release, ReplacedRelease, Rule, ServerSettings,
    packages_contradict, targets_contradict, told_anew,
};
use lustre_repository::repo_file::{self, KeyLocation};
use lustre_repository::{page, release_package, sums};

use crate::graph::finish::{Signing, repo_file};
use crate::graph::name::TREE;

/// The repository that another is about to replace.
#[derive(Debug)]
pub struct PreviousRelease {
    pub path: PathBuf,
    pub manifest: Manifest,
    /// The releases that it has. Those of earlier versions of the tool do not say it.
    releases: Option<History>,
    /// Which assets its packages are, where its target has any.
    assets: Option<Assets>,
    /// Its `SHA256SUMS`.
    sums: String,
    manifest_digest: String,
    key_digest: String,
    repo_file_digest: String,
    /// Empty where there is none.
    next_key_digest: String,
}

impl PreviousRelease {
    /// That at `output`, if one is there.
    pub fn at(output: &Path) -> anyhow::Result<Option<Self>> {
        Self::read(output).with_context(|| {
            format!(
                "cannot read {}, which would be replaced: move it away or choose another output",
                output.display()
            )
        })
    }

    /// The repository at `folder`, if one is there.
    pub fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let file = folder.join(manifest::FILE);
        if lustre_files::if_there(std::fs::symlink_metadata(&file))?.is_none() {
            return Ok(None);
        }
        let path = folder.join(sums::FILE);
        let all = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE)
            .with_context(|| path.display().to_string())?;
        let digest = |name| {
            sums::digest_of(&all, name)
                .map(str::to_owned)
                .with_context(|| format!("{} has no {name}", path.display()))
        };
        // What it says of itself decides what may replace it, and what is kept of it.
        let as_listed = |name| -> anyhow::Result<()> {
            let file = folder.join(name);
            let bytes = lustre_files::read_no_link(&file, lustre_files::SOURCE)
                .with_context(|| file.display().to_string())?;
            if Digest::of_bytes(&bytes).to_string() != digest(name)? {
                bail!("{} differs from {}", file.display(), path.display());
            }
            Ok(())
        };
        as_listed(manifest::FILE)?;
        let manifest = Manifest::read(&file)?;
        let releases = History::read(folder)?;
        if let Some(releases) = &releases {
            as_listed(history::FILE)?;
            if releases.target != manifest.target {
                bail!(
                    "{} is of another target than {}",
                    history::FILE,
                    manifest::FILE
                );
            }
        }
        let assets = Assets::read(folder)?;
        if let Some(assets) = &assets {
            as_listed(assets::FILE)?;
            if assets.target != manifest.target {
                bail!(
                    "{} is of another target than {}",
                    assets::FILE,
                    manifest::FILE
                );
            }
        }
        Ok(Some(Self {
            path: folder.to_owned(),
            key_digest: digest(repo_file::KEY_FILE)?,
            repo_file_digest: digest(repo_file::FILE)?,
            next_key_digest: sums::digest_of(&all, repo_file::NEXT_KEY_FILE)
                .unwrap_or_default()
                .to_owned(),
            manifest_digest: digest(manifest::FILE)?,
            sums: all,
            releases,
            assets,
            manifest,
        }))
    }

    /// As [`PreviousRelease::at`], for those who put nothing there: what cannot be told of it is said, and taken for nothing.
    pub fn looked_at(output: &Path, tell: &mut dyn FnMut(&str)) -> Option<Self> {
        let found = Self::at(output).and_then(|before| {
            // A plan takes its time and rules from there.
            before.as_ref().map(Self::release).transpose()?;
            Ok(before)
        });
        found.unwrap_or_else(|error| {
            tell(&format!("{error:#}; continuing without it"));
            None
        })
    }

    pub fn time(&self) -> u64 {
        self.manifest.release_time()
    }

    pub fn release(&self) -> anyhow::Result<Release> {
        Ok(self.manifest.released()?)
    }

    /// What the repository in its place keeps of it.
    pub fn replaced(&self) -> ReplacedRelease {
        self.manifest.replaced(self.manifest_digest.clone())
    }

    /// The packages of all releases that it has.
    pub fn packages(&self) -> Vec<ComparedPackage<'_>> {
        let sets = self.releases.iter().flat_map(|all| &all.sets).skip(1);
        let older = sets
            .flat_map(|set| &set.packages)
            .map(ComparedPackage::from);
        let packages = self.manifest.packages.iter().map(ComparedPackage::from);
        packages.chain(older).collect()
    }

    /// How many releases it has.
    pub fn kept(&self) -> usize {
        self.releases.as_ref().map_or(1, |all| all.sets.len())
    }

    /// What it keeps of earlier releases.
    pub fn earlier(&self) -> Earlier {
        let releases = self.releases.as_ref();
        Earlier {
            folder: self.path.clone(),
            sets: releases.map_or_else(Vec::new, |all| all.sets.iter().skip(1).cloned().collect()),
            dropped: releases.map_or_else(Vec::new, |all| all.dropped.clone()),
            assets: self
                .assets
                .as_ref()
                .map(Assets::of_earlier)
                .unwrap_or_default(),
        }
    }

    /// Which assets of `url` its packages are, if all that says so is signed with `key`.
    pub fn assets(&self, url: Option<&str>, key: &PublicKey) -> &[Asset] {
        match &self.assets {
            Some(assets) if url == Some(&*assets.url) && self.not_signed_by(key).is_none() => {
                &assets.packages
            }
            _ => &[],
        }
    }

    /// Why it is not known to be signed by `key`, where that is so.
    pub fn not_signed_by(&self, key: &PublicKey) -> Option<String> {
        let (own, other) = (key.fingerprint(), &self.manifest.key_fingerprint);
        if own != *other {
            return Some(format!(
                "it is signed with the key {}, and this repository with {own}",
                other.escape_debug()
            ));
        }
        let path = self.path.join(sums::SIGNATURE);
        let read = lustre_files::read_no_link_to_string(&path, lustre_files::SOURCE);
        let verified = match read {
            Ok(signature) => key
                .verify_detached(self.sums.as_bytes(), &signature)
                .map(drop)
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.kind().to_string()),
        };
        let why = verified.err()?;
        Some(format!("{} does not hold: {why}", sums::SIGNATURE))
    }

    /// The releases that may be kept where everything is signed with `key`.
    pub fn candidates(&self, key: &PublicKey, target: &Target) -> anyhow::Result<Vec<Candidate>> {
        let unfit = self
            .of_another(target)
            .map(|found| found.what)
            .or_else(|| self.not_signed_by(key));
        let own = Candidate {
            set: Set::of(&self.manifest, &self.manifest_digest)?,
            unfit: unfit.clone().or_else(|| self.unproven()),
        };
        let older = self.earlier().sets.into_iter().map(|set| Candidate {
            set,
            unfit: unfit.clone(),
        });
        Ok([own].into_iter().chain(older).collect())
    }

    /// Why it does not count as proven, where that is so.
    fn unproven(&self) -> Option<String> {
        let path = self.path.join(proof::FILE);
        let is = sums::digest_of(&self.sums, proof::FILE)
            .zip(sums::sha256(&path).ok())
            .is_some_and(|(listed, (found, _))| listed == found)
            && Proof::read(&path).is_ok_and(|proof| proof.holds());
        (!is).then(|| "it was not proven".to_owned())
    }

    /// Whether it is what the stage `assemble` recorded, but for its proof.
    pub fn is(&self, assembled: &StageDir) -> bool {
        let outputs = &assembled.record.outputs;
        let page = format!("{TREE}/{}", page::FILE);
        let mut pages = outputs.iter().filter(|entry| entry.path == page);
        let Some(EntryKind::File { sha256, .. }) = pages.next().map(|entry| &entry.kind) else {
            return false;
        };
        let sums = assembled_sums(&self.sums, &sha256.to_string());
        let wanted = Entry {
            path: format!("{TREE}/{}", sums::FILE),
            kind: EntryKind::File {
                sha256: Digest::of_bytes(sums.as_bytes()),
                size: sums.len() as u64,
                executable: false,
            },
        };
        outputs.contains(&wanted)
    }

    /// Whether it is of another target.
    pub fn of_another(&self, target: &Target) -> Option<Contradiction> {
        // Another release of Lustre is none of its own.
        let before = self.manifest.overrides.lustre.as_deref();
        let now = target.chosen.lustre.as_deref();
        targets_contradict(
            own_name(&self.manifest.target, before),
            own_name(&target.name, now.filter(|_| target.chosen.instead)),
        )
    }

    /// What it says in its release package that `signing` and the target say otherwise, where servers would not notice.
    pub fn told_anew(
        &self,
        target: &Target,
        signing: &Signing,
    ) -> anyhow::Result<Option<Contradiction>> {
        let next = target.repository.next_key.as_deref();
        let text = repo_file(target)?.render(KeyLocation::Published);
        let digest = |text: &str| Digest::of_bytes(text.as_bytes()).to_string();
        Ok(told_anew(
            &self.packages(),
            ServerSettings {
                public_key: &self.key_digest,
                repo_file: &self.repo_file_digest,
                next_key: &self.next_key_digest,
            },
            &release_package(target),
            ServerSettings {
                public_key: &digest(&signing.public_key),
                repo_file: &digest(&text),
                next_key: &next.map(digest).unwrap_or_default(),
            },
        ))
    }

    /// The rules of `overruled` that are needed for what contradicts this one.
    pub fn judge(
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
                "\n  {}; if no server has the old one, pass `--overrule {rule}`, which the manifest records",
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

/// All that contradicts `before`.
pub fn contradictions(
    before: &PreviousRelease,
    target: &Target,
    signing: &Signing,
    packages: &[ComparedPackage<'_>],
) -> anyhow::Result<Vec<Contradiction>> {
    let told = before.told_anew(target, signing)?;
    let release = release_package(target);
    // What it says is its content: that is said once.
    let packages: Vec<ComparedPackage<'_>> = packages
        .iter()
        .filter(|one| told.is_none() || one.nevra != release)
        .cloned()
        .collect();
    let mut found = packages_contradict(&before.packages(), &packages);
    found.extend(told);
    found.extend(before.of_another(target));
    Ok(found)
}
