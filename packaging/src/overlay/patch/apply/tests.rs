use super::*;

fn numbers(range: std::ops::RangeInclusive<u32>) -> String {
    range.map(|number| format!("{number}\n")).collect()
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("fs")).unwrap();
    fs::write(dir.path().join("fs/f"), numbers(1..=20)).unwrap();
    fs::write(dir.path().join("g"), numbers(1..=20)).unwrap();
    fs::write(dir.path().join("del"), "x\ny\n").unwrap();
    dir
}

fn patch(name: &str, content: &str) -> NamedPatch {
    NamedPatch {
        name: name.to_owned(),
        content: content.as_bytes().to_vec(),
    }
}

fn applies(results: &[PatchResult]) -> bool {
    results.iter().all(|result| result.failures.is_empty())
}

const FIRST: &str = "--- a/fs/f\n+++ b/fs/f\n@@ -5,2 +5,3 @@\n 5\n+5.5\n 6\n";
/// Needs what [`FIRST`] adds.
const SECOND: &str = "--- a/fs/f\n+++ b/fs/f\n@@ -5,3 +5,3 @@\n 5\n-5.5\n+5.6\n 6\n\
                      --- /dev/null\n+++ b/new/file\n@@ -0,0 +1 @@\n+hello\n";
const BAD: &str = include_str!("../../testdata/patch/bad.patch");

#[test]
fn a_series_is_tried_cumulatively_and_leaves_the_tree_alone() {
    let tree = tree();
    let series = [patch("first", FIRST), patch("second", SECOND)];
    let report = survey(tree.path(), &series, ApplyOptions::default()).unwrap();
    assert!(applies(&report), "{report:?}");
    assert_eq!(
        fs::read_to_string(tree.path().join("fs/f")).unwrap(),
        numbers(1..=20)
    );
    let alone = survey(tree.path(), &series[1..], ApplyOptions::default()).unwrap();
    assert!(!applies(&alone));
}

#[test]
fn a_survey_blames_no_later_patch_for_what_an_earlier_one_lacks() {
    let tree = tree();
    let partly = format!("{FIRST}@@ -15,2 +16,3 @@\n not there\n+x\n nor this\n");
    let series = [patch("partly", &partly), patch("second", SECOND)];
    let options = ApplyOptions { fuzz: 0 };
    let failing = |results: Vec<PatchResult>| -> Vec<String> {
        let failed = |result: &PatchResult| !result.failures.is_empty();
        let results = results.into_iter();
        results.filter(failed).map(|result| result.name).collect()
    };
    let surveyed = survey(tree.path(), &series, options).unwrap();
    assert_eq!(failing(surveyed), ["partly"]);
    assert_eq!(
        fs::read_to_string(tree.path().join("fs/f")).unwrap(),
        numbers(1..=20)
    );
    let laid = survey_on(tree.path(), &series, options).unwrap();
    assert_eq!(failing(laid), ["partly"]);
    let text = fs::read_to_string(tree.path().join("fs/f")).unwrap();
    assert!(text.contains("\n5\n5.6\n6\n"), "{text}");
    assert!(tree.path().join("new/file").exists());
    assert!(!tree.path().join("fs/f.patched~").exists());
}

#[test]
fn every_failure_is_reported_with_file_and_hunk() {
    let tree = tree();
    let series = [
        patch("bad", BAD),
        patch("first", FIRST),
        patch("again", FIRST),
    ];
    let report = survey(tree.path(), &series, ApplyOptions { fuzz: 0 }).unwrap();
    assert_eq!(
        report[0].failures,
        [
            Failure::Hunk {
                file: "fs/f".into(),
                hunk: 1,
                line: 3,
                near: 1
            },
            Failure::NoFile("missing".into()),
            Failure::AlreadyApplied("g".into()),
            Failure::NotEmpty("del".into()),
            Failure::NoFile("gone".into()),
            Failure::Hunk {
                file: "fs/f".into(),
                hunk: 1,
                line: 34,
                near: 20
            },
        ]
    );
    assert_eq!(report[1].failures, []);
    assert_eq!(report[2].failures, [Failure::AlreadyApplied("fs/f".into())]);
    let text = report[0].failures[0].to_string();
    assert!(
        text.contains("fs/f: hunk 1 (line 3 of the patch)"),
        "{text}"
    );
}

#[test]
fn deletions_and_renames_reach_the_tree() {
    let tree = tree();
    let both = patch(
        "both",
        "diff --git a/g b/h\nsimilarity index 100%\nrename from g\nrename to h\n\
         diff --git a/del b/del\ndeleted file mode 100644\n--- a/del\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-x\n-y\n",
    );
    survey_on(tree.path(), &[both], ApplyOptions { fuzz: 0 }).unwrap();
    assert!(!tree.path().join("g").exists() && !tree.path().join("del").exists());
    assert_eq!(
        fs::read_to_string(tree.path().join("h")).unwrap(),
        numbers(1..=20)
    );
}

#[test]
fn links_out_of_the_tree_are_refused() {
    let tree = tree();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("f"), numbers(1..=20)).unwrap();
    fs::remove_dir_all(tree.path().join("fs")).unwrap();
    std::os::unix::fs::symlink(outside.path(), tree.path().join("fs")).unwrap();
    let error = survey_on(
        tree.path(),
        &[patch("first", FIRST)],
        ApplyOptions::default(),
    )
    .unwrap_err();
    assert!(matches!(error, ApplyError::Unsafe { .. }), "{error}");
    assert_eq!(
        fs::read_to_string(outside.path().join("f")).unwrap(),
        numbers(1..=20)
    );
}

#[test]
fn paths_out_of_the_tree_are_refused_before_anything_is_done() {
    let tree = tree();
    let climbs = "--- a/../../f\n+++ b/../../f\n@@ -1 +1 @@\n-1\n+2\n";
    let series = [patch("first", FIRST), patch("climbs", climbs)];
    let error = survey_on(tree.path(), &series, ApplyOptions::default()).unwrap_err();
    assert!(
        matches!(error, ApplyError::Parse(PatchError::Traversal { .. })),
        "{error}"
    );
    assert_eq!(
        fs::read_to_string(tree.path().join("fs/f")).unwrap(),
        numbers(1..=20)
    );
}

/// `patch` guesses what it is given, and would run the script of an editor that stands between the parts of a patch. What we read of
/// it says nothing of that.
#[test]
fn no_script_of_an_editor_is_run() {
    let tree = tree();
    // In front of the hunks, between git's header and its diff, and behind: a build may run `patch` without a format.
    let made = "--- /dev/null\n+++ b/made\n@@ -0,0 +1 @@\n+x\n";
    for (script, line) in [
        (format!("--- a/fs/f\n+++ b/fs/f\n1d\n.\n{FIRST}"), 3),
        (format!("diff --git a/made b/made\n1c\nx\n.\n{made}"), 2),
        (format!("{FIRST}1,20s/.//\n"), 7),
        (format!("{FIRST}3a \nx\n.\n"), 7),
    ] {
        let error = survey(
            tree.path(),
            &[patch("script", &script)],
            ApplyOptions::default(),
        )
        .unwrap_err();
        let words = error.to_string();
        assert!(
            words.contains(&format!(
                "script, line {line}: a line that patch takes for a command"
            )),
            "{words}"
        );
    }
    for prose in ["3 dogs\n", "1,2a\n", "12\n", "3abc\n", " 1d\n"] {
        let series = [patch("prose", &format!("{prose}{FIRST}"))];
        let report = survey(tree.path(), &series, ApplyOptions::default()).unwrap();
        assert!(applies(&report), "{prose}: {report:?}");
    }
}

/// What was not seen in a patch when it was read, `patch` does not find in it either: it looks for one format. The script of an editor it
/// would run all the same, and that is refused when the patch is read.
#[test]
fn patch_is_told_the_format() {
    let tree = tree();
    let read = Patch::parse(FIRST.as_bytes(), "first").unwrap();
    for other in [
        "*** a/fs/f\n--- b/fs/f\n***************\n*** 5,6 ****\n--- 5,7 ----\n  5\n+ 5.5\n  6\n",
        "Index: a/fs/f\n5a6\n> 5.5\n",
        FIRST,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch {
            folder,
            known: BTreeSet::new(),
        };
        let failures = scratch
            .one(
                tree.path(),
                &patch("other", other),
                &read,
                ApplyOptions::default(),
            )
            .unwrap();
        let made = fs::read_to_string(scratch.state().join("fs/f")).unwrap();
        assert_eq!(made.contains("5.5"), other == FIRST, "{other}");
        assert_eq!(failures.is_empty(), other == FIRST, "{other}: {failures:?}");
    }
}

#[test]
fn no_file_is_made_that_the_patch_is_not_known_to_make() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), "1\n2\n3\n").unwrap();
    let unified = "--- a/f\n+++ b/f\n@@ -1,3 +1,3 @@\n 1\n-2\n+N\n 3\n";
    // GNU patch goes on in this format.
    let context = "*** /dev/null\n--- b/made\n***************\n*** 0 ****\n--- 1 ----\n+ x\n";
    let patch = NamedPatch {
        name: "two".to_owned(),
        content: format!("{unified}{context}").into_bytes(),
    };
    let error = survey_on(folder.path(), &[patch], ApplyOptions::default()).unwrap_err();
    assert!(
        error.to_string().contains("a diff that is not unified"),
        "{error}"
    );
    assert!(!folder.path().join("made").exists());
    let kept = std::fs::read_to_string(folder.path().join("f")).unwrap();
    assert_eq!(kept, "1\n2\n3\n");
}

#[test]
fn the_parser_takes_the_hunks_that_patch_takes_and_no_others() {
    let text = "one\n\ttab\n=\nfour\n\n\n\n\n";
    let head = "--- a/fs/t\n+++ b/fs/t\n";
    for (what, hunk, taken) in [
        (
            "a lost blank before a tab",
            "@@ -1,4 +1,4 @@\n-one\n+ONE\n\ttab\n =\n four\n",
            true,
        ),
        (
            "a lost blank of an empty line",
            "@@ -4,3 +4,3 @@\n-four\n+FOUR\n\n\n",
            true,
        ),
        (
            "another mark of context",
            "@@ -1,4 +1,4 @@\n-one\n+ONE\n=\ttab\n==\n four\n",
            true,
        ),
        (
            "a comment among the lines",
            "@@ -1,2 +1,2 @@\n-one\n+ONE\n# x\n \ttab\n",
            true,
        ),
        (
            "a header that ends early",
            "@@ -1,2 +1,2 @\n-one\n+ONE\n \ttab\n",
            true,
        ),
        (
            "three chopped lines",
            "@@ -1,7 +1,7 @@\n-one\n+ONE\n \ttab\n =\n four\n",
            true,
        ),
        (
            "four chopped lines",
            "@@ -1,8 +1,8 @@\n-one\n+ONE\n \ttab\n =\n four\n",
            false,
        ),
        (
            "chopped lines within",
            "@@ -1,6 +1,6 @@\n-one\n+ONE\n \ttab\n =\n four\ndiff\n",
            false,
        ),
        ("no mark", "@@ -1,2 +1,2 @@\n-one\n+ONE\ntab\n", false),
        (
            "a header without an end",
            "@@ -1,2 +1,2\n-one\n+ONE\n \ttab\n",
            false,
        ),
        (
            "one line too few",
            "@@ -1,2 +1,3 @@\n-one\n+ONE\n \ttab\n",
            false,
        ),
        (
            "one line too many",
            "@@ -1,1 +1,2 @@\n-one\n-\ttab\n+ONE\n+z\n",
            false,
        ),
    ] {
        let content = format!("{head}{hunk}");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("fs")).unwrap();
        fs::write(dir.path().join("fs/t"), text).unwrap();
        fs::write(dir.path().join("p"), &content).unwrap();
        let mut command = process::command("patch");
        command
            .args(["-p1", "--batch", "--forward", "--input=p"])
            .current_dir(dir.path());
        let said = process::capture(&mut command).unwrap();
        assert_eq!(said.status.success(), taken, "patch, {what}: {said:?}");
        let parsed = Patch::parse(content.as_bytes(), "p");
        assert_eq!(parsed.is_ok(), taken, "the parser, {what}: {parsed:?}");
    }
}

#[test]
fn of_two_names_for_a_new_file_that_is_taken_whose_folder_is_there() {
    let text = "--- a/x/n.c\t2020-01-01 00:00:00\n+++ b/fs/longer.c\t2020-01-01 00:00:00\n@@ -0,0 +1 @@\n+x\n";
    for (folder, made) in [("fs", "fs/longer.c"), ("x", "x/n.c")] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(folder)).unwrap();
        survey_on(dir.path(), &[patch("new", text)], ApplyOptions::default()).unwrap();
        assert!(dir.path().join(made).is_file(), "{made}");
    }
}

#[test]
fn a_link_that_a_patch_makes_brings_no_file_of_this_machine_into_a_tree() {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("secret");
    fs::write(&secret, "not yours\n").unwrap();
    let made = |to: &Path| {
        let to = to.display();
        let head = "diff --git a/made b/made\nnew file mode 120000\n--- /dev/null\n+++ b/made\n";
        format!("{head}@@ -0,0 +1 @@\n+{to}\n\\ No newline at end of file\n")
    };
    for to in [&secret, &elsewhere.path().join("nothing")] {
        let tree = tree();
        let series = [patch("link", &made(to)), patch("first", FIRST)];
        let report = survey_on(tree.path(), &series, ApplyOptions::default()).unwrap();
        assert_eq!(report[0].failures, [Failure::NoFileMade("made".into())]);
        assert_eq!(report[1].failures, []);
        assert!(!fs::exists(tree.path().join("made")).unwrap());
    }
}
