//! Whether all changes to the sources apply, before anything is built.
//!
//! - [`report`]: what was checked and how it came out.
//! - [`srpm`]: the kernel's source out of a distribution's source package.
//! - [`kernel_files`]: which few files of the kernel's archive the checks need.
//! - [`tree`]: Lustre's tree: is it whole, does the target's overlay fit it?
//! - [`known`]: what is known of this Lustre with this kernel.
//! - [`faults`]: what is known to be wrong with this Lustre.
//! - [`kernel`]: the kernel's spec, config, fixups and series.
//! - [`ldiskfs`]: the series that makes ldiskfs of the kernel's ext4, tried as Lustre's own build applies it.
//! - [`e2fsprogs`]: its series, and the version that Lustre's tree asks for.
//! - [`file_systems`]: ext4 and jbd2 of two kernels, compared.
//! - `changelogs`: their dates.
//! - [`packages`]: the packages that chroots are made of, by name.
//!
//! `series` and `requirements` are what these share. Every check is run and tells everything it finds: a check that fails stops no
//! other. What a tree says of kernels and versions is read from the tree, so that a tree nobody has seen yet is judged by its own
//! words. Nothing is built, and no program of a tree is run; patches are tried with GNU `patch`.

mod changelogs;
mod error;
mod inputs;

pub mod e2fsprogs;
pub mod faults;
pub mod file_systems;
pub mod kernel;
pub mod kernel_files;
pub mod known;
pub mod ldiskfs;
pub mod packages;
pub mod report;
pub mod srpm;
pub mod tree;

pub(crate) mod requirements;
pub(crate) mod series;

use crate::overlay::Overlay;

pub use error::Error;
pub use inputs::{Inputs, KernelSource, LustreSource, TreeState};
use inputs::{LUSTRE_SPEC, configure_texts, read_text, texts};
pub use kernel_files::KernelFiles;
pub(crate) use lustre_files::at;
pub use report::{Check, Problem, Report, Verdict};

/// Runs every check.
pub fn run(inputs: &Inputs<'_>) -> Result<Report, Error> {
    let target = inputs.target;
    let mut checks = vec![tree::complete(inputs.lustre)];
    let overlay = match &target.lustre.overlay {
        Some(folder) => Some(load(inputs, folder, &target.lustre.options)?),
        None => None,
    };
    let (lustre, overlaid) = tree::overlaid(
        inputs.lustre,
        overlay.as_ref(),
        &inputs.scratch.join("lustre"),
    )?;
    checks.push(overlaid);
    checks.extend(faults::check(inputs, overlay.as_ref())?);
    let known_at = checks.len();
    checks.extend(inputs.kernel.tree.as_ref().map(kernel::complete));
    let kernel_overlay = target.kernel_overlay(inputs.specs)?;
    let kernel = kernel::Kernel {
        source: inputs.kernel,
        overlay: kernel_overlay.as_ref(),
        lustre: &lustre,
    };
    checks.extend(kernel.texts()?);
    let (patched, series) = kernel.series(&inputs.scratch.join("kernel"))?;
    checks.extend(series);
    let ldiskfs = ldiskfs::check(
        &ldiskfs::Inputs {
            wanted: &target.lustre,
            tree: &lustre,
            label: &inputs.lustre.label,
            kernel: &patched,
            kernel_version: &inputs.kernel.version,
        },
        &inputs.scratch.join("ldiskfs"),
    )?;
    let known = known::check(inputs, kernel_overlay.as_ref(), ldiskfs.result)?;
    checks.splice(known_at..known_at, known);
    checks.push(ldiskfs);
    checks.push(changelogs::check(target, inputs.specs, &lustre)?);
    let lock = format!(
        "no lock pins them; `cargo xtask lock --target {}` writes one, with network",
        target.argument()
    );
    checks.extend(match inputs.e2fsprogs {
        Some(archive) => e2fsprogs::checks(
            &e2fsprogs::Inputs {
                wanted: &target.e2fsprogs,
                folder: &target.folder(inputs.specs, &target.e2fsprogs.spec),
                dist: &target.distribution.dist,
                archive,
                lustre: &lustre,
                label: &inputs.lustre.label,
            },
            &inputs.scratch.join("e2fsprogs"),
        )?,
        None => vec![Check::not_run("e2fsprogs", format!("its sources: {lock}"))],
    });
    checks.push(match inputs.offered {
        Some(offered) => packages::check(target, offered),
        None => Check::not_run("packages", format!("the distribution's packages: {lock}")),
    });
    Ok(Report::new(&target.name, checks))
}

fn load(inputs: &Inputs<'_>, folder: &str, options: &[String]) -> Result<Overlay, Error> {
    let folder = inputs.target.folder(inputs.specs, folder);
    Ok(Overlay::load_in(inputs.specs, &folder, options)?)
}
