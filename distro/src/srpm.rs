//! Source packages for the distribution's source repository, made by the host's rpmbuild, and what their specs say.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_files::at;

use super::writer::set_attributes;
use lustre_packaging::sandbox::{Ids, Sandbox, User, copy_anew, own};
use lustre_packaging::store::remove_tree;
use lustre_process as process;

/// Where rpmbuild sees the scratch folder: a source package records the expanded spec, paths included.
const INSIDE: &str = "/tmp/rehearsal";

/// A source package that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error("{} has {found} .spec files, expected one", dir.display())]
    Spec {
        dir: PathBuf,
        /// How many it has.
        found: usize,
    },
    #[error("{} needs the source {wanted}, which is neither beside it nor one of: {given}", spec.display())]
    Source {
        /// The spec's folder.
        spec: PathBuf,
        /// The file it names.
        wanted: String,
        /// The files given.
        given: String,
    },
    #[error(transparent)]
    Tool(#[from] process::Error),
    #[error("rpmbuild -bs of {} made {found} source packages; see {}", spec.display(), log.display())]
    Result {
        /// The spec's folder.
        spec: PathBuf,
        /// How many.
        found: usize,
        log: PathBuf,
    },
}

/// A package as its spec names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecPackage {
    pub name: String,
    pub version: String,
    pub release: String,
}

/// rpmbuild and rpmspec as the distribution's own would work: its macros, no state of the host's.
#[derive(Debug)]
pub struct SpecTools<'a> {
    /// The distribution's macro files, read after rpm's own.
    pub macros: &'a [PathBuf],
    /// A folder for intermediate files; the caller removes it.
    pub scratch: &'a Path,
    /// The time of the package and the latest of its files, seconds since 1970.
    pub time: u32,
    /// `%dist`, where it is not that of the macro files.
    pub dist: Option<String>,
}

impl SpecTools<'_> {
    /// `program` with the distribution's macros and `arguments`, where the scratch folder has a fixed path and belongs to root: a
    /// source package records who owns its files.
    fn command(&self, program: &str, arguments: &[&str]) -> Result<Command, Error> {
        let mut line = Vec::new();
        for (number, file) in self.macros.iter().enumerate() {
            let name = format!("macros.{number}");
            self.copy(file, &self.scratch.join(&name))?;
            line.push(format!("--load={INSIDE}/{name}"));
        }
        for (name, value) in [
            ("_topdir", INSIDE),
            ("_tmppath", INSIDE),
            ("_dbpath", "/tmp/rehearsal/rpmdb"),
            ("_buildhost", "rehearsal"),
            // The time given, and not the changelog's.
            ("source_date_epoch_from_changelog", "0"),
            ("use_source_date_epoch_as_buildtime", "1"),
            ("clamp_mtime_to_source_date_epoch", "1"),
        ] {
            line.push(format!("--define={name} {value}"));
        }
        if let Some(dist) = &self.dist {
            line.push(format!("--define=dist {dist}"));
        }
        line.extend(arguments.iter().map(|one| (*one).to_owned()));
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let ids = Ids::for_new_chroots().map_err(at(self.scratch))?;
        let sandbox = Sandbox::with_host_programs(ids, User::BareRoot, "rehearsal")
            .map_err(at(self.scratch))?
            .writable(self.scratch, INSIDE)
            .env("HOME", INSIDE)
            .env("SOURCE_DATE_EPOCH", &self.time.to_string());
        sandbox.give(self.scratch).map_err(at(self.scratch))?;
        Ok(sandbox.command(program, &line))
    }

    /// Copies the spec and the files beside it to where rpmbuild looks for sources. Gives the spec's path there.
    fn lay_out(&self, spec_dir: &Path) -> Result<String, Error> {
        let spec = only_spec(spec_dir)?;
        let sources = self.scratch.join("SOURCES");
        // A spec that was read before may have left a link in its place.
        remove_tree(&sources).map_err(|error| at(&sources)(io::Error::other(error)))?;
        fs::create_dir(&sources).map_err(at(&sources))?;
        for entry in fs::read_dir(spec_dir).map_err(at(spec_dir))? {
            let path = entry.map_err(at(spec_dir))?.path();
            if path.is_file() {
                self.copy(&path, &sources.join(path.file_name().unwrap_or_default()))?;
            }
        }
        let name = spec.file_name().unwrap_or_default().to_string_lossy();
        Ok(format!("{INSIDE}/SOURCES/{name}"))
    }

    /// The packages that the spec in `spec_dir` makes.
    pub fn packages(&self, spec_dir: &Path) -> Result<Vec<SpecPackage>, Error> {
        let spec = self.lay_out(spec_dir)?;
        let out = process::output(&mut self.command(
            "rpmspec",
            &[
                "--query",
                "--queryformat",
                "%{name} %{version} %{release}\\n",
                &spec,
            ],
        )?)?;
        Ok(String::from_utf8_lossy(&out)
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ').map(str::to_owned);
                Some(SpecPackage {
                    name: words.next()?,
                    version: words.next()?,
                    release: words.next()?,
                })
            })
            .collect())
    }

    /// Makes the source package of the spec in `spec_dir`, its sources being the folder's other files and `extra` (name and
    /// path), and moves it into `out`. The same inputs give the same bytes, for any user.
    pub fn build_srpm(
        &self,
        spec_dir: &Path,
        extra: &[(String, PathBuf)],
        out: &Path,
        log: &Path,
    ) -> Result<PathBuf, Error> {
        let spec = self.lay_out(spec_dir)?;
        let made = self.scratch.join("SRPMS");
        for dir in [&made, &out.to_owned()] {
            fs::create_dir_all(dir).map_err(at(dir))?;
        }
        for (name, path) in extra {
            self.copy(path, &self.scratch.join("SOURCES").join(name))?;
        }
        self.check_sources(&spec, spec_dir, extra)?;
        let mut rpmbuild = self.command("rpmbuild", &["-bs", "--nodeps", &spec])?;
        process::run_logged(&mut rpmbuild, log)?;
        let mut packages: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&made).map_err(at(&made))? {
            packages.push(entry.map_err(at(&made))?.path());
        }
        let (Some(package), 1) = (packages.first(), packages.len()) else {
            return Err(Error::Result {
                spec: spec_dir.to_owned(),
                found: packages.len(),
                log: log.to_owned(),
            });
        };
        let target = out.join(package.file_name().unwrap_or_default());
        // It belongs to root inside.
        own(package).map_err(at(package))?;
        fs::rename(package, &target)
            .or_else(|_| lustre_files::copy(package, &target).map(|_| ()))
            .map_err(at(&target))?;
        set_attributes(&target, self.time).map_err(at(&target))?;
        Ok(target)
    }

    /// The sources and patches that the spec in `spec_dir` declares and that are not beside it.
    pub fn absent(&self, spec_dir: &Path) -> Result<Vec<String>, Error> {
        let spec = self.lay_out(spec_dir)?;
        let mut absent = self.declared(&spec)?;
        absent.retain(|name| !spec_dir.join(name).is_file());
        absent.sort();
        absent.dedup();
        Ok(absent)
    }

    /// The sources and patches that the spec, at its place inside, declares.
    fn declared(&self, spec: &str) -> Result<Vec<String>, Error> {
        let out = process::output(&mut self.command(
            "rpmspec",
            &[
                "--query",
                "--srpm",
                "--queryformat",
                "[%{source}\\n][%{patch}\\n]",
                spec,
            ],
        )?)?;
        let names = String::from_utf8_lossy(&out);
        let names = names.lines().filter(|name| !name.is_empty());
        Ok(names.map(str::to_owned).collect())
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        copy_anew(from, to).map_err(at(to))?;
        set_attributes(to, self.time).map_err(at(to))?;
        // Specs run some of their sources.
        let mode = fs::metadata(from).map_err(at(from))?.permissions().mode();
        if mode & 0o100 == 0 {
            return Ok(());
        }
        Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755)).map_err(at(to))?)
    }

    /// rpmbuild's own message names only a path in the scratch folder; this one says what was given.
    fn check_sources(
        &self,
        spec: &str,
        spec_dir: &Path,
        extra: &[(String, PathBuf)],
    ) -> Result<(), Error> {
        for wanted in self.declared(spec)? {
            if !self.scratch.join("SOURCES").join(&wanted).is_file() {
                return Err(Error::Source {
                    spec: spec_dir.to_owned(),
                    wanted,
                    given: extra
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
        }
        Ok(())
    }
}

fn only_spec(dir: &Path) -> Result<PathBuf, Error> {
    let mut specs = Vec::new();
    for entry in fs::read_dir(dir).map_err(at(dir))? {
        let path = entry.map_err(at(dir))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "spec")
        {
            specs.push(path);
        }
    }
    match specs.pop() {
        Some(spec) if specs.is_empty() => Ok(spec),
        found => Err(Error::Spec {
            dir: dir.to_owned(),
            found: specs.len() + usize::from(found.is_some()),
        }),
    }
}
