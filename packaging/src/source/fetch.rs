//! Resolving and fetching sources.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::{Advised, advised, shown_url};

use super::git_command::Git;
use super::replace::rewrite;
use super::srpm::{Keys, find};
use super::{
    ArchiveSource, Content, Downloader, Error, FetchedSource, GitSource, Location, Locked, Mirror,
    Override, Progress, Retry, Source, SrpmSource, path, url,
};
use crate::store::{PathError, Store, digest_entries};

/// How a run fetches.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Use the store and this machine alone (`--offline`).
    pub offline: bool,
    /// Other places (`--mirror`).
    pub mirrors: Vec<Mirror>,
    /// Replaced sources (`--source`).
    pub overrides: Vec<Override>,
    /// The folder of public keys that targets name.
    pub keys: PathBuf,
    /// The sources of which a commit is taken also where parts of it are missing (`--allow-incomplete`). They are recorded.
    pub allow_incomplete: Vec<String>,
    /// How often a place is tried.
    pub retry: Retry,
}

/// Resolves and fetches the sources of a target.
pub struct Fetcher<'s> {
    pub(super) store: &'s Store,
    pub(super) options: &'s Options,
    downloader: Downloader<'s>,
}

impl<'s> Fetcher<'s> {
    /// A fetcher for one run; `progress` hears of downloads, from whichever thread they are in.
    pub fn new(
        store: &'s Store,
        options: &'s Options,
        progress: &'s (dyn Fn(&Progress) + Sync),
    ) -> Self {
        let downloader = Downloader::new(
            store,
            options.offline,
            &options.mirrors,
            options.retry,
            progress,
        );
        Self {
            store,
            options,
            downloader,
        }
    }

    /// What downloads single files into the store, for sources that are found in other ways.
    pub fn downloader(&self) -> &Downloader<'s> {
        &self.downloader
    }

    /// Resolves a source anew (a tag to its commit, a package to its newest version) and fetches it.
    pub fn lock(&self, name: &str, source: &Source) -> Result<FetchedSource, Error> {
        if let Some(fetched) = self.replacement(name, source, None)? {
            return Ok(fetched);
        }
        match source {
            Source::Git(git) => {
                let commit = self.resolve_git(name, git)?;
                self.git(name, &git.url, git.tag.as_deref(), &commit, &[])
            }
            Source::Archive(archive) => self.archive(name, archive),
            Source::Srpm(srpm) => self.resolve_srpm(name, srpm),
            Source::Path(source) => self.tree(name, &source.path, None),
        }
    }

    /// Fetches what a lock pins: exactly that, or an error. What is in the store is not fetched again.
    pub fn fetch(
        &self,
        name: &str,
        source: &Source,
        locked: &Locked,
    ) -> Result<FetchedSource, Error> {
        if let Some(fetched) = self.replacement(name, source, Some(locked))? {
            return Ok(fetched);
        }
        locked.check(source).map_err(|why| Error::Invalid {
            source_name: name.to_owned(),
            why: advised(why, "`cargo xtask lock --update` writes a new lock"),
        })?;
        match (source, locked) {
            (
                _,
                Locked::Git {
                    url,
                    tag,
                    commit,
                    missing,
                },
            ) => self.git(name, url, tag.as_deref(), commit, missing),
            (Source::Archive(archive), _) => self.archive(name, archive),
            (Source::Srpm(srpm), Locked::Srpm { .. }) => self.srpm(name, srpm, locked.clone()),
            (_, Locked::Path { path, .. }) => self.tree(name, path, None),
            _ => Err(invalid(name, "its lock is of another kind".to_owned())),
        }
    }

    /// As [`Fetcher::fetch`], where it is enough to know what it is: a commit that may not be fetched stays where it is.
    pub fn pinned(
        &self,
        name: &str,
        source: &Source,
        locked: &Locked,
    ) -> Result<FetchedSource, Error> {
        match self.fetch(name, source, locked) {
            Err(Error::Offline { .. }) if matches!(locked, Locked::Git { .. }) => {
                Ok(FetchedSource {
                    name: name.to_owned(),
                    locked: locked.clone(),
                    content: Content::Elsewhere,
                    replaced: None,
                })
            }
            fetched => fetched,
        }
    }

    fn archive(&self, name: &str, source: &ArchiveSource) -> Result<FetchedSource, Error> {
        if source.urls.is_empty() {
            return Err(invalid(name, "it has no URL".to_owned()));
        }
        let path = self
            .downloader
            .file(name, &source.urls, &source.sha256, None)?;
        let size = size_of(&path)?;
        Ok(FetchedSource {
            name: name.to_owned(),
            locked: Locked::Archive {
                urls: source.urls.clone(),
                sha256: source.sha256,
                size,
            },
            content: Content::Archive(source.sha256),
            replaced: None,
        })
    }

    fn resolve_srpm(&self, name: &str, source: &SrpmSource) -> Result<FetchedSource, Error> {
        let keys = Keys::read(name, source, &self.options.keys)?;
        let package = find(&self.downloader, name, source, &keys)?;
        let Some(sha256) = package.sha256 else {
            return Err(invalid(
                name,
                format!("the metadata has no sha256 for {}", package.nevra()),
            ));
        };
        let locked = Locked::Srpm {
            nevra: package.nevra(),
            repository: source.repository.clone(),
            href: package.href.clone(),
            sha256,
            size: package.size,
        };
        self.srpm(name, source, locked)
    }

    fn srpm(
        &self,
        name: &str,
        source: &SrpmSource,
        locked: Locked,
    ) -> Result<FetchedSource, Error> {
        let Locked::Srpm {
            repository,
            href,
            sha256,
            size,
            ..
        } = &locked
        else {
            return Err(invalid(
                name,
                "the lock is not for a source package".to_owned(),
            ));
        };
        if self.store.file(sha256).is_none() {
            let keys = Keys::read(name, source, &self.options.keys)?;
            let url = url::join(name, repository, href)?;
            let path =
                self.downloader
                    .file(name, std::slice::from_ref(&url), sha256, Some(*size))?;
            if let Err(error) = keys.check_package(name, &path, &shown_url(&url)) {
                // What is in the store has been checked: this has not.
                fs::remove_file(&path).map_err(|source| PathError::new("remove", &path, source))?;
                return Err(error);
            }
        }
        Ok(FetchedSource {
            name: name.to_owned(),
            content: Content::Srpm(*sha256),
            locked,
            replaced: None,
        })
    }

    pub(super) fn tree(
        &self,
        name: &str,
        dir: &Path,
        replaced: Option<Override>,
    ) -> Result<FetchedSource, Error> {
        let entries = path::list(self.store, name, dir)?;
        Ok(FetchedSource {
            name: name.to_owned(),
            locked: Locked::Path {
                path: dir.to_owned(),
                sha256: digest_entries(&entries),
            },
            content: Content::Tree {
                path: dir.to_owned(),
                entries,
            },
            replaced,
        })
    }

    /// The URL that git is given.
    pub(super) fn git_place(&self, name: &str, url: &str) -> Result<(String, bool), Error> {
        let place = Location::git(url)
            .and_then(|location| rewrite(&location, &self.options.mirrors))
            .map_err(|why| Error::Location {
                source_name: name.to_owned(),
                source: why,
            })?;
        Ok(match place.local_path() {
            Some(path) => (path.to_string_lossy().into_owned(), true),
            None => (place.as_str().to_owned(), false),
        })
    }

    /// Pins a git source without fetching it: its tag's commit, or the commit it names.
    pub fn pin(&self, name: &str, source: &GitSource) -> Result<Locked, Error> {
        Ok(Locked::Git {
            url: source.url.clone(),
            tag: source.tag.clone(),
            commit: self.resolve_git(name, source)?,
            missing: Vec::new(),
        })
    }

    fn resolve_git(&self, name: &str, source: &GitSource) -> Result<String, Error> {
        let git = Git::new(self.store, name);
        let found = match &source.tag {
            None => None,
            Some(tag) => {
                let (place, local) = self.git_place(name, &source.url)?;
                Some(if self.options.offline && !local {
                    git.commit(&git.mirror_path(&source.url), &format!("refs/tags/{tag}"))?
                        .ok_or_else(|| offline(name, &source.url, &format!("tag {tag}")))?
                } else {
                    git.remote_tag(&place, tag)?
                })
            }
        };
        match (found, &source.rev) {
            (Some(found), Some(rev)) if found != *rev => Err(Error::TagMoved {
                source_name: name.to_owned(),
                url: shown_url(&source.url),
                tag: source.tag.clone().unwrap_or_default(),
                locked: rev.clone(),
                found,
            }),
            (Some(found), _) => Ok(found),
            (None, Some(rev)) => {
                let full = matches!(rev.len(), 40 | 64)
                    && rev.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
                if full {
                    return Ok(rev.clone());
                }
                let why = format!("`{rev}` is not the full id of a commit (40 digits 0-9 and a-f)");
                Err(invalid(name, why))
            }
            (None, None) => Err(invalid(
                name,
                "a git source needs a `tag` or a `rev`".to_owned(),
            )),
        }
    }

    fn git(
        &self,
        name: &str,
        url: &str,
        tag: Option<&str>,
        commit: &str,
        allowed: &[String],
    ) -> Result<FetchedSource, Error> {
        let git = Git::new(self.store, name);
        let mut mirror = git.mirror_path(url);
        if git.commit(&mirror, commit)?.is_none() {
            let (place, local) = self.git_place(name, url)?;
            if self.options.offline && !local {
                return Err(offline(name, url, &format!("commit {commit}")));
            }
            if let Some(tag) = tag {
                let found = git.remote_tag(&place, tag)?;
                if found != commit {
                    return Err(Error::TagMoved {
                        source_name: name.to_owned(),
                        url: shown_url(url),
                        tag: tag.to_owned(),
                        locked: commit.to_owned(),
                        found,
                    });
                }
            }
            mirror = git.mirror(url)?;
            git.fetch(&mirror, &place, tag, commit)?;
            if git.commit(&mirror, commit)?.is_none() {
                return Err(Error::NoRevision {
                    source_name: name.to_owned(),
                    repository: shown_url(url),
                    what: format!("commit {commit}"),
                    hint: format!("give a clone that has it: --source {name}=PATH"),
                });
            }
        }
        self.commit(name, &git, mirror, commit, allowed)
            .map(|content| FetchedSource {
                name: name.to_owned(),
                locked: Locked::Git {
                    url: url.to_owned(),
                    tag: tag.map(str::to_owned),
                    commit: commit.to_owned(),
                    missing: missing_of(&content),
                },
                content,
                replaced: None,
            })
    }

    /// A commit of a repository, with what is missing of it, if that is allowed.
    pub(super) fn commit(
        &self,
        name: &str,
        git: &Git<'_>,
        repository: PathBuf,
        commit: &str,
        allowed: &[String],
    ) -> Result<Content, Error> {
        let missing = git.missing(&repository, commit)?;
        let taken = self.options.allow_incomplete.iter().any(|one| one == name);
        if !missing.is_empty() && !taken && missing != allowed {
            return Err(Error::Incomplete {
                source_name: name.to_owned(),
                repository: repository.display().to_string(),
                commit: commit.to_owned(),
                missing,
            });
        }
        Ok(Content::Git {
            time: git.time(&repository, commit)?,
            repository,
            commit: commit.to_owned(),
            missing,
        })
    }
}

pub(super) fn missing_of(content: &Content) -> Vec<String> {
    match content {
        Content::Git { missing, .. } => missing.clone(),
        _ => Vec::new(),
    }
}

pub(super) fn invalid(name: &str, why: impl Into<Advised>) -> Error {
    Error::Invalid {
        source_name: name.to_owned(),
        why: why.into(),
    }
}

pub(super) fn offline(name: &str, location: &str, what: &str) -> Error {
    Error::Offline {
        source_name: name.to_owned(),
        what: format!("{what} of {}", shown_url(location)),
    }
}

pub(super) fn size_of(path: &Path) -> Result<u64, PathError> {
    fs::metadata(path)
        .map(|meta| meta.len())
        .map_err(|source| PathError::new("read", path, source))
}
