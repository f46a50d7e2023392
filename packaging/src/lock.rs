//! Locks: every source of a target pinned, in `specs/locks/<target>.toml`.
//!
//! As with Cargo: without a lock, sources are resolved and the lock is written; a lock that answers another question than the target
//! asks now is resolved anew; `--locked` refuses both. What a lock pins is fetched by digest, never by name alone.

mod check;
mod diff;
mod pin;
mod places;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use lustre_files::{at, help};

use crate::source::{Advisory, Locked};
use crate::store::Digest;

pub use diff::Diff;
pub use pin::{FilePin, PackagePin};

/// The format's version.
const VERSION: u32 = 1;

/// No lock is larger (bytes): it has a few lines for each package.
const LARGEST: u64 = 64 << 20;

/// The text in front of every lock.
const HEADER: &str = "# Made by `cargo xtask lock`: what exactly this target is built from.\n\n";

/// The target whose lock is at `path`, as the command line names it: a site's own has its lock beside it.
fn target_of(path: &Path) -> String {
    let text = path.display().to_string();
    if let Some(beside) = text.strip_suffix(".lock.toml") {
        return format!("{beside}.toml");
    }
    let name = path.file_stem().unwrap_or_default();
    name.display().to_string()
}

/// A lock that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error(
        "{} cannot be used as a lock: {message}{}",
        path.display(),
        help!("write a new one with `cargo xtask lock --update --target {}`", target_of(path))
    )]
    Malformed { path: PathBuf, message: String },
    #[error(
        "the lock of `{target}` does not pin `{name}`{}",
        help!("write a new one with `cargo xtask lock --update` for this target")
    )]
    Unpinned { target: String, name: String },
    /// There is no lock, or an outdated one, and `--locked` forbids writing it.
    #[error(
        "{} {what}, and --locked was given{}",
        path.display(),
        help!("run `cargo xtask lock --target {target}`")
    )]
    Locked {
        path: PathBuf,
        what: &'static str,
        target: String,
    },
    /// There is no lock, or an outdated one, and `--offline` forbids asking the network.
    #[error(
        "{} {what}, and --offline was given{}",
        path.display(),
        help!("run `cargo xtask lock --target {target}` with network")
    )]
    Offline {
        path: PathBuf,
        what: &'static str,
        target: String,
    },
}

/// One pinned file: where it was, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    pub file: String,
    pub sha256: Digest,
}

/// The pins of one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    pub target: String,
    /// Digest of what was asked for when the pins were resolved.
    pub request: Digest,
    /// Single files, by the name of the source.
    #[serde(default)]
    pub source: BTreeMap<String, FilePin>,
    /// Source trees, by the name of the source.
    #[serde(default)]
    pub tree: BTreeMap<String, Locked>,
    /// The packages that a distribution is made from.
    #[serde(default)]
    pub package: Vec<PackagePin>,
    /// The distribution's advisories of the kernel and of those before it, where it publishes some. They decide on no package, but are
    /// published with the kernel that is made of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisory: Vec<Advisory>,
}

/// What stands where a lock should be.
#[derive(Debug)]
pub enum LockState {
    /// A lock that answers the target's request.
    Current(Lock),
    /// None, or one for another request: why it cannot be used.
    Outdated(&'static str),
}

impl Lock {
    /// A lock for `target` whose request has this digest; pins are sorted.
    pub fn new(
        target: &str,
        request: Digest,
        source: BTreeMap<String, FilePin>,
        tree: BTreeMap<String, Locked>,
        mut package: Vec<PackagePin>,
    ) -> Self {
        package.sort();
        Self {
            version: VERSION,
            target: target.to_owned(),
            request,
            source,
            tree,
            package,
            advisory: Vec::new(),
        }
    }

    /// The lock with the distribution's advisories of its kernel.
    #[must_use]
    pub fn with_advisories(mut self, advisories: Vec<Advisory>) -> Self {
        self.advisory = advisories;
        self.advisory.sort();
        self
    }

    /// The lock at `path`; none where there is no file.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match lustre_files::read_to_string(path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(at(path)(error).into()),
        };
        Self::parse(path, &text).map(Some)
    }

    /// The lock that `text` is; `path` names it in errors.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let lock: Self = crate::bounded_toml::from_str(text).map_err(|error| Error::Malformed {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        })?;
        if lock.version != VERSION {
            return Err(Error::Malformed {
                path: path.to_owned(),
                message: format!("its version is {}, this tool uses {VERSION}", lock.version),
            });
        }
        lock.check().map_err(|message| Error::Malformed {
            path: path.to_owned(),
            message,
        })?;
        Ok(lock)
    }

    /// Reads the lock at `path` and looks whether it answers `request`.
    pub fn find(path: &Path, request: &Digest) -> Result<LockState, Error> {
        let Some(lock) = Self::read(path)? else {
            return Ok(LockState::Outdated("does not exist"));
        };
        // By its name: a target's lock is called after it, wherever its file is.
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let wanted = file.strip_suffix(".toml").unwrap_or(&file);
        let wanted = wanted.strip_suffix(".lock").unwrap_or(wanted);
        if lock.target != wanted {
            return Err(Error::Malformed {
                path: path.to_owned(),
                message: format!(
                    "it is the lock of the target `{}`",
                    lock.target.escape_debug()
                ),
            });
        }
        if lock.request == *request {
            Ok(LockState::Current(lock))
        } else {
            Ok(LockState::Outdated(
                "was written for other sources than the target's current ones",
            ))
        }
    }

    /// The lock's text: stable, one pin a block, so that its diff reads well.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        Ok(format!("{HEADER}{}", toml::to_string(self)?))
    }

    /// Writes the lock whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self
            .to_toml()
            .map_err(|error| at(path)(io::Error::other(error)))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(at(folder))?;
        Ok(lustre_files::write_whole(path, text.as_bytes()).map_err(at(path))?)
    }

    /// The pinned file of the source `name`.
    pub fn file(&self, name: &str) -> Result<Pinned, Error> {
        let unpinned = || Error::Unpinned {
            target: self.target.clone(),
            name: name.to_owned(),
        };
        let pin = self.source.get(name).ok_or_else(unpinned)?;
        Ok(Pinned {
            file: pin.file.clone(),
            sha256: pin.sha256.parse().map_err(|_| unpinned())?,
        })
    }

    /// Every file that is pinned.
    pub fn files(&self) -> impl Iterator<Item = &FilePin> {
        self.source
            .values()
            .chain(self.package.iter().map(|package| &package.file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(file: &str) -> FilePin {
        FilePin {
            file: file.to_owned(),
            size: 3,
            sha256: Digest::of_bytes(b"abc").to_string(),
            uri: format!("mirror:/{file}"),
        }
    }

    fn lock(request: &[u8]) -> Lock {
        let packages = ["b", "a"].map(|name| PackagePin {
            name: name.to_owned(),
            version: "1".to_owned(),
            arch: "all".to_owned(),
            file: pin(name),
        });
        let sources = BTreeMap::from([("e2fsprogs".to_owned(), pin("e2fsprogs.tar.gz"))]);
        Lock::new(
            "t",
            Digest::of_bytes(request),
            sources,
            BTreeMap::new(),
            packages.to_vec(),
        )
    }

    #[test]
    fn a_lock_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locks/t.toml");
        let lock = lock(b"one");
        lock.write(&path).unwrap();
        match Lock::find(&path, &Digest::of_bytes(b"one")).unwrap() {
            LockState::Current(found) => assert_eq!(found, lock),
            LockState::Outdated(why) => panic!("{why}"),
        }
        assert_eq!(lock.package[0].name, "a", "pins are sorted");
        assert_eq!(lock.files().count(), 3);
    }

    #[test]
    fn another_request_outdates_a_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        assert!(matches!(
            Lock::find(&path, &Digest::of_bytes(b"")),
            Ok(LockState::Outdated(_))
        ));
        lock(b"one").write(&path).unwrap();
        assert!(matches!(
            Lock::find(&path, &Digest::of_bytes(b"two")),
            Ok(LockState::Outdated(_))
        ));
    }

    #[test]
    fn a_lock_that_was_written_by_somebody_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        let good = lock(b"").to_toml().unwrap();
        let git = "\n[tree.lustre.git]\nurl = 'https://a.example/l'\ncommit = '0123456789abcdef0123456789abcdef01234567'\n";
        let good = format!("{good}{git}");
        fs::write(&path, &good).unwrap();
        assert!(Lock::read(&path).unwrap().is_some());
        let package = good.split("[[package]]").nth(1).unwrap();
        let digest = Digest::of_bytes(b"abc").to_string();
        for (from, to, part) in [
            ("name = \"a\"", "name = \"a\"\nnmae = \"a\"", "nmae"),
            ("size = 3", "size = 3\nsiez = 4", "siez"),
            (
                "url = 'https://a.example/l'",
                "url = 'https://a.example/l'\nulr = 'x'",
                "ulr",
            ),
            ("version = 1", "version = 1\nvresion = 1", "vresion"),
            (
                "file = \"a\"",
                "file = \"../a\"",
                "`../a` is not a file name",
            ),
            ("file = \"a\"", "file = \"/etc/passwd\"", "not a file name"),
            ("file = \"a\"", "file = \"a\\nb\"", "not a valid name"),
            ("name = \"a\"", "name = \"-o\"", "not a valid name"),
            (
                "name = \"a\"",
                "name = \"../a\"",
                "`../a` is not a file name",
            ),
            (
                "arch = \"all\"",
                "arch = \"../x\"",
                "`../x` is not a file name",
            ),
            ("[tree.lustre.git]", "[tree.'../l'.git]", "`../l` is not a"),
            ("mirror:/a", "-o/a", "invalid uri"),
            ("mirror:/a", "mirror:/a\\n", "invalid uri"),
            (&digest, "abc", "invalid sha256 `abc`"),
            ("size = 3", "size = 17179869185", "the size 17179869185"),
            ("https://a.example/l", "ext::sh -c id", "not a location"),
            (
                "0123456789abcdef0123456789abcdef01234567",
                "HEAD",
                "not the full id",
            ),
            (
                package,
                &format!("{package}[[package]]{package}"),
                "`a` is listed twice",
            ),
        ] {
            let wrong = good.replacen(from, to, 1);
            assert_ne!(wrong, good, "{from}");
            fs::write(&path, &wrong).unwrap();
            let error = Lock::read(&path).unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("t.toml"),
                "{part}: {error}"
            );
        }
        fs::write(
            &path,
            good.replacen("target = \"t\"", "target = \"other\"", 1),
        )
        .unwrap();
        let error = Lock::find(&path, &Digest::of_bytes(b"")).unwrap_err();
        assert!(
            error.to_string().contains("of the target `other`"),
            "{error}"
        );
        fs::File::create(&path).unwrap().set_len(300 << 20).unwrap();
        let error = Lock::read(&path).unwrap_err();
        assert!(error.to_string().contains("314572800 bytes"), "{error}");
    }

    #[test]
    fn what_is_no_lock_and_what_is_not_pinned_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        fs::write(&path, "version = 'x'").unwrap();
        let error = Lock::find(&path, &Digest::of_bytes(b""))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("t.toml") && error.contains("lock --update"),
            "{error}"
        );
        let error = lock(b"").file("kernel").unwrap_err().to_string();
        assert!(error.contains("`kernel`"), "{error}");
    }
}
