//! What each string of a target may be: most end in a spec file, in a shell's or a program's line, in a `.repo` file, XML, a path or
//! a URL, where a character too many means something else.

use std::collections::BTreeSet;

use lustre_files::shown_url;
use serde_json::Value;

use super::model::{MOST_KEPT, Target};
use super::syntax::{NEXT_KEY, inside};
use crate::source::Location;

/// What a value is, and how it is said where it is something else.
enum Kind {
    /// Of these characters besides letters and digits, beginning with none but the first of them, where there is a first.
    Of {
        signs: &'static str,
        what: &'static str,
    },
    Is(fn(&str) -> Result<(), String>),
}

/// A package's name.
const PACKAGE: Kind = of("_+.-", "the name of a package");
/// What dnf finds a package by: its name, a file, something that is provided, with a version.
const REQUIREMENT: Kind = Kind::Is(requirement);
/// One of the names that this project gives: of an option, a suite, a module, a file.
const NAME: Kind = of("_.-", "a name (letters, digits and any of _.-)");
const VERSION: Kind = of("._+~^:-", "a version (letters, digits and any of ._+~^:-)");
const PATH: Kind = Kind::Is(absolute);
const SPECS: Kind = Kind::Is(specs);
const URL: Kind = Kind::Is(url);
const LINE: Kind = Kind::Is(line);

const fn of(signs: &'static str, what: &'static str) -> Kind {
    Kind::Of { signs, what }
}

/// What stands where: keys with dots between, `*` for any. The first that fits counts; a list is as its items are.
const RULES: &[(&str, Kind)] = &[
    ("build.host", of(".-", "the name of a host")),
    ("distribution.arch", of("_", "an architecture of rpm's")),
    ("distribution.dist", Kind::Is(dist)),
    ("distribution.kernel.base", NAME),
    ("distribution.bootstrap", REQUIREMENT),
    ("distribution.buildroot", REQUIREMENT),
    ("distribution.keys.*.url", URL),
    (
        "distribution.obs.project",
        of("_.:+-", "the name of a project"),
    ),
    ("distribution.obs.repository", NAME),
    ("distribution.obs.preinstall", PACKAGE),
    ("distribution.obs.support", PACKAGE),
    (
        "distribution.obs.macros.*",
        of(
            " _.,:()-",
            "a text of letters, digits, blanks and any of _.,:()-",
        ),
    ),
    (
        "distribution.obs.modules",
        of("_.:-", "a module and its stream, `NAME:STREAM`"),
    ),
    ("distribution.repository.only_for", PACKAGE),
    ("*.source.path", SPECS),
    ("*.source.srpm", PACKAGE),
    ("*.source.git.url", Kind::Is(repository)),
    ("*.source.git.tag", Kind::Is(tag)),
    ("*.source.git.commit", Kind::Is(commit)),
    ("*.source.git-tag.url", Kind::Is(repository)),
    ("*.source.git-tag.tag", Kind::Is(tag)),
    ("*.source.debian.package", PACKAGE),
    ("*.source.debian.suite", NAME),
    ("*.source.debian.version", VERSION),
    (
        "*.source.debian.file",
        of("._+~*-", "how a file's name ends"),
    ),
    ("*.tag_key.url", URL),
    ("*.version", VERSION),
    ("*.release", VERSION),
    ("*.options", NAME),
    ("*.series", NAME),
    ("*.ldiskfs_series", NAME),
    ("*.modules", NAME),
    ("*.group.id", Kind::Is(group)),
    ("*.group.mandatory", PACKAGE),
    ("*.group.optional", PACKAGE),
    ("repository.baseurl", Kind::Is(published)),
    ("repository.assets_url", Kind::Is(assets)),
    ("repository.release_package.url", URL),
    ("install.base", REQUIREMENT),
    ("install.requires", REQUIREMENT),
    ("install.programs", PATH),
    ("lustre.buildroot", REQUIREMENT),
    ("boot.packages", REQUIREMENT),
    ("boot.module_packages", PACKAGE),
    ("boot.stays", NAME),
    ("boot.tests", PATH),
    ("boot.client", PATH),
    ("boot.servers", PATH),
    ("boot.images", PATH),
    ("boot.targets", NAME),
    ("boot.features", NAME),
    ("boot.devices.type", NAME),
    ("boot.sanity", NAME),
    ("*.packages", PACKAGE),
    ("needs.debuginfo.option", NAME),
    // What only people read, and what has a check of its own, is a line.
    ("*", LINE),
];

/// Checks every string of a target, the keys of its tables included.
///
/// # Errors
/// The first that cannot be what stands there, with its key.
pub(super) fn check(target: &Target) -> Result<(), String> {
    let all = serde_json::to_value(target).map_err(|error| error.to_string())?;
    walk(&all, "")?;
    let keep = target.repository.keep;
    if !(1..=MOST_KEPT).contains(&keep) {
        return Err(format!(
            "repository.keep is {keep}; it is the number of releases that the repository has the packages of, from 1 to {MOST_KEPT}"
        ));
    }
    let built = target.expected_packages();
    for (list, packages) in [
        ("mandatory", &target.repository.group.mandatory),
        ("optional", &target.repository.group.optional),
    ] {
        if let Some(package) = packages.iter().find(|package| !built.contains(package)) {
            return Err(format!(
                "repository.group.{list} has `{package}`, which is not one of the built packages (see [e2fsprogs], [kernel] and [lustre])"
            ));
        }
    }
    let group = &target.repository.group;
    let mut seen = BTreeSet::new();
    for package in group.mandatory.iter().chain(&group.optional) {
        if !seen.insert(package) {
            return Err(format!("repository.group has `{package}` twice"));
        }
    }
    Ok(())
}

fn walk(value: &Value, place: &str) -> Result<(), String> {
    match value {
        Value::String(text) => one(place, text),
        Value::Array(list) => list.iter().try_for_each(|item| walk(item, place)),
        Value::Object(table) => table.iter().try_for_each(|(key, value)| {
            line(key).map_err(|why| format!("{place}: the key {why}"))?;
            let place = match place {
                "" => key.clone(),
                place => format!("{place}.{key}"),
            };
            walk(value, &place)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

fn one(place: &str, text: &str) -> Result<(), String> {
    // As it was written anew when it was read.
    if place == NEXT_KEY {
        return Ok(());
    }
    let at = |why: String| format!("{place} {why}");
    line(text).map_err(at)?;
    let Some((_, kind)) = RULES.iter().find(|(pattern, _)| fits(pattern, place)) else {
        return Ok(());
    };
    match kind {
        Kind::Is(check) => check(text).map_err(at),
        // Empty is what is not there.
        Kind::Of { .. } if text.is_empty() => Ok(()),
        Kind::Of { signs, what } => {
            let plain = |c: char| c.is_ascii_alphanumeric() || signs.contains(c);
            let start = |c: char| c.is_ascii_alphanumeric() || (c != '-' && signs.starts_with(c));
            if text.chars().all(plain) && text.starts_with(start) {
                return Ok(());
            }
            Err(at(format!("is {what}, not `{}`", shown(text))))
        }
    }
}

/// Whether the keys `place` fit `pattern`, in which a `*` stands for one key or more.
fn fits(pattern: &str, place: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == place,
        Some((before, after)) => place
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|middle| !middle.is_empty()),
    }
}

/// On one line, whatever is in it, and no more than tells which it is.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let more = if text.chars().nth(MOST).is_some() {
        "…"
    } else {
        ""
    };
    let start: String = text
        .chars()
        .take(MOST)
        .flat_map(|c| {
            let written = if c.is_control() {
                c.escape_default().collect()
            } else {
                vec![c]
            };
            written.into_iter()
        })
        .collect();
    start + more
}

fn line(text: &str) -> Result<(), String> {
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(control) => Err(format!(
            "is one line of text, but `{}` contains the character {}",
            shown(text),
            control.escape_default()
        )),
    }
}

fn dist(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~^".contains(c);
    match text.strip_prefix('.') {
        Some(rest) if !rest.is_empty() && rest.chars().all(plain) => Ok(()),
        _ => Err(format!(
            "is a dot followed by letters, digits and any of ._~^, not `{text}`"
        )),
    }
}

fn requirement(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_+.-/:()<>=~^@* ".contains(c);
    let start = |c: char| c.is_ascii_alphanumeric() || "_(/@".contains(c);
    if text.chars().all(plain) && text.starts_with(start) {
        return Ok(());
    }
    Err(format!("is a package name or provide, not `{text}`"))
}

fn absolute(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/_+.-".contains(c);
    if text.starts_with('/') && text.chars().all(plain) && !text.split('/').any(|one| one == "..") {
        return Ok(());
    }
    Err(format!(
        "is an absolute path of letters, digits and any of /_+.-, not `{text}`"
    ))
}

fn specs(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    inside("it", text).map_err(|_| {
        format!("is a path under specs/, not `{text}`; for another folder, use --source")
    })
}

fn url(text: &str) -> Result<(), String> {
    Location::parse(text)
        .map(drop)
        .map_err(|why| why.to_string())
        .map_err(|why| format!("is a URL: {why}"))
}

/// As dnf and comps.xml have it.
fn group(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.chars().all(plain) && !text.starts_with('-') {
        return Ok(());
    }
    Err(format!(
        "is the id of a group (lower-case letters, digits and -), not `{}`",
        shown(text)
    ))
}

/// What stands in the `.repo` files of all servers.
fn published(text: &str) -> Result<(), String> {
    url(text)?;
    if !text.contains("://") {
        let text = shown_url(text);
        return Err(format!("is a URL, as https://… or file:///…, not `{text}`"));
    }
    if shown_url(text) != text {
        return Err(
            "contains a user name or password, which would be published with the repository"
                .to_owned(),
        );
    }
    Ok(())
}

/// What every location in signed metadata starts with.
fn assets(text: &str) -> Result<(), String> {
    published(text)?;
    let example = "https://github.com/OWNER/NAME/releases/download";
    let on_loopback = text.starts_with("http://127.0.0.1:");
    if !text.starts_with("https://") && !on_loopback {
        return Err(format!("is an https URL, as {example}, not `{text}`"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-~/:".contains(c);
    if !text.chars().all(plain) || text.ends_with('/') {
        return Err(format!(
            "is a URL of letters, digits and ._-~/:, without a slash at the end, as {example}, not `{text}`"
        ));
    }
    Ok(())
}

fn repository(text: &str) -> Result<(), String> {
    Location::git(text)
        .map(drop)
        .map_err(|why| format!("is where a git repository is: {why}"))
}

/// As git-check-ref-format(1) has it, as far as it can do harm.
fn tag(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+/@-".contains(c);
    let wrong = text.is_empty()
        || text.starts_with(['-', '/', '.'])
        || text.contains("..")
        || text.contains("@{")
        || text.ends_with(['/', '.'])
        || !text.chars().all(plain);
    if wrong {
        return Err(format!("is the name of a tag, not `{text}`"));
    }
    Ok(())
}

fn commit(text: &str) -> Result<(), String> {
    let hexadecimal = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    if matches!(text.len(), 40 | 64) && text.chars().all(hexadecimal) {
        return Ok(());
    }
    Err(format!(
        "is the full id of a commit (40 digits 0-9 and a-f), not `{text}`"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::list;
    use super::*;

    fn strings(value: &Value, place: &str, all: &mut BTreeSet<(String, String)>) {
        match value {
            Value::String(text) => {
                all.insert((place.to_owned(), text.clone()));
            }
            Value::Array(list) => list.iter().for_each(|item| strings(item, place, all)),
            Value::Object(table) => {
                for (key, value) in table {
                    strings(value, format!("{place}.{key}").trim_start_matches('.'), all);
                }
            }
            _ => {}
        }
    }

    /// What any string of a target may be turned into; none of them is a value of any key.
    #[test]
    fn what_a_later_stage_would_refuse_is_refused_when_it_is_read() {
        for wrong in ["Lustre", "lustre_server", "lustre.server", "-x"] {
            assert!(one("repository.group.id", wrong).is_err(), "{wrong}");
        }
        one("repository.group.id", "lustre-server-2").unwrap();
        for wrong in [
            "/srv/repo",
            "https://me:word@example.org/x",
            "https://me@example.org",
            // What fetches takes these for the same.
            "https:///me:word@example.org/x",
            "https:me:word@example.org/x",
            "HTTPS:me:word@example.org/x",
        ] {
            for key in ["repository.baseurl", "repository.assets_url"] {
                let error = one(key, wrong).unwrap_err();
                assert!(!error.contains("word@"), "{error}");
            }
        }
        one("repository.baseurl", "https://example.org/a@b").unwrap();
        for url in [
            "https://github.com/site/lustre/releases/download",
            "http://127.0.0.1:8080/assets",
        ] {
            one("repository.assets_url", url).unwrap();
        }
        for wrong in [
            "http://github.com/a",
            "file:///srv/repo",
            "https://github.com/a/",
            "https://github.com/a?b",
            "https://github.com/$basearch",
            "https://github.com/a b",
        ] {
            assert!(one("repository.assets_url", wrong).is_err(), "{wrong}");
        }
        one("repository.baseurl", "file:///srv/repo").unwrap();
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let mut target = Target::load(&specs, "rehearsal").unwrap();
        let twice = target.repository.group.mandatory[0].clone();
        target.repository.group.optional.push(twice);
        assert!(check(&target).unwrap_err().contains("twice"));
    }

    #[test]
    fn no_value_can_be_more_than_it_is() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let mut all = BTreeSet::new();
        for name in list(&specs).unwrap() {
            let target = Target::load(&specs, &name).unwrap();
            strings(&serde_json::to_value(&target).unwrap(), "", &mut all);
        }
        assert!(all.len() > 100);
        for (place, text) in &all {
            one(place, text).unwrap();
            for tail in ["\0", "\n", "\r\nx = 1", "\u{1b}[2J", "\t", "\u{85}"] {
                let wrong = format!("{text}{tail}");
                let error = one(place, &wrong).unwrap_err();
                assert!(error.starts_with(place.as_str()), "{error}");
                assert!(!error.contains(char::is_control), "{error:?}");
            }
        }
        // What is for people only, and what is checked by a type or elsewhere.
        const LINES: &[&str] = &[
            "boot.arguments",
            "boot.checks",
            "boot.environment.",
            "boot.guest",
            "boot.kernel_log",
            "boot.known.",
            "boot.nameless.",
            "boot.unchecked",
            "boot.upgrade.",
            "description",
            "distribution.cpu",
            "distribution.key",
            "distribution.kernel.config",
            "distribution.kernel.spec",
            "distribution.kind",
            "distribution.module_platform",
            "distribution.recipe",
            "distribution.repository.",
            "distribution.variables.",
            "e2fsprogs.spec",
            "kernel.kind",
            "kernel.overlay",
            "lustre.accepts.",
            "lustre.configure",
            "lustre.overlay",
            "lustre.rpmbuild",
            "model",
            "name",
            "repository.group.description",
            "repository.group.name",
            "repository.name",
        ];
        for (place, text) in &all {
            if LINES
                .iter()
                .any(|one| place == one || (one.ends_with('.') && place.starts_with(one)))
                || place.ends_with(".file")
                || place.ends_with(".fingerprint")
            {
                continue;
            }
            for tail in [
                "%{lua:x}", "$(x)", "`x`", "'", "\"", "&amp;", "<x>", ";x", " -x\\",
            ] {
                let wrong = format!("{text}{tail}");
                // A URL may have some of them, and writes out the others; a requirement compares versions.
                let url = Location::git(&wrong);
                let harmless = url
                    .is_ok_and(|url| !url.as_str().contains(['"', '<', '`', ' ', '\\']))
                    || (tail == "<x>" && requirement(&wrong).is_ok());
                assert!(one(place, &wrong).is_err() || harmless, "{place} = {wrong}");
            }
            assert!(
                one(place, &format!("-{text}")).is_err(),
                "{place} = -{text}"
            );
        }
    }
}
