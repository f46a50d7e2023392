//! The distribution: its repositories, the bootstrap with its own dnf, and buildroots made by that dnf.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::advised;
use lustre_packaging::build::kernel_tree::KernelTree;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::buildroot::{self, TargetDnf};
use lustre_packaging::lock::Pinned;
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::Digest;
use lustre_packaging::target::DistributionKind;

use super::inputs::{BuildGraph, list_input};
use super::kernel_tree::expect_release;
use super::{name, recipes};

impl BuildGraph<'_> {
    /// The base and source repositories.
    pub(super) fn distribution(&self) -> anyhow::Result<Stage<'_>> {
        match self.target.distribution.kind {
            DistributionKind::Rehearsal => self.rehearsal(),
            DistributionKind::Repositories => self.repositories(),
        }
    }

    /// The repositories of a generated distribution, from the pinned packages and signed with its own key.
    fn rehearsal(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.distribution;
        let recipe = self.recipe()?;
        // The archive that is pinned, or a tree.
        let pin = match &self.kernel {
            Some(_) => None,
            None => Some(self.kernel_pin()?),
        };
        let mut inputs = recipes::of(name::DISTRIBUTION);
        inputs.push((
            "packages".to_owned(),
            lustre_distro::inputs_digest(recipe, &self.lock.package)?,
        ));
        if let Some(pin) = &pin {
            if let Some(spec) = &wanted.kernel.spec {
                inputs.push(self.spec_input("kernel-spec", spec)?);
            }
            inputs.push(("kernel-source".to_owned(), pin.sha256.to_string()));
        }
        inputs.extend([
            ("key".to_owned(), wanted.key.clone()),
            self.settings_input(),
        ]);
        match &self.kernel {
            Some(tree) => inputs.extend(self.kernel_tree_inputs(tree)?),
            None => {
                for fragment in &wanted.kernel.config {
                    inputs.push(self.spec_input("kernel-config", fragment)?);
                }
            }
        }
        Ok(Stage {
            name: name::DISTRIBUTION.to_owned(),
            needs: self.kernel_archive_needs(),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let debs = work.scratch.join("debs");
                fs::create_dir(&debs)?;
                for pin in &self.lock.package {
                    let digest = pin.file.sha256.parse()?;
                    std::os::unix::fs::symlink(
                        self.pinned(&digest, &pin.file.file)?,
                        debs.join(&pin.file.file),
                    )?;
                }
                let (spec, archive) = match (&pin, &self.kernel) {
                    (_, Some(tree)) => self.tree_sources(tree, work)?,
                    (Some(pin), None) => self.archive_sources(work, pin, &debs)?,
                    (None, None) => return Err("there is no source of the kernel".into()),
                };
                let key = lustre_distro::build(
                    recipe,
                    &lustre_distro::Inputs {
                        pins: &self.lock.package,
                        debs: &debs,
                        kernel_spec: &spec,
                        kernel_source: &archive,
                        kernel_dist: self.kernel.as_ref().map(KernelTree::dist),
                        jobs: self.jobs,
                    },
                    work.scratch,
                    work.output,
                    work.log,
                )?;
                if key != wanted.key {
                    return Err(format!(
                        "the distribution's key is {key}, but the target pins {}",
                        wanted.key
                    )
                    .into());
                }
                if let Some(tree) = &self.kernel {
                    let made = work.output.join("source/Packages");
                    for package in rpmbuild::packages_under(&made)? {
                        expect_release(tree, &package)?;
                    }
                }
                Ok(())
            }),
        })
    }

    /// The spec for the archive that the lock pins, and the archive under the name that the spec knows it by.
    fn archive_sources(
        &self,
        work: &Work<'_>,
        pin: &Pinned,
        folder: &Path,
    ) -> Result<(PathBuf, PathBuf), Failure> {
        let archive = folder.join(&pin.file);
        std::os::unix::fs::symlink(self.pinned(&pin.sha256, &pin.file)?, &archive)?;
        let spec = work.scratch.join("kernel-spec");
        let wanted = &self.target.distribution.kernel;
        let fragments: Vec<PathBuf> = wanted
            .config
            .iter()
            .map(|path| self.specs.join(path))
            .collect();
        lustre_distro::release::for_archive(&self.kernel_spec()?, &pin.file, &fragments, &spec)?;
        Ok((spec, archive))
    }

    /// The chroot that holds the target's own dnf, rpm and rpmbuild, made by the host's dnf.
    pub(super) fn bootstrap(&self) -> Stage<'_> {
        let packages = &self.target.distribution.bootstrap;
        let mut inputs = recipes::of(name::BOOTSTRAP);
        inputs.extend([
            ("packages".to_owned(), packages.join(" ")),
            ("key".to_owned(), self.target.distribution.key.clone()),
        ]);
        inputs.extend(self.module_input());
        Stage {
            name: name::BOOTSTRAP.to_owned(),
            needs: self.needs(name::BOOTSTRAP),
            inputs,
            whole: Some(("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new(move |work| {
                let base = self.base(work)?;
                let root = work.output.join("root");
                buildroot::bootstrap(&base, packages, &root, &work.scratch.join("dnf"), work.log)?;
                let dnf = TargetDnf::new(&root, &work.scratch.join("clone"), &base)?;
                let list = dnf.installed(&root)?;
                fs::write(work.output.join("packages.txt"), list)?;
                Ok(())
            }),
        }
    }

    /// The chroot of the install proof: the distribution's own packages, installed by its own dnf.
    pub(super) fn install_root(&self) -> anyhow::Result<Stage<'_>> {
        let packages = self.server_packages(&self.target.install.base)?;
        let mut inputs = recipes::of(name::INSTALL_ROOT);
        inputs.push(list_input("packages", &packages));
        inputs.extend(self.module_input());
        Ok(Stage {
            name: name::INSTALL_ROOT.to_owned(),
            needs: self.needs(name::INSTALL_ROOT),
            inputs,
            whole: Some(("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new(move |work| self.make_root(work, &packages, None)),
        })
    }

    /// Makes `root/` with `packages` and the package files in `local`, and `packages.txt`, by the target's own dnf.
    pub(super) fn make_root(
        &self,
        work: &Work<'_>,
        packages: &[String],
        local: Option<&Path>,
    ) -> Result<(), Failure> {
        let base = self.base(work)?;
        let bootstrap = work.need(name::BOOTSTRAP)?.join("root");
        let mut dnf = TargetDnf::new(&bootstrap, &work.scratch.join("clone"), &base)?;
        let root = work.output.join("root");
        dnf.install(&root, packages, local, work.log)?;
        fs::write(work.output.join("packages.txt"), dnf.installed(&root)?)?;
        Ok(())
    }

    /// The pinned file `file` in the store, with its content checked once more before it is used.
    pub(super) fn pinned(&self, digest: &Digest, file: &str) -> Result<PathBuf, Failure> {
        self.store.verified_file(digest)?.ok_or_else(|| {
            advised(
                format!("{file} (sha256 {digest}) is not in the store"),
                "run `cargo xtask fetch`",
            )
            .into()
        })
    }
}
