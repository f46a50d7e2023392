//! What a key says of itself under a valid self-signature, and the rules it must meet before it signs.

use std::time::{SystemTime, UNIX_EPOCH};

use pgp::composed::SignedKeyDetails;
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::packet::{self, Signature, SignatureType, SubpacketData};
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, PublicParams, Tag};

use super::Error;

/// The smallest RSA key that signs.
const MIN_RSA_BITS: u16 = 3072;

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
    /// The size of an RSA modulus, else the algorithm's name.
    rsa_bits: Result<u16, String>,
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
            rsa_bits: rsa_bits(primary),
        }
    }

    /// Fails unless the key is of a kind that every supported rpm takes, and its owner stands by it.
    pub fn check_strength(&self) -> Result<(), Error> {
        let fingerprint = || self.fingerprint.clone();
        if self.revoked {
            return Err(Error::Revoked {
                fingerprint: fingerprint(),
            });
        }
        match &self.rsa_bits {
            Ok(bits) if *bits >= MIN_RSA_BITS => {}
            found => {
                return Err(Error::TooWeak {
                    fingerprint: fingerprint(),
                    found: match found {
                        Ok(bits) => format!("RSA with {bits} bits"),
                        Err(algorithm) => algorithm.clone(),
                    },
                });
            }
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
        self.check_alive(u64::from(signing), "the signing time")?;
        self.check_alive(now, "the present")
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

/// Hashes that a signature may use.
pub(super) fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256
            | HashAlgorithm::Sha384
            | HashAlgorithm::Sha512
            | HashAlgorithm::Sha3_256
            | HashAlgorithm::Sha3_512
    )
}

/// Whether a signature states key flags at all; a key without them may do what its algorithm can (RFC 9580, 5.2.3.29).
pub(super) fn has_flags(signature: &Signature) -> bool {
    signature.config().is_some_and(|config| {
        config
            .hashed_subpackets()
            .any(|subpacket| matches!(subpacket.data, SubpacketData::KeyFlags(_)))
    })
}

/// The bits of an RSA modulus: an OpenPGP number begins with them (RFC 9580, 3.2).
fn rsa_bits(key: &packet::PublicKey) -> Result<u16, String> {
    if key.version() != KeyVersion::V4 {
        return Err(format!("an OpenPGP {:?} key", key.version()));
    }
    match (key.algorithm(), key.public_params()) {
        (PublicKeyAlgorithm::RSA, PublicParams::RSA(params)) => {
            match params.to_bytes().as_deref() {
                Ok([high, low, ..]) => Ok(u16::from_be_bytes([*high, *low])),
                _ => Err("RSA of unknown size".to_owned()),
            }
        }
        (algorithm, _) => Err(format!("{algorithm:?}")),
    }
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
            rsa_bits: Ok(4096),
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
    fn weak_keys_are_refused_with_their_kind() {
        let refused = |change: fn(&mut Facts)| {
            let mut key = facts(0, None);
            assert!(key.check_strength().is_ok());
            change(&mut key);
            key.check_strength().unwrap_err().to_string()
        };
        assert!(refused(|key| key.rsa_bits = Ok(2048)).contains("RSA with 2048 bits"));
        assert!(refused(|key| key.rsa_bits = Err("ECDSA".to_owned())).contains("is ECDSA"));
        assert!(refused(|key| key.can_sign = false).contains("may not sign"));
        assert!(refused(|key| key.revoked = true).contains("revoked"));
        assert!(refused(|key| key.user_ids.clear()).contains("self-signature"));
        let sha1 = refused(|key| key.self_signature_hash = Some(HashAlgorithm::Sha1));
        assert!(sha1.contains("SHA1"), "{sha1}");
    }
}
