//! The output of GNU `patch` (2.6 and later, in the C locale).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lustre_files::help;

use super::model::Patch;
/// How much processor time `patch` may take for one patch file. Those of whole kernels take seconds.
pub(super) const BUSY: Duration = Duration::from_secs(60);

/// One reason why a patch does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error(
        "{}: hunk {hunk} (line {line} of the patch) does not apply near line {near}",
        file.display()
    )]
    Hunk {
        file: PathBuf,
        /// The hunk's number among those of this file in this patch, counted from 1.
        hunk: usize,
        /// The line of the hunk's header in the patch, counted from 1; 0 where it is not known.
        line: usize,
        /// The line of the file at which it was expected.
        near: usize,
    },
    #[error("{}: the tree has no such file", .0.display())]
    NoFile(PathBuf),
    /// The patch, or its part for this file, is already in the tree.
    #[error("{}: the patch seems to be applied already (or is reversed)", .0.display())]
    AlreadyApplied(PathBuf),
    #[error("{}: not empty after the patch that deletes it", .0.display())]
    NotEmpty(PathBuf),
    /// `patch` made a file of what does not look like a unified diff to us.
    #[error(
        "{}: is made by a part of the patch that is not a unified diff{}",
        .0.display(),
        help!("make the patch again with `diff -u` or git")
    )]
    Stray(PathBuf),
    /// `patch` made a symbolic link, or something else that is no file.
    #[error(
        "{}: the patch makes a symbolic link or another special file{}",
        .0.display(),
        help!("make it in the spec instead")
    )]
    NoFileMade(PathBuf),
    /// `patch` was ended because it took too long.
    #[error(
        "patch takes more than {} s of processor time with it and was ended: its hunks are not as `diff` writes them, or it is meant to{}",
        BUSY.as_secs(),
        help!("make the patch anew")
    )]
    Busy,
    /// `patch` failed in another way; its words.
    #[error("patch says: {0}")]
    Other(String),
}

/// Reads what `patch` says into failures; never empty.
pub(super) fn failures(words: &str, parsed: &Patch) -> Vec<Failure> {
    let mut found = Vec::new();
    let mut current = PathBuf::new();
    // A file may come more than once in a patch: how many of its sections were begun.
    let mut sections: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for line in words.lines() {
        let line = line.trim_end();
        if let Some(rest) = strip_any(line, &["patching file ", "checking file "]) {
            current = PathBuf::from(unquote(
                rest.split(" (renamed from ").next().unwrap_or(rest),
            ));
            *sections.entry(current.clone()).or_default() += 1;
        } else if let Some((hunk, near)) = failed_hunk(line) {
            let section = sections.get(&current).copied().unwrap_or(1);
            let header = parsed
                .files
                .iter()
                .filter(|file| file.touched().any(|name| name == current))
                .nth(section.saturating_sub(1))
                .and_then(|file| file.hunks.get(hunk.saturating_sub(1)));
            found.push(Failure::Hunk {
                file: current.clone(),
                hunk,
                line: header.map_or(0, |header| header.line),
                near,
            });
        } else if let Some(at) = line.strip_prefix("can't find file to patch at input line ") {
            let at: usize = at.parse().unwrap_or(0);
            // The line is that of the first hunk, behind the file's headers.
            let file = parsed.files.iter().rev().find(|file| file.line <= at);
            found.push(Failure::NoFile(
                file.map_or_else(PathBuf::new, |file| file.name().to_owned()),
            ));
        } else if line.starts_with("Reversed (or previously applied) patch detected") {
            found.push(Failure::AlreadyApplied(current.clone()));
        } else if let Some(rest) = line.strip_prefix("The next patch would create the file ") {
            current = PathBuf::from(unquote(rest.trim_end_matches(',')));
            found.push(Failure::AlreadyApplied(current.clone()));
        } else if let Some(rest) = line.strip_prefix("The next patch would delete the file ") {
            current = PathBuf::from(unquote(rest.trim_end_matches(',')));
            found.push(Failure::NoFile(current.clone()));
        } else if let Some(rest) = line.strip_prefix("Not deleting file ") {
            let name = rest.split(" as content differs").next().unwrap_or(rest);
            found.push(Failure::NotEmpty(PathBuf::from(unquote(name))));
        } else if line.starts_with("patch: ****") {
            found.push(Failure::Other(line.to_owned()));
        }
    }
    if found.is_empty() {
        found.push(Failure::Other(words.trim().to_owned()));
    }
    found
}

fn strip_any<'a>(line: &'a str, prefixes: &[&str]) -> Option<&'a str> {
    prefixes.iter().find_map(|prefix| line.strip_prefix(prefix))
}

fn unquote(name: &str) -> &str {
    name.strip_prefix('\'')
        .and_then(|name| name.strip_suffix('\''))
        .unwrap_or(name)
}

/// `Hunk #2 FAILED at 123.`, also with a remark behind the number.
fn failed_hunk(line: &str) -> Option<(usize, usize)> {
    let rest = line.strip_prefix("Hunk #")?;
    let (hunk, rest) = rest.split_once(' ')?;
    let rest = rest.strip_prefix("FAILED at ")?;
    let near: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((hunk.parse().ok()?, near.parse().ok()?))
}
