//! Whether everything that is laid over the sources fits, before anything is built.
//!
//! - [`report`]: what was checked and how it came out.
//! - [`srpm`]: the kernel's source out of a distribution's source package.
//! - [`wanted`]: which few files of the kernel's archive the checks need.
//! - [`tree`]: Lustre's tree: is it whole, does the target's overlay fit it?
//! - [`known`]: what is known of this Lustre with this kernel.
//! - [`faults`]: what is known to be wrong with this Lustre.
//! - [`kernel`]: the kernel's spec, config, fixups and series.
//! - [`ldiskfs`]: the series that makes ldiskfs of the kernel's ext4, tried as Lustre's own build applies it.
//! - [`e2fsprogs`]: its series, and the version that Lustre's tree asks for.
//! - [`packages`]: the packages that chroots are made of, by name.
//!
//! `series` and `requirements` are what these share. Every check is run and tells everything it finds: a check that fails stops no
//! other. What a tree says of kernels and versions is read from the tree, so that a tree nobody has seen yet is judged by its own
//! words. Nothing is built, and no program of a tree is run; patches are tried with GNU `patch`.

pub mod e2fsprogs;
pub mod faults;
pub mod kernel;
pub mod known;
pub mod ldiskfs;
pub mod packages;
pub mod report;
pub mod srpm;
pub mod tree;
pub mod wanted;

pub(crate) mod requirements;
pub(crate) mod series;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::advisories;
use crate::archive;
use crate::knowledge;
use crate::overlay::patch::ApplyError;
use crate::overlay::{Overlay, OverlayError};
use crate::target::Target;

/// Lustre's spec in its tree, before configure has filled it in.
const LUSTRE_SPEC: &str = "lustre.spec.in";

pub use report::{Check, Problem, Report, Verdict};
pub use wanted::Wanted;

/// A check that cannot be made at all; what does not fit is no error but part of the report.
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
    /// An archive.
    #[error(transparent)]
    Archive(#[from] archive::Error),
    /// An overlay that cannot be read.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// What is known to be wrong cannot be read.
    #[error(transparent)]
    Faults(#[from] advisories::ledger::Error),
    /// What is known cannot be read.
    #[error(transparent)]
    Knowledge(#[from] knowledge::Error),
    /// Patches cannot be tried.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// A package cannot be read.
    #[error("{}: not a package that can be read: {message}", path.display())]
    Package {
        /// It.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// A source package that does not hold the one archive of the kernel's source.
    #[error(
        "the source package of the kernel has {} archives of its source (`linux-*.tar.*`) where it should have one{}; is `kernel.source` of \
         the target the kernel's source package?",
        found.len(), listed(found)
    )]
    NoArchive {
        /// Those it has.
        found: Vec<String>,
    },
}

fn listed(found: &[String]) -> String {
    if found.is_empty() {
        return String::new();
    }
    format!(": {}", found.join(", "))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Error + '_ {
    |source| Error::Io {
        path: path.to_owned(),
        source,
    }
}

/// The kernel's source, as far as it is needed.
#[derive(Debug, Clone)]
pub struct KernelSource {
    /// The folder with the spec and its small sources, as the source package holds them.
    pub folder: PathBuf,
    /// What [`Wanted`] takes of the archive, unpacked.
    pub parts: PathBuf,
    /// The source package's version.
    pub version: String,
    /// The source package's release.
    pub release: String,
    /// rpm's architecture.
    pub arch: String,
    /// The tree that it is taken from, where it is no source package.
    pub tree: Option<TreeState>,
}

/// What is not there of a kernel's tree.
#[derive(Debug, Clone)]
pub struct TreeState {
    /// What it is, for messages.
    pub label: String,
    /// Files of the tree that its clone lacks, and files of the source package that its spec declares and the tree does not have.
    pub missing: Vec<String>,
    /// Those of them that belong to the source package, by their names there.
    pub missing_sources: BTreeSet<String>,
    /// Whether the user takes it so.
    pub incomplete_allowed: bool,
}

/// Lustre's tree.
#[derive(Debug, Clone)]
pub struct LustreSource {
    /// The tree as it came, before any overlay; of its files, those that [`tree::Read`] takes are enough.
    pub tree: PathBuf,
    /// What it is, for messages: a tag, a commit, a path.
    pub label: String,
    /// The release of Lustre that it is, where that is known.
    pub version: Option<String>,
    /// Files that its clone lacks.
    pub missing: Vec<String>,
    /// Whether the user takes it so.
    pub incomplete_allowed: bool,
}

/// Everything that is looked at.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// The target.
    pub target: &'a Target,
    /// The project's `specs/`.
    pub specs: &'a Path,
    /// The kernel.
    pub kernel: &'a KernelSource,
    /// Lustre.
    pub lustre: &'a LustreSource,
    /// The archive of e2fsprogs; none where there is no lock that pins it.
    pub e2fsprogs: Option<&'a Path>,
    /// The names that the distribution's packages have or provide; none where there is no lock that pins them.
    pub offered: Option<&'a BTreeSet<String>>,
    /// A folder for what is needed meanwhile; empty, and removed by the caller.
    pub scratch: &'a Path,
}

/// Runs every check.
///
/// # Errors
/// When something cannot be looked at; see [`Error`].
pub fn run(inputs: &Inputs<'_>) -> Result<Report, Error> {
    let target = inputs.target;
    let mut checks = vec![tree::complete(inputs.lustre)];
    let overlay = match &target.lustre.overlay {
        Some(folder) => Some(load(inputs, folder, &target.lustre.options)?),
        None => None,
    };
    let (lustre, overlaid) = tree::overlaid(
        inputs.lustre,
        overlay.as_ref(),
        &inputs.scratch.join("lustre"),
    )?;
    checks.push(overlaid);
    checks.extend(faults::check(inputs, overlay.as_ref())?);
    let known_at = checks.len();
    checks.extend(inputs.kernel.tree.as_ref().map(kernel::complete));
    let kernel_overlay = target.kernel_overlay(inputs.specs)?;
    let kernel = kernel::Kernel {
        source: inputs.kernel,
        overlay: kernel_overlay.as_ref(),
        lustre: &lustre,
    };
    checks.extend(kernel.texts()?);
    let (patched, series) = kernel.series(&inputs.scratch.join("kernel"))?;
    checks.extend(series);
    let ldiskfs = ldiskfs::check(
        &ldiskfs::Inputs {
            wanted: &target.lustre,
            tree: &lustre,
            label: &inputs.lustre.label,
            kernel: &patched,
            kernel_version: &inputs.kernel.version,
        },
        &inputs.scratch.join("ldiskfs"),
    )?;
    let known = known::check(inputs, kernel_overlay.as_ref(), ldiskfs.result)?;
    checks.splice(known_at..known_at, known);
    checks.push(ldiskfs);
    let lock = format!(
        "there is no lock that pins them; `cargo xtask lock --target {}` makes one, with network",
        target.argument()
    );
    checks.extend(match inputs.e2fsprogs {
        Some(archive) => e2fsprogs::checks(
            &e2fsprogs::Inputs {
                wanted: &target.e2fsprogs,
                folder: &target.folder(inputs.specs, &target.e2fsprogs.spec),
                dist: &target.distribution.dist,
                archive,
                lustre: &lustre,
                label: &inputs.lustre.label,
            },
            &inputs.scratch.join("e2fsprogs"),
        )?,
        None => vec![Check::not_run("e2fsprogs", format!("its sources: {lock}"))],
    });
    checks.push(match inputs.offered {
        Some(offered) => packages::check(target, offered),
        None => Check::not_run("packages", format!("the distribution's packages: {lock}")),
    });
    Ok(Report::new(&target.name, checks))
}

fn load(inputs: &Inputs<'_>, folder: &str, options: &[String]) -> Result<Overlay, Error> {
    let folder = inputs.target.folder(inputs.specs, folder);
    Ok(Overlay::load_in(inputs.specs, &folder, options)?)
}

fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = lustre_files::read(path, lustre_files::SOURCE).map_err(at(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The inputs of Lustre's configure.
fn configure_texts(lustre: &Path) -> Result<Vec<(String, String)>, Error> {
    texts(lustre, &|name| {
        name.ends_with(".m4") || name == "configure.ac"
    })
}

/// The files below `root` whose names `wanted` takes, by their paths there, sorted.
fn texts(root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<(String, String)>, Error> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(|error| Error::Io {
            path: root.to_owned(),
            source: error.into(),
        })?;
        if entry.file_type().is_file() && wanted(&entry.file_name().to_string_lossy()) {
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            all.push((path.display().to_string(), read_text(entry.path())?));
        }
    }
    Ok(all)
}
