//! What can go wrong with a source, and what to do then.

use std::path::PathBuf;

use lustre_files::{Advised, help};

use crate::store::{self, Digest, PathError};
use crate::{archive, process, sign};

/// What is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a location to fetch from: {why}")]
pub struct BadLocation {
    /// What was given, without a password, and with control characters written out.
    pub text: String,
    pub why: String,
}

/// One place that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its URL, without a password.
    pub url: String,
    /// What happened there.
    pub why: String,
}

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("source `{source_name}`: {source}")]
    Archive {
        source_name: String,
        source: Box<archive::Error>,
    },
    #[error("source `{source_name}`: {source}")]
    Tool {
        source_name: String,
        source: Box<process::Error>,
    },
    #[error("source `{source_name}`: {why}")]
    Invalid {
        source_name: String,
        /// What is wrong, and what to write instead.
        why: Advised,
    },
    /// What a target, a lock or a mirror gives as a location is none.
    #[error("source `{source_name}`: {source}")]
    Location {
        source_name: String,
        source: BadLocation,
    },
    #[error(
        "repository `{repository}`: its server requires the certificate of a subscription: {}: {why}\n  register this host \
         (subscription-manager register), set the files in [distribution.repository.{repository}] (sslclientcert, sslclientkey, sslcacert), \
         or use your own copy with --mirror FROM=TO",
        lustre_files::shown(path)
    )]
    Certificate {
        repository: String,
        /// The file or folder.
        path: PathBuf,
        why: String,
    },
    #[error(
        "source `{source_name}`: {what} is not in the store, and fetching is disabled (--offline, or a command without network){}",
        help!("run `cargo xtask fetch` without --offline")
    )]
    Offline {
        source_name: String,
        /// What is missing.
        what: String,
    },
    #[error(
        "source `{source_name}`: cannot fetch {what}{}\n  run again to resume, or use another location with --mirror FROM=TO",
        list(tried)
    )]
    Download {
        source_name: String,
        /// What was to be fetched.
        what: String,
        /// Where it was looked for.
        tried: Vec<Attempt>,
    },
    #[error(
        "source `{source_name}`: {url} has the wrong digest\n  expected sha256 {expected}\n  found    sha256 {found}\n  either the file was \
         replaced or the target's digest is wrong; the download was removed"
    )]
    Digest {
        source_name: String,
        /// Where it came from.
        url: String,
        /// The digest it has to have.
        expected: Digest,
        /// The digest it has.
        found: Digest,
    },
    #[error(
        "source `{source_name}`: {url} is larger than {limit} bytes, unlike the file with the digest sha256 {expected}\n  either the file \
         was replaced or the target's digest is wrong; the download was removed"
    )]
    Larger {
        source_name: String,
        /// Where it came from.
        url: String,
        /// The digest it has to have.
        expected: Digest,
        /// How many bytes it has at most.
        limit: u64,
    },
    #[error(
        "source `{source_name}`: the download of {url} was interrupted{}",
        help!("run again to resume")
    )]
    Interrupted {
        source_name: String,
        /// What was being fetched.
        url: String,
    },
    #[error(
        "source `{source_name}`: the tag {tag} of {url} has moved\n  locked commit {locked}\n  found  commit {found}\n  ask upstream why{}",
        help!("`cargo xtask lock --update` accepts the new one")
    )]
    TagMoved {
        source_name: String,
        url: String,
        tag: String,
        /// The commit it has to name.
        locked: String,
        /// The commit it names.
        found: String,
    },
    #[error("source `{source_name}`: {repository} has no {what}{}", help!("{hint}"))]
    NoRevision {
        source_name: String,
        repository: String,
        /// The tag, commit or revision.
        what: String,
        /// What to do.
        hint: String,
    },
    #[error(
        "source `{source_name}`: {repository} is incomplete at {commit}: it lacks{}\n  use a complete clone; or, if these files are not \
         needed, pass --allow-incomplete {source_name} to continue with empty ones",
        paths(missing)
    )]
    Incomplete {
        source_name: String,
        repository: String,
        commit: String,
        /// What it lacks: paths, and what they are where they are not files.
        missing: Vec<String>,
    },
    #[error(
        "source `{source_name}`: {} has uncommitted changes{}\n  commit them, or give the commit to build: --source {source_name}={}@HEAD",
        lustre_files::shown(path),
        paths(changed),
        lustre_files::shown(path)
    )]
    Uncommitted {
        source_name: String,
        /// The work tree.
        path: PathBuf,
        changed: Vec<String>,
    },
    #[error("source `{source_name}`: {what}: {source}")]
    Signature {
        source_name: String,
        /// What is signed.
        what: String,
        /// Why it does not hold, with the keys expected and found.
        source: Box<sign::Error>,
    },
    #[error("source `{source_name}`: {url}: {why}")]
    Metadata {
        source_name: String,
        url: String,
        why: String,
    },
    /// A package or version that a source repository does not have.
    #[error(
        "source `{source_name}`: {repository} has no source package {wanted}{}",
        has(found)
    )]
    NoPackage {
        source_name: String,
        repository: String,
        /// What was looked for.
        wanted: String,
        /// The versions of that package that it has.
        found: Vec<String>,
    },
}

impl Error {
    /// Whether every place answered that it has no such file.
    pub fn is_gone(&self) -> bool {
        let gone = |one: &Attempt| {
            ["404", "410"]
                .iter()
                .any(|status| one.why.contains(&format!("returned error: {status}")))
        };
        matches!(self, Self::Download { tried, .. } if !tried.is_empty() && tried.iter().all(gone))
    }
}

fn list(tried: &[Attempt]) -> String {
    tried
        .iter()
        .map(|one| format!("\n  {}: {}", one.url, one.why))
        .collect()
}

fn paths(paths: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text: String = paths
        .iter()
        .take(SHOWN)
        .map(|path| format!("\n    {path}"))
        .collect();
    if paths.len() > SHOWN {
        text.push_str(&format!("\n    and {} more", paths.len() - SHOWN));
    }
    text
}

fn has(found: &[String]) -> String {
    if found.is_empty() {
        "; is the name right, and is it a repository of sources?".to_owned()
    } else {
        format!("; it has {}", found.join(", "))
    }
}
