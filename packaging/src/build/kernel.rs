//! The kernel: the distribution's SRPM through an overlay, and a check of the config that the build really used.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::archive;
use crate::overlay::config::{self, Comparison, Config, Merged};
use crate::overlay::{Inputs, Overlay, OverlayError};

/// What [`sources`] leaves beside the changed sources: the distribution's config.
const BASE_CONFIG: &str = "base.config";

/// What it leaves there for an overlay that needs it later: the release of the distribution's SRPM.
const BASE_RELEASE: &str = "base.release";

/// What it leaves there besides: the latest entry of the changelog of the distribution's SRPM, as an epoch.
const BASE_CHANGELOG: &str = "base.changelog";

/// Unpacks the distribution's `srpm` and changes it by the overlay: `output/sources` holds spec and sources.
///
/// `trees` are the source trees that the overlay takes series from, by name.
pub fn sources(
    srpm: &Path,
    overlay: &Overlay,
    trees: &[(&str, &Path)],
    scratch: &Path,
    output: &Path,
) -> Result<(), Error> {
    let unpacked = scratch.join("srpm");
    archive::unpack_srpm(srpm, &unpacked).map_err(|e| Error::Package {
        path: srpm.to_owned(),
        message: e.to_string(),
    })?;
    let mut inputs = inputs(srpm)?;
    let base = inputs.vars.get("release").cloned().unwrap_or_default();
    if needs_base(overlay) {
        let path = output.join(BASE_RELEASE);
        fs::write(&path, &base).map_err(at(&path))?;
    }
    if let Some(time) = rpmbuild::latest_entry(srpm)? {
        let path = output.join(BASE_CHANGELOG);
        fs::write(&path, time.to_string()).map_err(at(&path))?;
    }
    let (overlay, vars) = resolved(overlay, &base)?;
    inputs.vars.extend(vars);
    for (name, tree) in trees {
        inputs.roots.insert((*name).to_owned(), (*tree).to_owned());
    }
    overlay
        .prepare(&unpacked, &output.join("sources"), &inputs)
        .map_err(|e| Error::Overlay(e.to_string()))?;
    if let Some(config) = &overlay.manifest.config {
        let base = unpacked.join(&config.base);
        lustre_files::copy(&base, output.join(BASE_CONFIG)).map_err(at(&base))?;
    }
    Ok(())
}

/// The spec that [`sources`] left in `prepared`, beside its sources.
pub fn spec(prepared: &Path, overlay: &Overlay) -> Result<PathBuf, Error> {
    Ok(prepared.join("sources").join(spec_of(overlay)?))
}

/// Makes the build no earlier than the latest entry in the changelog of the distribution's kernel. A later kernel of the distribution
/// comes by an update of the lock, without anybody who would set the target's epoch anew.
fn after_changelog(work: &mut Workdir, prepared: &Path) -> Result<(), Error> {
    let path = prepared.join(BASE_CHANGELOG);
    let read = lustre_files::read_to_string(&path, lustre_files::TEXT);
    if let Some(text) = lustre_files::if_there(read).map_err(at(&path))? {
        let time = text.parse().map_err(|error| Error::Result {
            what: format!("{}: `{text}` is not a time: {error}", path.display()),
            hint: "the stage `kernel-sources` writes it: build that again".to_owned(),
        })?;
        work.not_before(time)?;
    }
    // Without it, the distribution's source package has no changelog.
    Ok(())
}

/// Makes the SRPM from what [`sources`] left in `prepared`.
pub fn source_package(
    work: &mut Workdir,
    prepared: &Path,
    overlay: &Overlay,
    log: &Path,
) -> Result<PathBuf, Error> {
    after_changelog(work, prepared)?;
    let spec = spec_of(overlay)?;
    let sources = prepared.join("sources");
    for entry in fs::read_dir(&sources).map_err(at(&sources))? {
        let entry = entry.map_err(at(&sources))?;
        let name = entry.file_name();
        let place = if name == *spec {
            "build/SPECS"
        } else {
            "build/SOURCES"
        };
        lustre_files::copy(entry.path(), work.path(place)?.join(&name))
            .map_err(at(entry.path()))?;
    }
    rpmbuild::source_package(work, &spec, log)
}

/// Builds the SRPM and checks, after `%prep` and again after the build, that the config is the one intended.
pub fn build(
    work: &mut Workdir,
    srpm: &Path,
    prepared: &Path,
    overlay: &Overlay,
    log: &Path,
) -> Result<Vec<PathBuf>, Error> {
    build_by(work, srpm, prepared, overlay, log, |work| {
        rpmbuild::build_prepared(work, srpm, log)
    })
}

/// As [`build`], by `builder`, which has what is unpacked and patched in the home of the one that is given; it may build elsewhere.
pub fn build_by<E: From<Error>>(
    work: &mut Workdir,
    srpm: &Path,
    prepared: &Path,
    overlay: &Overlay,
    log: &Path,
    builder: impl FnOnce(&Workdir) -> Result<Vec<PathBuf>, E>,
) -> Result<Vec<PathBuf>, E> {
    after_changelog(work, prepared)?;
    let (overlay, vars) = as_prepared(overlay, prepared)?;
    rpmbuild::prepare(work, srpm, log)?;
    let mut inputs = inputs(srpm)?;
    inputs.vars.extend(vars);
    let intent = Intent::of(work, &inputs, prepared, &overlay)?;
    let made = builder(work)?;
    if let Some(intent) = &intent {
        let (text, place) = packaged_config(&made)?;
        intent.check(&text, &place, &overlay)?;
        says_its_symbols(&made, &text, &place)?;
    }
    Ok(made)
}

/// The name of the spec among the sources.
fn spec_of(overlay: &Overlay) -> Result<String, Error> {
    overlay.manifest.spec.clone().ok_or_else(|| {
        Error::Overlay(format!(
            "the overlay {} names no spec",
            overlay.folder.display()
        ))
    })
}

/// True for an overlay that takes `%dist` from the release of the distribution's SRPM.
fn needs_base(overlay: &Overlay) -> bool {
    let release = overlay.manifest.release.as_ref();
    release.is_some_and(|release| release.dist_from.is_some())
}

fn resolved(overlay: &Overlay, base: &str) -> Result<(Overlay, Vec<(String, String)>), Error> {
    overlay
        .for_release(base)
        .map_err(|e| Error::Overlay(e.to_string()))
}

/// The overlay for the sources that [`sources`] left in `prepared`, and what they add to the placeholders.
fn as_prepared(
    overlay: &Overlay,
    prepared: &Path,
) -> Result<(Overlay, Vec<(String, String)>), Error> {
    if !needs_base(overlay) {
        return Ok((overlay.clone(), Vec::new()));
    }
    let path = prepared.join(BASE_RELEASE);
    let base = lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(at(&path))?;
    resolved(overlay, &base)
}

/// The values of an overlay's placeholders, from the SRPM's header.
fn inputs(srpm: &Path) -> Result<Inputs, Error> {
    let unreadable = |e: rpm::Error| Error::Package {
        path: srpm.to_owned(),
        message: e.to_string(),
    };
    let metadata = lustre_rpm_header::metadata(srpm).map_err(unreadable)?;
    let mut inputs = Inputs::default();
    for (name, value) in [
        ("version", metadata.get_version().map_err(unreadable)?),
        ("release", metadata.get_release().map_err(unreadable)?),
        ("arch", metadata.get_arch().map_err(unreadable)?),
    ] {
        inputs.vars.insert(name.to_owned(), value.to_owned());
    }
    Ok(inputs)
}

/// What the config has to be, and what the kernel knows of options.
struct Intent {
    merged: Merged,
    known: BTreeSet<String>,
}

impl Intent {
    /// Of the overlay, with the tree that `%prep` left; nothing for an overlay without a config.
    fn of(
        work: &Workdir,
        inputs: &Inputs,
        prepared: &Path,
        overlay: &Overlay,
    ) -> Result<Option<Self>, Error> {
        if overlay.manifest.config.is_none() {
            return Ok(None);
        }
        let wrong = |e: OverlayError| Error::Overlay(e.to_string());
        let base = prepared.join(BASE_CONFIG);
        let text = lustre_files::read_to_string(&base, lustre_files::TEXT).map_err(at(&base))?;
        let Some(merged) = overlay.merge_config(&text).map_err(wrong)? else {
            return Ok(None);
        };
        let build = work.path("build/BUILD")?;
        // A wrong config costs seconds here and a quarter of an hour after the build.
        let compared = overlay
            .compare_config(&merged, &build, inputs)
            .map_err(wrong)?;
        refuse(&compared, "after %prep", overlay)?;
        let known = overlay.known_options(&build, inputs).map_err(wrong)?;
        Ok(Some(Self { merged, known }))
    }

    /// Compares with the config in `text`, which is that of `place`.
    fn check(&self, text: &str, place: &str, overlay: &Overlay) -> Result<(), Error> {
        let used = Config::parse(text, place).map_err(|e| Error::Overlay(e.to_string()))?;
        refuse(
            &config::compare(&self.merged, &used, &self.known),
            place,
            overlay,
        )
    }
}

/// An error where an option that a fragment asks for did not come out.
fn refuse(compared: &Comparison, place: &str, overlay: &Overlay) -> Result<(), Error> {
    if compared.fragments.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = compared.fragments.iter().map(ToString::to_string).collect();
    Err(Error::Result {
        what: format!(
            "the kernel's config ({place}) is not the intended one:\n{}",
            lines.join("\n")
        ),
        hint: format!("the fragments are in {}", overlay.folder.display()),
    })
}

/// The config that a built kernel carries, `/lib/modules/RELEASE/config`, from the package that has it.
fn packaged_config(packages: &[PathBuf]) -> Result<(String, String), Error> {
    for path in packages {
        let unreadable = |e: rpm::Error| Error::Package {
            path: path.clone(),
            message: e.to_string(),
        };
        let is_config = |file: &Path| file.starts_with("/lib/modules") && file.ends_with("config");
        let metadata = lustre_rpm_header::metadata(path).map_err(unreadable)?;
        if !metadata
            .get_file_paths()
            .map_err(unreadable)?
            .iter()
            .any(|file| is_config(file))
        {
            continue;
        }
        let package = lustre_rpm_header::package(path).map_err(unreadable)?;
        for file in package.files().map_err(unreadable)? {
            let file = file.map_err(unreadable)?;
            if is_config(&file.metadata.path()) {
                let text = String::from_utf8_lossy(file.content().unwrap_or_default()).into_owned();
                return Ok((
                    text,
                    path.file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                ));
            }
        }
    }
    Err(Error::Result {
        what: "none of the kernel's packages contains its config, /lib/modules/RELEASE/config"
            .to_owned(),
        hint: "it is needed to check what was built; the spec must package it".to_owned(),
    })
}

/// Checks that the `packages` of a kernel whose symbols have checksums, by its config in `text`, provide `kernel(symbol) = 0x…`:
/// modules are built against a kernel for minutes before anybody else asks for that.
fn says_its_symbols(packages: &[PathBuf], text: &str, place: &str) -> Result<(), Error> {
    let config = Config::parse(text, place).map_err(|e| Error::Overlay(e.to_string()))?;
    if config.get("CONFIG_MODVERSIONS") != Some(&config::Value::Yes) {
        return Ok(());
    }
    for path in packages {
        let unreadable = |e: rpm::Error| Error::Package {
            path: path.clone(),
            message: e.to_string(),
        };
        let metadata = lustre_rpm_header::metadata(path).map_err(unreadable)?;
        let provides = metadata.get_provides().map_err(unreadable)?;
        if provides.iter().any(|one| one.name.starts_with("kernel(")) {
            return Ok(());
        }
    }
    Err(Error::Result {
        what: format!(
            "the kernel has CONFIG_MODVERSIONS ({place}), and none of its packages provides kernel(symbol) = checksum"
        ),
        hint: "module packages require these, and could not be installed; the generator is in kernel-rpm-macros, which the buildroot must \
               have"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_with_checksums_of_symbols_has_to_provide_them() {
        let dir = tempfile::tempdir().unwrap();
        let package = |name: &str, symbol: Option<&str>| {
            let mut builder = rpm::PackageBuilder::new(name, "1", "MIT", "x86_64", "a test");
            if let Some(symbol) = symbol {
                builder.provides(rpm::Dependency::eq(symbol, "0x1"));
            }
            let file = dir.path().join(format!("{name}.rpm"));
            builder.build().unwrap().write_file(&file).unwrap();
            file
        };
        let core = package("kernel-core", None);
        let checked = "CONFIG_MODVERSIONS=y\n";
        let error =
            says_its_symbols(std::slice::from_ref(&core), checked, "kernel-core.rpm").unwrap_err();
        assert!(error.to_string().contains("kernel(symbol)"), "{error}");
        says_its_symbols(
            std::slice::from_ref(&core),
            "# CONFIG_MODVERSIONS is not set\n",
            "x",
        )
        .unwrap();
        let modules = package("kernel-modules-core", Some("kernel(vfs_read)"));
        says_its_symbols(&[core, modules], checked, "x").unwrap();
    }

    #[test]
    fn the_config_is_read_from_the_package_that_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let package = |name: &str, path: &str| {
            let built = rpm::PackageBuilder::new(name, "1", "MIT", "x86_64", "a test")
                .with_file_contents("CONFIG_A=y\n", rpm::FileOptions::new(path))
                .unwrap()
                .build()
                .unwrap();
            let file = dir.path().join(format!("{name}.rpm"));
            built.write_file(&file).unwrap();
            file
        };
        let other = package("kernel-devel", "/usr/src/kernels/1/.config");
        let core = package("kernel-core", "/lib/modules/1-1.x86_64/config");
        let found = packaged_config(&[other.clone(), core]).unwrap();
        assert_eq!(
            found,
            ("CONFIG_A=y\n".to_owned(), "kernel-core.rpm".to_owned())
        );
        let error = packaged_config(&[other]).unwrap_err().to_string();
        assert!(error.contains("none of the kernel's packages"), "{error}");
    }
}
