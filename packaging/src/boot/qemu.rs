//! QEMU's command line.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Accelerator, Error};
use crate::cpu::Level;
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
    /// The level of x86-64 that its processor has at least; QEMU ends where it cannot give that.
    pub cpu: Option<Level>,
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
            Accelerator::Kvm => &["-accel", "kvm"],
            Accelerator::Tcg => &["-accel", "tcg,thread=multi,tb-size=256"],
        }));
        line.extend(words(&["-cpu", &model(self.accelerator, self.cpu)]));
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

/// The model of the processor: all that the accelerator has, which is to be at least what `cpu` says.
fn model(accelerator: Accelerator, cpu: Option<Level>) -> String {
    let model = match accelerator {
        Accelerator::Kvm => "host",
        Accelerator::Tcg => "max",
    };
    model.to_owned() + &cpu.map(Level::for_qemu).unwrap_or_default()
}

/// That the emulator at `program` can give a guest a processor of this level: emulated, which is what is left where there is no KVM.
///
/// # Errors
/// What it says, when it cannot.
pub fn check_cpu(program: &Path, cpu: Option<Level>) -> Result<(), Error> {
    let Some(level) = cpu else {
        return Ok(());
    };
    let mut command = process::command(program);
    command
        .args(["-no-user-config", "-nodefaults", "-display", "none"])
        .args(["-machine", "q35", "-m", "64", "-S", "-accel", "tcg", "-cpu"])
        .arg(model(Accelerator::Tcg, cpu))
        .args(["-qmp", "stdio"]);
    // It makes the machine, and that is all.
    let quit = b"{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n";
    match process::output_with_input(&mut command, quit) {
        Ok(_) => Ok(()),
        Err(process::Error::Output { stderr, .. }) => Err(Error::Cpu {
            program: program.to_owned(),
            level,
            said: stderr.trim().to_owned(),
        }),
        Err(error) => Err(error.into()),
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
        line_with(accelerator, None, disk)
    }

    fn line_with(accelerator: Accelerator, cpu: Option<Level>, disk: Option<&Path>) -> String {
        let command = Machine {
            program: Path::new("/usr/bin/qemu"),
            accelerator,
            cpu,
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
    fn a_guest_has_the_processor_that_its_packages_are_compiled_for() {
        for (accelerator, model) in [(Accelerator::Kvm, "host"), (Accelerator::Tcg, "max")] {
            let line = line_with(accelerator, Some(Level::V3), None);
            let (_, rest) = line.split_once(" -cpu ").unwrap();
            let cpu = rest.split(' ').next().unwrap();
            assert!(
                cpu.starts_with(&format!("{model},+")) && cpu.ends_with(",enforce"),
                "{cpu}"
            );
            assert!(cpu.contains(",+avx2,") && !cpu.contains("avx512"), "{cpu}");
        }
    }

    /// An emulator of before 7.2, which says so as QEMU does, and one that can; both want to be told to end.
    #[test]
    fn an_emulator_without_the_processor_is_told_before_anything_is_built() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let program = |name: &str, ending: &str| {
            let path = dir.path().join(name);
            let script = format!("#!/bin/sh\ngrep -q quit || exit 9\n{ending}\n");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        };
        let old = program(
            "old",
            "echo \"TCG doesn't support requested feature: CPUID.07H:EBX.avx2 [bit 5]\" >&2; exit 1",
        );
        let error = check_cpu(&old, Some(Level::V3)).unwrap_err().to_string();
        for part in ["/old cannot give", "x86-64-v3", "EBX.avx2", "7.2"] {
            assert!(error.contains(part), "`{part}`: {error}");
        }
        check_cpu(&old, None).unwrap();
        check_cpu(&program("new", "exit 0"), Some(Level::V3)).unwrap();
        match find() {
            Some(program) => check_cpu(&program, Some(Level::V3)).unwrap(),
            None => eprintln!("skipped: there is no QEMU to ask here"),
        }
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
