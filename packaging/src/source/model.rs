//! What a target asks for, and what it was pinned to.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::store::Digest;

/// A source as a target's TOML has it, one table per kind: `git = { url = "…", tag = "2.17.0" }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A git repository at a tag or commit.
    Git(GitSource),
    /// A tar archive.
    Archive(ArchiveSource),
    /// A source package from a dnf source repository.
    Srpm(SrpmSource),
    /// A folder on this machine.
    Path(PathSource),
}

/// A git repository at a tag or commit: one of the two, or both, and then the tag has to be at that commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// Where it is fetched from: a URL or a path.
    pub url: String,
    /// A tag, without `refs/tags/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// A commit, as its full hexadecimal id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
}

/// A tar archive, plain or compressed by gzip, xz, zstd or bzip2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveSource {
    /// Where it is; each is tried until one works.
    pub urls: Vec<String>,
    /// Its digest, whichever place it comes from.
    pub sha256: Digest,
}

/// A source package from a dnf source repository whose metadata is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SrpmSource {
    /// The repository's base URL (the folder that has `repodata/`), or a path.
    pub repository: String,
    /// The package's name.
    pub package: String,
    /// `version`, `version-release` or `epoch:version-release`; without it, the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// A file of ASCII-armored public keys, relative to the folder of keys. One of them has to sign metadata and package.
    pub key: PathBuf,
    /// The fingerprint of the one key to take from that file, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A folder on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSource {
    /// The folder. In a git work tree of its own, its tracked files and those not ignored count; otherwise all.
    pub path: PathBuf,
}

/// What a source was pinned to: enough to fetch the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Locked {
    /// A commit.
    #[serde(rename_all = "kebab-case")]
    Git {
        /// Where it was fetched from, before mirrors.
        url: String,
        /// The tag that names the commit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tag: Option<String>,
        /// The commit's full hexadecimal id.
        commit: String,
        /// Paths that the repository lacks and that the user allowed to be missing.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        missing: Vec<String>,
    },
    Archive {
        /// Where it is, the first place first.
        urls: Vec<String>,
        sha256: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A source package.
    Srpm {
        /// Name, epoch, version, release and architecture: `kernel-4.18.0-553.22.1.el8_10.src`.
        nevra: String,
        /// The repository's base URL, before mirrors.
        repository: String,
        /// Its path in the repository.
        href: String,
        sha256: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A folder. The digest says what it held; a folder is not pinned by it.
    Path {
        path: PathBuf,
        /// The digest of its tree.
        sha256: Digest,
    },
}

impl Locked {
    /// Where it is from.
    pub fn places(&self) -> Vec<&str> {
        match self {
            Self::Git { url, .. } => vec![url],
            Self::Archive { urls, .. } => urls.iter().map(String::as_str).collect(),
            Self::Srpm { repository, .. } => vec![repository],
            Self::Path { path, .. } => path.to_str().into_iter().collect(),
        }
    }

    /// What a stage that uses the source depends on: the content, not the place it came from.
    pub fn identity(&self) -> Digest {
        match self {
            Self::Git {
                commit, missing, ..
            } => Digest::of_fields(
                [("git", commit.as_str())]
                    .into_iter()
                    .chain(missing.iter().map(|path| ("missing", path.as_str()))),
            ),
            Self::Archive { sha256, .. }
            | Self::Srpm { sha256, .. }
            | Self::Path { sha256, .. } => *sha256,
        }
    }

    /// Whether this is a pin of what `source` asks for now; otherwise what the target changed since the lock was written.
    pub fn check(&self, source: &Source) -> Result<(), String> {
        let differs = |what: &str, locked: &str, asked: &str| {
            Err(format!(
                "the lock has {what} {locked}, the target requests {asked}"
            ))
        };
        match (self, source) {
            (
                Self::Git {
                    url, tag, commit, ..
                },
                Source::Git(git),
            ) => {
                if *url != git.url {
                    return differs("url", url, &git.url);
                }
                if *tag != git.tag {
                    let shown = |tag: &Option<String>| tag.clone().unwrap_or("none".to_owned());
                    return differs("tag", &shown(tag), &shown(&git.tag));
                }
                match &git.rev {
                    Some(rev) if rev != commit => differs("commit", commit, rev),
                    _ => Ok(()),
                }
            }
            (Self::Archive { sha256, .. }, Source::Archive(archive)) => {
                if *sha256 == archive.sha256 {
                    return Ok(());
                }
                differs("sha256", &sha256.to_string(), &archive.sha256.to_string())
            }
            (
                Self::Srpm {
                    nevra, repository, ..
                },
                Source::Srpm(srpm),
            ) => {
                if *repository != srpm.repository {
                    return differs("repository", repository, &srpm.repository);
                }
                let locked = rpm_version::Nevra::parse(nevra);
                if locked.name() != srpm.package {
                    return differs("package", locked.name(), &srpm.package);
                }
                match &srpm.version {
                    Some(version) if !version_fits(locked.evr(), version) => {
                        differs("version", nevra, version)
                    }
                    _ => Ok(()),
                }
            }
            (Self::Path { path, .. }, Source::Path(asked)) => {
                if *path == asked.path {
                    return Ok(());
                }
                let shown = |path: &PathBuf| path.display().to_string();
                differs("path", &shown(path), &shown(&asked.path))
            }
            _ => Err("the lock has another kind of source than the target".to_owned()),
        }
    }
}

/// Whether a package is the version asked for: `version`, `version-release` or `epoch:version-release`.
pub(super) fn version_fits(evr: &rpm_version::Evr<'_>, asked: &str) -> bool {
    let wanted = rpm_version::Evr::parse(asked);
    let epoch = |epoch: &str| if epoch.is_empty() { "0" } else { epoch }.to_owned();
    (!asked.contains(':') || epoch(wanted.epoch()) == epoch(evr.epoch()))
        && wanted.version() == evr.version()
        && (!asked.contains('-') || wanted.release() == evr.release())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(toml: &str) -> Result<Source, toml::de::Error> {
        #[derive(Deserialize)]
        struct Target {
            source: Source,
        }
        toml::from_str::<Target>(toml).map(|target| target.source)
    }

    #[test]
    fn sources_are_read_from_toml() {
        let git = source("[source.git]\nurl = 'https://example.org/x'\ntag = '2.17.0'").unwrap();
        assert_eq!(
            git,
            Source::Git(GitSource {
                url: "https://example.org/x".to_owned(),
                tag: Some("2.17.0".to_owned()),
                rev: None,
            })
        );
        let error = source("[source.git]\nurl = 'x'\ntga = '2.17.0'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 3") && error.contains("tga"), "{error}");
        let error = source("[source.archive]\nurls = []\nsha256 = '12'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
    }

    #[test]
    fn a_lock_is_read_as_it_is_written() {
        let sha256 = Digest::of_bytes(b"");
        for locked in [
            Locked::Git {
                url: "u".to_owned(),
                tag: None,
                commit: "c".to_owned(),
                missing: vec!["a".to_owned()],
            },
            Locked::Srpm {
                nevra: "a-1-1.src".to_owned(),
                repository: "r".to_owned(),
                href: "h".to_owned(),
                sha256,
                size: 7,
            },
        ] {
            let text = toml::to_string(&locked).unwrap();
            assert_eq!(toml::from_str::<Locked>(&text).unwrap(), locked);
        }
    }

    #[test]
    fn a_changed_target_is_told_from_its_lock() {
        let git = |url: &str, tag: Option<&str>, rev: Option<&str>| {
            Source::Git(GitSource {
                url: url.to_owned(),
                tag: tag.map(str::to_owned),
                rev: rev.map(str::to_owned),
            })
        };
        let locked = Locked::Git {
            url: "u".to_owned(),
            tag: Some("2.17.0".to_owned()),
            commit: "abc".to_owned(),
            missing: Vec::new(),
        };
        assert_eq!(locked.check(&git("u", Some("2.17.0"), None)), Ok(()));
        assert_eq!(locked.check(&git("u", Some("2.17.0"), Some("abc"))), Ok(()));
        let why = locked.check(&git("u", Some("2.17.1"), None)).unwrap_err();
        assert!(why.contains("2.17.0") && why.contains("2.17.1"), "{why}");
        assert!(locked.check(&git("v", Some("2.17.0"), None)).is_err());
        assert!(
            locked
                .check(&git("u", Some("2.17.0"), Some("abd")))
                .is_err()
        );
    }

    #[test]
    fn versions_fit_by_as_much_as_is_asked() {
        let evr = rpm_version::Evr::parse("4.18.0-553.22.1.el8_10");
        for fits in [
            "4.18.0",
            "4.18.0-553.22.1.el8_10",
            "0:4.18.0-553.22.1.el8_10",
        ] {
            assert!(version_fits(&evr, fits), "{fits}");
        }
        for other in ["4.18", "4.18.0-553", "1:4.18.0-553.22.1.el8_10"] {
            assert!(!version_fits(&evr, other), "{other}");
        }
    }
}
