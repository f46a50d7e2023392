//! Lists of patches: what is listed lies in the folder of the patches, and a list is read again as the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Component, Path};

use lustre_packaging::overlay::series::{self, Series};

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct List;

/// What lies outside, and no list may give.
const SECRET: &str = "of somebody else\n";

impl Format for List {
    fn name(&self) -> &'static str {
        "series"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good("two", "one.patch\nlower/two.patch -p1\n"),
            Case::good(
                "comments",
                "# for EL9\n\n  one.patch # the first\n./lower//two.patch\t-p1\n#three.patch\n",
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::good("empty", ""),
            Case::bad("up and out", "../secret\n"),
            Case::bad("from the root", "/etc/passwd\n"),
            Case::bad("through a link", "out/secret\n"),
            Case::bad("a link", "link.patch\n"),
            Case::bad("a folder", "lower\n"),
            Case::bad("twice", "one.patch\n./one.patch\n"),
            Case::bad("another strip level", "one.patch -p0\n"),
            Case::bad("dots", "./.\n"),
            Case::bad("a NUL", "one.patch\0\n"),
            Case::bad("a name of a megabyte", "x".repeat(1 << 20)),
            Case::bad(
                "a name a hundred thousand deep",
                format!("{}x\n", "a/".repeat(100_000)),
            ),
            Case::bad(
                "a hundred thousand patches",
                (0..100_000)
                    .map(|n| format!("{n}.patch\n"))
                    .collect::<String>(),
            ),
            Case::good("a hundred thousand comments", "# x\n".repeat(100_000)),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "one.patch",
            "lower/two.patch",
            "link.patch",
            "out/secret",
            "lower/..",
            "./",
            "//",
            " -p1",
            " -p0",
            " # ",
            "#",
            "\\",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let io = |error: std::io::Error| error.to_string();
        let patches = folder.join("patches");
        fs::create_dir_all(patches.join("lower"))
            .and_then(|()| fs::write(patches.join("one.patch"), "1\n"))
            .and_then(|()| fs::write(patches.join("lower/two.patch"), "2\n"))
            .and_then(|()| fs::write(folder.join("secret"), SECRET))
            .and_then(|()| symlink("../secret", patches.join("link.patch")))
            .and_then(|()| symlink("..", patches.join("out")))
            .map_err(io)?;
        let file = folder.join("the.series");
        fs::write(&file, input).map_err(io)?;
        let read = match Series::read(&file) {
            Ok(read) => read,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let mut written = String::new();
        for entry in &read.entries {
            let inside = Path::new(&entry.name)
                .components()
                .all(|part| matches!(part, Component::Normal(_)));
            if !inside || entry.name.is_empty() {
                return Err(format!("`{}` is taken as the name of a patch", entry.name));
            }
            // A name that begins with `#` would be a comment.
            written.push_str("./");
            written.push_str(&entry.name);
            written.push('\n');
        }
        let names = |series: &Series| -> Vec<String> {
            let names = series.entries.iter();
            names.map(|entry| entry.name.clone()).collect()
        };
        match Series::parse(&written, "written") {
            Ok(again) if names(&again) == names(&read) => {}
            Ok(_) => return Err("the names, written, are read as others".to_owned()),
            Err(error) => {
                return Err(format!(
                    "the names, written, are refused: {}",
                    message(&error)
                ));
            }
        }
        let loaded = match read.load(&patches) {
            Ok(loaded) => loaded,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        if loaded
            .iter()
            .any(|patch| patch.content == SECRET.as_bytes())
        {
            return Err("a file outside of the folder is read".to_owned());
        }
        let collated = series::collate("the series", &loaded);
        if loaded.iter().any(|patch| !patch.content.is_empty())
            && !collated.ends_with(
                &loaded
                    .last()
                    .map_or(Vec::new(), |last| last.content.clone()),
            )
        {
            return Err("the last patch is not the end of the collated file".to_owned());
        }
        Ok(ParseOutcome::Accepted)
    }
}
