//! The arguments of every command about a target.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::TypedValueParser;
use clap::{Arg, Args};

/// The argument, which no help lists where it is one of `without_effect`: ids of options, and how they are written.
pub fn hidden(argument: Arg, without_effect: &[(&str, &str)]) -> Arg {
    let hides = without_effect
        .iter()
        .any(|(id, _)| argument.get_id() == *id);
    if hides { argument.hide(true) } else { argument }
}

/// The largest limit that can be given, which is none in effect.
const MOST: u64 = 1 << 20;

/// Reads a limit in whole `unit`.
pub fn limit(unit: &'static str) -> impl TypedValueParser<Value = u64> {
    move |text: &str| -> Result<u64, String> {
        let limit = text.parse().ok();
        limit
            .filter(|limit| (1..=MOST).contains(limit))
            .ok_or_else(|| format!("give a whole number of {unit}, from 1 to {MOST}"))
    }
}

/// What every command about a target takes.
#[derive(Debug, Clone, Args)]
pub struct TargetArgs {
    /// Target to build for: a name, or a file.
    ///
    /// `cargo xtask targets` lists the names. A file (`./NAME.toml`) may inherit from a file beside it or from a named target; its lock is
    /// `NAME.lock.toml`, beside it.
    #[arg(
        long,
        default_value = "rehearsal",
        value_name = "NAME|PATH.toml",
        help_heading = "Target"
    )]
    pub target: String,
    /// Use another Lustre release than the target's.
    ///
    /// The name of a file in `specs/lustre/releases`. Lock and output are named NAME-lustre-RELEASE. `cargo xtask targets --matrix`
    /// shows which release works with which kernel.
    #[arg(long, value_name = "RELEASE", help_heading = "Target")]
    pub lustre: Option<String>,
    /// Run without network, from the store.
    #[arg(long, help_heading = "Sources")]
    pub offline: bool,
    /// Refuse to change the lock.
    #[arg(long, help_heading = "Sources")]
    pub locked: bool,
    /// Use a local source: NAME=PATH[@REV].
    ///
    /// NAME=PATH is a directory or a file, NAME=PATH@REV a commit of a clone.
    #[arg(long = "source", value_name = "NAME=PATH", help_heading = "Sources")]
    pub sources: Vec<String>,
    /// Fetch from another location: FROM=TO.
    #[arg(long = "mirror", value_name = "FROM=TO", help_heading = "Sources")]
    pub mirrors: Vec<String>,
    /// Continue if the clone of the source NAME lacks files.
    ///
    /// They are listed, and empty in the build.
    #[arg(long, value_name = "NAME", help_heading = "Sources")]
    pub allow_incomplete: Vec<String>,
    /// Take finished stages from a shared store, and build only what it lacks.
    ///
    /// A directory, http(s)://HOST/PATH, s3://BUCKET/PATH, or rclone:REMOTE:PATH. Defaults to LUSTRE_REPO_STORE_REMOTE. Not used with
    /// --offline. See docs/shared-store.md.
    #[arg(long, value_name = "URL", help_heading = "Shared store")]
    pub store_remote: Option<String>,
    /// Public key of a builder whose stages are taken.
    ///
    /// May be given more than once. Defaults to LUSTRE_REPO_STORE_KEY_FILE. With --push, one of the files has the secret key that signs.
    #[arg(long = "store-key", value_name = "FILE", help_heading = "Shared store")]
    pub store_keys: Vec<PathBuf>,
    /// Upload stages that are built here to the shared store.
    #[arg(long, help_heading = "Shared store")]
    pub push: bool,
    /// Compile the kernel, e2fsprogs and Lustre with the host's ccache.
    ///
    /// --ccache=DIR keeps what was compiled in DIR, and not in the store, up to 20 GB. DIR is given to the builder's user id, so it is for this
    /// alone: no ccache of another user could write there afterwards. The packages are the same, byte for byte; but a later build
    /// trusts every build that wrote into the cache, so do not use it for releases.
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub ccache: Option<Option<PathBuf>>,
    /// Parallel jobs of a build; defaults to the number of cores.
    ///
    /// Also the number of stages that run in parallel, up to four. The builds of the kernel and e2fsprogs can run at the same time, with up
    /// to 2 N jobs. The result does not depend on it.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// End a build whose log becomes larger than MIB; 1024 by default.
    ///
    /// One that prints without end would fill the disk.
    #[arg(long, value_name = "MIB", value_parser = limit("MiB"))]
    pub max_log: Option<u64>,
    /// Build under other circumstances, for `verify --reproducible`.
    #[arg(long, hide = true)]
    pub elsewhere: bool,
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
    /// Results as JSON: see `GlobalArgs`.
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see `GlobalArgs`.
    #[arg(skip)]
    pub store: Option<PathBuf>,
}
