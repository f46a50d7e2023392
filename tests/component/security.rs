//! `docs/security.md`: every test that it names is there, and every row names one; and what CI runs of others is pinned.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_repo_tests::tool_code::project_files;

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
        .filter(|line| line.starts_with("| ") && !line.starts_with("| attacker | attack "))
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

/// The code of the tool without its tests, by file.
fn sources() -> Vec<(String, String)> {
    // The crate `process` is what the programs are started by, and `files` starts none.
    let files = project_files().into_iter();
    let files = files.filter(|name| !name.starts_with("process/"));
    files
        .map(|name| {
            let text = fs::read_to_string(project().join(&name)).unwrap();
            let end = text.find("\n#[cfg(test)]\nmod tests {");
            let code = text[..end.unwrap_or(text.len())].to_owned();
            (name, code)
        })
        .collect()
}

/// What stands after `before` up to a bracket or a comma, everywhere.
fn after<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    text.split(before)
        .skip(1)
        .map(|rest| rest.split([')', ',']).next().unwrap_or_default().trim())
        .collect()
}

/// Where the program that is started is no word in the code: which it can be.
const CHOSEN: [(&str, &str, &[&str]); 8] = [
    // What `specs/host-tools.toml` has a check for, and an installer.
    ("packaging/src/host.rs", "program", &["dnf", "python3"]),
    (
        "packaging/src/host.rs",
        "&line[0]",
        &["sudo", "apt-get", "dnf"],
    ),
    ("packaging/src/host.rs", "NAMESPACE[0]", &["unshare"]),
    (
        "packaging/src/boot/qemu.rs",
        "program",
        &["qemu-system-x86_64"],
    ),
    ("distro/src/provides.rs", "ELFDEPS", &["elfdeps"]),
    (
        "distro/src/debian/mod.rs",
        "program",
        &["apt-get", "apt-helper"],
    ),
    (
        "xtask/src/commands/bench.rs",
        "std::env::var_os(\"CARGO\"",
        &["cargo"],
    ),
    (
        "xtask/src/commands/test.rs",
        "std::env::var_os(\"CARGO\"",
        &["cargo"],
    ),
];

#[test]
fn every_program_that_is_started_is_in_the_table_of_what_runs_as_whom() {
    let text = fs::read_to_string(project().join("docs/architecture.md")).unwrap();
    let table = text.split("### What runs as whom").nth(1).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what | "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 12, "{rows:#?}");
    // Programs of the rows, outside of sandboxes or in them: of `rpmbuild -bs`, the first word.
    let named = |outside: bool| -> BTreeSet<&str> {
        let of = rows
            .iter()
            .filter(|row| (row[2] == "all of theirs") == outside);
        of.flat_map(|row| row[0].split('`').skip(1).step_by(2))
            .filter_map(|name| name.split(' ').next())
            .filter(|name| !name.starts_with("--"))
            .collect()
    };
    let (outside, inside) = (named(true), named(false));
    let mut wrong = Vec::new();
    let mut started = BTreeSet::new();
    for (file, code) in sources() {
        let literal = |word: &str| {
            let word = word.strip_prefix('"')?.strip_suffix('"')?;
            Some(word.to_owned())
        };
        // The one constructor of processes, and what becomes the tool again.
        for word in [
            after(&code, "process::command("),
            after(&code, "ourselves("),
        ]
        .concat()
        {
            let chosen = CHOSEN.iter().find(|one| one.0 == file && one.1 == word);
            match (literal(word), chosen) {
                (Some(program), _) => drop(started.insert(program)),
                (None, Some((_, _, programs))) => {
                    started.extend(programs.iter().map(|one| (*one).to_owned()));
                }
                (None, None) => wrong.push(format!("{file} starts `{word}`, whatever that is")),
            }
        }
        // What a sandbox is asked to run.
        for before in [
            "sandbox.command(",
            ".judged(",
            "step.run(",
            "tool::run(input, ",
            "tool::run(&context.input, ",
        ] {
            for program in after(&code, before).into_iter().filter_map(literal) {
                if !inside.contains(program.as_str()) && program != "true" {
                    wrong.push(format!(
                        "{file} has `{program}` run in a sandbox, and no row has it"
                    ));
                }
            }
        }
    }
    // By way of another: `prlimit` becomes curl, and a sandbox's beginning these.
    started.extend(["curl", "nsenter", "bwrap"].map(str::to_owned));
    let started: BTreeSet<&str> = started.iter().map(String::as_str).collect();
    for program in started.difference(&outside) {
        wrong.push(format!(
            "`{program}` is started outside of sandboxes, and no row says so"
        ));
    }
    for program in outside.difference(&started) {
        wrong.push(format!(
            "a row has `{program}` outside of sandboxes, and nothing starts it"
        ));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A tag of an action can be moved by whoever has its repository, and what CI runs with it.
#[test]
fn every_action_of_a_workflow_is_pinned_by_its_commit() {
    let mut seen = 0;
    for item in fs::read_dir(project().join(".github/workflows")).unwrap() {
        let path = item.unwrap().path();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let step = line.trim_start().trim_start_matches("- ");
            let Some(action) = step.strip_prefix("uses: ") else {
                continue;
            };
            seen += 1;
            let action = action.split_whitespace().next().unwrap();
            let commit = action.split_once('@').map_or("", |(_, commit)| commit);
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_commit, "{}: {action}", path.display());
        }
    }
    assert!(seen > 3, "{seen}");
}
