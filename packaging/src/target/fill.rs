//! A distribution's variables, filled into every string of a target: `$vendor`, `$releasever`.

use std::collections::BTreeMap;

use toml::{Table, Value};

/// How deep variables may stand in variables; deeper is a loop.
const MAX_DEPTH: usize = 8;

/// What dnf itself fills in, on each machine.
const OF_DNF: &str = "basearch";

/// Fills the variables of `distribution.variables` into every string of `table` but the locations of the distribution's repositories,
/// which are told when they are asked for. A target without variables is left as it is.
///
/// # Errors
/// A name that is no variable, with the key that has it.
pub(super) fn fill(table: &mut Table) -> Result<(), String> {
    let Some(variables) = variables(table)? else {
        return Ok(());
    };
    walk(table, "", &variables)
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
        "distribution.variables: they stand in each other without an end, or have `$basearch`"
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
        let end = after
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(after.len());
        let (name, behind) = after.split_at(end);
        match variables.get(name) {
            Some(value) => out.push_str(value),
            None if name == OF_DNF => out.push_str("$basearch"),
            None => {
                let known: Vec<&str> = variables.keys().map(String::as_str).collect();
                return Err(format!(
                    "{place}: `${name}` is none of the distribution's variables ({})",
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
        fill(&mut table).map(|()| table)
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
        assert!(error.contains("without an end"), "{error}");
        // A target without variables may have any text.
        assert!(filled("[boot]\narguments = ['a=$b']\n").is_ok());
    }
}
