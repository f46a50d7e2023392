//! QEMU's command line.

use std::path::Path;
use std::process::Command;

pub use super::needs::{PROGRAMS, find};
use super::{Error, at};
use crate::cpu::Level;
use crate::process;
use crate::sandbox::{self, Ids, Sandbox, User};

/// How a guest's processor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// On the host's, through KVM.
    Kvm,
    /// Emulated.
    Tcg,
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
    pub memory_mib: u64,
    /// Processors.
    pub cpus: usize,
    pub kernel: &'a Path,
    /// Its initial RAM disk, if it has one.
    pub initrd: Option<&'a Path>,
    /// The root file system; without one, the kernel finds none and ends there.
    pub disk: Option<&'a Path>,
    /// A second disk, which other machines have before and after this one.
    pub kept: Option<&'a Path>,
    /// The guest's first process, where there is a root file system.
    pub init: &'a str,
    /// More arguments of the kernel.
    pub arguments: &'a [String],
    /// The file that takes what the guest's first serial port says: the console.
    pub console: &'a Path,
    /// The file that takes what the second one says: the report.
    pub report: &'a Path,
}

/// Where QEMU sees what it is given.
const KERNEL: &str = "/srv/machine/kernel";
const INITRD: &str = "/srv/machine/initrd";
const DISK: &str = "/srv/machine/disk";
const KEPT: &str = "/srv/machine/kept";
const CONSOLE: &str = "/srv/machine/console";
const REPORT: &str = "/srv/machine/report";

/// Where KVM is.
const KVM: &str = "/dev/kvm";

impl Machine<'_> {
    /// The command. QEMU sees its own programs and these files, which become its own until [`Machine::take_back`], and ends with the
    /// process that starts it: what a guest makes of an error in QEMU gets it no further.
    pub fn command(&self) -> Result<Command, Error> {
        // KVM is for root, or for a group of the host.
        let ids = match self.accelerator {
            Accelerator::Kvm => Ids::Host,
            Accelerator::Tcg => Ids::for_new_chroots().map_err(at(self.program))?,
        };
        let mut sandbox = Sandbox::with_host_programs(ids, User::BareRoot, "machine")
            .map_err(at(self.program))?
            .read_only(self.kernel, KERNEL)
            .writable(self.console, CONSOLE)
            .writable(self.report, REPORT);
        let mut given = vec![self.kernel, self.console, self.report];
        if let Some(initrd) = self.initrd {
            sandbox = sandbox.read_only(initrd, INITRD);
            given.push(initrd);
        }
        for (disk, inside) in [(self.disk, DISK), (self.kept, KEPT)] {
            if let Some(disk) = disk {
                sandbox = sandbox.writable(disk, inside);
                given.push(disk);
            }
        }
        for path in given {
            sandbox.give(path).map_err(at(path))?;
        }
        if self.accelerator == Accelerator::Kvm && Path::new(KVM).exists() {
            sandbox = sandbox.device(KVM);
        }
        let mut program = self.program.display().to_string();
        if !self.program.starts_with("/usr") {
            let inside = "/srv/machine/emulator";
            sandbox = sandbox.read_only(self.program, inside);
            inside.clone_into(&mut program);
        }
        let options = self.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        Ok(sandbox.command(&program, &options))
    }

    /// Takes the files that a guest wrote for ourselves again.
    pub fn take_back(&self) -> Result<(), Error> {
        for path in [self.console, self.report] {
            sandbox::own(path).map_err(at(path))?;
        }
        Ok(())
    }

    fn options(&self) -> Vec<String> {
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
        for (name, file) in [("console", CONSOLE), ("report", REPORT)] {
            line.extend(words(&["-chardev", &format!("file,id={name},path={file}")]));
            line.extend(words(&["-serial", &format!("chardev:{name}")]));
        }
        let root = self.disk.map(|_| ("root", DISK));
        let kept = self.kept.map(|_| ("kept", KEPT));
        for (id, file) in root.into_iter().chain(kept) {
            // No disk outlives the proof: nothing of it has to reach the host's. Where the host's is full, the guest is told; by default it
            // would be stopped, and wait for the limit of its time.
            let errors = "werror=report,rerror=report";
            let drive = format!(
                "if=none,id={id},format=raw,cache=unsafe,discard=unmap,{errors},file={file}"
            );
            line.extend(words(&["-drive", &drive]));
            line.extend(words(&["-device", &format!("virtio-blk-pci,drive={id}")]));
        }
        line.extend(words(&["-kernel", KERNEL, "-append", &arguments]));
        if self.initrd.is_some() {
            line.extend(words(&["-initrd", INITRD]));
        }
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

fn words(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(accelerator: Accelerator, disk: Option<&Path>) -> String {
        line_with(accelerator, None, disk)
    }

    fn line_with(accelerator: Accelerator, cpu: Option<Level>, disk: Option<&Path>) -> String {
        Machine {
            program: Path::new("/usr/bin/qemu"),
            accelerator,
            cpu,
            memory_mib: 2048,
            cpus: 2,
            kernel: Path::new("/s/vmlinuz"),
            initrd: None,
            disk,
            kept: None,
            init: "/init",
            arguments: &["extra=1".to_owned()],
            console: Path::new("/s/console.log"),
            report: Path::new("/s/report"),
        }
        .options()
        .join(" ")
    }

    #[test]
    fn the_machine_has_what_it_needs_and_nothing_else() {
        let line = line(Accelerator::Kvm, Some(Path::new("/s/root.img")));
        assert!(line.starts_with("-no-user-config -nodefaults"), "{line}");
        for part in [
            "-accel kvm -cpu host",
            "-m 2048 -smp 2",
            "-chardev file,id=console,path=/srv/machine/console -serial chardev:console",
            "-chardev file,id=report,path=/srv/machine/report -serial chardev:report",
            "file=/srv/machine/disk -device virtio-blk-pci,drive=root",
            "-kernel /srv/machine/kernel",
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
        let dir = tempfile::tempdir().unwrap();
        let program = |name: &str, ending: &str| {
            let path = dir.path().join(name);
            let script = format!("#!/bin/sh\ngrep -q quit || exit 9\n{ending}\n");
            // By another process: a file that this one has open for writing cannot be run while another test starts a program.
            let mut command = process::command("sh");
            command.args(["-ec", "cat >\"$1\"; chmod 755 \"$1\"", "sh"]);
            process::output_with_input(command.arg(&path), script.as_bytes()).unwrap();
            path
        };
        let old = program(
            "old",
            "echo \"TCG doesn't support requested feature: CPUID.07H:EBX.avx2 [bit 5]\" >&2; exit 1",
        );
        let error = check_cpu(&old, Some(Level::V3)).unwrap_err().to_string();
        for part in ["/old cannot emulate", "x86-64-v3", "EBX.avx2", "7.2"] {
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
    fn the_disk_that_is_kept_is_the_second() {
        let mut machine = Machine {
            program: Path::new("/usr/bin/qemu"),
            accelerator: Accelerator::Tcg,
            cpu: None,
            memory_mib: 2048,
            cpus: 2,
            kernel: Path::new("/s/vmlinuz"),
            initrd: None,
            disk: Some(Path::new("/s/root.img")),
            kept: None,
            init: "/init",
            arguments: &[],
            console: Path::new("/s/console.log"),
            report: Path::new("/s/report"),
        };
        assert!(!machine.options().join(" ").contains("kept"));
        machine.kept = Some(Path::new("/s/kept.img"));
        let line = machine.options().join(" ");
        assert!(line.contains("file=/srv/machine/kept -device"), "{line}");
        assert!(line.find("drive=root") < line.find("drive=kept"), "{line}");
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
