//! What can go wrong while a target's packages are chosen, and what to do then.

use std::path::PathBuf;

use crate::target::UnknownVariable;
use crate::{process, sign, source, store};

/// A goal that dnf finds no packages for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Problem {
    /// The goal.
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
    /// A file cannot be fetched, or is not what it should be.
    #[error(transparent)]
    Source(#[from] source::Error),
    /// The store refused something.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A location cannot be told.
    #[error(transparent)]
    Variable(#[from] UnknownVariable),
    /// A file or folder cannot be used.
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// What should be a key cannot be read as one.
    #[error("the key `{name}` from {place} cannot be read: {source}")]
    BadKey {
        /// Its name in the target's `[distribution.keys]`.
        name: String,
        /// Where it is from.
        place: String,
        /// Why.
        source: Box<sign::Error>,
    },
    /// A key with another fingerprint.
    #[error(
        "the key `{name}` from {place} is not the one that the target names\n  expected {expected}\n  found    {}\n  compare with \
         what the distribution publishes; a target is changed only after that, in [distribution.keys.{name}]",
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
        "repository `{repository}`: nobody has signed this metadata: {url}.asc is not there ({source})\n  the packages' own \
         signatures are checked all the same; what is missing is the proof that this list of packages is the distribution's own and of \
         today, and a vault often has none\n  where the distribution publishes it so, a target of your own says that for this one \
         repository and inherits the rest:\n    inherits = \"THE TARGET\"\n    [distribution.repository.{repository}]\n    \
         signed_metadata = false"
    )]
    Unsigned {
        /// The repository.
        repository: String,
        /// Its `repomd.xml`.
        url: String,
        /// What was said of the signature.
        source: Box<source::Error>,
    },
    /// A file that `repomd.xml` names is not there, or is another.
    #[error(transparent)]
    Unlike {
        /// Why.
        source: Box<source::Error>,
    },
    /// The same fault with every `repomd.xml` that was fetched.
    #[error(
        "{source}\n  it was so {times} times, with repomd.xml fetched anew each time: the mirror is between two states for longer, or \
         is damaged; try again later, or another with --mirror FROM=TO"
    )]
    Unsettled {
        /// How often.
        times: usize,
        /// What is wrong.
        source: Box<Error>,
    },
    /// No place of a repository has its metadata.
    #[error(
        "repository `{repository}`: none of its places has it{}",
        places(tried)
    )]
    Nowhere {
        /// The repository.
        repository: String,
        /// All of them.
        tried: Vec<Elsewhere>,
    },
    /// The metadata's signature does not hold.
    #[error(
        "repository `{repository}`: the signature of {url} does not hold: {source}\n  the mirror is not to be believed, or the \
         repository is signed with another key than `{key}`; another mirror is given with --mirror FROM=TO"
    )]
    Signature {
        /// The repository.
        repository: String,
        /// The metadata.
        url: String,
        /// The key's name.
        key: String,
        /// Why.
        source: Box<sign::Error>,
    },
    /// Metadata that cannot be read, or lacks something.
    #[error("repository `{repository}`: {url}: {why}")]
    Metadata {
        /// The repository.
        repository: String,
        /// The file.
        url: String,
        /// Why.
        why: String,
    },
    /// No source repository has the package.
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
    /// Packages that none of the keys of their repository signed.
    #[error(
        "repository `{repository}`: {} that none of the keys that the target names for it signed ({})\n    {}\n  where the distribution \
         signs with more than one key, a target names them all, each with its fingerprint in [distribution.keys.NAME]:\n    \
         [distribution.repository.{repository}]\n    key = [\"{}\", \"NAME\"]",
        counted(packages.len()), keys.join(", "), first_of(packages), key
    )]
    Signers {
        /// The repository.
        repository: String,
        /// The name of the first of its keys.
        key: String,
        /// The fingerprints of all.
        keys: Vec<String>,
        /// The packages, each with who signed it.
        packages: Vec<String>,
    },
    /// dnf is not there, or is none that has Python.
    #[error(
        "{}: {why}; packages are chosen by dnf 4 (the package dnf on Debian and on Enterprise Linux), through its Python interface",
        lustre_files::shown(path)
    )]
    NoDnf {
        /// The program.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A program failed.
    #[error("{doing}: {source}")]
    Tool {
        /// What it was to do.
        doing: &'static str,
        /// Why.
        source: process::Error,
    },
    /// dnf's answer is not understood.
    #[error("dnf's answer cannot be read: {0}")]
    Answer(String),
    /// Metadata that is what it should be by its digest, and that dnf cannot read.
    #[error(
        "dnf cannot read the metadata of {}: {why}\n  the repository has to be made anew by whoever publishes it, or another is given \
         with --mirror FROM=TO", repositories.join(", ")
    )]
    Unreadable {
        /// The repositories with binary packages, one of which it is.
        repositories: Vec<String>,
        /// What dnf says.
        why: String,
    },
    /// A package without a digest that can be pinned.
    #[error(
        "repository `{repository}`: {package} has the checksum {checksum} in the metadata, and a lock needs sha256"
    )]
    Checksum {
        /// The repository.
        repository: String,
        /// The package.
        package: String,
        /// The kind of checksum.
        checksum: String,
    },
    /// Goals that cannot be met.
    #[error(
        "{}\n  a name that no repository has is changed in the target; a dependency that nothing provides may need one more \
         [distribution.repository.ID], or the mirror is between two states: try again later, or another with --mirror FROM=TO",
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
        "; they have {}{}. A kernel that a current release dropped may be in the distribution's vault: the variable `location` of \
         the target says where it looks",
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
            format!(
                "the packages of `{}` cannot be chosen:\n    {text}",
                one.goal
            )
        })
        .collect();
    texts.join("\n  ")
}
