//! Public keys, and what a signature must be like to hold.

use std::fmt;
use std::io::Read;

use pgp::composed::{
    ArmorOptions, Deserializable, DetachedSignature, SignedPublicKey, SignedPublicSubKey,
};
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};
use pgp::types::KeyDetails;

use super::Error;
use super::facts::{Facts, has_flags, hex, is_strong, now, utc};

/// A public key: our own, or a distribution's whose packages and metadata are checked.
#[derive(Clone)]
pub struct PublicKey {
    key: SignedPublicKey,
    facts: Facts,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey")
            .field("fingerprint", &self.facts.fingerprint)
            .field("user_ids", &self.facts.user_ids)
            .finish_non_exhaustive()
    }
}

impl PublicKey {
    pub(super) fn new(key: SignedPublicKey) -> PublicKey {
        let facts = Facts::read(&key.primary_key, &key.details);
        PublicKey { key, facts }
    }

    /// The one key in an ASCII-armored text.
    ///
    /// # Errors
    /// When the text is no public key, or holds several.
    pub fn from_armored(text: &str) -> Result<PublicKey, Error> {
        let mut keys = PublicKey::many_from_armored(text)?;
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (_, others) => Err(Error::SeveralKeys {
                origin: "the public key file".to_owned(),
                count: others + 1,
            }),
        }
    }

    /// All keys in an ASCII-armored text (some distributions put the old and the new key into one file); at least one.
    ///
    /// # Errors
    /// When the text holds no public key, or something else as well.
    pub fn many_from_armored(text: &str) -> Result<Vec<PublicKey>, Error> {
        const BEGIN: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
        let not_a_key = |reason: String| Error::NotAKey {
            origin: "the public key file".to_owned(),
            wanted: "public",
            reason,
            hint: "export it with: gpg --armor --export FINGERPRINT",
        };
        let mut found = Vec::new();
        for (start, _) in text.match_indices(BEGIN) {
            let (keys, _) = SignedPublicKey::from_armor_many(&text.as_bytes()[start..])
                .map_err(|e| not_a_key(e.to_string()))?;
            for key in keys {
                found.push(PublicKey::new(key.map_err(|e| not_a_key(e.to_string()))?));
            }
        }
        if found.is_empty() {
            return Err(not_a_key(format!("it has no `{BEGIN}`")));
        }
        Ok(found)
    }

    /// The primary key's fingerprint: 40 upper-case hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.facts.fingerprint.clone()
    }

    /// The user ids that have a valid self-signature.
    pub fn user_ids(&self) -> &[String] {
        &self.facts.user_ids
    }

    /// When the key was made: seconds since 1970.
    pub fn created(&self) -> u32 {
        self.facts.created
    }

    /// When the key ends: seconds since 1970; nothing when it does not.
    pub fn expires(&self) -> Option<u64> {
        self.facts.expires
    }

    /// The key, ASCII-armored.
    ///
    /// # Errors
    /// When the OpenPGP library fails.
    pub fn armored(&self) -> Result<String, Error> {
        self.key
            .to_armored_string(ArmorOptions::default())
            .map_err(Error::pgp("write out the public key"))
    }

    /// Checks an ASCII-armored detached signature over `data`; gives the signature's time.
    ///
    /// # Errors
    /// When the signature does not hold, is by another key, uses a broken hash, or was made outside the key's lifetime.
    pub fn verify_detached(&self, data: &[u8], armored_signature: &str) -> Result<u32, Error> {
        let (signature, _) = DetachedSignature::from_armor_single(armored_signature.as_bytes())
            .map_err(|error| self.bad(&format!("it is not an OpenPGP signature ({error})")))?;
        self.verify(&signature.signature, data)
    }

    /// Checks a binary signature packet over `data`, as in a package's signature header; gives the signature's time.
    ///
    /// # Errors
    /// As [`PublicKey::verify_detached`].
    pub fn verify_packet(&self, data: &[u8], packet: &[u8]) -> Result<u32, Error> {
        let mut packets = PacketParser::new(packet);
        match (packets.next(), packets.next()) {
            (Some(Ok(Packet::Signature(signature))), None) => self.verify(&signature, data),
            (Some(Err(error)), _) => {
                Err(self.bad(&format!("it is not an OpenPGP signature ({error})")))
            }
            _ => Err(self.bad("it is not exactly one OpenPGP signature")),
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    fn verify(&self, signature: &Signature, data: impl Read) -> Result<u32, Error> {
        if !matches!(
            signature.typ(),
            Some(SignatureType::Binary | SignatureType::Text)
        ) {
            return Err(self.bad(&format!(
                "it is a {:?} signature, not one over data",
                signature.typ()
            )));
        }
        if !signature.hash_alg().is_some_and(is_strong) {
            return Err(self.bad(&format!("its hash {:?} is broken", signature.hash_alg())));
        }
        let Some(created) = signature.created().map(|time| time.as_secs()) else {
            return Err(self.bad("it has no time"));
        };
        if let Some(lifetime) = signature.signature_expiration_time() {
            let end = u64::from(created) + u64::from(lifetime.as_secs());
            if lifetime.as_secs() != 0 && end <= now() {
                return Err(self.bad(&format!("it expired at {}", utc(end))));
            }
        }
        if self.facts.user_ids.is_empty() {
            return Err(Error::NoSelfSignature {
                fingerprint: self.fingerprint(),
            });
        }
        if self.facts.revoked {
            return Err(Error::Revoked {
                fingerprint: self.fingerprint(),
            });
        }
        self.facts
            .check_alive(u64::from(created), "the time of the signature")?;
        let fits = |error: pgp::errors::Error| self.bad(&error.to_string());
        if issued_by(signature, &self.key.primary_key) {
            if !self.facts.can_sign {
                return Err(self.bad("the primary key may not sign data"));
            }
            signature
                .verify(&self.key.primary_key, data)
                .map_err(fits)?;
            return Ok(created);
        }
        let subkey = self
            .key
            .public_subkeys
            .iter()
            .find(|subkey| issued_by(signature, &subkey.key))
            .ok_or_else(|| Error::OtherKey {
                expected: self.fingerprint(),
                found: issuer(signature),
            })?;
        if !self.may_sign(subkey, created) {
            return Err(
                self.bad("it is by a subkey that is not bound to the key for signing at its time")
            );
        }
        signature.verify(&subkey.key, data).map_err(fits)?;
        Ok(created)
    }

    /// Whether a subkey is bound to the primary key, for signing, at a moment.
    fn may_sign(&self, subkey: &SignedPublicSubKey, moment: u32) -> bool {
        let primary = &self.key.primary_key;
        let Some(binding) = subkey
            .signatures
            .iter()
            .filter(|signature| {
                signature
                    .verify_subkey_binding(primary, &subkey.key)
                    .is_ok()
            })
            .max_by_key(|signature| signature.created())
        else {
            return false;
        };
        let backed = binding.embedded_signature().is_some_and(|back| {
            back.verify_primary_key_binding(&subkey.key, primary)
                .is_ok()
        });
        let end = binding
            .key_expiration_time()
            .map(|lifetime| u64::from(lifetime.as_secs()))
            .filter(|lifetime| *lifetime != 0)
            .map(|lifetime| u64::from(subkey.key.created_at().as_secs()) + lifetime);
        binding.typ() == Some(SignatureType::SubkeyBinding)
            && backed
            && has_flags(binding)
            && binding.key_flags().sign()
            && subkey.key.created_at().as_secs() <= moment
            && end.is_none_or(|end| u64::from(moment) < end)
    }

    fn bad(&self, reason: &str) -> Error {
        Error::BadSignature {
            fingerprint: self.fingerprint(),
            reason: reason.to_owned(),
        }
    }
}

/// Checks an ASCII-armored detached signature over `data` with an ASCII-armored file of public keys, as a distribution
/// publishes it; gives the fingerprint of the key that made it.
///
/// # Errors
/// When no key of the file made the signature, and as [`PublicKey::verify_detached`].
pub fn verify_detached(
    data: &[u8],
    armored_signature: &str,
    armored_public_key: &str,
) -> Result<String, Error> {
    let mut other = None;
    let mut names = Vec::new();
    for key in PublicKey::many_from_armored(armored_public_key)? {
        match key.verify_detached(data, armored_signature) {
            Ok(_) => return Ok(key.fingerprint()),
            Err(Error::OtherKey { found, .. }) => {
                names.push(key.fingerprint());
                other = Some(found);
            }
            Err(error) => return Err(error),
        }
    }
    Err(Error::OtherKey {
        expected: names.join(" or "),
        found: other.unwrap_or_default(),
    })
}

/// Whether a signature names this key as its issuer. One that names nobody is by nobody we know.
fn issued_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    if fingerprints.is_empty() {
        return signature
            .issuer_key_id()
            .into_iter()
            .any(|id| *id == key.legacy_key_id());
    }
    fingerprints
        .into_iter()
        .any(|found| *found == key.fingerprint())
}

/// The issuer a signature names, for an error.
fn issuer(signature: &Signature) -> String {
    let fingerprints = signature.issuer_fingerprint().into_iter();
    let ids = signature.issuer_key_id().into_iter();
    fingerprints
        .map(|found| hex(found.as_bytes()).to_uppercase())
        .chain(ids.map(|id| hex(id.as_ref()).to_uppercase()))
        .next()
        .unwrap_or_else(|| "(it names none)".to_owned())
}
