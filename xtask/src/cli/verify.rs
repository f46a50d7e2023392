//! The arguments of `verify`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::key::{KeyArgs, RENEWAL_DAYS};
use crate::cli::target::TargetArgs;

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository; defaults to `dist/<target>`.
    ///
    /// If it is a URL, all files are fetched as clients see them, and nothing cached on this machine is used.
    #[arg(value_name = "PATH|URL")]
    pub path: Option<PathBuf>,
    /// Keep the repository fetched from the URL in DIR, if all checks pass.
    ///
    /// If DIR is the output of `repo`, the next release keeps its packages. A repository in DIR is only replaced by a later release of
    /// it.
    #[arg(short, long, value_name = "DIR", conflicts_with = "reproducible")]
    pub output: Option<PathBuf>,
    /// Build everything a second time and compare byte by byte.
    ///
    /// Builds elsewhere and under other circumstances, and compares with the repository at PATH, if given.
    #[arg(long, conflicts_with = "boot")]
    pub reproducible: bool,
    /// Run only the static checks: no chroot, no root.
    ///
    /// Signatures, digests, metadata and, if the distribution's packages are in the store, dependencies. Checks that do not run are listed.
    #[arg(long = "static", conflicts_with_all = ["boot", "reproducible", "trust_on_first_use"])]
    pub only_static: bool,
    /// Check it against its own manifest, not against the target.
    ///
    /// For a previous release: runs the static checks that need nothing but the repository. By now, the target may have another name, URL,
    /// key or other packages, and the release's key may be near its end.
    #[arg(long, requires = "path", conflicts_with_all = ["boot", "reproducible", "trust_on_first_use"])]
    pub as_published: bool,
    /// Boot it as well.
    ///
    /// Installs it into a fresh root, boots its kernel in QEMU, mounts Lustre and checks it from inside.
    #[arg(long)]
    pub boot: bool,
    /// Fail if the repository was signed more than DAYS days ago.
    ///
    /// An old repository that is served again still has all its signatures.
    #[arg(long, value_name = "DAYS", conflicts_with = "reproducible")]
    pub max_age: Option<u32>,
    /// Fail if the key expires within DAYS days.
    ///
    /// With 0, only if it has expired; so it is with --as-published.
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = RENEWAL_DAYS,
        default_value_if("as_published", "true", "0"),
        conflicts_with = "reproducible"
    )]
    pub key_days: u32,
    /// Install it even if no expected key is known.
    ///
    /// The scriptlets of its packages run in a chroot, with no proof of who made them.
    #[arg(long, conflicts_with_all = ["public_key", "reproducible"])]
    pub trust_on_first_use: bool,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// Public key that the repository must be signed with.
    ///
    /// A file, a fingerprint of 40 digits, or several with commas between them; also given more than once: then one of these keys.
    /// Defaults to the secret key's, or to this machine's development key; without any, nothing of the repository is
    /// installed.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        conflicts_with_all = ["key_file", "key_agent", "reproducible"]
    )]
    pub public_key: Vec<String>,
    /// The secret key that the repository is signed with.
    #[command(flatten)]
    pub key: KeyArgs,
}

impl VerifyArgs {
    /// Whether nothing is installed.
    pub fn is_static(&self) -> bool {
        self.only_static || self.as_published
    }
}
