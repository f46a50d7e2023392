//! No files of the tool depend on each other in a cycle: each can be read with what it builds on, and without what builds on it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;

use lustre_repo_tests::command_line::project;
use lustre_repo_tests::tool_code::{Uses, project_files};

/// For each file what it uses, by name.
type Named<'a> = BTreeMap<&'a str, BTreeMap<&'a str, BTreeSet<String>>>;

/// The shortest way from `start` along the uses back to it.
fn cycle<'a>(named: &Named<'a>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(file) = next.pop_front() {
        for &used in named[file].keys() {
            if used == start {
                let mut way = vec![start, file];
                while way[way.len() - 1] != start {
                    way.push(came_from[way[way.len() - 1]]);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(used) {
                came_from.insert(used, file);
                next.push_back(used);
            }
        }
    }
    None
}

/// Each cycle once, with what is used on the way.
fn cycles(named: &Named) -> BTreeMap<Vec<String>, String> {
    let mut all = BTreeMap::new();
    for &start in named.keys() {
        let Some(way) = cycle(named, start) else {
            continue;
        };
        let steps = way.windows(2).map(|pair| {
            let names: Vec<_> = named[pair[0]][pair[1]].iter().cloned().collect();
            format!("{} uses {} of {}", pair[0], names.join(", "), pair[1])
        });
        let mut members: Vec<String> = way[1..].iter().map(|file| (*file).to_owned()).collect();
        members.sort();
        all.insert(members, steps.collect::<Vec<_>>().join("\n  "));
    }
    all
}

#[test]
fn no_files_use_each_other_in_a_cycle() {
    let read = Uses::read(project(), &project_files());
    let cycles = cycles(&read.named());
    let ways: Vec<&str> = cycles.values().map(String::as_str).collect();
    assert!(
        ways.is_empty(),
        "{} cycles; move what is used to a file that both build on:\n{}",
        ways.len(),
        ways.join("\n")
    );
}

/// Text that was broken into lines and joined again without its `\`.
#[test]
fn no_message_has_the_blanks_of_lines_that_were_joined() {
    let mut joined = Vec::new();
    for file in project_files() {
        let text = fs::read_to_string(project().join(&file)).unwrap();
        for (at, line) in text.lines().enumerate() {
            let mut parts = line.trim_start().split("        ");
            let before = parts.next().unwrap();
            let after = parts.next().map(str::trim_start).unwrap_or_default();
            let goes_on = |c: char| c.is_ascii_lowercase() || c == '`';
            if before.ends_with(|c| goes_on(c) || c == ',')
                && after.starts_with(goes_on)
                && before.matches('"').count() % 2 == 1
            {
                joined.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    assert!(joined.is_empty(), "{}", joined.join("\n"));
}

#[test]
fn a_cycle_is_found_whichever_of_its_files_is_asked() {
    let uses = |names: &[&'static str]| -> BTreeMap<&'static str, BTreeSet<String>> {
        let names = names.iter();
        names
            .map(|name| (*name, BTreeSet::from(["Name".to_owned()])))
            .collect()
    };
    let named = BTreeMap::from([
        ("a", uses(&["b"])),
        ("b", uses(&["c", "d"])),
        ("c", uses(&["a"])),
        ("d", uses(&[])),
    ]);
    let cycles = cycles(&named);
    assert_eq!(cycles.len(), 1);
    let (members, way) = cycles.into_iter().next().unwrap();
    assert_eq!(members, ["a", "b", "c"]);
    assert!(way.contains("b uses Name of c"), "{way}");
}
