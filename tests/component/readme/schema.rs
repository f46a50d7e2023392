//! The keys that a TOML file may have, as the type that reads it says: it is asked with a key that no table has, and its error names
//! those that it knows.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// A key that no table has.
const NONE: &str = "no-such-key";

/// Reads a table as the type, or says why not.
pub type Reader<'a> = &'a dyn Fn(Table) -> Result<(), String>;

/// Every key by its path, and the words that it may be where not every text will do. `NAME` stands for any name of a table of tables, and `[]` follows a
/// list of tables.
#[derive(Debug, Default)]
pub struct Schema {
    pub keys: BTreeSet<String>,
    pub words: BTreeMap<String, BTreeSet<String>>,
}

/// `value` at `path`, and nothing else.
pub fn only(path: &[&str], value: Value) -> Table {
    let mut value = value;
    for part in path.iter().rev() {
        let (key, listed) = part
            .strip_suffix("[]")
            .map_or((*part, false), |key| (key, true));
        if listed {
            value = Value::Array(vec![value]);
        }
        value = Value::Table(Table::from_iter([(key.to_owned(), value)]));
    }
    match value {
        Value::Table(table) => table,
        other => panic!("{other} at no path"),
    }
}

/// The names that an error offers instead of [`NONE`], where it is `what` that is not known.
fn offered(error: &str, what: &str) -> Option<BTreeSet<String>> {
    let (_, names) = error.split_once(&format!("unknown {what} `{NONE}`, expected "))?;
    let names = names.lines().next()?;
    Some(
        names
            .split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect(),
    )
}

impl Schema {
    /// That of what `read` reads.
    pub fn of(read: Reader<'_>) -> Self {
        let mut schema = Self::default();
        schema.look(read, &[]);
        schema
    }

    fn look(&mut self, read: Reader<'_>, path: &[&str]) {
        let ask = |path: &[&str], value: Value| {
            read(only(path, value)).expect_err("a key that no table has was read")
        };
        let unknown = || Value::Table(Table::from_iter([(NONE.to_owned(), Value::Integer(1))]));
        let error = ask(path, unknown());
        // A table, or a choice of tables.
        if let Some(keys) = offered(&error, "field").or_else(|| offered(&error, "variant")) {
            let unit = path
                .last()
                .and_then(|_| offered(&ask(path, Value::from(NONE)), "variant"))
                .filter(|words| {
                    words.iter().all(|word| {
                        let error = ask(path, Value::from(word.as_str()));
                        error.contains("missing field")
                    })
                });
            if let Some(words) = unit {
                self.words.insert(path.join("."), words);
                return;
            }
            for key in keys {
                let inner: Vec<&str> = path.iter().copied().chain([key.as_str()]).collect();
                self.keys.insert(inner.join("."));
                self.look(read, &inner);
            }
            return;
        }
        let Some((last, before)) = path.split_last() else {
            panic!("the type takes keys that it does not know: {error}");
        };
        if last.ends_with("[]") || *last == "NAME" {
            return;
        }
        let listed = format!("{last}[]");
        for inner in [
            before
                .iter()
                .copied()
                .chain([listed.as_str()])
                .collect::<Vec<_>>(),
            path.iter().copied().chain(["NAME"]).collect(),
        ] {
            if offered(&ask(&inner, unknown()), "field").is_some() {
                self.look(read, &inner);
            }
        }
    }
}
