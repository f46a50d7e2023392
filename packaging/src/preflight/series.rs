//! Whether the patches of a series are there, can be read and apply, one upon the other; everything that does not is told.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::report::Problem;
use crate::overlay::fixup::Fixup;
use crate::overlay::patch::{ApplyOptions, Patch, apply};
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
pub(super) struct Tried {
    /// How many patches apply.
    pub(super) good: usize,
    /// The patches that apply, in order.
    pub(super) fitting: Vec<NamedPatch>,
    /// Why the others do not.
    pub(super) problems: Vec<Problem>,
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
pub(super) fn try_on(tree: &Path, patches: &[NamedPatch], fuzz: u8) -> Result<Tried, Error> {
    let report = apply::check(tree, patches, ApplyOptions { fuzz })?;
    let mut tried = Tried {
        good: 0,
        fitting: Vec::new(),
        problems: Vec::new(),
    };
    for (patch, result) in patches.iter().zip(&report.results) {
        if result.failures.is_empty() {
            tried.good += 1;
            tried.fitting.push(patch.clone());
        }
        for failure in &result.failures {
            tried
                .problems
                .push(Problem::of_patch(&result.name, failure));
        }
    }
    Ok(tried)
}

/// Changes `tree` by patches of which [`try_on`] said that they apply.
pub(super) fn keep(tree: &Path, fitting: &[NamedPatch], fuzz: u8) -> Result<(), Error> {
    apply::apply(tree, fitting, ApplyOptions { fuzz })?;
    Ok(())
}

/// Copies the files and folders of `from` that are there to `to`, without following links.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.map_err(|error| Error::Io {
            path: error.path().unwrap_or(from).to_owned(),
            source: error.into(),
        })?;
        let path = entry.path();
        let target = to.join(path.strip_prefix(from).unwrap_or(path));
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        let kind = entry.file_type();
        if kind.is_dir() {
            fs::create_dir_all(&target).map_err(io)?;
        } else if kind.is_file() {
            fs::copy(path, &target).map_err(io)?;
        } else {
            let goal = fs::read_link(path).map_err(io)?;
            std::os::unix::fs::symlink(goal, &target).map_err(io)?;
        }
    }
    Ok(())
}
