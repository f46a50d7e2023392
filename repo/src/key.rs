//! The public key that packages and metadata are checked with.

use lustre_sign::PublicKey;

pub use lustre_sign::Error;

/// The one key in `armored`, if it is one that EL9 takes.
fn read(armored: &str) -> Result<PublicKey, Error> {
    let key = PublicKey::parse(armored)?;
    key.check_published()?;
    Ok(key)
}

/// What is published of an armored public key: the one key in it, written anew. rpm and gpg read less than we do.
pub fn published(armored: &str) -> Result<String, Error> {
    read(armored)?.armored()
}

/// What is wrong with the text of a file of a public key that should be that of `expected`.
pub(crate) fn wrong(text: &str, expected: &str) -> Option<String> {
    match read(text) {
        Err(error) => Some(error.to_string()),
        Ok(key) if key.fingerprint() != expected => Some(format!(
            "it is the key {}, expected {expected}",
            key.fingerprint()
        )),
        Ok(key) => match key.armored() {
            Ok(own) if own == text => None,
            Ok(_) => Some(
                "it has the key, and not as this tool writes it: rpm or gpg may not read it"
                    .to_owned(),
            ),
            Err(error) => Some(error.to_string()),
        },
    }
}

/// The fingerprint of an armored public key's primary key, in upper-case hexadecimal.
pub fn fingerprint(armored: &str) -> Result<String, Error> {
    Ok(read(armored)?.fingerprint())
}

/// Verifies an armored detached signature over `content`, made by the *primary* key: dnf5 refuses metadata signed by a
/// subkey.
pub fn verify_detached(armored_key: &str, signature: &str, content: &[u8]) -> Result<(), Error> {
    read(armored_key)?
        .verify_detached_by_primary(content, signature)
        .map(drop)
}
