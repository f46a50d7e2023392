//! What the stages of a target are made from, and what of it is their inputs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_distro::Recipe;
use lustre_packaging::build::circumstances::Circumstances;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::build::workdir::Settings;
use lustre_packaging::buildroot::{Base, BaseRepo};
use lustre_packaging::built::BuildOutput;
use lustre_packaging::lock::{self, Lock, Pinned};
use lustre_packaging::overlay::Overlay;
use lustre_packaging::process::Limits;
use lustre_packaging::source::FetchedSource;
use lustre_packaging::stage::{Failure, Work, digest_of};
use lustre_packaging::store::Store;
use lustre_packaging::target::{DistributionKind, Target};
use lustre_repository::manifest::Overrides;

use super::{name, recipes, shape};
use crate::obs::Obs;
use crate::sources::KERNEL_SOURCE;

/// What the stages of a target are made from.
#[derive(Debug)]
pub struct BuildGraph<'a> {
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
    /// How far a build may go.
    pub limits: Limits,
    /// Under which circumstances everything is built; they must not change what comes out.
    pub circumstances: Circumstances,
    /// Where a compiler cache keeps what was compiled; none where nothing is compiled with one.
    pub ccache: Option<PathBuf>,
    /// Lustre's source tree.
    pub lustre: FetchedSource,
    /// The tree of e2fsprogs, where it is not the archive that the lock pins.
    pub e2fsprogs: Option<FetchedSource>,
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
    /// What builds packages in place of this machine.
    pub obs: Option<Obs<'a>>,
    /// What was built elsewhere, in place of the builds.
    pub built: Option<&'a BuildOutput>,
    /// What the graph is asked for again and again.
    pub known: GraphCache,
}

/// What does not change while there is a graph, once it is known.
#[derive(Debug, Default)]
pub struct GraphCache {
    /// The digest of the lock.
    pub(super) lock: OnceLock<String>,
    /// The recipe of a generated distribution.
    pub(super) recipe: OnceLock<Recipe>,
}

/// The build settings that are inputs.
fn settings_text(target: &Target, circumstances: Circumstances) -> String {
    let build = &target.build;
    let dist = &target.distribution.dist;
    let usual = format!("{} {} {dist}", build.source_date_epoch, build.host);
    with_circumstances(usual, circumstances)
}

/// Settings that are inputs, with the circumstances. What was built under other ones is what everybody would get only where that is what was to be
/// found out, so it is never taken for that.
pub(super) fn with_circumstances(usual: String, circumstances: Circumstances) -> String {
    match circumstances {
        Circumstances::Usual => usual,
        Circumstances::Other => usual + " elsewhere",
    }
}

impl BuildGraph<'_> {
    /// The stages that `stage` needs.
    pub(super) fn needs(&self, stage: &str) -> Vec<String> {
        let mut needs = shape::needs(&self.target, stage);
        if self.obs.is_some() {
            needs.extend(shape::needs_elsewhere(&self.target, stage));
        }
        needs
    }

    /// The build settings.
    pub fn settings(&self) -> Settings {
        Settings {
            circumstances: self.circumstances,
            limits: self.limits,
            ..Settings::new(&self.target, self.jobs)
        }
    }

    /// A stage's inputs that come from the build settings; how many jobs run must not change what comes out, so it is none.
    pub(super) fn settings_input(&self) -> (String, String) {
        let text = settings_text(&self.target, self.circumstances);
        ("settings".to_owned(), text)
    }

    /// A file or folder under `specs/` as a stage's input.
    pub(super) fn spec_input(&self, label: &str, path: &str) -> anyhow::Result<(String, String)> {
        let path = self.target.folder(&self.specs, path);
        Ok((label.to_owned(), digest_of(&path)?))
    }

    /// The overlay in a folder under `specs/`, with the options that the target takes of it.
    pub(super) fn overlay(&self, folder: &str, options: &[String]) -> Result<Overlay, Failure> {
        let folder = self.target.folder(&self.specs, folder);
        Ok(Overlay::load_in(&self.specs, &folder, options)?)
    }

    pub(super) fn kernel_overlay(&self) -> Result<Overlay, Failure> {
        let overlay = self.target.kernel_overlay(&self.specs)?;
        Ok(overlay
            .ok_or("the target has the distribution's own kernel, which no overlay changes")?)
    }

    /// An overlay with its options as a stage's inputs; a target that takes none has no input of them.
    pub(super) fn overlay_inputs(
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
            .map_err(|error| anyhow::anyhow!(error))?;
        for (name, below) in &overlay.below {
            inputs.push((format!("{label}-over-{name}"), digest_of(below)?));
        }
        Ok(inputs)
    }

    /// The overlay of the kernel as a stage's inputs; none for the distribution's own.
    pub(super) fn kernel_overlay_inputs(
        &self,
        label: &str,
    ) -> anyhow::Result<Vec<(String, String)>> {
        let kernel = &self.target.kernel;
        let Some(overlay) = kernel.changed_by() else {
            return Ok(Vec::new());
        };
        let mut inputs = self.overlay_inputs(label, overlay, &kernel.options)?;
        let overlay = self
            .kernel_overlay()
            .map_err(|error| anyhow::anyhow!(error))?;
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
    pub(super) fn base(&self, work: &Work<'_>) -> Result<Base, Failure> {
        Ok(base(&self.target, work.need(name::DISTRIBUTION)?))
    }

    /// What the lock pins of the distribution's kernel: the upstream archive that its source package is made of, or that package.
    pub(super) fn kernel_pin(&self) -> Result<Pinned, lock::Error> {
        self.lock.file(kernel_source(&self.target))
    }

    /// What decides which module streams dnf takes, as a stage's input; none where there are no modules.
    pub(super) fn module_input(&self) -> Option<(String, String)> {
        let platform = self.target.distribution.module_platform.as_ref();
        platform.map(|platform| ("module-platform".to_owned(), platform.clone()))
    }
}

impl BuildGraph<'_> {
    /// What the proofs depend on besides the repository and the chroot.
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
        // For an existing distribution, the metadata here is made here: of packages that are checked by pinned digests and
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

/// The lock's name for the source package of the kernel of an existing distribution.
pub const KERNEL_PACKAGE: &str = name::KERNEL;

/// A list as a stage's input: as JSON, so that no two lists look the same.
pub(super) fn list_input(label: &str, list: &[String]) -> (String, String) {
    (label.to_owned(), serde_json::json!(list).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_elsewhere_is_another_stage() {
        let target = Target::load(&crate::place::specs(), "rehearsal").unwrap();
        let [usual, other] =
            [Circumstances::Usual, Circumstances::Other].map(|it| settings_text(&target, it));
        let epoch = target.build.source_date_epoch;
        assert!(usual.starts_with(&format!("{epoch} ")), "{usual}");
        assert_ne!(usual, other);
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
