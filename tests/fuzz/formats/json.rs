//! `proof.json`, `manifest.json`, `releases.json` and `assets.json` of a repository that somebody gives us.

use std::fs;
use std::path::Path;

use lustre_repository::release::{Release, Rule};
use lustre_repository::{assets, history, manifest, proof};

use crate::{Case, Format, ParseOutcome, message};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "1e999",
    "-0",
    "\"format\": 1",
    "\"format\": 2",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "\"x\": {}",
    "\"pass\"",
    "\"not-run\"",
    "\"not-needed\"",
    "\"result\"",
];

fn trouble() -> Vec<Case> {
    vec![
        Case::bad("empty", ""),
        Case::bad("lists a million deep", "[".repeat(1_000_000)),
        Case::bad("tables a hundred thousand deep", "{\"a\":".repeat(100_000)),
        Case::bad(
            "deep beside the format",
            format!(
                "{{\"format\": 1, \"x\": {}{}}}",
                "[".repeat(100_000),
                "]".repeat(100_000)
            ),
        ),
        Case::bad("a format of the future", "{\"format\": 4294967295}"),
        Case::bad("a format that is none", "{\"format\": 1e400}"),
    ]
}

pub(super) struct Proof;

impl Format for Proof {
    fn name(&self) -> &'static str {
        "proof"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good(
            "two checks",
            "{\n  \"format\": 2,\n  \"target\": \"t\",\n  \"tool_version\": \"1\",\n  \"sums_sha256\": \"aa\",\n  \"checks\": [\n    {\"name\": \"closure\", \"result\": \"pass\", \"checked\": \"2 packages\", \"message\": \"\", \"duration_ms\": 5},\n    {\"name\": \"sums\", \"result\": \"not-run\", \"checked\": \"\", \"message\": \"no tool\", \"duration_ms\": 0, \"log\": \"/x\"}\n  ]\n}\n",
        )]
    }

    fn hostile(&self) -> Vec<Case> {
        trouble()
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join("proof.json");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match proof::Proof::read(&path) {
            Ok(read) => read,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        read.summary();
        fs::write(&path, read.to_json()).map_err(|error| error.to_string())?;
        match proof::Proof::read(&path) {
            Ok(again) if again == read => Ok(ParseOutcome::Accepted),
            Ok(_) => Err("is written as another proof".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}

pub(super) struct Manifest;

impl Format for Manifest {
    fn name(&self) -> &'static str {
        "manifest"
    }

    fn seeds(&self) -> Vec<Case> {
        let mut made = manifest::Manifest {
            format: manifest::FORMAT,
            target: "t".to_owned(),
            source_date_epoch: 5,
            release: Some(Release {
                time: 7,
                overrules: Rule::ALL.into(),
                replaces: Some(manifest::Manifest::default().replaced("aa".repeat(32))),
                keeps_sha256: Some("bb".repeat(32)),
            }),
            ..Default::default()
        };
        made.stages
            .insert("lustre".to_owned(), manifest::Stage::default());
        made.packages.push(manifest::Package {
            nevra: "a-1-1.noarch".to_owned(),
            file: "x86_64/Packages/a.rpm".to_owned(),
            ..Default::default()
        });
        vec![Case::good("one package", made.to_json())]
    }

    fn hostile(&self) -> Vec<Case> {
        trouble()
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join("manifest.json");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match manifest::Manifest::read(&path) {
            Ok(read) => read,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let text = read.to_json();
        fs::write(&path, &text).map_err(|error| error.to_string())?;
        match manifest::Manifest::read(&path) {
            Ok(again) if again.to_json() == text => Ok(ParseOutcome::Accepted),
            Ok(_) => Err("is written as another manifest".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}

pub(super) struct Releases;

impl Releases {
    /// Two releases that share a package, and one that is gone.
    fn made() -> history::History {
        let package = |nevra: &str| history::SetPackage {
            nevra: nevra.to_owned(),
            path: history::path_of(nevra).unwrap_or_default(),
            size: 3,
            sha256: "aa".repeat(32),
            sha256_unsigned: "bb".repeat(32),
            stage: "lustre".to_owned(),
        };
        let set = |time, nevra| history::Set {
            time,
            lustre: "2-1".to_owned(),
            manifest_sha256: "cc".repeat(32),
            packages: vec![package("a-1:1-1.src"), package(nevra)],
            ..Default::default()
        };
        history::History {
            format: history::FORMAT,
            target: "t".to_owned(),
            sets: vec![set(9, "b-2-1.noarch"), set(8, "b-1-1.noarch")],
            dropped: vec![history::DroppedSet {
                time: 7,
                why: "why".to_owned(),
                ..Default::default()
            }],
        }
    }
}

impl Format for Releases {
    fn name(&self) -> &'static str {
        "releases"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two releases", Self::made().to_json())]
    }

    fn hostile(&self) -> Vec<Case> {
        let changed = |from: &str, to: &str| Self::made().to_json().replace(from, to);
        let mut all = trouble();
        all.extend([
            Case::bad(
                "a path outside",
                changed("source/Packages/", "../Packages/"),
            ),
            Case::bad("a path from the root", changed("source/", "/source/")),
            Case::bad(
                "a release of no time",
                changed("\"time\": 8", "\"time\": 0"),
            ),
            Case::bad("two of one time", changed("\"time\": 8", "\"time\": 9")),
            Case::bad("a name of two lines", changed("\"2-1\"", "\"2\\n1\"")),
        ]);
        all
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join(history::FILE);
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match history::History::read(folder) {
            Ok(Some(read)) => read,
            Ok(None) => return Err("a file that is there is not seen".to_owned()),
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        for path in read.sets.iter().flat_map(|set| set.paths()) {
            let parts = Path::new(path).components();
            let inside = parts
                .clone()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside || parts.count() != 3 {
                return Err(format!("{path:?} is taken for a package's place"));
            }
        }
        fs::write(&path, read.to_json()).map_err(|error| error.to_string())?;
        match history::History::read(folder) {
            Ok(Some(again)) if again == read => Ok(ParseOutcome::Accepted),
            Ok(_) => Err("is written as another list".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}

pub(super) struct Assets;

impl Assets {
    /// A package of this release, and one of an earlier one.
    fn made() -> String {
        let url = "https://example.org/releases/download";
        let placed = |path: &str| assets::PackageFile {
            path: path.to_owned(),
            sha256: "aa".repeat(32),
            size: 3,
        };
        let all = |time, paths: &[&str], before: &[assets::Asset]| {
            let packages: Vec<_> = paths.iter().map(|path| placed(path)).collect();
            assets::Assets::of("t", url, time, packages, before)
        };
        let old = "source/Packages/a-1~1-1.src.rpm";
        let new = "x86_64/Packages/b-2-1.noarch.rpm";
        let before = all(8, &[old], &[]).map_or_else(|_| Vec::new(), |all| all.packages);
        let made = all(9, &[old, new], &before);
        made.map_or_else(|error| error.to_string(), |all| all.to_json())
    }
}

impl Format for Assets {
    fn name(&self) -> &'static str {
        "assets"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two releases", Self::made())]
    }

    fn hostile(&self) -> Vec<Case> {
        let changed = |from: &str, to: &str| Self::made().replace(from, to);
        let mut all = trouble();
        all.extend([
            Case::bad(
                "a path outside",
                changed("source/Packages/", "../Packages/"),
            ),
            Case::bad("a tag that leads away", changed("t-8", "t-8/../../evil")),
            Case::bad("a tag of a later release", changed("t-8", "t-10")),
            Case::bad("another name", changed("a-1.1-1.src.rpm", "evil.rpm")),
            Case::bad("plain text on the way", changed("https://", "http://")),
            Case::bad(
                "somebody's password",
                changed("example.org", "me:word@example.org"),
            ),
        ]);
        all
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join(assets::FILE);
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match assets::Assets::read(folder) {
            Ok(Some(read)) => read,
            Ok(None) => return Err("a file that is there is not seen".to_owned()),
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        for package in &read.packages {
            let below = read.url_of(package);
            let rest = below.strip_prefix(&format!("{}/{}-", read.url, read.target));
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
            let is_asset = |rest: &str| rest.chars().all(plain) && rest.matches('/').count() == 1;
            if !rest.is_some_and(is_asset) || below.contains("..") {
                return Err(format!("{below:?} is taken for an asset"));
            }
        }
        fs::write(&path, read.to_json()).map_err(|error| error.to_string())?;
        match assets::Assets::read(folder) {
            Ok(Some(again)) if again == read => Ok(ParseOutcome::Accepted),
            Ok(_) => Err("is written as another list".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}
