//! Which releases a repository keeps of the one that it replaces.
//!
//! A set is kept as it was proven, or not at all: each of its packages must be there as published, signed with the key that signs now, and
//! nothing that is newer may contradict it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_sign::{PublicKey, verify_package};

use crate::assets::Asset;
use crate::closure::{Universe, kernel};
use crate::history::{DroppedSet, Set, SetPackage, known, location};
use crate::json_file;
use crate::layout::Kind;
use crate::release::packages_contradict;
use crate::repodata::{self, Package};
use crate::sums;

/// What a repository keeps of earlier releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The repository that has their packages.
    pub folder: PathBuf,
    /// The releases, newest first.
    pub sets: Vec<Set>,
    /// Those that are not kept any more.
    pub dropped: Vec<DroppedSet>,
    /// The packages of the new repository that are assets of earlier releases; sorted by path.
    pub assets: Vec<Asset>,
}

impl Earlier {
    /// The digest of what it is; none where there is nothing.
    pub fn digest(&self) -> Option<String> {
        let (sets, dropped, assets) = (&self.sets, &self.dropped, &self.assets);
        match (sets.is_empty() && dropped.is_empty(), assets.is_empty()) {
            (true, true) => None,
            (_, true) => Some(sums::of_text(&json_file::text(&(sets, dropped)))),
            (_, false) => Some(sums::of_text(&json_file::text(&(sets, dropped, assets)))),
        }
    }
}

/// A release that may be kept.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its packages.
    pub set: Set,
    /// Why it cannot be kept, where that is known.
    pub unfit: Option<String>,
}

/// What decides which releases are kept.
#[derive(Clone, Copy)]
pub struct Choice<'a> {
    /// The repository that is replaced.
    pub folder: &'a Path,
    /// The releases that it has, newest first.
    pub candidates: &'a [Candidate],
    /// The packages of the new release, as they are published.
    pub now: &'a [SetPackage],
    /// How many releases the new repository has at most.
    pub keep: usize,
    /// The key that everything is signed with.
    pub key: &'a PublicKey,
    /// The distribution's packages.
    pub base: &'a [Package],
    /// Which assets the packages of the repository that is replaced are.
    pub assets: &'a [Asset],
}

/// Chooses. A release with the same packages as a newer one is that one, released once more: nothing is lost with it.
pub fn choose(choice: &Choice<'_>) -> Earlier {
    let mut files: BTreeMap<String, SetPackage> = choice
        .now
        .iter()
        .map(|one| (one.path.clone(), one.clone()))
        .collect();
    let own = Set {
        packages: choice.now.to_vec(),
        ..Set::default()
    };
    let mut metadata = None;
    let mut earlier = Earlier {
        folder: choice.folder.to_owned(),
        ..Earlier::default()
    };
    for candidate in choice.candidates {
        let set = &candidate.set;
        if [&own]
            .into_iter()
            .chain(&earlier.sets)
            .any(|newer| newer.has_packages_of(set))
        {
            continue;
        }
        let judged = if earlier.sets.len() + 1 >= choice.keep {
            Err(match choice.keep {
                1 => "this repository keeps no earlier release".to_owned(),
                keep => format!("this repository keeps {keep} releases"),
            })
        } else if let Some(why) = &candidate.unfit {
            Err(why.clone())
        } else {
            fitting(choice, set, &files).and_then(|set| {
                let read = metadata.get_or_insert_with(|| read(choice.folder));
                let all = read.as_ref().map_err(Clone::clone)?;
                whole(choice.folder, &set, &files, choice.key)?;
                closed(&set, all, choice.base)?;
                Ok(set)
            })
        };
        match judged {
            Ok(set) => {
                let packages = set.packages.iter();
                files.extend(packages.map(|one| (one.path.clone(), one.clone())));
                earlier.sets.push(set);
            }
            Err(why) => earlier.dropped.push(DroppedSet {
                time: set.time,
                lustre: set.lustre.clone(),
                kernel: set.kernel.clone(),
                why: line(&why),
            }),
        }
    }
    let is_there = |asset: &&Asset| {
        let there = files.get(&asset.path);
        there.is_some_and(|there| there.sha256 == asset.sha256)
    };
    let assets = choice.assets.iter().filter(is_there);
    earlier.assets = assets.cloned().collect();
    earlier
}

/// That what is kept already can be kept further: its files are as they were, and nothing that it needs went out of the base.
pub fn holds(earlier: &Earlier, key: &PublicKey, base: &[Package]) -> Result<(), String> {
    if earlier.sets.is_empty() {
        return Ok(());
    }
    let all = read(&earlier.folder)?;
    for set in &earlier.sets {
        whole(&earlier.folder, set, &BTreeMap::new(), key)
            .and_then(|()| closed(set, &all, base))
            .map_err(|why| {
                format!(
                    "the release of {}: {why}",
                    lustre_sign::utc(set.time.into())
                )
            })?;
    }
    Ok(())
}

/// The set, with what it shares with newer ones as they have it.
fn fitting(
    choice: &Choice<'_>,
    set: &Set,
    files: &BTreeMap<String, SetPackage>,
) -> Result<Set, String> {
    let mut set = set.clone();
    for package in &mut set.packages {
        let Some(newer) = files.get(&package.path) else {
            continue;
        };
        if (&newer.nevra, &newer.sha256_unsigned) != (&package.nevra, &package.sha256_unsigned) {
            return Err(format!(
                "{} has other content in a newer release",
                package.nevra
            ));
        }
        *package = SetPackage {
            stage: package.stage.clone(),
            ..newer.clone()
        };
    }
    let found = packages_contradict(&known(&set.packages), &known(choice.now));
    match found.into_iter().next() {
        // Servers would take what is higher, and not the release.
        Some(found) => Err(found.what),
        None => Ok(set),
    }
}

/// That the packages of `set` that are in none of `files` are in `folder` as they were published, signed with `key`.
fn whole(
    folder: &Path,
    set: &Set,
    files: &BTreeMap<String, SetPackage>,
    key: &PublicKey,
) -> Result<(), String> {
    let packages = set.packages.iter();
    for package in packages.filter(|one| !files.contains_key(&one.path)) {
        let path = folder.join(&package.path);
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", package.path);
        let there = fs::symlink_metadata(&path).map_err(|error| wrong(&error.kind()))?;
        if !there.is_file() || there.len() != package.size {
            return Err(wrong(&format!("it is no file of {} bytes", package.size)));
        }
        let (sha256, _) = sums::sha256(&path).map_err(|error| wrong(&error.kind()))?;
        if sha256 != package.sha256 {
            return Err(wrong(&format!(
                "it has SHA-256 {sha256}, not {}",
                package.sha256
            )));
        }
        if verify_package(&path, key).is_err() {
            return Err(wrong(&format!(
                "it is not signed with the key {}",
                key.fingerprint()
            )));
        }
    }
    Ok(())
}

/// The binary packages that the metadata of the repository at `folder` list, by path.
fn read(folder: &Path) -> Result<BTreeMap<String, Package>, String> {
    let mut all = BTreeMap::new();
    for kind in [Kind::Binary, Kind::Debuginfo] {
        let metadata = repodata::read(&folder.join(kind.folder()))
            .map_err(|_| format!("the metadata in {} cannot be read", kind.folder()))?;
        let packages = metadata.packages.into_iter();
        all.extend(packages.map(|one| (location(kind, &one), one)));
    }
    Ok(all)
}

/// That everything that the packages of `set` require is among them or in the base, and the symbols of each module come from one kernel.
fn closed(set: &Set, all: &BTreeMap<String, Package>, base: &[Package]) -> Result<(), String> {
    let mut own = Vec::new();
    for path in set
        .paths()
        .filter(|path| !path.starts_with(Kind::Source.folder()))
    {
        own.push(
            all.get(path)
                .ok_or_else(|| format!("{path} is not in the metadata"))?,
        );
    }
    match gaps(&Universe::new(own, base)).into_iter().next() {
        Some(why) => Err(why),
        None => Ok(()),
    }
}

/// What is missing among packages, or mixed.
pub fn gaps(universe: &Universe<'_>) -> Vec<String> {
    let missing = universe.missing();
    let missing = missing.iter().map(ToString::to_string);
    let mixed = kernel::mixtures(universe);
    let mixed = mixed.iter().map(ToString::to_string);
    missing.chain(mixed).collect()
}

/// One line of a length that a list of releases takes.
fn line(text: &str) -> String {
    const MOST: usize = 250;
    let clean = text.chars().map(|sign| match sign.is_control() {
        true => ' ',
        false => sign,
    });
    clean.take(MOST).collect()
}
