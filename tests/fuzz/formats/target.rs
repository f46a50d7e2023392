//! Targets, and the other TOML files that a site may write: overlays.

use std::fs;
use std::path::Path;

use lustre_packaging::overlay::Manifest;
use lustre_packaging::target;

use super::{spec_file, specs};
use crate::{Case, Format, ParseOutcome, message};

const WORDS: &[&str] = &[
    "inherits = \"rehearsal\"\n",
    "inherits = \"site\"\n",
    "inherits = 3\n",
    "[lustre]\n",
    "[[boot.known]]\n",
    "[distribution]\n",
    "version = \"1\"\n",
    "= \"\\u0000\"",
    "= \"a\\nb\"",
    "= []",
    "= {}",
    "= 1",
    "= -1",
    "= inf",
    "= nan",
    "= 1979-05-27T07:32:00Z",
    "= true",
    "\"\"\"",
    "'''",
    "[[",
    "]]",
    "[a.b.c]",
    "packages = []\n",
    "key = \"\"\n",
    "dist = \".x\\n%{lua:1}\"\n",
    "\"/etc\"",
    "\"../..\"",
    "source = { path = \"/etc\" }\n",
];

/// TOML that is trouble, whatever it is for.
fn trouble() -> Vec<Case> {
    vec![
        Case::either("empty", ""),
        Case::bad(
            "lists 100,000 deep",
            format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ),
        Case::bad(
            "tables 100,000 deep",
            format!("x = {}{}", "{a=".repeat(100_000), "}".repeat(100_000)),
        ),
        Case::bad(
            "a table's name 100,000 deep",
            format!("[{}a]\n", "a.".repeat(100_000)),
        ),
        Case::bad(
            "a key 100,000 deep",
            format!("{}a = 1\n", "a.".repeat(100_000)),
        ),
        Case::bad(
            "a hundred thousand keys",
            (0..100_000)
                .map(|n| format!("k{n} = {n}\n"))
                .collect::<String>(),
        ),
        Case::bad(
            "a string of eight megabytes",
            format!("x = \"{}\"", "x".repeat(8 << 20)),
        ),
        Case::bad(
            "a number of a megabyte",
            format!("x = {}", "1".repeat(1 << 20)),
        ),
        Case::bad("not UTF-8", b"description = \"\xff\"".to_vec()),
    ]
}

pub(super) struct Target;

impl Format for Target {
    fn name(&self) -> &'static str {
        "target"
    }

    fn seeds(&self) -> Vec<Case> {
        ["rehearsal", "rocky-9.8", "rocky-8.10-guide", "debian-12"]
            .map(|name| Case::good(name, spec_file(&format!("targets/{name}.toml"))))
            .to_vec()
    }

    fn hostile(&self) -> Vec<Case> {
        let mut cases = trouble();
        cases.push(Case::bad("its own parent", "inherits = \"site\"\n"));
        cases
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let path = folder.join("site.toml");
        fs::write(&path, input).map_err(|error| error.to_string())?;
        let path = path.display().to_string();
        let once = match target::Target::load(&specs(), &path) {
            Ok(target) => target,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let again = target::Target::load(&specs(), &path)
            .map_err(|error| format!("the second reading fails: {}", message(&error)))?;
        if format!("{once:?}") != format!("{again:?}") {
            return Err("two readings differ".to_owned());
        }
        Ok(ParseOutcome::Accepted)
    }
}

pub(super) struct Specs;

impl Format for Specs {
    fn name(&self) -> &'static str {
        "specs"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good(
            "an overlay",
            include_str!("../../../packaging/src/overlay/testdata/overlay/overlay.toml"),
        )]
    }

    fn hostile(&self) -> Vec<Case> {
        trouble()
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        Ok(match Manifest::parse(&text, "overlay.toml") {
            Ok(_) => ParseOutcome::Accepted,
            Err(error) => ParseOutcome::Refused(message(&error)),
        })
    }
}
