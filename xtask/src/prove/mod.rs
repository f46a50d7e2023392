//! The install proof: a clean chroot made from the base alone, in which the chroot's own dnf installs our repository as a server would.
//!
//! Static proofs are the `repo` library's; this joins what it knows of proofs with what `packaging` knows of chroots.

pub(crate) mod boot_loader;
pub(crate) mod checks;
pub(crate) mod chroot;
mod everything;
mod guard;
mod input;
mod programs;
mod repoclosure;
pub(crate) mod upgrade;

use lustre_packaging::process;
use lustre_repository::proof::{Check, Verdict};

use chroot::{Chroot, Step};
use input::log_of;

pub use input::{InstallInput, Server};

/// A check's name and what runs it.
type NamedCheck = (&'static str, fn(&Step<'_>) -> Verdict);

/// The checks, in the order they must run: each finds the chroot as the one before left it.
const STEPS: [NamedCheck; 13] = [
    ("install-release-package", checks::release_package),
    ("install", checks::install),
    ("rpm-verify", checks::rpm_verify),
    ("e2fsprogs-replaced", checks::e2fsprogs_replaced),
    ("depmod", checks::depmod),
    ("modinfo", checks::modinfo),
    ("libraries", checks::libraries),
    ("mke2fs", checks::mke2fs),
    ("group", checks::group),
    ("repoclosure", repoclosure::repoclosure),
    ("kernel-guard", guard::kernel_guard),
    ("remove", checks::remove),
    // Last: what it installs, no server has.
    ("install-everything", everything::install),
];

/// The result for every check of the install proof, where it is not made.
pub fn not_installed(why: &str) -> Vec<Check> {
    STEPS
        .iter()
        .map(|(name, _)| Check::not_run(name, why))
        .chain(upgrade::not_run(why))
        .collect()
}

/// Runs the install proof. After a step that the others build on has failed, they are not run, and say so.
pub fn install_checks(input: &InstallInput<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut broken: Option<&str> = None;
    // A step that is not made has no log, whatever an earlier run left.
    let logs = STEPS.iter().map(|(name, _)| log_of(input, name));
    let begun = logs
        .map(|log| process::begin_log(&log).map_err(|error| format!("{}: {error}", log.display())));
    let chroot = begun
        .collect::<Result<(), String>>()
        .and_then(|()| Chroot::new(input));
    for (name, step) in STEPS {
        let check = Check::run(name, input.logs, || match (&chroot, broken) {
            (Err(why), _) => Verdict::NotRun(format!("cannot create the chroot: {why}")),
            (_, Some(before)) => {
                Verdict::NotRun(format!("`{before}` failed, and this check depends on it"))
            }
            (Ok(chroot), None) => step(&chroot.at(name)),
        });
        let failed = check.result == lustre_repository::proof::Outcome::Fail;
        if failed && matches!(name, "install-release-package" | "install") {
            broken = Some(name);
        }
        let log = log_of(input, name);
        checks.push(Check {
            log: check.log.or(log.exists().then_some(log)),
            ..check
        });
    }
    drop(chroot);
    checks.extend(match broken {
        None => upgrade::upgrade_checks(input),
        Some(before) => {
            upgrade::not_run(&format!("`{before}` failed, and this check depends on it"))
        }
    });
    checks
}
