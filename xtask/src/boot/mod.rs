//! The boot proof: our repository, installed by the target's own dnf into a fresh root, boots its own kernel and mounts Lustre.
//!
//! The machine and what it says are `packaging`'s; this joins them with what `prove` knows of installing, and with the `repo`
//! library's proofs.

mod host;
mod input;
mod install;
mod proof;
mod upgrade;

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use lustre_packaging::boot::accelerator::{self, Choice};
use lustre_packaging::boot::image;
use lustre_packaging::boot::judge::{Expected, judge};
use lustre_packaging::boot::qemu::{self, Machine};
use lustre_packaging::boot::{Error, KernelLog, needs};
use lustre_packaging::target::Boot;
use lustre_repository::proof::Check;

use crate::prove::chroot::Chroot;
use host::Host;
use input::Logs;

pub use input::BootInput;

/// Where KVM is.
const KVM: &str = "/dev/kvm";

/// Installs, boots and checks. What a failed step leaves no ground for is not run, and says so.
pub fn boot_checks(input: &BootInput<'_>) -> anyhow::Result<Vec<Check>> {
    let logs = Logs(input.install.logs);
    let scratch = input.install.scratch;
    let program = qemu::find().ok_or(Error::NoQemu)?;
    needs::check(input.boot, scratch).map_err(Error::from)?;
    let kernel_log =
        KernelLog::load(&input.specs.join(&input.boot.kernel_log))?.knowing(&input.boot.known)?;
    logs.clear(input.boot)?;

    let mut checks = Vec::new();
    let chroot = Chroot::new(&input.install).map_err(anyhow::Error::msg)?;
    let (check, kernel) = install::install(input, &chroot, &logs.of("install"));
    checks.push(check);
    let Some(booted) = kernel else {
        checks.extend(proof::not_run(input, "installing failed"));
        return Ok(checks);
    };
    let image = image::make(
        &chroot.logging_to(logs.of("image")).sandbox(),
        image::Guest {
            boot: input.boot,
            scripts: &input.specs.join(&input.boot.guest),
            kept: None,
        },
        &booted.release,
        booted.entry.as_ref(),
        &scratch.join("image"),
        &logs.of("image"),
    )
    .context("cannot make a disk image of the root that everything is installed in")?;
    drop(chroot);

    let host = Host {
        program: &program,
        kernel_log: &kernel_log,
        logs: &logs,
    };
    let (console, report) = (logs.of("console"), scratch.join("report"));
    let machine = host.machine(input, &image, &console, &report);
    let choice = choose(input.boot, &machine, &logs)?;
    (input.tell)(&format!("boot: {}", choice.why));
    let machine = Machine {
        accelerator: choice.accelerator,
        ..machine
    };
    let ran = host.run(input, &machine, "", &logs.of("qemu"))?;
    let expected = Expected {
        boot: input.boot,
        release: &booted.release,
        kernel_log: &kernel_log,
    };
    for judged in judge(&expected, &ran) {
        checks.push(proof::check(input, judged, &choice, &logs)?);
    }
    // Its disk makes room for those of the upgrade.
    let folder = scratch.join("image");
    lustre_files::remove_tree(&folder).with_context(|| folder.display().to_string())?;
    checks.extend(upgrade::checks(input, &host, &choice)?);
    Ok(checks)
}

/// KVM where it works with this machine, else emulation.
fn choose(boot: &Boot, machine: &Machine<'_>, logs: &Logs<'_>) -> Result<Choice, Error> {
    let deadline = Duration::from_secs(boot.kvm_seconds);
    let probe = accelerator::probe(machine, Path::new(KVM), deadline, &logs.of("kvm"))?;
    Ok(accelerator::decide(&probe))
}
