//! The arguments of `rebuild`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::VerifyArgs;
use crate::cli::key::KeyArgs;
use crate::cli::target::TargetArgs;

/// Arguments of `rebuild`.
#[derive(Debug, Clone, Args)]
pub struct RebuildArgs {
    /// Which target, and how.
    #[command(flatten)]
    pub target: TargetArgs,
    /// The repository.
    #[arg(value_name = "PATH|URL")]
    pub path: PathBuf,
    /// Rebuild only the source package NAME, or the one that makes the package NAME.
    ///
    /// May be given more than once.
    #[arg(long = "package", value_name = "NAME")]
    pub packages: Vec<String>,
    /// Take the packages that the lock pins from a bundle.
    ///
    /// Mirrors drop superseded packages; what `cargo xtask bundle` wrote when the repository was made has them.
    #[arg(long, value_name = "FILE")]
    pub bundle: Option<PathBuf>,
    /// Rebuild it even if it is not known whose key to expect.
    ///
    /// Its source packages are built in a sandbox, with no proof of who made them.
    #[arg(long, conflicts_with = "public_key")]
    pub trust_on_first_use: bool,
    /// Whether the target was named on the command line: else it is the one that the repository's manifest names.
    #[arg(skip)]
    pub target_given: bool,
    /// The options on the command line that would have no effect.
    #[arg(skip)]
    pub without_effect: Vec<&'static str>,
    /// Public key that the repository must be signed with.
    ///
    /// A file, a fingerprint of 40 digits, or several with commas between them; also given more than once: then one of these keys.
    /// Defaults to the secret key's, or to this machine's development key.
    #[arg(
        long,
        value_name = "FILE|FINGERPRINT",
        help_heading = "Signing key",
        conflicts_with_all = ["key_file", "key_agent"]
    )]
    pub public_key: Vec<String>,
    /// The secret key that the repository is signed with.
    #[command(flatten)]
    pub key: KeyArgs,
}

impl RebuildArgs {
    /// The options of builds that a rebuild has no use for, by their ids, and how they are written.
    pub const WITHOUT_EFFECT: [(&'static str, &'static str); 6] = [
        ("sources", "--source"),
        ("allow_incomplete", "--allow-incomplete"),
        ("store_remote", "--store-remote"),
        ("store_keys", "--store-key"),
        ("push", "--push"),
        ("ccache", "--ccache"),
    ];

    /// How it is verified before anything of it is built.
    pub fn verified(&self) -> VerifyArgs {
        VerifyArgs {
            target: self.target.clone(),
            path: Some(self.path.clone()),
            output: None,
            reproducible: false,
            only_static: true,
            as_published: false,
            boot: false,
            max_age: None,
            key_days: 0,
            trust_on_first_use: self.trust_on_first_use,
            target_given: self.target_given,
            public_key: self.public_key.clone(),
            key: self.key.clone(),
        }
    }
}
