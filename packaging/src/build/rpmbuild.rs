//! Making an SRPM from a spec, and RPMs from an SRPM.
//!
//! rpmbuild gets no option here that decides what is built, neither `--define` nor `--with` and `--without`: all of that is in the spec
//! (`spec_macros`), or whoever rebuilds a source package would get another package. What is of the environment, paths and what makes
//! builds repeatable, is in the builder's macros ([`Settings::macros`](super::workdir::Settings::macros)).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at};
use crate::changelog;
use crate::process;
use crate::sandbox::{self, copy_anew};

/// Makes the SRPM of the spec `SPECS/<spec>` in `work`, whose sources are in place, and gives its path.
pub fn source_package(work: &Workdir, spec: &str, log: &Path) -> Result<PathBuf, Error> {
    work.hand_over()?;
    let spec = format!("build/SPECS/{spec}");
    let arguments = ["rpmbuild", "-bs", "--nodeps", &spec];
    work.script("exec \"$@\"", &arguments, log)?;
    let folder = work.path("build/SRPMS")?;
    let mut made = packages_under(&folder)?;
    match (made.pop(), made.is_empty()) {
        (Some(one), true) => {
            written_before(&one, work.time())?;
            // It has a noon that the package does not tell from a date alone.
            let path = work.path(&spec)?;
            let text =
                lustre_files::read_no_link(&path, lustre_files::SOURCE).map_err(at(&path))?;
            let entry = changelog::of_spec(&String::from_utf8_lossy(&text));
            in_time(&one, entry.map(|(time, _)| time), work.time())?;
            Ok(one)
        }
        _ => Err(Error::Result {
            what: format!(
                "rpmbuild -bs did not make exactly one SRPM in {}",
                folder.display()
            ),
            hint: format!("see {}", log.display()),
        }),
    }
}

/// Checks that no entry of a package's changelog is later than the time of its build.
pub fn written_before(package: &Path, epoch: u64) -> Result<(), Error> {
    in_time(package, latest_entry(package)?, epoch)
}

fn in_time(package: &Path, entry: Option<u64>, epoch: u64) -> Result<(), Error> {
    match entry {
        Some(entry) if entry > epoch => Err(Error::Changelog {
            package: package.file_name().unwrap_or_default().into(),
            entry,
            epoch,
        }),
        _ => Ok(()),
    }
}

/// The latest entry of a package's changelog, as an epoch.
pub(super) fn latest_entry(package: &Path) -> Result<Option<u64>, Error> {
    changelog::of_package(package).map_err(|message| Error::Package {
        path: package.to_owned(),
        message,
    })
}

/// What `srpm` requires to be built, as dnf takes it: `gcc`, `make >= 4`, `(a or b)`.
pub fn requirements(srpm: &Path) -> Result<Vec<String>, Error> {
    // rpm takes a path for a pattern of the shell, so it gets one without any.
    const INSIDE: &str = "/files/package.src.rpm";
    let sandbox = sandbox::reading(srpm, INSIDE).map_err(at(srpm))?;
    let options = ["--query", "--requires", "--package", "--nosignature"];
    let mut command = sandbox.command(
        "rpm",
        &[&options[..], &["--dbpath=/tmp/rpmdb", INSIDE]].concat(),
    );
    let text = process::output(&mut command)?;
    Ok(String::from_utf8_lossy(&text)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("rpmlib("))
        .map(str::to_owned)
        .collect())
}

/// Unpacks and patches `srpm`: `%prep` alone.
pub fn prepare(work: &Workdir, srpm: &Path, log: &Path) -> Result<(), Error> {
    let name = placed(work, srpm)?;
    work.script(
        "rm -rf build/SPECS build/SOURCES; rpm -i \"$1\"; exec rpmbuild -bp build/SPECS/*.spec",
        &[&name],
        log,
    )
}

/// What lists the packages of a spec, in the builder's home.
const PACKAGES: &str = "packages-of-the-spec";

/// The packages that the spec in `srpm` can make, as rpm reads it in the buildroot: `name-[epoch:]version-release.arch`. Those of debugging
/// are not among them.
pub fn can_be(work: &Workdir, srpm: &Path, log: &Path) -> Result<BTreeSet<String>, Error> {
    let name = placed(work, srpm)?;
    work.script(
        "rm -rf build/SPECS build/SOURCES; rpm -i \"$1\"; exec rpmspec -q --qf \
         '%{name}\t%{epochnum}\t%{version}-%{release}.%{arch}\\n' build/SPECS/*.spec > \"$2\"",
        &[&name, PACKAGES],
        log,
    )?;
    let path = work.path(PACKAGES)?;
    let text =
        lustre_files::read_no_link_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
    let lines = text
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>());
    Ok(lines
        .filter_map(|parts| match parts[..] {
            [name, "0", rest] => Some(format!("{name}-{rest}")),
            [name, epoch, rest] => Some(format!("{name}-{epoch}:{rest}")),
            _ => None,
        })
        .collect())
}

/// Builds what [`prepare`] unpacked and patched, and gives the paths of all binary RPMs, sorted.
pub fn build_prepared(work: &Workdir, srpm: &Path, log: &Path) -> Result<Vec<PathBuf>, Error> {
    rebuild(work, srpm, &["--noprep"], log)
}

/// Builds `srpm`, a file on the host, and gives the paths of all binary RPMs, sorted.
pub fn build(work: &Workdir, srpm: &Path, log: &Path) -> Result<Vec<PathBuf>, Error> {
    rebuild(work, srpm, &[], log)
}

/// As everybody rebuilds a source package, so that the packages are those that everybody gets: built from the spec (`-bb`), they would
/// lack the tag COOKIE, which says of which build of the source package they are. `steps` leaves out steps of the build.
fn rebuild(work: &Workdir, srpm: &Path, steps: &[&str], log: &Path) -> Result<Vec<PathBuf>, Error> {
    let name = placed(work, srpm)?;
    let mut arguments = vec!["rpmbuild", "--rebuild"];
    arguments.extend(steps);
    arguments.push(&name);
    work.script("exec \"$@\"", &arguments, log)?;
    some_made(work, srpm, "rpmbuild --rebuild", log)
}

/// Builds the sources of `srpm` as an Open Build Service does, which gets them as files and makes a source package of its own, with the tag
/// `disturl` in all that comes out: so it comes out the same. Sources and spec are in one folder there, none of them a program.
pub fn build_as_obs(
    work: &Workdir,
    srpm: &Path,
    disturl: &str,
    log: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let name = placed(work, srpm)?;
    work.script(
        "rpm -i --define '_specdir %{_sourcedir}' \"$1\"; chmod 644 build/SOURCES/*; \
         exec rpmbuild -ba --define '_srcdefattr (-,root,root)' --nosignature --define \"disturl $2\" build/SOURCES/*.spec",
        &[&name, disturl],
        log,
    )?;
    some_made(work, srpm, "rpmbuild -ba", log)
}

/// The packages that a build left, which has to have left some.
fn some_made(work: &Workdir, srpm: &Path, what: &str, log: &Path) -> Result<Vec<PathBuf>, Error> {
    let made = packages_under(&work.path("build/RPMS")?)?;
    if made.is_empty() {
        return Err(Error::Result {
            what: format!("{what} of {} succeeded but made no RPM", srpm.display()),
            hint: format!("see {}", log.display()),
        });
    }
    Ok(made)
}

/// Puts a source package into the builder's home, whose paths are the same in every build, and gives its name there.
fn placed(work: &Workdir, srpm: &Path) -> Result<String, Error> {
    let name = srpm.file_name().unwrap_or_default();
    copy_anew(srpm, &work.path("")?.join(name)).map_err(at(srpm))?;
    work.hand_over()?;
    Ok(name.to_string_lossy().into_owned())
}

/// All packages under `folder`, sorted by path. No link is followed, not even if `folder` is one.
pub fn packages_under(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder)
        .follow_root_links(false)
        .sort_by_file_name()
    {
        let entry = entry.map_err(at(folder))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|e| e == "rpm") {
            found.push(entry.into_path());
        }
    }
    Ok(found)
}

/// Moves `packages` into `into` under their own names.
pub fn collect(packages: &[PathBuf], into: &Path) -> Result<(), Error> {
    fs::create_dir_all(into).map_err(at(into))?;
    for package in packages {
        let target = into.join(package.file_name().unwrap_or_default());
        if target.symlink_metadata().is_ok() {
            return Err(Error::Result {
                what: format!(
                    "the build made two packages with the file name {}",
                    target.file_name().unwrap_or_default().display()
                ),
                hint: "one would take the place of the other: correct the spec".to_owned(),
            });
        }
        if fs::rename(package, &target).is_err() {
            // Another file system: copy.
            lustre_files::copy(package, &target).map_err(at(package))?;
        }
        crate::sandbox::own(&target).map_err(at(&target))?;
        crate::build::workdir::plain_mode(&target)?;
    }
    Ok(())
}

/// Checks that every name in `expected` is the name of one of `packages`.
pub fn expect(what: &str, packages: &[PathBuf], expected: &[String]) -> Result<(), Error> {
    let mut names = Vec::new();
    for path in packages {
        names.push(package_name(path)?);
    }
    let missing: Vec<&str> = expected
        .iter()
        .map(String::as_str)
        .filter(|name| !names.iter().any(|made| made == name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Result {
        what: format!("the build of {what} did not produce {}", missing.join(", ")),
        hint: format!(
            "it produced {}; the target's `{what}.packages` lists the expected packages",
            names.join(", ")
        ),
    })
}

/// The name in the header of the package at `path`.
pub fn package_name(path: &Path) -> Result<String, Error> {
    let unreadable = |message: String| Error::Package {
        path: path.to_owned(),
        message,
    };
    let metadata = lustre_rpm_header::metadata(path).map_err(|e| unreadable(e.to_string()))?;
    Ok(metadata
        .get_name()
        .map_err(|e| unreadable(e.to_string()))?
        .to_owned())
}

/// The time of the build of the package at `path`, in seconds since 1970.
pub fn build_time(path: &Path) -> Result<u64, Error> {
    let metadata = lustre_rpm_header::metadata(path);
    let time = metadata.and_then(|metadata| metadata.get_build_time());
    time.map_err(|error| Error::Package {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_packages_with_one_file_name_none_wins() {
        let dir = tempfile::tempdir().unwrap();
        let mut made = Vec::new();
        for folder in ["noarch", "x86_64"] {
            let folder = dir.path().join(folder);
            fs::create_dir(&folder).unwrap();
            made.push(folder.join("a-1-1.rpm"));
            fs::write(&made[made.len() - 1], "a").unwrap();
        }
        let into = dir.path().join("into");
        let error = collect(&made, &into).unwrap_err().to_string();
        assert!(
            error.contains("two packages with the file name a-1-1.rpm"),
            "{error}"
        );
    }
}
