//! An OpenPGP secret key in memory.

use std::fmt;
use std::path::Path;

use pgp::composed::{ArmorOptions, Deserializable, DetachedSignature, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::{
    PacketTrait, Signature, SignatureConfig, SignatureType, Subpacket, SubpacketData,
};
use pgp::types::{KeyDetails, Password, S2kParams, SecretParams, StringToKey, Timestamp};
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use super::armor::{self, Kind};
use super::certify;
use super::facts::{Facts, fingerprint, now, utc};
use super::secret::quietly;
use super::{Error, Problem, PublicKey, Secret, Signer, input};

/// A secret key, opened and checked: RSA of at least 3072 bits whose primary key may sign.
///
/// `Debug` shows its fingerprint and user ids, never its secret part.
pub struct Key {
    secret: SignedSecretKey,
    facts: Facts,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("fingerprint", &self.facts.fingerprint)
            .field("user_ids", &self.facts.user_ids)
            .finish_non_exhaustive()
    }
}

impl Key {
    /// Makes a new RSA-4096 key without subkeys, valid from `created` (seconds since 1970) and without end.
    ///
    /// The key is random; everything else in it is given. It takes some seconds of one core.
    pub fn generate(user_id: &str, created: u32) -> Result<Key, Error> {
        Key::generate_with_lifetime(user_id, created, None)
    }

    /// As [`Key::generate`], for a key that ends `lifetime` seconds after `created`.
    pub fn generate_with_lifetime(
        user_id: &str,
        created: u32,
        lifetime: Option<u32>,
    ) -> Result<Key, Error> {
        let secret = certify::make(user_id, created, lifetime).map_err(Error::pgp("make a key"))?;
        Key::checked(secret)
    }

    /// The key in a file, armored or binary, opened with `passphrase` if it is encrypted.
    pub fn from_file(path: &Path, passphrase: Option<&Secret>) -> Result<Key, Error> {
        Key::opened(in_file(path)?, &path.display().to_string(), passphrase)
    }

    /// The public part of the secret key in an ASCII-armored file. No passphrase is needed.
    pub fn public_in_file(path: &Path) -> Result<PublicKey, Error> {
        Ok(PublicKey::new(in_file(path)?.to_public_key()))
    }

    /// The public part of the secret key in an environment variable's content (ASCII-armored). No passphrase is needed.
    pub fn public_in_variable(name: &str) -> Result<PublicKey, Error> {
        let text = Secret::from_variable(name)?;
        let secret = parse(text.bytes(), &format!("the variable {name}"))?;
        Ok(PublicKey::new(secret.to_public_key()))
    }

    /// The key in an environment variable's content (ASCII-armored), opened with `passphrase` if it is encrypted.
    pub fn from_variable(name: &str, passphrase: Option<&Secret>) -> Result<Key, Error> {
        let text = Secret::from_variable(name)?;
        Key::from_armored(&text, &format!("the variable {name}"), passphrase)
    }

    /// The key in an ASCII-armored text; `origin` says in errors where it came from.
    ///
    /// Whether it has expired is checked when it signs.
    pub fn from_armored(
        text: &Secret,
        origin: &str,
        passphrase: Option<&Secret>,
    ) -> Result<Key, Error> {
        Key::opened(parse(text.bytes(), origin)?, origin, passphrase)
    }

    fn opened(
        mut secret: SignedSecretKey,
        origin: &str,
        passphrase: Option<&Secret>,
    ) -> Result<Key, Error> {
        let fingerprint = fingerprint(&secret.primary_key);
        if let SecretParams::Encrypted(locked) = secret.primary_key.secret_params() {
            if is_missing(locked.string_to_key_params()) {
                return Err(Error::NoSecret {
                    origin: origin.to_owned(),
                    fingerprint,
                });
            }
            let Some(passphrase) = passphrase else {
                return Err(Error::Encrypted {
                    origin: origin.to_owned(),
                    fingerprint,
                });
            };
            // A wrong passphrase shows in the checksum of what it opens.
            let opens = quietly(|| {
                secret
                    .primary_key
                    .remove_password(&password(passphrase))
                    .is_ok()
            });
            if opens != Some(true) {
                return Err(Error::WrongPassphrase {
                    origin: origin.to_owned(),
                    fingerprint,
                });
            }
        }
        Key::checked(secret)
    }

    fn checked(secret: SignedSecretKey) -> Result<Key, Error> {
        let facts = Facts::read(secret.primary_key.public_key(), &secret.details);
        facts.check_to_sign()?;
        Ok(Key { secret, facts })
    }

    /// Fails unless the key can make a signature of the given time today.
    pub fn check_usable(&self, time: u32) -> Result<(), Error> {
        self.facts.check_times(time, now())
    }

    /// The public part.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::new(self.secret.to_public_key())
    }

    /// The whole key, ASCII-armored; encrypted, with all keys under it, when a passphrase is given.
    pub fn secret_armored(&self, passphrase: Option<&Secret>) -> Result<Secret, Error> {
        let export = || -> Result<Vec<u8>, pgp::errors::Error> {
            let mut secret = self.secret.clone();
            if let Some(passphrase) = passphrase {
                let password = password(passphrase);
                secret.primary_key.set_password(OsRng, &password)?;
                // Those that are encrypted already, perhaps by another one, stay so.
                for subkey in &mut secret.secret_subkeys {
                    if !subkey.key.secret_params().is_encrypted() {
                        subkey.key.set_password(OsRng, &password)?;
                    }
                }
            }
            secret.to_armored_bytes(ArmorOptions::default())
        };
        export()
            .map(Secret::new)
            .map_err(Error::pgp("write out the key"))
    }

    /// The same key with another end, which it says from `now` on: `until`, in seconds since 1970, or none. Other keys under it stay as
    /// they are: none of them signs.
    pub fn renewed(&self, now: u32, until: Option<u32>) -> Result<Key, Error> {
        if now < self.facts.says_since {
            return Err(Error::BeforeSelfSignature {
                fingerprint: self.facts.fingerprint.clone(),
                since: utc(u64::from(self.facts.says_since)),
                at: format!("the present ({})", utc(u64::from(now))),
            });
        }
        if let Some(until) = until.filter(|until| *until <= now) {
            return Err(Error::Expired {
                fingerprint: self.facts.fingerprint.clone(),
                expired: utc(u64::from(until)),
                at: format!("the present ({})", utc(u64::from(now))),
            });
        }
        let lifetime = until.map(|until| until - self.facts.created);
        let secret = certify::again(&self.secret, &self.facts.user_ids, now, lifetime)
            .map_err(Error::pgp("renew a key"))?;
        Key::checked(secret)
    }

    /// The public key as its owner takes it back, from `now` on: whoever imports it takes no signature by it any more.
    pub fn revoked(&self, now: u32, compromised: bool) -> Result<PublicKey, Error> {
        let mut public = self.secret.to_public_key();
        let signature = certify::revocation(&self.secret, now, compromised)
            .map_err(Error::pgp("revoke a key"))?;
        public.details.revocation_signatures.push(signature);
        Ok(PublicKey::new(public))
    }

    fn sign(&self, data: &[u8], hash: HashAlgorithm, time: u32) -> Result<Signature, Error> {
        self.check_usable(time)?;
        let sign = || -> Result<Signature, pgp::errors::Error> {
            let key = &self.secret.primary_key;
            let mut config = SignatureConfig::v4(SignatureType::Binary, key.algorithm(), hash);
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::SignatureCreationTime(Timestamp::from_secs(
                    time,
                )))?,
                Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
                Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?,
            ];
            config.sign(key, &Password::empty(), data)
        };
        let signature = quietly(sign)
            .unwrap_or(Err(pgp::errors::Error::MissingKey))
            .map_err(Error::pgp("sign"))?;
        // A damaged secret part signs without a word, and what it signs shows it to others.
        signature
            .verify(self.secret.primary_key.public_key(), data)
            .map_err(Error::pgp("sign"))?;
        Ok(signature)
    }
}

impl Signer for Key {
    fn fingerprint(&self) -> String {
        self.facts.fingerprint.clone()
    }

    fn public_key_armored(&self) -> Result<String, Error> {
        self.public_key().armored()
    }

    fn sign_detached(&self, data: &[u8], time: u32) -> Result<String, Error> {
        let signature = self.sign(data, HashAlgorithm::Sha512, time)?;
        DetachedSignature::new(signature)
            .to_armored_string(ArmorOptions::default())
            .map_err(Error::pgp("write out a signature"))
    }

    fn sign_rpm_header(&self, header: &[u8], time: u32) -> Result<Vec<u8>, Error> {
        let signature = self.sign(header, HashAlgorithm::Sha256, time)?;
        let mut packet = Vec::new();
        signature
            .to_writer_with_header(&mut packet)
            .map_err(Error::pgp("write out a signature"))?;
        Ok(packet)
    }

    fn at_a_time(&self) -> usize {
        std::thread::available_parallelism().map_or(1, usize::from)
    }
}

fn password(passphrase: &Secret) -> Password {
    Password::Static(Zeroizing::new(passphrase.bytes().to_vec()))
}

/// Whether gpg left the secret part out (its extensions 1001 "no secret" and 1002 "on a card").
fn is_missing(params: &S2kParams) -> bool {
    match params {
        S2kParams::Cfb { s2k, .. }
        | S2kParams::MalleableCfb { s2k, .. }
        | S2kParams::Aead { s2k, .. } => {
            matches!(s2k, StringToKey::Private { .. })
        }
        S2kParams::Unprotected | S2kParams::LegacyCfb { .. } => false,
    }
}

/// The one secret key in an armored file, as it is: perhaps encrypted, and then the file may be open to others.
fn in_file(path: &Path) -> Result<SignedSecretKey, Error> {
    let (bytes, metadata) = input::read(path, "read the key file")?;
    let secret = parse(&bytes, &path.display().to_string())?;
    if metadata.is_file() && has_open_part(&secret) {
        input::closed_to_others(path, &metadata, 0o600)?;
    }
    Ok(secret)
}

/// Whether the secret part of the key, or of one under it, is not encrypted.
fn has_open_part(secret: &SignedSecretKey) -> bool {
    let subkeys = secret.secret_subkeys.iter();
    let mut params = subkeys.map(|subkey| subkey.key.secret_params());
    !secret.primary_key.secret_params().is_encrypted() || params.any(|one| !one.is_encrypted())
}

/// The one secret key in an armored text or a binary file. What a library says of it could carry a part of it, and goes no further.
fn parse(text: &[u8], origin: &str) -> Result<SignedSecretKey, Error> {
    let not_a_key = |problem| Error::NotAKey {
        origin: origin.to_owned(),
        wanted: "secret",
        problem,
        hint: "export it with: gpg --armor --export-secret-keys FINGERPRINT, and give it as it is, line breaks included",
    };
    let mut keys = Vec::new();
    for block in armor::blocks(text, Kind::SecretKey).map_err(not_a_key)? {
        let found = quietly(|| {
            SignedSecretKey::from_bytes_many(&block.bytes[..])
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .ok()
        });
        match found.flatten() {
            Some(found) if !found.is_empty() => keys.extend(found),
            _ => return Err(not_a_key(Problem::Packets)),
        }
    }
    match (keys.pop(), keys.len()) {
        (Some(key), 0) => Ok(key),
        (None, _) => Err(not_a_key(Problem::Packets)),
        (Some(_), others) => Err(Error::SeveralKeys {
            origin: origin.to_owned(),
            count: others + 1,
        }),
    }
}

#[cfg(test)]
mod tests {
    use pgp::composed::{KeyType, SecretKeyParamsBuilder, SubkeyParamsBuilder};
    use pgp::types::Duration;

    use super::*;
    use crate::policy::Strength;

    /// A key for tests; it is no secret.
    fn key() -> Key {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs/distributions/rehearsal/key.asc");
        let text = lustre_files::read(path, lustre_files::TEXT).unwrap();
        Key::from_armored(&Secret::new(text), "a test", None).unwrap()
    }

    /// A signature over `data`, of any kind.
    fn made(
        key: &Key,
        of: SignatureType,
        hash: HashAlgorithm,
        more: &[SubpacketData],
    ) -> Signature {
        let primary = &key.secret.primary_key;
        let mut config = SignatureConfig::v4(of, primary.algorithm(), hash);
        let created = Timestamp::from_secs(key.public_key().signs_from());
        let all = [
            SubpacketData::SignatureCreationTime(created),
            SubpacketData::IssuerFingerprint(primary.fingerprint()),
        ];
        config.hashed_subpackets = all
            .iter()
            .chain(more)
            .map(|one| Subpacket::regular(one.clone()).unwrap())
            .collect();
        config
            .sign(primary, &Password::empty(), &b"data\n"[..])
            .unwrap()
    }

    #[test]
    fn what_el9_does_not_take_is_refused_and_why_is_said() {
        use HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
        use SignatureType::{Binary, Text};
        let (key, time) = (key(), key().public_key().signs_from());
        let public = key.public_key();
        // As metadata, and as a package, has it.
        let said = |signature: Signature| {
            let mut packet = Vec::new();
            signature.to_writer_with_header(&mut packet).unwrap();
            let text = DetachedSignature::new(signature)
                .to_armored_string(ArmorOptions::default())
                .unwrap();
            [
                public.verify_detached(b"data\n", &text),
                public.verify_packet(b"data\n", &packet),
            ]
            .map(|result| result.map_err(|error| error.to_string()))
        };
        for hash in [Sha256, Sha384, Sha512] {
            let [metadata, package] = said(made(&key, Binary, hash, &[]));
            assert_eq!((metadata, package), (Ok(time), Ok(time)), "{hash:?}");
        }
        let mut wrong = Vec::new();
        let mut refused = |what: &str, result: Result<u32, String>, why: &str| match result {
            Err(error) if error.contains(why) => {}
            other => wrong.push(format!("{what}: {other:?}")),
        };
        for hash in [Sha3_256, Sha3_512] {
            for result in said(made(&key, Binary, hash, &[])) {
                refused("hash", result, "is not supported by rpm and gpg of EL9");
            }
        }
        let [metadata, package] = said(made(&key, Text, Sha256, &[]));
        assert_eq!(metadata, Ok(time));
        refused(
            "text",
            package,
            "a text signature, and rpm only supports binary",
        );
        let end = SubpacketData::SignatureExpirationTime(Duration::from_secs(5));
        for result in said(made(&key, Binary, Sha256, &[end])) {
            refused("end", result, "it expired at");
        }
        // A library makes no such thing over data: the type is the byte after the version.
        let mut packet = Vec::new();
        made(&key, Binary, Sha256, &[])
            .to_writer_with_header(&mut packet)
            .unwrap();
        let body = packet.iter().position(|byte| *byte == 4).unwrap();
        packet[body + 1] = u8::from(SignatureType::Standalone);
        let result = public.verify_packet(b"data\n", &packet);
        refused(
            "type",
            result.map_err(|error| error.to_string()),
            "Standalone signature, not one of data",
        );
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// The key with another one under it that is made for the test.
    fn with_a_subkey() -> Key {
        let below = SecretKeyParamsBuilder::default()
            .key_type(KeyType::Ed25519Legacy)
            .can_sign(true)
            .primary_user_id("A".to_owned())
            .subkeys(vec![
                SubkeyParamsBuilder::default()
                    .key_type(KeyType::Ed25519Legacy)
                    .can_sign(true)
                    .build()
                    .unwrap(),
            ])
            .build()
            .unwrap()
            .generate(OsRng)
            .unwrap();
        let mut key = key();
        key.secret.secret_subkeys = below.secret_subkeys;
        key
    }

    #[test]
    fn no_secret_part_is_left_open_where_there_is_a_passphrase() {
        let key = with_a_subkey();
        assert!(!key.secret.secret_subkeys.is_empty() && has_open_part(&key.secret));
        let passphrase = Secret::new("a passphrase");
        let text = key.secret_armored(Some(&passphrase)).unwrap();
        let written = parse(text.bytes(), "a test").unwrap();
        assert!(!has_open_part(&written), "{written:?}");
        // And again, with what is encrypted already.
        let read = Key::from_armored(&text, "a test", Some(&passphrase)).unwrap();
        let text = read.secret_armored(Some(&passphrase)).unwrap();
        let written = parse(text.bytes(), "a test").unwrap();
        assert!(!has_open_part(&written), "{written:?}");
        let open = written.secret_subkeys[0]
            .key
            .unlock(&password(&passphrase), |_, _| Ok(()));
        open.unwrap().unwrap();
    }

    #[test]
    fn a_file_that_others_can_read_has_no_open_part_at_all() {
        use std::os::unix::fs::PermissionsExt;
        let mut key = with_a_subkey();
        let passphrase = Secret::new("a passphrase");
        key.secret
            .primary_key
            .set_password(OsRng, &password(&passphrase))
            .unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = key.secret.to_armored_bytes(ArmorOptions::default());
        std::fs::write(file.path(), text.unwrap()).unwrap();
        let mode = |mode| {
            std::fs::set_permissions(file.path(), PermissionsExt::from_mode(mode)).unwrap();
        };
        mode(0o600);
        Key::from_file(file.path(), Some(&passphrase)).unwrap();
        mode(0o644);
        let error = Key::from_file(file.path(), Some(&passphrase)).unwrap_err();
        assert!(matches!(error, Error::OpenToOthers { .. }), "{error}");
        let error = Key::public_in_file(file.path()).unwrap_err();
        assert!(matches!(error, Error::OpenToOthers { .. }), "{error}");
    }

    #[test]
    fn elliptic_keys_count_by_the_numbers_that_el9_knows() {
        for (kind, counts) in [
            (KeyType::Ed25519Legacy, true),
            (KeyType::Ed25519, false),
            (KeyType::Ed448, false),
        ] {
            let made = SecretKeyParamsBuilder::default()
                .key_type(kind.clone())
                .can_sign(true)
                .primary_user_id("A".to_owned())
                .build()
                .unwrap()
                .generate(OsRng)
                .unwrap();
            let strength = Strength::of(&made.primary_key);
            assert_eq!(strength.checks(), counts, "{kind:?}: {strength}");
            assert_eq!(strength.to_string().contains("RFC 9580"), !counts);
        }
    }
}
