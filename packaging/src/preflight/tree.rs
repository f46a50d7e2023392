//! Lustre's tree: which of its files are needed, is it whole, does the target's overlay fit it?

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::report::{Check, Problem, Verdict, counted};
use super::series::copy_tree;
use super::{Error, LUSTRE_SPEC, LustreSource, at, read_text};
use crate::overlay::Overlay;
use crate::overlay::edit::{self, EditErrors};

/// Which files of Lustre's tree the checks read: those of ldiskfs, series and patches, the inputs of configure, and what overlays
/// change.
#[derive(Debug, Clone, Default)]
pub struct TreeFiles {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl TreeFiles {
    /// What the checks read of a tree that the overlay `lustre` changes and from which the kernel's overlay, where it has one, takes
    /// series.
    pub fn of(kernel: Option<&Overlay>, lustre: Option<&Overlay>) -> Self {
        let mut read = Self::default();
        read.folders.insert("ldiskfs".into());
        let series = kernel.map(|kernel| kernel.manifest.series.as_slice());
        // Those of an overlay's own folder are none of the tree's.
        let all = series.unwrap_or_default().iter();
        for source in all.filter(|source| source.root.as_deref() == Some(Overlay::LUSTRE)) {
            for path in [&source.series, &source.patches] {
                // Up to a placeholder, the folder is the same for all.
                let fixed = path.split('{').next().unwrap_or(path);
                let folder = Path::new(fixed).parent().unwrap_or(Path::new(""));
                read.folders.insert(folder.to_owned());
            }
        }
        if let Some(overlay) = lustre {
            let manifest = &overlay.manifest;
            let edited = manifest.edit.iter().filter_map(|edit| edit.file.as_ref());
            let fixed = manifest.fixup.iter().map(|fixup| &fixup.patch);
            read.files.extend(edited.chain(fixed).map(PathBuf::from));
            read.files.extend(manifest.spec.as_ref().map(PathBuf::from));
        }
        read
    }

    /// Whether the file at `path`, relative to the tree, is read.
    pub fn takes(&self, path: &Path) -> bool {
        let configures = path.extension().is_some_and(|extension| extension == "m4")
            || path == Path::new("configure.ac")
            || path == Path::new(LUSTRE_SPEC);
        configures
            || self.files.contains(path)
            || path
                .ancestors()
                .skip(1)
                .any(|above| self.folders.contains(above))
    }

    /// Copies what is read of the tree at `from` to `to`.
    pub fn copy(&self, from: &Path, to: &Path) -> Result<(), Error> {
        copy_tree(from, to, &|path| self.takes(path))
    }
}

/// Whether the source has all its files.
pub(super) fn complete(source: &LustreSource) -> Check {
    whole(
        "lustre tree",
        &source.label,
        &source.missing,
        source.incomplete_allowed,
        "lustre",
    )
}

/// The check `name` of whether the tree `label`, the source `source`, lacks no file.
pub(super) fn whole(
    name: &str,
    label: &str,
    missing: &[String],
    allowed: bool,
    source: &str,
) -> Check {
    if missing.is_empty() {
        return Check::of(name, format!("{label} is complete"), Vec::new());
    }
    let problems = missing
        .iter()
        .map(|path| Problem::of_file(path, format!("{path}: the clone does not have it")))
        .collect();
    let message = format!("{label} lacks {} of its files", missing.len());
    let mut check = Check::of(name, message, problems);
    if allowed {
        check.result = Verdict::Waived;
        return check;
    }
    check.hint(format!(
        "use a complete clone; or, if these files are not needed, pass --allow-incomplete {source} to continue with empty ones"
    ))
}

/// Gives the tree with the overlay's edits and fixups, in `into` where there is an overlay, and whether all of them fit. Those that do
/// not are left out.
pub(super) fn overlaid(
    source: &LustreSource,
    overlay: Option<&Overlay>,
    into: &Path,
) -> Result<(PathBuf, Check), Error> {
    let name = "lustre overlay";
    let Some(overlay) = overlay else {
        let check = Check::not_needed(name, "the target changes nothing in Lustre's tree");
        return Ok((source.tree.clone(), check));
    };
    copy_tree(&source.tree, into, &|_| true)?;
    let manifest = &overlay.manifest;
    let mut problems = Vec::new();
    for (file, edits) in manifest.edits_by_file() {
        let path = into.join(file);
        if !path.is_file() {
            let names: Vec<String> = edits
                .iter()
                .map(|edit| format!("`{}`", edit.name))
                .collect();
            let message = format!(
                "{file}: the tree has no such file; it is edited by {}",
                names.join(", ")
            );
            problems.push(Problem::of_file(file, message));
            continue;
        }
        match edit::apply(&read_text(&path)?, file, edits) {
            Ok(text) => fs::write(&path, text).map_err(at(&path))?,
            Err(EditErrors(errors)) => {
                problems.extend(errors.iter().map(|error| Problem::of_file(file, error)));
            }
        }
    }
    for fixup in &manifest.fixup {
        let path = into.join(&fixup.patch);
        let wrong = |message: String| Problem {
            patch: Some(fixup.patch.clone()),
            ..Problem::of_file(&fixup.patch, message)
        };
        if !path.is_file() {
            problems.push(wrong(format!(
                "fixup `{}`: the tree has no {}",
                fixup.name, fixup.patch
            )));
            continue;
        }
        match fixup.apply(&lustre_files::read(&path, lustre_files::SOURCE).map_err(at(&path))?) {
            Ok(fixed) => fs::write(&path, fixed).map_err(at(&path))?,
            Err(error) => problems.push(wrong(error.to_string())),
        }
    }
    let message = format!(
        "{}: {} and {} of {}",
        shown(overlay),
        counted(manifest.edit.len(), "edit"),
        counted(manifest.fixup.len(), "fixup"),
        source.label
    );
    let check = Check::of(name, message, problems)
        .hint("the overlay was written for another Lustre: set one that fits this tree in the target (`lustre.overlay`)");
    Ok((into.to_owned(), check))
}

/// The overlay's folder, by its last two parts, as targets name it.
pub(super) fn shown(overlay: &Overlay) -> String {
    let parts: Vec<_> = overlay.folder.iter().rev().take(2).collect();
    let parts: Vec<_> = parts
        .iter()
        .rev()
        .map(|part| part.to_string_lossy())
        .collect();
    parts.join("/")
}
