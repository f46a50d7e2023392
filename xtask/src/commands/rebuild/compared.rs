//! What came of the packages that were built again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::store::Digest;
use lustre_packaging::{process, sandbox};
use lustre_repository::differences::{self, Differences};
use lustre_repository::layout::nevra_of;
use lustre_repository::manifest;
use serde::Serialize;

use crate::context::Context;
use crate::ui;

/// How many tags and files of a package are told to people.
const SHOWN: usize = 12;

/// What tells in detail how two packages differ, where the host has it.
const DIFFOSCOPE: &str = "diffoscope";

/// All of it.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Where the repository is.
    pub repository: String,
    pub target: String,
    /// The version of the tool that made the repository.
    pub tool: String,
    /// Whether all packages are the same.
    pub same: bool,
    pub packages: Vec<Package>,
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
        rebuilt.insert(nevra_of(&path)?, path);
    }
    let mut all = Vec::new();
    for (package, path) in published {
        let one = match rebuilt.remove(&package.nevra) {
            Some(made) => of(context, package, path, made)?,
            None => Package {
                nevra: package.nevra.clone(),
                stage: stage.to_owned(),
                result: Result::NotMade,
                sha256: Some(package.sha256_unsigned.clone()),
                rebuilt_sha256: None,
                rebuilt: None,
                differences: None,
                diffoscope: None,
            },
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
    let same = sha256 == package.sha256_unsigned
        && differences::content_sha256(path)? == differences::content_sha256(&made)?;
    let mut found = Package {
        nevra: package.nevra.clone(),
        stage: package.stage.clone(),
        result: if same { Result::Same } else { Result::Differs },
        sha256: Some(package.sha256_unsigned.clone()),
        rebuilt_sha256: Some(sha256),
        rebuilt: None,
        differences: None,
        diffoscope: None,
    };
    if !same {
        found.differences = Some(differences::between(path, &made)?);
        found.diffoscope = in_detail(context, &package.nevra, path, &made)?;
        found.rebuilt = Some(made);
    }
    Ok(found)
}

/// What diffoscope says, in a file; none where the host has none.
fn in_detail(
    context: &Context,
    nevra: &str,
    published: &Path,
    made: &Path,
) -> anyhow::Result<Option<PathBuf>> {
    if !Path::new("/usr/bin").join(DIFFOSCOPE).exists() {
        return Ok(None);
    }
    let scratch = context.store.temp_dir(DIFFOSCOPE)?;
    let (files, home) = (scratch.path().join("files"), scratch.path().join("home"));
    for folder in [&files, &home] {
        std::fs::create_dir(folder).with_context(|| folder.display().to_string())?;
    }
    for (from, to) in [(published, "published.rpm"), (made, "rebuilt.rpm")] {
        lustre_files::copy(from, files.join(to)).with_context(|| from.display().to_string())?;
    }
    let arguments = [
        "--text=/home/report.txt",
        "/files/published.rpm",
        "/files/rebuilt.rpm",
    ];
    let sandbox = sandbox::reading(&files, "/files")?
        .writable(&home, "/home")
        .env("HOME", "/home");
    sandbox.give(&home)?;
    let mut command = sandbox.command("diffoscope", &arguments);
    let ran = process::capture(&mut command)?;
    let report = home.join("report.txt");
    let text = lustre_files::read_no_link(&report, lustre_files::LARGE);
    let Some(text) = lustre_files::if_there(text)? else {
        ui::warn(&format!(
            "warning: {DIFFOSCOPE} ended with {} and without a report on {nevra}: {}",
            ran.status,
            String::from_utf8_lossy(&ran.stderr).trim().escape_debug()
        ));
        return Ok(None);
    };
    // A package may be called anything.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._+~^-".contains(letter);
    let named = nevra.replace(|letter| !plain(letter), "_");
    let to = context
        .store
        .logs_dir()
        .join(format!("rebuild-{named}.{DIFFOSCOPE}.txt"));
    lustre_files::write_whole(&to, &text).with_context(|| to.display().to_string())?;
    Ok(Some(to))
}

impl Compared {
    /// For people.
    pub fn tell(&self, say: &mut dyn FnMut(&str)) {
        for package in self.packages.iter().filter(|one| !one.is_same()) {
            let what = match package.result {
                Result::Same | Result::Differs => "differs",
                Result::NotMade => "is in the repository, and the rebuild did not make it",
                Result::NotPublished => "was made by the rebuild, and is not in the repository",
            };
            say(&format!("{} {what}", package.nevra));
            if let Some(differences) = &package.differences {
                for line in lines(differences) {
                    say(&format!("  {line}"));
                }
            }
            if let Some(path) = &package.rebuilt {
                say(&format!("  rebuilt: {}", path.display()));
            }
            if let Some(path) = &package.diffoscope {
                say(&format!("  {DIFFOSCOPE}: {}", path.display()));
            }
        }
        let all = self.packages.len();
        let same = self.packages.iter().filter(|one| one.is_same()).count();
        say(&match same == all {
            true => format!("byte-identical: {all} packages, as they were before they were signed"),
            false => format!("{same} of {all} packages are the same"),
        });
    }
}

/// What differs, a line each.
fn lines(differences: &Differences) -> Vec<String> {
    let tags = differences.tags.iter().map(|tag| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
        let (first, second) = (value(&tag.first), value(&tag.second));
        match first == second {
            true => format!("tag {}", tag.tag),
            false => format!("tag {}: published {first}, rebuilt {second}", tag.tag),
        }
    });
    let files = differences.files.iter().map(|file| {
        let what = file.what.join(", ");
        let what = what
            .replace("the first", "the published")
            .replace("the second", "the rebuilt");
        format!("file {}: {what}", file.path)
    });
    let mut told = Vec::new();
    for all in [tags.collect::<Vec<_>>(), files.collect()] {
        told.extend(all.iter().take(SHOWN).cloned());
        if all.len() > SHOWN {
            told.push(format!("… and {} more", all.len() - SHOWN));
        }
    }
    if told.is_empty() {
        told.push(
            "only in how it was before it was signed: by manifest.json, another signature header"
                .to_owned(),
        );
    }
    told
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
        let compared = Compared {
            repository: "/srv/repo".to_owned(),
            target: "rehearsal".to_owned(),
            tool: "0".to_owned(),
            same: false,
            packages: found,
        };
        let mut said = Vec::new();
        compared.tell(&mut |line| said.push(line.to_owned()));
        let said = said.join("\n");
        for words in [
            "exchanged-1-1.x86_64 differs",
            "file /usr/bin/it: content",
            "gone-1-1.x86_64 is in the repository",
            "new-1-1.x86_64 was made by the rebuild",
            "1 of 5 packages are the same",
        ] {
            assert!(said.contains(words), "{words}: {said}");
        }
    }
}
