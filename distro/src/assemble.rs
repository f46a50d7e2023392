//! The distribution's repositories, from pinned .debs and the recipe.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use lustre_files::{at, side_by_side};

use super::recipe::Recipe;
use super::{convert, own, writer};
use lustre_packaging::lock::PackagePin;
use lustre_process as process;

/// Raised whenever the conversion changes what it makes from the same inputs.
const FORMAT: &str = "1";

/// A distribution that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Convert(#[from] convert::Error),
    #[error(transparent)]
    Own(#[from] own::Error),
    #[error(transparent)]
    Write(#[from] writer::Error),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    #[error("the recipe's `{table}` contains `{name}`, which is not one of the packages")]
    Unknown { table: &'static str, name: String },
    #[error("cannot write repository metadata: {0}")]
    Metadata(#[from] process::Error),
}

/// One RPM to be made.
#[derive(Debug, Clone)]
enum Job {
    Debs(String, Vec<PathBuf>),
    Own(PathBuf),
}

/// What a repository made from these pins with this recipe depends on, as a SHA256 in hexadecimal: pins, recipe, own
/// packages, and the conversion itself.
pub fn inputs_digest(recipe: &Recipe, pins: &[PackagePin]) -> Result<String, Error> {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(FORMAT.as_bytes());
    add(env!("CARGO_PKG_VERSION").as_bytes());
    for pin in pins {
        add(pin.name.as_bytes());
        add(pin.file.sha256.as_bytes());
    }
    for dir in recipe.folders() {
        for found in walkdir::WalkDir::new(dir).sort_by_file_name() {
            let found = found.map_err(at(dir))?;
            let path = found.path();
            let name = found.path().strip_prefix(dir).unwrap_or(found.path());
            add(name.as_os_str().as_encoded_bytes());
            if found.file_type().is_file() {
                use std::os::unix::fs::PermissionsExt;
                let mode = found.metadata().map_err(at(path))?.permissions().mode();
                add(&[u8::from(mode & 0o111 != 0)]);
                add(&lustre_files::read(found.path(), lustre_files::SOURCE).map_err(at(path))?);
            } else if found.file_type().is_symlink() {
                let target = fs::read_link(found.path()).map_err(at(path))?;
                add(target.as_os_str().as_encoded_bytes());
            }
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Makes the packages of the base repository in `dir` (created; must be empty), `jobs` at a time. The .debs lie in `debs`
/// under their pins' file names. Gives the packages' paths, sorted.
pub fn packages(
    recipe: &Recipe,
    pins: &[PackagePin],
    debs: &Path,
    dir: &Path,
    jobs: usize,
) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    let todo = plan_jobs(recipe, pins, debs)?;
    let mut paths = side_by_side(&todo, jobs, |job| {
        Ok::<_, Error>(make(job, recipe)?.write(dir)?)
    })?;
    paths.sort();
    Ok(paths)
}

/// Makes the packages that the distribution publishes later in `dir` (created; must be empty). Gives the packages' paths.
pub fn updates(recipe: &Recipe, dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(dir).map_err(at(dir))?;
    let mut paths = Vec::new();
    for folder in own::updates(recipe)? {
        paths.push(own::plan(&folder, recipe)?.write(dir)?);
    }
    Ok(paths)
}

fn make(job: &Job, recipe: &Recipe) -> Result<writer::Plan, Error> {
    Ok(match job {
        Job::Debs(name, debs) => convert::plan(name, debs, recipe)?,
        Job::Own(folder) => own::plan(folder, recipe)?,
    })
}

/// Every RPM to be made, the largest inputs first so that no core waits for a late one.
fn plan_jobs(recipe: &Recipe, pins: &[PackagePin], debs: &Path) -> Result<Vec<Job>, Error> {
    let names = recipe.names();
    let by_name: BTreeMap<&str, &PackagePin> =
        pins.iter().map(|pin| (pin.name.as_str(), pin)).collect();
    let mut groups: BTreeMap<String, Vec<&PackagePin>> = BTreeMap::new();
    for (name, parts) in &recipe.merge {
        for part in parts {
            let pin = by_name.get(part.as_str()).ok_or_else(|| Error::Unknown {
                table: "merge",
                name: part.clone(),
            })?;
            groups.entry(name.clone()).or_default().push(pin);
        }
    }
    let merged: Vec<&String> = recipe.merge.values().flatten().collect();
    for pin in pins.iter().filter(|pin| !merged.contains(&&pin.name)) {
        groups
            .entry(names.of(&pin.name).to_owned())
            .or_default()
            .push(pin);
    }
    for (name, split) in &recipe.split {
        let whole = groups
            .get(&split.from)
            .cloned()
            .ok_or_else(|| Error::Unknown {
                table: "split",
                name: split.from.clone(),
            })?;
        groups.insert(name.clone(), whole);
    }
    for name in recipe.package.keys() {
        if !groups.contains_key(name) {
            return Err(Error::Unknown {
                table: "package",
                name: name.clone(),
            });
        }
    }
    let mut todo: Vec<(u64, Job)> = groups
        .into_iter()
        .map(|(name, pins)| {
            let size = pins.iter().map(|pin| pin.file.size).sum();
            let files = pins.iter().map(|pin| debs.join(&pin.file.file)).collect();
            (size, Job::Debs(name, files))
        })
        .collect();
    for folder in own::folders(recipe)? {
        todo.push((0, Job::Own(folder)));
    }
    todo.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    Ok(todo.into_iter().map(|(_, job)| job).collect())
}

/// Writes `repodata/` of the repository in `dir` with createrepo_c, deterministically.
pub fn metadata(dir: &Path, time: u32, log: &Path) -> Result<(), Error> {
    let time = time.to_string();
    process::run_logged(
        process::command("createrepo_c")
            .args([
                "--quiet",
                "--workers=2",
                "--general-compress-type=gz",
                "--no-database",
            ])
            .args(["--set-timestamp-to-revision", "--revision", &time])
            .arg(dir),
        log,
    )?;
    Ok(())
}

/// Bytes in hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
