//! A made-up machine with the programs that the guard needs, and no others.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::project;
use lustre_repo_tests::script;

/// The machine's id, with which the names of its boot entries begin.
pub const ID: &str = "0123456789abcdef0123456789abcdef";

/// What the guard uses of coreutils, findutils, grep, rpm, kmod and bash: nothing that needs a folder for temporary files.
const PROGRAMS: [&str; 16] = [
    "bash", "cat", "chmod", "find", "grep", "mkdir", "modinfo", "mv", "readlink", "rm", "rpm",
    "sh", "stat", "tr", "wc", "env",
];

/// grubby as far as the guard uses it: it finds entries by their kernel.
const GRUBBY: &str = r#"#!/bin/bash
echo "$*" >>"${0%/*}/grubby.log"
for argument; do
    case $argument in
    --bls-directory=*) entries=${argument#*=} ;;
    --env=*) environment=${argument#*=} ;;
    --set-default=*) kernel=${argument#*=/boot} ;;
    esac
done
for entry in "$entries"/*.conf; do
    if grep -qx "linux $kernel" "$entry"; then
        entry=${entry##*/}
        grub2-editenv "$environment" set "saved_entry=${entry%.conf}"
        exit
    fi
done
exit 1
"#;

/// How the guard ended.
pub struct GuardOutput {
    pub code: i32,
    pub text: String,
}

impl GuardOutput {
    /// That it says all of `parts`.
    #[track_caller]
    pub fn says(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text.contains(part), "no `{part}` in: {}", self.text);
        }
    }
}

pub struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    /// One without kernels, with an environment of GRUB's.
    pub fn new() -> Self {
        let machine = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        for folder in [
            "bin",
            "root/boot/loader/entries",
            "root/boot/grub2",
            "root/etc",
            "root/lib/modules",
        ] {
            fs::create_dir_all(machine.dir.path().join(folder)).unwrap();
        }
        for program in PROGRAMS {
            symlink(found(&[program]), machine.bin(program)).unwrap();
        }
        symlink(
            found(&["grub2-editenv", "grub-editenv"]),
            machine.bin("grub2-editenv"),
        )
        .unwrap();
        machine.runs("4.18.0-0");
        fs::write(machine.path("etc/machine-id"), format!("{ID}\n")).unwrap();
        machine.editenv(&["create"]);
        machine
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.dir.path().join("bin").join(name)
    }

    /// A path below its root.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join("root").join(below)
    }

    fn program(&self, name: &str, text: &str) {
        script::write(self.bin(name), text).unwrap();
    }

    /// What `uname -r` says.
    pub fn runs(&self, release: &str) {
        self.program("uname", &format!("#!/bin/sh\necho '{release}'\n"));
    }

    /// Has grubby.
    pub fn grubby(&self) {
        self.program("grubby", GRUBBY);
    }

    /// Has a grubby that does nothing and fails.
    pub fn broken_grubby(&self) {
        self.program("grubby", "#!/bin/sh\nexit 1\n");
    }

    /// What grubby was asked.
    pub fn asked_grubby(&self) -> String {
        fs::read_to_string(self.bin("grubby.log")).unwrap_or_default()
    }

    /// Has no program of this name.
    pub fn without(&self, program: &str) {
        fs::remove_file(self.bin(program)).unwrap();
    }

    fn editenv(&self, arguments: &[&str]) -> String {
        let done = Command::new(self.bin("grub2-editenv"))
            .arg(self.path("boot/grub2/grubenv"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// A kernel with its boot entry, without modules of Lustre. What installs it makes it the default.
    pub fn kernel(&self, release: &str) {
        fs::create_dir_all(self.path("lib/modules").join(release)).unwrap();
        fs::write(self.path(&format!("boot/vmlinuz-{release}")), "kernel").unwrap();
        self.entry(
            &format!("{ID}-{release}"),
            format!("title Linux ({release})\nversion {release}\nlinux /vmlinuz-{release}\noptions root=/dev/vda ro\n"),
        );
        self.save(&format!("{ID}-{release}"));
    }

    /// A kernel that comes with modules of Lustre, for clients alone or for servers too.
    pub fn lustre(&self, release: &str, modules: &[&str]) {
        self.kernel(release);
        for module in modules {
            self.module(release, &format!("extra/{module}/fs/{module}.ko"));
        }
    }

    pub fn module(&self, release: &str, file: &str) {
        let path = self.path("lib/modules").join(release).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "module").unwrap();
    }

    /// A link among the modules, to `target`.
    pub fn link(&self, release: &str, file: &str, target: &str) {
        let path = self.path("lib/modules").join(release).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// A boot entry with this text.
    pub fn entry(&self, id: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(&format!("boot/loader/entries/{id}.conf")), text).unwrap();
    }

    /// What kernel-install does for a kernel that goes: the entry, and the kernel in /boot. Its modules are still there.
    pub fn forget(&self, release: &str) {
        fs::remove_file(self.path(&format!("boot/loader/entries/{ID}-{release}.conf"))).unwrap();
        fs::remove_file(self.path(&format!("boot/vmlinuz-{release}"))).unwrap();
    }

    pub fn save(&self, entry: &str) {
        self.editenv(&["set", &format!("saved_entry={entry}")]);
    }

    pub fn unsave(&self) {
        self.editenv(&["unset", "saved_entry"]);
    }

    /// The saved entry, without the machine's id.
    pub fn saved(&self) -> String {
        let list = self.editenv(&["list"]);
        let saved = list
            .lines()
            .find_map(|line| line.strip_prefix("saved_entry="));
        saved.unwrap_or_default().replace(&format!("{ID}-"), "")
    }

    pub fn guard(&self, arguments: &[&str]) -> GuardOutput {
        let done = Command::new(project().join("specs/kernel-guard/kernel-guard"))
            .arg("--root")
            .arg(self.dir.path().join("root"))
            .args(arguments)
            .env_clear()
            .env("PATH", self.dir.path().join("bin"))
            .output()
            .unwrap();
        assert!(done.stdout.is_empty(), "{done:?}");
        let text = String::from_utf8(done.stderr).unwrap();
        for line in text.lines() {
            assert!(
                line.starts_with("lustre-repo-kernel-guard: "),
                "not its own words: {text}"
            );
        }
        GuardOutput {
            code: done.status.code().unwrap(),
            text,
        }
    }

    /// What happens after kernels or modules came or went; gives what it says.
    pub fn update(&self) -> GuardOutput {
        self.guard(&["update"])
    }

    /// What those who log in read.
    pub fn notes(&self) -> String {
        let Ok(folder) = fs::read_dir(self.path("etc/motd.d")) else {
            return String::new();
        };
        let mut files: Vec<PathBuf> = folder.map(|one| one.unwrap().path()).collect();
        files.sort();
        files
            .iter()
            .map(|one| fs::read_to_string(one).unwrap())
            .collect()
    }

    /// All files below `folder` with what is in them.
    pub fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        walkdir::WalkDir::new(self.path(folder))
            .into_iter()
            .map(|one| one.unwrap())
            .filter(|one| one.file_type().is_file())
            .map(|one| (one.path().to_owned(), fs::read(one.path()).unwrap()))
            .collect()
    }

    /// The guard's own files.
    pub fn own(&self) -> Vec<PathBuf> {
        let all = self.files("");
        all.into_keys()
            .filter(|path| path.to_string_lossy().contains("lustre-repo-kernel-guard"))
            .collect()
    }
}

/// The first of the programs that the host has.
fn found(names: &[&str]) -> PathBuf {
    let folders = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    let all = names
        .iter()
        .flat_map(|name| folders.map(|folder| Path::new(folder).join(name)));
    all.into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!("the host has no {names:?}; `cargo xtask test --setup` installs it")
        })
}
