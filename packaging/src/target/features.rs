//! Features of Lustre that a target chooses by name: `specs/lustre/features.toml` says what each adds to the target's lists.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

/// The file under `specs/`.
pub(super) const FILE: &str = "lustre/features.toml";

/// It is no larger (bytes).
const LARGEST: u64 = 1 << 20;

/// The words that Lustre's spec hands to configure: they end up in `lustre.rpmbuild`.
const CONFIGURE_ARGS: &str = "configure_args";

/// Those of a target's lists in which order and words count: where a target gives them itself, they are whole.
const COMMANDS: [&str; 2] = ["configure", "rpmbuild"];

/// All features, in the order in which they add to lists.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Features {
    feature: Vec<Feature>,
}

/// One feature.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    name: String,
    why: String,
    /// Others that must be on.
    #[serde(default)]
    needs: Vec<String>,
    /// Modules of others that have another name with this one.
    #[serde(default)]
    drops: Vec<String>,
    /// What it adds where it is on.
    #[serde(default)]
    on: Table,
    /// What it adds where it is off.
    #[serde(default)]
    off: Table,
}

impl Features {
    /// Those of the project.
    ///
    /// # Errors
    /// A file that cannot be read or says something that is not understood.
    pub fn load(specs: &Path) -> Result<Self, String> {
        let path = specs.join(FILE);
        let wrong = |problem: String| format!("{}: {problem}", path.display());
        let text = lustre_files::read_to_string(&path, LARGEST)
            .map_err(|error| wrong(error.to_string()))?;
        crate::bounded_toml::from_str(&text).map_err(|error| wrong(error.to_string()))
    }

    /// Each by its name, with what it is.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.feature
            .iter()
            .map(|one| (one.name.as_str(), one.why.as_str()))
    }
}

/// Adds what the features that are `chosen` add to the lists of `whole`. `said` is what the target says itself, and `lacks` what the
/// release cannot choose, with the reason.
///
/// # Errors
/// A name that is none, a feature that the release lacks or that needs another, and a list that the target gives itself and that says
/// the opposite.
pub(super) fn add(
    features: &Features,
    chosen: &BTreeMap<String, bool>,
    lacks: &BTreeMap<String, String>,
    said: &Table,
    whole: &mut Table,
) -> Result<(), String> {
    let known: Vec<&str> = features.all().map(|(name, _)| name).collect();
    if let Some(name) = chosen.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!(
            "features.{name} is not a feature of Lustre; specs/{FILE} has: {}",
            known.join(", ")
        ));
    }
    for feature in &features.feature {
        let name = &feature.name;
        let Some(&on) = chosen.get(name) else {
            continue;
        };
        if let Some(why) = lacks.get(name) {
            // What is not there is not to be left out, either.
            if on {
                return Err(format!(
                    "features.{name} is true, but this release of Lustre does not have the feature: {why}"
                ));
            }
            continue;
        }
        if let Some(other) = feature
            .needs
            .iter()
            .find(|other| on && chosen.get(*other) != Some(&true))
        {
            return Err(format!(
                "features.{name} is true, and also needs `{other} = true` in [features]"
            ));
        }
        let (adds, opposite) = if on {
            (&feature.on, &feature.off)
        } else {
            (&feature.off, &feature.on)
        };
        agrees(name, on, adds, opposite, said)?;
        append(adds, said, whole)?;
        if on {
            drop_modules(whole, &feature.drops);
        }
    }
    finish(whole, said);
    Ok(())
}

/// Whether the lists that the target gives whole say what the feature would.
fn agrees(
    name: &str,
    on: bool,
    adds: &Table,
    opposite: &Table,
    said: &Table,
) -> Result<(), String> {
    for key in COMMANDS {
        let Some(own) = list(said, "lustre", key) else {
            continue;
        };
        let words = |of: &Table| -> Vec<String> {
            let mut words = list(of, "lustre", key).unwrap_or_default();
            // `--with` and `--without` stand before names.
            words.retain(|word| word != "--with" && word != "--without");
            words
        };
        let pairs = |of: &[String], word: &str| {
            of.windows(2)
                .any(|pair| pair[1] == word && pair[0].starts_with("--with"))
        };
        let state = if on { "on" } else { "off" };
        let both = |word: &String| words(adds).contains(word);
        if let Some(word) = words(opposite)
            .iter()
            .find(|word| own.contains(word) && !both(word))
        {
            return Err(format!(
                "lustre.{key} has `{word}`, but the feature `{name}` is {state}: set `{name} = {}` in [features], or remove lustre.{key}: \
                 features add what they need",
                !on
            ));
        }
        if let Some(word) = words(adds)
            .iter()
            .find(|word| on && !own.contains(word) && !pairs(&own, word))
        {
            return Err(format!(
                "lustre.{key} is set and lacks `{word}`, which the feature `{name}` needs: add it, set `{name} = false` in [features], or \
                 remove lustre.{key}: features add what they need"
            ));
        }
    }
    Ok(())
}

/// The texts of the list `table.key`, where there is one.
fn list(of: &Table, table: &str, key: &str) -> Option<Vec<String>> {
    let list = of.get(table)?.get(key)?.as_array()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    list.iter().map(text).collect()
}

/// Adds every list of `adds` to that of `whole` at the same place.
fn append(adds: &Table, said: &Table, whole: &mut Table) -> Result<(), String> {
    for (key, value) in adds {
        match value {
            Value::Table(inner) => {
                let below = whole
                    .entry(key.clone())
                    .or_insert_with(|| Value::Table(Table::new()));
                let Value::Table(below) = below else {
                    return Err(format!("{FILE}: `{key}` is not a table of a target"));
                };
                let empty = Table::new();
                let own = said.get(key).and_then(Value::as_table).unwrap_or(&empty);
                append(inner, own, below)?;
            }
            Value::Array(items) => {
                let command = COMMANDS.contains(&key.as_str());
                // Where the target gives it whole, nothing is added.
                if command && said.contains_key(key) {
                    continue;
                }
                let list = whole
                    .entry(key.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                let Value::Array(list) = list else {
                    return Err(format!("{FILE}: `{key}` is not a list of a target"));
                };
                for item in items {
                    // The words of a command come in pairs.
                    if command || !list.contains(item) {
                        list.push(item.clone());
                    }
                }
            }
            other => return Err(format!("{FILE}: `{key}` is a list, not {other}")),
        }
    }
    Ok(())
}

/// Takes modules out of those that must be there.
fn drop_modules(whole: &mut Table, drops: &[String]) {
    for table in ["lustre", "install"] {
        let modules = whole
            .get_mut(table)
            .and_then(|table| table.get_mut("modules"))
            .and_then(Value::as_array_mut);
        if let Some(modules) = modules {
            modules.retain(|module| !drops.iter().any(|name| module.as_str() == Some(name)));
        }
    }
}

/// Makes the words for the spec's configure the last option of rpmbuild, unless the target gives those itself.
pub(super) fn finish(whole: &mut Table, said: &Table) {
    let own = list(said, "lustre", "rpmbuild").is_some();
    let Some(lustre) = whole.get_mut("lustre").and_then(Value::as_table_mut) else {
        return;
    };
    let Some(words) = lustre.remove(CONFIGURE_ARGS) else {
        return;
    };
    let words: Vec<&str> = words
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if own || words.is_empty() {
        return;
    }
    let define = format!("{CONFIGURE_ARGS} {}", words.join(" "));
    let options = lustre
        .entry("rpmbuild")
        .or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(options) = options {
        options.extend(["--define".to_owned(), define].map(Value::String));
    }
}
