//! What came of the packages that were built again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::bail;
use lustre_files::advised;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::store::Digest;
use lustre_repository::differences::{self, Differences};
use lustre_repository::layout::nevra_of;
use lustre_repository::manifest;
use lustre_repository::proof::Check;
use serde::Serialize;

use super::diffoscope::{self, DIFFOSCOPE};
use crate::commands::proofs::ProofReport;
use crate::context::Context;
use crate::exit::Outcome;
use crate::ui;

/// All of it.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Where the repository is.
    pub repository: String,
    pub target: String,
    /// The version of the tool that made the repository.
    pub tool: String,
    /// Whether all packages that were to be rebuilt are the same.
    pub same: bool,
    pub stages: Vec<StageResult>,
    pub packages: Vec<Package>,
    /// The packages of the repository that were not to be rebuilt.
    pub not_rebuilt: Vec<NotRebuilt>,
    /// The checks of the repository that do not hold; then nothing of it was built.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unproven: Vec<Check>,
}

impl Compared {
    /// Of the repository `shown` that is not proven, so that nothing is believed of what it says of itself.
    pub fn unproven(shown: String, proved: &ProofReport) -> Self {
        Self {
            repository: shown,
            target: proved.target().to_owned(),
            tool: String::new(),
            same: false,
            stages: Vec::new(),
            packages: Vec::new(),
            not_rebuilt: Vec::new(),
            unproven: proved.failed(),
        }
    }

    /// For machines.
    pub fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// What came of a stage that makes packages.
#[derive(Debug, Serialize)]
pub struct StageResult {
    pub stage: String,
    /// Whether it was built.
    pub built: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The packages of the repository itself that were in its buildroot.
    pub own: Vec<String>,
    /// The name of the host that it was built on, where that is none that a host may have here: it is built on another then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_not_taken: Option<String>,
}

/// A package that was not to be rebuilt.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct NotRebuilt {
    pub nevra: String,
    pub why: WhyNot,
}

/// Why a package was not to be rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyNot {
    /// It is of an earlier release, whose manifest is not there.
    EarlierRelease,
    /// `--package` names others.
    NotAsked,
    /// It is a source package: others are made of it.
    Source,
}

/// How a package came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Result {
    Same,
    Differs,
    /// The rebuild did not make it.
    NotMade,
    /// The rebuild made it, and the repository does not have it.
    NotPublished,
    /// The stage that makes it could not be built.
    NotBuilt,
}

/// A package.
#[derive(Debug, Serialize)]
pub struct Package {
    pub nevra: String,
    /// The stage that makes it.
    pub stage: String,
    pub result: Result,
    /// The SHA-256 before signing, as manifest.json has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// That of the package that was built again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt_sha256: Option<String>,
    /// Where that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<PathBuf>,
    /// What keeps the two from being compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What differs between the published package, as the first, and the one built again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<Differences>,
    /// What diffoscope says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diffoscope: Option<PathBuf>,
}

impl Package {
    pub fn is_same(&self) -> bool {
        self.result == Result::Same
    }

    /// One that was published, and of which nothing was built.
    fn without(package: &manifest::Package, result: Result) -> Self {
        Self {
            nevra: package.nevra.clone(),
            stage: package.stage.clone(),
            result,
            sha256: Some(package.sha256_unsigned.clone()),
            rebuilt_sha256: None,
            rebuilt: None,
            why: None,
            differences: None,
            diffoscope: None,
        }
    }
}

/// The packages that the repository has of a stage that could not be built.
pub fn not_built(published: &[(manifest::Package, PathBuf)]) -> Vec<Package> {
    let all = published.iter();
    all.map(|(package, _)| Package::without(package, Result::NotBuilt))
        .collect()
}

/// Compares the packages that the repository has of `stage` with those below `made`.
pub fn compare(
    context: &Context,
    stage: &str,
    published: &[(manifest::Package, PathBuf)],
    made: &Path,
) -> anyhow::Result<Vec<Package>> {
    let mut rebuilt = BTreeMap::new();
    for path in rpmbuild::packages_under(made)? {
        let nevra = nevra_of(&path)?;
        if let Some(other) = rebuilt.insert(nevra.clone(), path.clone()) {
            bail!(
                "the rebuild of `{stage}` made {} twice, as {} and as {}: which of them is compared would be chance",
                nevra.escape_debug(),
                other.display(),
                path.display()
            );
        }
    }
    let mut all = Vec::new();
    for (package, path) in published {
        let one = match rebuilt.remove(&package.nevra) {
            Some(made) => of(context, package, path, made)?,
            None => Package::without(package, Result::NotMade),
        };
        all.push(one);
    }
    for (nevra, path) in rebuilt {
        all.push(Package {
            nevra,
            stage: stage.to_owned(),
            result: Result::NotPublished,
            sha256: None,
            rebuilt_sha256: Some(Digest::of_file(&path)?.0.to_string()),
            rebuilt: Some(path),
            why: None,
            differences: None,
            diffoscope: None,
        });
    }
    let differ = all.iter().filter(|one| !one.is_same()).count();
    ui::say(&match differ {
        0 => format!("{stage}: all {} packages are the same", all.len()),
        _ => format!(
            "{stage}: {differ} of {} packages are not the same",
            all.len()
        ),
    });
    Ok(all)
}

/// One package: what was built again has to be what was signed, and what is published has to be that, too. The digest alone would be the word of who
/// published it.
fn of(
    context: &Context,
    package: &manifest::Package,
    path: &Path,
    made: PathBuf,
) -> anyhow::Result<Package> {
    let sha256 = Digest::of_file(&made)?.0.to_string();
    let is_signed_one = sha256 == package.sha256_unsigned;
    let content = || -> anyhow::Result<bool> {
        Ok(differences::content_sha256(path)? == differences::content_sha256(&made)?)
    };
    let same = match is_signed_one {
        true => content(),
        false => Ok(false),
    };
    let mut found = Package::without(package, Result::Differs);
    found.rebuilt_sha256 = Some(sha256);
    if let Ok(true) = same {
        found.result = Result::Same;
        return Ok(found);
    }
    // One that cannot be read differs; the others are still to be told.
    match same.and_then(|_| Ok(differences::between(path, &made)?)) {
        Ok(differences) => found.differences = Some(differences),
        Err(error) => found.why = Some(format!("{error:#}")),
    }
    found.diffoscope =
        diffoscope::report(context, &package.nevra, path, &made).unwrap_or_else(|error| {
            ui::warn(&format!(
                "warning: no report of {DIFFOSCOPE} on {}: {error:#}",
                package.nevra
            ));
            None
        });
    found.rebuilt = Some(made);
    Ok(found)
}

impl Compared {
    /// How the command ends: packages that are not the published ones are what it is about; where a stage could not be built, it failed.
    pub fn outcome(&self) -> anyhow::Result<Outcome> {
        let told = |one: &Package| !matches!(one.result, Result::Same | Result::NotBuilt);
        if self.packages.iter().any(told) {
            return Ok(Outcome::Unproven);
        }
        let stages = self.stages.iter().filter(|stage| !stage.built);
        let stages: Vec<&str> = stages.map(|stage| stage.stage.as_str()).collect();
        if !stages.is_empty() {
            bail!(advised(
                format!(
                    "not built, so not compared: {} (of {} stages)",
                    stages.join(", "),
                    self.stages.len()
                ),
                "the warnings above say why",
            ));
        }
        Ok(match self.same {
            true => Outcome::Done,
            false => Outcome::Unproven,
        })
    }
}

#[cfg(test)]
mod tests {
    use lustre_packaging::sign::{Key, Secret, sign_package};

    use super::*;
    use crate::place;

    /// Writes an unsigned package, and gives its path.
    fn package(folder: &Path, name: &str, text: &str) -> PathBuf {
        let mut builder = rpm::PackageBuilder::new(name, "1", "MIT", "x86_64", "a test");
        builder
            .using_config(rpm::BuildConfig::v4().source_date(1))
            .release("1")
            .build_host("builder");
        builder
            .with_file_contents(text, rpm::FileOptions::new("/usr/bin/it"))
            .unwrap();
        let path = folder.join(format!("{name}.rpm"));
        builder.build().unwrap().write_file(&path).unwrap();
        path
    }

    #[test]
    fn what_is_published_is_what_was_built_again_or_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let folder = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let (before, tree, made) = (folder("before"), folder("tree"), folder("made"));
        let file = place::specs().join("distributions/rehearsal/key.asc");
        let text = Secret::new(std::fs::read(file).unwrap());
        let key = Key::from_armored(&text, "the test", None).unwrap();
        let mut published = Vec::new();
        // One that is as it was built; one that was exchanged, as the manifest has it; one that was exchanged, and the manifest has the
        // digest of what was built; and one that no build makes.
        for (name, text, recorded) in [
            ("same", "one", "one"),
            ("exchanged", "two", "two"),
            ("denied", "two", "one"),
            ("gone", "one", "one"),
        ] {
            let recorded = Digest::of_file(&package(&before, name, recorded))
                .unwrap()
                .0;
            let plain = package(&before, name, text);
            let path = tree.join(format!("{name}.rpm"));
            sign_package(&plain, &path, &key, key.public_key().created()).unwrap();
            let listed = manifest::Package {
                nevra: format!("{name}-1-1.x86_64"),
                sha256_unsigned: recorded.to_string(),
                stage: "lustre".to_owned(),
                ..manifest::Package::default()
            };
            published.push((listed, path));
        }
        for name in ["same", "exchanged", "denied", "new"] {
            package(&made, name, "one");
        }
        let found = compare(&context, "lustre", &published, &made).unwrap();
        let results: BTreeMap<&str, Result> = found
            .iter()
            .map(|one| (one.nevra.split('-').next().unwrap(), one.result))
            .collect();
        let wanted = [
            ("same", Result::Same),
            ("exchanged", Result::Differs),
            ("denied", Result::Differs),
            ("gone", Result::NotMade),
            ("new", Result::NotPublished),
        ];
        assert_eq!(results, BTreeMap::from(wanted));
        for one in found.iter().filter(|one| one.result == Result::Differs) {
            let differences = one.differences.as_ref().unwrap();
            assert_eq!(differences.files.len(), 1, "{differences:?}");
            assert_eq!(differences.files[0].path, "/usr/bin/it");
            assert!(one.rebuilt.as_ref().unwrap().is_file());
        }
        let not_rebuilt = |nevra: &str, why| NotRebuilt {
            nevra: nevra.to_owned(),
            why,
        };
        let compared = Compared {
            repository: "/srv/repo".to_owned(),
            target: "rehearsal".to_owned(),
            tool: "0".to_owned(),
            same: false,
            stages: vec![StageResult {
                stage: "kernel".to_owned(),
                built: false,
                why: Some("no room".to_owned()),
                own: Vec::new(),
                host_not_taken: None,
            }],
            packages: found,
            not_rebuilt: vec![
                not_rebuilt("old-1-1.x86_64", WhyNot::EarlierRelease),
                not_rebuilt("older-1-1.x86_64", WhyNot::EarlierRelease),
                not_rebuilt("same-1-1.src", WhyNot::Source),
            ],
            unproven: Vec::new(),
        };
        assert_eq!(compared.outcome().unwrap(), Outcome::Unproven);
        let mut said = Vec::new();
        compared.tell(&mut |line| said.push(line.to_owned()));
        let said = said.join("\n");
        for words in [
            "exchanged-1-1.x86_64 differs",
            "file /usr/bin/it: content",
            "gone-1-1.x86_64 is in the repository",
            "new-1-1.x86_64 was made by the rebuild",
            "kernel was not built: no room",
            "1 of 5 packages are the same; not rebuilt: 2 of earlier releases, 1 source packages",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }

    #[test]
    fn a_stage_that_is_not_built_is_a_failure_and_a_package_that_differs_comes_first() {
        let of = |built: bool, results: &[Result]| {
            let packages = results
                .iter()
                .map(|result| Package::without(&manifest::Package::default(), *result));
            Compared {
                repository: "/srv/repo".to_owned(),
                target: "rehearsal".to_owned(),
                tool: "0".to_owned(),
                same: results.iter().all(|result| *result == Result::Same),
                stages: vec![StageResult {
                    stage: "kernel".to_owned(),
                    built,
                    why: None,
                    own: Vec::new(),
                    host_not_taken: None,
                }],
                packages: packages.collect(),
                not_rebuilt: Vec::new(),
                unproven: Vec::new(),
            }
        };
        let (same, differs, not_built) = (Result::Same, Result::Differs, Result::NotBuilt);
        assert_eq!(of(true, &[same]).outcome().unwrap(), Outcome::Done);
        assert_eq!(
            of(true, &[same, differs]).outcome().unwrap(),
            Outcome::Unproven
        );
        assert_eq!(
            of(false, &[differs, not_built]).outcome().unwrap(),
            Outcome::Unproven
        );
        let error = of(false, &[same, not_built]).outcome().unwrap_err();
        assert!(
            error.to_string().contains("not compared: kernel"),
            "{error}"
        );
    }

    #[test]
    fn one_package_made_twice_is_none_that_can_be_compared() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let made = dir.path().join("made");
        for (folder, text) in [("a", "one"), ("b", "two")] {
            let folder = made.join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            package(&folder, "same", text);
        }
        let error = compare(&context, "lustre", &[], &made)
            .unwrap_err()
            .to_string();
        assert!(error.contains("same-1-1.x86_64 twice"), "{error}");
    }

    /// The packages that can be compared are told all the same.
    #[test]
    fn a_package_that_cannot_be_read_differs() {
        let dir = tempfile::tempdir().unwrap();
        let context = Context::of_a_test(dir.path());
        let made = dir.path().join("made");
        std::fs::create_dir(&made).unwrap();
        package(&made, "a", "one");
        let path = dir.path().join("a.rpm");
        std::fs::write(&path, "no package").unwrap();
        let listed = manifest::Package {
            nevra: "a-1-1.x86_64".to_owned(),
            ..manifest::Package::default()
        };
        let found = compare(&context, "lustre", &[(listed, path)], &made).unwrap();
        assert_eq!(found[0].result, Result::Differs);
        assert!(
            found[0].why.is_some() && found[0].differences.is_none(),
            "{found:?}"
        );
    }
}
