//! Which packages the host's dnf chooses.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::shown_url;
use serde::Deserialize;

use super::metadata::Metadata;
use super::spec::isolated;
use super::{Error, Goal, Problem, at};
use crate::lock::{FilePin, PackagePin};
use crate::process;
use crate::source::{repodata, url};
use crate::target::Distribution;

/// What is asked of dnf's Python interface, since its command line tells no locations.
const SCRIPT: &str = include_str!("resolve.py");

/// dnf's program: its first line names the Python that has dnf.
const DNF: &str = "/usr/bin/dnf";

/// Where the repositories' metadata and dnf's own files are seen inside.
const REPOSITORIES: &str = "/srv/repositories";
const SCRATCH: &str = "/srv/scratch";

/// A package that dnf chose.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ResolvedPackage {
    pub name: String,
    pub epoch: u64,
    pub version: String,
    pub release: String,
    /// Its architecture.
    pub arch: String,
    /// The repository that has it.
    pub repository: String,
    /// Its path there.
    pub href: String,
    /// Where it is, if not below its repository (`xml:base`).
    pub base: Option<String>,
    /// The kind of its digest.
    pub checksum: String,
    /// Its digest in hexadecimal.
    pub digest: String,
    /// Its size in bytes.
    pub size: u64,
    /// Where its headers end.
    #[serde(default)]
    pub header_end: u64,
}

/// What a goal takes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Solution {
    /// The goal.
    pub name: String,
    /// Everything that would be installed.
    pub packages: Vec<ResolvedPackage>,
}

#[derive(Deserialize)]
struct Answer {
    goals: Vec<Solution>,
    problems: Vec<Problem>,
    /// What dnf says of metadata that it cannot read.
    unreadable: Option<String>,
}

/// Has dnf choose the packages of every goal, each for an empty root, without network and without anything of the host's
/// configuration. `scratch` is for dnf's own files.
pub fn resolve(
    distribution: &Distribution,
    metadata: &Metadata,
    goals: &[Goal],
    scratch: &Path,
) -> Result<Vec<Solution>, Error> {
    fs::create_dir_all(scratch).map_err(at(scratch))?;
    let mut sandbox = isolated().map_err(at(scratch))?.writable(scratch, SCRATCH);
    sandbox.give(scratch).map_err(at(scratch))?;
    let mut repositories = Vec::new();
    for (id, folder) in &metadata.binary {
        let inside = format!("{REPOSITORIES}/{id}");
        sandbox = sandbox.read_only(folder, &inside);
        repositories.push(serde_json::json!({ "id": id, "folder": inside }));
    }
    let request = serde_json::json!({
        "arch": distribution.arch,
        "module_platform": distribution.module_platform,
        "scratch": SCRATCH,
        "repositories": repositories,
        "goals": goals,
    });
    let python = python(Path::new(DNF))?;
    let mut command = sandbox.command(&python.to_string_lossy(), &["-I", "-c", SCRIPT]);
    let out =
        process::output_with_input(&mut command, request.to_string().as_bytes()).map_err(|e| {
            Error::Tool {
                doing: "dnf cannot resolve packages",
                source: e,
            }
        })?;
    let answer: Answer = serde_json::from_slice(&out)
        .map_err(|e| Error::Answer(format!("{e}: {}", String::from_utf8_lossy(&out))))?;
    if let Some(why) = answer.unreadable {
        return Err(Error::Unreadable {
            repositories: metadata.binary.iter().map(|(id, _)| id.clone()).collect(),
            why,
        });
    }
    if answer.problems.is_empty() {
        Ok(answer.goals)
    } else {
        Err(Error::Unmet(answer.problems))
    }
}

/// The Python that dnf runs with.
fn python(dnf: &Path) -> Result<PathBuf, Error> {
    let wrong = |why: String| Error::NoDnf {
        path: dnf.to_owned(),
        why,
    };
    let bytes = lustre_files::read(dnf, lustre_files::TEXT).map_err(|e| wrong(e.to_string()))?;
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let first = String::from_utf8_lossy(first).into_owned();
    first
        .strip_prefix("#!")
        .and_then(|line| line.split_whitespace().next())
        .filter(|program| program.contains("python"))
        .map(PathBuf::from)
        .ok_or_else(|| wrong("its first line names no Python".to_owned()))
}

/// The pins of all packages of all goals, each once, sorted. Where two goals take other versions of a package, both are pinned.
pub fn union(metadata: &Metadata, solutions: &[Solution]) -> Result<Vec<PackagePin>, Error> {
    let mut pins: BTreeMap<String, PackagePin> = BTreeMap::new();
    for package in solutions.iter().flat_map(|goal| &goal.packages) {
        let pin = pin(metadata, package)?;
        if let Some(other) = pins.get(&pin.file.file)
            && *other != pin
        {
            return Err(Error::Metadata {
                repository: package.repository.clone(),
                url: pin.file.uri,
                why: format!(
                    "{} is another file of the same name; one of the two repositories has a rebuilt package",
                    other.file.uri
                ),
            });
        }
        pins.insert(pin.file.file.clone(), pin);
    }
    let mut pins: Vec<PackagePin> = pins.into_values().collect();
    pins.sort();
    Ok(pins)
}

pub(super) fn pin(metadata: &Metadata, package: &ResolvedPackage) -> Result<PackagePin, Error> {
    let epoch = match package.epoch {
        0 => String::new(),
        epoch => format!("{epoch}:"),
    };
    let version = format!("{epoch}{}-{}", package.version, package.release);
    if package.checksum != "sha256" {
        return Err(Error::Checksum {
            repository: package.repository.clone(),
            package: format!("{}-{version}.{}", package.name, package.arch),
            checksum: package.checksum.clone(),
        });
    }
    let location = metadata
        .locations
        .get(&package.repository)
        .ok_or_else(|| Error::Answer(format!("the repository `{}`", package.repository)))?;
    let base = package.base.as_deref();
    repodata::web(&package.name, base, &package.href).map_err(|why| Error::Metadata {
        repository: package.repository.clone(),
        url: shown_url(location),
        why,
    })?;
    let base = base.unwrap_or(location);
    let file = package.href.rsplit('/').next().unwrap_or(&package.href);
    Ok(PackagePin {
        name: package.name.clone(),
        version,
        arch: package.arch.clone(),
        file: FilePin {
            file: file.to_owned(),
            size: package.size,
            sha256: package.digest.clone(),
            uri: url::join(&package.repository, base, &package.href)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(version: &str) -> ResolvedPackage {
        ResolvedPackage {
            name: "gcc".to_owned(),
            epoch: 0,
            version: version.to_owned(),
            release: "1.el8".to_owned(),
            arch: "x86_64".to_owned(),
            repository: "appstream".to_owned(),
            href: format!("Packages/g/gcc-{version}-1.el8.x86_64.rpm"),
            base: None,
            checksum: "sha256".to_owned(),
            digest: "a".repeat(64),
            size: 7,
            header_end: 0,
        }
    }

    fn metadata() -> Metadata {
        Metadata {
            locations: BTreeMap::from([(
                "appstream".to_owned(),
                "https://a.example/AppStream/os".to_owned(),
            )]),
            ..Metadata::default()
        }
    }

    fn solutions(goals: &[&[ResolvedPackage]]) -> Vec<Solution> {
        goals
            .iter()
            .map(|packages| Solution {
                name: "root".to_owned(),
                packages: packages.to_vec(),
            })
            .collect()
    }

    #[test]
    fn a_package_of_two_goals_is_pinned_once_and_two_versions_are_two_pins() {
        let mut newer = chosen("9");
        newer.epoch = 1;
        let goals = solutions(&[&[chosen("8")], &[chosen("8"), newer]]);
        let pins = union(&metadata(), &goals).unwrap();
        let versions: Vec<&str> = pins.iter().map(|pin| pin.version.as_str()).collect();
        assert_eq!(versions, ["1:9-1.el8", "8-1.el8"]);
        assert_eq!(
            pins[1].file.uri,
            "https://a.example/AppStream/os/Packages/g/gcc-8-1.el8.x86_64.rpm"
        );
        assert_eq!(pins[1].file.file, "gcc-8-1.el8.x86_64.rpm");
    }

    #[test]
    fn what_cannot_be_pinned_is_named() {
        let mut sha1 = chosen("8");
        sha1.checksum = "sha1".to_owned();
        let error = union(&metadata(), &solutions(&[&[sha1]])).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("gcc-8-1.el8.x86_64") && error.contains("sha1"),
            "{error}"
        );
        let mut rebuilt = chosen("8");
        rebuilt.digest = "b".repeat(64);
        let error = union(&metadata(), &solutions(&[&[chosen("8"), rebuilt]])).unwrap_err();
        assert!(error.to_string().contains("same name"), "{error}");
    }

    #[test]
    fn the_python_is_dnfs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dnf");
        fs::write(&path, "#!/usr/libexec/platform-python -sP\nimport dnf\n").unwrap();
        assert_eq!(
            python(&path).unwrap(),
            Path::new("/usr/libexec/platform-python")
        );
        fs::write(&path, b"\x7fELF\0").unwrap();
        let error = python(&path).unwrap_err().to_string();
        assert!(error.contains("names no Python"), "{error}");
        assert!(python(&dir.path().join("none")).is_err());
    }
}
