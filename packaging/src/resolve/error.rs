//! What can go wrong while a target's packages are chosen, and what to do then.

use std::path::PathBuf;

use lustre_files::help;

use crate::target::UnknownVariable;
use crate::{process, sign, source, store};

/// A goal that dnf finds no packages for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Problem {
    pub goal: String,
    /// What dnf says.
    pub text: String,
}

/// A place of a repository that was tried.
#[derive(Debug)]
pub struct Elsewhere {
    /// Where it is.
    pub url: String,
    /// What was wrong there.
    pub error: Error,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Variable(#[from] UnknownVariable),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error("cannot read the key `{name}` from {place}: {source}")]
    BadKey {
        /// Its name in the target's `[distribution.keys]`.
        name: String,
        /// Where it is from.
        place: String,
        source: Box<sign::Error>,
    },
    #[error(
        "the key `{name}` from {place} is not the one in the target\n  expected {expected}\n  found    {}\n  compare it with the one that \
         the distribution publishes before you change [distribution.keys.{name}] in the target",
        list(found)
    )]
    Fingerprint {
        /// Its name in the target's `[distribution.keys]`.
        name: String,
        /// Where it is from.
        place: String,
        /// The fingerprint that the target names.
        expected: String,
        /// The fingerprints of the keys that are there.
        found: Vec<String>,
    },
    /// Metadata without a signature, of a repository that signs it.
    #[error(
        "repository `{repository}`: its metadata is not signed: {url}.asc is missing ({source})\n  the packages' own signatures are still \
         checked, but nothing proves that this list of packages is the distribution's own and current; vaults often have no signature\n  if \
         the distribution publishes it like this, accept it for this repository in your own target:\n    inherits = \"THE TARGET\"\n    \
         [distribution.repository.{repository}]\n    signed_metadata = false"
    )]
    Unsigned {
        repository: String,
        /// Its `repomd.xml`.
        url: String,
        /// What was said of the signature.
        source: Box<source::Error>,
    },
    /// A file that `repomd.xml` names is not there, or is another.
    #[error(transparent)]
    Unlike { source: Box<source::Error> },
    /// The same fault with every `repomd.xml` that was fetched.
    #[error(
        "{source}\n  tried {times} times, each with a new repomd.xml: the mirror is being updated, or is damaged{}",
        help!("try again later, or use another one with --mirror FROM=TO")
    )]
    Unsettled {
        /// How often.
        times: usize,
        source: Box<Error>,
    },
    #[error(
        "repository `{repository}`: not found at any of its locations{}",
        places(tried)
    )]
    Nowhere {
        repository: String,
        /// All of them.
        tried: Vec<Elsewhere>,
    },
    #[error(
        "repository `{repository}`: the signature of {url} is not valid: {source}\n  the mirror is not trustworthy, or the repository is \
         signed with another key than `{key}`{}",
        help!("use another mirror with --mirror FROM=TO")
    )]
    Signature {
        repository: String,
        /// The metadata.
        url: String,
        /// The key's name.
        key: String,
        source: Box<sign::Error>,
    },
    #[error("repository `{repository}`: {url}: {why}")]
    Metadata {
        repository: String,
        url: String,
        why: String,
    },
    #[error(
        "the source repositories ({}) have no source package {wanted}{}",
        repositories.join(", "), there_is(found)
    )]
    NoSourcePackage {
        /// The package and its version.
        wanted: String,
        /// The repositories' ids.
        repositories: Vec<String>,
        /// The versions they have of it, oldest first.
        found: Vec<String>,
    },
    #[error(
        "repository `{repository}`: {} that are not signed with any of its keys in the target ({})\n    {}\n  if the distribution signs \
         with more than one key, list them all in the target, each with its fingerprint in [distribution.keys.NAME]:\n    \
         [distribution.repository.{repository}]\n    key = [\"{}\", \"NAME\"]",
        counted(packages.len()), keys.join(", "), first_of(packages), key
    )]
    Signers {
        repository: String,
        /// The name of the first of its keys.
        key: String,
        /// The fingerprints of all.
        keys: Vec<String>,
        /// The packages, each with who signed it.
        packages: Vec<String>,
    },
    #[error(
        "{}: {why}{}",
        lustre_files::shown(path),
        help!("packages are resolved by dnf 4 (the package dnf on Debian and on Enterprise Linux), through its Python interface")
    )]
    NoDnf { path: PathBuf, why: String },
    #[error("{doing}: {source}")]
    Tool {
        /// What it was to do.
        doing: &'static str,
        source: process::Error,
    },
    #[error("cannot parse dnf's output: {0}")]
    Answer(String),
    /// Metadata that is what it should be by its digest, and that dnf cannot read.
    #[error(
        "dnf cannot read the metadata of {}: {why}\n  its publisher must create the metadata again, or use another mirror with --mirror \
         FROM=TO", repositories.join(", ")
    )]
    Unreadable {
        /// The repositories with binary packages, one of which it is.
        repositories: Vec<String>,
        /// What dnf says.
        why: String,
    },
    #[error(
        "repository `{repository}`: {package} has the checksum {checksum} in the metadata; a lock needs sha256"
    )]
    Checksum {
        repository: String,
        package: String,
        /// The kind of checksum.
        checksum: String,
    },
    #[error(
        "{}\n  if no repository has a name, correct it in the target; if nothing provides a dependency, add a [distribution.repository.ID], \
         or the mirror is being updated: try again later, or use another one with --mirror FROM=TO",
        unmet(.0)
    )]
    Unmet(Vec<Problem>),
}

impl Error {
    /// Whether it is one that a mirror shows while it is brought up to date: files or a signature that are not of its `repomd.xml`.
    pub(super) fn is_between_states(&self) -> bool {
        match self {
            Self::Signature { source, .. } => {
                matches!(**source, sign::Error::BadSignature { .. })
            }
            Self::Unlike { source } => {
                source.is_gone()
                    || matches!(
                        **source,
                        source::Error::Digest { .. } | source::Error::Larger { .. }
                    )
            }
            _ => false,
        }
    }
}

fn places(tried: &[Elsewhere]) -> String {
    tried
        .iter()
        .map(|one| {
            let error = one.error.to_string().replace('\n', "\n  ");
            format!("\n  {}: {error}", one.url)
        })
        .collect()
}

fn counted(packages: usize) -> String {
    match packages {
        1 => "there is a package".to_owned(),
        more => format!("there are {more} packages"),
    }
}

fn first_of(packages: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut lines: Vec<String> = packages.iter().take(SHOWN).cloned().collect();
    if packages.len() > SHOWN {
        lines.push(format!("and {} more", packages.len() - SHOWN));
    }
    lines.join("\n    ")
}

fn list(found: &[String]) -> String {
    if found.is_empty() {
        "no key".to_owned()
    } else {
        found.join(", ")
    }
}

fn there_is(found: &[String]) -> String {
    const SHOWN: usize = 10;
    if found.is_empty() {
        return "; is the name right?".to_owned();
    }
    let newest: Vec<&str> = found.iter().rev().take(SHOWN).map(String::as_str).collect();
    format!(
        "; they have {}{}. A kernel that the current release dropped may be in the distribution's vault: see the variable `location` of the \
         target",
        newest.join(", "),
        if found.len() > SHOWN {
            " and older ones"
        } else {
            ""
        }
    )
}

fn unmet(problems: &[Problem]) -> String {
    let texts: Vec<String> = problems
        .iter()
        .map(|one| {
            let text = one.text.trim().replace('\n', "\n    ");
            format!("cannot resolve the packages of `{}`:\n    {text}", one.goal)
        })
        .collect();
    texts.join("\n  ")
}
