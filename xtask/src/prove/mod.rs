//! The install proof: a clean chroot made from the base alone, in which the chroot's own dnf installs our repository as a server would.
//!
//! Static proofs are the `repo` library's; this joins what it knows of proofs with what `packaging` knows of chroots.

pub(crate) mod checks;
pub(crate) mod chroot;
mod everything;
mod repoclosure;
mod said;
mod scriptlets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lustre_packaging::buildroot::Base;
use lustre_packaging::process;
use lustre_packaging::store::StageDir;
use lustre_packaging::target::Target;
use lustre_repository::proof::{Check, Verdict};

use crate::road::{self, Road, name};
use crate::session;
use chroot::{Chroot, Step};

/// What a repository is for: a server of the distribution, as the stages made it.
#[derive(Debug)]
pub struct Server {
    /// The target as it is built: with the versions of sources that were replaced.
    pub target: Target,
    /// What `uname -r` says where it runs the distribution's own kernel; none where it runs ours.
    pub own_kernel: Option<String>,
    /// The distribution's packages.
    pub base: Base,
    /// The chroot made from them alone.
    pub root: PathBuf,
}

impl Server {
    /// The stages that make it.
    pub const STAGES: [&str; 2] = [name::DISTRIBUTION, name::INSTALL_ROOT];

    /// The server that the stages of `road` made.
    ///
    /// # Errors
    /// When one of them did not run.
    pub fn of(road: &Road<'_>, done: &BTreeMap<String, StageDir>) -> anyhow::Result<Self> {
        Ok(Self {
            target: road.target.as_ref().clone(),
            own_kernel: road.own_kernel_release()?,
            base: road::base(&road.target, &session::folder(done, name::DISTRIBUTION)?),
            root: session::folder(done, name::INSTALL_ROOT)?.join("root"),
        })
    }

    /// The base repository.
    pub fn base_repository(&self) -> &Path {
        &self.base.repos[0].folder
    }
}

/// What the install proof needs.
#[derive(Debug)]
pub struct InstallInput<'a> {
    /// What it is installed on.
    pub server: &'a Server,
    /// The repository's tree.
    pub dist: &'a Path,
    /// A folder for the clone; removed by the caller.
    pub scratch: &'a Path,
    /// Where logs go.
    pub logs: &'a Path,
}

/// A check's name and what runs it.
type Named = (&'static str, fn(&Step<'_>) -> Verdict);

/// The checks, in the order they must run: each finds the chroot as the one before left it.
const STEPS: [Named; 12] = [
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
    ("remove", checks::remove),
    // Last: what it installs, no server has.
    ("install-everything", everything::install),
];

/// The result for every check of the install proof, where it is not made.
pub fn not_installed(why: &str) -> Vec<Check> {
    STEPS
        .iter()
        .map(|(name, _)| Check::not_run(name, why))
        .collect()
}

/// The log of the check `name`.
fn log_of(input: &InstallInput<'_>, name: &str) -> PathBuf {
    input.logs.join(format!("prove-{name}.log"))
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
        let log = log_of(input, name);
        checks.push(Check {
            log: check.log.or(log.exists().then_some(log)),
            ..check
        });
    }
    checks
}
