//! Whether the patches of a series are there, can be read and apply, one upon the other; everything that does not is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::report::Problem;
use super::{Error, at};
use crate::overlay::fixup::Fixup;
use crate::overlay::patch::{ApplyOptions, Patch, PatchResult, apply};
use crate::overlay::series::{NamedPatch, Series};

/// The patches of a series that can be read, and what is wrong with the others.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// How many patches the series lists.
    pub(super) listed: usize,
    /// Their files, relative to the series' tree.
    pub(super) files: Vec<String>,
    /// Those that can be read, in order.
    pub(super) patches: Vec<NamedPatch>,
    /// What is wrong with the series and the others.
    pub(super) problems: Vec<Problem>,
}

/// What became of a series on a tree.
#[derive(Debug)]
pub(crate) struct SeriesTrial {
    /// How many patches apply.
    pub(crate) good: usize,
    /// Why the others do not.
    pub(crate) problems: Vec<Problem>,
}

/// Reads the series at `series` below `root`, with its patches in the folder `patches` there. The `fixups` that are for one of them
/// are applied to it.
pub(super) fn load(root: &Path, series: &str, patches: &str, fixups: &[Fixup]) -> Loaded {
    let mut loaded = Loaded::default();
    let listed = match Series::read(&root.join(series)) {
        Ok(listed) => listed,
        Err(error) => {
            loaded.problems.push(Problem::of_file(series, error));
            return loaded;
        }
    };
    loaded.listed = listed.entries.len();
    for entry in listed.entries {
        let name = entry.name.clone();
        let path = format!("{patches}/{name}");
        loaded.files.push(path.clone());
        let wrong = |error: &dyn std::fmt::Display| Problem {
            patch: Some(name.clone()),
            ..Problem::of_file(&path, error)
        };
        let one = Series {
            entries: vec![entry],
        };
        let mut patch = match one.load(&root.join(patches)) {
            Ok(mut read) => match read.pop() {
                Some(patch) => patch,
                None => continue,
            },
            Err(error) => {
                loaded.problems.push(wrong(&error));
                continue;
            }
        };
        let mut usable = true;
        for fixup in fixups.iter().filter(|fixup| fixup.patch == path) {
            match fixup.apply(&patch.content) {
                Ok(fixed) => patch.content = fixed,
                Err(error) => {
                    usable = false;
                    loaded.problems.push(wrong(&error));
                }
            }
        }
        if let Err(error) = Patch::parse(&patch.content, &patch.name) {
            usable = false;
            loaded.problems.push(wrong(&error));
        }
        if usable {
            loaded.patches.push(patch);
        }
    }
    loaded
}

/// The files that the patches at hand read or write, relative to their tree.
pub(super) fn touched(patches: &[NamedPatch]) -> BTreeSet<PathBuf> {
    patches
        .iter()
        .filter_map(|patch| Patch::parse(&patch.content, &patch.name).ok())
        .flat_map(|patch| patch.touched())
        .collect()
}

/// Tries `patches` on `tree`, without changing it.
pub(super) fn try_on(tree: &Path, patches: &[NamedPatch], fuzz: u8) -> Result<SeriesTrial, Error> {
    Ok(apply::survey(tree, patches, ApplyOptions { fuzz })?.into())
}

/// Tries `patches` on `tree`, a copy, and leaves there what applies.
pub(crate) fn lay_on(tree: &Path, patches: &[NamedPatch], fuzz: u8) -> Result<SeriesTrial, Error> {
    Ok(apply::survey_on(tree, patches, ApplyOptions { fuzz })?.into())
}

impl From<Vec<PatchResult>> for SeriesTrial {
    fn from(results: Vec<PatchResult>) -> Self {
        let failed = |result: &&PatchResult| !result.failures.is_empty();
        Self {
            good: results.len() - results.iter().filter(failed).count(),
            problems: results
                .iter()
                .flat_map(|result| {
                    let name = &result.name;
                    let failures = result.failures.iter();
                    failures.map(move |failure| Problem::of_patch(name, failure))
                })
                .collect(),
        }
    }
}

/// Copies those files of `from` to `to` whose paths there `wanted` takes, with the folders above them. Links are copied as links.
pub(crate) fn copy_tree(
    from: &Path,
    to: &Path,
    wanted: &dyn Fn(&Path) -> bool,
) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(at(to))?;
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(|error| {
            let path = error.path().unwrap_or(from).to_owned();
            at(path)(error)
        })?;
        let path = entry.path();
        let inside = path.strip_prefix(from).unwrap_or(path);
        if entry.file_type().is_dir() || !wanted(inside) {
            continue;
        }
        let target = to.join(inside);
        if let Some(above) = target.parent() {
            fs::create_dir_all(above).map_err(at(above))?;
        }
        if entry.path_is_symlink() {
            let goal = fs::read_link(path).map_err(at(path))?;
            std::os::unix::fs::symlink(goal, &target).map_err(at(&target))?;
        } else {
            lustre_files::copy(path, &target).map_err(at(path))?;
        }
    }
    Ok(())
}
