//! The road of a target as a graph of stages.
//!
//! - [`distribution`]: the base repositories, the bootstrap and the buildroots.
//! - [`e2fsprogs`]: from the pinned archive or a tree to unsigned RPMs.
//! - [`repositories`]: the base of a distribution that is there already, of the packages that the lock pins.
//! - [`kernel`]: the kernel, rebuilt or the distribution's own.
//! - [`kernel_tree`]: a tree in place of its source package.
//! - [`packages`]: Lustre, from source to unsigned RPMs; what all builds share.
//! - [`finish`]: signing, assembling and proving.
//! - [`release`]: when a repository is released.
//! - [`outline`]: the same in words, where nothing is locked yet.
//! - [`recipes`]: what stands in a stage's key for its code.
//! - [`preflight`]: whether everything fits, before any of these.

pub mod distribution;
pub mod e2fsprogs;
pub mod finish;
pub mod kernel;
pub mod kernel_tree;
pub mod outline;
pub mod packages;
pub mod preflight;
pub mod recipes;
pub mod release;
pub mod repositories;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::build::workdir::Settings;
use lustre_packaging::buildroot::{Base, BaseRepo};
use lustre_packaging::knowledge::Knowledge;
use lustre_packaging::lock::{self, Lock, Pinned};
use lustre_packaging::overlay::Overlay;
use lustre_packaging::source::{Content, Fetched, Options};
use lustre_packaging::stage::{Failure, Stage, Work, digest_of};
use lustre_packaging::store::Store;
use lustre_packaging::target::{DistributionKind, Target};
use lustre_repository::manifest::Overrides;

use crate::commands::lock::KERNEL_SOURCE;
use crate::context::{Context, specs};
use crate::sources::Need;
use crate::{sources, ui};
use finish::Signing;

/// What the stages of a target are made from.
#[derive(Debug)]
pub struct Road<'a> {
    /// The target, with the version of the Lustre that is built.
    pub target: Cow<'a, Target>,
    /// Its lock: every source pinned.
    pub lock: &'a Lock,
    /// Where the pinned files are.
    pub store: &'a Store,
    /// The project's `specs/`.
    pub specs: PathBuf,
    /// How many jobs may run at a time.
    pub jobs: usize,
    /// Lustre's source tree.
    pub lustre: Fetched,
    /// The tree of e2fsprogs, where it is not the archive that the lock pins.
    pub e2fsprogs: Option<Fetched>,
    /// The tree that the kernel's source package is made of, where it is not what the lock pins as a file.
    pub kernel: Option<KernelTree>,
    /// Whether the user says to go on where it lacks files.
    pub kernel_incomplete_allowed: bool,
    /// Why a tree may not be built, where its clone lacks files and the user did not say to go on without them: by its name.
    pub incomplete: BTreeMap<&'static str, String>,
    /// Whether there is a lock: preflight of given sources goes without.
    pub locked: bool,
    /// What the user replaced, for the manifest.
    pub overrides: Overrides,
}

/// What of a road is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// All of it.
    All,
    /// All of it, without a step.
    Plan,
    /// Preflight alone, of sources that are given.
    Given,
    /// What a repository is proven on.
    Servers,
}

/// Names of stages that others need.
pub mod name {
    /// Whether everything fits.
    pub const PREFLIGHT: &str = "preflight";
    /// The base and source repositories.
    pub const DISTRIBUTION: &str = "distribution";
    /// The chroot with the target's own dnf and rpm.
    pub const BOOTSTRAP: &str = "bootstrap";
    /// Lustre's source tree, with our fixups.
    pub const LUSTRE_TREE: &str = "lustre-tree";
    /// The chroot of the install proof: the base alone.
    pub const INSTALL_ROOT: &str = "install-root";
    /// All packages, signed.
    pub const SIGN: &str = "sign";
    /// When a repository with just this content was first released.
    pub const RELEASE_TIME: &str = "release-time";
    /// The repository.
    pub const ASSEMBLE: &str = "assemble";
    /// The proofs.
    pub const PROVE: &str = "prove";
    /// The proofs that need a running kernel.
    pub const BOOT: &str = "boot";
    /// The repository with its proofs.
    pub const FINISH: &str = "finish";
}

impl<'a> Road<'a> {
    /// The road of the context's target, as locked.
    ///
    /// # Errors
    /// When an argument of the command line makes no sense.
    pub fn new(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::All)
    }

    /// The same for a plan, which builds nothing: of Lustre's tree it is enough to know which it is.
    ///
    /// # Errors
    /// As [`Road::new`].
    pub fn planned(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::Plan)
    }

    /// The same for what any repository of the target is proven on: none of what is built here.
    ///
    /// # Errors
    /// As [`Road::new`].
    pub fn of_servers(context: &'a Context, lock: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, lock, Needs::Servers)
    }

    /// The same for sources that are all given, of which no lock is needed to look whether they fit: what only a lock knows is left out.
    ///
    /// # Errors
    /// As [`Road::new`].
    pub fn of_given(context: &'a Context, none: &'a Lock) -> anyhow::Result<Self> {
        Self::with(context, none, Needs::Given)
    }

    fn with(context: &'a Context, lock: &'a Lock, needs: Needs) -> anyhow::Result<Self> {
        let options = sources::options(&context.arguments)?;
        let of_lustre = match needs {
            Needs::All | Needs::Given => Need::Content,
            Needs::Plan | Needs::Servers => Need::Pin,
        };
        let (lustre, why) = sources::lustre(context, lock, of_lustre)?;
        let mut incomplete = BTreeMap::new();
        incomplete.extend(why.map(|why| (sources::LUSTRE, why)));
        let mut kernel = None;
        if let Some((tree, why)) = sources::kernel(context, lock)? {
            incomplete.extend(why.map(|why| (sources::KERNEL, why)));
            kernel = Some(tree);
        }
        let mut overrides = asked_for(&context.target, &options);
        if !lustre.missing().is_empty() {
            let missing = lustre.missing().to_vec();
            overrides
                .incomplete
                .insert(sources::LUSTRE.to_owned(), missing);
        }
        if let Some(tree) = kernel.as_ref().map(KernelTree::source)
            && !tree.missing().is_empty()
        {
            let missing = tree.missing().to_vec();
            overrides
                .incomplete
                .insert(sources::KERNEL.to_owned(), missing);
        }
        let mut target = Cow::Borrowed(&context.target);
        // Another revision than the target's has another version.
        if lustre.replaced.as_ref().is_some_and(|by| by.rev.is_some())
            && let Some(version) = lustre.version(&context.store)?
        {
            target.to_mut().lustre.version = version;
        }
        // Another kernel than the target's may need another fixup and another series.
        if let Some(tree) = &kernel
            && tree.source().replaced.is_some()
        {
            let wanted = &target.lustre;
            let knowledge = Knowledge::load(&specs())?;
            let options = knowledge.options(
                &wanted.version,
                &tree.release,
                &context.target.lustre_overlays(&specs()),
                &wanted.options,
            );
            if options != wanted.options {
                ui::warn(&format!(
                    "for kernel {}-{} the overlay of Lustre has the options [{}] in place of [{}]",
                    tree.version,
                    tree.release,
                    options.join(", "),
                    wanted.options.join(", ")
                ));
                target.to_mut().lustre.options = options;
            }
            let version = &target.lustre.version;
            if let Some(series) = knowledge.series_instead(&context.target, version, &tree.release)
            {
                ui::warn(&format!(
                    "for kernel {}-{} the series of ldiskfs is {series} in place of {}",
                    tree.version,
                    tree.release,
                    target.lustre.ldiskfs_series.as_deref().unwrap_or("none")
                ));
                target.to_mut().lustre.ldiskfs_series = Some(series);
            }
        }
        // An update may have moved on from the kernel that the target names: the lock knows.
        if target.kernel.moves {
            target.to_mut().kernel.version = None;
        }
        // Nobody but a lock says which e2fsprogs it is, unless it is given.
        let is_given = sources::is_replaced(&context.arguments, sources::E2FSPROGS);
        let e2fsprogs = match needs {
            Needs::Given if !is_given => None,
            // What a plan tells depends on what is in it; a server, if it is not here, has what the target says.
            Needs::All | Needs::Given | Needs::Plan => {
                sources::e2fsprogs(context, lock, Need::Content)?
            }
            Needs::Servers => {
                let tree = sources::e2fsprogs(context, lock, Need::Pin)?;
                tree.filter(|tree| !matches!(tree.content, Content::Elsewhere))
            }
        };
        if let Some(tree) = &e2fsprogs {
            let wanted = e2fsprogs::of_tree(&target.e2fsprogs, tree, &context.store)?;
            if wanted.series() != target.e2fsprogs.series() {
                overrides
                    .series
                    .insert(sources::E2FSPROGS.to_owned(), wanted.series.clone());
            }
            target.to_mut().e2fsprogs = wanted;
        }
        Ok(Self {
            target,
            lock,
            store: &context.store,
            specs: specs(),
            jobs: context.jobs,
            lustre,
            e2fsprogs,
            kernel,
            kernel_incomplete_allowed: options
                .allow_incomplete
                .iter()
                .any(|name| name == sources::KERNEL),
            incomplete,
            locked: needs != Needs::Given,
            overrides,
        })
    }
}

/// What the command line takes in place of the target's own: the manifest tells it.
fn asked_for(target: &Target, options: &Options) -> Overrides {
    let own = target.chosen.lustre.clone();
    Overrides {
        sources: options
            .overrides
            .iter()
            .map(|by| (by.name.clone(), by.to_string()))
            .collect(),
        mirrors: options
            .mirrors
            .iter()
            .map(|mirror| (mirror.from.to_string(), mirror.to.to_string()))
            .collect(),
        lustre: own.filter(|_| target.chosen.instead),
        ..Overrides::default()
    }
}

impl Road<'_> {
    /// All stages up to the unsigned packages.
    ///
    /// # Errors
    /// When an input of a stage cannot be read, or Lustre's tree is incomplete.
    pub fn builds(&self) -> anyhow::Result<Vec<Stage<'_>>> {
        if let Some(why) = self.incomplete.values().next() {
            anyhow::bail!("{why}");
        }
        let mut stages: Vec<Stage<'_>> = self.kernel_archive_stage().into_iter().collect();
        stages.extend([self.distribution()?, self.bootstrap()]);
        stages.extend(self.packages()?);
        Ok(stages)
    }

    /// The stages that the proofs of any repository need: the distribution and a clean chroot.
    ///
    /// # Errors
    /// When an input of a stage cannot be read.
    pub fn roots(&self) -> anyhow::Result<Vec<Stage<'_>>> {
        let mut stages: Vec<Stage<'_>> = self.kernel_archive_stage().into_iter().collect();
        stages.extend([self.distribution()?, self.bootstrap(), self.install_root()?]);
        Ok(stages)
    }

    /// All stages up to the signed packages, and the chroot of the install proof.
    ///
    /// # Errors
    /// When an input of a stage cannot be read.
    pub fn signed<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Vec<Stage<'s>>> {
        let mut stages: Vec<Stage<'s>> = self.builds()?;
        stages.push(self.install_root()?);
        stages.push(self.release(signing)?);
        stages.push(self.sign(signing));
        Ok(stages)
    }

    /// The same, and the assembled repository.
    ///
    /// # Errors
    /// As [`Road::signed`].
    pub fn assembled<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Vec<Stage<'s>>> {
        let mut stages = self.signed(signing)?;
        stages.push(self.assemble(signing)?);
        Ok(stages)
    }

    /// The build settings.
    pub fn settings(&self) -> Settings {
        Settings::new(&self.target, self.jobs)
    }

    /// A stage's inputs that come from the build settings; how many jobs run must not change what comes out, so it is none.
    fn settings_input(&self) -> (String, String) {
        let build = &self.target.build;
        let text = format!(
            "{} {} {}",
            build.source_date_epoch, build.host, self.target.distribution.dist
        );
        ("settings".to_owned(), text)
    }

    /// A file or folder under `specs/` as a stage's input.
    fn spec_input(&self, label: &str, path: &str) -> anyhow::Result<(String, String)> {
        let path = self.target.folder(&self.specs, path);
        Ok((label.to_owned(), digest_of(&path)?))
    }

    /// The overlay in a folder under `specs/`, with the options that the target takes of it.
    fn overlay(&self, folder: &str, options: &[String]) -> Result<Overlay, Failure> {
        let folder = self.target.folder(&self.specs, folder);
        Ok(Overlay::load_in(&self.specs, &folder, options)?)
    }

    fn kernel_overlay(&self) -> Result<Overlay, Failure> {
        let kernel = &self.target.kernel;
        self.overlay(&kernel.overlay, &kernel.options)
    }

    /// An overlay with its options as a stage's inputs; a target that takes none has no input of them.
    fn overlay_inputs(
        &self,
        label: &str,
        folder: &str,
        options: &[String],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let mut inputs = vec![self.spec_input(label, folder)?];
        if !options.is_empty() {
            inputs.push(list_input(&format!("{label}-options"), options));
        }
        let overlay = self
            .overlay(folder, options)
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        for (name, below) in &overlay.below {
            inputs.push((format!("{label}-over-{name}"), digest_of(below)?));
        }
        Ok(inputs)
    }

    /// The overlay of the kernel as a stage's inputs; none for the distribution's own.
    fn kernel_overlay_inputs(&self, label: &str) -> anyhow::Result<Vec<(String, String)>> {
        let kernel = &self.target.kernel;
        if !kernel.kind.is_patched() {
            return Ok(Vec::new());
        }
        let mut inputs = self.overlay_inputs(label, &kernel.overlay, &kernel.options)?;
        let overlay = self
            .kernel_overlay()
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        let files = self
            .target
            .site_files(&self.specs, &overlay)
            .map_err(anyhow::Error::msg)?;
        for (file, digest) in files {
            inputs.push((format!("{label}-site-{file}"), digest.to_string()));
        }
        Ok(inputs)
    }

    /// The base repositories as the stage `distribution` left them.
    fn base(&self, work: &Work<'_>) -> Result<Base, Failure> {
        Ok(base(&self.target, work.need(name::DISTRIBUTION)?))
    }

    /// What the lock pins of the distribution's kernel: the upstream archive that its source package is made of, or that package.
    fn kernel_pin(&self) -> Result<Pinned, lock::Error> {
        self.lock.file(kernel_source(&self.target))
    }

    /// What decides which module streams dnf takes, as a stage's input; none where there are no modules.
    fn module_input(&self) -> Option<(String, String)> {
        let platform = self.target.distribution.module_platform.as_ref();
        platform.map(|platform| ("module-platform".to_owned(), platform.clone()))
    }
}

impl Road<'_> {
    /// What the proofs depend on besides the repository and the chroot.
    ///
    /// # Errors
    /// When the target cannot be written as JSON.
    pub fn proof_inputs(&self) -> anyhow::Result<Vec<(String, String)>> {
        // What boots is another stage's.
        let target = Target {
            boot: None,
            ..self.target.without_needs()
        };
        let mut inputs = recipes::of(name::PROVE);
        inputs.push(("target".to_owned(), serde_json::to_string(&target)?));
        Ok(inputs)
    }
}

/// The base repositories of `target` in `folder`, the output of the stage [`name::DISTRIBUTION`].
pub fn base(target: &Target, folder: &Path) -> Base {
    let distribution = &target.distribution;
    Base {
        repos: vec![BaseRepo {
            id: "base".to_owned(),
            folder: folder.join("base"),
        }],
        key: folder.join("key.asc"),
        arch: distribution.arch.clone(),
        // Of a distribution that is there already, the metadata here is made here: of packages that are checked by pinned digests and
        // their own signatures.
        signed_metadata: distribution.kind == DistributionKind::Rehearsal,
        module_platform: distribution.module_platform.clone(),
    }
}

/// The lock's name for the source of the distribution's kernel.
pub fn kernel_source(target: &Target) -> &'static str {
    match target.distribution.kind {
        DistributionKind::Rehearsal => KERNEL_SOURCE,
        DistributionKind::Repositories => KERNEL_PACKAGE,
    }
}

/// The lock's name for the source package of the kernel of a distribution that is there already.
pub const KERNEL_PACKAGE: &str = "kernel";

/// The names of the stages a stage needs, owned.
fn needs(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A list as a stage's input: as JSON, so that no two lists look the same.
fn list_input(label: &str, list: &[String]) -> (String, String) {
    (label.to_owned(), serde_json::json!(list).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_of_lustre_than_the_targets_own_is_in_the_manifest() {
        let recorded = |lustre: Option<&str>| {
            let target = Target::load_with(&specs(), "rocky-8.10", lustre).unwrap();
            let asked = asked_for(&target, &Options::default());
            serde_json::to_value(&asked).unwrap().get("lustre").cloned()
        };
        assert_eq!(recorded(Some("2.15.8")), Some("2.15.8".into()));
        // Its own is no other, chosen or not.
        assert_eq!(recorded(Some("2.17.0")), None);
        assert_eq!(recorded(None), None);
    }

    #[test]
    fn no_two_lists_look_the_same() {
        let list = |items: &[&str]| {
            let items: Vec<String> = items.iter().map(|item| (*item).to_owned()).collect();
            list_input("packages", &items).1
        };
        let one = [
            &["a b"][..],
            &["a", "b"],
            &["a\",\"b"],
            &["a", "b", ""],
            &[],
        ];
        for (at, first) in one.iter().enumerate() {
            for second in &one[at + 1..] {
                assert_ne!(list(first), list(second));
            }
        }
    }
}
