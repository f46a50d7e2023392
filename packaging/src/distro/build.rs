//! The whole distribution: base and source repositories, signed with its own key.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::assemble::{self, metadata};
use super::debian::DebPin;
use super::recipe::Recipe;
use crate::process;
use crate::sign::{self, Key, Secret, Signer, sign_package};

/// A distribution that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its packages or metadata.
    #[error(transparent)]
    Assemble(#[from] assemble::Error),
    /// Its key, or a signature.
    #[error("the distribution's signatures: {0}")]
    Sign(#[from] sign::Error),
    /// rpmbuild.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// It.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel's spec or its source is not as it should be.
    #[error("the distribution's kernel: {0}")]
    Kernel(String),
    /// The key is not the one the target pins.
    #[error("the distribution's key is {found}, the target pins {pinned}")]
    Key {
        /// The recipe's.
        found: String,
        /// The target's.
        pinned: String,
    },
}

fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
    let path = path.into();
    move |source| Error::Io { path, source }
}

/// What the distribution is made from, besides its recipe.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The Debian packages.
    pub pins: &'a [DebPin],
    /// The folder that holds them under their pins' file names.
    pub debs: &'a Path,
    /// The folder with the kernel's spec and sources.
    pub kernel_spec: &'a Path,
    /// The upstream archive of the kernel, and its name.
    pub kernel_source: (&'a Path, &'a str),
    /// rpm's `%dist`.
    pub dist: &'a str,
    /// The fingerprint of the key that the target pins.
    pub key: &'a str,
    /// How many packages are made at a time.
    pub jobs: usize,
}

/// The line of the kernel's spec that says which upstream release it packages; Debian moves on, so the lock decides.
const VERSION_LINE: &str = "%global rpmversion ";

/// Makes `output/base`, `output/source` and `output/key.asc`.
///
/// # Errors
/// When a package cannot be made or signed.
pub fn build(
    recipe: &Recipe,
    inputs: &Inputs<'_>,
    scratch: &Path,
    output: &Path,
    log: &Path,
) -> Result<(), Error> {
    // The rehearsal's key is public on purpose, so the file is read as text: as a key file it would have to be closed to others.
    let path = recipe.dir.join("key.asc");
    let text = Secret::new(fs::read(&path).map_err(at(&path))?);
    let key = Key::from_armored(&text, &path.display().to_string(), None)?;
    if key.fingerprint() != inputs.key {
        return Err(Error::Key {
            found: key.fingerprint(),
            pinned: inputs.key.to_owned(),
        });
    }
    let time = recipe.distribution.time;
    let unsigned = scratch.join("unsigned");
    let base = assemble::packages(recipe, inputs.pins, inputs.debs, &unsigned, inputs.jobs)?;
    let srpm = kernel_srpm(inputs, time, &scratch.join("rpmbuild"), log)?;
    for (name, packages) in [("base", base), ("source", vec![srpm])] {
        let repository = output.join(name);
        let folder = repository.join("Packages");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        sign_all(&packages, &folder, &key, time, inputs.jobs)?;
        metadata(&repository, time, log)?;
        let repomd = repository.join("repodata/repomd.xml");
        let text = fs::read(&repomd).map_err(at(&repomd))?;
        let signature = repomd.with_extension("xml.asc");
        fs::write(&signature, key.sign_detached(&text, time)?).map_err(at(&signature))?;
    }
    let public = output.join("key.asc");
    fs::write(&public, key.public_key_armored()?).map_err(at(&public))
}

/// Signs `packages` into `folder`, as many at a time as there are jobs.
fn sign_all(
    packages: &[PathBuf],
    folder: &Path,
    signer: &dyn Signer,
    time: u32,
    jobs: usize,
) -> Result<(), Error> {
    let share = packages.len().div_ceil(jobs.max(1)).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> = packages
            .chunks(share)
            .map(|chunk| {
                scope.spawn(move || -> Result<(), sign::Error> {
                    for package in chunk {
                        let signed = folder.join(package.file_name().unwrap_or_default());
                        sign_package(package, &signed, signer, time)?;
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            match worker.join() {
                Ok(result) => result?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    })
}

/// The kernel's SRPM, by the host's rpmbuild: rpm-rs makes no source packages.
fn kernel_srpm(inputs: &Inputs<'_>, time: u32, top: &Path, log: &Path) -> Result<PathBuf, Error> {
    let (sources, specs) = (top.join("SOURCES"), top.join("SPECS"));
    for folder in [&sources, &specs] {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let version = upstream_version(inputs.kernel_source.1)?;
    for entry in fs::read_dir(inputs.kernel_spec).map_err(at(inputs.kernel_spec))? {
        let path = entry.map_err(at(inputs.kernel_spec))?.path();
        let name = path.file_name().unwrap_or_default();
        if path
            .extension()
            .is_some_and(|extension| extension == "spec")
        {
            let text = fs::read_to_string(&path).map_err(at(&path))?;
            let spec = specs.join("kernel.spec");
            fs::write(&spec, with_version(&text, version)?).map_err(at(&spec))?;
        } else {
            fs::copy(&path, sources.join(name)).map_err(at(&path))?;
        }
    }
    let archive = sources.join(inputs.kernel_source.1);
    fs::copy(inputs.kernel_source.0, &archive).map_err(at(inputs.kernel_source.0))?;
    for folder in [&sources, &specs] {
        same_times_and_modes(folder, time)?;
    }
    let mut command = Command::new("rpmbuild");
    command.args(["-bs", "--nodeps"]);
    for (name, value) in [
        ("_topdir", top.display().to_string()),
        ("dist", inputs.dist.to_owned()),
        ("_buildhost", "builder.rehearsal".to_owned()),
        ("use_source_date_epoch_as_buildtime", "1".to_owned()),
        ("clamp_mtime_to_source_date_epoch", "1".to_owned()),
        ("source_date_epoch_from_changelog", "0".to_owned()),
    ] {
        command.args(["--define", &format!("{name} {value}")]);
    }
    command
        .arg(specs.join("kernel.spec"))
        .env("SOURCE_DATE_EPOCH", time.to_string())
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("HOME", top);
    process::run_logged(&mut command, log)?;
    crate::build::rpmbuild::packages_under(&top.join("SRPMS"))
        .ok()
        .and_then(|mut made| made.pop())
        .ok_or_else(|| Error::Kernel(format!("rpmbuild made no SRPM; see {}", log.display())))
}

/// `6.1.176` of `linux_6.1.176.orig.tar.xz`.
fn upstream_version(file: &str) -> Result<&str, Error> {
    file.strip_prefix("linux_")
        .and_then(|rest| rest.split_once(".orig.tar"))
        .map(|(version, _)| version)
        .ok_or_else(|| {
            Error::Kernel(format!(
                "`{file}` is not named as Debian names a kernel's source"
            ))
        })
}

/// The spec for another upstream release.
fn with_version(spec: &str, version: &str) -> Result<String, Error> {
    let lines = spec
        .lines()
        .filter(|line| line.starts_with(VERSION_LINE))
        .count();
    if lines != 1 {
        return Err(Error::Kernel(format!(
            "its spec has {lines} lines that begin with `{VERSION_LINE}`, and must have one"
        )));
    }
    let edited: Vec<String> = spec
        .lines()
        .map(|line| {
            if line.starts_with(VERSION_LINE) {
                format!("{VERSION_LINE}{version}")
            } else {
                line.to_owned()
            }
        })
        .collect();
    Ok(edited.join("\n") + "\n")
}

/// A source package records its files' times and modes: those of a checkout are chance.
fn same_times_and_modes(folder: &Path, time: u32) -> Result<(), Error> {
    let time = io_time(time);
    for entry in fs::read_dir(folder).map_err(at(folder))? {
        let path = entry.map_err(at(folder))?.path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).map_err(at(&path))?;
        let file = fs::File::options()
            .append(true)
            .open(&path)
            .map_err(at(&path))?;
        file.set_modified(time).map_err(at(&path))?;
    }
    Ok(())
}

fn io_time(time: u32) -> std::time::SystemTime {
    std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_decides_which_release_is_packaged() {
        let version = upstream_version("linux_6.1.180.orig.tar.xz").unwrap();
        let spec = with_version(
            "Name: kernel\n%global rpmversion 6.1.1\nVersion: x\n",
            version,
        )
        .unwrap();
        assert_eq!(
            spec,
            "Name: kernel\n%global rpmversion 6.1.180\nVersion: x\n"
        );
        assert!(with_version("Name: kernel\n", version).is_err());
        assert!(upstream_version("linux-6.1.tar.xz").is_err());
    }
}
