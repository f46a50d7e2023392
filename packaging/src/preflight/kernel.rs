//! The kernel: the overlay's edits of its spec and sources, its config, and the series, on the distribution's source with the
//! distribution's own patches.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::report::{Check, Problem, counted};
use super::series::{self, Loaded};
use super::tree::shown;
use super::{Error, KernelSource, TreeState, read_text, tree};
use crate::glob::matches;
use crate::overlay::config::{self, KnownError};
use crate::overlay::edit::{self, EditErrors};
use crate::overlay::manifest::SeriesSource;
use crate::overlay::patch::ApplyOptions;
use crate::overlay::series::NamedPatch;
use crate::overlay::{Inputs, Overlay, OverlayError};

/// What the checks look at.
#[derive(Debug)]
pub(super) struct Kernel<'a> {
    pub(super) source: &'a KernelSource,
    /// The target's overlay of it; none for the distribution's own kernel.
    pub(super) overlay: Option<&'a Overlay>,
    /// Lustre's tree, with its overlay.
    pub(super) lustre: &'a Path,
}

/// Why there is nothing to check of a kernel that is not rebuilt.
const OWN: &str = "the servers run the distribution's own kernel";

impl Kernel<'_> {
    /// The checks of what is text: edits, fixups, config.
    pub(super) fn texts(&self) -> Result<Vec<Check>, Error> {
        let Some(overlay) = self.overlay else {
            let checks = ["kernel spec", "kernel config"];
            return Ok(checks.map(|name| Check::not_needed(name, OWN)).to_vec());
        };
        Ok(vec![self.edits(overlay)?, self.config(overlay)?])
    }

    fn edits(&self, overlay: &Overlay) -> Result<Check, Error> {
        let manifest = &overlay.manifest;
        let mut problems = Vec::new();
        let mut files = manifest.edits_by_file();
        if let Some(spec) = &manifest.spec {
            // It has to be there, edited or not.
            files.entry(spec).or_default();
        }
        for (file, edits) in files {
            let path = self.source.folder.join(file);
            if !path.is_file() && self.is_missing(file) {
                return Ok(Check::not_run(
                    "kernel spec",
                    format!(
                        "the clone lacks {file}, so it is not known whether {} of {} fit it",
                        counted(manifest.edit.len(), "edit"),
                        shown(overlay)
                    ),
                ));
            }
            if !path.is_file() {
                let message = format!("{file}: the source package has no such file");
                problems.push(Problem::of_file(file, message));
            } else if let Err(EditErrors(errors)) = edit::apply(&read_text(&path)?, file, edits) {
                problems.extend(errors.iter().map(|error| Problem::of_file(file, error)));
            }
        }
        let message = format!(
            "{}: {} of the sources of Linux {}-{}",
            shown(overlay),
            counted(manifest.edit.len(), "edit"),
            self.source.version,
            self.source.release
        );
        Ok(Check::of("kernel spec", message, problems).hint(
            "compare the spec with the anchors and correct the overlay, or set another in the target (`kernel.overlay`)",
        ))
    }

    /// Whether a file of the source package is one whose content the clone lacks.
    fn is_missing(&self, file: &str) -> bool {
        let tree = self.source.tree.as_ref();
        tree.is_some_and(|tree| tree.missing_sources.contains(file))
    }

    fn config(&self, overlay: &Overlay) -> Result<Check, Error> {
        let name = "kernel config";
        let Some(wanted) = &overlay.manifest.config else {
            return Ok(Check::not_needed(name, "the overlay changes no config"));
        };
        let base = self.source.folder.join(&wanted.base);
        let message = format!("{} with {}", wanted.base, wanted.fragments.join(", "));
        if !base.is_file() {
            let problem = Problem::of_file(
                &wanted.base,
                format!("{}: the source package has no such config", wanted.base),
            );
            return Ok(Check::of(name, message, vec![problem]).hint(
                "set `config.base` of the overlay to the config that the spec really reads",
            ));
        }
        let merged = match overlay.merge_config(&read_text(&base)?) {
            Ok(Some(merged)) => merged,
            Ok(None) => return Ok(Check::not_needed(name, "the overlay changes no config")),
            Err(error @ OverlayError::Config(_)) => {
                return Ok(Check::of(name, message, vec![Problem::new(error)]));
            }
            Err(error) => return Err(error.into()),
        };
        let known = match config::known_symbols(&self.source.parts) {
            Ok(known) => known,
            Err(error @ KnownError::NotAKernel(_)) => {
                return Ok(Check::of(name, message, vec![Problem::new(error)])
                    .hint("the archive is not a kernel's source: see `distribution.kernel.source` of the target"));
            }
            Err(error) => return Err(OverlayError::from(error).into()),
        };
        let mut asked = 0;
        let mut problems = Vec::new();
        for (option, setting) in &merged.settings {
            if !setting.by_fragment {
                continue;
            }
            asked += 1;
            let is_known = option
                .strip_prefix("CONFIG_")
                .is_some_and(|plain| known.contains(plain));
            // What is not set needs not be known.
            if !is_known && !setting.where_known && setting.value != config::Value::No {
                problems.push(Problem {
                    line: Some(setting.line),
                    ..Problem::of_file(
                        &setting.from,
                        format!(
                            "{}, line {}: Linux {} has no option {option}",
                            setting.from, setting.line, self.source.version
                        ),
                    )
                });
            }
        }
        let message = format!(
            "{message}: {asked} options for the {} of Linux {}",
            known.len(),
            self.source.version
        );
        Ok(Check::of(name, message, problems)
            .hint("put the option after `#@ where-known` or remove it from the fragment"))
    }

    /// Tries the distribution's own patches and every series of the overlay, one upon the other, on a copy in `scratch`. Gives the copy
    /// with all that applies.
    pub(super) fn series(&self, scratch: &Path) -> Result<(PathBuf, Vec<Check>), Error> {
        let (own, mut problems) = own_patches(self.source, self.overlay)?;
        let mut listed = Vec::new();
        if let Some(overlay) = self.overlay {
            let inputs = self.source.overlay_inputs(overlay, self.lustre)?;
            for source in &overlay.manifest.series {
                let name = overlay.fill(&source.series, &inputs)?;
                listed.push((source, name, load(overlay, source, &inputs)?));
            }
        }
        let without_series = listed.is_empty();
        let mut touched = series::touched(&own);
        for (.., loaded) in &listed {
            touched.append(&mut series::touched(&loaded.patches));
        }
        // Kconfig files are most of what was unpacked, and only a patch makes one needed here.
        series::copy_tree(&self.source.parts, scratch, &|path| {
            !is_kconfig(path) || touched.contains(path)
        })?;
        let mut checks = Vec::new();
        let on = format!("Linux {}", self.source.version);
        if !own.is_empty() || !problems.is_empty() {
            let tried = series::lay_on(scratch, &own, ApplyOptions::default().fuzz)?;
            problems.extend(tried.problems);
            let message = format!("{} of {} apply to {on}", tried.good, own.len());
            checks.push(Check::of("kernel patches", message, problems).hint(
                "these are the distribution's own: is the source package complete, with the archive of its spec?",
            ));
        }
        let mut in_series = Vec::new();
        for (source, name, mut loaded) in listed {
            let tried = series::lay_on(scratch, &loaded.patches, source.fuzz)?;
            in_series.append(&mut loaded.files);
            loaded.problems.extend(tried.problems);
            let message = format!(
                "{name}: {} of {} patches apply to {on}",
                tried.good, loaded.listed
            );
            checks.push(Check::of("kernel series", message, loaded.problems).hint(
                "use a kernel that the series was made for, or another Lustre (--source lustre=PATH@REV); if a patch only needs other \
                 context, add a fixup to the overlay",
            ));
        }
        if without_series {
            let why = match self.overlay {
                Some(_) => "the overlay has no patches to the kernel itself",
                None => OWN,
            };
            checks.push(Check::not_needed("kernel series", why));
        }
        let fixups = self
            .overlay
            .map(|overlay| overlay.manifest.fixup.as_slice());
        for fixup in fixups.unwrap_or_default() {
            if !in_series.contains(&fixup.patch) {
                let message = format!(
                    "fixup `{}` is for {}, which is in none of the series",
                    fixup.name, fixup.patch
                );
                let problem = Problem::of_file(&fixup.patch, &message);
                checks.push(Check::of(
                    "kernel fixups",
                    "one is left over",
                    vec![problem],
                ));
            }
        }
        Ok((scratch.to_owned(), checks))
    }
}

/// Whether the tree has all its files, and those that its spec declares.
pub(super) fn complete(tree: &TreeState) -> Check {
    tree::whole(
        "kernel tree",
        &tree.label,
        &tree.missing,
        tree.incomplete_allowed,
        "kernel",
    )
}

/// The patches of one series of the overlay, with its fixups.
pub(super) fn load(
    overlay: &Overlay,
    source: &SeriesSource,
    inputs: &Inputs,
) -> Result<Loaded, Error> {
    let Ok(root) = overlay.root(source.root.as_deref(), inputs) else {
        let name = source.root.as_deref().unwrap_or_default();
        return Ok(Loaded {
            problems: vec![Problem::of_file(
                &source.series,
                format!(
                    "{}: it comes from the source `{name}`, which is not one of the target's",
                    source.series
                ),
            )],
            ..Loaded::default()
        });
    };
    let file = overlay.fill(&source.series, inputs)?;
    let patches = overlay.fill(&source.patches, inputs)?;
    Ok(series::load(root, &file, &patches, &overlay.manifest.fixup))
}

/// The patches that the source package has and its spec declares, in their order, without those that hold no diff; and those of which
/// the spec's text does not tell whether they are applied.
pub(crate) fn own_patches(
    source: &KernelSource,
    overlay: Option<&Overlay>,
) -> Result<(Vec<NamedPatch>, Vec<Problem>), Error> {
    let mut there = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&source.folder).sort_by_file_name() {
        let entry = entry.map_err(super::at(&source.folder))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type().is_file() || !name.ends_with(".patch") {
            continue;
        }
        let content = lustre_files::read(entry.path(), lustre_files::SOURCE)
            .map_err(super::at(entry.path()))?;
        // One without is a place holder, as distributions have for those who rebuild.
        if content
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"+++ "))
        {
            there.insert(name, content);
        }
    }
    let spec = match overlay {
        Some(overlay) => overlay.manifest.spec.clone(),
        None => spec_of(&source.folder)?,
    };
    let spec = match spec.map(|spec| source.folder.join(spec)) {
        Some(spec) if spec.is_file() => read_text(&spec)?,
        _ => String::new(),
    };
    let mut patches = Vec::new();
    for declared in declared(&spec) {
        let Some(name) = named(&declared, &there) else {
            continue;
        };
        if let Some(content) = there.remove(&name) {
            patches.push(NamedPatch { name, content });
        }
    }
    let problems = there
        .keys()
        .map(|name| Problem {
            patch: Some(name.clone()),
            ..Problem::new(format!(
                "{name}: the spec declares no patch of this name, so what it does to the tree is not known here"
            ))
        })
        .collect();
    Ok((patches, problems))
}

/// The name of the one spec of an unpacked source package.
fn spec_of(folder: &Path) -> Result<Option<String>, Error> {
    let mut specs = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(super::at(folder))? {
        let name = entry.map_err(super::at(folder))?.file_name();
        let name = name.to_string_lossy().into_owned();
        if name.ends_with(".spec") {
            specs.push(name);
        }
    }
    let one = specs.pop();
    Ok(one.filter(|_| specs.is_empty()))
}

/// Which of the files that are `there` a spec declares as `declared`: what a macro in it stands for is told by the one file that it fits.
pub(crate) fn named(declared: &str, there: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let mut pattern = String::new();
    let mut rest = declared;
    while let Some((before, after)) = rest.split_once("%{") {
        pattern.push_str(before);
        pattern.push('*');
        rest = after.split_once('}')?.1;
    }
    pattern.push_str(rest);
    let mut fitting = there.keys().filter(|name| matches(&pattern, name, false));
    let one = fitting.next()?;
    fitting.next().is_none().then(|| one.clone())
}

/// The file names of a spec's `PatchN:` lines as they are written, in the order of their numbers.
pub(crate) fn declared(spec: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (line, text) in spec.lines().enumerate() {
        let Some((tag, value)) = text.split_once(':') else {
            continue;
        };
        let Some(number) = tag.trim().strip_prefix("Patch") else {
            continue;
        };
        if number.chars().all(|c| c.is_ascii_digit()) {
            let number: u64 = number.parse().unwrap_or_default();
            found.push((number, line, value.trim().to_owned()));
        }
    }
    found.sort();
    found.into_iter().map(|(_, _, name)| name).collect()
}

/// Whether a file is one of those in which a kernel declares its options.
pub(super) fn is_kconfig(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name == "Kconfig" || name.starts_with("Kconfig.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_come_in_the_order_of_their_numbers() {
        let spec = "Patch2: b.patch\nSource: x\nPatch1:a.patch\n  Patch10: c.patch\nPatchX: no\nPatches: no\n";
        assert_eq!(declared(spec), ["a.patch", "b.patch", "c.patch"]);
    }

    #[test]
    fn a_macro_in_a_declared_name_stands_for_what_one_file_has_there() {
        let there = |names: &[&str]| -> BTreeMap<String, Vec<u8>> {
            let names = names.iter().map(|name| ((*name).to_owned(), Vec::new()));
            names.collect()
        };
        let files = there(&["patch-5.14-redhat.patch", "plain.patch"]);
        let declared = "patch-%{patchversion}-redhat.patch";
        let found = named(declared, &files);
        assert_eq!(found.as_deref(), Some("patch-5.14-redhat.patch"));
        assert_eq!(named("plain.patch", &files).as_deref(), Some("plain.patch"));
        assert_eq!(named("%{other}.diff", &files), None);
        let two = there(&["patch-5.14-redhat.patch", "patch-6.12-redhat.patch"]);
        assert_eq!(named(declared, &two), None, "which of the two is not known");
    }
}
