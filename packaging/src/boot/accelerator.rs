//! KVM where it works, else emulation.
//!
//! That `/dev/kvm` can be opened says little: on a virtual machine without nesting, it may open, take a guest, and never run an
//! instruction of it. So the very kernel is started with it, without a disk, and has to say its first line in time.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use super::qemu::Machine;
use super::{Error, at};
use crate::process::{self, Ended};

/// How a guest's processor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// On the host's, through KVM.
    Kvm,
    /// Emulated.
    Tcg,
}

/// What trying KVM showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// The kernel said its first line.
    Spoke,
    /// KVM cannot be opened: why.
    NoDevice(String),
    /// Nothing was said in that time.
    Silent(Duration),
    /// QEMU ended before the kernel said anything: what it said.
    Ended(String),
}

/// An accelerator, and why it is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Which.
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
        Probe::Spoke => Choice {
            accelerator: Accelerator::Kvm,
            why: "the guest runs with KVM".to_owned(),
        },
        Probe::NoDevice(why) => tcg(format!("KVM cannot be had: {why}")),
        Probe::Silent(time) => tcg(format!(
            "with KVM the kernel said nothing in {} s",
            time.as_secs()
        )),
        Probe::Ended(said) => tcg(format!("with KVM, QEMU ended: {said}")),
    }
}

/// What the kernel's first line holds.
const FIRST_LINE: &str = "Linux version ";

/// Tries KVM (`device`, which is `/dev/kvm` unless in a test) on `machine`, whose accelerator and disk are left aside.
///
/// # Errors
/// When QEMU cannot be started at all, or a file cannot be written.
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
        ..machine.clone()
    };
    fs::write(machine.console, "").map_err(at(machine.console))?;
    let spoke = || {
        fs::read(machine.console)
            .is_ok_and(|said| String::from_utf8_lossy(&said).contains(FIRST_LINE))
    };
    let ended = process::watch(&mut machine.command(), log, deadline, &mut || spoke())?;
    // It may have spoken and ended between two looks.
    if spoke() {
        return Ok(Probe::Spoke);
    }
    Ok(match ended {
        Ended::Exited(status) => {
            let said = process::tail(log, 1);
            Probe::Ended(format!("{status}, {said}"))
        }
        Ended::Stopped | Ended::TimedOut => Probe::Silent(deadline),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_kernel_that_spoke_makes_it_kvm() {
        assert_eq!(decide(&Probe::Spoke).accelerator, Accelerator::Kvm);
        for (probe, word) in [
            (
                Probe::NoDevice("/dev/kvm: Permission denied".to_owned()),
                "Permission denied",
            ),
            (Probe::Silent(Duration::from_secs(20)), "20 s"),
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
