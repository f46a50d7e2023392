//! Results that cannot be written: every command fails then, and says why.

use std::collections::BTreeSet;
use std::fs;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, run_to_full};

/// Results that need neither a built store nor the network. `KEY` stands for the file of a key.
const RESULTS: [&[&str]; 11] = [
    &["targets"],
    &["targets", "--json"],
    &["plan"],
    &["plan", "--json"],
    &["plan", "--target", "debian-12"],
    &["key", "show", "--key-file", "KEY"],
    &["key", "show", "--json", "--key-file", "KEY"],
    &["key", "export", "--key-file", "KEY"],
    &["clean", "--dry-run"],
    &["clean", "--all", "--dry-run"],
    &["completions", "bash"],
];

/// The commands whose results need the built rehearsal, or a clone, or are files: they print in the one place that all of these do.
const ELSEWHERE: [&str; 22] = [
    "advisories",
    "assemble",
    "bench",
    "boot",
    "build",
    "bundle",
    "compare",
    "compat",
    "export",
    "fetch",
    "lock",
    "log",
    "man",
    "preflight",
    "promote",
    "publish",
    "rebuild",
    "repo",
    "shell",
    "test",
    "verify",
    "watch",
];

/// The commands that a help lists.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let home = Home::new();
    let key = home.path().join("a.key").display().to_string();
    let id = ["key", "new", "--user-id", "A <a@example.org>", "--output"];
    assert_eq!(home.run(&[&id[..], &[&key]].concat()).code, 0);
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    // Something to remove.
    let log = home.store().join("logs/kernel-0123456789abcdef.log");
    fs::write(log, "x").unwrap();

    let mut lines: Vec<Vec<String>> = vec![vec!["--help".to_owned()], vec!["help".to_owned()]];
    let top = commands(&home.run(&["--help"]).stdout);
    for name in &top {
        let below = commands(&home.run(&[name, "--help"]).stdout);
        let mut all = vec![vec![name.clone()]];
        all.extend(below.into_iter().map(|one| vec![name.clone(), one]));
        for line in all {
            lines.push([&line[..], &["--help".to_owned()]].concat());
        }
    }
    assert!(lines.len() > 15, "{lines:?}");
    if home.run(&["--version"]).code == 0 {
        lines.push(vec!["--version".to_owned()]);
    }
    for line in RESULTS {
        let word = |word: &&str| match *word {
            "KEY" => key.clone(),
            word => word.to_owned(),
        };
        lines.push(line.iter().map(word).collect());
    }
    for line in &lines {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let ran = run_to_full(&mut home.command(&line));
        assert_eq!(ran.code, 1, "{line:?}: {ran:?}");
        assert!(ran.stderr.contains("standard output"), "{line:?}: {ran:?}");
    }

    let listed = RESULTS.iter().map(|line| line[0]).chain(ELSEWHERE);
    let listed: BTreeSet<&str> = listed.collect();
    let there: BTreeSet<&str> = top.iter().map(String::as_str).collect();
    assert_eq!(
        listed, there,
        "a command whose results nobody tries to write to a full disk"
    );
}
