//! e2fsprogs: its series on its source, and the version that Lustre's tree asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::report::{Check, Problem};
use super::requirements::{Requirement, of_m4, of_spec};
use super::{Error, LUSTRE_SPEC, configure_texts, read_text, series, texts};
use crate::archive;
use crate::build::e2fsprogs::{SPEC, VERSION, release_of, split};
use crate::target;

/// Lines of context a hunk may ignore: our spec applies the series as rpm does by default, exactly.
const FUZZ: u8 = 0;

/// What the checks look at.
#[derive(Debug)]
pub(super) struct Inputs<'a> {
    /// The target's e2fsprogs.
    pub(super) wanted: &'a target::E2fsprogs,
    /// The folder of its spec and series.
    pub(super) folder: &'a Path,
    /// rpm's `%dist`.
    pub(super) dist: &'a str,
    /// The upstream archive.
    pub(super) archive: &'a Path,
    /// Lustre's tree.
    pub(super) lustre: &'a Path,
    /// What that is, for messages.
    pub(super) label: &'a str,
}

/// Both checks; `scratch` is a folder to unpack to.
pub(super) fn checks(inputs: &Inputs<'_>, scratch: &Path) -> Result<Vec<Check>, Error> {
    let loaded = match inputs.wanted.series.as_deref() {
        Some(series) => series::load(inputs.folder, series, "patches", &[]),
        None => series::Loaded::default(),
    };
    let touched = series::touched(&loaded.patches);
    archive::unpack_only(inputs.archive, scratch, 1, &|path| {
        touched.contains(path)
            || path == Path::new(VERSION)
            || path.to_string_lossy().ends_with(".pc.in")
    })?;
    let tried = series::try_on(scratch, &loaded.patches, FUZZ)?;
    let mut problems = loaded.problems;
    problems.extend(tried.problems);
    let message = format!(
        "{} of {} patches apply to e2fsprogs {}",
        tried.good, loaded.listed, inputs.wanted.version
    );
    let name = "e2fsprogs series";
    let series = match inputs.wanted.series.as_deref() {
        None => Check::not_needed(name, "the source already supports Lustre"),
        Some(_) => Check::of(name, message, problems),
    };
    let series = series
        .hint("rebase the patches on this release, or use the release that they were made for");
    Ok(vec![series, version(inputs, scratch)?])
}

/// Whether e2fsprogs is what the target says it is, and new enough for Lustre.
fn version(inputs: &Inputs<'_>, source: &Path) -> Result<Check, Error> {
    let name = "e2fsprogs version";
    let mut problems = Vec::new();
    let text = read_text(&source.join(VERSION)).unwrap_or_default();
    let found = release_of(&text);
    if found.as_deref().map(|found| split(found).0) != Some(inputs.wanted.version.as_str()) {
        problems.push(Problem::of_file(
            VERSION,
            format!(
                "{VERSION}: the source is release {}, the target says {} (`e2fsprogs.version`)",
                found.as_deref().unwrap_or("unknown"),
                inputs.wanted.version
            ),
        ));
    }
    let modules = modules(source, found.as_deref().unwrap_or(&inputs.wanted.version))?;
    let spec = read_text(&inputs.folder.join(SPEC))?;
    let release = match &inputs.wanted.release {
        Some(release) => format!("{release}{}", inputs.dist),
        None => release(&spec, inputs.dist),
    };
    let mut packages: BTreeSet<String> = inputs.wanted.packages.iter().cloned().collect();
    packages.extend(provided(&spec));
    let mut asked = Vec::new();
    let mut judge = |file: &str, one: Requirement, holds: Option<bool>| {
        let Some(holds) = holds else { return };
        asked.push(one.to_string());
        let why = if !one.is_plain() {
            "its version is not known before configure runs".to_owned()
        } else if !holds {
            format!("the target has {}", inputs.wanted.version)
        } else {
            return;
        };
        problems.push(Problem {
            line: Some(one.line),
            ..Problem::of_file(
                file,
                format!(
                    "{file}:{}: {} requires {one}, {why}",
                    one.line, inputs.label
                ),
            )
        });
    };
    for (file, text) in configure_texts(inputs.lustre)? {
        for one in of_m4(&text) {
            let holds = modules
                .get(&one.name)
                .map(|have| one.holds_for_module(have));
            judge(&file, one, holds);
        }
    }
    for one in of_spec(&read_text(&inputs.lustre.join(LUSTRE_SPEC))?) {
        let known = packages.contains(&one.name);
        let holds = known.then(|| one.holds_for_package(&inputs.wanted.version, &release));
        judge(LUSTRE_SPEC, one, holds);
    }
    let asked = if asked.is_empty() {
        "names no version".to_owned()
    } else {
        format!("asks for {}", asked.join(", "))
    };
    let message = format!("{}; {} {asked}", inputs.wanted.version, inputs.label);
    Ok(Check::of(name, message, problems).hint(
        "use a newer e2fsprogs in the target (`e2fsprogs.source`, `e2fsprogs.version`) or an older Lustre (--source lustre=PATH@REV)",
    ))
}

/// The pkg-config modules that the source makes, with their versions.
fn modules(source: &Path, release: &str) -> Result<BTreeMap<String, String>, Error> {
    let mut modules = BTreeMap::new();
    for (file, text) in texts(source, &|name| name.ends_with(".pc.in"))? {
        let name = file.rsplit('/').next().unwrap_or(&file);
        let version = text.lines().find_map(|line| line.strip_prefix("Version:"));
        if let Some(version) = version {
            modules.insert(
                name.trim_end_matches(".pc.in").to_owned(),
                version.trim().replace("@E2FSPROGS_VERSION@", release),
            );
        }
    }
    Ok(modules)
}

/// What the packages of our spec provide by the package's own version.
pub(crate) fn provided(spec: &str) -> impl Iterator<Item = String> + '_ {
    spec.lines().filter_map(|line| {
        let value = line.strip_prefix("Provides:")?;
        let (name, version) = value.split_once('=')?;
        (version.trim() == "%{version}").then(|| name.trim().to_owned())
    })
}

/// The release of our spec, with what the spec gives its macros where nobody else does.
pub(crate) fn release(spec: &str, dist: &str) -> String {
    let value = spec.lines().find_map(|line| line.strip_prefix("Release:"));
    let given = "%{!?e2fsprogs_release:%global e2fsprogs_release ";
    let default = spec.lines().find_map(|line| line.strip_prefix(given));
    let default = default.unwrap_or_default().trim_end();
    value
        .unwrap_or_default()
        .trim()
        .replace(
            "%{e2fsprogs_release}",
            default.strip_suffix('}').unwrap_or(default),
        )
        .replace("%{?dist}", dist)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_spec_says_what_it_provides() {
        let spec = "Name: e2fsprogs\nRelease:   2%{?dist}\nProvides:  ldiskfsprogs = %{version}\nProvides: x\n";
        assert_eq!(release(spec, ".t1"), "2.t1");
        let spec_of_ours = "%{!?e2fsprogs_release:%global e2fsprogs_release 100.x}\nRelease: %{e2fsprogs_release}%{?dist}\n";
        assert_eq!(release(spec_of_ours, ".t1"), "100.x.t1");
        assert_eq!(provided(spec).collect::<Vec<_>>(), ["ldiskfsprogs"]);
    }

    #[test]
    fn modules_have_the_version_of_the_source_or_their_own() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lib")).unwrap();
        for (name, version) in [("ext2fs", "@E2FSPROGS_VERSION@"), ("uuid", "2.0")] {
            let text = format!("prefix=@prefix@\nName: {name}\nVersion: {version}\n");
            fs::write(dir.path().join(format!("lib/{name}.pc.in")), text).unwrap();
        }
        let found = modules(dir.path(), "1.47.0").unwrap();
        assert_eq!(found["ext2fs"], "1.47.0");
        assert_eq!(found["uuid"], "2.0");
    }
}
