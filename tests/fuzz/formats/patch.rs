//! Patches: what our reader takes, GNU `patch` changes those files and no others, and what is applied is what it makes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lustre_packaging::overlay::patch as reader;
use lustre_packaging::overlay::patch::apply::{ApplyOptions, survey, survey_on};
use lustre_packaging::overlay::series::{NamedPatch, Series};

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Patch;

/// The tree that patches are tried on.
const TREE: [(&str, &str); 3] = [
    (
        "fs/ext4/super.c",
        "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten\n",
    ),
    ("fs/ext4/Makefile", "obj-y += super.o\nobj-y += inode.o\n"),
    ("README", "no newline at the end"),
];

const GOOD: &str = "From: nobody
Subject: a change

---
 fs/ext4/super.c | 3 ++-

diff --git a/fs/ext4/super.c b/fs/ext4/super.c
index 1111111..2222222 100644
--- a/fs/ext4/super.c
+++ b/fs/ext4/super.c
@@ -2,4 +2,5 @@ one
 two
 three
-four
+FOUR
+and more
 five
@@ -8,3 +9,2 @@
 eight
-nine
 ten
--- a/fs/ext4/Makefile\t2020-01-01 00:00:00
+++ b/fs/ext4/Makefile\t2020-01-01 00:00:00
@@ -1,2 +1,3 @@
 obj-y += super.o
+obj-y += dirdata.o
 obj-y += inode.o
";

const MADE: &str = "diff --git a/new.c b/new.c
new file mode 100644
--- /dev/null
+++ b/new.c
@@ -0,0 +1,2 @@
+a
+b
diff --git a/README b/README
deleted file mode 100644
--- a/README
+++ /dev/null
@@ -1 +0,0 @@
-no newline at the end
\\ No newline at end of file
";

const MOVED: &str = "diff --git a/fs/ext4/super.c b/fs/ext4/moved.c
similarity index 90%
rename from fs/ext4/super.c
rename to fs/ext4/moved.c
--- a/fs/ext4/super.c
+++ b/fs/ext4/moved.c
@@ -1,3 +1,3 @@
-one
+ONE
 two
 three
";

/// Other formats of diffs that GNU patch knows, after one that we read.
const CONTEXT: &str = "*** a/README\t2020-01-01
--- b/README\t2020-01-01
***************
*** 1 ****
! no newline at the end
\\ No newline at end of file
--- 1 ----
! another text
\\ No newline at end of file
";

impl Format for Patch {
    fn name(&self) -> &'static str {
        "patch"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good("changed", GOOD),
            Case::good("made and deleted", MADE),
            Case::good("moved", MOVED),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        let first = |text: &str| format!("{GOOD}{text}");
        vec![
            Case::bad(
                "hunks at one place that keep patch busy",
                format!(
                    "--- a/fs/ext4/Makefile\n+++ b/fs/ext4/Makefile\n{}",
                    "@@ -1,2 +1,3 @@\n obj-y += super.o\n+obj-y += dirdata.o\n obj-y += in\n"
                        .repeat(303)
                ),
            ),
            Case::bad(
                "a name of a broken part before one that makes a file",
                "--- b/README\n***************\nnew file mode 32768\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1,2 @@\n+a\n+b\n",
            ),
            Case::bad(
                "a link to a file of this machine",
                "diff --git a/new.c b/new.c\nnew file mode 120000\n--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n",
            ),
            Case::bad(
                "a link to nothing",
                MADE.replace("new file mode 100644", "new file mode 120644"),
            ),
            Case::either("a context diff", CONTEXT),
            Case::either("a context diff behind", first(CONTEXT)),
            Case::bad(
                "a line that keeps patch busy",
                MADE.replace("@@ -0,0", "@@ -2147483647,0"),
            ),
            Case::bad(
                "git's name and another",
                MADE.replace("+++ b/new.c", "+++ b/newer.c")
                    .replace("a/new.c", "a/newest.c"),
            ),
            Case::bad(
                "a context diff behind that makes a file",
                first("*** /dev/null\n--- b/made\n***************\n*** 0 ****\n--- 1 ----\n+ x\n"),
            ),
            Case::bad(
                "a name with a blank that ends it at another file's",
                "--- a/fs/ext4/super.c\n+++  a/README b/fs/moved.c\n@@ -1,3 +1,3 @@\n-one\n+ONE\n two\n three\n",
            ),
            Case::bad(
                "an ed script behind git's header",
                MADE.replace("new file mode 100644", "1c\nx\n."),
            ),
            Case::bad(
                "an ed script",
                "Index: README\n--- README\n+++ README\n1c\nx\n.\n",
            ),
            Case::bad(
                "an ed script behind",
                first("Index: README\n1c\nx\n.\nw /tmp/x\n!touch /tmp/fuzz-was-here\n.\n"),
            ),
            Case::either(
                "a normal diff behind",
                first("Index: README\n1c1\n< no newline at the end\n---\n> x\n"),
            ),
            Case::either(
                "an index of another file",
                GOOD.replace(
                    "diff --git a/fs/ext4/super.c b/fs/ext4/super.c",
                    "Index: README",
                ),
            ),
            Case::bad(
                "up and out",
                GOOD.replace("a/fs/ext4/super.c", "a/../../x")
                    .replace("b/fs/ext4/super.c", "b/../../x"),
            ),
            Case::bad(
                "from the root",
                GOOD.replace("b/fs/ext4/super.c", "/etc/passwd"),
            ),
            Case::bad(
                "a huge count",
                GOOD.replace("@@ -2,4 +2,5 @@", "@@ -2,18446744073709551615 +2,5 @@"),
            ),
            Case::bad(
                "a count beyond numbers",
                GOOD.replace("@@ -2,4 +2,5 @@", "@@ -2,99999999999999999999999 +2,5 @@"),
            ),
            Case::either(
                "a line far away",
                GOOD.replace(
                    "@@ -8,3 +9,2 @@",
                    "@@ -9223372036854775807,3 +9223372036854775807,2 @@",
                ),
            ),
            Case::either(
                "a hunk of a million lines",
                format!(
                    "--- a/README\n+++ b/README\n@@ -1 +1,1000000 @@\n-no newline at the end\n{}",
                    "+x\n".repeat(1_000_000)
                ),
            ),
            Case::either(
                "a hundred thousand hunks",
                format!(
                    "--- a/fs/ext4/super.c\n+++ b/fs/ext4/super.c\n{}",
                    "@@ -1,1 +1,1 @@\n one\n".repeat(100_000)
                ),
            ),
            Case::bad(
                "a hundred thousand headers",
                "diff --git a/x b/x\n".repeat(100_000) + "GIT binary patch\n",
            ),
            Case::either(
                "a line of eight megabytes",
                format!("{GOOD}{}", "x".repeat(8 << 20)),
            ),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "--- a/README\n+++ b/README\n",
            "--- a/README\n",
            "+++ b/README\n",
            "@@ -1 +1 @@\n",
            "@@ -1,3 +1,3 @@",
            "@@ -0,0 +1 @@\n",
            "diff --git ",
            "diff --git a/README b/README\n",
            "rename from README\n",
            "rename to fs/x\n",
            "copy from README\n",
            "copy to y\n",
            "new file mode 120000\n",
            "old mode 100644\nnew mode 100755\n",
            "deleted file mode 100644\n",
            "\\ No newline at end of file\n",
            "/dev/null",
            "\t2020-01-01",
            "Index: README\n",
            "Prereq: x\n",
            "GIT binary patch\n",
            "*** a/README\n--- b/README\n***************\n",
            "1c\nx\n.\n",
            "0a1\n> x\n",
            "\"a/\\303\\244\"",
            " one\n",
            "+x\n",
            "-two\n",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let io = |error: std::io::Error| error.to_string();
        let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
        for tree in [&ours, &theirs] {
            for (name, content) in TREE {
                let path = tree.join(name);
                fs::create_dir_all(path.parent().unwrap_or(tree))
                    .and_then(|()| fs::write(&path, content))
                    .map_err(io)?;
            }
        }
        // A list of patches is read from the same kind of hands.
        let _ = Series::parse(&super::text(input), "the series").map_err(|error| message(&error));
        let read = match reader::Patch::parse(input, "the patch") {
            Ok(read) => read,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        for file in read.touched() {
            if !file
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
            {
                return Err(format!("it is said to touch {}", file.display()));
            }
        }
        let patches = [NamedPatch {
            name: "the patch".to_owned(),
            content: input.to_vec(),
        }];
        let options = ApplyOptions::default();
        let tried = match survey(&ours, &patches, options) {
            Ok(tried) => tried,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        for (name, content) in TREE {
            if fs::read_to_string(ours.join(name)).ok().as_deref() != Some(content) {
                return Err(format!("a patch that was tried changed {name}"));
            }
        }
        let failures: Vec<String> = tried
            .iter()
            .flat_map(|result| result.failures.iter().map(ToString::to_string))
            .collect();
        if !failures.is_empty() {
            return Ok(ParseOutcome::Refused(failures.join(
                "
",
            )));
        }
        survey_on(&ours, &patches, options)
            .map_err(|error| format!("it applies, and cannot be applied: {}", message(&error)))?;
        let file = folder.join("input.patch");
        fs::write(&file, input).map_err(io)?;
        let run = Command::new("patch")
            .args([
                "-p1",
                "--forward",
                "--batch",
                "--no-backup-if-mismatch",
                "--reject-file=-",
            ])
            .arg(format!("--fuzz={}", options.fuzz))
            .arg("--directory")
            .arg(&theirs)
            .arg("--input")
            .arg(&file)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output();
        let out = run.map_err(|error| format!("patch cannot be started: {error}"))?;
        if !out.status.success() {
            return Err(format!(
                "we apply it, and GNU patch does not: {}",
                super::text(&out.stdout)
            ));
        }
        let (ours, theirs) = (tree(&ours)?, tree(&theirs)?);
        if ours != theirs {
            let differ: Vec<_> = ours
                .keys()
                .chain(theirs.keys())
                .filter(|name| ours.get(*name) != theirs.get(*name))
                .collect();
            return Err(format!(
                "GNU patch makes other files of it: {differ:?}; it says: {}",
                super::text(&out.stdout)
            ));
        }
        super::archive::stayed_inside(folder, &["ours", "theirs", "input.patch"])?;
        Ok(ParseOutcome::Accepted)
    }
}

/// The files of a tree.
fn tree(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, String> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).map_err(|e| e.to_string())? {
            let path = entry.map_err(|e| e.to_string())?.path();
            let meta = fs::symlink_metadata(&path).map_err(|e| e.to_string())?;
            let name = path.strip_prefix(folder).unwrap_or(&path).to_owned();
            if meta.is_dir() {
                folders.push(path);
            } else if meta.is_symlink() {
                all.insert(name, b"a link".to_vec());
            } else {
                all.insert(name, fs::read(&path).map_err(|e| e.to_string())?);
            }
        }
    }
    Ok(all)
}
