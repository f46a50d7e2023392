//! Signing packages and repository metadata, and checking such signatures.
//!
//! - [`Key`]: an OpenPGP key of our own, from a file or an environment variable; [`dev_key`]: one made on first use.
//! - [`GpgAgent`]: a key that stays with gpg-agent (a smart card, a release machine), named by its fingerprint.
//! - [`Signer`]: what both have in common.
//! - [`sign_package`], [`verify_package`]: one RPM file, streamed. [`PublicKey`], [`verify_detached`]: `repomd.xml.asc`.
//! - [`KeySource`]: which of them a run uses; [`Secret`]: a passphrase that no log can show.
//!
//! Keys are RSA (3072 bits or more) with SHA-256 or SHA-512 signatures, made by the *primary* key: rpm 4.14 (EL8) cannot import
//! Ed25519 keys, no rpm up to 4.18 takes ECDSA, and dnf5 refuses a `repomd.xml` signed by a subkey. Nothing here reads the
//! clock into a signature: the time is an argument, so one key and one time always give the same bytes.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

mod agent;
mod armor;
mod certify;
mod dev;
mod error;
mod facts;
mod input;
mod key;
mod package;
mod policy;
mod public;
mod secret;
mod shape;
mod source;

pub use agent::{GpgAgent, parse_fingerprint};
pub use armor::{LIMIT, Problem};
pub use dev::{DEV_KEY_CREATED, DEV_KEY_FILE, DevKey, default_key_dir, dev_key};
pub use error::Error;
pub use facts::utc;
pub use key::Key;
pub use package::{
    SignedPackage, VerifiedPackage, sign_package, sign_packages, unsigned_package, verify_headers,
    verify_package, verify_package_by,
};
pub use public::{PublicKey, Purpose, verify_detached, verify_detached_by};
pub use secret::Secret;
pub use shape::{begins_a_secret, may_be_a_key};
pub use source::{KeySource, Opened};

/// What signs packages and metadata: a key in memory or one behind gpg-agent.
///
/// All times are seconds since 1970. A signature is deterministic for a given key, data and time.
pub trait Signer: Send + Sync {
    /// The primary key's fingerprint: 40 upper-case hexadecimal digits.
    fn fingerprint(&self) -> String;

    /// The public key, ASCII-armored, as clients import it.
    fn public_key_armored(&self) -> Result<String, Error>;

    /// An ASCII-armored detached signature (SHA-512) over `data`.
    fn sign_detached(&self, data: &[u8], time: u32) -> Result<String, Error>;

    /// A binary OpenPGP signature packet (SHA-256) over a package's main header, for the `RSA` tag of its signature header.
    fn sign_rpm_header(&self, header: &[u8], time: u32) -> Result<Vec<u8>, Error>;

    /// How many signatures it makes at a time. One, where somebody may be asked for a passphrase.
    fn at_a_time(&self) -> usize {
        1
    }
}
