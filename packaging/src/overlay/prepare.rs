//! Making the changed sources of an SRPM.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::tried;

use super::config::Merged;
use super::manifest::SeriesSource;
use super::patch::Patch;
use super::series::{NamedPatch, Series, collate};
use super::{Overlay, OverlayError, read_text, write};
use crate::spec_macros::SpecMacros;

/// What an overlay needs from its caller.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// Values of the `{name}` placeholders in file names: `version`, `release`, `arch`.
    pub vars: BTreeMap<String, String>,
    /// Other source trees the overlay takes series from, by name (`lustre`).
    pub roots: BTreeMap<String, PathBuf>,
}

/// The changed sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// The folder with the spec and all its sources.
    pub folder: PathBuf,
    pub spec: PathBuf,
    /// The names of the files that were changed or added, sorted.
    pub changed: Vec<String>,
    /// The intended kernel config, for [`Overlay::compare_config`] after `%prep`.
    pub config: Option<Merged>,
}

impl Overlay {
    /// Makes `output`, a new folder, from `sources`, a folder with the spec and all sources as an SRPM holds them.
    ///
    /// `sources` is only read. `output` appears whole or not at all.
    pub fn prepare(
        &self,
        sources: &Path,
        output: &Path,
        inputs: &Inputs,
    ) -> Result<Prepared, OverlayError> {
        let spec_name = self.manifest.spec.clone().ok_or_else(|| {
            self.input("it has no `spec`, so it cannot change an SRPM".to_owned())
        })?;
        if output.exists() {
            return Err(self.input(format!(
                "{} already exists; sources are prepared in a new folder",
                output.display()
            )));
        }
        // Text first: what does not fit is told before anything is copied.
        let spec = self.whole_spec(&read_text(&sources.join(&spec_name))?)?;
        let mut new: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (path, text) in self.edited_files(sources)? {
            let name = path.strip_prefix(sources).unwrap_or(&path);
            new.insert(name.to_string_lossy().into_owned(), text.into_bytes());
        }
        let config = match &self.manifest.config {
            Some(config) => {
                // An edit of the config file itself comes before the fragments.
                let base = match new.get(&config.base) {
                    Some(edited) => String::from_utf8_lossy(edited).into_owned(),
                    None => read_text(&sources.join(&config.base))?,
                };
                self.merge_config(&base)?
            }
            None => None,
        };
        if let (Some(merged), Some(config)) = (&config, &self.manifest.config) {
            new.insert(config.base.clone(), merged.text.clone().into_bytes());
        }
        let mut added: Vec<(String, Vec<u8>)> = self.collated(inputs)?;
        for source in &self.manifest.source {
            let path = self
                .root(source.root.as_deref(), inputs)?
                .join(&source.file);
            let content =
                lustre_files::read(&path, lustre_files::SOURCE).map_err(tried("read", &path))?;
            added.push((self.fill(source.name(), inputs)?, content));
        }
        for (name, content) in added {
            if sources.join(&name).exists() || new.insert(name.clone(), content).is_some() {
                return Err(
                    self.input(format!("it adds the source `{name}`, which already exists"))
                );
            }
        }
        new.insert(spec_name.clone(), spec.into_bytes());
        write_folder(sources, output, &new)?;
        Ok(Prepared {
            folder: output.to_owned(),
            spec: output.join(&spec_name),
            changed: new.into_keys().collect(),
            config,
        })
    }

    /// The text of the spec with the edits, and before them, as the first, what the build is told: the release and the conditions. So
    /// the source package builds the same wherever it is built, without an option of rpmbuild.
    pub fn whole_spec(&self, spec: &str) -> Result<String, OverlayError> {
        let mut macros = SpecMacros::default();
        if let Some(release) = &self.manifest.release {
            for (name, value) in release.defines()? {
                macros.set(name, value)?;
            }
        }
        macros.add_options(&self.manifest.build.flags())?;
        Ok(macros.lines() + &self.edit_spec(spec)?)
    }

    /// The patches of one series, read, with the fixups applied. [`Overlay::check_series`]
    /// tries them.
    pub fn series_patches(
        &self,
        source: &SeriesSource,
        inputs: &Inputs,
    ) -> Result<Vec<NamedPatch>, OverlayError> {
        let root = self.root(source.root.as_deref(), inputs)?;
        let folder = self.fill(&source.patches, inputs)?;
        let series = Series::read(&root.join(self.fill(&source.series, inputs)?))?;
        let mut patches = series.load(&root.join(&folder))?;
        for patch in &mut patches {
            let path = format!("{folder}/{}", patch.name);
            for fixup in self
                .manifest
                .fixup
                .iter()
                .filter(|fixup| fixup.patch == path)
            {
                patch.content = fixup.apply(&patch.content)?;
            }
            Patch::parse(&patch.content, &patch.name)?;
        }
        Ok(patches)
    }

    /// The tree of the name `root`, or the overlay's own folder.
    pub(crate) fn root<'a>(
        &'a self,
        root: Option<&str>,
        inputs: &'a Inputs,
    ) -> Result<&'a Path, OverlayError> {
        let Some(name) = root else {
            return Ok(&self.folder);
        };
        let below = || self.below.get(name);
        let found = inputs.roots.get(name).or_else(below);
        found.map(PathBuf::as_path).ok_or_else(|| {
            self.input(format!(
                "it uses files of the source `{name}`, which is not one of the target's sources"
            ))
        })
    }

    /// Every series as one patch, with its file name.
    fn collated(&self, inputs: &Inputs) -> Result<Vec<(String, Vec<u8>)>, OverlayError> {
        let mut out = Vec::new();
        let mut used = BTreeSet::new();
        for source in &self.manifest.series {
            let patches = self.series_patches(source, inputs)?;
            let folder = self.fill(&source.patches, inputs)?;
            used.extend(
                patches
                    .iter()
                    .map(|patch| format!("{folder}/{}", patch.name)),
            );
            let series = self.fill(&source.series, inputs)?;
            let origin = match &source.root {
                Some(root) => format!("{root}: {series}"),
                None => series,
            };
            out.push((
                self.fill(&source.collated, inputs)?,
                collate(&origin, &patches),
            ));
        }
        match self
            .manifest
            .fixup
            .iter()
            .find(|fixup| !used.contains(&fixup.patch))
        {
            None => Ok(out),
            Some(fixup) => Err(self.input(format!(
                "fixup `{}` is for {}, which is in none of its series",
                fixup.name, fixup.patch
            ))),
        }
    }

    /// Fills the `{name}` placeholders of `text`.
    pub(crate) fn fill(&self, text: &str, inputs: &Inputs) -> Result<String, OverlayError> {
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, behind) = after
                .split_once('}')
                .ok_or_else(|| self.input(format!("`{text}` has a `{{` without a `}}`")))?;
            let value = inputs.vars.get(name).ok_or_else(|| {
                let known: Vec<&str> = inputs.vars.keys().map(String::as_str).collect();
                self.input(format!(
                    "`{text}` has the unknown placeholder `{{{name}}}`; known placeholders: {}",
                    known.join(", ")
                ))
            })?;
            // Versions and releases come from outside; a name must stay inside its folder.
            if value.contains('/') || value == ".." {
                return Err(self.input(format!(
                    "`{value}`, the value of `{{{name}}}`, is not a file name"
                )));
            }
            out.push_str(before);
            out.push_str(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

/// Copies the plain files of `sources` to `output` with `new` instead of or beside them.
fn write_folder(
    sources: &Path,
    output: &Path,
    new: &BTreeMap<String, Vec<u8>>,
) -> Result<(), OverlayError> {
    let parent = output
        .parent()
        .filter(|path| !path.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(tried("make", parent))?;
    let aside = tempfile::tempdir_in(parent).map_err(tried("make a folder in", parent))?;
    for entry in fs::read_dir(sources).map_err(tried("read", sources))? {
        let entry = entry.map_err(tried("read", sources))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(tried("read", &path))?;
        let replaced = entry
            .file_name()
            .to_str()
            .is_some_and(|name| new.contains_key(name));
        if kind.is_file() && !replaced {
            let to = aside.path().join(entry.file_name());
            lustre_files::copy(&path, &to).map_err(tried("copy", &path))?;
        } else if !kind.is_file() {
            let source = std::io::Error::other("the sources of an SRPM are plain files");
            return Err(tried("copy", &path)(source).into());
        }
    }
    for (name, content) in new {
        write(&aside.path().join(name), content)?;
    }
    let aside = aside.keep();
    let placed = open_mode(&aside).and_then(|()| fs::rename(&aside, output));
    if placed.is_err() {
        // What could not be put in place must not stay under a name nobody knows.
        let _ = lustre_files::remove_tree(&aside);
    }
    Ok(placed.map_err(tried("make", output))?)
}

/// Temporary folders are private; the build's own user has to read this one.
fn open_mode(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests;
