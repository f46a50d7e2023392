//! Debian's archive, through apt with a state of its own: nothing of the host's package state is read or changed.
//!
//! - [`sources`]: the host's apt sources, as apt names them, which give the archive's location and keys.
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
pub use pins::lines;
use sources::{Entry, IndexTarget, Options};

use lustre_files::at;

use super::recipe::{Debian, Recipe};
use lustre_packaging::lock::{FilePin, PackagePin};
use lustre_process as process;

/// What the archive calls itself.
const ORIGIN: &str = "Debian";

/// What apt answers of its sources.
fn ask(mut apt: Command) -> Result<Vec<IndexTarget>, Error> {
    apt.args(["indextargets", "--format", sources::FORMAT])
        .arg("Created-By: Packages");
    let out = process::output(&mut apt).map_err(|source| Error::Apt {
        doing: "apt does not list its sources".to_owned(),
        source,
    })?;
    sources::asked(&String::from_utf8_lossy(&out)).map_err(|line| Error::Answer { line })
}

/// The host's entries for the suites and the component that are wanted, whoever publishes them.
fn of_host(debian: &Debian, etc: Option<&Path>) -> Result<Vec<Entry>, Error> {
    let mut apt = process::command("apt-get");
    apt.env("LC_ALL", "C.UTF-8");
    // Whose they are, the lists say that are fetched then: the host may have none.
    apt.arg("--no-release-info");
    if let Some(etc) = etc {
        apt.arg("-o").arg(format!("Dir::Etc={}", etc.display()));
    }
    let mut entries: Vec<Entry> = Vec::new();
    for asked in ask(apt)? {
        if asked.component != debian.component || !debian.suites.contains(&asked.suite) {
            continue;
        }
        let text = lustre_files::read_to_string(&asked.file, LARGEST).map_err(at(&asked.file))?;
        let options = Options::of(&asked, &text).ok_or_else(|| Error::Answer {
            line: format!("{}:{}", asked.file.display(), asked.number),
        })?;
        entries.push(Entry {
            uri: asked.uri,
            suite: asked.suite,
            component: asked.component,
            options,
        });
    }
    if entries.iter().any(|entry| entry.suite == debian.codename) {
        return Ok(entries);
    }
    Err(no_source(debian))
}

/// Entries for the suites that the host has not, at the place where its main suite is.
fn extra(debian: &Debian, suites: &[String], entries: &[Entry]) -> Result<Vec<Entry>, Error> {
    let main = entries
        .iter()
        .find(|entry| entry.suite == debian.codename)
        .ok_or_else(|| no_source(debian))?;
    let wanted: BTreeSet<&String> = debian
        .instead
        .iter()
        .map(|instead| &instead.suite)
        .chain(suites)
        .filter(|suite| !debian.suites.contains(*suite))
        .collect();
    Ok(wanted
        .into_iter()
        .map(|suite| Entry {
            suite: suite.clone(),
            ..main.clone()
        })
        .collect())
}

fn no_source(debian: &Debian) -> Error {
    Error::NoSource {
        suite: debian.codename.clone(),
        component: debian.component.clone(),
    }
}

/// No file of apt's sources is larger (bytes).
const LARGEST: u64 = 16 << 20;

/// apt with its own package lists, an empty package state, and the host's sources for the archive's place and keys.
#[derive(Debug, Clone)]
pub struct Apt {
    dir: PathBuf,
    default_suite: String,
}

impl Apt {
    /// Sets up a private state below `dir` and fetches the package lists, which apt checks against the archive's keys. What calls itself
    /// something else than Debian is left out, whatever its suites are called.
    pub fn update(debian: &Debian, extra_suites: &[String], dir: &Path) -> Result<Self, Error> {
        check_host(Path::new("/etc"), &debian.codename)?;
        Self::update_from(debian, extra_suites, dir, None)
    }

    /// As [`update`](Self::update), with the sources of another configuration directory than `/etc/apt`, on any host with apt.
    pub fn update_from(
        debian: &Debian,
        extra_suites: &[String],
        dir: &Path,
        etc: Option<&Path>,
    ) -> Result<Self, Error> {
        let mut entries = of_host(debian, etc)?;
        let apt = Self::prepare(debian, &entries, dir)?;
        apt.fetch_lists()?;
        let answer = apt.ask()?;
        let ours = |entry: &Entry| {
            answer
                .iter()
                .any(|one| one.origin == ORIGIN && one.uri == entry.uri && one.suite == entry.suite)
        };
        let before = entries.len();
        entries.retain(ours);
        let more = extra(debian, extra_suites, &entries)?;
        if more.is_empty() && entries.len() == before {
            return Ok(apt);
        }
        entries.extend(more);
        let apt = Self::prepare(debian, &entries, dir)?;
        apt.fetch_lists()?;
        Ok(apt)
    }

    /// As [`update`](Self::update), with the package lists as they are: enough to fetch what is pinned.
    pub fn open(debian: &Debian, extra_suites: &[String], dir: &Path) -> Result<Self, Error> {
        check_host(Path::new("/etc"), &debian.codename)?;
        let mut entries = of_host(debian, None)?;
        entries.extend(extra(debian, extra_suites, &entries)?);
        Self::prepare(debian, &entries, dir)
    }

    fn prepare(debian: &Debian, entries: &[Entry], dir: &Path) -> Result<Self, Error> {
        for name in [
            "lists/partial",
            "cache/archives/partial",
            "sources.list.d",
            "empty.d",
        ] {
            let path = dir.join(name);
            fs::create_dir_all(&path).map_err(at(&path))?;
        }
        let dir = fs::canonicalize(dir).map_err(at(dir))?;
        let write = |name: &str, text: &str| {
            let path = dir.join(name);
            fs::write(&path, text).map_err(at(&path))
        };
        let (stanzas, lines) = sources::written(entries);
        write("sources.list.d/archive.sources", &stanzas)?;
        write("sources.list.d/archive.list", &lines)?;
        write("status", "")?;
        write("apt.conf", &configuration(&dir, &host_acquire())?)?;
        Ok(Self {
            dir,
            default_suite: debian.codename.clone(),
        })
    }

    fn fetch_lists(&self) -> Result<(), Error> {
        let log = self.dir.join("update.log");
        process::run_logged(self.command("apt-get").args(["-q", "update"]), &log).map_err(
            |source| Error::Apt {
                doing: "cannot fetch Debian's package lists".to_owned(),
                source,
            },
        )
    }

    /// What is in the lists that were fetched.
    fn ask(&self) -> Result<Vec<IndexTarget>, Error> {
        ask(self.command("apt-get"))
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
                "Package: *\nPin: release o={ORIGIN},n={suite}\nPin-Priority: 990\n\n"
            ));
        }
        preferences.push_str("Package: *\nPin: release *\nPin-Priority: -1\n");
        let path = self.dir.join("preferences");
        fs::write(&path, preferences).map_err(at(&path))?;
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
            doing: "apt cannot resolve the recipe's seeds".to_owned(),
            source,
        })?;
        lines(&out)?.into_iter().map(pins::package).collect()
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
        lines(&out)?.into_iter().map(pins::package).collect()
    }

    /// Pins the files of a source package: its `.dsc` and archives. Without a version, the newest of the suite.
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
