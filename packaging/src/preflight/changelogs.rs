//! The changelogs of the specs: none has an entry later than the target's epoch. That of the kernel moves with the distribution, and its build
//! with that.

use std::path::Path;

use super::report::{Check, Problem};
use super::{Error, LUSTRE_SPEC, read_text};
use crate::build::e2fsprogs;
use crate::changelog;
use crate::sign::utc;
use crate::target::Target;

/// The check; `lustre` is Lustre's tree.
pub(super) fn check(target: &Target, specs: &Path, lustre: &Path) -> Result<Check, Error> {
    let folder = target.folder(specs, &target.e2fsprogs.spec);
    let texts = [
        (LUSTRE_SPEC, read_text(&lustre.join(LUSTRE_SPEC))?),
        (e2fsprogs::SPEC, read_text(&folder.join(e2fsprogs::SPEC))?),
    ];
    Ok(of(u64::from(target.build.source_date_epoch), &texts))
}

fn of(epoch: u64, texts: &[(&str, String)]) -> Check {
    let mut latest = epoch;
    let mut problems = Vec::new();
    for (file, text) in texts {
        let Some((entry, line)) = changelog::of_spec(text) else {
            continue;
        };
        if entry > epoch {
            latest = latest.max(entry);
            problems.push(Problem {
                line: Some(line),
                ..Problem::of_file(
                    file,
                    format!("{file}:{line}: the entry is of {}", utc(entry)),
                )
            });
        }
    }
    let files: Vec<&str> = texts.iter().map(|(file, _)| *file).collect();
    let message = format!(
        "entries of {} against the target's epoch, {}",
        files.join(" and "),
        utc(epoch)
    );
    Check::of("changelogs", message, problems).hint(format!(
        "set `source_date_epoch = {latest}` or later in the target's [build], or correct the date of the entry"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::Verdict;

    #[test]
    fn an_entry_after_the_epoch_is_told_with_what_to_set() {
        let texts = [
            (
                "a.spec",
                "%changelog\n* Wed Jan 01 2025 A\n- x\n".to_owned(),
            ),
            ("b.spec", "Name: b\n".to_owned()),
        ];
        assert_eq!(of(1_735_689_600, &texts).result, Verdict::Pass);
        let check = of(1_735_689_599, &texts);
        assert_eq!(check.result, Verdict::Fail);
        let text = check.to_string();
        for part in [
            "a.spec:2",
            "2025-01-01T00:00:00Z",
            "source_date_epoch = 1735689600",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
