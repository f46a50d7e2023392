//! A target as a composition: what it names as `releases` of Lustre and e2fsprogs, and chooses as `features`, made into its tables.
//!
//! A release is a file, `specs/lustre/releases/NAME.toml`, with the keys of a target. It lies under all that the target and its ancestors
//! say themselves. The series of ldiskfs and the fixup that a kernel of Enterprise Linux needs come from what is known
//! ([`Knowledge`]), and features add to lists.

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use super::chosen::{ChosenReleases, FEATURES, RELEASES, laid};
use super::error::Error;
use super::features::{self, Features};
use super::load::{self, Place};
use super::merge;
use super::names::{folder, releases};
use super::provenance::LoadedFile;
use super::site;
use crate::knowledge::Knowledge;

/// The release of Lustre that a target and its ancestors name.
pub(super) fn release_of(said: &Table) -> Option<&str> {
    said.get(RELEASES)?.get("lustre")?.as_str()
}

/// What a target and its ancestors say, with the release `release` of Lustre in place of the one that they name.
///
/// # Errors
/// As [`laid`].
pub(super) fn instead(said: Table, release: &str) -> Result<Table, String> {
    let lustre = Table::from_iter([("lustre".to_owned(), Value::from(release))]);
    let over = Table::from_iter([(RELEASES.to_owned(), Value::Table(lustre))]);
    laid(said, over)
}

/// The whole table of the target at `place`, of what it and its ancestors say themselves.
pub(super) fn composed(
    specs: &Path,
    place: &Place,
    mut said: Table,
    read: &mut Vec<LoadedFile>,
) -> Result<(Table, ChosenReleases), Error> {
    let invalid = |message: String| Error::Invalid {
        name: place.name.clone(),
        place: place.path.display().to_string(),
        message,
    };
    let chosen = chosen(&mut said).map_err(invalid)?;
    let mut base = Table::new();
    let mut below = Vec::new();
    for (package, release) in [("e2fsprogs", &chosen.e2fsprogs), ("lustre", &chosen.lustre)] {
        let Some(release) = release else { continue };
        let known = releases(specs, package)?;
        if !known.contains(release) {
            return Err(invalid(format!(
                "{RELEASES}.{package} is `{release}`, and specs/{} has no such file; available releases: {}",
                folder(package),
                known.join(", ")
            )));
        }
        let name = format!("{}/{release}", folder(package));
        let part = load::part(specs, place, &name, 1, &mut below)?;
        base = merge::merged(base, part);
    }
    same_kinds(&base, &said).map_err(invalid)?;
    // What a release says counts only where the target says nothing.
    below.append(read);
    *read = below;
    let series = table_of(&mut base, "series").map_err(invalid)?;
    let lacks = table_of(&mut base, "lacks").map_err(invalid)?;
    if !said.contains_key("boot") {
        base.remove("boot");
    }
    let mut whole = merge::merged(base, said.clone());
    if let Some(release) = &chosen.lustre {
        let knowledge = Knowledge::load(specs).map_err(|error| invalid(error.to_string()))?;
        let overlay = whole.get("lustre").and_then(|table| table.get("overlay"));
        let overlays = overlay
            .and_then(Value::as_str)
            .map(|name| site::with_those_below(specs, Some(&place.path), name));
        let overlays = overlays.unwrap_or_default();
        fit(&mut whole, &said, &series, &knowledge, &overlays);
        told(&mut whole, release);
    }
    if !chosen.features.is_empty() {
        let features = Features::load(specs).map_err(invalid)?;
        features::add(&features, &chosen.features, &lacks, &said, &mut whole).map_err(invalid)?;
    } else {
        features::finish(&mut whole, &said);
    }
    Ok((whole, chosen))
}

/// Where a repository is, says nothing of a release that is in none.
///
/// # Errors
/// The package whose release is of another kind, and what to do.
fn same_kinds(base: &Table, said: &Table) -> Result<(), String> {
    for package in ["lustre", "e2fsprogs"] {
        let source = |table: &Table| Some(table.get(package)?.get("source")?.clone());
        let (Some(release), Some(place)) = (source(base), source(said)) else {
            continue;
        };
        let kind = |source: &Value| Some(source.as_table()?.keys().next()?.clone());
        if merge::is_place_alone(&place) && kind(&release) != kind(&place) {
            return Err(format!(
                "{package}.source sets the repository of {package}, but the source of the chosen release is not a repository: {release}. \
                 Choose another release, or remove the key"
            ));
        }
    }
    Ok(())
}

/// A table of the release that is none of a target's.
fn table_of(base: &mut Table, key: &str) -> Result<BTreeMap<String, String>, String> {
    let Some(value) = base.remove(key) else {
        return Ok(BTreeMap::new());
    };
    value
        .try_into()
        .map_err(|error| format!("{key} of the release of Lustre is a table of texts: {error}"))
}

/// Takes `releases` and `features` out of the table.
fn chosen(said: &mut Table) -> Result<ChosenReleases, String> {
    let mut chosen = ChosenReleases::default();
    if let Some(releases) = said.remove(RELEASES) {
        let wrong = || {
            format!(
                "{RELEASES} is a table of releases: `lustre = \"2.17.0\"`, `e2fsprogs = \"1.47.3-wc2\"`"
            )
        };
        let Value::Table(table) = releases else {
            return Err(wrong());
        };
        for (package, release) in table {
            let place = match package.as_str() {
                "lustre" => &mut chosen.lustre,
                "e2fsprogs" => &mut chosen.e2fsprogs,
                _ => {
                    return Err(format!(
                        "{RELEASES}.{package} is unknown: {RELEASES} has `lustre` and `e2fsprogs`"
                    ));
                }
            };
            let Value::String(release) = release else {
                return Err(wrong());
            };
            *place = Some(release);
        }
    }
    if let Some(features) = said.remove(FEATURES) {
        chosen.features = features.try_into().map_err(|_| {
            format!(
                "{FEATURES} is a table of names, each true or false: `gss = true`, `o2ib = false`"
            )
        })?;
    }
    Ok(chosen)
}

/// What Lustre needs for the kernel, where the target does not say it itself: the series of ldiskfs, and the fixup, which is an option of
/// one of the `overlays`.
fn fit(
    whole: &mut Table,
    said: &Table,
    series: &BTreeMap<String, String>,
    knowledge: &Knowledge,
    overlays: &[String],
) {
    let text = |key: &str| whole.get("lustre")?.get(key)?.as_str().map(str::to_owned);
    let Some(version) = text("version") else {
        return;
    };
    let kernel = kernel(whole);
    let says = |key: &str| {
        said.get("lustre")
            .is_some_and(|lustre| lustre.get(key).is_some())
    };
    let rule = kernel
        .as_ref()
        .and_then(|kernel| kernel.split_once('-'))
        .and_then(|(_, release)| knowledge.rule(&version, release).ok().flatten());
    let found = match (rule, &kernel) {
        (Some(rule), _) => rule.series.clone(),
        (None, Some(kernel)) => series.get(&family(kernel)).cloned(),
        (None, None) => None,
    };
    let options = kernel.as_ref().and_then(|kernel| {
        let (_, release) = kernel.split_once('-')?;
        Some(knowledge.options(&version, release, overlays, &[]))
    });
    let (has_series, has_options) = (says("ldiskfs_series"), says("options"));
    let Some(lustre) = whole.get_mut("lustre").and_then(Value::as_table_mut) else {
        return;
    };
    if let Some(found) = found
        && !has_series
    {
        lustre.insert("ldiskfs_series".to_owned(), Value::String(found));
    }
    if let Some(options) = options.filter(|options| !options.is_empty())
        && !has_options
    {
        let list = options.into_iter().map(Value::String).collect();
        lustre.insert("options".to_owned(), Value::Array(list));
    }
}

/// The kernel, as far as the target names it: `VERSION-RELEASE` of the source package, of the tree that it is made of, or of Debian's.
fn kernel(whole: &Table) -> Option<String> {
    let text = |path: &[&str]| {
        let mut at = whole.get(path[0])?;
        for key in &path[1..] {
            at = at.get(key)?;
        }
        at.as_str().map(str::to_owned)
    };
    text(&["kernel", "version"])
        .or_else(|| text(&["distribution", "kernel", "source", "git", "tag"]))
        .or_else(|| text(&["distribution", "kernel", "source", "debian", "version"]))
}

/// The series of kernels that a version is of: `6.12` of `6.12.8-1`.
fn family(version: &str) -> String {
    let mut parts = version.split('.');
    let (first, second) = (parts.next(), parts.next());
    [first, second]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(".")
}

/// `$lustre` in the description.
fn told(whole: &mut Table, release: &str) {
    if let Some(Value::String(description)) = whole.get_mut("description") {
        *description = description.replace("$lustre", release);
    }
}

#[cfg(test)]
mod tests;
