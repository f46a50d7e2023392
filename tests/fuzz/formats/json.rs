//! `proof.json` and `manifest.json` of a repository that somebody gives us.

use std::fs;
use std::path::Path;

use lustre_repository::release::{Release, Rule};
use lustre_repository::{manifest, proof};

use crate::{Case, Format, Judged, message};

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

    fn check(&self, input: &[u8], folder: &Path) -> Result<Judged, String> {
        let path = folder.join("proof.json");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match proof::Proof::read(&path) {
            Ok(read) => read,
            Err(error) => return Ok(Judged::Refused(message(&error))),
        };
        read.summary();
        fs::write(&path, read.to_json()).map_err(|error| error.to_string())?;
        match proof::Proof::read(&path) {
            Ok(again) if again == read => Ok(Judged::Accepted),
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

    fn check(&self, input: &[u8], folder: &Path) -> Result<Judged, String> {
        let path = folder.join("manifest.json");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let read = match manifest::Manifest::read(&path) {
            Ok(read) => read,
            Err(error) => return Ok(Judged::Refused(message(&error))),
        };
        let text = read.to_json();
        fs::write(&path, &text).map_err(|error| error.to_string())?;
        match manifest::Manifest::read(&path) {
            Ok(again) if again.to_json() == text => Ok(Judged::Accepted),
            Ok(_) => Err("is written as another manifest".to_owned()),
            Err(error) => Err(format!(
                "what is written cannot be read: {}",
                message(&error)
            )),
        }
    }
}
