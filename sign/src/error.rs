//! What can go wrong with keys and signatures, and what to do then.

use std::path::PathBuf;

use lustre_files::help;
use lustre_process::{self as process, secrets};

use super::Problem;

/// A key that cannot be used, a package that cannot be signed, or a signature that does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// Something else than a file or a pipe, or one that gives nothing or too much.
    #[error(
        "{} {problem}{}",
        lustre_files::shown(path),
        help!("give a file with the secret, or a pipe")
    )]
    Unfit {
        path: PathBuf,
        problem: &'static str,
    },
    /// An environment variable that should hold a key or passphrase is not set, or is not text.
    #[error("the environment variable {name} {problem}{}", help!("set it to {wanted}"))]
    Variable {
        /// The variable's name. Its content is never shown.
        name: String,
        problem: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
    /// An unencrypted secret key, or the folder of one, that other users can open.
    #[error(
        "{} is open to other users (mode {mode:04o}){}",
        lustre_files::shown(path),
        help!("run: chmod {wanted:o} '{}'", lustre_files::shown(path))
    )]
    OpenToOthers {
        /// The file or folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The permission bits it should have.
        wanted: u32,
    },
    #[error("{origin} is not an OpenPGP {wanted} key: {problem}{}", help!("{hint}"))]
    NotAKey {
        /// Where it was read from.
        origin: String,
        /// "secret" or "public".
        wanted: &'static str,
        /// What is wrong with it. Nothing of its content is ever shown.
        problem: Problem,
        /// What to do next.
        hint: &'static str,
    },
    #[error(
        "{origin} has {count} keys, expected one{}",
        help!("export only one: gpg --armor --export[-secret-keys] FINGERPRINT")
    )]
    SeveralKeys {
        /// Where they were read from.
        origin: String,
        /// How many.
        count: usize,
    },
    #[error(
        "key {fingerprint} from {origin} has no secret part for its primary key, which must sign the metadata{}",
        help!("export it with: gpg --armor --export-secret-keys {fingerprint} (not --export-secret-subkeys)")
    )]
    NoSecret {
        /// Where the key was read from.
        origin: String,
        fingerprint: String,
    },
    #[error(
        "key {fingerprint} from {origin} is encrypted and no passphrase was given; put the passphrase into a file (mode 0600) and set \
         {variable} to its path",
        variable = secrets::PASSPHRASE_FILE_VARIABLE
    )]
    Encrypted {
        /// Where the key was read from.
        origin: String,
        fingerprint: String,
    },
    #[error(
        "the passphrase does not open key {fingerprint} from {origin}{}",
        help!("check the file that {variable} names (one trailing line end is ignored) and that it belongs to this key", variable = secrets::PASSPHRASE_FILE_VARIABLE)
    )]
    WrongPassphrase {
        /// Where the key was read from.
        origin: String,
        fingerprint: String,
    },
    #[error(
        "key {fingerprint} expired at {expired}, before {at}{}",
        help!("its owner can give it a later end, with `cargo xtask key renew` (in gpg-agent: gpg --quick-set-expire {fingerprint} 2y), and has to give out its public key again; or use another key: see docs/keys.md")
    )]
    Expired {
        fingerprint: String,
        /// The end of its lifetime.
        expired: String,
        /// The moment it was needed, in words.
        at: String,
    },
    #[error(
        "key {fingerprint} is valid only from {created}, after {at}{}",
        help!("clients reject a signature older than its key: sign at a later time or use an older key")
    )]
    NotYetValid {
        fingerprint: String,
        /// When it was made.
        created: String,
        /// The moment it was needed, in words.
        at: String,
    },
    #[error("key {fingerprint} was revoked by its owner{}", help!("use another key"))]
    Revoked { fingerprint: String },
    /// The key's algorithm or size is not what rpm on EL8 to EL10 takes.
    #[error(
        "key {fingerprint} is {found}{}",
        help!("rpm on EL8 and later needs RSA with at least 3072 bits: make a key with `cargo xtask key new` or gpg --quick-generate-key \
               'Name <mail>' rsa4096 sign")
    )]
    TooWeak {
        fingerprint: String,
        /// Algorithm and size.
        found: String,
    },
    #[error(
        "the self-signature of key {fingerprint} uses {hash}, which EL9 and later reject; renew it: gpg --cert-digest-algo SHA512 \
         --quick-set-expire {fingerprint} 2y, then export it again"
    )]
    WeakSelfSignature {
        fingerprint: String,
        /// The hash found.
        hash: String,
    },
    /// No self-signature holds, so nothing the key says of itself can be trusted.
    #[error(
        "key {fingerprint} has no user id with a valid self-signature; the file is damaged or was changed: export the key \
         again from where it was made"
    )]
    NoSelfSignature { fingerprint: String },
    #[error(
        "the primary key of {fingerprint} may not sign data (its flags allow only certification), and dnf5 rejects metadata signed by a \
         subkey{}",
        help!("make a key with gpg --quick-generate-key 'Name <mail>' rsa4096 sign")
    )]
    CannotSign { fingerprint: String },
    /// The key's newest self-signature is newer than the signature would be.
    #[error(
        "the self-signature of key {fingerprint} is from {since}, after {at}{}",
        help!("strict clients reject a signature older than that: sign at a later time")
    )]
    BeforeSelfSignature {
        fingerprint: String,
        /// The time of its newest self-signature.
        since: String,
        /// The moment it was needed, in words.
        at: String,
    },
    #[error(
        "{at} is in the future, and clients reject such a signature{}",
        help!("check this machine's clock, and the target's `source_date_epoch`")
    )]
    Future {
        /// The time, in words.
        at: String,
    },
    /// OpenPGP's library does not do it. What it says could carry a part of the secret, and is not shown.
    #[error(
        "cannot {action}: the key is damaged{}",
        help!("export it again from where it was made")
    )]
    OpenPgp { action: &'static str },
    #[error(
        "{source}{}",
        help!("a key in gpg-agent needs GnuPG: install the package gnupg (gnupg2 on EL)")
    )]
    NoGpg {
        /// Why it did not start.
        source: process::Error,
    },
    #[error(
        "gpg has no secret key {fingerprint} ({reason}){}",
        help!("list the keys with gpg --list-secret-keys, and check GNUPGHOME and that the card is in its reader")
    )]
    AgentKey {
        /// The fingerprint asked for.
        fingerprint: String,
        /// What gpg says.
        reason: String,
    },
    /// The name given for gpg-agent's key is not a whole fingerprint.
    #[error(
        "the given key of gpg-agent is not a fingerprint: it has {characters} characters instead of 40 hexadecimal digits (shorter ids can \
         be forged); gpg --list-secret-keys --with-fingerprint lists them"
    )]
    NotAFingerprint {
        /// How long it is. It is not shown: it may be the key itself.
        characters: usize,
    },
    #[error(
        "gpg could not sign with key {fingerprint}: {source}{}",
        help!("unlock it first (gpg-preset-passphrase, or sign something by hand once), or set {variable} to the passphrase's file", variable = secrets::PASSPHRASE_FILE_VARIABLE)
    )]
    Agent {
        fingerprint: String,
        /// How gpg ended.
        source: process::Error,
    },
    /// The file is not a package, or is damaged so that it cannot be read.
    #[error(
        "{} is not a readable RPM package: {reason}{}",
        lustre_files::shown(path),
        help!("{hint}")
    )]
    BadPackage {
        path: PathBuf,
        reason: String,
        /// What to do next.
        hint: &'static str,
    },
    #[error(
        "{} is damaged: its {what} has digest {actual}, but the package says {expected}{}",
        lustre_files::shown(path),
        help!("build or download it again")
    )]
    Digest {
        path: PathBuf,
        /// Which part.
        what: &'static str,
        /// The digest in the package.
        expected: String,
        /// The digest found.
        actual: String,
    },
    #[error(
        "{} is not signed; sign it, or use a signed package",
        lustre_files::shown(path)
    )]
    Unsigned { path: PathBuf },
    #[error(
        "the signature of {} is not valid: {source}",
        lustre_files::shown(path)
    )]
    PackageSignature { path: PathBuf, source: Box<Error> },
    #[error(
        "it was made by key {found}, expected {expected}{}",
        help!("someone else signed it, or the key was replaced: check the fingerprint with its publisher")
    )]
    OtherKey {
        /// The key or keys that are accepted.
        expected: String,
        /// The issuer the signature names.
        found: String,
    },
    #[error(
        "signature by key {fingerprint}: {reason}{}",
        help!("the data or the signature was changed: get both again")
    )]
    BadSignature {
        /// The key it should be by.
        fingerprint: String,
        /// What does not fit.
        reason: String,
    },
}

impl Error {
    /// For `map_err`: an error of the OpenPGP library, which is dropped: it could carry a part of the secret.
    pub(super) fn pgp(action: &'static str) -> impl FnOnce(pgp::errors::Error) -> Error {
        move |_| Error::OpenPgp { action }
    }
}
