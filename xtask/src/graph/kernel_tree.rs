//! A kernel's tree in place of the source package: its files for preflight, and the source package that is made of it.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_distro::release;
use lustre_distro::srpm::SpecTools;
use lustre_files::advised;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::overlay::config;
use lustre_packaging::preflight::{KernelSource, TreeState};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::PathError;
use lustre_packaging::target::DistributionKind;

use super::inputs::BuildGraph;
use super::recipes;

/// The stage of the archive of a tree's own files.
const ARCHIVE: &str = "kernel-archive";

impl BuildGraph<'_> {
    /// The stage of the archive that is made of a kernel's tree, where there is one. It has a gigabyte to compress, and changes with the
    /// tree alone.
    pub(super) fn kernel_archive_stage(&self) -> Option<Stage<'_>> {
        let tree = self.kernel.as_ref()?;
        Some(Stage {
            name: ARCHIVE.to_owned(),
            needs: Vec::new(),
            inputs: [
                recipes::of(ARCHIVE),
                vec![
                    ("tree".to_owned(), tree.source().identity().to_string()),
                    self.settings_input(),
                ],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                let time = self.target.build.source_date_epoch.into();
                tree.archive(self.store, work.output, time)?;
                Ok(())
            }),
        })
    }

    /// The stages that a stage needs for the kernel's tree.
    pub(super) fn kernel_archive_needs(&self) -> Vec<String> {
        let tree = self.kernel.iter();
        tree.map(|_| ARCHIVE.to_owned()).collect()
    }

    /// A kernel's tree as an input of stages that read all of it, and what changes its files.
    pub(super) fn kernel_tree_inputs(
        &self,
        tree: &KernelTree,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let wanted = &self.target.distribution.kernel;
        let mut inputs = vec![(
            "kernel-tree".to_owned(),
            tree.source().identity().to_string(),
        )];
        if let Some(spec) = &wanted.spec {
            inputs.push(self.spec_input("kernel-spec", spec)?);
        }
        for fragment in &wanted.config {
            inputs.push(self.spec_input("kernel-config", fragment)?);
        }
        if let Some(base) = &wanted.base {
            inputs.push(("kernel-config-base".to_owned(), base.clone()));
        }
        Ok(inputs)
    }

    /// Puts the files of the source package into the new folder `into`: the tree's, with the target's own spec and config fragments.
    fn lay_out(&self, tree: &KernelTree, scratch: &Path, into: &Path) -> Result<(), Failure> {
        let time = self.target.build.source_date_epoch.into();
        tree.sources(self.store, scratch, into, time)?;
        let wanted = &self.target.distribution.kernel;
        if let Some(spec) = &wanted.spec {
            let folder = self.specs.join(spec);
            release::for_release(&folder, &tree.version, &tree.release, into)?;
        }
        if let Some(base) = &wanted.base {
            let path = into.join(base);
            let read = |path: &Path| {
                lustre_files::read_to_string(path, lustre_files::TEXT)
                    .map_err(|error| PathError::new("read", path, error))
            };
            let text = read(&path)?;
            let mut texts = Vec::new();
            for fragment in &wanted.config {
                texts.push((fragment, read(&self.specs.join(fragment))?));
            }
            let fragments: Vec<config::Fragment<'_>> = texts
                .iter()
                .map(|(name, text)| config::Fragment { name, text })
                .collect();
            let base = config::Fragment {
                name: base,
                text: &text,
            };
            fs::write(&path, config::merge(base, &fragments)?.text)?;
        }
        Ok(())
    }

    /// rpm's tools as they read the tree's spec; `macros` are the distribution's.
    fn tools<'t>(
        &self,
        tree: &KernelTree,
        macros: &'t [PathBuf],
        scratch: &'t Path,
    ) -> SpecTools<'t> {
        SpecTools {
            macros,
            scratch,
            time: self.target.build.source_date_epoch,
            dist: Some(tree.dist()),
        }
    }

    fn macros(&self) -> Result<Vec<PathBuf>, Failure> {
        Ok(match self.target.distribution.kind {
            DistributionKind::Rehearsal => self.recipe()?.macros(),
            DistributionKind::Repositories => Vec::new(),
        })
    }

    /// The tree as preflight looks at it, its own files below `parts`.
    pub(super) fn tree_source(
        &self,
        tree: &KernelTree,
        work: &Work<'_>,
        parts: &Path,
    ) -> Result<KernelSource, Failure> {
        let folder = work.scratch.join("kernel-spec");
        self.lay_out(tree, work.scratch, &folder)?;
        let mut missing = tree.source().missing().to_vec();
        let missing_sources = tree.missing_sources();
        if folder.join(KernelTree::SPEC).is_file() {
            let scratch = work.scratch.join("rpmspec");
            fs::create_dir_all(&scratch)?;
            let macros = self.macros()?;
            missing.extend(self.absent(tree, &folder, &macros, &scratch)?);
        }
        missing.retain(|path| {
            // What the target has in its place.
            let name = path.rsplit('/').next().unwrap_or(path);
            !folder.join(name).is_file()
        });
        Ok(KernelSource {
            folder,
            parts: parts.to_owned(),
            version: tree.version.clone(),
            release: tree.release.clone(),
            arch: self.target.distribution.arch.clone(),
            tree: Some(TreeState {
                label: format!("kernel {}-{}", tree.version, tree.release),
                missing,
                missing_sources,
                incomplete_allowed: self.kernel_incomplete_allowed,
            }),
        })
    }

    /// What the spec declares and neither the tree nor its clone has.
    fn absent(
        &self,
        tree: &KernelTree,
        folder: &Path,
        macros: &[PathBuf],
        scratch: &Path,
    ) -> Result<Vec<String>, Failure> {
        let mut absent = self.tools(tree, macros, scratch).absent(folder)?;
        let known = tree.missing_sources();
        absent.retain(|name| *name != tree.archive_name() && !known.contains(name));
        Ok(absent)
    }

    /// Makes, of the tree, what a source package is made of: gives the folder of the spec and its small sources, and the archive.
    /// What is missing is empty there, where the user said so.
    pub(super) fn tree_sources(
        &self,
        tree: &KernelTree,
        work: &Work<'_>,
    ) -> Result<(PathBuf, PathBuf), Failure> {
        let folder = work.scratch.join("kernel-spec");
        self.lay_out(tree, work.scratch, &folder)?;
        let scratch = work.scratch.join("rpmspec");
        fs::create_dir_all(&scratch)?;
        let macros = self.macros()?;
        let mut absent = self.absent(tree, &folder, &macros, &scratch)?;
        absent.extend(tree.missing_sources());
        absent.retain(|name| !folder.join(name).is_file());
        if !absent.is_empty() && !self.kernel_incomplete_allowed {
            return Err(advised(format!("the kernel's tree lacks files that its spec declares: {}", absent.join(", ")), "use a complete source package, or, if these files are not needed, pass --allow-incomplete kernel to continue with empty ones")
            .into());
        }
        for name in &absent {
            fs::write(folder.join(name), "")?;
        }
        let archive = work.need(ARCHIVE)?.join(tree.archive_name());
        Ok((folder, archive))
    }

    /// The source package of the tree, unsigned, in `folder`.
    pub(super) fn tree_srpm(
        &self,
        tree: &KernelTree,
        work: &Work<'_>,
        folder: &Path,
    ) -> Result<PathBuf, Failure> {
        let (spec, archive) = self.tree_sources(tree, work)?;
        let scratch = work.scratch.join("rpmbuild");
        fs::create_dir_all(&scratch)?;
        let macros = self.macros()?;
        let made = self.tools(tree, &macros, &scratch).build_srpm(
            &spec,
            &[(tree.archive_name(), archive)],
            folder,
            work.log,
        )?;
        expect_release(tree, &made)?;
        Ok(made)
    }
}

/// Whether the spec's release is that of the tree's makefiles, which preflight looked at.
pub(super) fn expect_release(tree: &KernelTree, srpm: &Path) -> Result<(), Failure> {
    let name = srpm.file_name().unwrap_or_default().to_string_lossy();
    let wanted = format!("-{}-{}.src.rpm", tree.version, tree.release);
    if name.ends_with(&wanted) {
        return Ok(());
    }
    Err(format!(
        "the spec of the kernel's tree makes {name}, but the tree's makefiles say {}-{}",
        tree.version, tree.release
    )
    .into())
}
