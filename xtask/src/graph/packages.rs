//! Lustre, from source to unsigned RPMs; and what the builds of all packages share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use lustre_packaging::build::ccache::{CompilerCache, Hits};
use lustre_packaging::build::roots::{Buildroot, is_for_building};
use lustre_packaging::build::workdir::Workdir;
use lustre_packaging::build::{ext4, lustre, rpmbuild};
use lustre_packaging::stage::{Failure, Stage, Work};
use lustre_packaging::store::PathError;

use super::inputs::{BuildGraph, list_input};
use super::{name, recipes};
use crate::ui;

impl BuildGraph<'_> {
    /// The stages of all packages.
    pub(super) fn packages(&self) -> anyhow::Result<Vec<Stage<'_>>> {
        let mut stages = vec![self.lustre_tree()?];
        if self.target.kernel.kind.is_patched() {
            stages.extend([
                self.kernel_sources()?,
                self.kernel_srpm()?,
                self.kernel_root(),
                self.kernel()?,
            ]);
        } else {
            stages.push(self.ext4_source()?);
        }
        stages.extend([
            self.e2fsprogs_srpm()?,
            self.e2fsprogs_root(),
            self.e2fsprogs()?,
            self.lustre_root()?,
            self.lustre_srpm()?,
            self.lustre()?,
        ]);
        Ok(stages)
    }

    /// Lustre's tree: a copy, since nothing is ever built in place, changed by the target's overlay.
    fn lustre_tree(&self) -> anyhow::Result<Stage<'_>> {
        let mut inputs = recipes::of(name::LUSTRE_TREE);
        inputs.extend([
            ("source".to_owned(), self.lustre.identity().to_string()),
            self.settings_input(),
        ]);
        let overlay = self.target.lustre.overlay.as_deref();
        if let Some(overlay) = overlay {
            inputs.extend(self.overlay_inputs("overlay", overlay, &self.target.lustre.options)?);
        }
        Ok(Stage {
            name: name::LUSTRE_TREE.to_owned(),
            needs: Vec::new(),
            inputs,
            whole: None,
            recipe: Box::new(move |work| {
                let tree = work.output.join("tree");
                self.lustre.export(
                    self.store,
                    &tree,
                    self.target.build.source_date_epoch.into(),
                )?;
                for missing in self.lustre.missing() {
                    // The tree's own makefiles name it and stop where it is not there; the user said to go on.
                    let path = tree.join(missing);
                    if let Some(folder) = path.parent() {
                        fs::create_dir_all(folder)?;
                    }
                    fs::write(path, "")?;
                }
                lustre::expect_clean(&tree)?;
                if let Some(overlay) = overlay {
                    self.overlay(overlay, &self.target.lustre.options)?
                        .change_tree(&tree)?;
                }
                Ok(())
            }),
        })
    }

    /// Lustre's buildroot holds the kernel-devel and the e2fsprogs that were just built; or the distribution's own kernel-devel, with
    /// the ext4 source that it lacks.
    fn lustre_root(&self) -> anyhow::Result<Stage<'_>> {
        let (kernel, built): (_, &[&str]) = match self.target.kernel.kind.is_patched() {
            true => (None, &[name::KERNEL, name::E2FSPROGS]),
            false => (Some(self.own_kernel()?), &[ext4::NAME, name::E2FSPROGS]),
        };
        let root = Buildroot::of(&self.target, name::LUSTRE, kernel.as_deref());
        let packages = root.of_distribution();
        let inputs = root_inputs(name::LUSTRE, &packages);
        Ok(self.root_stage(name::LUSTRE, packages, inputs, built))
    }

    fn lustre_srpm(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.lustre;
        Ok(Stage {
            name: name::LUSTRE_SRPM.to_owned(),
            needs: self.needs(name::LUSTRE_SRPM),
            inputs: [
                recipes::of(name::LUSTRE_SRPM),
                vec![
                    self.settings_input(),
                    ("version".to_owned(), wanted.version.clone()),
                    list_input("configure", &wanted.configure),
                    list_input("rpmbuild", &wanted.rpmbuild),
                    (
                        "series".to_owned(),
                        wanted.ldiskfs_series.clone().unwrap_or_default(),
                    ),
                ],
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                let tree = work.need(name::LUSTRE_TREE)?.join("tree");
                let build = self.workdir(work, &work.need(name::LUSTRE_ROOT)?.join("root"))?;
                let made = lustre::source_package(&build, wanted, &tree, work.log)?;
                Ok(rpmbuild::collect(&[made], &work.output.join("SRPMS"))?)
            }),
        })
    }

    fn lustre(&self) -> anyhow::Result<Stage<'_>> {
        let wanted = &self.target.lustre;
        Ok(Stage {
            name: name::LUSTRE.to_owned(),
            needs: self.needs(name::LUSTRE),
            inputs: [
                recipes::of(name::LUSTRE),
                vec![
                    self.settings_input(),
                    list_input("packages", &wanted.packages),
                    list_input("modules", &wanted.modules),
                ],
                self.builder_inputs(),
            ]
            .concat(),
            whole: None,
            recipe: Box::new(move |work| {
                self.build(work, name::LUSTRE, &wanted.packages, |build, made| {
                    // What it was built in is not here where another machine built it.
                    if let Some(build) = build {
                        lustre::expect_built_series(build, wanted)?;
                    }
                    Ok(lustre::expect_modules(made, &wanted.modules)?)
                })
            }),
        })
    }

    /// A buildroot for `package`: `packages`, what its SRPM requires, and the packages of the stages `built`.
    ///
    /// Lustre's SRPM is made in the buildroot itself, so its requirements are the target's data; rpmbuild checks them.
    pub(super) fn root_stage(
        &self,
        package: &'static str,
        packages: Vec<String>,
        inputs: Vec<(String, String)>,
        built: &'static [&str],
    ) -> Stage<'_> {
        let name = name::root(package);
        let from_srpm = built.is_empty();
        let mut inputs = inputs;
        inputs.extend(self.module_input());
        Stage {
            needs: self.needs(&name),
            name,
            inputs,
            whole: Some(("root".to_owned(), "packages.txt".to_owned())),
            recipe: Box::new(move |work| {
                let mut wanted = packages.clone();
                if from_srpm {
                    wanted.extend(rpmbuild::requirements(&one_srpm(work, package)?)?);
                }
                let local = work.scratch.join("local");
                for stage in built {
                    for path in rpmbuild::packages_under(&work.need(stage)?.join("RPMS"))? {
                        if is_for_building(&rpmbuild::package_name(&path)?) {
                            fs::create_dir_all(&local)?;
                            let copy = local.join(path.file_name().unwrap_or_default());
                            lustre_files::copy(&path, copy)
                                .map_err(|error| PathError::new("copy", &path, error))?;
                        }
                    }
                }
                self.make_root(work, &wanted, local.exists().then_some(local.as_path()))
            }),
        }
    }

    /// Builds the SRPM of the stage `<package>-srpm` in the chroot of the stage `<package>-root` and hands what was made to `check`
    /// before it becomes the stage's output.
    pub(super) fn build(
        &self,
        work: &Work<'_>,
        package: &str,
        expected: &[String],
        check: impl FnOnce(Option<&Workdir>, &[PathBuf]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let srpm = one_srpm(work, package)?;
        if let Some(obs) = &self.obs {
            let root = work.need(&name::root(package))?.join("root");
            let build = self.workdir(work, &root)?;
            let made = self.built_on_obs(obs, work, package, expected, &build)?;
            check(None, &made)?;
            return Ok(());
        }
        let build = self.compiling(work, &name::root(package))?;
        let made = rpmbuild::build(&build, &srpm, work.log)?;
        tell_hits(package, &build)?;
        rpmbuild::expect(package, &made, expected)?;
        check(Some(&build), &made)?;
        Ok(rpmbuild::collect(&made, &work.output.join("RPMS"))?)
    }

    /// A clone of the chroot of the stage `root` in which something is compiled, by way of the compiler cache where there is to be one.
    pub(super) fn compiling(&self, work: &Work<'_>, root: &str) -> Result<Workdir, Failure> {
        let chroot = work.need(root)?.join("root");
        let build = self.workdir(work, &chroot)?;
        let Some(cache) = &self.ccache else {
            return Ok(build);
        };
        work.cached.store(true, Ordering::SeqCst);
        let program = work.scratch.join("ccache");
        let compilers = work.digest(root)?;
        let cache = CompilerCache::new(&chroot, &program, cache, &compilers)?;
        Ok(build.with_compiler_cache(cache)?)
    }

    pub(super) fn workdir(&self, work: &Work<'_>, root: &Path) -> Result<Workdir, Failure> {
        Ok(Workdir::new(
            root,
            &work.scratch.join("work"),
            &self.settings(),
        )?)
    }
}

/// Says how much of a package was in the compiler cache, where there is one.
pub(super) fn tell_hits(package: &str, build: &Workdir) -> Result<(), Failure> {
    if let Some(Hits { hits, misses }) = build.hits()? {
        let all = hits + misses;
        if all == 0 {
            ui::warn(&format!(
                "warning: {package}: the build used the compiler cache for nothing"
            ));
            return Ok(());
        }
        ui::say(&format!(
            "{package}: {hits} of {all} compilations were in the compiler cache"
        ));
    }
    Ok(())
}

/// The inputs of the buildroot of `package`.
pub(super) fn root_inputs(package: &str, packages: &[String]) -> Vec<(String, String)> {
    let mut inputs = recipes::of(&name::root(package));
    inputs.push(list_input("packages", packages));
    inputs
}

/// The SRPM of the stage `<package>-srpm`.
pub(super) fn one_srpm(work: &Work<'_>, package: &str) -> Result<PathBuf, Failure> {
    let folder = work.need(&name::srpm(package))?.join("SRPMS");
    rpmbuild::packages_under(&folder)?
        .pop()
        .ok_or_else(|| format!("no SRPM in {}", folder.display()).into())
}
