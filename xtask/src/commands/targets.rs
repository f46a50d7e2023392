//! `cargo xtask targets`

use lustre_packaging::knowledge::{self, Knowledge, Outcome, Range};
use lustre_packaging::target::{self, Target};
use serde::Serialize;

use crate::exit::Outcome as Exit;
use crate::place;
use crate::ui;

/// Lists the targets with what each builds, or which Lustre goes with which kernel.
pub fn run(matrix: bool, json: bool) -> anyhow::Result<Exit> {
    let specs = place::specs();
    let mut targets = Vec::new();
    for name in target::list(&specs)? {
        targets.push(Target::load(&specs, &name)?);
    }
    if matrix {
        let knowledge = Knowledge::load(&specs)?;
        let mut releases = target::lustre_releases(&specs)?;
        releases.sort_by(|a, b| knowledge::in_order(&a.1, &b.1));
        let rows = rows(&knowledge, &releases, &targets);
        if json {
            ui::print(&serde_json::to_string_pretty(&rows)?);
        } else {
            ui::say(
                "based on the patches and sources; docs/rocky.md says what was built, and where",
            );
            ui::print(table(&rows).trim_end());
        }
        return Ok(Exit::Done);
    }
    if json {
        ui::print(&serde_json::to_string_pretty(&targets)?);
        return Ok(Exit::Done);
    }
    for target in targets {
        ui::print(&format!("{:16} {}", target.name, target.description));
        ui::print(&format!("{:16}   {}", "", target.summary()));
    }
    Ok(Exit::Done)
}

/// What is known of a release of Lustre with some kernels of a release of Enterprise Linux.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Row {
    /// The release of Lustre, as `--lustre` takes it.
    lustre: String,
    /// The release of Enterprise Linux.
    el: String,
    /// The first of the kernels, and the first after them.
    from: Option<String>,
    before: Option<String>,
    /// `builds`, `fixup`, `no`, or `unknown`.
    result: &'static str,
    /// Whose kernel the servers run: `patched`, or the `distribution`'s own.
    kernel: Option<&'static str>,
    /// The series of ldiskfs.
    series: Option<String>,
    /// The option of Lustre's overlay that has the fixup.
    option: Option<String>,
    why: Option<String>,
    instead: Option<String>,
    /// The targets that have such a kernel: those that take this release, and those that can, with `--lustre`.
    targets: Vec<String>,
    with_lustre: Vec<String>,
}

fn rows(knowledge: &Knowledge, releases: &[(String, String)], targets: &[Target]) -> Vec<Row> {
    let mut minors: Vec<&str> = knowledge.minors();
    let of_targets = targets
        .iter()
        .filter_map(|target| target.distribution.variables.get("releasever"));
    minors.extend(of_targets.map(String::as_str));
    minors.sort_by_key(|el| numbers(el));
    minors.dedup();
    let mut rows = Vec::new();
    for (release, version) in releases {
        for el in &minors {
            for range in knowledge.ranges(version, el) {
                rows.push(row(release, el, &range, targets));
            }
        }
    }
    rows
}

/// A release in numbers, for its order.
fn numbers(release: &str) -> Vec<u32> {
    let parts = release.split('.');
    parts.map(|part| part.parse().unwrap_or_default()).collect()
}

fn row(release: &str, el: &str, range: &Range<'_>, targets: &[Target]) -> Row {
    let rule = range.rule;
    let result = match rule.map(|rule| rule.result) {
        Some(Outcome::Builds) => "builds",
        Some(Outcome::Fixup) => "fixup",
        Some(Outcome::No) => "no",
        None => "unknown",
    };
    let goes = matches!(result, "builds" | "fixup");
    let named = |target: &&Target| {
        let kernel = target.kernel.version.as_deref();
        let kernel = kernel.and_then(|version| version.split_once('-'));
        target
            .distribution
            .variables
            .get("releasever")
            .map(String::as_str)
            == Some(el)
            && kernel.is_some_and(|(_, kernel)| range.has(kernel))
    };
    let (own, others): (Vec<&Target>, Vec<&Target>) = targets
        .iter()
        .filter(named)
        .partition(|target| target.chosen.lustre.as_deref() == Some(release));
    let names = |of: Vec<&Target>| of.into_iter().map(|target| target.name.clone()).collect();
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Row {
        lustre: release.to_owned(),
        el: el.to_owned(),
        from: owned(range.from),
        before: owned(range.before),
        result,
        kernel: rule.filter(|_| goes).map(|rule| {
            if rule.patchless {
                "distribution"
            } else {
                "patched"
            }
        }),
        series: rule.filter(|_| goes).and_then(|rule| rule.series.clone()),
        option: rule.and_then(|rule| rule.option.clone()),
        why: rule.and_then(|rule| rule.why.clone()),
        instead: rule.and_then(|rule| rule.instead.clone()),
        targets: names(own),
        with_lustre: if goes { names(others) } else { Vec::new() },
    }
}

/// The rows in words, a block for each release of Lustre.
fn table(rows: &[Row]) -> String {
    let mut text = String::new();
    let mut last = None;
    for row in rows {
        if last != Some(&row.lustre) {
            text.push_str(&format!("Lustre {}\n", row.lustre));
            last = Some(&row.lustre);
        }
        text.push_str(&format!(
            "  {:5} {:22} {}\n",
            row.el,
            kernels(row),
            said(row)
        ));
    }
    text
}

fn kernels(row: &Row) -> String {
    match (&row.from, &row.before) {
        (None, None) => "every kernel".to_owned(),
        (None, Some(before)) => format!("before {before}"),
        (Some(from), None) => format!("from {from}"),
        (Some(from), Some(before)) => format!("{from} to before {before}"),
    }
}

fn said(row: &Row) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut said = match row.result {
        "builds" => "builds".to_owned(),
        "fixup" => format!(
            "builds with the fixup `{}`: {}",
            text(&row.option),
            text(&row.why)
        ),
        "no" => return format!("no: {}; {}", text(&row.why), text(&row.instead)),
        _ => return "unknown".to_owned(),
    };
    if row.kernel == Some("distribution") {
        said.push_str(", for the distribution's own kernel");
    }
    for (names, with) in [(&row.targets, ""), (&row.with_lustre, "--lustre: ")] {
        if !names.is_empty() {
            said.push_str(&format!(" ({with}{})", names.join(", ")));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_says_what_goes_with_what_and_why_not() {
        let specs = place::specs();
        let targets: Vec<Target> = ["rocky-8.10", "rocky-9.4", "rocky-9.5", "rocky-10.0"]
            .into_iter()
            .map(|name| Target::load(&specs, name).unwrap())
            .collect();
        let knowledge = Knowledge::load(&specs).unwrap();
        let releases = target::lustre_releases(&specs).unwrap();
        let named: Vec<&str> = releases.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            named.contains(&"2.15.8") && !named.contains(&"model"),
            "{named:?}"
        );
        let rows = rows(&knowledge, &releases, &targets);
        let of = |lustre: &str, el: &str| -> Vec<&Row> {
            let fits = |row: &&Row| row.lustre == lustre && row.el == el;
            rows.iter().filter(fits).collect()
        };
        let eight = of("2.15.8", "8.10");
        assert!(eight.iter().all(|row| row.result == "builds"), "{eight:?}");
        assert!(
            eight.iter().any(|row| row.with_lustre == ["rocky-8.10"]),
            "{eight:?}"
        );
        let four = of("2.16.1", "9.4");
        assert_eq!((four[0].result, four[1].result), ("builds", "no"));
        assert_eq!(four[0].before.as_deref(), Some("427.42.1"));
        let five = of("2.16.1", "9.5");
        assert_eq!((five.len(), five[0].result), (1, "no"));
        assert!(five[0].why.is_some() && five[0].instead.is_some());
        let ten = of("2.17.0", "10.0");
        let last = ten.last().unwrap();
        assert_eq!((last.result, last.kernel), ("fixup", Some("distribution")));
        assert_eq!(last.targets, ["rocky-10.0"]);
        let text = table(&rows);
        assert!(
            text.contains("Lustre 2.15.8\n  8.10  before 553.22.1"),
            "{text}"
        );
        // Ten is after nine.
        assert!(numbers("9.8") < numbers("10.0"));
    }
}
