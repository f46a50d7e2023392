//! Reading what GNU `patch` says (2.6 and later, in the C locale).

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::apply::Failure;
use super::parse::Patch;

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
