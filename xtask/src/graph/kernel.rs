//! The kernel: rebuilt with Lustre's patches, or the distribution's own with its ext4 source for ldiskfs.

use std::path::PathBuf;

use lustre_files::advised;
use lustre_packaging::build::ext4::{self, Ext4};
use lustre_packaging::build::roots::Buildroot;
use lustre_packaging::build::{kernel, rpmbuild};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::target::{DistributionKind, SITE, Source};

use super::inputs::BuildGraph;
use super::packages::{one_srpm, tell_hits};
use super::{name, recipes};
use crate::sources;

/// The folder under `specs/` of the package of ext4 source.
const EXT4_SPEC: &str = "kernel/ext4-source";

/// The packages of a kernel that a server runs, of the distribution.
const OF_A_SERVER: [&str; 3] = ["kernel", "kernel-core", "kernel-modules"];

impl BuildGraph<'_> {
    /// The distribution's kernel sources, changed. All that the kernel sees of Lustre's tree goes in here, so a change of Lustre
    /// that leaves its kernel patches alone leaves the kernel alone.
    pub(super) fn kernel_sources(&self) -> anyhow::Result<Stage<'_>> {
        let mut inputs = recipes::of(name::KERNEL_SOURCES);
        inputs.extend([
            (
                "package".to_owned(),
                format!("{:?}", self.target.kernel.source),
            ),
            ("key".to_owned(), self.target.distribution.key.clone()),
        ]);
        inputs.extend(self.kernel_overlay_inputs("overlay")?);
        Ok(Stage {
            name: name::KERNEL_SOURCES.to_owned(),
            needs: self.needs(name::KERNEL_SOURCES),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let Source::Srpm(package) = &self.target.kernel.source else {
                    return Err("kernel.source: only `srpm` is supported".into());
                };
                let srpm = self.distribution_kernel(work, package)?;
                let tree = work.need(name::LUSTRE_TREE)?.join("tree");
                let site = self.target.site(&self.specs);
                let mut roots = vec![("lustre", tree.as_path())];
                roots.extend(site.iter().map(|folder| (SITE, folder.as_path())));
                kernel::sources(
                    &srpm,
                    &self.kernel_overlay()?,
                    &roots,
                    work.scratch,
                    work.output,
                )?;
                Ok(())
            }),
        })
    }

    pub(super) fn kernel_srpm(&self) -> anyhow::Result<Stage<'_>> {
        let mut inputs = recipes::of(name::KERNEL_SRPM);
        inputs.push(self.settings_input());
        inputs.extend(self.kernel_overlay_inputs("overlay")?);
        Ok(Stage {
            name: name::KERNEL_SRPM.to_owned(),
            needs: self.needs(name::KERNEL_SRPM),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let mut build = self.workdir(work, &work.need(name::BOOTSTRAP)?.join("root"))?;
                let prepared = work.need(name::KERNEL_SOURCES)?;
                let overlay = self.kernel_overlay()?;
                let made = kernel::source_package(&mut build, prepared, &overlay, work.log)?;
                Ok(rpmbuild::collect(&[made], &work.output.join("SRPMS"))?)
            }),
        })
    }

    pub(super) fn kernel_root(&self) -> Stage<'_> {
        let packages = Buildroot::of(&self.target, name::KERNEL, None).of_distribution();
        let mut inputs = recipes::of(name::KERNEL_ROOT);
        inputs.push(("packages".to_owned(), packages.join(" ")));
        self.root_stage(name::KERNEL, packages, inputs, &[])
    }

    pub(super) fn kernel(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.kernel;
        let mut inputs = recipes::of(name::KERNEL);
        inputs.extend([
            self.settings_input(),
            ("packages".to_owned(), wanted.packages.join(" ")),
        ]);
        inputs.extend(self.kernel_overlay_inputs("overlay")?);
        inputs.extend(self.builder_inputs());
        Ok(Stage {
            name: name::KERNEL.to_owned(),
            needs: self.needs(name::KERNEL),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let srpm = one_srpm(work, name::KERNEL)?;
                let prepared = work.need(name::KERNEL_SOURCES)?;
                let overlay = self.kernel_overlay()?;
                if let Some(obs) = &self.obs {
                    // Before `%prep`, which takes minutes.
                    self.ready_on_obs(obs, work)?;
                    // What is checked of its config is checked here all the same: before it is built, and of what was built.
                    let root = work.need(name::KERNEL_ROOT)?.join("root");
                    let mut build = self.workdir(work, &root)?;
                    let expected = &wanted.packages;
                    kernel::build_by(&mut build, &srpm, prepared, &overlay, work.log, |build| {
                        self.built_on_obs(obs, work, name::KERNEL, expected, build)
                    })?;
                    return Ok(());
                }
                let mut build = self.compiling(work, name::KERNEL_ROOT)?;
                let made = kernel::build(&mut build, &srpm, prepared, &overlay, work.log)?;
                tell_hits(name::KERNEL, &build)?;
                rpmbuild::expect(name::KERNEL, &made, &wanted.packages)?;
                Ok(rpmbuild::collect(&made, &work.output.join("RPMS"))?)
            }),
        })
    }

    /// The kernel's source package, with its signature checked.
    fn distribution_kernel(&self, work: &Work<'_>, package: &str) -> Result<PathBuf, Failure> {
        let distribution = work.need(name::DISTRIBUTION)?;
        let source = distribution.join("source");
        match self.target.distribution.kind {
            DistributionKind::Rehearsal => Ok(sources::distribution_srpm(
                self.store,
                &source,
                &distribution.join("key.asc"),
                &self.target.distribution.key,
                package,
            )?),
            // Digest and signature were checked when the stage was made.
            DistributionKind::Repositories => {
                let file = match &self.kernel {
                    Some(tree) => format!("{package}-{}-{}.src.rpm", tree.version, tree.release),
                    None => self.kernel_pin()?.file,
                };
                Ok(source.join("Packages").join(file))
            }
        }
    }

    /// The ext4 source of the distribution's own kernel, as a package for Lustre's buildroot.
    pub(super) fn ext4_source(&self) -> anyhow::Result<Stage<'_>> {
        Ok(Stage {
            name: ext4::NAME.to_owned(),
            needs: self.needs(ext4::NAME),
            inputs: [
                recipes::of(ext4::NAME),
                vec![self.settings_input(), self.spec_input("spec", EXT4_SPEC)?],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                let Source::Srpm(package) = &self.target.kernel.source else {
                    return Err("kernel.source: the distribution's own kernel must be a source package (`srpm`)".into());
                };
                let srpm = self.distribution_kernel(work, package)?;
                let build = self.workdir(work, &work.need(name::BOOTSTRAP)?.join("root"))?;
                let wanted = Ext4 {
                    srpm: &srpm,
                    folder: &self.specs.join(EXT4_SPEC),
                    lustre: &work.need(name::LUSTRE_TREE)?.join("tree"),
                    arch: &self.target.distribution.arch,
                };
                let made = ext4::package(&build, &wanted, work.scratch, work.log)?;
                Ok(rpmbuild::collect(&made, &work.output.join("RPMS"))?)
            }),
        })
    }

    /// `VERSION-RELEASE` of the distribution's own kernel, which the servers run.
    pub(super) fn own_kernel(&self) -> anyhow::Result<String> {
        if let Some(tree) = &self.kernel {
            return Ok(format!("{}-{}", tree.version, tree.release));
        }
        if let Some(version) = &self.target.kernel.version {
            return Ok(version.clone());
        }
        let file = self.kernel_pin()?.file;
        let version = match &self.target.kernel.source {
            Source::Srpm(package) => version_of(&file, package),
            _ => None,
        };
        version.map(str::to_owned).ok_or_else(|| {
            anyhow::anyhow!(advised(format!("the file name of the kernel's source package in the lock, `{file}`, has no version"), "set `kernel.version` in the target"))
        })
    }

    /// What `uname -r` says on servers that run the distribution's own kernel; none where they run ours.
    pub fn own_kernel_release(&self) -> anyhow::Result<Option<String>> {
        if self.target.kernel.kind.is_patched() {
            return Ok(None);
        }
        let arch = &self.target.distribution.arch;
        Ok(Some(format!("{}.{arch}", self.own_kernel()?)))
    }

    /// The kernel of the servers where it is the distribution's own: exactly the one that the modules are for.
    pub(super) fn server_packages(&self, packages: &[String]) -> anyhow::Result<Vec<String>> {
        if self.target.kernel.kind.is_patched() {
            return Ok(packages.to_vec());
        }
        Ok(exactly(packages, &self.own_kernel()?))
    }
}

/// `VERSION-RELEASE` in the file name of the source package `package`.
fn version_of<'f>(file: &'f str, package: &str) -> Option<&'f str> {
    let rest = file.strip_suffix(".src.rpm")?.strip_prefix(package)?;
    let version = rest.strip_prefix('-')?;
    version.contains('-').then_some(version)
}

/// `packages` with the kernel in this `version` in place of whichever is the newest: kernels are installed side by side.
fn exactly(packages: &[String], version: &str) -> Vec<String> {
    let mut exact: Vec<String> = packages
        .iter()
        .filter(|package| !OF_A_SERVER.contains(&package.as_str()))
        .cloned()
        .collect();
    exact.extend(OF_A_SERVER.map(|package| format!("{package}-{version}")));
    exact
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_behind_the_packages_name() {
        let file = "kernel-6.12.0-55.43.1.el10_0.src.rpm";
        assert_eq!(version_of(file, "kernel"), Some("6.12.0-55.43.1.el10_0"));
        for (file, package) in [
            ("kernel-rt-6.12.0.src.rpm", "kernel-rt"),
            ("kernel-6.12.0-1.x86_64.rpm", "kernel"),
            ("linux-6.12.0-1.src.rpm", "kernel"),
        ] {
            assert_eq!(version_of(file, package), None, "{file}");
        }
    }

    #[test]
    fn a_server_has_the_kernel_that_the_modules_are_for_and_no_newer_one() {
        let packages = ["dnf", "kernel", "kmod"].map(str::to_owned);
        assert_eq!(
            exactly(&packages, "6.12.0-1.el10_0"),
            [
                "dnf",
                "kmod",
                "kernel-6.12.0-1.el10_0",
                "kernel-core-6.12.0-1.el10_0",
                "kernel-modules-6.12.0-1.el10_0"
            ]
        );
    }
}
