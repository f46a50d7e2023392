//! Our repository, and what a guest needs besides, in a fresh root.

use std::path::Path;

use lustre_repository::proof::{Check, Verdict};

use super::input::BootInput;
use crate::prove::checks;
use crate::prove::chroot::{Chroot, Step};

/// Installs as the install proof does, with all checks of signatures. Gives the release of the kernel to boot where all is well.
pub fn install(input: &BootInput<'_>, chroot: &Chroot<'_>, log: &Path) -> (Check, Option<String>) {
    let step = chroot.logging_to(log.to_owned());
    let mut release = None;
    let check = Check::run("boot-install", input.install.logs, || {
        for verdict in [checks::release_package, checks::install] {
            match verdict(&step) {
                Verdict::Pass { .. } => {}
                failed => return failed,
            }
        }
        match rest(input, &step) {
            Ok(found) => {
                let packages = &input.install.server.target.install.packages;
                let note = format!("the kernel {found}");
                release = Some(found);
                Verdict::Pass {
                    checked: format!("{} {}", packages.join(" "), input.boot.packages.join(" ")),
                    note,
                }
            }
            Err(why) => Verdict::Fail {
                checked: input.boot.packages.join(" "),
                findings: vec![why],
            },
        }
    });
    let log = log.exists().then(|| log.to_owned());
    (Check { log, ..check }, release)
}

fn rest(input: &BootInput<'_>, step: &Step<'_>) -> Result<String, String> {
    if !input.boot.packages.is_empty() {
        let mut arguments = vec!["install"];
        arguments.extend(input.boot.packages.iter().map(String::as_str));
        step.dnf(&arguments)?;
    }
    step.kernel_release()
}
