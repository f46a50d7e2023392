//! The build graph of a target.
//!
//! - [`built`](mod@built): packages that were built elsewhere, in place of their builds.
//! - [`distribution`]: the base repositories, the bootstrap and the buildroots.
//! - [`e2fsprogs`]: from the pinned archive or a tree to unsigned RPMs.
//! - [`repositories`]: the base of an existing distribution, of the packages that the lock pins.
//! - [`kernel`]: the kernel, rebuilt or the distribution's own.
//! - [`kernels`]: which kernels the modules load on, of those that the lock pins.
//! - [`kernel_tree`]: a tree in place of its source package.
//! - [`packages`]: Lustre, from source to unsigned RPMs; what all builds share.
//! - [`finish`]: signing, assembling and proving.
//! - [`release`]: when a repository is released.
//! - [`inputs`]: what the stages are made from; [`new`](mod@new): the same of a command's target; [`name`]: what stages are called.
//! - [`shape`]: which stages there are and what each needs; [`outline`]: the same in words, where nothing is locked yet.
//! - [`obs`]: packages that an Open Build Service builds, in place of this machine.
//! - [`rebuild`](mod@rebuild): packages of a published repository once more, in the buildroots that it records.
//! - [`recipes`]: what stands in a stage's key for its code.
//! - [`preflight`]: whether everything fits, before any of these.

pub mod built;
pub mod distribution;
pub mod e2fsprogs;
pub mod finish;
mod inputs;
pub mod kernel;
pub mod kernel_tree;
pub mod kernels;
mod made_with;
mod manifest;
pub mod name;
mod new;
pub mod obs;
pub mod outline;
pub mod packages;
pub mod preflight;
pub mod rebuild;
pub mod recipes;
pub mod release;
pub mod repositories;
pub mod shape;

use lustre_packaging::stage::Stage;

use finish::Signing;

pub use inputs::{BuildGraph, KERNEL_PACKAGE, base};

impl BuildGraph<'_> {
    /// All stages up to the unsigned packages.
    pub fn builds(&self) -> anyhow::Result<Vec<Stage<'_>>> {
        if let Some(from) = self.built {
            let mut stages = self.copied(from);
            stages.extend(self.kernel_archive_stage());
            stages.extend([self.distribution()?, self.bootstrap()]);
            return Ok(stages);
        }
        if let Some(why) = self.incomplete.values().next() {
            anyhow::bail!("{why}");
        }
        let mut stages: Vec<Stage<'_>> = self.kernel_archive_stage().into_iter().collect();
        stages.extend([self.distribution()?, self.bootstrap()]);
        stages.extend(self.packages()?);
        Ok(stages)
    }

    /// The stages that the proofs of any repository need: the distribution and a clean chroot.
    pub fn roots(&self) -> anyhow::Result<Vec<Stage<'_>>> {
        let mut stages: Vec<Stage<'_>> = self.kernel_archive_stage().into_iter().collect();
        stages.extend([self.distribution()?, self.bootstrap(), self.install_root()?]);
        Ok(stages)
    }

    /// All stages up to the signed packages, and the chroot of the install proof.
    pub fn signed<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Vec<Stage<'s>>> {
        let mut stages: Vec<Stage<'s>> = self.builds()?;
        stages.push(self.install_root()?);
        stages.push(self.release(signing)?);
        stages.push(self.sign(signing));
        Ok(stages)
    }

    /// The same, and the assembled repository.
    pub fn assembled<'s>(&'s self, signing: &'s Signing) -> anyhow::Result<Vec<Stage<'s>>> {
        let mut stages = self.signed(signing)?;
        stages.push(self.assemble(signing)?);
        Ok(stages)
    }
}
