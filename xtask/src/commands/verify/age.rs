//! How old a repository is: an old one, served again, has all its signatures.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lustre_packaging::sign::{PublicKey, utc};
use lustre_repository::proof::Verdict;
use lustre_repository::sums;

/// The name of the check.
pub const CHECK: &str = "age";

/// What is said of checks that would run the scripts of packages that may have been replaced for a reason.
pub const NOT_INSTALLED: &str = "not installed: it is older than --max-age";

const DAY: u64 = 24 * 60 * 60;

/// How far the clock of who signed may be ahead of this machine's.
const SKEW: Duration = Duration::from_secs(10 * 60);

/// Says how old the signature of the repository's sums is at the time `now`, and whether that is too old.
pub fn check(dist: &Path, public_key: &str, now: SystemTime, max_days: Option<u32>) -> Verdict {
    match signed(dist, public_key) {
        Ok(time) => judge(time, now, max_days),
        Err(why) => Verdict::NotRun(format!("{}: {why}", sums::SIGNATURE)),
    }
}

/// When the sums were signed, in seconds since 1970.
fn signed(dist: &Path, public_key: &str) -> Result<u32, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let content = lustre_files::read_no_link(dist.join(sums::FILE), lustre_files::SOURCE)
        .map_err(|e| text(&e))?;
    let signature =
        lustre_files::read_no_link_to_string(dist.join(sums::SIGNATURE), lustre_files::SOURCE)
            .map_err(|e| text(&e))?;
    PublicKey::parse(public_key)
        .and_then(|key| key.verify_detached(&content, &signature))
        .map_err(|e| text(&e))
}

fn judge(signed: u32, now: SystemTime, max_days: Option<u32>) -> Verdict {
    let signed_at = SystemTime::UNIX_EPOCH + Duration::from_secs(signed.into());
    let checked = format!("signed {}", utc(signed.into()));
    let Ok(age) = (now + SKEW).duration_since(signed_at) else {
        return Verdict::Fail {
            checked,
            findings: vec![
                "that is later than this machine's clock: set the clock, or ask its signer"
                    .to_owned(),
            ],
        };
    };
    let age = age.saturating_sub(SKEW);
    let days = age.as_secs() / DAY;
    match max_days {
        Some(max) if age > Duration::from_secs(u64::from(max) * DAY) => Verdict::Fail {
            checked,
            findings: vec![format!(
                "{days} days ago, more than the {max} of --max-age: an old repository may be served instead of the newest"
            )],
        },
        Some(max) => Verdict::Pass {
            checked,
            note: format!("{days} days ago; --max-age allows {max}"),
        },
        None => Verdict::Pass {
            checked,
            note: format!("{days} days ago; use --max-age to refuse an old repository"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_kept_and_without_one_the_age_is_said() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_704_067_200 + 10 * DAY + 7);
        let judge = |max| judge(1_704_067_200, now, max);
        for max in [None, Some(11)] {
            let Verdict::Pass { note, checked } = judge(max) else {
                panic!("{max:?}");
            };
            assert!(note.starts_with("10 days ago"), "{note}");
            assert_eq!(checked, "signed 2024-01-01T00:00:00Z");
        }
        for max in [0, 9, 10] {
            let Verdict::Fail { findings, .. } = judge(Some(max)) else {
                panic!("{max}");
            };
            assert!(findings[0].contains("10 days ago"), "{findings:?}");
        }
        // The clock of who signed is a little ahead, or this one is wrong.
        let before = SystemTime::UNIX_EPOCH;
        for (signed, passes) in [(599, true), (601, false)] {
            let verdict = super::judge(signed, before, Some(0));
            assert_eq!(
                matches!(verdict, Verdict::Pass { .. }),
                passes,
                "{verdict:?}"
            );
        }
    }
}
