//! What a signature must be like to count, and why: the same for packages, metadata, tags, and whoever made them.
//!
//! The measure is EL9's own (its crypto policy DEFAULT, rpm and gpg there): what its dnf would refuse is no proof here, and what EL8
//! would still take is not enough.
//!
//! | rule | because |
//! |---|---|
//! | the hash is SHA-256 or another SHA-2 that is longer | two texts with one SHA-1 or MD5 can be made; EL9 has switched both off for signatures, and its gpg 2.3 and rpm 4.16 know no SHA-3 |
//! | the key is RSA of 2048 bits or more, or an elliptic one; to sign with, RSA of 3072 or more | EL9 has no DSA and no shorter RSA, and its gpg and rpm, older than RFC 9580, do not know the numbers that it gives Ed25519 and Ed448; rpm of EL8 imports no elliptic key, and what signs now is to last |
//! | its type is "over data", and of a package's "over bytes" | another type says something of a key, and could be taken from there; rpm does not convert line ends |
//! | it has a time, within the key's life, and neither the future's nor past its own end | clients judge all three |
//! | the key is not revoked, at whatever time | who stole a key can date its signatures back |
//! | a subkey is bound for signing by the primary key, bound back, not revoked, both by such hashes | else a key's owner could claim another's subkey |
//! | what the owner signs with is the primary key | dnf5 refuses metadata signed by a subkey |

use pgp::crypto::hash::HashAlgorithm;
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::ser::Serialize;
use pgp::types::{KeyDetails, KeyVersion, PublicParams};

/// The smallest RSA key that signs.
pub(crate) const RSA_TO_SIGN: u16 = 3072;
/// The smallest RSA key whose signatures count.
pub(crate) const RSA_TO_CHECK: u16 = 2048;
/// By how much two clocks may differ, in seconds.
pub(crate) const CLOCKS: u64 = 86_400;

/// Whether a hash may be used.
pub(crate) fn is_strong(hash: HashAlgorithm) -> bool {
    matches!(
        hash,
        HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512
    )
}

/// What a key is: its bits, or the name of another algorithm than RSA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Strength {
    Rsa(u16),
    Elliptic(String),
    Other(String),
}

impl Strength {
    pub fn of(key: &impl KeyDetails) -> Strength {
        if key.version() != KeyVersion::V4 {
            return Strength::Other(format!("an OpenPGP {:?} key", key.version()));
        }
        match (key.algorithm(), key.public_params()) {
            // An OpenPGP number begins with its bits (RFC 9580, 3.2).
            (PublicKeyAlgorithm::RSA, PublicParams::RSA(params)) => {
                match params.to_bytes().as_deref() {
                    Ok([high, low, ..]) => Strength::Rsa(u16::from_be_bytes([*high, *low])),
                    _ => Strength::Other("RSA of unknown size".to_owned()),
                }
            }
            (algorithm @ (PublicKeyAlgorithm::ECDSA | PublicKeyAlgorithm::EdDSALegacy), _) => {
                Strength::Elliptic(format!("{algorithm:?}"))
            }
            (algorithm @ (PublicKeyAlgorithm::Ed25519 | PublicKeyAlgorithm::Ed448), _) => {
                Strength::Other(format!("{algorithm:?} by its number of RFC 9580"))
            }
            (algorithm, _) => Strength::Other(format!("{algorithm:?}")),
        }
    }

    /// Whether its signatures count.
    pub fn checks(&self) -> bool {
        match self {
            Strength::Rsa(bits) => *bits >= RSA_TO_CHECK,
            Strength::Elliptic(_) => true,
            Strength::Other(_) => false,
        }
    }

    /// Whether every supported rpm takes it, and for long.
    pub fn signs(&self) -> bool {
        matches!(self, Strength::Rsa(bits) if *bits >= RSA_TO_SIGN)
    }
}

impl std::fmt::Display for Strength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Strength::Rsa(bits) => write!(f, "RSA with {bits} bits"),
            Strength::Elliptic(name) | Strength::Other(name) => f.write_str(name),
        }
    }
}
