//! What another machine built: of whatever index, nothing but its own files is read, and nothing but whole files is copied.

use std::fs;
use std::path::Path;

use lustre_packaging::built::{self, INDEX};

use super::archive::stayed_inside;
use crate::{Case, Format, ParseOutcome, message};

pub(super) struct BuildOutput;

/// The one file of the folder that an index comes into.
const FILE: (&str, &str) = ("kernel/RPMS/a.rpm", "a package");

/// Its index.
const GOOD: &str = r#"{
  "format": "lustre-repo build",
  "version": 1,
  "made_of": {
    "tool": "1",
    "code": "2",
    "target": "site",
    "target_sha256": "34a04005bcaf206eec990bd9637d9fdb6725e0a0c0d4aebf003f17f4c956eb5c",
    "lock_sha256": "3",
    "sources_sha256": "4",
    "specs": {}
  },
  "stages": {
    "kernel": [
      {
        "path": "RPMS/a.rpm",
        "size": 9,
        "sha256": "@"
      }
    ]
  }
}
"#;

fn good() -> String {
    let digest = lustre_packaging::store::Digest::of_bytes(FILE.1.as_bytes());
    GOOD.replace('@', &digest.to_string())
}

impl Format for BuildOutput {
    fn name(&self) -> &'static str {
        "built"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("a package", good())]
    }

    fn hostile(&self) -> Vec<Case> {
        let with = |from: &str, to: &str| good().replace(from, to);
        vec![
            Case::bad("empty", ""),
            Case::bad("another digest", GOOD),
            Case::bad("another size", with(": 9", ": 8")),
            Case::bad(
                "a size of everything",
                with(": 9", ": 18446744073709551615"),
            ),
            Case::bad("up and out", with("RPMS/a.rpm", "../../input")),
            Case::bad("from the root", with("RPMS/a.rpm", "/etc/passwd")),
            Case::bad("a stage above", with("\"kernel\"", "\"..\"")),
            Case::bad("the index itself", with("kernel\": [", "build.json\": [")),
            Case::bad(
                "a version of the future",
                with("\"version\": 1", "\"version\": 2"),
            ),
            Case::bad("written otherwise", good().replace("  ", "\t")),
            Case::bad(
                "lists a million deep",
                with(
                    "\"specs\": {}",
                    &format!("\"specs\": {}", "[".repeat(1_000_000)),
                ),
            ),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "RPMS/a.rpm",
            "../",
            "/etc/passwd",
            "\"size\": 9",
            "\"stages\": {}",
            "\"specs\": {}",
            "kernel",
            "\\u0000",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let at = folder.join("input");
        let file = at.join(FILE.0);
        let put = || {
            fs::create_dir_all(file.parent().unwrap_or(&at))?;
            fs::write(&file, FILE.1)?;
            fs::write(at.join(INDEX), input)
        };
        put().map_err(|error| error.to_string())?;
        let taken = built::BuildOutput::open(&at).and_then(|built| {
            built.check()?;
            for stage in built.index().stages.keys() {
                built.take(stage, &folder.join("taken"))?;
            }
            Ok(())
        });
        stayed_inside(folder, &["input", "taken"])?;
        Ok(match taken {
            Ok(()) => ParseOutcome::Accepted,
            Err(error) => ParseOutcome::Refused(message(&error)),
        })
    }
}
