//! The public key that packages and metadata are checked with.

use pgp::composed::{Deserializable, DetachedSignature, SignedPublicKey};
use pgp::types::KeyDetails;

/// A key or a signature that is not right.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not an armored public key.
    #[error("not an armored OpenPGP public key: {0}")]
    Key(Box<pgp::errors::Error>),
    /// The key's own signatures do not hold.
    #[error("the key's self-signatures do not hold: {0}")]
    Binding(Box<pgp::errors::Error>),
    /// Not an armored detached signature.
    #[error("not an armored detached signature: {0}")]
    Signature(Box<pgp::errors::Error>),
    /// The signature was not made by this key over these bytes.
    #[error("the signature is not one of {fingerprint} over this content: {source}")]
    Bad {
        /// The key's fingerprint.
        fingerprint: String,
        /// What is wrong.
        source: Box<pgp::errors::Error>,
    },
}

fn read(armored: &str) -> Result<SignedPublicKey, Error> {
    let (key, _) = SignedPublicKey::from_string(armored).map_err(|e| Error::Key(Box::new(e)))?;
    key.verify_bindings()
        .map_err(|e| Error::Binding(Box::new(e)))?;
    Ok(key)
}

fn shown(key: &SignedPublicKey) -> String {
    crate::sums::hex(key.fingerprint().as_bytes()).to_uppercase()
}

/// The fingerprint of an armored public key's primary key, in upper-case hexadecimal.
///
/// # Errors
/// When the text is not such a key or the key's own signatures do not hold.
pub fn fingerprint(armored: &str) -> Result<String, Error> {
    Ok(shown(&read(armored)?))
}

/// Verifies an armored detached signature over `content`, made by the *primary* key: dnf5 refuses metadata signed by a
/// subkey.
///
/// # Errors
/// When key or signature cannot be read, or the signature does not hold.
pub fn verify_detached(armored_key: &str, signature: &str, content: &[u8]) -> Result<(), Error> {
    let key = read(armored_key)?;
    let (signature, _) =
        DetachedSignature::from_string(signature).map_err(|e| Error::Signature(Box::new(e)))?;
    signature
        .verify(&key, content)
        .map_err(|source| Error::Bad {
            fingerprint: shown(&key),
            source: Box::new(source),
        })
}
