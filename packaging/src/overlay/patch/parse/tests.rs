use super::*;

const TWO: &str = "\
From someone
Subject: words, and - a dash

Index: linux/fs/a.c
===================================================================
--- linux.orig/fs/a.c\t2020-01-01 00:00:00.000000000 +0000
+++ linux/fs/a.c\t2020-01-01 00:00:00.000000000 +0000
@@ -1,3 +1,4 @@ int main(void)
 one
-two
+TWO
+more

@@ -10 +11 @@
-ten
+TEN
--- a/old.c 2020-01-01
+++ /dev/null
@@ -1 +0,0 @@
-gone
\\ No newline at end of file
-- 
2.25.1
diff --git a/x.sh b/y.sh
similarity index 100%
rename from x.sh
rename to y.sh
diff --git a/new file b/new file
new file mode 100755
index 000..e69
";

fn parse(text: &str) -> Result<Patch, PatchError> {
    Patch::parse(text.as_bytes(), "p")
}

#[test]
fn files_hunks_and_counts_are_read() {
    let patch = parse(TWO).unwrap();
    let names: Vec<(Option<&str>, Option<&str>, usize)> = patch
        .files
        .iter()
        .map(|file| {
            (
                file.old.as_deref().and_then(Path::to_str),
                file.new.as_deref().and_then(Path::to_str),
                file.hunks.len(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            (Some("fs/a.c"), Some("fs/a.c"), 2),
            (Some("old.c"), None, 1),
            (Some("x.sh"), Some("y.sh"), 0),
            (None, Some("new file"), 0),
        ]
    );
    let hunk = &patch.files[0].hunks[0];
    assert_eq!((hunk.old, hunk.new, hunk.line), ((1, 3), (1, 4), 8));
    assert_eq!(hunk.section, b" int main(void)");
    assert_eq!(hunk.counted(), (3, 4));
    assert_eq!(patch.files[0].hunks[1].old, (10, 1));
    let touched: Vec<PathBuf> = patch.touched();
    let expected: Vec<PathBuf> = ["fs/a.c", "new file", "old.c", "x.sh", "y.sh"]
        .iter()
        .map(PathBuf::from)
        .collect();
    assert_eq!(touched, expected);
}

#[test]
fn paths_that_leave_the_tree_are_refused() {
    for path in ["a/../../etc/passwd", "/etc/passwd", "../x/y", "a/b/../c"] {
        let text = format!("--- {path}\n+++ {path}\n@@ -1 +1 @@\n-a\n+b\n");
        let error = parse(&text).unwrap_err();
        assert!(
            matches!(error, PatchError::Traversal { line: 1, .. }),
            "{path}: {error}"
        );
    }
    for text in [
        "diff --git a/x b/x\nrename from x\nrename to ../x\n",
        "diff --git a/../x b/../x\nnew file mode 100644\n",
    ] {
        let error = parse(text).unwrap_err();
        assert!(matches!(error, PatchError::Traversal { .. }), "{error}");
    }
}

#[test]
fn a_hunk_with_wrong_counts_is_refused_with_its_numbers() {
    for (header, counts) in [
        ("@@ -1,4 +1,4 @@", (4, 4)),
        ("@@ -1,2 +1,3 @@", (2, 3)),
        ("@@ -1,3 +1,2 @@", (3, 2)),
    ] {
        let text = format!("--- a/f\n+++ b/f\n{header}\n one\n-two\n+TWO\n three\nend\n");
        let error = parse(&text).unwrap_err();
        let PatchError::Counts {
            line,
            hunk,
            expected_old,
            expected_new,
            ..
        } = error
        else {
            panic!("{error}")
        };
        assert_eq!((line, hunk, (expected_old, expected_new)), (3, 1, counts));
    }
}

#[test]
fn added_lines_beyond_a_short_count_are_not_lost() {
    let text = "--- a/f\n+++ b/f\n@@ -1,1 +1,1 @@\n-one\n+ONE\n+more\n";
    let error = parse(text).unwrap_err();
    assert!(
        matches!(error, PatchError::Counts { new: 2, .. }),
        "{error}"
    );
}

#[test]
fn text_without_a_diff_and_broken_headers_are_refused_and_no_text_is_not() {
    assert!(matches!(
        parse("just words\n").unwrap_err(),
        PatchError::Empty { .. }
    ));
    assert!(parse("").unwrap().files.is_empty());
    for (text, part) in [
        ("@@ -1 +1 @@\n-a\n+b\n", "without `---`"),
        ("--- f\n+++ f\n@@ -1 +1 @@\n-a\n+b\n", "without a folder"),
        ("--- a/f\n+++ b/f\n@@ -1,x +1 @@\n-a\n+b\n", "a hunk header"),
        (
            "diff --git a/f b/f\nindex 1..2\nGIT binary patch\n",
            "binary",
        ),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_part_in_another_format_is_refused() {
    let unified = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-x\n+y\n";
    for other in [
        "0a1\n> x\n",
        "1,2c3,4\n< x\n",
        "*** a/f\n--- b/f\n***************\n*** 1 ****\n",
    ] {
        for text in [format!("{other}{unified}"), format!("{unified}{other}")] {
            let error = Patch::parse(text.as_bytes(), "p").unwrap_err().to_string();
            assert!(error.contains("a diff that is not unified"), "{error}");
        }
    }
    // A mail may quote, and count.
    let mail = format!("On 2a:\n> as in 0a1\n1a2 is a place\n> x\n{unified}");
    assert_eq!(Patch::parse(mail.as_bytes(), "p").unwrap().files.len(), 1);
}

#[test]
fn a_hunk_at_a_line_that_no_file_has_is_refused() {
    for at in ["2147483647", "9223372036854775807"] {
        let text = format!("--- /dev/null\n+++ b/f\n@@ -{at},0 +1 @@\n+x\n");
        let error = Patch::parse(text.as_bytes(), "p").unwrap_err().to_string();
        assert!(
            error.contains("p, line 3: a hunk at a line that no file has"),
            "{error}"
        );
    }
}

#[test]
fn a_name_that_patch_finds_elsewhere_is_refused_where_it_would_be_taken() {
    let make = "--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+x\n";
    let change = "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n";
    let git = "diff --git a/new.c b/new.c\nnew file mode 100644\n";
    for (line, text) in [
        (1, format!("--- b/README\nwords\n{make}")),
        (1, format!("  *** a/README\t2020-01-01\n{make}")),
        (1, format!("X- - --- a/README\n{make}")),
        (1, format!("+++ \"a/README\"\n{make}")),
        (6, format!("{change}--- a/README x\n{make}")),
        (
            1,
            format!("diff --git a/README b/new.c\nnew file mode 100644\n{make}"),
        ),
        (3, format!("{git}--- a/README\n")),
        (
            1,
            "diff --git a/README b/README\nrename from x\nrename to y\n".to_owned(),
        ),
    ] {
        match parse(&text) {
            Err(PatchError::Header {
                line: at, problem, ..
            }) => {
                assert!(
                    problem.contains("a name that patch takes"),
                    "{text}: {problem}"
                );
                assert_eq!(at, line, "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    for text in [
        // The part's own headers give both names.
        format!("--- b/README\n{change}"),
        // git's header begins anew.
        format!("--- b/README\n{git}{make}"),
        // No names: nothing behind the first component, a comment, and what `patch` does not take for a header.
        format!("--- words\n#--- a/README\n---\n> --- a/README\nIndex: README\n{make}"),
        format!("--- a/new.c\n{make}"),
        format!("{make}--- a/README\n"),
    ] {
        assert!(parse(&text).is_ok(), "{text}: {:?}", parse(&text));
    }
}

#[test]
fn a_few_hunks_may_begin_before_another_ends() {
    let hunks = |count: usize| {
        let again = "@@ -1,2 +1,3 @@\n a\n+x\n b\n";
        format!("--- a/f\n+++ b/f\n{}", again.repeat(count))
    };
    assert!(parse(&hunks(9)).is_ok());
    // `patch` is busy for ever with three hundred of them.
    for count in [10, 303] {
        let error = parse(&hunks(count)).unwrap_err().to_string();
        assert!(
            error.contains("without end") && error.contains("line 39"),
            "{error}"
        );
    }
}

#[test]
fn a_name_ends_where_patch_ends_it() {
    let name = |line: &str| {
        let text = format!("--- a/f\n+++ {line}\n@@ -1 +1 @@\n-x\n+y\n");
        let patch = Patch::parse(text.as_bytes(), "p").unwrap();
        patch.files[0].new.clone().unwrap()
    };
    for (line, expected) in [
        ("b/f", "f"),
        ("b/f\t2020-01-01", "f"),
        ("b/two words\t", "two words"),
        ("b/f 2020-01-01 12:00", "f"),
        // Without a tab a blank ends it, and in front of it there may be some.
        (" a/README b/f/moved.c", "README"),
        ("b/two words", "two"),
    ] {
        assert_eq!(name(line), Path::new(expected), "{line}");
    }
}
