//! Preflight: do all series, overlays, configs and versions fit? Stages of their own that nothing needs, run before all others: what
//! they find changes no key of a build.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use lustre_distro::Recipe;
use lustre_distro::srpm::SpecTools;
use lustre_packaging::advisories::Ledger;
use lustre_packaging::archive;
use lustre_packaging::knowledge::Knowledge;
use lustre_packaging::lock::Pinned;
use lustre_packaging::overlay::Overlay;
use lustre_packaging::preflight::{self, Inputs, KernelFiles, KernelSource, LustreSource, Report};
use lustre_packaging::source::Locked;
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::PathError;
use lustre_packaging::target::{DistributionKind, Source};

use super::inputs::BuildGraph;
use super::{name, recipes};
use crate::sources;

/// The stage of Lustre's tree as it came, before its overlay.
const LUSTRE: &str = "preflight-lustre";
/// The stage of the list of the kernel's files that are needed.
const FILES: &str = "preflight-files";
/// The stage of these files.
const KERNEL: &str = "preflight-kernel";
/// The list.
const LIST: &str = "kernel-files.txt";
/// The report.
pub const REPORT: &str = "preflight.json";

/// Where the recipe puts a report of what does not fit: it is not kept as a result, so that the next run looks again.
pub type Misfit = Mutex<Option<Report>>;

impl BuildGraph<'_> {
    /// The stages of preflight. That of the report fails where something does not fit, and leaves the report in `misfit`.
    pub fn preflight<'s>(&'s self, misfit: &'s Misfit) -> anyhow::Result<Vec<Stage<'s>>> {
        // What is pinned, or a tree.
        let pin = match &self.kernel {
            Some(_) => None,
            None => Some(self.kernel_pin()?),
        };
        let mut texts = recipes::of(name::PREFLIGHT);
        texts.push(self.settings_input());
        let packages = match self.target.distribution.kind {
            DistributionKind::Rehearsal => {
                let recipe = self.recipe()?;
                if let Some(pin) = &pin {
                    texts.push(("kernel-archive".to_owned(), pin.file.clone()));
                    let wanted = &self.target.distribution.kernel;
                    if let Some(spec) = &wanted.spec {
                        texts.push(self.spec_input("kernel-spec", spec)?);
                    }
                    for fragment in &wanted.config {
                        texts.push(self.spec_input("kernel-config", fragment)?);
                    }
                }
                lustre_distro::inputs_digest(recipe, &self.lock.package)?
            }
            DistributionKind::Repositories => {
                if let Some(pin) = &pin {
                    texts.push(("kernel-package".to_owned(), pin.sha256.to_string()));
                }
                self.packages_digest()
            }
        };
        let archive = match (&self.kernel, &pin) {
            (Some(tree), _) => {
                texts.extend(self.kernel_tree_inputs(tree)?);
                tree.source().identity().to_string()
            }
            (None, Some(pin)) => pin.sha256.to_string(),
            (None, None) => String::new(),
        };
        texts.extend(self.kernel_overlay_inputs("kernel-overlay")?);
        let mut all = texts.clone();
        all.extend([
            (
                "target".to_owned(),
                serde_json::to_string(&self.target.without_needs())?,
            ),
            (name::LUSTRE.to_owned(), self.label()),
            (
                "incomplete".to_owned(),
                self.incomplete.values().map(String::as_str).collect(),
            ),
            ("locked".to_owned(), self.locked.to_string()),
            (
                "kernel-incomplete".to_owned(),
                self.kernel_incomplete_allowed.to_string(),
            ),
            self.spec_input("e2fsprogs-spec", &self.target.e2fsprogs.spec)?,
            self.spec_input("knowledge", Knowledge::FILE)?,
            self.spec_input("faults", Ledger::FILE)?,
            ("packages".to_owned(), packages),
        ]);
        let mut tree = recipes::of(LUSTRE);
        tree.extend([
            ("source".to_owned(), self.lustre.identity().to_string()),
            self.settings_input(),
        ]);
        tree.extend(self.kernel_overlay_inputs("kernel-overlay")?);
        if let Some(overlay) = &self.target.lustre.overlay {
            tree.extend(self.overlay_inputs("overlay", overlay, &self.target.lustre.options)?);
            all.push(self.spec_input("lustre-overlay", overlay)?);
        }
        if self.locked || self.e2fsprogs.is_some() {
            all.push((name::E2FSPROGS.to_owned(), self.e2fsprogs_input()?.1));
        }
        Ok(vec![
            Stage {
                name: LUSTRE.to_owned(),
                needs: Vec::new(),
                inputs: tree,
                whole: None,
                recipe: Box::new(move |work| {
                    let time = self.target.build.source_date_epoch.into();
                    let whole = work.scratch.join("lustre");
                    self.lustre.export(self.store, &whole, time)?;
                    let wanted = &self.target.lustre;
                    let lustre = wanted.overlay.as_ref();
                    let lustre = lustre
                        .map(|folder| self.overlay(folder, &wanted.options))
                        .transpose()?;
                    let kernel = self.changed_kernel()?;
                    let read = preflight::tree::TreeFiles::of(kernel.as_ref(), lustre.as_ref());
                    Ok(read.copy(&whole, &work.output.join("tree"))?)
                }),
            },
            Stage {
                name: FILES.to_owned(),
                needs: vec![LUSTRE.to_owned()],
                inputs: texts,
                whole: None,
                recipe: Box::new(move |work| {
                    let source = self.kernel_source(work, &work.scratch.join("parts"))?;
                    let overlay = self.changed_kernel()?;
                    let tree = work.need(LUSTRE)?.join("tree");
                    let wanted = KernelFiles::read(&source, overlay.as_ref(), &tree)?;
                    Ok(fs::write(work.output.join(LIST), wanted.to_string())?)
                }),
            },
            Stage {
                name: KERNEL.to_owned(),
                needs: vec![FILES.to_owned()],
                inputs: [recipes::of(KERNEL), vec![("archive".to_owned(), archive)]].concat(),
                whole: None,
                recipe: Box::new(move |work| {
                    let path = work.need(FILES)?.join(LIST);
                    let list = lustre_files::read_to_string(&path, lustre_files::SOURCE)
                        .map_err(|error| PathError::new("read", &path, error))?;
                    let wanted = KernelFiles::from(list.as_str());
                    let into = work.output.join("tree");
                    let takes = |path: &Path| wanted.takes(path);
                    match (&self.kernel, &pin) {
                        (Some(tree), _) => {
                            let time = self.target.build.source_date_epoch.into();
                            tree.parts(self.store, work.scratch, &into, time, &takes)?;
                        }
                        (None, Some(pin)) => {
                            let file = self.kernel_archive(work, pin)?;
                            archive::unpack_only(&file, &into, 1, &takes)?;
                        }
                        (None, None) => {}
                    }
                    Ok(())
                }),
            },
            Stage {
                name: name::PREFLIGHT.to_owned(),
                needs: [LUSTRE, KERNEL].map(str::to_owned).to_vec(),
                inputs: all,
                whole: None,
                recipe: Box::new(move |work| {
                    let report = self.report(work)?;
                    if report.fits {
                        let text = serde_json::to_string_pretty(&report)?;
                        return Ok(fs::write(work.output.join(REPORT), text + "\n")?);
                    }
                    let failure = report.summary();
                    *misfit.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
                    Err(failure.into())
                }),
            },
        ])
    }

    fn report(&self, work: &Work<'_>) -> Result<Report, Failure> {
        let parts = work.need(KERNEL)?.join("tree");
        let kernel = self.kernel_source(work, &parts)?;
        let lustre = LustreSource {
            tree: work.need(LUSTRE)?.join("tree"),
            label: self.label(),
            version: self.lustre_release(),
            missing: self.lustre.missing().to_vec(),
            incomplete_allowed: !self.incomplete.contains_key(sources::LUSTRE),
        };
        let scratch = work.scratch.join("checks");
        fs::create_dir(&scratch)?;
        let e2fsprogs = if self.locked || self.e2fsprogs.is_some() {
            Some(self.e2fsprogs_archive(work.scratch)?.0)
        } else {
            None
        };
        let offered = self.locked.then(|| self.offered()).transpose()?;
        Ok(preflight::run(&Inputs {
            target: &self.target,
            specs: &self.specs,
            kernel: &kernel,
            lustre: &lustre,
            e2fsprogs: e2fsprogs.as_deref(),
            offered: offered.as_ref(),
            scratch: &scratch,
        })?)
    }

    pub(super) fn recipe(&self) -> anyhow::Result<&Recipe> {
        if let Some(recipe) = self.known.recipe.get() {
            return Ok(recipe);
        }
        let recipe = self.target.distribution.recipe.as_deref();
        let recipe = recipe.context("the target's distribution is not made on the spot")?;
        let recipe = Recipe::load(&self.specs.join(recipe))?;
        Ok(self.known.recipe.get_or_init(|| recipe))
    }

    /// The folder of the spec of the kernel that a generated distribution offers.
    pub(super) fn kernel_spec(&self) -> anyhow::Result<PathBuf> {
        let spec = self.target.distribution.kernel.spec.as_deref();
        let spec = spec.context("`distribution.kernel.spec` of the target is not given")?;
        Ok(self.specs.join(spec))
    }

    /// The names of what the distribution's packages offer.
    fn offered(&self) -> Result<BTreeSet<String>, Failure> {
        if self.target.distribution.kind == DistributionKind::Rehearsal {
            return Ok(lustre_distro::offered::offered(
                self.recipe()?,
                &self.lock.package,
            )?);
        }
        let mut files = Vec::new();
        for pin in &self.lock.package {
            files.push(self.pinned(&pin.file.sha256.parse()?, &pin.file.file)?);
        }
        Ok(preflight::packages::offered(
            files.iter().map(PathBuf::as_path),
        )?)
    }

    /// The overlay of the kernel; none for the distribution's own.
    fn changed_kernel(&self) -> Result<Option<Overlay>, Failure> {
        Ok(self.target.kernel_overlay(&self.specs)?)
    }

    /// The archive of the kernel's source: what is pinned, or out of the source package that is.
    fn kernel_archive(&self, work: &Work<'_>, pin: &Pinned) -> Result<PathBuf, Failure> {
        let file = self.pinned(&pin.sha256, &pin.file)?;
        if self.target.distribution.kind == DistributionKind::Rehearsal {
            return Ok(file);
        }
        let folder = work.scratch.join("kernel-package");
        let arch = &self.target.distribution.arch;
        Ok(KernelSource::of_srpm(&file, &folder, Path::new(""), arch)?.archive()?)
    }

    /// The distribution's kernel source as its source package holds it; of a generated distribution, without making that
    /// package.
    fn kernel_source(&self, work: &Work<'_>, parts: &Path) -> Result<KernelSource, Failure> {
        if let Some(tree) = &self.kernel {
            return self.tree_source(tree, work, parts);
        }
        let distribution = &self.target.distribution;
        let folder = work.scratch.join("kernel-spec");
        let archive = &self.kernel_pin()?.file;
        if distribution.kind == DistributionKind::Repositories {
            let pin = self.kernel_pin()?;
            let file = self.pinned(&pin.sha256, &pin.file)?;
            return Ok(KernelSource::of_srpm(
                &file,
                &folder,
                parts,
                &distribution.arch,
            )?);
        }
        let fragments: Vec<PathBuf> = distribution
            .kernel
            .config
            .iter()
            .map(|path| self.specs.join(path))
            .collect();
        let spec = self.kernel_spec()?;
        lustre_distro::release::for_archive(&spec, archive, &fragments, &folder)?;
        let recipe = self.recipe()?;
        let macros = recipe.macros();
        let rpmspec = work.scratch.join("rpmspec");
        fs::create_dir(&rpmspec)?;
        let tools = SpecTools {
            macros: &macros,
            scratch: &rpmspec,
            time: recipe.distribution.time,
            dist: None,
        };
        let made = tools.packages(&folder)?;
        let package = made
            .first()
            .ok_or_else(|| format!("the spec in {} makes no packages", spec.display()))?;
        Ok(KernelSource {
            folder,
            parts: parts.to_owned(),
            version: package.version.clone(),
            release: package.release.clone(),
            arch: distribution.arch.clone(),
            tree: None,
        })
    }

    /// The release that Lustre's tree is; none for a folder that somebody may have changed.
    pub(super) fn lustre_release(&self) -> Option<String> {
        let folder = matches!(self.lustre.locked, Locked::Path { .. });
        let changed = folder && self.lustre.replaced.is_some();
        (!changed).then(|| self.target.lustre.version.clone())
    }

    /// What Lustre's tree is, in a few words.
    fn label(&self) -> String {
        let revision = match (&self.lustre.replaced, &self.lustre.locked) {
            (Some(by), _) if by.rev.is_some() => by.rev.clone().unwrap_or_default(),
            (Some(by), Locked::Path { .. }) => by.path.display().to_string(),
            (_, Locked::Git { tag: Some(tag), .. }) => tag.clone(),
            (_, Locked::Git { commit, .. }) => match &self.target.lustre.source {
                Source::Git {
                    tag: Some(tag),
                    commit: asked,
                    ..
                } if asked == commit => tag.clone(),
                _ => commit.chars().take(10).collect(),
            },
            _ => self.target.lustre.version.clone(),
        };
        format!("Lustre {revision}")
    }
}
