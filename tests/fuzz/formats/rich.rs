//! Requirements, plain and rich, one a line: what is read is shown and read again as the same, and rpm takes what we take.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lustre_repository::closure::rich;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Rich;

impl Format for Rich {
    fn name(&self) -> &'static str {
        "rich"
    }

    fn seeds(&self) -> Vec<Case> {
        [
            "a",
            "a >= 1.2-3",
            "kernel(foo) = 0x1234",
            "/usr/bin/sh",
            "(a and b and c)",
            "(a or b >= 2:1~rc1-3 or c)",
            "(a if b else c)",
            "(a unless b else c)",
            "(a >= 1 with a < 2)",
            "(a without b)",
            "((a or b) if (c and (d or e)))",
            "(python3dist(x[y]) >= 1 with python3dist(x[y]) < 2)",
        ]
        .map(|text| Case::good("a requirement", text))
        .to_vec()
    }

    fn hostile(&self) -> Vec<Case> {
        let deep = |open: &str, close: &str, depth: usize| {
            format!("{}a{}", open.repeat(depth), close.repeat(depth))
        };
        vec![
            Case::either("880 deep", deep("(", ")", 880)),
            Case::either("10,000 deep", deep("(", ")", 10_000)),
            Case::either("a million deep", deep("(", ")", 1_000_000)),
            Case::bad("a million opened", "(".repeat(1_000_000)),
            Case::either("conditions", deep("(b if ", ")", 100_000)),
            Case::either("exceptions", deep("(b unless c else ", ")", 100_000)),
            Case::either("chains in chains", deep("(b and ", ")", 100_000)),
            Case::either(
                "two hundred thousand alternatives",
                format!("(a{})", " or a".repeat(200_000)),
            ),
            Case::either(
                "parentheses in a name",
                format!("a{}{}", "(".repeat(500_000), ")".repeat(500_000)),
            ),
            Case::either(
                "a version of a megabyte",
                format!("a = {}", "1.".repeat(500_000)),
            ),
            Case::bad("an epoch that is none", "a = 99999999999999999999:1"),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "(",
            ")",
            " and ",
            " or ",
            " if ",
            " else ",
            " unless ",
            " with ",
            " without ",
            " >= ",
            " = ",
            " < ",
            "=<",
            "==",
            " nor ",
            "a",
            "1:2-3",
            "lib.so()(64bit)",
        ]
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let parsed = match rich::parse(&text) {
            Ok(parsed) => parsed,
            Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
        };
        let shown = parsed.to_string();
        let again = rich::parse(&shown)
            .map_err(|error| format!("what is shown cannot be read: {}", message(&error)))?;
        if again != parsed {
            return Err(format!(
                "`{shown}` is read as another requirement than `{text}`"
            ));
        }
        // Asking rpm costs a process; every requirement that is short enough to be a real one is worth it.
        // `unless` is for conflicts, and refused in the requirement that rpm is asked about.
        if shown.len() < 400
            && !shown.contains("unless")
            && versions_are_plain(&parsed)
            && shown
                .bytes()
                .all(|byte| (b' '..0x7f).contains(&byte) && byte != b'%')
        {
            agrees(&shown, folder)?;
        }
        Ok(ParseOutcome::Accepted)
    }
}

/// Whether all versions are of characters that a spec file may have in one; a header of somebody else's may have others.
fn versions_are_plain(requirement: &rich::Requirement) -> bool {
    let mut plain = true;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._+~^".contains(&byte);
    requirement.each_capability(&mut |entry| {
        let versions = entry
            .evr
            .iter()
            .flat_map(|evr| [Some(evr.version.as_str()), evr.release.as_deref()]);
        // Nor has the name of a file a version in a spec file.
        plain &= entry.evr.is_none() || !entry.name.starts_with('/');
        plain &= versions
            .flatten()
            .all(|text| !text.is_empty() && !text.contains("..") && text.bytes().all(allowed));
        plain &= entry
            .name
            .starts_with(|first: char| first.is_ascii_alphanumeric() || "/_".contains(first));
    });
    plain
}

/// That rpm takes the requirement, where there is an rpm.
fn agrees(requirement: &str, folder: &Path) -> Result<(), String> {
    let spec = folder.join("a.spec");
    let text = format!(
        "Name: a\nVersion: 1\nRelease: 1\nSummary: s\nLicense: l\nBuildArch: noarch\nRequires: {requirement}\n%description\nd\n%files\n"
    );
    fs::write(&spec, text).map_err(|error| error.to_string())?;
    let run = Command::new("rpmspec")
        .args(["--query", "--srpm"])
        .arg(&spec)
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output();
    let Ok(out) = run else {
        return Ok(());
    };
    let words = String::from_utf8_lossy(&out.stderr);
    // A comma and a blank separate requirements of a spec file; our reader is given one.
    if out.status.success() || requirement.contains(',') {
        return Ok(());
    }
    Err(format!("rpm refuses `{requirement}`: {}", words.trim()))
}
