//! Whether JSON is as a schema of `docs/schema` has it. It knows the keywords that these use and refuses all others, so that none is passed over:
//! a whole implementation would be forty crates for a few tests.

use std::fs;

use serde_json::Value;

use crate::command_line::project;

/// What is wrong with `value`, each with its place; nothing where it is as `schema` has it.
///
/// # Panics
/// When the schema has a keyword that is not known here, or is none.
pub fn wrong(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    look(schema, value, "", &mut found);
    found
}

/// The schema `name` of `docs/schema`.
///
/// # Panics
/// When it cannot be read.
#[allow(
    clippy::unwrap_used,
    reason = "a test without its schema has nothing to say"
)]
pub fn schema(name: &str) -> Value {
    let path = project().join(format!("docs/schema/{name}.schema.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// That `value` is as `schema` has it, and is not without any of its keys at the top, but for those named; nor with another.
///
/// # Panics
/// When it is otherwise.
#[track_caller]
pub fn exact(schema: &Value, value: &Value, optional: &[&str]) {
    let found = wrong(schema, value);
    assert!(found.is_empty(), "{}\n{value:#}", found.join("\n"));
    let keys = value
        .as_object()
        .into_iter()
        .flat_map(|object| object.keys());
    for key in keys {
        let mut without = value.clone();
        without.as_object_mut().map(|object| object.remove(key));
        assert_eq!(
            wrong(schema, &without).is_empty(),
            optional.contains(&key.as_str()),
            "without `{key}`"
        );
    }
    let mut more = value.clone();
    more["no-such-key"] = Value::from(1);
    assert!(!wrong(schema, &more).is_empty());
}

/// Keywords that say nothing of the value.
const WORDS: [&str; 3] = ["$schema", "title", "description"];

fn look(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if schema == &Value::Bool(true) {
        return;
    }
    let rules = schema
        .as_object()
        .unwrap_or_else(|| panic!("{schema} is no schema"));
    let mut say = |what: String| found.push(format!("{at}: {what}"));
    for (keyword, rule) in rules {
        match keyword.as_str() {
            word if WORDS.contains(&word) => {}
            "type" => {
                let wanted = rule.as_str().unwrap_or_default();
                if !is_a(value, wanted) {
                    say(format!("{value} is no {wanted}"));
                }
            }
            "const" if value != rule => say(format!("{value} is not {rule}")),
            "enum" if !items(rule).contains(value) => say(format!("{value} is none of {rule}")),
            "minimum" if value.as_f64() < rule.as_f64() => say(format!("{value} is below {rule}")),
            "minLength" => {
                let length = value.as_str().map_or(0, |text| text.chars().count());
                if rule.as_u64().is_some_and(|least| (length as u64) < least) {
                    say(format!("{value} is shorter than {rule}"));
                }
            }
            "pattern" => {
                let matches = value
                    .as_str()
                    .is_some_and(|text| fits(rule.as_str().unwrap_or_default(), text));
                if !matches {
                    say(format!("{value} is not as {rule}"));
                }
            }
            "required" => {
                for key in items(rule).iter().filter_map(Value::as_str) {
                    if value.get(key).is_none() {
                        say(format!("`{key}` is missing"));
                    }
                }
            }
            "const"
            | "enum"
            | "minimum"
            | "properties"
            | "additionalProperties"
            | "items"
            | "oneOf"
            | "anyOf" => {}
            other => panic!("the keyword `{other}` is not known here"),
        }
    }
    let properties = rules.get("properties").and_then(Value::as_object);
    for (key, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{at}/{key}");
        let own = properties.and_then(|properties| properties.get(key));
        match own.or_else(|| rules.get("additionalProperties")) {
            Some(Value::Bool(false)) => found.push(format!("{place}: there is no such key")),
            Some(schema) => look(schema, inner, &place, found),
            None => {}
        }
    }
    if let (Some(schema), Some(list)) = (rules.get("items"), value.as_array()) {
        for (number, inner) in list.iter().enumerate() {
            look(schema, inner, &format!("{at}/{number}"), found);
        }
    }
    for (keyword, most) in [("oneOf", 1), ("anyOf", usize::MAX)] {
        let Some(choices) = rules.get(keyword) else {
            continue;
        };
        let tried = items(choices).iter().map(|one| wrong(one, value));
        let tried: Vec<Vec<String>> = tried.collect();
        let fit = tried.iter().filter(|wrong| wrong.is_empty()).count();
        if fit == 0 || fit > most {
            found.push(format!("{at}: {fit} of {keyword} fit: {tried:?}"));
        }
    }
}

fn items(rule: &Value) -> &[Value] {
    rule.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn is_a(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        other => panic!("the type `{other}` is not known here"),
    }
}

/// Whether `text` is as the pattern says: one set of characters, so many times.
fn fits(pattern: &str, text: &str) -> bool {
    let parts = pattern
        .strip_prefix("^[")
        .and_then(|rest| rest.split_once(']'))
        .and_then(|(set, rest)| Some((set, rest.strip_suffix('$')?)));
    let Some((set, times)) = parts else {
        panic!("the pattern `{pattern}` is not known here");
    };
    let set: Vec<char> = set.chars().collect();
    let is_in = |c: char| {
        let mut at = 0;
        while at < set.len() {
            if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                if (set[at]..=set[at + 2]).contains(&c) {
                    return true;
                }
                at += 3;
            } else {
                if set[at] == c {
                    return true;
                }
                at += 1;
            }
        }
        false
    };
    let length = text.chars().count();
    let counted = match times {
        "+" => length > 0,
        other => {
            let times = other.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
            let Some(times) = times else {
                panic!("the pattern `{pattern}` is not known here");
            };
            let (least, most) = times.split_once(',').unwrap_or((times, times));
            let number = |text: &str| -> usize {
                text.parse()
                    .unwrap_or_else(|_| panic!("the pattern `{pattern}` is not known here"))
            };
            (number(least)..=number(most)).contains(&length)
        }
    };
    counted && text.chars().all(is_in)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_schema_does_not_allow_is_told_with_its_place() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "pattern": "^[a-z0-9-]+$" },
                "digest": { "anyOf": [{ "type": "string", "pattern": "^[0-9a-f]{4,6}$" }, { "type": "null" }] },
                "many": { "type": "array", "items": { "enum": [1, 2] } },
            },
            "required": ["name"],
            "additionalProperties": false,
        });
        let good = json!({ "name": "a-1", "digest": "00ff0", "many": [1, 2, 1] });
        assert_eq!(wrong(&schema, &good), Vec::<String>::new());
        for (value, part) in [
            (json!({}), "`name` is missing"),
            (json!({ "name": "A" }), "/name: "),
            (json!({ "name": "" }), "/name: "),
            (json!({ "name": 1 }), "/name: "),
            (
                json!({ "name": "a", "digest": "xyz" }),
                "/digest: 0 of anyOf",
            ),
            (json!({ "name": "a", "digest": "00ff001" }), "/digest: "),
            (json!({ "name": "a", "many": [1, 3] }), "/many/1: "),
            (
                json!({ "name": "a", "more": 1 }),
                "/more: there is no such key",
            ),
            (json!([]), "is no object"),
        ] {
            let wrong = wrong(&schema, &value);
            assert!(
                wrong.iter().any(|one| one.contains(part)),
                "{value}: {wrong:?}"
            );
        }
    }

    #[test]
    #[should_panic(expected = "not known here")]
    fn a_keyword_that_is_not_known_is_not_passed_over() {
        wrong(&json!({ "uniqueItems": true }), &json!([]));
    }
}
