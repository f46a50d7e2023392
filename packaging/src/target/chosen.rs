//! Which releases and features a table of a target chooses.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::merge::{is_place_alone, merged};

/// The keys that are read here and are none of a target's own.
pub(super) const RELEASES: &str = "releases";

pub(super) const FEATURES: &str = "features";

/// What says which Lustre it is: another release in its place would be neither.
const OF_LUSTRE: [&str; 6] = [
    "source",
    "version",
    "overlay",
    "options",
    "ldiskfs_series",
    "tag_key",
];

/// What says which e2fsprogs it is.
const OF_E2FSPROGS: [&str; 4] = ["source", "version", "series", "tag_key"];

/// Whether a package's table says `key`; where a source's repository is, says nothing of which release it is.
fn says(table: &Table, key: &str) -> bool {
    table
        .get(key)
        .is_some_and(|value| key != "source" || !is_place_alone(value))
}

/// `over` merged over `base`, where it does not choose another release in place of what `base` says itself.
///
/// # Errors
/// The key that says it, and what to do.
pub(super) fn laid(base: Table, over: Table) -> Result<Table, String> {
    for (package, keys) in [("lustre", &OF_LUSTRE[..]), ("e2fsprogs", &OF_E2FSPROGS)] {
        let release = |table: &Table| Some(table.get(RELEASES)?.get(package)?.clone());
        let (Some(chosen), below) = (release(&over), release(&base)) else {
            continue;
        };
        if below.as_ref() == Some(&chosen) {
            continue;
        }
        let said = base.get(package).and_then(Value::as_table);
        if let Some(key) = keys
            .iter()
            .find(|key| said.is_some_and(|table| says(table, key)))
        {
            return Err(format!(
                "{package}.{key} is inherited, and conflicts with the release {chosen} of {RELEASES}.{package}: remove the keys of the \
                 other release from the inherited target (source, version, overlay and related keys), and set its release instead"
            ));
        }
    }
    Ok(merged(base, over))
}

/// What was chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenReleases {
    /// The release of Lustre, by its file's name.
    pub lustre: Option<String>,
    /// The release of e2fsprogs, by its file's name.
    pub e2fsprogs: Option<String>,
    /// Whether that release was chosen in place of the target's own.
    pub instead: bool,
    /// The features that the target says something of, and whether they are on.
    pub features: BTreeMap<String, bool>,
}
