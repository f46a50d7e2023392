//! What all machines of a boot proof have alike.

use std::path::Path;
use std::time::Duration;

use lustre_packaging::boot::guest::{self, GuestRun};
use lustre_packaging::boot::image;
use lustre_packaging::boot::qemu::Machine;
use lustre_packaging::boot::{Accelerator, KernelLog};

use super::input::{BootInput, Logs};

/// What all machines of a proof have alike.
pub struct Host<'a> {
    /// The emulator.
    pub program: &'a Path,
    /// What the kernel must not say.
    pub kernel_log: &'a KernelLog,
    /// Where logs are.
    pub logs: &'a Logs<'a>,
}

impl Host<'_> {
    /// The machine that boots `image`, with KVM.
    pub fn machine<'m>(
        &'m self,
        input: &'m BootInput<'_>,
        image: &'m image::Image,
        console: &'m Path,
        report: &'m Path,
    ) -> Machine<'m> {
        Machine {
            program: self.program,
            accelerator: Accelerator::Kvm,
            cpu: input.install.server.target.distribution.cpu,
            memory_mib: input.boot.memory_mib,
            cpus: processors(input.boot.cpus),
            kernel: &image.kernel,
            initrd: image.initrd.as_deref(),
            disk: Some(&image.disk),
            kept: None,
            init: &image.init,
            arguments: &input.boot.arguments,
            console,
            report,
        }
    }

    /// Runs it to its end, and tells of every check that begins, with what it is of.
    pub fn run(
        &self,
        input: &BootInput<'_>,
        machine: &Machine<'_>,
        of: &str,
        log: &Path,
    ) -> anyhow::Result<GuestRun> {
        let limit = Duration::from_secs(input.boot.limit_seconds);
        let ran = guest::run(machine, limit, log, &mut |check| {
            (input.tell)(&format!("boot: {of}{check}"));
        })?;
        Ok(ran)
    }
}

/// As many processors as wanted, but no more than there are: those would only wait for each other.
fn processors(wanted: usize) -> usize {
    let here = std::thread::available_parallelism().map_or(1, usize::from);
    wanted.min(here).max(1)
}
