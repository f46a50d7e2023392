//! Lustre's tree: is it whole, does the target's overlay fit it?

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::report::{Check, Problem, Verdict};
use super::series::copy_tree;
use super::{Error, LustreSource, at, read_text};
use crate::overlay::Overlay;
use crate::overlay::edit::{self, Edit, EditErrors};

/// Whether the source has all its files.
pub(super) fn complete(source: &LustreSource) -> Check {
    let name = "lustre tree";
    if source.missing.is_empty() {
        return Check::of(name, format!("{} is complete", source.label), Vec::new());
    }
    let problems = source
        .missing
        .iter()
        .map(|path| Problem::of_file(path, format!("{path}: the clone does not have it")))
        .collect();
    let message = format!(
        "{} lacks {} of its files",
        source.label,
        source.missing.len()
    );
    let mut check = Check::of(name, message, problems);
    if source.incomplete_allowed {
        check.result = Verdict::Waived;
        return check;
    }
    check.hint(
        "take a complete clone; or, where these files are not needed, go on with empty ones in their place: --allow-incomplete lustre",
    )
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
    copy_tree(&source.tree, into)?;
    let manifest = &overlay.manifest;
    let mut problems = Vec::new();
    let mut files: BTreeMap<&str, Vec<&Edit>> = BTreeMap::new();
    for edit in &manifest.edit {
        let file = edit.file.as_deref().or(manifest.spec.as_deref());
        files
            .entry(file.unwrap_or_default())
            .or_default()
            .push(edit);
    }
    for (file, edits) in files {
        let path = into.join(file);
        if !path.is_file() {
            let names: Vec<String> = edits
                .iter()
                .map(|edit| format!("`{}`", edit.name))
                .collect();
            let message = format!(
                "{file}: there is no such file in the tree; it is edited by {}",
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
                "fixup `{}`: there is no {} in the tree",
                fixup.name, fixup.patch
            )));
            continue;
        }
        match fixup.apply(&fs::read(&path).map_err(at(&path))?) {
            Ok(fixed) => fs::write(&path, fixed).map_err(at(&path))?,
            Err(error) => problems.push(wrong(error.to_string())),
        }
    }
    let message = format!(
        "{}: {} edits, {} fixups on {}",
        shown(overlay),
        manifest.edit.len(),
        manifest.fixup.len(),
        source.label
    );
    let check = Check::of(name, message, problems)
        .hint("the overlay was written for another Lustre: name one that fits this tree in the target (`lustre.overlay`)");
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
