//! `manifest.json`: what a repository holds and what each package came from.
//!
//! Everything in it is an input or a digest, so equal inputs give equal bytes. Keys keep their order; lists are sorted by
//! [`Manifest::to_json`].

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::json_file;
pub use crate::json_file::Error;
use crate::release::{ComparedPackage, Release, ReplacedRelease};

/// The file's name at the top of the tree.
pub const FILE: &str = "manifest.json";

/// The name of the target's lock at the top of the tree: with it, others rebuild the packages.
pub const LOCK_FILE: &str = "lock.toml";

/// The format's version; a reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// What the file is, in errors.
const WHAT: &str = "manifest";

/// The whole manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What made the repository.
    pub tool: Tool,
    /// The target's name.
    pub target: String,
    /// The time that everything in the packages is stamped with, in seconds since 1970.
    pub source_date_epoch: u64,
    /// When the repository was released. Those of earlier versions of the tool have the time of their packages instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// The fingerprint of the signing key, upper-case hexadecimal.
    pub key_fingerprint: String,
    /// The SHA-256 of the target's lock, [`LOCK_FILE`] beside the manifest. Those of earlier versions of the tool do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_sha256: Option<String>,
    /// What it tells servers of itself. Those of earlier versions of the tool do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    /// What nobody should overlook: that its Lustre is a model, for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<String>,
    /// What the user replaced on the command line.
    #[serde(default)]
    pub overrides: Overrides,
    /// What is known to be wrong with the release of Lustre that was built, and how each fault stands in these packages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known_faults: Vec<KnownFault>,
    /// Why nobody looked up what is known to be wrong, where that is so: the release of Lustre is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_faults_not_looked_up: Option<String>,
    /// What updating to these packages mends: the distribution's advisories of the kernel, and those of Lustre's known faults. A
    /// distribution may have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<Advisory>,
    /// The stages that made the packages, by name.
    #[serde(default)]
    pub stages: BTreeMap<String, Stage>,
    /// Every package, sorted by file.
    #[serde(default)]
    pub packages: Vec<Package>,
}

/// The tool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    pub version: String,
}

/// What a repository tells servers of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// Its name, as dnf shows it.
    pub name: String,
    /// Where it is published.
    pub baseurl: String,
    /// Where its packages are as assets, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assets_url: Option<String>,
    /// The fingerprint of the key that will sign later releases, where servers are told of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<String>,
    /// Its package groups.
    #[serde(default)]
    pub groups: Vec<Group>,
}

/// A package group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    pub id: String,
    pub name: String,
    /// The packages that it always installs.
    pub mandatory: Vec<String>,
}

/// What stands for a place on the machine that built: its path says nothing to whoever reads the manifest, and something of the machine.
pub const LOCAL: &str = "local";

/// A place as others may read it.
pub fn place(location: &str) -> &str {
    match location.starts_with('/') || location.starts_with("file:") {
        true => LOCAL,
        false => location,
    }
}

/// What the user replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// `--source NAME=PATH@REV`: by name, that it came from the machine that built, and of which revision it is where that was said.
    #[serde(default)]
    pub sources: BTreeMap<String, String>,
    /// `--lustre RELEASE`: another release of Lustre than the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lustre: Option<String>,
    /// `--mirror FROM=TO`, as far as both are no places of the machine that built.
    #[serde(default)]
    pub mirrors: BTreeMap<String, String>,
    /// `--allow-incomplete NAME`: the files of the source that were missing, which are empty in what was built.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub incomplete: BTreeMap<String, Vec<String>>,
    /// The patch series of a replaced source, where it is another than the target's: empty for none, because the source already has
    /// what ours adds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub series: BTreeMap<String, String>,
}

/// An advisory of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// Its name: the distribution's, such as `RLSA-2026:0001`, or `lustre-repo:` and a ticket of Lustre.
    pub id: String,
    /// `security`, `bugfix`, `enhancement` or `newpackage`.
    pub kind: String,
    /// How grave it is: `Critical`, `Important`, `Moderate`, `Low`, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What it is, in a few words.
    pub title: String,
    /// What it is about and where it comes from.
    pub description: String,
    /// When it was issued, as `YYYY-MM-DD hh:mm:ss` in UTC, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<String>,
    /// The CVEs that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cves: Vec<String>,
    /// The stage whose packages have what mends it, a key of the manifest's stages.
    pub stage: String,
}

/// A known fault of the release of Lustre.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownFault {
    pub ticket: String,
    /// What it does at its worst: `corruption`, `data-loss`, `crash`, `hang`, `security`, `wrong-result`.
    pub severity: String,
    /// What it is, in a few words.
    pub title: String,
    /// How it stands: `mended by …`, `accepted: …`, or `open`.
    pub standing: String,
}

impl KnownFault {
    /// Whether it corrupts or loses data. What is not known to do less may.
    pub fn is_grave(&self) -> bool {
        let less = ["crash", "hang", "security", "wrong-result"];
        !less.contains(&self.severity.as_str())
    }

    /// How it stands, in one word: `mended`, `accepted`, `open`.
    pub fn standing_word(&self) -> &str {
        let end = self
            .standing
            .find([' ', ':'])
            .unwrap_or(self.standing.len());
        &self.standing[..end]
    }

    /// What is said of it beyond that.
    pub fn standing_more(&self) -> Option<&str> {
        let more = self.standing[self.standing_word().len()..].trim_start_matches([':', ' ']);
        (!more.is_empty()).then_some(more)
    }
}

/// A stage that made packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The digest of the buildroot it was made in.
    pub digest: String,
    /// What it was made of.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// The NEVRAs of the packages in the buildroot.
    #[serde(default)]
    pub build_packages: Vec<String>,
    /// Who built it, where that was not the machine that made the repository. The buildroot above is the one in which it is built again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub builder: Option<Builder>,
}

impl Stage {
    /// The NEVRAs of the packages that it was built with: there, where a build service built it.
    pub fn built_with(&self) -> impl Iterator<Item = &str> {
        let there = self.builder.iter().flat_map(|builder| &builder.built_with);
        let here = self
            .build_packages
            .iter()
            .filter(|_| self.builder.is_none());
        let here = here.map(String::as_str);
        there.map(|one| one.nevra.as_str()).chain(here)
    }
}

/// A build service that built packages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Builder {
    /// What it is: `obs`.
    pub name: String,
    /// The URL of its API.
    pub api: String,
    pub project: String,
    pub repository: String,
    /// The tag DISTURL of the packages: rpmbuild was told it (`--define "disturl …"`).
    pub disturl: String,
    /// What the service calls the sources: the MD5 of the list of them.
    pub srcmd5: String,
    /// The SHA-256 of the list of what it was built with, `_buildenv`.
    pub buildenv_sha256: String,
    /// The packages of the build root.
    pub built_with: Vec<BuiltWith>,
}

/// A package of the build root of a build service.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltWith {
    pub nevra: String,
    /// The MD5 over header and payload, by which the service knows it.
    pub sigmd5: String,
}

/// A source of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name in the target.
    pub name: String,
    /// Where it came from: URL, archive and package, [`LOCAL`], or a path in the project.
    pub location: String,
    /// What pins it: `sha256:…` or `git:<commit>`.
    pub digest: String,
}

/// A package of the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// `name-[epoch:]version-release.arch`.
    pub nevra: String,
    /// The path in the tree.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of the package before it was signed: what a second build has to reproduce.
    pub sha256_unsigned: String,
    /// The SHA-256 of the file here, signature included.
    pub sha256: String,
    /// The stage that made it, a key of [`Manifest::stages`].
    pub stage: String,
}

impl Manifest {
    /// When it was released, and over which rules.
    pub fn released(&self) -> Result<Release, std::num::TryFromIntError> {
        Ok(match &self.release {
            Some(release) => release.clone(),
            None => Release {
                time: u32::try_from(self.source_date_epoch)?,
                ..Release::default()
            },
        })
    }

    /// The time of the repository's metadata and signatures, in seconds since 1970.
    pub fn release_time(&self) -> u64 {
        self.release
            .as_ref()
            .map_or(self.source_date_epoch, |release| release.time.into())
    }

    /// The manifest as JSON, with lists in a fixed order and a line break at the end.
    pub fn to_json(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        json_file::text(&sorted)
    }

    /// Puts its lists into the order in which it is written, so that what is made of it is what is made of it when it is read back.
    pub fn sort(&mut self) {
        self.packages.sort_by(|a, b| a.file.cmp(&b.file));
        self.advisories.sort();
        for stage in self.stages.values_mut() {
            stage.sources.sort();
            stage.build_packages.sort();
        }
    }

    /// Writes the manifest whole.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        json_file::write(WHAT, path, &self.to_json())
    }

    /// Reads a manifest.
    pub fn read(path: &Path) -> Result<Self, Error> {
        json_file::read(WHAT, path, FORMAT)
    }
}

impl Manifest {
    /// What the repository that comes in this one's place keeps of it. `sha256` is the digest of this manifest.
    pub fn replaced(&self, sha256: String) -> ReplacedRelease {
        let packages = self.packages.iter();
        let faults = self.known_faults.iter();
        ReplacedRelease {
            target: self.target.clone(),
            time: self.release_time(),
            manifest_sha256: sha256,
            packages: packages
                .map(|one| (one.nevra.clone(), one.sha256_unsigned.clone()))
                .collect(),
            known_faults: faults
                .map(|one| (one.ticket.clone(), one.standing.clone()))
                .collect(),
        }
    }
}

impl<'a> From<&'a Package> for ComparedPackage<'a> {
    fn from(package: &'a Package) -> Self {
        Self {
            nevra: &package.nevra,
            content: &package.sha256_unsigned,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_depend_on_the_caller() {
        let package = |file: &str| Package {
            file: file.to_owned(),
            ..Package::default()
        };
        let mut one = Manifest {
            format: FORMAT,
            packages: vec![package("b"), package("a")],
            ..Manifest::default()
        };
        one.stages.insert(
            "kernel".to_owned(),
            Stage {
                build_packages: vec!["z".to_owned(), "a".to_owned()],
                ..Stage::default()
            },
        );
        let mut two = one.clone();
        two.packages.reverse();
        two.stages
            .get_mut("kernel")
            .unwrap()
            .build_packages
            .reverse();
        assert_eq!(one.to_json(), two.to_json());

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        one.write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap().to_json(), one.to_json());
    }

    #[test]
    fn known_faults_are_kept_and_an_older_manifest_has_none() {
        let plain = Manifest {
            format: FORMAT,
            ..Manifest::default()
        };
        assert!(!plain.to_json().contains("known_faults"));
        let unknown = Manifest {
            known_faults_not_looked_up: Some("a folder".to_owned()),
            ..plain.clone()
        };
        let with = Manifest {
            known_faults: vec![KnownFault {
                ticket: "LU-1".to_owned(),
                severity: "corruption".to_owned(),
                title: "t".to_owned(),
                standing: "accepted: why".to_owned(),
            }],
            ..plain.clone()
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        for one in [plain, with, unknown] {
            one.write(&path).unwrap();
            assert_eq!(Manifest::read(&path).unwrap(), one);
        }
    }

    #[test]
    fn a_newer_format_and_a_broken_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{\"format\": 99, \"new\": 1}").unwrap();
        assert!(matches!(
            Manifest::read(&path),
            Err(Error::Format { found: 99, .. })
        ));
        std::fs::write(&path, "{\n  \"format\": 1,\n}").unwrap();
        let error = Manifest::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 3"), "{error}");
    }
}
