//! Fetching the files of a repository, each held against its digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, bail};
use lustre_files::{Advised, advised};
use lustre_packaging::source::{self, Downloader, Location};
use lustre_packaging::store::Digest;
use lustre_repository::assets::Assets;
use lustre_repository::history::History;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::sums;

use super::super::super::proofs;
use crate::context::Context;
use crate::events::Amount;
use crate::transfer;

/// The name of the check that every file is served as it was signed.
pub const CHECK: &str = "served";

/// How many files come at a time.
const WIDTH: usize = 4;

/// After how many files that are not served as they were signed no further ones are tried.
pub const NAMED: usize = 5;

/// No file but a package is larger (bytes).
pub const LARGEST: u64 = 64 << 20;

/// There are no more files than this besides packages.
const MOST: usize = 1000;

/// A file that is fetched.
pub struct ListedFile {
    pub path: String,
    pub sha256: Digest,
    /// What the manifest says that it has; of packages alone.
    pub size: Option<u64>,
    /// Where it is if it is not beside the metadata; of packages alone.
    pub asset: Option<String>,
}

/// The files with their sizes, the largest first.
pub fn sized(
    wanted: BTreeMap<String, Digest>,
    manifest: &Manifest,
    releases: Option<&History>,
    assets: Option<&Assets>,
) -> Result<Vec<ListedFile>, String> {
    let packages = manifest.packages.iter();
    let earlier = releases.into_iter().flat_map(|all| &all.sets);
    let earlier = earlier.flat_map(|set| &set.packages);
    let sizes: BTreeMap<&str, u64> = packages
        .map(|one| (one.file.as_str(), one.size))
        .chain(earlier.map(|one| (one.path.as_str(), one.size)))
        .collect();
    let mut files: Vec<ListedFile> = wanted
        .into_iter()
        .map(|(path, sha256)| ListedFile {
            size: sizes.get(path.as_str()).copied(),
            asset: assets.and_then(|all| all.at(&path).map(|asset| all.url_of(asset))),
            path,
            sha256,
        })
        .collect();
    let more = files.iter().filter(|file| file.size.is_none()).count();
    if more > MOST {
        return Err(format!(
            "{} lists {more} files that {} does not list as packages; a repository of this tool has at most {MOST}",
            sums::FILE,
            manifest::FILE
        ));
    }
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    Ok(files)
}

/// How large the packages are by what the repository says, which may say anything.
pub fn total(files: &[ListedFile]) -> u64 {
    let sizes = files.iter().filter_map(|file| file.size);
    sizes.fold(0, u64::saturating_add)
}

/// That there is room for the packages.
pub fn room(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let stat = rustix::fs::statvfs(folder).with_context(|| folder.display().to_string())?;
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if bytes > free {
        bail!(
            "the packages have {} MiB, and {} MiB are free in {}; make room, or choose another --store",
            bytes.div_ceil(1 << 20),
            free >> 20,
            folder.display()
        );
    }
    Ok(())
}

/// Where a repository is served, and where it is brought to.
pub struct ServedRepository<'a> {
    pub url: &'a Location,
    pub tree: &'a Path,
    pub downloader: Downloader<'a>,
}

impl ServedRepository<'_> {
    /// Fetches a small file whose digest is not known yet; or gives why what is served is none.
    pub fn small(&self, file: &str) -> anyhow::Result<Result<(), Refusal>> {
        let location = self.url.join(file)?;
        let got = self.downloader.small(CHECK, location.as_str());
        // A file of this machine that cannot be read is told as what it is, too.
        let gone = !location.is_remote() || got.as_ref().is_err_and(source::Error::is_gone);
        Ok(match told(got)? {
            Ok(content) => {
                let path = self.tree.join(file);
                lustre_files::write_whole(&path, &content)
                    .with_context(|| path.display().to_string())?;
                Ok(())
            }
            Err(why) => Err(Refusal { why, gone }),
        })
    }

    /// Fetches all `files`, and gives what is not served as it was signed.
    pub fn all(
        &self,
        files: &[ListedFile],
        context: &Context,
        all: Amount,
    ) -> anyhow::Result<Vec<String>> {
        let next = AtomicUsize::new(0);
        let findings = Mutex::new(Vec::new());
        let errors = Mutex::new(Vec::new());
        let found = || findings.lock().unwrap_or_else(PoisonError::into_inner);
        let broken = || errors.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while found().len() < NAMED
                && broken().is_empty()
                && let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed))
            {
                match self.one(file) {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => found().push(format!("{}: {why}", file.path)),
                    Err(error) => broken().push(error),
                }
            }
        };
        let so_far = || Amount {
            files: next.load(Ordering::Relaxed).min(files.len()),
            bytes: files.iter().map(|file| self.come(file)).sum(),
        };
        transfer::told(&context.screen, all, &so_far, || {
            std::thread::scope(|scope| {
                for _ in 0..WIDTH.min(files.len()) {
                    scope.spawn(work);
                }
            });
        });
        proofs::uninterrupted()?;
        if let Some(error) = broken().pop() {
            return Err(error);
        }
        let mut findings = found().clone();
        findings.sort();
        if findings.len() >= NAMED && next.load(Ordering::Relaxed) < files.len() {
            findings.push("and maybe others, which were not tried any more".to_owned());
        }
        Ok(findings)
    }

    pub fn one(&self, file: &ListedFile) -> anyhow::Result<Result<(), String>> {
        let location = self.url.join(&file.path)?;
        let most = file.size.unwrap_or(LARGEST);
        let to = self.tree.join(&file.path);
        let above = to.parent().unwrap_or(self.tree);
        fs::create_dir_all(above).with_context(|| above.display().to_string())?;
        let from = |location: &str| {
            self.downloader
                .file_at(CHECK, location, &file.sha256, most, &to)
        };
        // A mirror of the whole tree has it where it belongs.
        match (from(location.as_str()), &file.asset) {
            (Err(error), Some(asset)) if error.is_gone() => {
                let got = told(from(asset))?;
                Ok(got.map_err(|why| format!("not there, and as {asset}: {why}")))
            }
            (got, _) => told(got),
        }
    }

    /// How much of a package has come.
    fn come(&self, file: &ListedFile) -> u64 {
        let Some(size) = file.size else {
            return 0;
        };
        let there = fs::metadata(self.tree.join(&file.path));
        there.map_or(0, |there| there.len().min(size))
    }
}

/// Why a file did not come.
#[derive(Debug)]
pub struct Refusal {
    pub why: String,
    /// Whether that is because there is none.
    pub gone: bool,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// What is said of a URL whose first file did not come: that there is no repository, or that nobody can tell.
pub fn none_there(url: &Location, refusal: &Refusal) -> Advised {
    let file = sums::FILE;
    match refusal.gone {
        true => advised(
            format!("no repository of this tool at {url}: {file}: {refusal}"),
            format!("give the URL of the folder with {file}: the `baseurl` of the target"),
        ),
        false => advised(
            format!("cannot tell whether there is a repository at {url}: {file}: {refusal}"),
            format!(
                "see whether the URL is right and what its server answers (`curl --location {}/{file}`), and run the same command again",
                url.to_string().trim_end_matches('/')
            ),
        ),
    }
}

/// What a server gave, or why that is not what it has to give; an error where it was not asked at all.
pub fn told<T>(got: Result<T, source::Error>) -> anyhow::Result<Result<T, String>> {
    let why = match got {
        Ok(got) => return Ok(Ok(got)),
        Err(source::Error::Download { tried, .. }) => {
            let said: BTreeSet<String> = tried.into_iter().map(|attempt| attempt.why).collect();
            Vec::from_iter(said).join("; ").trim().to_owned()
        }
        Err(source::Error::Digest {
            expected, found, ..
        }) => format!("it has the sha256 {found}, and {expected} was signed"),
        Err(source::Error::Larger { limit, .. }) => {
            format!("it is larger than {limit} bytes")
        }
        Err(error) => return Err(error.into()),
    };
    // What an interruption broke says nothing of a server.
    proofs::uninterrupted()?;
    Ok(Err(why))
}

#[cfg(test)]
mod tests {
    use lustre_repository::history::{Set, SetPackage};

    use super::*;

    /// As whoever wrote the manifest could have it, so that the sum is nothing.
    #[test]
    fn sizes_that_no_number_holds_fit_nowhere() {
        let file = |path: &str| ListedFile {
            path: path.to_owned(),
            sha256: Digest::of_bytes(b""),
            size: Some(1 << 63),
            asset: None,
        };
        let bytes = total(&[file("a"), file("b")]);
        assert_eq!(bytes, u64::MAX);
        let dir = tempfile::tempdir().unwrap();
        room(dir.path(), bytes).unwrap_err();
    }

    #[test]
    fn a_package_of_an_earlier_release_is_as_large_as_the_list_of_releases_says() {
        let path = "x86_64-debuginfo/Packages/kernel-debuginfo-1-1.x86_64.rpm";
        let large = 20 * LARGEST;
        let wanted = BTreeMap::from([(path.to_owned(), Digest::of_bytes(b"kernel"))]);
        let releases = History {
            sets: vec![Set {
                packages: vec![SetPackage {
                    path: path.to_owned(),
                    size: large,
                    ..SetPackage::default()
                }],
                ..Set::default()
            }],
            ..History::default()
        };
        let manifest = Manifest::default();
        let size = |releases| sized(wanted.clone(), &manifest, releases, None).unwrap()[0].size;
        assert_eq!(size(Some(&releases)), Some(large));
        assert_eq!(size(None), None);
    }
}
