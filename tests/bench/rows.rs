//! The rows of the table, and what each has to reach: `rows.toml`.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::options::Options;

/// One comparison.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// What it is called on the command line.
    pub name: String,
    /// What is done.
    pub what: String,
    /// The same in the short form; a row without is not in it.
    pub short: Option<String>,
    /// Whose work ours is held against.
    pub peer: Option<String>,
    /// How many times as fast as the peer it is to be.
    pub goal: Option<f64>,
    /// The ratio below which the bench fails.
    pub floor: Option<f64>,
    /// The same in the short form, where another size has another ratio.
    pub short_floor: Option<f64>,
    /// Without a peer: how many seconds it may take.
    pub goal_seconds: Option<f64>,
    /// Without a peer: the seconds over which the bench fails.
    pub ceiling_seconds: Option<f64>,
    /// How much memory it may take: in MB, or no more than the peer.
    pub memory: Option<Memory>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    Megabytes(f64),
    /// No more than the peer takes.
    Peer,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    row: Vec<Row>,
}

impl Row {
    pub fn what(&self, short: bool) -> &str {
        match &self.short {
            Some(what) if short => what,
            _ => &self.what,
        }
    }

    pub fn floor(&self, short: bool) -> Option<f64> {
        self.short_floor.filter(|_| short).or(self.floor)
    }
}

/// All rows, as the file has them.
fn all() -> Result<Vec<Row>> {
    let table: Table = toml::from_str(include_str!("rows.toml")).context("rows.toml")?;
    for row in &table.row {
        let judged = if row.peer.is_some() {
            row.goal.is_some() && row.floor.is_some()
        } else {
            row.goal_seconds.is_some() && row.ceiling_seconds.is_some()
        };
        ensure!(judged, "rows.toml: {} has no goal or no floor", row.name);
    }
    Ok(table.row)
}

/// The rows that were asked for: `repodata` also means `repodata-large`.
pub fn chosen(options: &Options) -> Result<Vec<Row>> {
    let all = all()?;
    let means = |name: &str, row: &Row| {
        row.name
            .strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    for name in &options.names {
        let names: Vec<&str> = all.iter().map(|row| row.name.as_str()).collect();
        ensure!(
            all.iter().any(|row| means(name, row)),
            "there is no bench `{name}`; there are {}",
            names.join(", ")
        );
    }
    let chosen: Vec<Row> = all
        .into_iter()
        .filter(|row| options.names.is_empty() || options.names.iter().any(|name| means(name, row)))
        .filter(|row| !options.short || row.short.is_some())
        .collect();
    ensure!(
        !chosen.is_empty(),
        "none of {} has a short form",
        options.names.join(", ")
    );
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(line: &[&str]) -> Vec<String> {
        let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        let chosen = chosen(&Options::parse(&line).unwrap()).unwrap();
        chosen.into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn a_name_means_its_variants() {
        let all = names(&[]);
        assert!(all.len() > 10, "{all:?}");
        assert_eq!(names(&["sign"]), ["sign", "sign-large"]);
        assert_eq!(names(&["sign-large"]), ["sign-large"]);
        assert!(names(&["--short"]).len() < all.len());
        let unknown = Options::parse(&["sig".to_owned()]).unwrap();
        let said = chosen(&unknown).unwrap_err().to_string();
        assert!(
            said.contains("no bench `sig`") && said.contains("closure"),
            "{said}"
        );
    }
}
