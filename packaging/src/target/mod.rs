//! Targets: what a repository is built for, one TOML file each under `specs/targets/`, or a site's own file anywhere.
//!
//! A target may inherit from another (`inherits = "rehearsal"`) and include parts (`with = ["distributions/el-9"]`): tables are
//! merged key by key, anything else replaces. Which releases of Lustre and e2fsprogs it names (`releases`) and which features it chooses
//! (`features`) is composed with what these files say of them. `$NAME` in a string is one of the distribution's variables.
//! [`Target::load`] reads a target with its ancestors and checks it; [`list`] names those that exist.

mod boot;
mod check;
mod chosen;
mod compose;
mod error;
mod features;
mod fill;
mod load;
mod locations;
mod merge;
mod model;
mod names;
mod needs;
mod obs;
mod one_or_more;
mod provenance;
mod repositories;
mod site;
mod summary;
mod syntax;
mod values;

use std::path::{Path, PathBuf};

pub use boot::{Boot, Devices, KnownLine};
pub use chosen::ChosenReleases;
pub use error::Error;
pub use features::Features;
pub use model::{
    Build, Distribution, DistributionKernel, DistributionKind, E2fsprogs, Group, Install, Kernel,
    KernelKind, Lustre, MOST_KEPT, Repository, Source, Target,
};
pub use names::{E2FSPROGS, KERNEL, LUSTRE, list, releases};
pub use needs::{Debuginfo, Needs, Share};
pub use obs::Obs;
pub use one_or_more::OneOrMore;
pub use repositories::{BaseRepository, KeyFile, UnknownVariable};
pub use site::SITE;

/// The releases of Lustre that are upstream's, each with its version: one of those that are the same source.
///
/// # Errors
/// When a file of theirs cannot be read.
pub fn lustre_releases(specs: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut sources = Vec::new();
    let mut all = Vec::new();
    for name in releases(specs, "lustre")? {
        let place = load::Place {
            name: name.clone(),
            path: specs.join(format!("{}/{name}.toml", names::folder("lustre"))),
            by_path: false,
        };
        let part = format!("{}/{name}", names::folder("lustre"));
        let table = load::part(specs, &place, &part, 1, &mut Vec::new())?;
        let lustre = |key: &str| table.get("lustre").and_then(|lustre| lustre.get(key));
        let (Some(source), Some(version)) = (lustre("source"), lustre("version")) else {
            continue;
        };
        if source.get("path").is_none() && !sources.contains(source) {
            sources.push(source.clone());
            all.push((name, version.as_str().unwrap_or_default().to_owned()));
        }
    }
    Ok(all)
}

impl Target {
    /// Loads the target `wanted` with what it inherits: a name, for `specs/targets/NAME.toml`, or the path of a target's file anywhere,
    /// which contains a `/` or ends in `.toml`. What such a file inherits from is looked for beside it first.
    ///
    /// # Errors
    /// When there is no such target, when a file is malformed (with line and column), or when the whole is not complete.
    pub fn load(specs: &Path, wanted: &str) -> Result<Self, Error> {
        Self::load_with(specs, wanted, None)
    }

    /// The same with another release of Lustre than the target names, which is then part of the target's name: its lock and its
    /// repository are others.
    ///
    /// # Errors
    /// As [`Target::load`], and when the target says itself what of Lustre it takes.
    pub fn load_with(specs: &Path, wanted: &str, lustre: Option<&str>) -> Result<Self, Error> {
        let place = load::Place::of(specs, wanted)?;
        let mut read = Vec::new();
        let mut said = load::table(specs, &place, 0, &mut read)?;
        let argument = if place.by_path {
            place.path.display().to_string()
        } else {
            place.name.clone()
        };
        // Its own release is no other.
        let other = lustre.filter(|release| compose::release_of(&said) != Some(*release));
        if let Some(release) = other {
            said = compose::instead(said, release).map_err(|message| Error::Invalid {
                name: place.name.clone(),
                place: format!("--lustre {release}"),
                message,
            })?;
        }
        let (mut table, chosen) = compose::composed(specs, &place, said, &mut read)?;
        let at = |key: Option<String>, message: String| Error::Invalid {
            name: place.name.clone(),
            place: key
                .and_then(|key| provenance::find(&read, &key))
                .unwrap_or_else(|| place.path.display().to_string()),
            message,
        };
        let invalid = |message: String| at(provenance::key_of(&message), message);
        let texts = read.iter().map(|one| one.text.as_str());
        fill::fill(&mut table, texts).map_err(invalid)?;
        let mut target: Self = table.try_into().map_err(|error: toml::de::Error| {
            let (key, message) = provenance::said(&error);
            at(key, message)
        })?;
        target.asked_by = argument;
        target.name = match other {
            Some(release) => {
                target.asked_by.push_str(&format!(" --lustre {release}"));
                named_with(&place.name, release)
            }
            None => place.name.clone(),
        };
        target.file = place.by_path.then(|| place.path.clone());
        if let Some(folder) = target.file.as_ref().and_then(|file| file.parent()) {
            let read = read.iter().map(|one| &one.path);
            let beside = read.filter(|path| path.parent() == Some(folder));
            target.beside = beside.cloned().collect();
        }
        target.chosen = ChosenReleases {
            instead: other.is_some(),
            ..chosen
        };
        if let Some(text) = &mut target.repository.next_key {
            *text = check::next_key(text).map_err(invalid)?;
        }
        target.check().map_err(invalid)?;
        Ok(target)
    }

    /// What `--target` takes for this target: its name, or the path that it was given by; with `--lustre`, where another release of
    /// Lustre was chosen than its own.
    pub fn argument(&self) -> String {
        self.asked_by.clone()
    }

    /// Where the target's lock is: `NAME.toml` in the folder of `locks`, or `NAME.lock.toml` beside a file that was given by its path.
    pub fn lock_path(&self, locks: &Path) -> PathBuf {
        match &self.file {
            Some(path) => path.with_file_name(format!("{}.lock.toml", self.name)),
            None => locks.join(format!("{}.toml", self.name)),
        }
    }
}

/// The name of a target with another release of Lustre than its own.
fn named_with(name: &str, release: &str) -> String {
    format!("{name}-lustre-{release}")
}

/// The name of the target itself, of one that may have `release` of Lustre in place of its own.
pub fn own_name<'a>(name: &'a str, release: Option<&str>) -> &'a str {
    release
        .and_then(|release| name.strip_suffix(&named_with("", release)))
        .unwrap_or(name)
}

#[cfg(test)]
mod tests;
