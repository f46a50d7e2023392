//! Debian's archive, through apt with a state of its own: nothing of the host's package state is read or changed.
//!
//! - [`sources`]: the host's apt sources, which give the archive's location and keys.
//! - this file: resolving packages to pins (apt checks the archive's signatures), and fetching pins (checked by SHA256).

pub mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::recipe::{Debian, Recipe};
use crate::process;

/// apt's own downloader: it knows every kind of location that a sources file may hold, and the host's proxies.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";
/// How many files one downloader is asked for.
const BATCH: usize = 40;

/// A binary package, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DebPin {
    /// The package's name.
    pub name: String,
    /// Its version, with the epoch.
    pub version: String,
    /// Its architecture: `amd64` or `all`.
    pub arch: String,
    /// Its file.
    #[serde(flatten)]
    pub file: FilePin,
}

/// A file of the archive, exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FilePin {
    /// Its name, without a directory.
    pub file: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA256, in hexadecimal.
    pub sha256: String,
    /// Where it was when it was pinned.
    pub uri: String,
}

/// What went wrong with apt or the archive.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host is another system.
    #[error(
        "this target's packages are made from Debian's `{wanted}`, and this host is {found}; run it on Debian `{wanted}`, or choose another target (`cargo xtask targets`)"
    )]
    Host {
        /// The code name asked for.
        wanted: String,
        /// What the host says it is.
        found: String,
    },
    /// The host's sources do not name the archive.
    #[error(
        "no apt source in {} has the suite `{suite}` with the component `{component}`; add Debian's archive to the sources",
        etc.display()
    )]
    NoSource {
        /// The configuration directory.
        etc: PathBuf,
        /// The suite asked for.
        suite: String,
        /// The component asked for.
        component: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// apt failed.
    #[error("{doing}: {source}")]
    Apt {
        /// What it was to do.
        doing: String,
        /// Why.
        source: process::Error,
    },
    /// apt's answer has another form than `'uri' file size SHA256:digest`.
    #[error("apt's answer cannot be read: `{line}`")]
    Answer {
        /// The line.
        line: String,
    },
    /// A pinned file is not in the archive any more.
    #[error(
        "{file} cannot be fetched from {uri}: {reason}. Debian's archive keeps only current versions: `cargo xtask lock --update` pins what it has now"
    )]
    Gone {
        /// The file.
        file: String,
        /// Its place.
        uri: String,
        /// What the downloader says.
        reason: String,
    },
    /// A file is another one than the pinned.
    #[error(
        "{file} from {uri}: its SHA256 is {found}, pinned is {pinned}; the archive or a mirror of it is damaged, or the lock is not for it"
    )]
    Digest {
        /// The file.
        file: String,
        /// Its place.
        uri: String,
        /// Its digest.
        found: String,
        /// The pin's.
        pinned: String,
    },
}

/// apt with its own package lists, an empty package state, and the host's sources for the archive's place and keys.
#[derive(Debug, Clone)]
pub struct Apt {
    dir: PathBuf,
    default_suite: String,
}

impl Apt {
    /// Sets up a private state below `dir` and fetches the package lists, which apt checks against the archive's keys.
    ///
    /// # Errors
    /// When the host is not the Debian release asked for, has no source for it, or the lists cannot be fetched.
    pub fn update(debian: &Debian, extra_suites: &[String], dir: &Path) -> Result<Self, Error> {
        let apt = Self::open(debian, extra_suites, dir)?;
        let log = dir.join("update.log");
        process::run_logged(apt.command("apt-get").args(["-q", "update"]), &log).map_err(
            |source| Error::Apt {
                doing: "cannot fetch Debian's package lists".to_owned(),
                source,
            },
        )?;
        Ok(apt)
    }

    /// As [`update`](Self::update), with the package lists as they are: enough to fetch what is pinned.
    ///
    /// # Errors
    /// When the host is not the Debian release asked for, or has no source for it.
    pub fn open(debian: &Debian, extra_suites: &[String], dir: &Path) -> Result<Self, Error> {
        let etc = Path::new("/etc");
        check_host(etc, &debian.codename)?;
        Self::prepare(debian, extra_suites, dir, &etc.join("apt"))
    }

    fn prepare(
        debian: &Debian,
        extra_suites: &[String],
        dir: &Path,
        etc_apt: &Path,
    ) -> Result<Self, Error> {
        let extra: BTreeSet<String> = debian
            .instead
            .iter()
            .map(|instead| instead.suite.clone())
            .chain(extra_suites.iter().cloned())
            .filter(|suite| !debian.suites.contains(suite))
            .collect();
        let host = sources::read(etc_apt).map_err(|(path, source)| Error::Io { path, source })?;
        let chosen = sources::wanted(
            &host,
            &debian.codename,
            &debian.suites,
            &extra,
            &debian.component,
        );
        if chosen.is_empty() {
            return Err(Error::NoSource {
                etc: etc_apt.to_owned(),
                suite: debian.codename.clone(),
                component: debian.component.clone(),
            });
        }
        let io = |path: &Path, source| Error::Io {
            path: path.to_owned(),
            source,
        };
        for name in [
            "lists/partial",
            "cache/archives/partial",
            "sources.list.d",
            "empty.d",
        ] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(|e| io(&path, e))?;
        }
        let dir = fs::canonicalize(dir).map_err(|e| io(dir, e))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(|e| io(&path, e))
        };
        write(
            "sources.list.d/archive.sources",
            &sources::to_deb822(&chosen),
        )?;
        write("status", "")?;
        write("apt.conf", &configuration(&dir, &host_acquire())?)?;
        Ok(Self {
            dir,
            default_suite: debian.codename.clone(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Pins everything the recipe takes from Debian: its seeds with what they need, less what it drops, and the packages
    /// that come from other suites. Sorted by name.
    ///
    /// # Errors
    /// When apt finds no set of packages that fits together.
    pub fn resolve(&self, recipe: &Recipe) -> Result<Vec<DebPin>, Error> {
        let seeds: Vec<&str> = recipe.debian.seeds.iter().map(String::as_str).collect();
        let mut pins: BTreeMap<String, DebPin> = self
            .install(&self.main_suites(recipe), &seeds)?
            .into_iter()
            .filter(|pin| !recipe.debian.drop.contains(&pin.name))
            .map(|pin| (pin.name.clone(), pin))
            .collect();
        for instead in &recipe.debian.instead {
            for pin in self.download(&instead.packages, &instead.suite)? {
                pins.insert(pin.name.clone(), pin);
            }
        }
        Ok(pins.into_values().collect())
    }

    fn main_suites(&self, recipe: &Recipe) -> Vec<String> {
        recipe.debian.suites.iter().cloned().collect()
    }

    /// What installing `packages` on an empty system from the given suites takes.
    fn install(&self, suites: &[String], packages: &[&str]) -> Result<Vec<DebPin>, Error> {
        // A priority for exactly these suites: nothing comes from the extra ones by accident.
        // Of the records that fit, apt takes the first.
        let mut preferences = String::new();
        for suite in suites {
            preferences.push_str(&format!(
                "Package: *\nPin: release n={suite}\nPin-Priority: 990\n\n"
            ));
        }
        preferences.push_str("Package: *\nPin: release *\nPin-Priority: -1\n");
        let path = self.dir.join("preferences");
        fs::write(&path, preferences).map_err(|source| Error::Io { path, source })?;
        let out = process::output(
            self.command("apt-get")
                .args([
                    "-qq",
                    "-y",
                    "--no-install-recommends",
                    "--print-uris",
                    "install",
                ])
                .args(packages),
        )
        .map_err(|source| Error::Apt {
            doing: "apt finds no way to install the recipe's seeds".to_owned(),
            source,
        })?;
        lines(&out)?.into_iter().map(DebPin::from_file).collect()
    }

    /// Packages of a suite as they are, without what they need.
    fn download(&self, packages: &[String], suite: &str) -> Result<Vec<DebPin>, Error> {
        let out = process::output(
            self.command("apt-get")
                .args([
                    "-qq",
                    "--print-uris",
                    "-o",
                    "Dir::Etc::preferences=/dev/null",
                    "download",
                ])
                .args(packages.iter().map(|package| format!("{package}/{suite}"))),
        )
        .map_err(|source| Error::Apt {
            doing: format!("apt does not find packages of the suite `{suite}`"),
            source,
        })?;
        lines(&out)?.into_iter().map(DebPin::from_file).collect()
    }

    /// Pins the files of a source package: its `.dsc` and archives. Without a version, the newest of the suite.
    ///
    /// # Errors
    /// When apt does not find it.
    pub fn resolve_source(
        &self,
        name: &str,
        version: Option<&str>,
        suite: Option<&str>,
    ) -> Result<Vec<FilePin>, Error> {
        let wanted = match version {
            Some(version) => format!("{name}={version}"),
            None => format!("{name}/{}", suite.unwrap_or(&self.default_suite)),
        };
        let out = process::output(
            self.command("apt-get")
                .args(["-qq", "--print-uris", "--only-source", "--download-only"])
                .args(["-o", "Dir::Etc::preferences=/dev/null"])
                .args(["source", &wanted]),
        )
        .map_err(|source| Error::Apt {
            doing: format!("apt does not find the source package `{wanted}`"),
            source,
        })?;
        lines(&out)
    }

    /// Sees to it that every pinned file lies in `into` with the right contents, and fetches what does not.
    ///
    /// # Errors
    /// When a file is gone from the archive, or its contents are not those of the pin.
    pub fn fetch(&self, pins: &[FilePin], into: &Path) -> Result<(), Error> {
        let io = |path: &Path, source| Error::Io {
            path: path.to_owned(),
            source,
        };
        fs::create_dir_all(into).map_err(|e| io(into, e))?;
        let mut missing = Vec::new();
        for pin in pins {
            let path = into.join(&pin.file);
            if !path.is_file() {
                missing.push(pin);
            } else if sha256(&path).map_err(|e| io(&path, e))? != pin.sha256 {
                fs::remove_file(&path).map_err(|e| io(&path, e))?;
                missing.push(pin);
            }
        }
        let part = into.join(".part");
        if !missing.is_empty() {
            fs::create_dir_all(&part).map_err(|e| io(&part, e))?;
        }
        for batch in missing.chunks(BATCH) {
            let mut command = self.command(APT_HELPER);
            command.arg("download-file");
            for pin in batch {
                command
                    .arg(&pin.uri)
                    .arg(part.join(&pin.file))
                    .arg(format!("SHA256:{}", pin.sha256));
            }
            let log = self.dir.join("fetch.log");
            let done = process::run_logged(&mut command, &log);
            // One file that is gone fails the batch; the others are kept all the same.
            let mut failure = None;
            for pin in batch {
                if let Err(error) = accept(pin, &part, into, done.as_ref().err()) {
                    failure.get_or_insert(error);
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        if part.is_dir() {
            fs::remove_dir_all(&part).map_err(|e| io(&part, e))?;
        }
        Ok(())
    }
}

/// Moves a downloaded file to its place if it is the pinned one.
fn accept(
    pin: &FilePin,
    part: &Path,
    into: &Path,
    failure: Option<&process::Error>,
) -> Result<(), Error> {
    let (from, to) = (part.join(&pin.file), into.join(&pin.file));
    // This is how the downloader leaves a file whose digest is another one.
    let refused = part.join(format!("{}.FAILED", pin.file));
    let candidate = if refused.is_file() { &refused } else { &from };
    if !candidate.is_file() {
        return Err(Error::Gone {
            file: pin.file.clone(),
            uri: pin.uri.clone(),
            reason: failure.map_or_else(
                || "the downloader left no file".to_owned(),
                process::Error::to_string,
            ),
        });
    }
    let io = |path: &Path, source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let found = sha256(candidate).map_err(|e| io(candidate, e))?;
    if found != pin.sha256 {
        fs::remove_file(candidate).map_err(|e| io(candidate, e))?;
        return Err(Error::Digest {
            file: pin.file.clone(),
            uri: pin.uri.clone(),
            found,
            pinned: pin.sha256.clone(),
        });
    }
    fs::rename(candidate, &to).map_err(|e| io(&to, e))
}

impl DebPin {
    /// Name, version and architecture are in the file's name, as apt writes it.
    fn from_file(file: FilePin) -> Result<Self, Error> {
        let parts: Vec<&str> = file
            .file
            .strip_suffix(".deb")
            .map(|stem| stem.split('_').collect())
            .unwrap_or_default();
        let [name, version, arch] = parts.as_slice() else {
            return Err(Error::Answer { line: file.file });
        };
        Ok(Self {
            name: (*name).to_owned(),
            version: version.replace("%3a", ":"),
            arch: (*arch).to_owned(),
            file,
        })
    }
}

/// Reads `--print-uris` lines: `'uri' file size SHA256:digest`.
fn lines(out: &[u8]) -> Result<Vec<FilePin>, Error> {
    String::from_utf8_lossy(out)
        .lines()
        .filter(|line| line.starts_with('\''))
        .map(|line| {
            let answer = || Error::Answer {
                line: line.to_owned(),
            };
            let (uri, rest) = line[1..].split_once("' ").ok_or_else(answer)?;
            let words: Vec<&str> = rest.split_whitespace().collect();
            let [file, size, digest] = words.as_slice() else {
                return Err(answer());
            };
            let sha256 = digest.strip_prefix("SHA256:").ok_or_else(answer)?;
            if file.contains('/') || sha256.len() != 64 {
                return Err(answer());
            }
            Ok(FilePin {
                file: (*file).to_owned(),
                size: size.parse().map_err(|_| answer())?,
                sha256: sha256.to_owned(),
                uri: uri.to_owned(),
            })
        })
        .collect()
}

fn check_host(etc: &Path, wanted: &str) -> Result<(), Error> {
    let text = fs::read_to_string(etc.join("os-release")).unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
            .map(|value| value.trim_matches('"').to_owned())
            .unwrap_or_default()
    };
    if field("ID") == "debian" && field("VERSION_CODENAME") == wanted {
        return Ok(());
    }
    let found = field("PRETTY_NAME");
    Err(Error::Host {
        wanted: wanted.to_owned(),
        found: if found.is_empty() {
            "unknown (no os-release)".to_owned()
        } else {
            format!("`{found}`")
        },
    })
}

/// How the host reaches archives (proxies, time limits): its `Acquire` settings, as apt prints them.
fn host_acquire() -> String {
    process::output(Command::new("apt-config").args(["dump", "Acquire"]))
        .map(|out| {
            String::from_utf8_lossy(&out)
                .lines()
                .filter(|line| line.starts_with("Acquire::") && line.ends_with("\";"))
                .map(|line| format!("{line}\n"))
                .collect()
        })
        .unwrap_or_default()
}

fn configuration(dir: &Path, acquire: &str) -> Result<String, Error> {
    let dir = dir
        .to_str()
        .filter(|d| !d.contains(['"', '\n']))
        .ok_or_else(|| Error::Io {
            path: dir.to_owned(),
            source: io::Error::other("apt cannot have its state in a folder with such a name"),
        })?;
    // Parts and main configuration of the host are left out: its hooks (such as emptying the package cache) are not ours.
    Ok(format!(
        r#"{acquire}Dir::Etc::parts "{dir}/empty.d";
Dir::Etc::main "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{dir}/sources.list.d";
Dir::Etc::preferences "{dir}/preferences";
Dir::Etc::preferencesparts "{dir}/empty.d";
Dir::State "{dir}";
Dir::State::Lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Install-Recommends "false";
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Get::AllowUnauthenticated "false";
Acquire::AllowInsecureRepositories "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
"#
    ))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_pins() {
        let digest = "a".repeat(64);
        let text = format!(
            "'http://s/p/zlib1g_1%253a1.2-1_amd64.deb' zlib1g_1%3a1.2-1_amd64.deb 42 SHA256:{digest}\n"
        );
        let pin = DebPin::from_file(lines(text.as_bytes()).unwrap().remove(0)).unwrap();
        assert_eq!(
            (pin.name.as_str(), pin.version.as_str()),
            ("zlib1g", "1:1.2-1")
        );
        assert_eq!((pin.arch.as_str(), pin.file.size), ("amd64", 42));
        let back: DebPin = toml::from_str(&toml::to_string(&pin).unwrap()).unwrap();
        assert_eq!(back, pin);
    }

    #[test]
    fn other_answers_are_refused() {
        for line in ["'x' f 1 MD5Sum:0", "'x' ../f 1 SHA256:00", "'x f 1"] {
            assert!(lines(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn another_host_is_named() {
        let etc = tempfile::tempdir().unwrap();
        fs::write(
            etc.path().join("os-release"),
            "ID=fedora\nPRETTY_NAME=\"Fedora Linux 42\"\n",
        )
        .unwrap();
        let error = check_host(etc.path(), "bookworm").unwrap_err().to_string();
        assert!(
            error.contains("Fedora Linux 42") && error.contains("bookworm"),
            "{error}"
        );
    }
}
