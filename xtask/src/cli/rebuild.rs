//! The arguments of `rebuild`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::VerifyArgs;
use crate::cli::key::ExpectedKeyArgs;
use crate::cli::target::{TargetArgs, hidden, limit};

/// Arguments of `rebuild`.
#[derive(Debug, Clone, Args)]
#[command(mut_args(|argument| hidden(argument, &Self::WITHOUT_EFFECT)))]
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
    /// End the build of a source package after HOURS.
    ///
    /// Whoever signed the repository wrote what is built. A kernel with its debuginfo takes some hours on two cores.
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = limit("hours"))]
    pub max_time: u64,
    /// End the build of a source package that writes more than GIB.
    ///
    /// Defaults to three times what `[needs]` of the target says of it, and to 8 at least. With less than 1 GiB left of the disk, it ends in
    /// any case.
    #[arg(long, value_name = "GIB", value_parser = limit("GiB"))]
    pub max_disk: Option<u64>,
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
    /// The key that the repository must be signed with.
    #[command(flatten)]
    pub expected: ExpectedKeyArgs,
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
            public_key: self.expected.public_key.clone(),
            key: self.expected.key.clone(),
        }
    }
}
