//! Overlays: how a package's upstream or distribution source is changed, as data, with an error for everything that does
//! not fit.
//!
//! - [`manifest`]: `overlay.toml`, what an overlay consists of;
//! - [`choice`]: the parts of it that a target may take or leave;
//! - [`edit`]: anchored edits of specs and other text files;
//! - [`series`]: patch series and their collation;
//! - [`patch`]: reading unified diffs, checking and applying them;
//! - [`fixup`]: patches made to fit by dropping context lines;
//! - [`config`]: kernel configs and fragments;
//! - [`release`]: the rebuilt package's release and its order.
//!
//! [`Overlay`] joins them: [`Overlay::prepare`] makes the changed sources of an SRPM, [`Overlay::change_tree`] changes an
//! unpacked source tree, [`Overlay::compare_config`] tells after `%prep` whether the config came out as meant.

pub mod choice;
pub mod config;
pub mod edit;
pub mod fixup;
pub mod manifest;
pub mod patch;
pub mod release;
pub mod series;

mod error;
mod inherit;
mod loaded;
mod prepare;

pub use error::OverlayError;
pub use loaded::Overlay;
use loaded::{read_text, write};
pub use manifest::{Choice, Manifest, ManifestError};
pub use prepare::{Inputs, Prepared};

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use config::{Comparison, Config, Fragment, Merged};
use edit::EditErrors;

impl Overlay {
    /// The name by which a kernel's overlay takes series of Lustre's tree.
    pub const LUSTRE: &str = "lustre";

    /// Whether it takes a series of the tree `root`.
    pub fn takes_of(&self, root: &str) -> bool {
        let mut series = self.manifest.series.iter();
        series.any(|source| source.root.as_deref() == Some(root))
    }

    /// The names of the overlays that it extends, directly and indirectly.
    pub fn laid_over(&self) -> impl Iterator<Item = &str> {
        self.below.keys().map(String::as_str)
    }

    /// Loads the overlay in `folder`, merged with those under `specs` that it extends, with the options `names` enabled.
    pub fn load_in(specs: &Path, folder: &Path, names: &[String]) -> Result<Self, OverlayError> {
        let path = folder.join("overlay.toml");
        let mut overlay = inherit::load(specs, &path, 0)?;
        overlay.manifest = overlay
            .manifest
            .choose(names, &path.display().to_string())?;
        Ok(overlay)
    }

    /// The overlay for a source package of the distribution whose release is `base`, and what that release adds to the
    /// placeholders: `distrelease`, the release itself, and `minor`, the distribution's minor release (`9.6`).
    pub fn for_release(&self, base: &str) -> Result<(Self, Vec<(String, String)>), OverlayError> {
        let mut overlay = self.clone();
        let mut vars = Vec::new();
        if let Some(release) = &self.manifest.release {
            overlay.manifest.release = Some(release.resolved(base)?);
            if release.dist_from.is_some() {
                vars.push(("distrelease".to_owned(), base.to_owned()));
            }
            if let Some(minor) = release.minor(base)? {
                vars.push(("minor".to_owned(), minor));
            }
        }
        Ok((overlay, vars))
    }

    fn input(&self, problem: String) -> OverlayError {
        OverlayError::Input {
            overlay: self.folder.clone(),
            problem,
        }
    }

    /// Applies the edits of the spec to its text.
    pub fn edit_spec(&self, spec: &str) -> Result<String, EditErrors> {
        let name = self.manifest.spec.as_deref().unwrap_or("the spec");
        let edits = self.manifest.edit.iter().filter(|edit| edit.file.is_none());
        edit::apply(spec, name, edits)
    }

    /// The files of `tree` that file edits change, with their new text.
    fn edited_files(&self, tree: &Path) -> Result<Vec<(PathBuf, String)>, OverlayError> {
        let mut changed = Vec::new();
        let mut errors = Vec::new();
        let mut files = self.manifest.edits_by_file();
        // What edits the spec is for `edit_spec`.
        files.remove(self.manifest.spec.as_deref().unwrap_or_default());
        for (file, edits) in files {
            let path = tree.join(file);
            match edit::apply(&read_text(&path)?, file, edits) {
                Ok(text) => changed.push((path, text)),
                Err(EditErrors(list)) => errors.extend(list),
            }
        }
        if errors.is_empty() {
            Ok(changed)
        } else {
            Err(EditErrors(errors).into())
        }
    }

    /// Applies the file edits and the fixups to an unpacked source tree: all of them, or none. Gives the changed files.
    pub fn change_tree(&self, tree: &Path) -> Result<Vec<PathBuf>, OverlayError> {
        let mut changed: BTreeMap<PathBuf, Vec<u8>> = self
            .edited_files(tree)?
            .into_iter()
            .map(|(path, text)| (path, text.into_bytes()))
            .collect();
        for fixup in &self.manifest.fixup {
            let path = tree.join(&fixup.patch);
            let content = match changed.remove(&path) {
                Some(content) => content,
                None => lustre_files::read(&path, lustre_files::SOURCE)
                    .map_err(lustre_files::tried("read", &path))?,
            };
            changed.insert(path, fixup.apply(&content)?);
        }
        for (path, content) in &changed {
            write(path, content)?;
        }
        Ok(changed.into_keys().collect())
    }

    /// Merges the overlay's config fragments into `base`, the text of the distribution's config; `None` for an overlay
    /// without a config.
    pub fn merge_config(&self, base: &str) -> Result<Option<Merged>, OverlayError> {
        let Some(config) = &self.manifest.config else {
            return Ok(None);
        };
        let mut texts = Vec::new();
        for name in &config.fragments {
            texts.push((name, read_text(&self.file(name))?));
        }
        let fragments: Vec<Fragment<'_>> = texts
            .iter()
            .map(|(name, text)| Fragment { name, text })
            .collect();
        let base = Fragment {
            name: &config.base,
            text: base,
        };
        Ok(Some(config::merge(base, &fragments)?))
    }

    /// A fragment, in the overlay's own folder or in that of the overlay below whose name it begins with.
    fn file(&self, name: &str) -> PathBuf {
        inherit::below_of(&self.below, name).unwrap_or_else(|| self.folder.join(name))
    }

    /// Compares what `merged` wants with the config of the tree that `%prep` left below `build`, rpmbuild's `BUILD` folder.
    ///
    /// Differences are no error but the answer.
    pub fn compare_config(
        &self,
        merged: &Merged,
        build: &Path,
        inputs: &Inputs,
    ) -> Result<Comparison, OverlayError> {
        let Some(config) = &self.manifest.config else {
            return Err(self.input("it has no [config] to compare".to_owned()));
        };
        let tree = self.fill(&config.tree, inputs)?;
        let path = Path::new(&tree).join(self.fill(&config.used, inputs)?);
        let path = self.left(build, &path)?;
        let used = Config::parse(&read_text(&path)?, &path.display().to_string())?;
        Ok(config::compare(
            merged,
            &used,
            &self.known_options(build, inputs)?,
        ))
    }

    /// The options that the kernel in the tree that `%prep` left below `build` knows, without `CONFIG_`.
    pub fn known_options(
        &self,
        build: &Path,
        inputs: &Inputs,
    ) -> Result<BTreeSet<String>, OverlayError> {
        let Some(config) = &self.manifest.config else {
            return Err(self.input("it has no [config] to compare".to_owned()));
        };
        let tree = self.fill(&config.tree, inputs)?;
        let tree = self.left(build, Path::new(&tree))?;
        Ok(config::known_symbols(&tree)?)
    }

    /// What `%prep` left at `inside` below `build`: it can have put a link anywhere, which would lead us, who are no builder, to files of the
    /// host.
    fn left(&self, build: &Path, inside: &Path) -> Result<PathBuf, OverlayError> {
        match lustre_files::link_below(build, inside)? {
            None => Ok(build.join(inside)),
            Some(link) => Err(self.input(format!(
                "`{}` is not what %prep unpacked: it left a link at {}",
                inside.display(),
                link.display()
            ))),
        }
    }
}
