//! What has to hold of a lock that is read: whoever wrote it, nothing in it leads out of a folder or is an option of a program.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::{FilePin, Lock};
use crate::source::{Advisory, Location, Locked};
use crate::store::Digest;

impl Lock {
    /// Checks what the types leave open.
    pub(super) fn check(&self) -> Result<(), String> {
        for (source, pin) in &self.source {
            name(&format!("source.{}", source.escape_debug()), source)?;
            file(&format!("source.{source}"), pin)?;
        }
        for (source, locked) in &self.tree {
            name(&format!("tree.{}", source.escape_debug()), source)?;
            tree(locked).map_err(|why| format!("tree.{source}: {why}"))?;
        }
        let mut files = BTreeSet::new();
        for pin in &self.package {
            let place = format!("package {}", pin.name.escape_debug());
            for part in [&pin.name, &pin.version, &pin.arch] {
                name(&place, part)?;
            }
            file(&place, &pin.file)?;
            if !files.insert(&pin.file.file) {
                return Err(format!("{place}: `{}` is listed twice", pin.file.file));
            }
        }
        self.advisory.iter().try_for_each(advisory)
    }
}

/// An advisory: every part of it is one line of text, and goes into an XML document.
fn advisory(one: &Advisory) -> Result<(), String> {
    let place = format!("advisory {}", one.id.escape_debug());
    let texts = [&one.id, &one.kind, &one.title];
    let texts = texts.into_iter().chain(&one.severity).chain(&one.issued);
    for text in texts.chain(&one.cves) {
        if text.chars().any(char::is_control) {
            return Err(format!(
                "{place}: `{}` is not one line of text",
                text.escape_debug()
            ));
        }
    }
    if one.id.is_empty() {
        return Err(format!("{place}: it has no id"));
    }
    Ok(())
}

fn file(place: &str, pin: &FilePin) -> Result<(), String> {
    name(place, &pin.file)?;
    if let Err(why) = pin.sha256.parse::<Digest>() {
        return Err(format!(
            "{place}: invalid sha256 `{}`: {why}",
            pin.sha256.escape_debug()
        ));
    }
    if pin.size > LARGEST_FILE {
        return Err(format!(
            "{place}: the size {} is none: no file has more than {LARGEST_FILE} bytes",
            pin.size
        ));
    }
    let begins = |c: char| c.is_ascii_alphabetic() || c == '/';
    if !pin.uri.starts_with(begins) || !pin.uri.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!("{place}: invalid uri `{}`", pin.uri.escape_debug()));
    }
    Ok(())
}

/// No file is larger than this.
const LARGEST_FILE: u64 = crate::source::LARGEST;

/// A name of one part: it is, or becomes a part of, that of a file.
fn name(place: &str, text: &str) -> Result<(), String> {
    plain(place, text)?;
    if text.contains('/') || text.starts_with('.') {
        return Err(format!(
            "{place}: `{text}` is not a file name without folders, or part of one"
        ));
    }
    Ok(())
}

/// One word.
fn plain(place: &str, text: &str) -> Result<(), String> {
    if text.is_empty()
        || text.starts_with('-')
        || text.chars().any(|c| c.is_control() || c.is_whitespace())
    {
        return Err(format!(
            "{place}: `{}` is not a valid name",
            text.escape_debug()
        ));
    }
    Ok(())
}

fn tree(locked: &Locked) -> Result<(), String> {
    let location = |url: &str| Location::git(url).map(drop).map_err(|e| e.to_string());
    match locked {
        Locked::Git {
            url,
            tag,
            commit,
            missing,
        } => {
            location(url)?;
            if let Some(tag) = tag {
                plain("tag", tag)?;
            }
            let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
            if !matches!(commit.len(), 40 | 64) || !commit.chars().all(hexadecimal) {
                return Err(format!(
                    "`{}` is not the full id of a commit",
                    commit.escape_debug()
                ));
            }
            missing.iter().try_for_each(|path| below(path))
        }
        Locked::Archive { urls, .. } => urls.iter().try_for_each(|url| location(url)),
        Locked::Srpm {
            repository, href, ..
        } => {
            let repository = Location::parse(repository).map_err(|e| e.to_string())?;
            repository.join(href).map(drop).map_err(|e| e.to_string())
        }
        Locked::Path { .. } => Ok(()),
    }
}

/// A path in a tree.
fn below(path: &str) -> Result<(), String> {
    let inside = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if path.is_empty() || !inside || path.chars().any(char::is_control) {
        return Err(format!(
            "`{}` is not a path in the tree",
            path.escape_debug()
        ));
    }
    Ok(())
}
