//! What a key says of itself: the signatures with which it is made, renewed and taken back.

use pgp::composed::{KeyType, SignedKeyDetails, SignedSecretKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::errors::Error;
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, RevocationCode, SecretKey, Signature, SignatureConfig,
    SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::types::{
    Duration, KeyDetails, KeyVersion, PacketHeaderVersion, Password, SignedUser, Tag, Timestamp,
};
use rand::rngs::OsRng;

/// Bits of the keys we make.
const RSA_BITS: u32 = 4096;

/// A new key: primary only, one user id, certified at `created`. `lifetime` is in seconds.
pub(super) fn make(
    user_id: &str,
    created: u32,
    lifetime: Option<u32>,
) -> Result<SignedSecretKey, Error> {
    let created = Timestamp::from_secs(created);
    let (public, secret) = KeyType::Rsa(RSA_BITS).generate(OsRng)?;
    let public = PublicKey::from_inner(PubKeyInner::new(
        KeyVersion::V4,
        PublicKeyAlgorithm::RSA,
        created,
        None,
        public,
    )?)?;
    let key = SecretKey::new(public, secret)?;
    let id = UserId::from_str(PacketHeaderVersion::New, user_id)?;
    let signature = certification(&key, &id, created, lifetime, true)?;
    let details = SignedKeyDetails::new(
        Vec::new(),
        Vec::new(),
        vec![SignedUser::new(id, vec![signature])],
        Vec::new(),
    );
    Ok(SignedSecretKey::new(key, details, Vec::new(), Vec::new()))
}

/// The key with these of its user ids certified anew, at `now` and for `lifetime` seconds from when it was made. Clients go by the newest
/// certification, so the old ones may stay.
pub(super) fn again(
    secret: &SignedSecretKey,
    user_ids: &[String],
    now: u32,
    lifetime: Option<u32>,
) -> Result<SignedSecretKey, Error> {
    let mut secret = secret.clone();
    let key = &secret.primary_key;
    let named = |user: &&mut SignedUser| {
        let id = String::from_utf8_lossy(user.id.id());
        user_ids.iter().any(|named| *named == id)
    };
    let users = secret.details.users.iter_mut().filter(named);
    for (at, user) in users.enumerate() {
        let now = Timestamp::from_secs(now);
        let signature = certification(key, &user.id, now, lifetime, at == 0)?;
        user.signatures.push(signature);
    }
    Ok(secret)
}

/// The signature with which the key takes itself back.
pub(super) fn revocation(
    secret: &SignedSecretKey,
    now: u32,
    compromised: bool,
) -> Result<Signature, Error> {
    let key = &secret.primary_key;
    let reason = match compromised {
        true => RevocationCode::KeyCompromised,
        false => RevocationCode::KeySuperseded,
    };
    let reason = SubpacketData::RevocationReason(reason, Vec::new().into());
    let config = config(
        key,
        SignatureType::KeyRevocation,
        Timestamp::from_secs(now),
        vec![reason],
    )?;
    config.sign_key(key, &Password::empty(), key.public_key())
}

fn certification(
    key: &SecretKey,
    id: &UserId,
    at: Timestamp,
    lifetime: Option<u32>,
    first: bool,
) -> Result<Signature, Error> {
    let mut flags = KeyFlags::default();
    flags.set_certify(true);
    flags.set_sign(true);
    let mut said = vec![SubpacketData::KeyFlags(flags)];
    if first {
        said.push(SubpacketData::IsPrimary(true));
    }
    if let Some(lifetime) = lifetime {
        let lifetime = Duration::from_secs(lifetime);
        said.push(SubpacketData::KeyExpirationTime(lifetime));
    }
    let config = config(key, SignatureType::CertPositive, at, said)?;
    config.sign_certification(key, key.public_key(), &Password::empty(), Tag::UserId, id)
}

/// A SHA-512 signature by the key, of that time, that says `said`.
fn config(
    key: &SecretKey,
    of: SignatureType,
    at: Timestamp,
    said: Vec<SubpacketData>,
) -> Result<SignatureConfig, Error> {
    let mut config = SignatureConfig::v4(of, key.algorithm(), HashAlgorithm::Sha512);
    let first = [
        SubpacketData::SignatureCreationTime(at),
        SubpacketData::IssuerFingerprint(key.fingerprint()),
    ];
    let all = first.into_iter().chain(said);
    config.hashed_subpackets = all.map(Subpacket::regular).collect::<Result<_, _>>()?;
    config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(
        key.legacy_key_id(),
    ))?];
    Ok(config)
}
