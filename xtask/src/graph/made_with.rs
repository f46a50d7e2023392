//! What the packages are made with besides their sources: our own changes to these, and the crates of the tool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_packaging::stage::Failure;
use lustre_packaging::store::{EntryKind, list_tree};
use lustre_repository::sbom::{Crate, MadeWith, Patch};
use serde::Deserialize;

use super::inputs::BuildGraph;
use super::name;
use super::shape::built;

/// What the tool was built of.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// The crate that is the tool.
const TOOL: &str = env!("CARGO_PKG_NAME");

impl BuildGraph<'_> {
    /// All of it.
    pub(super) fn made_with(&self) -> Result<MadeWith, Failure> {
        let mut patches = Vec::new();
        for stage in built(&self.target) {
            for folder in self.folders(stage)? {
                patches.extend(self.files(stage, &folder)?);
            }
        }
        Ok(MadeWith {
            patches,
            crates: own_crates()?,
        })
    }

    /// The folders of our changes to what the stage `stage` builds.
    fn folders(&self, stage: &str) -> Result<BTreeSet<PathBuf>, Failure> {
        let overlay = match stage {
            name::KERNEL => Some(self.kernel_overlay()?),
            name::LUSTRE => {
                let wanted = &self.target.lustre;
                let overlay = wanted.overlay.as_ref();
                overlay
                    .map(|folder| self.overlay(folder, &wanted.options))
                    .transpose()?
            }
            name::E2FSPROGS => {
                let folder = self.target.folder(&self.specs, &self.target.e2fsprogs.spec);
                return Ok([folder].into());
            }
            _ => None,
        };
        let folders = overlay.into_iter().flat_map(|overlay| {
            let below = overlay.below.into_values();
            below.chain([overlay.folder])
        });
        Ok(folders.collect())
    }

    /// The files of such a folder, by their names under `specs/`; those of a site, under the folder's own.
    fn files(&self, stage: &str, folder: &Path) -> Result<Vec<Patch>, Failure> {
        let named = match folder.strip_prefix(&self.specs) {
            Ok(below) => Path::new("specs").join(below),
            Err(_) => PathBuf::from(folder.file_name().unwrap_or_default()),
        };
        let mut patches = Vec::new();
        for entry in list_tree(folder)? {
            if let EntryKind::File { sha256, .. } = entry.kind {
                patches.push(Patch {
                    stage: stage.to_owned(),
                    file: named.join(entry.path).display().to_string(),
                    sha256: sha256.to_string(),
                });
            }
        }
        Ok(patches)
    }
}

/// A `Cargo.lock`, as far as it is read.
#[derive(Debug, Deserialize)]
struct CargoLock {
    package: Vec<LockedCrate>,
}

#[derive(Debug, Deserialize)]
struct LockedCrate {
    name: String,
    version: String,
    checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The crates that this tool is built of.
fn own_crates() -> Result<Vec<Crate>, Failure> {
    static CRATES: OnceLock<Vec<Crate>> = OnceLock::new();
    if let Some(known) = CRATES.get() {
        return Ok(known.clone());
    }
    let found = crates(LOCK)?;
    Ok(CRATES.get_or_init(|| found).clone())
}

/// The crates that the tool is built of, itself among them: not those that only its tests use.
fn crates(lock: &str) -> Result<Vec<Crate>, Failure> {
    let lock: CargoLock = toml::from_str(lock)?;
    let mut by_name: BTreeMap<&str, Vec<&LockedCrate>> = BTreeMap::new();
    for one in &lock.package {
        by_name.entry(&one.name).or_default().push(one);
    }
    let mut found: BTreeSet<(&str, &str)> = BTreeSet::new();
    let mut crates = Vec::new();
    let mut next = vec![TOOL.to_owned()];
    while let Some(wanted) = next.pop() {
        // `name`, and `name version` where there are several.
        let mut parts = wanted.split(' ');
        let (name, version) = (parts.next().unwrap_or_default(), parts.next());
        let all = by_name.get(name).into_iter().flatten();
        for one in all.filter(|one| version.is_none_or(|version| version == one.version)) {
            if found.insert((&one.name, &one.version)) {
                next.extend(one.dependencies.iter().cloned());
                crates.push(Crate {
                    name: one.name.clone(),
                    version: one.version.clone(),
                    sha256: one.checksum.clone(),
                });
            }
        }
    }
    crates.sort();
    Ok(crates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crates_are_those_that_the_tool_depends_on() {
        let all = crates(LOCK).unwrap();
        let names: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
        for name in ["xtask", "lustre-repository", "rpm", "serde", "sha2"] {
            assert!(names.contains(name), "{name}");
        }
        assert!(!names.contains("lustre-repo-tests"), "{names:?}");
        for one in &all {
            let own = one.name == TOOL || one.name.starts_with("lustre-");
            assert_eq!(one.sha256.is_none(), own, "{one:?}");
        }
        let lock = "[[package]]\nname = 'xtask'\nversion = '1'\ndependencies = ['a 2', 'b']\n\
                    [[package]]\nname = 'a'\nversion = '1'\n[[package]]\nname = 'a'\nversion = '2'\n\
                    [[package]]\nname = 'b'\nversion = '1'\ndependencies = ['xtask']\n[[package]]\nname = 'c'\nversion = '1'\n";
        let named: Vec<(String, String)> = crates(lock)
            .unwrap()
            .into_iter()
            .map(|one| (one.name, one.version))
            .collect();
        let wanted = [("a", "2"), ("b", "1"), ("xtask", "1")];
        assert_eq!(
            named,
            wanted.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
    }
}
