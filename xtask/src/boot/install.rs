//! Our repository, and what a guest needs besides, in a fresh root.

use std::path::Path;

use lustre_packaging::boot::loader::Entry;
use lustre_repository::proof::{Check, Verdict};

use super::input::BootInput;
use crate::prove::boot_loader;
use crate::prove::checks;
use crate::prove::chroot::{Chroot, Step};

/// What boots.
pub struct Kernel {
    /// What `uname -r` will say.
    pub release: String,
    /// The boot loader's default; none where nothing makes boot entries.
    pub entry: Option<Entry>,
}

/// Installs as the install proof does, with all checks of signatures. Gives the kernel to boot where all is well.
pub fn install(input: &BootInput<'_>, chroot: &Chroot<'_>, log: &Path) -> (Check, Option<Kernel>) {
    let step = chroot.logging_to(log.to_owned());
    let mut kernel = None;
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
                let note = match &found.entry {
                    Some(entry) => format!(
                        "the kernel {}, by the boot entry {}, which is the default",
                        found.release, entry.id
                    ),
                    None => format!(
                        "the kernel {}; nothing in the root makes boot entries",
                        found.release
                    ),
                };
                kernel = Some(found);
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
    (Check { log, ..check }, kernel)
}

fn rest(input: &BootInput<'_>, step: &Step<'_>) -> Result<Kernel, String> {
    if !input.boot.packages.is_empty() {
        let mut arguments = vec!["install"];
        arguments.extend(input.boot.packages.iter().map(String::as_str));
        step.dnf(&arguments)?;
    }
    let release = step.kernel_release()?;
    let entry = boot_loader::default(step)?;
    match entry.as_ref().map(boot_loader::release) {
        Some(other) if other != release => Err(format!(
            "the boot default is {other}, not {release}, which the modules are for"
        )),
        _ => Ok(Kernel { release, entry }),
    }
}
