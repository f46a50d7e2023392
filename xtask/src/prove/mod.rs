//! The install proof: a clean chroot made from the base alone, in which the chroot's own dnf installs our repository as a server would.
//!
//! Static proofs are the `repo` library's; this joins what it knows of proofs with what `packaging` knows of chroots.

pub(crate) mod checks;
pub(crate) mod chroot;

use std::path::Path;

use lustre_packaging::target::Target;
use lustre_repository::proof::{Check, Verdict};

use chroot::{Chroot, Step};

/// What the install proof needs.
#[derive(Debug)]
pub struct InstallInput<'a> {
    /// The target.
    pub target: &'a Target,
    /// The repository's tree.
    pub dist: &'a Path,
    /// The chroot made from the base alone.
    pub root: &'a Path,
    /// The base repository.
    pub base: &'a Path,
    /// The base's key.
    pub base_key: &'a Path,
    /// A folder for the clone; removed by the caller.
    pub scratch: &'a Path,
    /// Where logs go.
    pub logs: &'a Path,
}

/// A check's name and what runs it.
type Named = (&'static str, fn(&Step<'_>) -> Verdict);

/// The checks, in the order they must run: each finds the chroot as the one before left it.
const STEPS: [Named; 11] = [
    ("install-release-package", checks::release_package),
    ("install", checks::install),
    ("rpm-verify", checks::rpm_verify),
    ("e2fsprogs-replaced", checks::e2fsprogs_replaced),
    ("depmod", checks::depmod),
    ("modinfo", checks::modinfo),
    ("libraries", checks::libraries),
    ("mke2fs", checks::mke2fs),
    ("group", checks::group),
    ("repoclosure", checks::repoclosure),
    ("remove", checks::remove),
];

/// Runs the install proof. After a step that the others build on has failed, they are not run, and say so.
pub fn install_checks(input: &InstallInput<'_>) -> Vec<Check> {
    let chroot = Chroot::new(input);
    let mut checks = Vec::new();
    let mut broken: Option<&str> = None;
    for (name, step) in STEPS {
        let check = Check::run(name, input.logs, || match (&chroot, broken) {
            (Err(why), _) => Verdict::NotRun(format!("the chroot could not be made: {why}")),
            (_, Some(before)) => {
                Verdict::NotRun(format!("`{before}` failed, and this builds on it"))
            }
            (Ok(chroot), None) => step(&chroot.at(name)),
        });
        let failed = check.result == lustre_repository::proof::Outcome::Fail;
        if failed && matches!(name, "install-release-package" | "install") {
            broken = Some(name);
        }
        let log = chroot
            .as_ref()
            .ok()
            .map(|chroot| chroot.log(name))
            .filter(|log| log.exists());
        checks.push(Check {
            log: check.log.or(log),
            ..check
        });
    }
    checks
}
