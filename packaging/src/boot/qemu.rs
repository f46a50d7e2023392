//! QEMU's command line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Accelerator;
use crate::host;
use crate::process;

/// The emulator, by the names it has: Debian's and Fedora's, and where Enterprise Linux hides it.
pub const PROGRAMS: [&str; 2] = ["qemu-system-x86_64", "/usr/libexec/qemu-kvm"];

/// The emulator of this host.
pub fn find() -> Option<PathBuf> {
    let [in_path, hidden] = PROGRAMS;
    host::find_program(in_path).or_else(|| {
        let path = PathBuf::from(hidden);
        path.is_file().then_some(path)
    })
}

/// A machine to be started.
#[derive(Debug, Clone)]
pub struct Machine<'a> {
    /// The emulator.
    pub program: &'a Path,
    /// How its processor runs.
    pub accelerator: Accelerator,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processors.
    pub cpus: usize,
    /// The kernel.
    pub kernel: &'a Path,
    /// The root file system; without one, the kernel finds none and ends there.
    pub disk: Option<&'a Path>,
    /// The guest's first process, where there is a root file system.
    pub init: &'a str,
    /// More arguments of the kernel.
    pub arguments: &'a [String],
    /// The file that takes what the guest's first serial port says: the console.
    pub console: &'a Path,
    /// The file that takes what the second one says: the report.
    pub report: &'a Path,
}

impl Machine<'_> {
    /// The command. QEMU ends with the process that starts it.
    pub fn command(&self) -> Command {
        let mut command = process::command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(self.program);
        command.args(self.options());
        command
    }

    fn options(&self) -> Vec<OsString> {
        let memory = self.memory_mib.to_string();
        let cpus = self.cpus.to_string();
        let arguments = self.kernel_arguments().join(" ");
        // Nothing but what is named here: no configuration of the user, no default devices, no display, no monitor.
        let mut line = words(&["-no-user-config", "-nodefaults", "-display", "none"]);
        line.extend(words(&["-no-reboot", "-machine", "q35"]));
        line.extend(words(match self.accelerator {
            Accelerator::Kvm => &["-accel", "kvm", "-cpu", "host"],
            Accelerator::Tcg => &["-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max"],
        }));
        line.extend(words(&["-m", &memory, "-smp", &cpus]));
        for (name, file) in [("console", self.console), ("report", self.report)] {
            line.push("-chardev".into());
            line.push(with_path(&format!("file,id={name},path="), file));
            line.extend(words(&["-serial", &format!("chardev:{name}")]));
        }
        if let Some(disk) = self.disk {
            // The disk lives no longer than the guest: nothing of it has to reach the host's.
            let option = "if=none,id=root,format=raw,cache=unsafe,discard=unmap,file=";
            line.extend(["-drive".into(), with_path(option, disk)]);
            line.extend(words(&["-device", "virtio-blk-pci,drive=root"]));
        }
        line.extend(["-kernel".into(), self.kernel.into()]);
        line.extend(words(&["-append", &arguments]));
        line
    }

    fn kernel_arguments(&self) -> Vec<String> {
        let mut all: Vec<&str> = vec![
            "console=ttyS0,115200",
            // The kernel's first lines, before there is a console: a machine that does not run shows none.
            "earlyprintk=serial,ttyS0,115200",
            "ignore_loglevel",
            "log_buf_len=8M",
            // A panic ends the machine, and an oops is the end of the proof anyhow.
            "panic=-1",
            "oops=panic",
            // One interface, with one name.
            "net.ifnames=0",
        ];
        if self.accelerator == Accelerator::Tcg {
            // An emulated timer may be late by more than the kernel has patience for, on a busy host any watchdog, too.
            all.extend([
                "no_timer_check",
                "watchdog_thresh=60",
                "rcupdate.rcu_cpu_stall_timeout=300",
            ]);
        }
        let init = format!("init={}", self.init);
        if self.disk.is_some() {
            all.extend(["root=/dev/vda", "rootfstype=ext4", "rw", &init]);
        }
        all.extend(self.arguments.iter().map(String::as_str));
        all.into_iter().map(str::to_owned).collect()
    }
}

fn words(items: &[&str]) -> Vec<OsString> {
    items.iter().map(OsString::from).collect()
}

/// An option of QEMU's that ends with a path, in which a comma is doubled.
fn with_path(option: &str, path: &Path) -> OsString {
    let mut bytes = option.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        bytes.push(*byte);
        if *byte == b',' {
            bytes.push(b',');
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(accelerator: Accelerator, disk: Option<&Path>) -> String {
        let command = Machine {
            program: Path::new("/usr/bin/qemu"),
            accelerator,
            memory_mib: 2048,
            cpus: 2,
            kernel: Path::new("/s/vmlinuz"),
            disk,
            init: "/init",
            arguments: &["extra=1".to_owned()],
            console: Path::new("/s/a,b/console.log"),
            report: Path::new("/s/report"),
        }
        .command();
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_machine_has_what_it_needs_and_nothing_else() {
        let line = line(Accelerator::Kvm, Some(Path::new("/s/root,1.img")));
        assert!(
            line.starts_with(
                "setpriv --pdeathsig KILL -- /usr/bin/qemu -no-user-config -nodefaults"
            ),
            "{line}"
        );
        for part in [
            "-accel kvm -cpu host",
            "-m 2048 -smp 2",
            "-chardev file,id=console,path=/s/a,,b/console.log -serial chardev:console",
            "-chardev file,id=report,path=/s/report -serial chardev:report",
            "file=/s/root,,1.img -device virtio-blk-pci,drive=root",
            "-kernel /s/vmlinuz",
            "root=/dev/vda rootfstype=ext4 rw init=/init extra=1",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("no_timer_check"), "{line}");
    }

    #[test]
    fn the_console_is_the_first_serial_port() {
        let line = line(Accelerator::Tcg, None);
        assert!(
            line.find("chardev:console") < line.find("chardev:report"),
            "{line}"
        );
        assert!(line.contains("console=ttyS0"), "{line}");
    }

    #[test]
    fn there_is_no_network() {
        for accelerator in [Accelerator::Kvm, Accelerator::Tcg] {
            let line = line(accelerator, None);
            // Without it QEMU gives every guest a card that leads to the outside.
            assert!(line.contains("-nodefaults"), "{line}");
            for network in ["-netdev", "-nic", "net-pci"] {
                assert!(!line.contains(network), "{network} is in {line}");
            }
        }
    }

    #[test]
    fn an_emulated_kernel_is_told_to_be_patient() {
        let line = line(Accelerator::Tcg, None);
        assert!(line.contains("-accel tcg"), "{line}");
        assert!(line.contains("no_timer_check"), "{line}");
        assert!(
            !line.contains("root=") && !line.contains("-drive") && !line.contains("init="),
            "{line}"
        );
    }
}
