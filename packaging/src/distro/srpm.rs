//! Source packages for the distribution's source repository, made by the host's rpmbuild, and what their specs say.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::writer::set_attributes;
use crate::process;

/// A source package that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder has no spec, or more than one.
    #[error("{} must hold exactly one .spec file, and holds {found}", dir.display())]
    Spec {
        /// The folder.
        dir: PathBuf,
        /// How many it has.
        found: usize,
    },
    /// A source that the spec names is not there.
    #[error("{} wants the source {wanted}, which is neither beside it nor among: {given}", spec.display())]
    Source {
        /// The spec.
        spec: PathBuf,
        /// The file it names.
        wanted: String,
        /// The files given.
        given: String,
    },
    /// rpmbuild or rpmspec failed.
    #[error(transparent)]
    Tool(#[from] process::Error),
    /// rpmbuild made something else than one source package.
    #[error("rpmbuild -bs of {} made {found} source packages; see {}", spec.display(), log.display())]
    Result {
        /// The spec.
        spec: PathBuf,
        /// How many.
        found: usize,
        /// The log.
        log: PathBuf,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}

/// A package as its spec names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecPackage {
    /// Name.
    pub name: String,
    /// Version.
    pub version: String,
    /// Release.
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
}

impl SpecTools<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("HOME", self.scratch)
            .env("SOURCE_DATE_EPOCH", self.time.to_string());
        for file in self.macros {
            command.arg("--load").arg(file);
        }
        for (name, value) in [
            ("_topdir", self.scratch.display().to_string()),
            ("_dbpath", self.scratch.join("rpmdb").display().to_string()),
            ("_buildhost", "rehearsal".to_owned()),
            // The time given, and not the changelog's.
            ("source_date_epoch_from_changelog", "0".to_owned()),
            ("use_source_date_epoch_as_buildtime", "1".to_owned()),
            ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ] {
            command.arg("--define").arg(format!("{name} {value}"));
        }
        command
    }

    /// The packages that the spec in `spec_dir` makes.
    ///
    /// # Errors
    /// When there is not exactly one spec, or it cannot be read.
    pub fn packages(&self, spec_dir: &Path) -> Result<Vec<SpecPackage>, Error> {
        let spec = only_spec(spec_dir)?;
        let out = process::output(
            self.command("rpmspec")
                .arg("--define")
                .arg(format!("_sourcedir {}", spec_dir.display()))
                .args([
                    "--query",
                    "--queryformat",
                    "%{name} %{version} %{release}\\n",
                ])
                .arg(&spec),
        )?;
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
    ///
    /// # Errors
    /// When a source that the spec names is missing, or rpmbuild fails.
    pub fn build_srpm(
        &self,
        spec_dir: &Path,
        extra: &[(String, PathBuf)],
        out: &Path,
        log: &Path,
    ) -> Result<PathBuf, Error> {
        let spec = only_spec(spec_dir)?;
        let sources = self.scratch.join("SOURCES");
        let made = self.scratch.join("SRPMS");
        for dir in [&sources, &made, &out.to_owned()] {
            fs::create_dir_all(dir).map_err(at(dir))?;
        }
        for entry in fs::read_dir(spec_dir).map_err(at(spec_dir))? {
            let path = entry.map_err(at(spec_dir))?.path();
            if path.is_file() {
                self.copy(&path, &sources.join(path.file_name().unwrap_or_default()))?;
            }
        }
        for (name, path) in extra {
            self.copy(path, &sources.join(name))?;
        }
        let spec = sources.join(spec.file_name().unwrap_or_default());
        self.check_sources(&spec, &sources, extra)?;
        let mut rpmbuild = self.command("rpmbuild");
        rpmbuild.args(["-bs", "--nodeps"]).arg(&spec);
        process::run_logged(&mut as_root(rpmbuild), log)?;
        let mut packages: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&made).map_err(at(&made))? {
            packages.push(entry.map_err(at(&made))?.path());
        }
        let (Some(package), 1) = (packages.first(), packages.len()) else {
            return Err(Error::Result {
                spec,
                found: packages.len(),
                log: log.to_owned(),
            });
        };
        let target = out.join(package.file_name().unwrap_or_default());
        fs::rename(package, &target)
            .or_else(|_| fs::copy(package, &target).map(|_| ()))
            .map_err(at(&target))?;
        set_attributes(&target, self.time).map_err(at(&target))?;
        Ok(target)
    }

    fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::copy(from, to).map_err(at(from))?;
        set_attributes(to, self.time).map_err(at(to))
    }

    /// rpmbuild's own message names only a path in the scratch folder; this one says what was given.
    fn check_sources(
        &self,
        spec: &Path,
        sources: &Path,
        extra: &[(String, PathBuf)],
    ) -> Result<(), Error> {
        let out = process::output(
            self.command("rpmspec")
                .args([
                    "--query",
                    "--srpm",
                    "--queryformat",
                    "[%{source}\\n][%{patch}\\n]",
                ])
                .arg(spec),
        )?;
        for wanted in String::from_utf8_lossy(&out).lines() {
            if !wanted.is_empty() && !sources.join(wanted).is_file() {
                return Err(Error::Source {
                    spec: spec.to_owned(),
                    wanted: wanted.to_owned(),
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

/// A source package records who owns its files: root, also where somebody else makes it.
fn as_root(command: Command) -> Command {
    if rustix::process::geteuid().is_root() {
        return command;
    }
    let mut wrapped = Command::new("bwrap");
    wrapped
        .args([
            "--dev-bind",
            "/",
            "/",
            "--unshare-user",
            "--uid",
            "0",
            "--gid",
            "0",
            "--",
        ])
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            wrapped.env(name, value);
        }
    }
    wrapped
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
