//! `overlay.toml`: what changes a package's source, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use serde::Deserialize;

use super::edit::Edit;
use super::fixup::Fixup;
use super::release::Release;

/// The content of an `overlay.toml`.
///
/// File names may hold `{name}` placeholders, which the caller fills (`{version}`, `{release}`, `{arch}`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Overlays that this one extends: folders under `specs/`, such as `kernel/el9`. Its own changes come after theirs.
    #[serde(default)]
    pub with: Vec<String>,
    /// What of the overlays below it does not take: names of edits and of options, and the files that series are collated into.
    #[serde(default)]
    pub drop: Vec<String>,
    /// The source package this overlay is for.
    pub package: String,
    /// The spec's file name; absent for an overlay of a source tree that is not an SRPM.
    #[serde(default)]
    pub spec: Option<String>,
    /// How the rebuilt package's release is formed.
    #[serde(default)]
    pub release: Option<Release>,
    /// How it is built.
    #[serde(default)]
    pub build: Build,
    /// The kernel config.
    #[serde(default)]
    pub config: Option<KernelConfig>,
    /// Series to collate into a source file of the spec.
    #[serde(default)]
    pub series: Vec<SeriesSource>,
    /// Further files to put beside the spec's sources.
    #[serde(default)]
    pub source: Vec<ExtraSource>,
    /// Anchored edits of the spec or of files of the tree.
    #[serde(default)]
    pub edit: Vec<Edit>,
    /// Fixups of single patches.
    #[serde(default)]
    pub fixup: Vec<Fixup>,
    /// What a target may choose besides, by name; see [`Manifest::choose`].
    #[serde(default)]
    pub option: BTreeMap<String, Choice>,
}

/// The spec's conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    /// Conditionals to switch on, as `--with NAME` would; they are written into the spec.
    #[serde(default)]
    pub with: Vec<String>,
    /// Conditionals to switch off, as `--without NAME` would; they are written into the spec.
    #[serde(default)]
    pub without: Vec<String>,
}

impl Build {
    /// What rpmbuild would be given for them.
    pub fn flags(&self) -> Vec<String> {
        let pairs = |flag: &'static str, names: &[String]| {
            names
                .iter()
                .flat_map(|name| [flag.to_owned(), name.clone()])
                .collect::<Vec<_>>()
        };
        let mut flags = pairs("--with", &self.with);
        flags.extend(pairs("--without", &self.without));
        flags
    }
}

/// Where the kernel's config is and what is merged into it. An overlay that extends another may have only what it adds, the
/// fragments.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelConfig {
    /// The source file the spec really reads. EL9 renames `kernel-x86_64-rhel.config` over what EL8 calls
    /// `kernel-x86_64.config`, so the right name differs.
    #[serde(default)]
    pub base: String,
    /// Fragments, relative to the overlay's folder; later ones overrule earlier ones.
    #[serde(default)]
    pub fragments: Vec<String>,
    /// The unpacked kernel tree after `%prep`, relative to rpmbuild's `BUILD` folder.
    #[serde(default)]
    pub tree: String,
    /// The config the build uses, relative to `tree`.
    #[serde(default)]
    pub used: String,
}

/// A series that becomes one source file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSource {
    /// The tree the series is in: a name the caller knows (`lustre`); the overlay's own folder when absent.
    #[serde(default)]
    pub root: Option<String>,
    /// The series file, relative to the root.
    pub series: String,
    /// The patch folder, relative to the root.
    pub patches: String,
    /// The name of the collated patch among the spec's sources.
    pub collated: String,
    /// Lines of context a hunk may ignore, as the spec has `patch` do it (`-F`); 2, the default of `patch`, when absent.
    #[serde(default = "default_fuzz")]
    pub fuzz: u8,
}

fn default_fuzz() -> u8 {
    super::patch::ApplyOptions::default().fuzz
}

/// A file of the overlay's folder that becomes a source of the spec.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraSource {
    /// The tree the file is in: a name the caller knows (`site`); the overlay's own folder when absent.
    #[serde(default)]
    pub root: Option<String>,
    /// The file, relative to the root.
    pub file: String,
    /// Its name among the sources; the file's own name when absent.
    #[serde(default)]
    pub name: Option<String>,
}

/// An `overlay.toml` that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{file}:{line}:{column}: {problem}")]
    Syntax {
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The column in characters, counted from 1.
        column: usize,
        problem: String,
    },
    #[error("{file}: {problem}")]
    Invalid { file: String, problem: String },
}

impl Manifest {
    /// Parses the text of an `overlay.toml`; `file` is used in messages.
    pub fn parse(text: &str, file: &str) -> Result<Self, ManifestError> {
        let manifest: Manifest =
            crate::bounded_toml::from_str(text).map_err(|error: toml::de::Error| {
                let (line, column) = position(text, error.span().map_or(0, |span| span.start));
                ManifestError::Syntax {
                    file: file.to_owned(),
                    line,
                    column,
                    problem: error.message().to_owned(),
                }
            })?;
        manifest
            .validate()
            .map_err(|problem| ManifestError::Invalid {
                file: file.to_owned(),
                problem,
            })?;
        Ok(manifest)
    }

    pub(super) fn validate(&self) -> Result<(), String> {
        if self.with.is_empty() && !self.drop.is_empty() {
            return Err(
                "`drop` needs overlays to inherit from (`with`), and there are none".to_owned(),
            );
        }
        if let Some(release) = &self.release {
            release.validate().map_err(|error| error.to_string())?;
        }
        for (name, choice) in &self.option {
            if choice.why.trim().is_empty() {
                return Err(format!("the option `{name}` has no reason (`why`)"));
            }
        }
        if let Some(config) = &self.config
            && self.with.is_empty()
        {
            for (key, value) in [
                ("base", &config.base),
                ("tree", &config.tree),
                ("used", &config.used),
            ] {
                if value.is_empty() {
                    return Err(format!("[config] has no `{key}`"));
                }
            }
        }
        let mut names = BTreeSet::new();
        let optional = self.option.values().flat_map(|choice| &choice.edit);
        for edit in self.edit.iter().chain(optional) {
            edit.validate().map_err(|error| error.to_string())?;
            if !names.insert(&edit.name) {
                return Err(format!("two edits are named `{}`", edit.name));
            }
            if edit.file.is_none() && self.spec.is_none() && self.with.is_empty() {
                return Err(format!(
                    "edit `{}` has no file, and the overlay has no spec",
                    edit.name
                ));
            }
        }
        for path in self.paths() {
            let inside = !path.is_empty()
                && Path::new(path)
                    .components()
                    .all(|part| matches!(part, Component::Normal(_)));
            if !inside {
                return Err(format!("`{path}` is not a relative path inside its folder"));
            }
        }
        let sources = self.series.iter().map(|series| &series.collated);
        let optional = self.option.values().flat_map(|choice| &choice.source);
        let extra = self.source.iter().chain(optional).map(ExtraSource::name);
        for name in sources
            .map(String::as_str)
            .chain(extra)
            .chain(self.spec.as_deref())
        {
            if name.contains('/') {
                return Err(format!(
                    "`{name}` must be a plain file name: the spec's sources have no folders"
                ));
            }
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = &str> {
        let config = self.config.iter().flat_map(|config| {
            [&config.base, &config.tree, &config.used]
                .into_iter()
                .filter(|path| !path.is_empty())
                .chain(&config.fragments)
        });
        let series = self
            .series
            .iter()
            .flat_map(|series| [&series.series, &series.patches, &series.collated]);
        let optional = || self.option.values();
        let sources = self
            .source
            .iter()
            .chain(optional().flat_map(|choice| &choice.source))
            .flat_map(|source| std::iter::once(&source.file).chain(&source.name));
        let edits = self
            .edit
            .iter()
            .chain(optional().flat_map(|choice| &choice.edit))
            .filter_map(|edit| edit.file.as_ref());
        let fragments = optional().flat_map(|choice| &choice.fragments);
        let fixups = self
            .fixup
            .iter()
            .chain(optional().flat_map(|choice| &choice.fixup))
            .map(|fixup| &fixup.patch);
        self.spec
            .iter()
            .chain(config)
            .chain(series)
            .chain(sources)
            .chain(edits)
            .chain(fixups)
            .chain(fragments)
            .map(String::as_str)
    }
}

impl ExtraSource {
    /// The file's name among the sources.
    pub fn name(&self) -> &str {
        let own = self.file.rsplit('/').next().unwrap_or(&self.file);
        self.name.as_deref().unwrap_or(own)
    }
}

/// Line and column, in characters and counted from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[start..].chars().count() + 1,
    )
}

/// A choice of the target, as it stands in an `overlay.toml` under `[option.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the choice is for, and what it costs.
    pub why: String,
    /// Conditionals of rpmbuild, besides the overlay's.
    #[serde(default)]
    pub build: Build,
    /// Config fragments, applied after the overlay's.
    #[serde(default)]
    pub fragments: Vec<String>,
    /// Further sources of the spec.
    #[serde(default)]
    pub source: Vec<ExtraSource>,
    /// Further edits.
    #[serde(default)]
    pub edit: Vec<Edit>,
    /// Further fixups.
    #[serde(default)]
    pub fixup: Vec<Fixup>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("testdata/overlay/overlay.toml");

    #[test]
    fn a_whole_overlay_is_read() {
        let manifest = Manifest::parse(GOOD, "overlay.toml").unwrap();
        assert_eq!(manifest.package, "kernel");
        assert_eq!(
            manifest.build.flags(),
            [
                "--with",
                "firmware",
                "--with",
                "baseonly",
                "--without",
                "kabichk"
            ]
        );
        assert_eq!(manifest.edit.len(), 2);
        assert_eq!(manifest.source[0].name(), "extra.txt");
        let release = manifest.release.unwrap();
        assert_eq!(
            release.defines().unwrap(),
            [("dist", ".reh1"), ("buildid", "_lustre")]
        );
    }

    #[test]
    fn mistakes_are_told_with_line_and_column() {
        for (from, to, line, column, part) in [
            ("package = \"kernel\"", "package = kernel", 1, 11, ""),
            (
                "position = \"after\"",
                "position = \"behind\"",
                35,
                12,
                "unknown variant `behind`",
            ),
            (
                "why = \"the devel tree needs it\"",
                "reason = \"x\"",
                32,
                1,
                "unknown field `reason`",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = Manifest::parse(&text, "o.toml").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("o.toml:{line}:{column}: ")) && error.contains(part),
                "{error}"
            );
        }
    }

    #[test]
    fn paths_out_of_the_folder_and_double_names_are_refused() {
        for (from, to, part) in [
            (
                "\"lustre.config\"",
                "\"../lustre.config\"",
                "not a relative path",
            ),
            (
                "spec = \"kernel.spec\"",
                "spec = \"/kernel.spec\"",
                "not a relative path",
            ),
            (
                "collated = \"patch",
                "collated = \"x/patch",
                "plain file name",
            ),
            (
                "name = \"declare\"",
                "name = \"ext4\"",
                "two edits are named `ext4`",
            ),
            ("spec = \"kernel.spec\"", "", "has no file"),
            ("_lustre", "-lustre", "buildid"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD);
            let error = Manifest::parse(&text, "o.toml").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
