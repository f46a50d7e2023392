//! What is well-formed is read, whatever it is: inputs by their grammar, where the fuzzer has damaged ones. What a format promises of what it
//! reads is what its own check says, mostly against another tool: GNU patch, rpm, sha256sum.

// Helpers of tests fail by panicking, too.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_repo_fuzz::{ParseOutcome, formats};
use lustre_repository::sums;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseError;

/// Most of them ask another program.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// That the format `name` reads `input`, and keeps its promises.
fn reads(name: &str, input: &str) -> Result<(), TestCaseError> {
    let formats = formats::all();
    let format = formats.iter().find(|format| format.name() == name).unwrap();
    // What is made beside the folder of a case is a finding.
    let around = tempfile::tempdir().unwrap();
    let folder = around.path().join("case");
    fs::create_dir(&folder).unwrap();
    match format.check(input.as_bytes(), &folder) {
        Ok(ParseOutcome::Accepted) => Ok(()),
        Ok(ParseOutcome::Refused(why)) => {
            Err(TestCaseError::fail(format!("refused: {why}\n{input}")))
        }
        Err(broken) => Err(TestCaseError::fail(format!("{broken}\n{input}"))),
    }
}

/// What the format `patch` tries patches on.
const FILE: &str = "fs/ext4/super.c";
const LINES: [&str; 10] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
];

/// A line's place, and what becomes of it: nothing, another, more of them.
fn edits() -> impl Strategy<Value = BTreeMap<usize, Vec<String>>> {
    let line = select(vec![
        "",
        "one",
        "\tif (x)",
        "-- a",
        "++ b",
        "@@ -1 +1 @@",
        "\\ No",
    ]);
    let lines = prop::collection::vec(line.prop_map(str::to_owned), 0..4);
    prop::collection::btree_map(0..LINES.len(), lines, 1..5)
}

/// The patch that makes another text of one, as GNU diff writes it.
fn diff(folder: &Path, edits: &BTreeMap<usize, Vec<String>>, context: usize) -> String {
    let before: String = LINES.map(|line| format!("{line}\n")).concat();
    let lines = LINES.iter().enumerate().flat_map(|(at, line)| {
        let edited = edits.get(&at).cloned();
        edited.unwrap_or_else(|| vec![(*line).to_owned()])
    });
    let after: String = lines.map(|line| line + "\n").collect();
    fs::write(folder.join("before"), before).unwrap();
    fs::write(folder.join("after"), after).unwrap();
    let mut command = Command::new("diff");
    command
        .arg(format!("--unified={context}"))
        .args([
            "--label",
            &format!("a/{FILE}"),
            "--label",
            &format!("b/{FILE}"),
        ])
        .args(["before", "after"])
        .current_dir(folder);
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

fn version() -> impl Strategy<Value = String> {
    "([0-9]{1,2}:)?[0-9a-zA-Z]([0-9a-zA-Z.+~^]{0,6}[0-9a-zA-Z])?-[0-9]([0-9a-zA-Z.~^_]{0,6}[0-9a-z])?"
}

/// A requirement without a version, or with one.
fn simple() -> impl Strategy<Value = String> {
    let how = select(vec!["<", "<=", "=", ">=", ">"]);
    let name = "[a-z][a-z0-9-]{0,5}(\\([a-z_]{1,6}\\))?";
    (name, prop::option::of((how, version()))).prop_map(|(name, version)| match version {
        Some((how, version)) => format!("{name} {how} {version}"),
        None => name,
    })
}

/// A rich requirement, as rpm's grammar has it.
fn rich() -> impl Strategy<Value = String> {
    let together = (simple(), select(vec!["with", "without"]), simple())
        .prop_map(|(one, word, other)| format!("({one} {word} {other})"));
    let leaf = prop_oneof![simple(), together];
    let chain = |word: &'static str, parts: BoxedStrategy<String>| {
        let parts = prop::collection::vec(parts, 2..4);
        parts.prop_map(move |parts| format!("({})", parts.join(word)))
    };
    // `if` may be in an `and`, and in no `or`.
    let either = chain(" or ", leaf.clone().boxed()).boxed();
    let either = prop_oneof![leaf, chain(" or ", either.clone()), either];
    let nested = either.prop_recursive(3, 12, 4, move |inner| {
        let condition = (
            inner.clone(),
            inner.clone(),
            prop::option::of(inner.clone()),
        );
        let condition = condition.prop_map(|(then, when, other)| match other {
            Some(other) => format!("({then} if {when} else {other})"),
            None => format!("({then} if {when})"),
        });
        prop_oneof![chain(" and ", inner.boxed()), condition]
    });
    nested.prop_filter("a plain requirement is no rich one", |text| {
        text.starts_with('(')
    })
}

fn fragment() -> impl Strategy<Value = String> {
    let text = "[a-z ./-]{0,6}".prop_map(|text| format!("\"{text}\""));
    let value = prop_oneof![
        select(vec!["y", "m", "n"]).prop_map(str::to_owned),
        any::<i32>().prop_map(|number| number.to_string()),
        any::<u16>().prop_map(|number| format!("{number:#x}")),
        text,
    ];
    let option = select(vec![
        "EXT4_FS",
        "HZ",
        "BASE",
        "NEW",
        "A",
        "B_2",
        "LOCALVERSION",
    ]);
    let options = prop::collection::btree_map(option, prop::option::of(value), 0..7);
    options.prop_map(|options| {
        let lines = options.into_iter().map(|(option, value)| match value {
            Some(value) => format!("CONFIG_{option}={value}\n"),
            None => format!("# CONFIG_{option} is not set\n"),
        });
        lines.collect()
    })
}

/// Files of a repository: names with whatever sha256sum does not escape.
fn tree() -> impl Strategy<Value = BTreeMap<String, Vec<u8>>> {
    let name = "[a-zA-Z0-9 *~^+_%,:=@-]{1,10}";
    let names = prop::collection::btree_set(name, 1..6);
    (names, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(names, bytes)| {
        let names: BTreeSet<String> = names;
        let files = names.into_iter().enumerate().map(|(at, name)| {
            let folder = ["", "x86_64/", "x86_64/Packages/"][at % 3];
            let content = bytes.iter().copied().skip(at).collect();
            (format!("{folder}f{name}"), content)
        });
        files.collect()
    })
}

fn sha256sum(tree: &Path) -> bool {
    let mut command = Command::new("sha256sum");
    command.args(["--check", "--strict", "--status", sums::FILE]);
    command.current_dir(tree).status().unwrap().success()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_patch_of_gnu_diff_makes_what_gnu_patch_makes_of_it(edits in edits(), context in 0_usize..5) {
        let folder = tempfile::tempdir().unwrap();
        let patch = diff(folder.path(), &edits, context);
        // The edits may say what is there.
        prop_assume!(!patch.is_empty());
        reads("patch", &patch)?;
    }

    #[test]
    fn versions_are_in_the_order_that_rpm_has(versions in prop::collection::vec((version(), version()), 1..20)) {
        let lines: String = versions.iter().map(|(one, other)| format!("{one} {other}\n")).collect();
        reads("version", &lines)?;
    }

    #[test]
    fn a_rich_requirement_is_read_and_written_as_rpm_has_it(requirement in rich()) {
        reads("rich", &requirement)?;
    }

    #[test]
    fn what_a_fragment_says_is_in_the_merged_config(fragment in fragment()) {
        reads("kconfig", &fragment)?;
    }

    #[test]
    fn sums_hold_for_the_tree_that_they_are_of_and_for_no_other(files in tree(), which in any::<prop::sample::Index>()) {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in &files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        sums::write(folder.path()).unwrap();
        prop_assert!(sha256sum(folder.path()));
        prop_assert!(sums::verify(folder.path(), &|_, _| None).unwrap().is_empty());
        let (name, content) = files.iter().nth(which.index(files.len())).unwrap();
        fs::write(folder.path().join(name), [content.as_slice(), b"."].concat()).unwrap();
        prop_assert!(!sha256sum(folder.path()));
        let differences = sums::verify(folder.path(), &|_, _| None).unwrap();
        prop_assert_eq!(differences.len(), 1);
        prop_assert!(differences[0].to_string().contains(name.as_str()));
    }
}
