//! A distribution's variables, filled into every string of a target: `$vendor`, `$releasever`.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// How deep variables may stand in variables; deeper is a loop.
const MAX_DEPTH: usize = 8;

/// What dnf itself fills in, on each machine.
const OF_DNF: &str = "basearch";

/// What is read as it is, too: which release of the distribution the target is for.
const RELEASEVER: &str = "releasever";

/// Fills the variables of `distribution.variables` into every string of `table` but the locations of the distribution's repositories,
/// which are told when they are asked for. A target without variables is left as it is. `texts` are those of the files that `table` is
/// of: what one of them says in place of another may leave a variable without a use, and one that no value in them uses is mistyped.
///
/// # Errors
/// A name that is no variable, with the key that has it; a variable that nothing uses.
pub(super) fn fill<'t>(
    table: &mut Table,
    texts: impl Iterator<Item = &'t str>,
) -> Result<(), String> {
    let Some(variables) = variables(table)? else {
        return Ok(());
    };
    walk(table, "", &variables)?;
    let mut used = BTreeSet::from([RELEASEVER.to_owned()]);
    for text in texts {
        // A name in a comment is no use.
        let said: Table = text.parse().map_err(|error| format!("{error}"))?;
        said.values().for_each(|value| names(value, &mut used));
    }
    match variables.keys().find(|name| !used.contains(*name)) {
        Some(name) => Err(format!(
            "distribution.variables.{name}: `${name}` is not used anywhere; used variables: {}",
            used.iter()
                .filter(|name| variables.contains_key(*name))
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        )),
        None => Ok(()),
    }
}

/// Adds the names that stand behind a `$` in the strings of a value.
fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let behind = text.split('$').skip(1);
            found.extend(behind.map(|rest| rest[..name_end(rest)].to_owned()));
        }
        Value::Array(list) => list.iter().for_each(|value| names(value, found)),
        Value::Table(table) => table.values().for_each(|value| names(value, found)),
        _ => {}
    }
}

/// Where the name of a variable ends that a text begins with.
fn name_end(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(text.len())
}

/// The variables, filled with each other.
fn variables(table: &mut Table) -> Result<Option<BTreeMap<String, String>>, String> {
    let Some(found) = table
        .get_mut("distribution")
        .and_then(|one| one.get_mut("variables"))
        .and_then(Value::as_table_mut)
    else {
        return Ok(None);
    };
    for _ in 0..MAX_DEPTH {
        let now: BTreeMap<String, String> = found
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
            .collect();
        if now.values().all(|value| !value.contains('$')) {
            return Ok(Some(now));
        }
        walk(found, "distribution.variables", &now)?;
    }
    Err(
        "distribution.variables: they refer to each other in a cycle, or contain `$basearch`"
            .to_owned(),
    )
}

fn walk(
    table: &mut Table,
    place: &str,
    variables: &BTreeMap<String, String>,
) -> Result<(), String> {
    for (key, value) in table.iter_mut() {
        let place = if place.is_empty() {
            key.clone()
        } else {
            format!("{place}.{key}")
        };
        if place != "distribution.repository" {
            one(value, &place, variables)?;
        }
    }
    Ok(())
}

fn one(value: &mut Value, place: &str, variables: &BTreeMap<String, String>) -> Result<(), String> {
    match value {
        Value::String(text) if text.contains('$') => *text = filled(text, place, variables)?,
        Value::Array(list) => {
            for value in list {
                one(value, place, variables)?;
            }
        }
        Value::Table(table) => walk(table, place, variables)?,
        _ => {}
    }
    Ok(())
}

fn filled(text: &str, place: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, behind) = after.split_at(name_end(after));
        match variables.get(name) {
            Some(value) => out.push_str(value),
            None if name == OF_DNF => out.push_str("$basearch"),
            None => {
                let known: Vec<&str> = variables.keys().map(String::as_str).collect();
                return Err(format!(
                    "{place}: `${name}` is not one of the distribution's variables ({})",
                    known.join(", ")
                ));
            }
        }
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<Table, String> {
        let mut table: Table = toml::from_str(text).unwrap();
        fill(&mut table, [text].into_iter()).map(|()| table)
    }

    const VARIABLES: &str = "[distribution.variables]\nvendor = 'Rocky'\nreleasever = '9.6'\nid = '$vendor-$releasever'\n";

    #[test]
    fn every_string_has_them() {
        let table = filled(&format!(
            "description = 'for $vendor $releasever'\n[install]\nbase = ['$vendor-release', 'dnf']\n\
             [repository]\nbaseurl = 'file:///srv/$id/$basearch'\n{VARIABLES}\
             [distribution.repository.base]\nbaseurl = '$location/$releasever'\n"
        ))
        .unwrap();
        assert_eq!(table["description"].as_str(), Some("for Rocky 9.6"));
        assert_eq!(table["install"]["base"][0].as_str(), Some("Rocky-release"));
        assert_eq!(
            table["repository"]["baseurl"].as_str(),
            Some("file:///srv/Rocky-9.6/$basearch")
        );
        // Where a repository is, is told with what its error can name.
        assert_eq!(
            table["distribution"]["repository"]["base"]["baseurl"].as_str(),
            Some("$location/$releasever")
        );
    }

    #[test]
    fn a_name_that_is_none_is_told_with_its_place() {
        let error = filled(&format!("[install]\nbase = ['$vednor']\n{VARIABLES}")).unwrap_err();
        assert!(
            error.contains("install.base")
                && error.contains("`$vednor`")
                && error.contains("vendor"),
            "{error}"
        );
        let error = filled("[distribution.variables]\na = '$b'\nb = '$a'\n").unwrap_err();
        assert!(error.contains("in a cycle"), "{error}");
        // One that nothing has was meant to be another.
        let mistyped = VARIABLES.replace(
            "releasever = '9.6'",
            "releasever = '9.6'\nreleasver = '9.7'",
        );
        for comment in ["", "# not $releasver\n"] {
            let text = format!("{comment}[install]\nbase = ['$id']\n{mistyped}");
            let error = filled(&text).unwrap_err();
            assert!(
                error.contains("distribution.variables.releasver")
                    && error.contains("releasever, "),
                "{error}"
            );
        }
        // A target without variables may have any text.
        assert!(filled("[boot]\narguments = ['a=$b']\n").is_ok());
    }
}
