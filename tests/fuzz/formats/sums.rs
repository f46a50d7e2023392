//! `SHA256SUMS`: what we call unchanged, `sha256sum` does too.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lustre_repository::sums;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Sums;

/// The tree that the sums are of.
const TREE: &[(&str, &str)] = &[("a", ""), ("b/two words", "2\n"), ("b/x*y", "3\n")];

/// The digests of the tree, and of a file that is not there.
const GOOD: &str = "\
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a
53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3  b/two words
1121cfccd5913f0a63fec40a6ffd44ea64f9dc135c66634ba001d10bcf4302a2  b/x*y
";

const OTHER: &str = "0000000000000000000000000000000000000000000000000000000000000000";

impl Format for Sums {
    fn name(&self) -> &'static str {
        "sums"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("three files", GOOD)]
    }

    fn hostile(&self) -> Vec<Case> {
        let line = |name: &str| format!("{GOOD}{OTHER}  {name}\n");
        vec![
            Case::bad("empty", ""),
            Case::bad("a file twice", format!("{GOOD}{GOOD}")),
            Case::bad("another digest", GOOD.replacen("e3b0", "e3b1", 1)),
            Case::bad("a file that is not there", line("c")),
            Case::bad("up and out", line("../../etc/passwd")),
            Case::bad("from the root", line("/etc/passwd")),
            Case::bad("a device", line("../../../../../../dev/zero")),
            Case::bad("themselves", line("SHA256SUMS")),
            Case::bad("no digests", "x\n".repeat(100_000)),
            Case::bad("a line of eight megabytes", line(&"x".repeat(8 << 20))),
            Case::bad("not UTF-8", [GOOD.as_bytes(), b"\xff"].concat()),
            Case::either(
                "a hundred thousand files",
                (0..100_000)
                    .map(|n| format!("{OTHER}  f{n}\n"))
                    .collect::<String>(),
            ),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "  ",
            " *",
            "\\",
            "a",
            "b/two words",
            "./a",
            "b//x*y",
            "\r\n",
            OTHER,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  ",
            "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
            "SHA256 (a) = ",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let io = |error: std::io::Error| error.to_string();
        let tree = folder.join("tree");
        for (name, content) in TREE {
            let path = tree.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&tree))
                .and_then(|()| fs::write(&path, content))
                .map_err(io)?;
        }
        fs::write(tree.join(sums::FILE), input).map_err(io)?;
        let differences = match sums::verify(&tree, &|_, _| None) {
            Ok(differences) => differences,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let text = super::text(input);
        changed(&text)?;
        if !differences.is_empty() {
            let said: Vec<String> = differences.iter().map(ToString::to_string).collect();
            return Ok(ParseOutcome::Refused(said.join("\n")));
        }
        let out = Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", sums::FILE])
            .current_dir(&tree)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("sha256sum cannot be started: {error}"))?;
        if !out.status.success() {
            return Err(format!(
                "we find nothing changed, and sha256sum does: {}{}",
                super::text(&out.stdout),
                super::text(&out.stderr)
            ));
        }
        Ok(ParseOutcome::Accepted)
    }
}

/// That the line of one file is changed, and no other.
fn changed(text: &str) -> Result<(), String> {
    let with = sums::with(text, "a", OTHER);
    let line = format!("{OTHER}  a");
    if with.lines().filter(|have| *have == line).count() != 1 {
        return Err("the line of a file is not there once after it was set".to_owned());
    }
    let others = |text: &str| -> Vec<String> {
        sums::without(text, "a")
            .lines()
            .map(str::to_owned)
            .collect()
    };
    if others(&with) != others(text) {
        return Err("setting the line of a file changes the others".to_owned());
    }
    Ok(())
}
