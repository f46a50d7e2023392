//! The kernel: the distribution's SRPM through an overlay, and a check of the config that the build really used.

use std::fs;
use std::path::{Path, PathBuf};

use super::workdir::Workdir;
use super::{Error, at, rpmbuild};
use crate::archive;
use crate::overlay::{Inputs, Overlay};

/// What [`sources`] leaves beside the changed sources.
const BASE_CONFIG: &str = "base.config";

/// Unpacks the distribution's `srpm` and changes it by the overlay in `folder`: `output/sources` holds spec and sources.
///
/// `trees` are the source trees that the overlay takes series from, by name.
///
/// # Errors
/// When the SRPM cannot be unpacked, or an edit, a series or a fragment does not fit.
pub fn sources(
    srpm: &Path,
    folder: &Path,
    trees: &[(&str, &Path)],
    scratch: &Path,
    output: &Path,
) -> Result<(), Error> {
    let unpacked = scratch.join("srpm");
    archive::unpack_srpm(srpm, &unpacked).map_err(|e| Error::Package {
        path: srpm.to_owned(),
        message: e.to_string(),
    })?;
    let overlay = load(folder)?;
    let mut inputs = inputs(srpm)?;
    for (name, tree) in trees {
        inputs.roots.insert((*name).to_owned(), (*tree).to_owned());
    }
    overlay
        .prepare(&unpacked, &output.join("sources"), &inputs)
        .map_err(|e| Error::Overlay(e.to_string()))?;
    if let Some(config) = &overlay.manifest.config {
        let base = unpacked.join(&config.base);
        fs::copy(&base, output.join(BASE_CONFIG)).map_err(at(&base))?;
    }
    Ok(())
}

/// Makes the SRPM from what [`sources`] left in `prepared`.
///
/// # Errors
/// When rpmbuild fails.
pub fn source_package(
    work: &Workdir,
    prepared: &Path,
    folder: &Path,
    log: &Path,
) -> Result<PathBuf, Error> {
    let overlay = load(folder)?;
    let spec =
        overlay.manifest.spec.clone().ok_or_else(|| {
            Error::Overlay(format!("the overlay {} names no spec", folder.display()))
        })?;
    let sources = prepared.join("sources");
    for entry in fs::read_dir(&sources).map_err(at(&sources))? {
        let entry = entry.map_err(at(&sources))?;
        let name = entry.file_name();
        let place = if name == *spec {
            "build/SPECS"
        } else {
            "build/SOURCES"
        };
        fs::copy(entry.path(), work.path(place).join(&name)).map_err(at(entry.path()))?;
    }
    rpmbuild::source_package(work, &spec, &options(&overlay), log)
}

/// Builds the SRPM and checks, after `%prep` and again after the build, that the config is the one intended.
///
/// # Errors
/// When the build fails, or an option that a fragment asks for did not come out.
pub fn build(
    work: &Workdir,
    srpm: &Path,
    prepared: &Path,
    folder: &Path,
    log: &Path,
) -> Result<Vec<PathBuf>, Error> {
    let overlay = load(folder)?;
    let options = options(&overlay);
    // A wrong config costs seconds here and a quarter of an hour after the build.
    rpmbuild::prepare(work, srpm, &options, log)?;
    check_config(work, srpm, prepared, &overlay)?;
    let made = rpmbuild::build_prepared(work, srpm, &options, log)?;
    check_config(work, srpm, prepared, &overlay)?;
    Ok(made)
}

/// rpmbuild's options: the release's macros and the build's conditionals.
fn options(overlay: &Overlay) -> Vec<String> {
    let mut options = Vec::new();
    if let Some(release) = &overlay.manifest.release {
        for (name, value) in release.defines() {
            options.push("--define".to_owned());
            options.push(format!("{name} {value}"));
        }
    }
    options.extend(overlay.manifest.build.flags());
    options
}

fn load(folder: &Path) -> Result<Overlay, Error> {
    Overlay::load(&folder.join("overlay.toml")).map_err(|e| Error::Overlay(e.to_string()))
}

/// The values of an overlay's placeholders, from the SRPM's header.
fn inputs(srpm: &Path) -> Result<Inputs, Error> {
    let unreadable = |e: rpm::Error| Error::Package {
        path: srpm.to_owned(),
        message: e.to_string(),
    };
    let metadata = rpm::PackageMetadata::open(srpm).map_err(unreadable)?;
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

fn check_config(
    work: &Workdir,
    srpm: &Path,
    prepared: &Path,
    overlay: &Overlay,
) -> Result<(), Error> {
    let base = prepared.join(BASE_CONFIG);
    if overlay.manifest.config.is_none() {
        return Ok(());
    }
    let wrong = |e: crate::overlay::OverlayError| Error::Overlay(e.to_string());
    let text = fs::read_to_string(&base).map_err(at(&base))?;
    let Some(merged) = overlay.merge_config(&text).map_err(wrong)? else {
        return Ok(());
    };
    let compared = overlay
        .compare_config(&merged, &work.path("build/BUILD"), &inputs(srpm)?)
        .map_err(wrong)?;
    if compared.fragments.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = compared.fragments.iter().map(ToString::to_string).collect();
    Err(Error::Result {
        what: format!(
            "the kernel's config is not the one intended:\n{}",
            lines.join("\n")
        ),
        hint: format!("the fragments are in {}", overlay.folder.display()),
    })
}
