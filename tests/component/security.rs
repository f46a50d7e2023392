//! `docs/security.md`: every test that it names is there, and every row names one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The tests in a cell of the table: `file::name`, in backquotes.
fn named(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|quoted| quoted.split_once(".rs::"))
        .collect()
}

/// The names of the tests of a file.
fn tests_of(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim_start) {
        // Between the attribute and the function, other attributes and comments may stand.
        is_test |= line.starts_with("#[test]");
        if let Some(rest) = line.strip_prefix("fn ") {
            if is_test {
                found.insert(
                    rest.chars()
                        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                        .collect(),
                );
            }
            is_test = false;
        }
    }
    found
}

#[test]
fn every_row_names_tests_that_exist() {
    let text = fs::read_to_string(project().join("docs/security.md")).unwrap();
    let mut rows = 0;
    let mut wrong = Vec::new();
    for line in text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| who | could "))
    {
        rows += 1;
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [_, could, _, shown] = cells[..] else {
            wrong.push(format!("{} cells, not 4: {line}", cells.len()));
            continue;
        };
        let tests = named(shown);
        if tests.is_empty() {
            wrong.push(format!("no test: {could}"));
        }
        for (file, name) in tests {
            let path = project().join(format!("{file}.rs"));
            if !tests_of(&path).contains(name) {
                wrong.push(format!("{file}.rs has no test {name}"));
            }
        }
    }
    assert!(rows > 20, "{rows} rows");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_reported_is_read_where_it_is_said() {
    let text = fs::read_to_string(project().join("SECURITY.md")).unwrap();
    assert!(text.contains("(docs/security.md)") && project().join("docs/security.md").is_file());
}
