//! From a target's name or path to its tables, merged with those of its ancestors.

use std::path::{Path, PathBuf};

use toml::Table;

use super::chosen::{FEATURES, RELEASES, laid};
use super::error::Error;
use super::model::Target;
use super::names::{self, list};
use super::provenance::{self, LoadedFile};
use super::syntax::{NEXT_KEY, inside};
use crate::bounded_toml;
use crate::sign::{begins_a_secret, may_be_a_key};

/// No target's file is larger (bytes).
const LARGEST: u64 = 1 << 20;

/// How deep targets may inherit; deeper is a loop or a mistake.
const MAX_DEPTH: usize = 8;

/// A target's file.
pub(super) struct Place {
    /// Its name: the file's, without `.toml`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// True where it was given by its path.
    pub by_path: bool,
}

impl Place {
    /// Where the target `wanted` is: a name under `specs/targets`, or a path, which contains a `/` or ends in `.toml`.
    pub(super) fn of(specs: &Path, wanted: &str) -> Result<Self, Error> {
        if !wanted.contains('/') && !wanted.ends_with(".toml") {
            return Self::named(&specs.join("targets"), wanted);
        }
        let name = wanted
            .rsplit('/')
            .next()
            .and_then(|file| file.strip_suffix(".toml"))
            .filter(|name| is_name(name))
            .ok_or_else(|| Error::Path(wanted.to_owned()))?;
        let path = std::path::absolute(wanted).map_err(|source| Error::Read {
            path: PathBuf::from(wanted),
            source,
        })?;
        Ok(Self {
            name: name.to_owned(),
            path,
            by_path: true,
        })
    }

    fn named(folder: &Path, name: &str) -> Result<Self, Error> {
        if !is_name(name) {
            return Err(Error::Name(name.to_owned()));
        }
        Ok(Self {
            name: name.to_owned(),
            path: folder.join(format!("{name}.toml")),
            by_path: false,
        })
    }

    /// The target that this one inherits from: beside it first, then in `specs/targets`. A file is not its own parent, so that a site's
    /// `rocky-9.6.toml` may inherit from the project's.
    fn parent(&self, specs: &Path, name: &str) -> Result<Self, Error> {
        if self.by_path
            && let Some(folder) = self.path.parent()
        {
            let beside = Self::named(folder, name)?;
            if beside.path != self.path && beside.path.is_file() {
                return Ok(Self {
                    by_path: true,
                    ..beside
                });
            }
        }
        Self::named(&specs.join("targets"), name)
    }
}

/// A name that leads out of no folder.
fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
    !name.is_empty() && !name.starts_with('.') && name.chars().all(plain)
}

/// The merged tables of the target at `place`.
pub(super) fn table(
    specs: &Path,
    place: &Place,
    depth: usize,
    read: &mut Vec<LoadedFile>,
) -> Result<Table, Error> {
    let path = &place.path;
    let text = match lustre_files::read_to_string(path, LARGEST) {
        Ok(text) => text,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::Unknown {
                name: place.name.clone(),
                path: path.clone(),
                known: list(specs)?,
            });
        }
        Err(source) => {
            return Err(Error::Read {
                path: path.clone(),
                source,
            });
        }
    };
    let mut table = parsed(path, &text)?;
    let invalid = |message: String| Error::Invalid {
        name: place.name.clone(),
        place: path.display().to_string(),
        message,
    };
    let read_last = LoadedFile {
        path: path.clone(),
        text: text.clone(),
    };
    let parent = table.remove("inherits");
    let with = parts(&mut table).map_err(invalid)?;
    let mut base = Table::new();
    if let Some(parent) = &parent {
        let parent = parent
            .as_str()
            .ok_or_else(|| invalid("`inherits` is the name of a target, a string".to_owned()))?;
        if depth >= MAX_DEPTH {
            return Err(invalid(format!(
                "targets inherit more than {MAX_DEPTH} deep: is there a cycle at `{parent}`?"
            )));
        }
        base = self::table(specs, &place.parent(specs, parent)?, depth + 1, read)?;
    } else if with.is_empty() && !is_composed(&table) {
        // Unknown keys are found here, where line and column are known, not after merging.
        toml::from_str::<Target>(&text).map_err(|e| malformed(path, &text, &e))?;
    }
    for part in &with {
        let part = self::part(specs, place, part, depth + 1, read)?;
        base = laid(base, part).map_err(invalid)?;
    }
    read.push(read_last);
    laid(base, table).map_err(invalid)
}

/// Whether a table names releases or features, so that it is not whole by itself.
fn is_composed(table: &Table) -> bool {
    [RELEASES, FEATURES]
        .iter()
        .any(|key| table.contains_key(*key))
}

/// The parts that a table inherits from, by its `with`.
fn parts(table: &mut Table) -> Result<Vec<String>, String> {
    let Some(with) = table.remove("with") else {
        return Ok(Vec::new());
    };
    let names: Option<Vec<String>> = with.as_array().map(|list| {
        list.iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect()
    });
    match names {
        Some(names)
            if with
                .as_array()
                .is_some_and(|list| list.len() == names.len()) =>
        {
            Ok(names)
        }
        _ => Err(
            "`with` is a list of files under specs/, without `.toml`, such as `distributions/el-9`"
                .to_owned(),
        ),
    }
}

/// The merged tables of the part `name` of the target at `place`: `specs/NAME.toml`, merged over the parts that it includes itself.
pub(super) fn part(
    specs: &Path,
    place: &Place,
    name: &str,
    depth: usize,
    read: &mut Vec<LoadedFile>,
) -> Result<Table, Error> {
    let invalid = |message: String| Error::Invalid {
        name: place.name.clone(),
        place: place.path.display().to_string(),
        message,
    };
    inside("with", name).map_err(invalid)?;
    if depth >= MAX_DEPTH {
        return Err(invalid(format!(
            "parts are nested more than {MAX_DEPTH} deep: is there a cycle at `{name}`?"
        )));
    }
    let path = specs.join(format!("{name}.toml"));
    let text = match lustre_files::read_to_string(&path, LARGEST) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(invalid(no_part(specs, name)));
        }
        Err(source) => return Err(Error::Read { path, source }),
    };
    let mut table = parsed(&path, &text)?;
    let mut base = Table::new();
    for below in parts(&mut table).map_err(invalid)? {
        let part = part(specs, place, &below, depth + 1, read)?;
        base = laid(base, part).map_err(invalid)?;
    }
    read.push(LoadedFile { path, text });
    laid(base, table).map_err(invalid)
}

/// What to say of a part that is not there: which there are beside it.
fn no_part(specs: &Path, name: &str) -> String {
    let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let known = names::named(specs.join(folder)).unwrap_or_default();
    let known: Vec<String> = known
        .iter()
        .map(|file| format!("{folder}/{file}"))
        .collect();
    let known = if known.is_empty() {
        String::new()
    } else {
        format!("; there are: {}", known.join(", "))
    };
    format!("`with` contains `{name}`, but specs/{name}.toml does not exist{known}")
}

/// The table that a file's text is.
fn parsed(path: &Path, text: &str) -> Result<Table, Error> {
    if let Some(at) = bounded_toml::too_deep(text) {
        let (line, column) = provenance::line_and_column(text, at);
        return Err(Error::Malformed {
            path: path.to_owned(),
            line,
            column,
            message: bounded_toml::TOO_DEEP.to_owned(),
        });
    }
    // Said before anything else looks at it: an error of any reader could show it.
    if begins_a_secret(text) {
        let line = 1 + text
            .lines()
            .take_while(|line| !begins_a_secret(line))
            .count();
        return Err(secret(path, (line.min(text.lines().count()), 1), "this"));
    }
    let table = toml::from_str(text).map_err(|e| malformed(path, text, &e))?;
    match misplaced(&table, "") {
        None => Ok(table),
        Some(place) => {
            let at = provenance::position(text, &place).unwrap_or_default();
            let what = match place.as_str() {
                "" => "the name of a key",
                place => place,
            };
            Err(secret(path, provenance::line_and_column(text, at), what))
        }
    }
}

/// Where a table has what may be a secret key, or a part of one: the key, or the one above where it is its name. Only `next_key` has a
/// key, which is read by what shows nothing of it.
fn misplaced(table: &Table, above: &str) -> Option<String> {
    fn within(value: &toml::Value, place: &str) -> Option<String> {
        match value {
            toml::Value::String(text) => {
                (place != NEXT_KEY && may_be_a_key(text)).then(|| place.to_owned())
            }
            toml::Value::Array(list) => list.iter().find_map(|item| match item {
                // A list of them is no key.
                toml::Value::String(text) => may_be_a_key(text).then(|| place.to_owned()),
                other => within(other, place),
            }),
            toml::Value::Table(table) => misplaced(table, place),
            _ => None,
        }
    }
    table.iter().find_map(|(name, value)| {
        if may_be_a_key(name) {
            return Some(above.to_owned());
        }
        let place = match above {
            "" => name.clone(),
            above => format!("{above}.{name}"),
        };
        within(value, &place)
    })
}

fn secret(path: &Path, (line, column): (usize, usize), what: &str) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        line,
        column,
        message: format!(
            "{what} looks like a secret key (not shown); take it out, and give it with --key-file; a target has public keys only (`cargo xtask key export` prints one), in {NEXT_KEY}"
        ),
    }
}

fn malformed(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let (line, column) =
        provenance::line_and_column(text, error.span().map_or(0, |span| span.start));
    Error::Malformed {
        path: path.to_owned(),
        line,
        column,
        message: provenance::plain(error.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{WHOLE, specs};
    use super::*;

    #[test]
    fn brackets_that_are_never_closed_are_told_before_the_stack_ends() {
        for text in [
            "[lustre]\nsource = { git =.14\"\n\n".repeat(2000),
            format!("a = {}", "[".repeat(100_000)),
        ] {
            let error = parsed(Path::new("t.toml"), &text).unwrap_err().to_string();
            assert!(error.contains("more than 64 deep"), "{error}");
        }
    }

    #[test]
    fn a_target_may_be_anywhere() {
        let specs = specs(&[("one.toml", WHOLE), ("two.toml", "inherits = 'one'")]);
        let site = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = site.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let base = write("base.toml", "inherits = 'two'\ndescription = 'the site'");
        let own = write(
            "site-1.0.toml",
            "inherits = 'base'\n[lustre]\nversion = '2'",
        );
        let target = Target::load(specs.path(), &own).unwrap();
        assert_eq!(
            (target.name.as_str(), target.description.as_str()),
            ("site-1.0", "the site")
        );
        assert_eq!(target.lustre.version, "2");
        assert_eq!(target.argument(), own);
        assert_eq!(
            target.lock_path(Path::new("locks")),
            site.path().join("site-1.0.lock.toml")
        );
        assert!(
            !serde_json::to_string(&target).unwrap().contains(&own),
            "where its file is decides nothing of what is built"
        );
        let named = Target::load(specs.path(), "two").unwrap();
        assert_eq!(named.argument(), "two");
        assert_eq!(
            named.lock_path(Path::new("locks")),
            Path::new("locks/two.toml")
        );
        // What is in a site's folder is no target by its name.
        assert!(matches!(
            Target::load(specs.path(), "base"),
            Err(Error::Unknown { .. })
        ));
        // Under a name of the project's own: the parent is that one, not the file itself.
        let same = write("two.toml", "inherits = 'two'\ndescription = 'ours'");
        let target = Target::load(specs.path(), &same).unwrap();
        assert_eq!(
            (target.name.as_str(), target.description.as_str()),
            ("two", "ours")
        );
        assert_eq!(Target::load(specs.path(), &base).unwrap().name, "base");
    }

    #[test]
    fn a_path_that_is_no_targets_is_refused() {
        let specs = specs(&[("one.toml", WHOLE)]);
        for wrong in [
            "/srv/",
            "./site",
            "sites/..toml",
            "/srv/.toml",
            "a b.toml",
            ".toml",
        ] {
            let error = Target::load(specs.path(), wrong).unwrap_err();
            assert!(matches!(error, Error::Path(_)), "{wrong}: {error}");
        }
        let error = Target::load(specs.path(), "/no/such/site.toml").unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Unknown { .. }), "{text}");
        assert!(
            text.contains("/no/such/site.toml does not exist") && text.contains("one"),
            "{text}"
        );
        // A loop through two files of a site ends.
        let site = tempfile::tempdir().unwrap();
        for (name, parent) in [("a", "b"), ("b", "a")] {
            let text = format!("inherits = '{parent}'");
            std::fs::write(site.path().join(format!("{name}.toml")), text).unwrap();
        }
        let path = site.path().join("a.toml");
        let error = Target::load(specs.path(), path.to_str().unwrap()).unwrap_err();
        assert!(error.to_string().contains("a cycle"), "{error}");
    }
}
