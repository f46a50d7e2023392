//! A machine whose emulator is a shell script.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::boot::accelerator::Accelerator;
use lustre_packaging::boot::qemu::Machine;
use lustre_repo_tests::script;

/// What the script finds out from QEMU's options: where console and report go, and whether it is KVM.
const OPTIONS: &str = r#"#!/bin/bash
kvm=
while [ $# -gt 0 ]; do
    case $1 in
    -chardev)
        case $2 in
        file,id=console,path=*) console=${2#*path=} ;;
        file,id=report,path=*) report=${2#*path=} ;;
        esac ;;
    -accel) [ "$2" != kvm ] || kvm=yes ;;
    esac
    shift
done
[ -n "$console" ] && [ -n "$report" ] || exit 9
"#;

/// A machine whose emulator is a script.
pub struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    pub fn new(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("qemu");
        script::write(&program, format!("{OPTIONS}{text}")).unwrap();
        fs::write(dir.path().join("vmlinuz"), "").unwrap();
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether something goes on writing the report or the console.
    pub fn still_writes(&self) -> bool {
        let size = || {
            let of = |name: &str| fs::metadata(self.path(name)).unwrap().len();
            (of("report"), of("console"))
        };
        // What was killed is gone in a moment.
        std::thread::sleep(std::time::Duration::from_millis(300));
        let before = size();
        std::thread::sleep(std::time::Duration::from_millis(700));
        size() != before
    }

    pub fn with<T>(
        &self,
        accelerator: Accelerator,
        run: impl FnOnce(&Machine<'_>, &Path) -> T,
    ) -> T {
        let machine = Machine {
            program: &self.path("qemu"),
            accelerator,
            cpu: None,
            memory_mib: 64,
            cpus: 1,
            kernel: &self.path("vmlinuz"),
            initrd: None,
            disk: None,
            kept: None,
            init: "/init",
            arguments: &[],
            console: &self.path("console"),
            report: &self.path("report"),
        };
        run(&machine, &self.path("log"))
    }
}
