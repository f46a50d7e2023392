//! Debian's archive, through apt with a state of its own: nothing of the host's package state is read or changed.
//!
//! - [`sources`]: the host's apt sources, which give the archive's location and keys.
//! - `host`: the host's release and network settings, and the configuration made from them.
//! - `pins`: what apt answers. This file: asking it. apt checks the archive's signatures.
//! - `fetch`: getting pinned files, checked by SHA256. `error`: what can go wrong.

mod error;
mod fetch;
mod host;
mod pins;
pub mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use error::Error;
use host::{check_host, configuration, host_acquire};
pub(crate) use pins::lines;

use super::recipe::{Debian, Recipe};
use crate::lock::{FilePin, PackagePin};
use crate::process;

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
        let mut command = process::command(program);
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
    pub fn resolve(&self, recipe: &Recipe) -> Result<Vec<PackagePin>, Error> {
        let seeds: Vec<&str> = recipe.debian.seeds.iter().map(String::as_str).collect();
        let mut pins: BTreeMap<String, PackagePin> = self
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
    fn install(&self, suites: &[String], packages: &[&str]) -> Result<Vec<PackagePin>, Error> {
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
        lines(&out)?
            .into_iter()
            .map(PackagePin::from_file)
            .collect()
    }

    /// Packages of a suite as they are, without what they need.
    fn download(&self, packages: &[String], suite: &str) -> Result<Vec<PackagePin>, Error> {
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
        lines(&out)?
            .into_iter()
            .map(PackagePin::from_file)
            .collect()
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
}
