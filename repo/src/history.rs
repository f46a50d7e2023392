//! `releases.json`: the releases whose packages a repository has, newest first, so that servers find what they had before.
//!
//! A set is what was proven together: kernel, modules, Lustre, e2fsprogs and the release package, with their sources and debug symbols.
//! The first set is the release itself. A package that several of them have is one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::json_file;
pub use crate::json_file::Error;
use crate::layout::Kind;
use crate::manifest::{self, Manifest};
use crate::release::{ComparedPackage, parts};
use crate::repodata::Package;

/// The file's name at the top of the tree.
pub const FILE: &str = "releases.json";

/// The format's version; a reader refuses a higher one.
pub const FORMAT: u32 = 1;

/// How many sets a repository may have.
pub const MOST_SETS: usize = 32;

/// How many packages a set may have.
const MOST_PACKAGES: usize = 4096;

/// How long a text in it may be.
const MOST_TEXT: usize = 1024;

/// What the file is, in errors.
const WHAT: &str = "list of releases";

/// The releases that a repository has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// [`FORMAT`].
    pub format: u32,
    /// The target's name.
    pub target: String,
    /// Newest first; the first is the release itself.
    pub sets: Vec<Set>,
    /// The sets that the repository before this one had, and that this one has no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<DroppedSet>,
}

/// A release that the repository has the packages of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// When it was released, in seconds since 1970.
    pub time: u32,
    /// `version-release` of its Lustre; empty where it has none.
    pub lustre: String,
    /// `version-release` of its kernel; empty where the kernel is the distribution's.
    pub kernel: String,
    /// `version-release` of its e2fsprogs; empty where that is the distribution's.
    pub e2fsprogs: String,
    /// The SHA-256 of the manifest that it was released with.
    pub manifest_sha256: String,
    /// Its packages, sorted by path.
    pub packages: Vec<SetPackage>,
}

/// A package of a set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPackage {
    /// `name-[epoch:]version-release.arch`.
    pub nevra: String,
    /// The path, relative to the repository's root.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of the file as published.
    pub sha256: String,
    /// The SHA-256 of the package before it was signed.
    pub sha256_unsigned: String,
    /// The stage that made it.
    pub stage: String,
}

/// A set that is no longer there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedSet {
    /// When it was released, in seconds since 1970.
    pub time: u32,
    /// `version-release` of its Lustre.
    pub lustre: String,
    /// `version-release` of its kernel.
    pub kernel: String,
    /// Why it is not kept.
    pub why: String,
}

impl History {
    /// Reads and checks the list of the repository at `repository_root`. Repositories of earlier versions of the tool have none.
    pub fn read(repository_root: &Path) -> Result<Option<Self>, Error> {
        json_file::read_if_there(WHAT, &repository_root.join(FILE), FORMAT, Self::wrong)
    }

    /// Of a text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let history: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        history.wrong().map_or(Ok(history), Err)
    }

    /// The list as JSON, with a line break at the end.
    pub fn to_json(&self) -> String {
        json_file::text(self)
    }

    /// What it says that cannot be: whoever reads it copies, signs for and removes what it names.
    pub fn wrong(&self) -> Option<String> {
        let Some(first) = self.sets.first() else {
            return Some("it has no sets".to_owned());
        };
        if self.format == 0 || self.format > FORMAT {
            return Some(format!("its format is {}", self.format));
        }
        if self.sets.len() > MOST_SETS {
            return Some(format!("it has more than {MOST_SETS} sets"));
        }
        if !is_text(&self.target) || self.target.is_empty() {
            return Some("its target is no name".to_owned());
        }
        let mut before: Option<u32> = None;
        let mut files: BTreeMap<&str, &SetPackage> = BTreeMap::new();
        for set in &self.sets {
            let time = set.time;
            let of = |what: &str| Some(format!("the set of {time}: {what}"));
            if time == 0 || before.is_some_and(|before| before <= time) {
                return of("it is not older than the one before it");
            }
            before = Some(time);
            if let Some(why) = set.wrong() {
                return of(&why);
            }
            for package in &set.packages {
                let other = files.insert(&package.path, package);
                if other.is_some_and(|other| other != package) {
                    let path = package.path.escape_debug();
                    return of(&format!("a newer one has another {path}"));
                }
            }
        }
        if self.dropped.len() > MOST_SETS {
            return Some(format!("more than {MOST_SETS} sets were dropped"));
        }
        for one in &self.dropped {
            let texts = [&one.lustre, &one.kernel, &one.why];
            if one.time >= first.time || !texts.into_iter().all(|text| is_text(text)) {
                return Some("what it says of a set that was dropped cannot be".to_owned());
            }
        }
        None
    }

    /// Takes out of `packages`, which the metadata in the folder `kind` list, those that the release itself has not.
    pub fn retain_release(&self, kind: Kind, packages: &mut Vec<Package>) {
        let older = self.older_paths();
        packages.retain(|one| !older.contains(location(kind, one).as_str()));
    }

    /// The paths of the packages that only older sets have.
    pub fn older_paths(&self) -> BTreeSet<&str> {
        let (first, older) = self
            .sets
            .split_first()
            .map_or((None, &[][..]), |(a, b)| (Some(a), b));
        let own: BTreeSet<&str> = first.into_iter().flat_map(Set::paths).collect();
        let older = older.iter().flat_map(Set::paths);
        older.filter(|path| !own.contains(path)).collect()
    }
}

impl Set {
    /// The release that `manifest` is of, whose file has the digest `manifest_sha256`.
    pub fn of(
        manifest: &Manifest,
        manifest_sha256: &str,
    ) -> Result<Self, std::num::TryFromIntError> {
        let mut packages: Vec<SetPackage> =
            manifest.packages.iter().map(SetPackage::from).collect();
        packages.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self {
            time: u32::try_from(manifest.release_time())?,
            lustre: version(&manifest.packages, "lustre"),
            kernel: version(&manifest.packages, "kernel"),
            e2fsprogs: version(&manifest.packages, "e2fsprogs"),
            manifest_sha256: manifest_sha256.to_owned(),
            packages,
        })
    }

    /// The paths of its packages.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.packages.iter().map(|package| package.path.as_str())
    }

    /// Whether both have the same packages, signatures left out.
    pub fn has_packages_of(&self, other: &Self) -> bool {
        let all = |set: &Self| -> BTreeSet<(String, String)> {
            let packages = set.packages.iter();
            packages
                .map(|one| (one.nevra.clone(), one.sha256_unsigned.clone()))
                .collect()
        };
        all(self) == all(other)
    }

    fn wrong(&self) -> Option<String> {
        if !is_digest(&self.manifest_sha256) {
            return Some("the digest of its manifest is none".to_owned());
        }
        let texts = [&self.lustre, &self.kernel, &self.e2fsprogs];
        if !texts.into_iter().all(|text| is_text(text)) {
            return Some("a version is none".to_owned());
        }
        if self.packages.is_empty() || self.packages.len() > MOST_PACKAGES {
            return Some(format!("it has no packages, or more than {MOST_PACKAGES}"));
        }
        let mut before = None;
        for package in &self.packages {
            if let Some(why) = package.wrong() {
                return Some(why);
            }
            let path = package.path.as_str();
            if before.is_some_and(|before| before >= path) {
                let path = path.escape_debug();
                return Some(format!("{path} is there twice, or not in its place"));
            }
            before = Some(path);
        }
        None
    }
}

impl SetPackage {
    fn wrong(&self) -> Option<String> {
        let (path, nevra) = (self.path.escape_debug(), self.nevra.escape_debug());
        if ![&self.path, &self.nevra, &self.stage]
            .into_iter()
            .all(|text| is_text(text))
        {
            return Some(format!("what it says of {path} is no text of one line"));
        }
        if path_of(&self.nevra).as_deref() != Some(&self.path) {
            return Some(format!("{path} is not where {nevra} belongs"));
        }
        if ![&self.sha256, &self.sha256_unsigned]
            .into_iter()
            .all(|one| is_digest(one))
        {
            return Some(format!("a digest of {path} is none"));
        }
        None
    }
}

impl From<&manifest::Package> for SetPackage {
    fn from(package: &manifest::Package) -> Self {
        Self {
            nevra: package.nevra.clone(),
            path: package.file.clone(),
            size: package.size,
            sha256: package.sha256.clone(),
            sha256_unsigned: package.sha256_unsigned.clone(),
            stage: package.stage.clone(),
        }
    }
}

impl<'a> From<&'a SetPackage> for ComparedPackage<'a> {
    fn from(package: &'a SetPackage) -> Self {
        Self {
            nevra: &package.nevra,
            content: &package.sha256_unsigned,
        }
    }
}

/// What is compared of packages.
pub fn known(packages: &[SetPackage]) -> Vec<ComparedPackage<'_>> {
    packages.iter().map(ComparedPackage::from).collect()
}

/// Where a package that the metadata in the folder `kind` list is in the repository.
pub fn location(kind: Kind, package: &Package) -> String {
    format!("{}/{}", kind.folder(), package.location)
}

/// Where the package `nevra` is in a repository, if it can be in one.
pub fn path_of(nevra: &str) -> Option<String> {
    let ((name, arch), evr) = parts(nevra)?;
    let kind = match arch {
        "src" => Kind::Source,
        "x86_64" | "noarch" => Kind::of_name(name),
        _ => return None,
    };
    let file = format!("{name}-{}-{}.{arch}.rpm", evr.version, evr.release?);
    let fits = !name.is_empty() && !file.contains('/') && !file.starts_with('.');
    fits.then(|| format!("{}/Packages/{file}", kind.folder()))
}

/// `version-release` of the source package that the stage `name` made its packages of, or else of the package of that name.
fn version(packages: &[manifest::Package], name: &str) -> String {
    let of = |wanted: &dyn Fn(&manifest::Package, &str, &str) -> bool| {
        packages.iter().find_map(|package| {
            let ((found, arch), evr) = parts(&package.nevra)?;
            let release = evr.release.as_deref().unwrap_or_default();
            wanted(package, found, arch).then(|| format!("{}-{release}", evr.version))
        })
    };
    of(&|package, _, arch| package.stage == name && arch == "src")
        .or_else(|| of(&|_, found, arch| found == name && arch != "src"))
        .unwrap_or_default()
}

fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    text.len() == 64 && text.bytes().all(digit)
}

fn is_text(text: &str) -> bool {
    text.len() <= MOST_TEXT && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(time: u32, nevras: &[&str]) -> Set {
        let packages = nevras.iter().map(|nevra| SetPackage {
            nevra: (*nevra).to_owned(),
            path: path_of(nevra).unwrap(),
            size: 1,
            sha256: "1".repeat(64),
            sha256_unsigned: "2".repeat(64),
            stage: "lustre".to_owned(),
        });
        let mut packages: Vec<SetPackage> = packages.collect();
        packages.sort_by(|a, b| a.path.cmp(&b.path));
        Set {
            time,
            lustre: "2-1".to_owned(),
            manifest_sha256: "3".repeat(64),
            packages,
            ..Set::default()
        }
    }

    fn history() -> History {
        History {
            format: FORMAT,
            target: "rehearsal".to_owned(),
            sets: vec![
                set(20, &["lustre-3-1.el9.x86_64", "tool-1:1-1.noarch"]),
                set(10, &["lustre-2-1.el9.x86_64", "tool-1:1-1.noarch"]),
            ],
            dropped: vec![DroppedSet {
                time: 5,
                why: "more than 2".to_owned(),
                ..DroppedSet::default()
            }],
        }
    }

    #[test]
    fn a_list_is_read_as_it_was_written_and_a_repository_from_before_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(History::read(dir.path()).unwrap(), None);
        let history = history();
        std::fs::write(dir.path().join(FILE), history.to_json()).unwrap();
        assert_eq!(History::read(dir.path()).unwrap(), Some(history.clone()));
        let older: Vec<&str> = history.older_paths().into_iter().collect();
        assert_eq!(older, ["x86_64/Packages/lustre-2-1.el9.x86_64.rpm"]);
    }

    #[test]
    fn a_package_is_where_its_name_says() {
        for (nevra, path) in [
            (
                "a-b-1:2.0-3.el9.x86_64",
                "x86_64/Packages/a-b-2.0-3.el9.x86_64.rpm",
            ),
            (
                "a-debuginfo-2-3.x86_64",
                "x86_64-debuginfo/Packages/a-debuginfo-2-3.x86_64.rpm",
            ),
            ("a-2-3.src", "source/Packages/a-2-3.src.rpm"),
        ] {
            assert_eq!(path_of(nevra).as_deref(), Some(path));
        }
        for nevra in [
            "",
            "a",
            "a-1-1.i686",
            "../a-1-1.noarch",
            "a-1/-1.noarch",
            ".a-1-1.src",
            "a-1-.src",
        ] {
            assert_eq!(path_of(nevra), None, "{nevra}");
        }
    }

    #[test]
    fn a_list_that_says_what_cannot_be_is_refused() {
        type Change = fn(&mut History);
        let changes: [(&str, Change); 15] = [
            ("no sets", |all| all.sets.clear()),
            ("format", |all| all.format = 2),
            ("format", |all| all.format = 0),
            ("target", |all| all.target.clear()),
            ("more than", |all| {
                all.sets = vec![set(1, &["a-1-1.src"]); MOST_SETS + 1]
            }),
            ("not older", |all| all.sets.reverse()),
            ("not older", |all| all.sets[1].time = 20),
            ("not older", |all| all.sets[0].time = 0),
            ("has no packages", |all| all.sets[1].packages.clear()),
            ("another x86_64", |all| {
                all.sets[1].packages[1].sha256 = "4".repeat(64)
            }),
            ("not in its place", |all| all.sets[1].packages.reverse()),
            ("not where", |all| {
                all.sets[1].packages[0].path = "../out.rpm".to_owned()
            }),
            ("digest of its manifest", |all| {
                all.sets[1].manifest_sha256.clear()
            }),
            ("digest of x86_64", |all| {
                all.sets[1].packages[0].sha256 = "A".repeat(64)
            }),
            ("dropped", |all| all.dropped[0].time = 20),
        ];
        assert_eq!(history().wrong(), None);
        for (word, change) in changes {
            let mut history = history();
            change(&mut history);
            let why = history.wrong().unwrap();
            assert!(why.contains(word), "{word}: {why}");
            assert!(History::parse(&history.to_json()).is_err());
        }
        let mut history = history();
        history.sets[1].packages[0].stage = "a\nb".to_owned();
        let why = history.wrong().unwrap();
        assert!(!why.contains('\n'), "{why}");
        assert!(History::parse("{").is_err());
    }

    #[test]
    fn a_set_names_the_versions_that_its_sources_have() {
        let package = |nevra: &str, stage: &str| manifest::Package {
            nevra: nevra.to_owned(),
            file: path_of(nevra).unwrap(),
            stage: stage.to_owned(),
            ..manifest::Package::default()
        };
        let manifest = Manifest {
            source_date_epoch: 7,
            packages: vec![
                package("linux-6.1-2.src", "kernel"),
                package("kernel-6.1-2.x86_64", "kernel"),
                package("lustre-2.17.0-1.x86_64", "lustre"),
            ],
            ..Manifest::default()
        };
        let set = Set::of(&manifest, "").unwrap();
        assert_eq!(set.time, 7);
        assert_eq!(
            [set.lustre, set.kernel, set.e2fsprogs],
            ["2.17.0-1", "6.1-2", ""]
        );
        assert!(set.packages.is_sorted_by(|a, b| a.path < b.path));
    }
}
