//! How long the key that a repository is signed with is still valid: a site has to renew it, or to tell servers of the next one, before.

use std::time::SystemTime;

use lustre_packaging::sign::{PublicKey, utc};
use lustre_repository::proof::Verdict;

use crate::key::RemainingLife;

/// The name of the check.
pub const CHECK: &str = "key-expiry";

/// Judges the repository's own key at the time `now`: whether it is valid for `days` days more.
pub fn check(public_key: &str, now: SystemTime, days: u32) -> Verdict {
    match PublicKey::parse(public_key) {
        Ok(key) => judge(&key.fingerprint(), key.expires(), now, days),
        Err(error) => Verdict::NotRun(error.to_string()),
    }
}

fn judge(fingerprint: &str, expires: Option<u64>, now: SystemTime, days: u32) -> Verdict {
    let Some(expires) = expires else {
        return Verdict::Pass {
            checked: fingerprint.to_owned(),
            note: "never expires".to_owned(),
        };
    };
    let checked = format!("{fingerprint}, until {}", utc(expires));
    let left = RemainingLife::of(expires, now);
    let whole = left.days();
    if left.is_over() {
        return Verdict::Fail {
            checked,
            findings: vec![
                "the key has expired: servers refuse what it signed; docs/keys.md says how to replace it"
                    .to_owned(),
            ],
        };
    }
    if left.is_within(days) {
        return Verdict::Fail {
            checked,
            findings: vec![format!(
                "the key expires in {whole} days, and --key-days asks for {days}: docs/keys.md says how to renew or replace it"
            )],
        };
    }
    Verdict::Pass {
        checked,
        note: format!("{whole} days left"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn the_end_of_a_key_is_told_in_time() {
        let end = 1_800_000_000;
        let judge = |left: i64, days| {
            let now = u64::try_from(end - left).unwrap();
            let now = UNIX_EPOCH + Duration::from_secs(now);
            judge("F", Some(u64::try_from(end).unwrap()), now, days)
        };
        let day = 24 * 60 * 60;
        for (left, days, passes) in [
            (60 * day + 1, 60, true),
            (60 * day, 60, false),
            (day, 0, true),
            (1, 0, true),
            (0, 0, false),
            (-5 * day, 0, false),
        ] {
            let verdict = judge(left, days);
            let passed = matches!(verdict, Verdict::Pass { .. });
            assert_eq!(passed, passes, "{left} {days}: {verdict:?}");
        }
        let none = super::judge("F", None, SystemTime::now(), 10_000);
        assert!(matches!(none, Verdict::Pass { .. }));
    }
}
