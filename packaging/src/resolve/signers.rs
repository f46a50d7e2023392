//! Who signed the packages that were chosen, by their own headers: found out before they are fetched.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use lustre_files::side_by_side;

use super::dnf::pin;
use super::keys::Key;
use super::metadata::Metadata;
use super::{Error, ResolvedPackage, Solution, at};
use crate::sign::{self, PublicKey, verify_headers};
use crate::source::Downloader;
use crate::store::{Digest, Store};
use crate::target::{BaseRepository, Distribution};

/// How many packages are looked at, at a time.
const WIDTH: usize = 4;

/// No package's headers are larger than this: those of a kernel with all its files are a hundredth of it.
const LARGEST: u64 = 256 << 20;

/// Checks the signature over each chosen package's headers with the keys of its repository; only the headers are fetched. Gives the
/// number of packages whose server gives no parts of files: of those it is seen when they are installed.
pub fn signers(
    downloader: &Downloader<'_>,
    store: &Store,
    distribution: &Distribution,
    metadata: &Metadata,
    keys: &BTreeMap<String, Key>,
    solutions: &[Solution],
) -> Result<usize, Error> {
    let mut unknown = 0;
    for repository in &distribution.repository {
        let named = repository.key.all();
        let mut public = Vec::new();
        for name in named {
            if let Some(key) = keys.get(name) {
                public.push(
                    PublicKey::parse(&key.armored).map_err(|source| Error::BadKey {
                        name: name.clone(),
                        place: key.pin.uri.clone(),
                        source: Box::new(source),
                    })?,
                );
            }
        }
        let (packages, not_seen) = look(
            &SignerSearch {
                downloader,
                store,
                distribution,
                metadata,
                keys: &public,
            },
            &of(repository, solutions),
        )?;
        unknown += not_seen;
        if !packages.is_empty() {
            return Err(Error::Signers {
                repository: repository.id.clone(),
                key: named.join("\", \""),
                keys: public.iter().map(PublicKey::fingerprint).collect(),
                packages,
            });
        }
    }
    Ok(unknown)
}

/// The packages of a repository among those that were chosen, each once.
fn of<'s>(repository: &BaseRepository, solutions: &'s [Solution]) -> Vec<&'s ResolvedPackage> {
    let all = solutions.iter().flat_map(|goal| &goal.packages);
    let here: BTreeMap<&str, &ResolvedPackage> = all
        .filter(|one| one.repository == repository.id)
        .map(|one| (one.digest.as_str(), one))
        .collect();
    here.into_values().collect()
}

struct SignerSearch<'a> {
    downloader: &'a Downloader<'a>,
    store: &'a Store,
    distribution: &'a Distribution,
    metadata: &'a Metadata,
    keys: &'a [PublicKey],
}

/// Those of `packages` that none of the keys signed, each with who did, in order; and how many could not be looked at.
fn look(
    looking: &SignerSearch<'_>,
    packages: &[&ResolvedPackage],
) -> Result<(Vec<String>, usize), Error> {
    let answers = side_by_side(packages, WIDTH, |package| one(looking, package))?;
    let unknown = answers
        .iter()
        .filter(|answer| matches!(answer, Answer::Unknown))
        .count();
    let mut others: Vec<String> = answers
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::Other(line) => Some(line),
            Answer::Ours | Answer::Unknown => None,
        })
        .collect();
    others.sort();
    Ok((others, unknown))
}

enum Answer {
    Ours,
    /// The package, and who signed it.
    Other(String),
    Unknown,
}

fn one(looking: &SignerSearch<'_>, package: &ResolvedPackage) -> Result<Answer, Error> {
    let pin = pin(looking.metadata, package)?;
    let digest: Option<Digest> = pin.file.sha256.parse().ok();
    let headers = match digest.and_then(|digest| looking.store.file(&digest)) {
        Some(path) => {
            let mut headers = Vec::new();
            lustre_files::open(&path)
                .and_then(|file| {
                    file.take(LARGEST.min(package.header_end))
                        .read_to_end(&mut headers)
                })
                .map_err(at(&path))?;
            headers
        }
        None => {
            let places = looking.distribution.places(&pin.file.uri);
            let bytes = LARGEST.min(package.header_end);
            match looking
                .downloader
                .beginning(&package.repository, &places, bytes)?
            {
                Some(headers) => headers,
                None => return Ok(Answer::Unknown),
            }
        }
    };
    let file = Path::new(&pin.file.file);
    let why = match verify_headers(file, &headers, looking.keys) {
        Ok(()) => return Ok(Answer::Ours),
        Err(sign::Error::PackageSignature { source, .. }) => match *source {
            sign::Error::OtherKey { found, .. } => format!("signed by {found}"),
            other => other.to_string(),
        },
        Err(sign::Error::Unsigned { .. }) => "not signed".to_owned(),
        Err(other) => other.to_string(),
    };
    Ok(Answer::Other(format!("{}: {why}", pin.file.file)))
}
