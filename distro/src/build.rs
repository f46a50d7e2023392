//! The whole distribution: base and source repository, signed.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::{at, side_by_side};

use super::recipe::Recipe;
use super::srpm::SpecTools;
use super::writer::set_attributes;
use super::{assemble, srpm, stock, writer};
use lustre_packaging::lock::PackagePin;
use lustre_sign::{self, Key, Secret, Signer, sign_package};

/// The distribution's key, secret part included, in its folder.
const KEY_FILE: &str = "key.asc";

/// What a distribution is made from, beyond its recipe.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The Debian packages.
    pub pins: &'a [PackagePin],
    /// The folder they lie in, under their pins' file names.
    pub debs: &'a Path,
    /// The folder of the kernel's spec and its small sources.
    pub kernel_spec: &'a Path,
    /// The kernel's source archive; its file name is the one the spec names.
    pub kernel_source: &'a Path,
    /// `%dist` of its release, where it is not the distribution's.
    pub kernel_dist: Option<String>,
    /// How many packages are made at a time.
    pub jobs: usize,
}

/// A distribution that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Assemble(#[from] assemble::Error),
    #[error(transparent)]
    SourcePackage(#[from] srpm::Error),
    #[error(transparent)]
    Stock(#[from] stock::Error),
    #[error(transparent)]
    Write(#[from] writer::Error),
    #[error(transparent)]
    Sign(#[from] lustre_sign::Error),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
}

/// The distribution's key from its folder. It is public on purpose: it signs nothing but this distribution, which has to come
/// out the same on every machine.
pub fn key(recipe: &Recipe) -> Result<Key, Error> {
    let path = recipe.dir.join(KEY_FILE);
    let text = Secret::new(lustre_files::read(&path, lustre_files::TEXT).map_err(at(&path))?);
    Ok(Key::from_armored(&text, &path.display().to_string(), None)?)
}

/// The folder of the repository of what the distribution publishes later, where its recipe has any.
pub const UPDATES: &str = "updates";

/// Makes the distribution in `output`: `base/` and `source/`, and `updates/` where there are any, each with `Packages/`, `repodata/` and a
/// signed `repomd.xml`, and `key.asc`, the public key. Gives the key's fingerprint.
///
/// The same inputs give the same bytes, file times included.
pub fn build(
    recipe: &Recipe,
    inputs: &Inputs<'_>,
    scratch: &Path,
    output: &Path,
    log: &Path,
) -> Result<String, Error> {
    let key = key(recipe)?;
    let time = recipe.distribution.time;
    let unsigned = scratch.join("unsigned");
    let mut packages =
        assemble::packages(recipe, inputs.pins, inputs.debs, &unsigned, inputs.jobs)?;

    let rpmbuild = scratch.join("rpmbuild");
    fs::create_dir_all(&rpmbuild).map_err(at(&rpmbuild))?;
    let macros = recipe.macros();
    let tools = SpecTools {
        macros: &macros,
        scratch: &rpmbuild,
        time,
        dist: inputs.kernel_dist.clone(),
    };
    if let Some(wanted) = &recipe.stock {
        for plan in stock::plans(wanted, &tools.packages(inputs.kernel_spec)?, recipe)? {
            packages.push(plan.write(&unsigned)?);
        }
    }
    let updates = assemble::updates(recipe, &scratch.join("updates"))?;
    let kernel_source = (
        inputs
            .kernel_source
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        inputs.kernel_source.to_owned(),
    );
    let sources = scratch.join("sources");
    let srpm = tools.build_srpm(inputs.kernel_spec, &[kernel_source], &sources, log)?;

    repository(
        &packages,
        &output.join("base"),
        &key,
        time,
        inputs.jobs,
        log,
    )?;
    repository(
        &[srpm],
        &output.join("source"),
        &key,
        time,
        inputs.jobs,
        log,
    )?;
    if !updates.is_empty() {
        repository(
            &updates,
            &output.join(UPDATES),
            &key,
            time,
            inputs.jobs,
            log,
        )?;
    }
    let public = output.join("key.asc");
    fs::write(&public, key.public_key_armored()?).map_err(at(&public))?;
    set_attributes(&public, time).map_err(at(&public))?;
    Ok(key.fingerprint())
}

/// Signs `packages` into `dir/Packages` and writes signed metadata.
fn repository(
    packages: &[PathBuf],
    dir: &Path,
    key: &Key,
    time: u32,
    jobs: usize,
    log: &Path,
) -> Result<(), Error> {
    let folder = dir.join("Packages");
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    side_by_side(packages, jobs, |unsigned| {
        sign_into(unsigned, &folder, key, time)
    })?;
    assemble::metadata(dir, time, log)?;
    let repomd = dir.join("repodata/repomd.xml");
    let text = lustre_files::read(&repomd, lustre_files::TEXT).map_err(at(&repomd))?;
    let signature = dir.join("repodata/repomd.xml.asc");
    fs::write(&signature, key.sign_detached(&text, time)?).map_err(at(&signature))?;
    for entry in walkdir::WalkDir::new(dir.join("repodata")) {
        let entry = entry.map_err(at(dir))?;
        if entry.file_type().is_file() {
            set_attributes(entry.path(), time).map_err(at(entry.path()))?;
        }
    }
    Ok(())
}

fn sign_into(unsigned: &Path, folder: &Path, key: &Key, time: u32) -> Result<(), Error> {
    let signed = folder.join(unsigned.file_name().unwrap_or_default());
    sign_package(unsigned, &signed, key, time)?;
    fs::remove_file(unsigned).map_err(at(unsigned))?;
    // The metadata holds the files' times: one for all, since it is not the packages' own that matters.
    Ok(set_attributes(&signed, time).map_err(at(&signed))?)
}
