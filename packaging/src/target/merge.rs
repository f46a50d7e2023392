//! Inheritance: one table merged over another.

use toml::{Table, Value};

/// `over` merged over `base`: tables key by key, every other value is overridden.
pub(super) fn merged(base: Table, over: Table) -> Table {
    laid(base, over, false)
}

/// The same; of a table whose keys are ids, none of them means anything here.
fn laid(mut base: Table, over: Table, ids: bool) -> Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            // A source is a choice between kinds: mixing the keys of two kinds would be neither. Where its repository is, may be said alone.
            (below, Value::Table(above)) if key == "source" && !ids => {
                Value::Table(elsewhere(below, above))
            }
            (Some(Value::Table(below)), Value::Table(above)) => {
                Value::Table(laid(below, above, key == "repository"))
            }
            // A distribution's repositories as a list, and single keys of some of them, by id.
            (Some(Value::Array(below)), Value::Table(above)) if key == "repository" => {
                Value::Table(laid(by_id(below), above, true))
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

/// The kinds of sources that are in a repository of git.
const IN_GIT: [&str; 2] = ["git", "git-tag"];

/// Whether a source says nothing but where its repository is.
pub(super) fn is_place_alone(source: &Value) -> bool {
    let only = |table: &Table, key: &str| table.len() == 1 && table.contains_key(key);
    source.as_table().is_some_and(|source| {
        IN_GIT.iter().any(|kind| {
            let git = source.get(*kind).and_then(Value::as_table);
            source.len() == 1 && git.is_some_and(|git| only(git, "url"))
        })
    })
}

/// The source `above`, with tag and commit of the one below where it says nothing but where the repository is.
fn elsewhere(below: Option<Value>, above: Table) -> Table {
    if !is_place_alone(&Value::Table(above.clone())) {
        return above;
    }
    match below {
        Some(Value::Table(mut below)) if below.keys().eq(above.keys()) => {
            for (kind, url) in above {
                if let (Some(Value::Table(git)), Value::Table(url)) = (below.get_mut(&kind), url) {
                    git.extend(url);
                }
            }
            below
        }
        _ => above,
    }
}

/// The tables of a list, by their ids. One without an id keeps its place under a name that is no id, so that it is found and told.
fn by_id(list: Vec<Value>) -> Table {
    list.into_iter()
        .enumerate()
        .map(|(at, mut value)| {
            let id = value.as_table_mut().and_then(|table| table.remove("id"));
            let id = id.as_ref().and_then(Value::as_str).map(str::to_owned);
            (id.unwrap_or_else(|| format!("(number {})", at + 1)), value)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_says_only_where_it_is_keeps_tag_and_commit() {
        let laid = |below: &str, above: &str| {
            let all = merged(
                toml::from_str(below).unwrap(),
                toml::from_str(above).unwrap(),
            );
            all["source"].clone()
        };
        let below = "source = { git = { url = 'a', tag = 't', commit = 'c' } }";
        let source = laid(below, "source = { git = { url = 'b' } }");
        assert_eq!(source["git"]["url"].as_str(), Some("b"));
        assert_eq!(source["git"]["tag"].as_str(), Some("t"));
        // A commit of its own has no tag of another's.
        let source = laid(below, "source = { git = { url = 'b', commit = 'd' } }");
        assert!(source["git"].get("tag").is_none());
        let source = laid(
            "source = { path = 'p' }",
            "source = { git = { url = 'b' } }",
        );
        assert!(source.get("path").is_none());
    }

    #[test]
    fn one_key_of_one_repository_is_laid_over_the_list() {
        let base = "[[repository]]\nid = 'a'\nsigned = true\nwhy = 'x'\n[[repository]]\nid = 'b'\nsigned = true\n";
        let over = "[repository.a]\nsigned = false\n[repository.c]\nsigned = true\n";
        let all = merged(toml::from_str(base).unwrap(), toml::from_str(over).unwrap());
        let repository = all["repository"].as_table().unwrap();
        assert_eq!(repository["a"]["signed"].as_bool(), Some(false));
        assert_eq!(repository["a"]["why"].as_str(), Some("x"));
        assert_eq!(repository["b"]["signed"].as_bool(), Some(true));
        assert_eq!(repository.len(), 3);
        // An id may be any word.
        let base = "[repository.source]\nsigned = true\nwhy = 'x'\n";
        let over = "[repository.source]\nsigned = false\n";
        let source = merged(toml::from_str(base).unwrap(), toml::from_str(over).unwrap());
        assert_eq!(source["repository"]["source"]["why"].as_str(), Some("x"));
        // A list replaces what there is.
        let over = "[[repository]]\nid = 'd'\n";
        let all = merged(all.clone(), toml::from_str(over).unwrap());
        assert_eq!(all["repository"].as_array().unwrap().len(), 1);
    }
}
