//! What can go wrong with apt or the archive.

use lustre_files::help;
use lustre_process as process;

/// What went wrong with apt or the archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "this target's packages are made from Debian's `{wanted}`, and this host is {found}{}",
        help!("run it on Debian `{wanted}`, or choose another target (`cargo xtask targets`)")
    )]
    Host {
        /// The code name asked for.
        wanted: String,
        /// What the host says it is.
        found: String,
    },
    #[error(
        "none of this host's apt sources of Debian (`Origin: Debian`) has the suite `{suite}` with the component `{component}` for amd64{}",
        help!("add Debian's archive to the sources, or enable it (`apt-get indextargets` lists them)")
    )]
    NoSource {
        /// The suite asked for.
        suite: String,
        /// The component asked for.
        component: String,
    },
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error("{doing}: {source}")]
    Apt {
        /// What it was to do.
        doing: String,
        source: process::Error,
    },
    /// apt's answer has another form than `'uri' file size SHA256:digest`.
    #[error("cannot parse apt's output: `{line}`")]
    Answer { line: String },
    /// Which command helps, the caller knows: the lock may be that of others.
    #[error(
        "cannot fetch {file} from {uri}: {reason}. Debian's archive keeps only current versions"
    )]
    Gone {
        file: String,
        /// Its place.
        uri: String,
        /// What the downloader says.
        reason: String,
    },
    #[error(
        "{file} from {uri} has SHA256 {found}, expected {pinned}; the archive or mirror is damaged, or the lock is for another one"
    )]
    Digest {
        file: String,
        /// Its place.
        uri: String,
        found: String,
        /// The pin's.
        pinned: String,
    },
}
