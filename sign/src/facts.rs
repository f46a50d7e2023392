//! What a key says of itself under a valid self-signature, and the rules it must meet before it signs.

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::SignedKeyDetails;
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{self, Signature, SignatureType, SubpacketData};
use pgp::types::{KeyDetails, Tag};

use super::Error;
use super::policy::{CLOCKS, Strength, is_strong};

/// The facts about one key. Times are seconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// 40 upper-case hexadecimal digits.
    pub fingerprint: String,
    /// The user ids that have a valid self-signature.
    pub user_ids: Vec<String>,
    /// When the key was made.
    pub created: u32,
    /// The end of its lifetime, if it has one.
    pub expires: Option<u64>,
    /// Whether the primary key may sign data.
    pub can_sign: bool,
    /// Whether its owner revoked it.
    pub revoked: bool,
    /// The hash of the newest self-signature.
    self_signature_hash: Option<HashAlgorithm>,
    /// The time of the newest self-signature, which is what clients go by.
    pub says_since: u32,
    /// What kind of key it is.
    pub strength: Strength,
}

impl Facts {
    /// Reads the facts from what the key's own signatures hold; signatures that do not verify count for nothing.
    pub fn read(primary: &packet::PublicKey, details: &SignedKeyDetails) -> Facts {
        let fingerprint = fingerprint(primary);
        let mut user_ids = Vec::new();
        let mut selves: Vec<&Signature> = details
            .direct_signatures
            .iter()
            .filter(|signature| signature.verify_key(primary).is_ok())
            .collect();
        for user in &details.users {
            let valid: Vec<&Signature> = user
                .signatures
                .iter()
                .filter(|signature| {
                    signature
                        .verify_certification(primary, Tag::UserId, &user.id)
                        .is_ok()
                })
                .collect();
            let newest = valid.iter().max_by_key(|signature| signature.created());
            // A revoked user id says nothing any more.
            if newest
                .is_some_and(|signature| signature.typ() != Some(SignatureType::CertRevocation))
            {
                user_ids.push(String::from_utf8_lossy(user.id.id()).into_owned());
                selves.extend(valid);
            }
        }
        let revoked = details
            .revocation_signatures
            .iter()
            .any(|signature| signature.verify_key(primary).is_ok());
        let newest = selves
            .into_iter()
            .max_by_key(|signature| signature.created());
        let created = primary.created_at().as_secs();
        Facts {
            fingerprint,
            user_ids,
            created,
            expires: newest
                .and_then(Signature::key_expiration_time)
                .map(|lifetime| lifetime.as_secs())
                .filter(|lifetime| *lifetime != 0)
                .map(|lifetime| u64::from(created) + u64::from(lifetime)),
            can_sign: newest
                .is_some_and(|signature| !has_flags(signature) || signature.key_flags().sign()),
            revoked,
            self_signature_hash: newest.and_then(Signature::hash_alg),
            says_since: newest
                .and_then(Signature::created)
                .map_or(created, |time| time.as_secs().max(created)),
            strength: Strength::of(primary),
        }
    }

    /// Fails unless the key is of a kind that every supported rpm takes, and for long, and its owner stands by it.
    pub fn check_to_sign(&self) -> Result<(), Error> {
        self.check(Strength::signs)
    }

    /// Fails unless EL9 takes the key, and its owner stands by it.
    pub fn check_to_publish(&self) -> Result<(), Error> {
        self.check(Strength::checks)
    }

    /// Fails unless the key's owner stands by it.
    pub fn check_stands(&self) -> Result<(), Error> {
        if self.revoked {
            return Err(Error::Revoked {
                fingerprint: self.fingerprint.clone(),
            });
        }
        if self.user_ids.is_empty() {
            return Err(Error::NoSelfSignature {
                fingerprint: self.fingerprint.clone(),
            });
        }
        Ok(())
    }

    /// Fails unless the key is alive now, but for what two clocks may differ.
    pub fn check_alive_here(&self, now: u64) -> Result<(), Error> {
        let created = u64::from(self.created);
        let moment = match created > now && created <= now + CLOCKS {
            true => created,
            false => now,
        };
        self.check_alive(moment, "the present")
    }

    fn check(&self, strong: impl Fn(&Strength) -> bool) -> Result<(), Error> {
        let fingerprint = || self.fingerprint.clone();
        if self.revoked {
            return Err(Error::Revoked {
                fingerprint: fingerprint(),
            });
        }
        if !strong(&self.strength) {
            return Err(Error::TooWeak {
                fingerprint: fingerprint(),
                found: self.strength.to_string(),
            });
        }
        let Some(hash) = self
            .self_signature_hash
            .filter(|_| !self.user_ids.is_empty())
        else {
            return Err(Error::NoSelfSignature {
                fingerprint: fingerprint(),
            });
        };
        if !is_strong(hash) {
            return Err(Error::WeakSelfSignature {
                fingerprint: fingerprint(),
                hash: hash.to_string(),
            });
        }
        if !self.can_sign {
            return Err(Error::CannotSign {
                fingerprint: fingerprint(),
            });
        }
        Ok(())
    }

    /// Fails unless the key is alive at the time that goes into a signature and now, when clients begin to check it.
    pub fn check_times(&self, signing: u32, now: u64) -> Result<(), Error> {
        let name = "the signing time";
        self.check_alive(u64::from(signing), name)?;
        let at = || format!("{name} ({})", utc(u64::from(signing)));
        if signing < self.says_since {
            return Err(Error::BeforeSelfSignature {
                fingerprint: self.fingerprint.clone(),
                since: utc(u64::from(self.says_since)),
                at: at(),
            });
        }
        self.check_alive(now, "the present")?;
        if u64::from(signing) > now + CLOCKS {
            return Err(Error::Future { at: at() });
        }
        Ok(())
    }

    /// Fails unless the key is alive at one moment.
    pub fn check_alive(&self, moment: u64, name: &str) -> Result<(), Error> {
        let at = || format!("{name} ({})", utc(moment));
        if moment < u64::from(self.created) {
            return Err(Error::NotYetValid {
                fingerprint: self.fingerprint.clone(),
                created: utc(u64::from(self.created)),
                at: at(),
            });
        }
        if let Some(expires) = self.expires.filter(|expires| *expires <= moment) {
            return Err(Error::Expired {
                fingerprint: self.fingerprint.clone(),
                expired: utc(expires),
                at: at(),
            });
        }
        Ok(())
    }
}

/// The present, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// A key's fingerprint in upper-case hexadecimal digits.
pub(super) fn fingerprint(key: &impl KeyDetails) -> String {
    hex(key.fingerprint().as_bytes()).to_uppercase()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a signature states key flags at all; a key without them may do what its algorithm can (RFC 9580, 5.2.3.29).
pub(super) fn has_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
    })
}

/// A time as `2024-02-29T12:00:00Z`.
pub fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days, for days since 1970 that are not negative: years begin in March, in eras of 400.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest % 3_600 / 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(created: u32, expires: Option<u64>) -> Facts {
        Facts {
            fingerprint: "F".repeat(40),
            user_ids: vec!["Test".to_owned()],
            created,
            expires,
            can_sign: true,
            revoked: false,
            self_signature_hash: Some(HashAlgorithm::Sha512),
            says_since: created,
            strength: Strength::Rsa(4096),
        }
    }

    #[test]
    fn times_are_written_as_dates() {
        // As `date -u -d @N` writes them.
        assert_eq!(utc(0), "1970-01-01T00:00:00Z");
        assert_eq!(utc(1_709_208_000), "2024-02-29T12:00:00Z");
        assert_eq!(utc(1_735_689_599), "2024-12-31T23:59:59Z");
        assert_eq!(utc(4_102_444_800), "2100-01-01T00:00:00Z");
    }

    #[test]
    fn a_key_must_be_alive_at_both_times() {
        let key = facts(1_000, Some(2_000));
        assert!(key.check_times(1_000, 1_999).is_ok());
        assert!(matches!(
            key.check_times(999, 1_500),
            Err(Error::NotYetValid { .. })
        ));
        assert!(matches!(
            key.check_times(2_000, 1_500),
            Err(Error::Expired { .. })
        ));
        assert!(matches!(
            key.check_times(1_500, 2_000),
            Err(Error::Expired { .. })
        ));
        assert!(matches!(
            key.check_times(1_500, 999),
            Err(Error::NotYetValid { .. })
        ));
        assert!(facts(0, None).check_times(u32::MAX, u64::MAX / 2).is_ok());
    }

    #[test]
    fn nothing_is_signed_before_the_key_says_that_it_may_nor_in_the_future() {
        let mut key = facts(1_000, None);
        key.says_since = 1_500;
        assert!(key.check_times(1_500, 2_000).is_ok());
        let error = key.check_times(1_499, 2_000).unwrap_err();
        assert!(
            matches!(error, Error::BeforeSelfSignature { .. }),
            "{error}"
        );
        let error = key.check_times(100_000, 2_000).unwrap_err();
        assert!(matches!(error, Error::Future { .. }), "{error}");
    }

    #[test]
    fn weak_keys_are_refused_with_their_kind() {
        let refused = |change: fn(&mut Facts)| {
            let mut key = facts(0, None);
            assert!(key.check_to_sign().is_ok());
            change(&mut key);
            key.check_to_sign().unwrap_err().to_string()
        };
        assert!(refused(|key| key.strength = Strength::Rsa(2048)).contains("RSA with 2048 bits"));
        assert!(
            refused(|key| key.strength = Strength::Elliptic("ECDSA".to_owned()))
                .contains("is ECDSA")
        );
        assert!(refused(|key| key.can_sign = false).contains("may not sign"));
        assert!(refused(|key| key.revoked = true).contains("revoked"));
        assert!(refused(|key| key.user_ids.clear()).contains("self-signature"));
        let sha1 = refused(|key| key.self_signature_hash = Some(HashAlgorithm::Sha1));
        assert!(sha1.contains("SHA1"), "{sha1}");
        // What signs is to last; what is only checked must be what EL9 takes.
        let published = |strength| {
            let mut key = facts(0, None);
            key.strength = strength;
            key.check_to_publish().is_ok()
        };
        assert!(published(Strength::Rsa(2048)));
        assert!(!published(Strength::Rsa(1024)));
        assert!(!published(Strength::Other("DSA".to_owned())));
    }
}
