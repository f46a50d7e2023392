//! KVM where it works, else emulation.
//!
//! That `/dev/kvm` can be opened says little: on a virtual machine without nesting, it may open, take a guest, run it as far as to
//! "Decompressing Linux" and no further (seen). So the very kernel is started with it, without a disk, and has to get to where
//! it misses its root file system in time. With KVM that takes a second or two.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

pub use super::qemu::Accelerator;
use super::qemu::Machine;
use super::{Error, at};
use crate::process::{self, WatchOutcome};

/// What trying KVM showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The kernel got through its start.
    Ran,
    /// KVM cannot be opened: why.
    NoDevice(String),
    /// It did not in that time. The last line that was said, if any.
    Hung(Duration, String),
    /// QEMU ended before: what it said.
    Ended(String),
}

/// An accelerator, and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub accelerator: Accelerator,
    /// Words for people.
    pub why: String,
}

/// What follows from a probe.
pub fn decide(probe: &Probe) -> Choice {
    let tcg = |why: String| Choice {
        accelerator: Accelerator::Tcg,
        why: format!("the guest is emulated (TCG), which is slow: {why}"),
    };
    match probe {
        Probe::Ran => Choice {
            accelerator: Accelerator::Kvm,
            why: "the guest runs with KVM".to_owned(),
        },
        Probe::NoDevice(why) => tcg(format!("KVM is not available: {why}")),
        Probe::Hung(time, last) => tcg(format!(
            "with KVM, the kernel did not boot within {} s; {}",
            time.as_secs(),
            if last.is_empty() {
                "it said nothing".to_owned()
            } else {
                format!("its last line: {last}")
            }
        )),
        Probe::Ended(said) => tcg(format!("with KVM, QEMU ended: {said}")),
    }
}

/// What a kernel says at first, and where it ends without a disk.
const WAY: [&str; 2] = ["Linux version ", "Kernel panic - not syncing: VFS: "];

/// Tries KVM (`device`, which is `/dev/kvm` unless in a test) on `machine`, whose accelerator and disks are left aside.
pub fn probe(
    machine: &Machine<'_>,
    device: &Path,
    deadline: Duration,
    log: &Path,
) -> Result<Probe, Error> {
    if let Err(error) = File::options().read(true).write(true).open(device) {
        return Ok(Probe::NoDevice(format!("{}: {error}", device.display())));
    }
    let machine = Machine {
        accelerator: Accelerator::Kvm,
        disk: None,
        kept: None,
        ..machine.clone()
    };
    for file in [machine.console, machine.report] {
        fs::write(file, "").map_err(at(file))?;
    }
    let ran = || {
        let said = super::guest::text(machine.console)?;
        Ok::<_, Error>(WAY.iter().all(|part| said.contains(part)))
    };
    // What cannot be read is not waited for, and is an error below.
    let ended = process::watch(&mut machine.command()?, log, deadline, &mut || {
        ran().unwrap_or(true)
    });
    machine.take_back()?;
    let ended = ended?;
    // It may have got there and ended between two looks.
    if ran()? {
        return Ok(Probe::Ran);
    }
    Ok(match ended {
        WatchOutcome::Exited(status) => {
            let said = process::tail(log, 1);
            Probe::Ended(format!("{status}, {said}"))
        }
        WatchOutcome::Stopped | WatchOutcome::TimedOut => {
            let said = super::guest::text(machine.console)?;
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            Probe::Hung(deadline, last.unwrap_or_default().trim().to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_that_ran_makes_it_kvm() {
        assert_eq!(decide(&Probe::Ran).accelerator, Accelerator::Kvm);
        for (probe, word) in [
            (
                Probe::NoDevice("/dev/kvm: Permission denied".to_owned()),
                "Permission denied",
            ),
            (Probe::Hung(Duration::from_secs(20), String::new()), "20 s"),
            (
                Probe::Hung(Duration::from_secs(20), "Decompressing".to_owned()),
                "Decompressing",
            ),
            (
                Probe::Ended("exit status: 1, no such CPU".to_owned()),
                "no such CPU",
            ),
        ] {
            let choice = decide(&probe);
            assert_eq!(choice.accelerator, Accelerator::Tcg, "{probe:?}");
            assert!(
                choice.why.contains(word) && choice.why.contains("TCG"),
                "{}",
                choice.why
            );
        }
    }
}
