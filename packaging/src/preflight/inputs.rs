//! What is checked, and its texts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lustre_files::at;

use super::error::Error;
use crate::target::Target;

/// Lustre's spec in its tree, before configure has filled it in.
pub(super) const LUSTRE_SPEC: &str = "lustre.spec.in";

/// The kernel's source, as far as it is needed.
#[derive(Debug, Clone)]
pub struct KernelSource {
    /// The folder with the spec and its small sources, as the source package holds them.
    pub folder: PathBuf,
    /// What [`KernelFiles`](super::KernelFiles) takes of the archive, unpacked.
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
    /// The tree as it came, before any overlay; of its files, those that [`tree::TreeFiles`] takes are enough.
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
    pub target: &'a Target,
    /// The project's `specs/`.
    pub specs: &'a Path,
    pub kernel: &'a KernelSource,
    pub lustre: &'a LustreSource,
    /// The archive of e2fsprogs; none where there is no lock that pins it.
    pub e2fsprogs: Option<&'a Path>,
    /// The names that the distribution's packages have or provide; none where there is no lock that pins them.
    pub offered: Option<&'a BTreeSet<String>>,
    /// A folder for what is needed meanwhile; empty, and removed by the caller.
    pub scratch: &'a Path,
}

pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let bytes = lustre_files::read(path, lustre_files::SOURCE).map_err(at(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The inputs of Lustre's configure.
pub(super) fn configure_texts(lustre: &Path) -> Result<Vec<(String, String)>, Error> {
    texts(lustre, &|name| {
        name.ends_with(".m4") || name == "configure.ac"
    })
}

/// The files below `root` whose names `wanted` takes, by their paths there, sorted.
pub(super) fn texts(
    root: &Path,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, String)>, Error> {
    let mut all = Vec::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let entry = entry.map_err(at(root))?;
        if entry.file_type().is_file() && wanted(&entry.file_name().to_string_lossy()) {
            let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
            all.push((path.display().to_string(), read_text(entry.path())?));
        }
    }
    Ok(all)
}
