//! Patches that a fixup is laid on: what comes of it is a patch of the same files, with fewer lines.

use std::path::Path;

use lustre_packaging::overlay::fixup::Fixup;
use lustre_packaging::overlay::patch::Patch;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Fixed;

const PATCH: &str = include_str!("../../../packaging/src/overlay/testdata/fixup/later.patch");

fn fixup() -> Fixup {
    Fixup {
        name: "new-node".to_owned(),
        why: "new_node is gone".to_owned(),
        patch: "base/later.patch".to_owned(),
        file: "fs/set.c".to_owned(),
        drop_context: vec![
            "struct node *new_node = NULL;".to_owned(),
            "put_node(new_node);".to_owned(),
        ],
    }
}

impl Format for Fixed {
    fn name(&self) -> &'static str {
        "fixup"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("a patch that the fixup is for", PATCH)]
    }

    fn hostile(&self) -> Vec<Case> {
        let hunk = "@@ -50,1 +51,1 @@\n x\n";
        vec![
            Case::bad("empty", ""),
            Case::bad("without the lines", PATCH.replace("new_node", "node")),
            Case::bad("the file twice", format!("{PATCH}{PATCH}")),
            Case::either(
                "a hunk at the end of all numbers",
                PATCH.replace(
                    "@@ -3,6 +3,7 @@",
                    "@@ -18446744073709551615,6 +18446744073709551615,7 @@",
                ),
            ),
            Case::either(
                "fifty thousand hunks",
                PATCH.replace("-- \n2.25.1\n", &hunk.repeat(50_000)),
            ),
            Case::either(
                "a hunk of half a million lines",
                PATCH.replace("-- \n2.25.1\n", "")
                    + "@@ -50 +51,500000 @@\n x\n"
                    + &"+y\n".repeat(499_999),
            ),
            Case::bad("a line of eight megabytes", "x".repeat(8 << 20)),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "--- a/fs/set.c\n+++ b/fs/set.c\n",
            "@@ -1 +1 @@\n",
            "@@ -0,0 +1,2 @@\n",
            "@@ -18446744073709551615,3 +18446744073709551614,3 @@",
            " \tstruct node *new_node = NULL;\n",
            " \tput_node(new_node);\n",
            "+\tput_node(new_node);\n",
            "\\ No newline at end of file\n",
            "diff --git a/fs/set.c b/fs/set.c\n",
            " \n",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let fixed = match fixup().apply(input) {
            Ok(fixed) => fixed,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let read = |bytes: &[u8]| Patch::parse(bytes, "the patch");
        let before = read(input).map_err(|error| format!("it was read: {}", message(&error)))?;
        let after = read(&fixed)
            .map_err(|error| format!("the fixed patch cannot be read: {}", message(&error)))?;
        if before.touched() != after.touched() {
            return Err("the fixed patch is of other files".to_owned());
        }
        let lines = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').count();
        if lines(&fixed) + 2 > lines(input) {
            return Err("fewer than two lines are dropped".to_owned());
        }
        match fixup().apply(&fixed) {
            Ok(_) => Err("the lines can be dropped twice".to_owned()),
            Err(_) => Ok(ParseOutcome::Accepted),
        }
    }
}
