//! Public keys, and what a signature must be like to hold.

use std::fmt;
use std::io::Read;

use pgp::composed::{ArmorOptions, Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};
use pgp::types::KeyDetails;

use super::armor::{self, Kind};
use super::facts::{Facts, has_flags, hex, now, utc};
use super::policy::{CLOCKS, Strength, is_strong};
use super::{Error, Problem};

/// A public key: our own, or a distribution's whose packages and metadata are checked.
#[derive(Clone)]
pub struct PublicKey {
    key: SignedPublicKey,
    facts: Facts,
}

/// What a public key that somebody gives is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To check what a distribution signed, at whatever time: each signature is held against the key's life by itself.
    Distribution,
    /// To check a repository of this tool.
    Repository,
    /// To sign later releases of a repository.
    Next,
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

    /// The one key in an armored text or a binary file.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<PublicKey, Error> {
        let mut keys = PublicKey::parse_many(text)?;
        match (keys.pop(), keys.len()) {
            (Some(key), 0) => Ok(key),
            (_, others) => Err(Error::SeveralKeys {
                origin: "the public key file".to_owned(),
                count: others + 1,
            }),
        }
    }

    /// All keys in an armored text or a binary file; at least one. As for gpg and rpm, there may be several blocks (some distributions put
    /// the old and the new key into one file), and prose around them.
    pub fn parse_many(text: impl AsRef<[u8]>) -> Result<Vec<PublicKey>, Error> {
        let not_a_key = |problem| Error::NotAKey {
            origin: "the public key file".to_owned(),
            wanted: "public",
            problem,
            hint: "export it with: gpg --armor --export FINGERPRINT",
        };
        let mut found = Vec::new();
        for block in armor::blocks(text.as_ref(), Kind::PublicKey).map_err(not_a_key)? {
            let keys = SignedPublicKey::from_bytes_many(&block.bytes[..])
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .ok()
                .filter(|keys| !keys.is_empty())
                .ok_or(not_a_key(Problem::Packets))?;
            found.extend(keys.into_iter().map(PublicKey::new));
        }
        Ok(found)
    }

    /// The one key in a text that comes from outside, as far as it will do for `purpose`.
    pub fn given(text: impl AsRef<[u8]>, purpose: Purpose) -> Result<PublicKey, Error> {
        let key = PublicKey::parse(text)?;
        key.check_for(purpose)?;
        Ok(key)
    }

    /// Fails unless the key will do for `purpose`, now.
    pub fn check_for(&self, purpose: Purpose) -> Result<(), Error> {
        match purpose {
            Purpose::Distribution => self.facts.check_stands(),
            Purpose::Repository => self
                .check_published()
                .and_then(|()| self.facts.check_alive_here(now())),
            Purpose::Next => self
                .facts
                .check_to_sign()
                .and_then(|()| self.facts.check_alive_here(now())),
        }
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
    pub fn armored(&self) -> Result<String, Error> {
        self.key
            .to_armored_string(ArmorOptions::default())
            .map_err(Error::pgp("write out the public key"))
    }

    /// Fails unless EL9 takes this key as that of a repository: see [`crate::policy`] for the rules.
    pub fn check_published(&self) -> Result<(), Error> {
        self.facts.check_to_publish()
    }

    /// Fails unless the key can make a signature of the given time today.
    pub fn check_usable(&self, time: u32) -> Result<(), Error> {
        self.facts.check_times(time, now())
    }

    /// The earliest time of a signature that every client takes: when the key was made, or when it last said what it may. gpg renews that
    /// with the end of its lifetime.
    pub fn signs_from(&self) -> u32 {
        self.facts.says_since
    }

    /// Checks a detached signature over `data`, armored or binary; gives the signature's time. Of several signatures one has to hold.
    pub fn verify_detached(&self, data: &[u8], signature: impl AsRef<[u8]>) -> Result<u32, Error> {
        self.verify_any(data, signature.as_ref(), By::AnyKey)
    }

    /// The same, for a signature by the primary key itself: dnf5 refuses metadata that a subkey signed.
    pub fn verify_detached_by_primary(
        &self,
        data: &[u8],
        signature: impl AsRef<[u8]>,
    ) -> Result<u32, Error> {
        self.verify_any(data, signature.as_ref(), By::Primary)
    }

    /// Checks a binary signature packet over `data`, as in a package's signature header; gives the signature's time.
    pub fn verify_packet(&self, data: &[u8], packet: &[u8]) -> Result<u32, Error> {
        match self.signatures(packet)?.as_slice() {
            [signature] if signature.typ() == Some(SignatureType::Text) => {
                Err(self.bad("it is a text signature, and rpm only supports binary ones"))
            }
            [signature] => self.verify(signature, data, By::AnyKey),
            _ => Err(self.bad("it is not exactly one OpenPGP signature")),
        }
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.facts
    }

    fn verify_any(&self, data: &[u8], text: &[u8], by: By) -> Result<u32, Error> {
        let mut refused = None;
        let blocks = armor::blocks(text, Kind::Signature)
            .map_err(|problem| self.bad(&format!("it is not an OpenPGP signature: {problem}")))?;
        for block in blocks {
            for signature in self.signatures(&block.bytes)? {
                match self.verify(&signature, data, by) {
                    Ok(time) => return Ok(time),
                    // One by this key says more than one by another.
                    Err(error) if matches!(refused, None | Some(Error::OtherKey { .. })) => {
                        refused = Some(error);
                    }
                    Err(_) => {}
                }
            }
        }
        Err(refused.unwrap_or_else(|| self.bad("it has none")))
    }

    /// The signatures in a row of packets that holds nothing else.
    fn signatures(&self, packets: &[u8]) -> Result<Vec<Signature>, Error> {
        PacketParser::new(packets)
            .map(|packet| match packet {
                Ok(Packet::Signature(signature)) => Ok(signature),
                Ok(_) => Err(self.bad("it is another OpenPGP object, not a signature")),
                Err(_) => Err(self.bad("it is not an OpenPGP signature, or a damaged one")),
            })
            .collect()
    }

    fn verify(&self, signature: &Signature, data: impl Read, by: By) -> Result<u32, Error> {
        match signature.typ() {
            Some(SignatureType::Binary | SignatureType::Text) => {}
            Some(other) => {
                return Err(self.bad(&format!("it is a {other:?} signature, not one of data")));
            }
            None => return Err(self.bad("it is of an unknown type, not one of data")),
        }
        let primary = issued_by(signature, &self.key.primary_key);
        let subkey = self
            .key
            .public_subkeys
            .iter()
            .find(|subkey| issued_by(signature, &subkey.key));
        if !primary && subkey.is_none() {
            return Err(Error::OtherKey {
                expected: self.fingerprint(),
                found: issuer(signature),
            });
        }
        if !signature.hash_alg().is_some_and(is_strong) {
            let why = match signature.hash_alg() {
                Some(HashAlgorithm::Sha3_256 | HashAlgorithm::Sha3_512) => {
                    "is not supported by rpm and gpg of EL9"
                }
                _ => "is broken",
            };
            return Err(self.bad(&format!("its hash {} {why}", hash_name(signature))));
        }
        let Some(created) = signature.created().map(|time| time.as_secs()) else {
            return Err(self.bad("it has no time"));
        };
        if u64::from(created) > now() + CLOCKS {
            return Err(self.bad(&format!(
                "it was made in the future, at {}",
                utc(u64::from(created))
            )));
        }
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
        let fits = |done: Result<(), pgp::errors::Error>| {
            done.map_err(|_| self.bad("it does not match the data"))
        };
        let strong = |strength: Strength| {
            if strength.checks() {
                return Ok(());
            }
            Err(self.bad(&format!("it was made with {strength}, which EL9 rejects")))
        };
        if let Some(subkey) = subkey.filter(|_| !primary) {
            if by == By::Primary {
                return Err(
                    self.bad("it was made by a subkey, and dnf5 only accepts the primary key")
                );
            }
            if !self.may_sign(subkey, created) {
                return Err(self.bad(
                    "it is by a subkey that was not bound to the key for signing at that time",
                ));
            }
            strong(Strength::of(&subkey.key))?;
            fits(signature.verify(&subkey.key, data))?;
            return Ok(created);
        }
        if !self.facts.can_sign {
            return Err(self.bad("the primary key may not sign data"));
        }
        strong(self.facts.strength.clone())?;
        fits(signature.verify(&self.key.primary_key, data))?;
        Ok(created)
    }

    /// Whether a subkey is bound to the primary key, for signing, at a moment.
    fn may_sign(&self, subkey: &SignedPublicSubKey, moment: u32) -> bool {
        let primary = &self.key.primary_key;
        let valid: Vec<&Signature> = subkey
            .signatures
            .iter()
            .filter(|signature| {
                signature
                    .verify_subkey_binding(primary, &subkey.key)
                    .is_ok()
            })
            .collect();
        // At whatever time: who stole it can date its signatures back.
        let revoked = valid
            .iter()
            .any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation));
        let Some(binding) = valid
            .into_iter()
            .max_by_key(|signature| signature.created())
        else {
            return false;
        };
        let strong = |signature: &Signature| signature.hash_alg().is_some_and(is_strong);
        let backed = binding.embedded_signature().is_some_and(|back| {
            strong(back)
                && back
                    .verify_primary_key_binding(&subkey.key, primary)
                    .is_ok()
        });
        let end = binding
            .key_expiration_time()
            .map(|lifetime| u64::from(lifetime.as_secs()))
            .filter(|lifetime| *lifetime != 0)
            .map(|lifetime| u64::from(subkey.key.created_at().as_secs()) + lifetime);
        !revoked
            && binding.typ() == Some(SignatureType::SubkeyBinding)
            && strong(binding)
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

/// Checks a detached signature over `data` with a file of public keys, as a distribution publishes it, both armored or binary; gives the
/// fingerprint of the key that made it.
pub fn verify_detached(
    data: &[u8],
    signature: impl AsRef<[u8]>,
    public_keys: impl AsRef<[u8]>,
) -> Result<String, Error> {
    verify_detached_by(data, signature, &PublicKey::parse_many(public_keys)?)
}

/// The same, with keys that are read already.
pub fn verify_detached_by(
    data: &[u8],
    signature: impl AsRef<[u8]>,
    keys: &[PublicKey],
) -> Result<String, Error> {
    by_any(keys, |key| {
        key.verify_detached(data, &signature)?;
        Ok(key.fingerprint())
    })
}

/// What the first key gives for which a check holds. Where none does: what a key says that made the signature, else all keys' names.
pub(crate) fn by_any<T>(
    keys: &[PublicKey],
    check: impl Fn(&PublicKey) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut other = None;
    let mut refused = None;
    for key in keys {
        match check(key) {
            Ok(done) => return Ok(done),
            Err(Error::OtherKey { found, .. }) => other = Some(found),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused.unwrap_or_else(|| Error::OtherKey {
        expected: keys
            .iter()
            .map(PublicKey::fingerprint)
            .collect::<Vec<_>>()
            .join(" or "),
        found: other.unwrap_or_default(),
    }))
}

/// Whose signature it must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Primary,
    AnyKey,
}

fn hash_name(signature: &Signature) -> String {
    signature
        .hash_alg()
        .map_or_else(|| "(none)".to_owned(), |hash| format!("{hash:?}"))
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
