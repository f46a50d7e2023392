//! The arguments of `bench`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::Args;

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// What to measure, such as `repodata`; all by default.
    ///
    /// All of it takes a quarter of an hour on two cores, and 2 GB of TMPDIR.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Measure on fewer packages.
    ///
    /// What takes no part in a short run is left out.
    #[arg(long)]
    pub short: bool,
    /// How often each side runs.
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::new(5).unwrap_or(NonZeroUsize::MIN))]
    pub rounds: NonZeroUsize,
    /// Put the table into this file, such as docs/performance.md.
    ///
    /// In place of the whole table there, so only with all of it measured: neither with NAME nor with --short.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["names", "short"])]
    pub write: Option<PathBuf>,
    /// Target whose repository and buildroots are measured, where it was built.
    #[arg(long, value_name = "NAME", default_value = "rehearsal")]
    pub target: String,
    /// Install missing host tools with apt or dnf, after naming them.
    #[arg(long)]
    pub setup: bool,
    /// The result as JSON: see [`GlobalArgs`].
    #[arg(skip)]
    pub json: bool,
    /// Where fetched and built things are kept: see [`GlobalArgs`].
    #[arg(skip)]
    pub store: Option<PathBuf>,
}
