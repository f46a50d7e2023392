//! `index.html`: what people read of the repository is what it says of itself to machines.

use super::context::Context;
use super::report::{self, Proof, Verdict};
use crate::manifest::{self, Manifest};
use crate::page::{self, FILE};
use crate::sums;

/// The page is the one that this tool makes of the manifest and the proof. Another version of it may make another one: then there is
/// nothing to compare with.
pub(super) fn check(context: &Context<'_>) -> Verdict {
    let compared = match compared(context) {
        Ok(compared) => compared,
        Err(why) => {
            return Verdict::Fail {
                checked: FILE.to_owned(),
                findings: vec![why],
            };
        }
    };
    match compared {
        PageComparison::With { lines, findings } => {
            Verdict::from_findings(format!("{FILE}, {lines} lines"), findings)
        }
        PageComparison::OtherTool(version) => Verdict::Pass {
            checked: FILE.to_owned(),
            note: format!(
                "not compared with the manifest: version {} of the tool made it, this is {}",
                version.escape_debug(),
                env!("CARGO_PKG_VERSION")
            ),
        },
    }
}

/// What came of comparing.
enum PageComparison {
    With { lines: usize, findings: Vec<String> },
    OtherTool(String),
}

fn compared(context: &Context<'_>) -> Result<PageComparison, String> {
    let dist = context.input.dist;
    let read = |name: &str| {
        lustre_files::read_no_link_to_string(dist.join(name), lustre_files::SOURCE)
            .map_err(|error| format!("{name}: {error}"))
    };
    let found = read(FILE)?;
    let manifest = Manifest::read(&dist.join(manifest::FILE)).map_err(|error| error.to_string())?;
    if manifest.tool.version != env!("CARGO_PKG_VERSION") {
        return Ok(PageComparison::OtherTool(manifest.tool.version));
    }
    let sums = read(sums::FILE)?;
    let proof = sums::digest_of(&sums, report::FILE)
        .map(|_| Proof::read(&dist.join(report::FILE)).map_err(|error| error.to_string()))
        .transpose()?;
    let wanted = page::of_tree(dist, sums::names(&sums), proof.as_ref())
        .map_err(|error| error.to_string())?;
    Ok(PageComparison::With {
        lines: wanted.lines().count(),
        findings: differences(&found, &wanted),
    })
}

/// Where the page is another one than it has to be.
fn differences(found: &str, wanted: &str) -> Vec<String> {
    if found == wanted {
        return Vec::new();
    }
    /// How much of a page is shown: all of it is one line.
    const SHOWN: usize = 60;
    let same = found
        .chars()
        .zip(wanted.chars())
        .take_while(|(a, b)| a == b);
    let at = same.count();
    let around = |text: &str| {
        let rest = text.chars().skip(at.saturating_sub(SHOWN / 3));
        let rest: String = rest.take(SHOWN).collect();
        rest.escape_debug().to_string()
    };
    vec![format!(
        "{FILE} says other than {} and {}: at character {at} it has `{}`, and it would be `{}`",
        manifest::FILE,
        report::FILE,
        around(found),
        around(wanted)
    )]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_shown_wherever_it_is() {
        assert_eq!(differences("<p>é</p>", "<p>é</p>"), [] as [&str; 0]);
        for (found, wanted, words) in [
            ("<p>é</p>", "<p>è</p>", "character 3"),
            ("<p>", "<p>more", "`<p>more`"),
            ("", "<p>", "it has ``"),
            ("a\u{1b}", "a", "a\\u{1b}"),
        ] {
            let said = differences(found, wanted);
            assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
        }
    }
}
