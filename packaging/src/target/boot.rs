//! The table `[boot]`: the virtual machine that boots a target's packages, and what is expected of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How the boot proof of a target is made. A later target inherits it and overrides single keys; lists are replaced whole.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// The guest's memory, in MiB.
    pub memory_mib: u64,
    /// The guest's processors; never more than the host has.
    pub cpus: usize,
    /// The size of the guest's root file system, in MiB. The file is sparse, but a guest may fill it.
    pub disk_mib: u64,
    /// How long the guest may take from power-on to power-off, in seconds, emulated by a busy machine.
    pub limit_seconds: u64,
    /// How long KVM has for the kernel's first line, in seconds; after that the guest is emulated.
    pub kvm_seconds: u64,
    /// Arguments of the kernel besides those that say where root and console are.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// What the guest needs besides the packages of the install proof: the distribution's own packages.
    pub packages: Vec<String>,
    /// The checks, in the order they run: files `checks/NAME.sh` of the folder `guest`.
    pub checks: Vec<String>,
    /// The folder under `specs/` with what runs in the guest.
    pub guest: String,
    /// The file under `specs/` that says which lines of the kernel's log are no good.
    pub kernel_log: String,
    /// The environment of `llmount.sh` and the other scripts of lustre-tests.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Users that the tests expect: name and id.
    #[serde(default)]
    pub users: BTreeMap<String, u32>,
    /// Modules that must load, before anything is mounted.
    pub modules: Vec<String>,
    /// The packages whose modules must all be unloaded in the end.
    pub module_packages: Vec<String>,
    /// The folder of lustre-tests.
    pub tests: String,
    /// Where `llmount.sh` mounts the client.
    pub client: String,
    /// Where it mounts the targets.
    pub servers: Vec<String>,
    /// The targets that `lfs df` must show, by name.
    pub targets: Vec<String>,
    /// The devices that `lctl dl` must show, all of them UP.
    pub devices: Vec<Devices>,
    /// The cases of `sanity.sh` that run.
    pub sanity: Vec<String>,
    /// The images that `e2fsck -fn` must find clean in the end; the MDT's is the first.
    pub images: Vec<String>,
    /// Features that the MDT's image must have.
    #[serde(default)]
    pub features: Vec<String>,
    /// What `e2fsck` cannot check, one sentence each; it is said in the proof.
    pub unchecked: Vec<String>,
}

/// How many devices of a type there must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devices {
    /// The type, as `lctl dl` shows it.
    #[serde(rename = "type")]
    pub kind: String,
    /// How many at least.
    pub count: usize,
}

impl Boot {
    /// What no type can say.
    pub(super) fn check(&self) -> Result<(), String> {
        for (what, path) in [
            ("boot.guest", &self.guest),
            ("boot.kernel_log", &self.kernel_log),
        ] {
            if path.starts_with('/') || path.split('/').any(|part| part == ".." || part.is_empty())
            {
                return Err(format!("{what} is a path under specs/, not `{path}`"));
            }
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.checks.is_empty() {
            return Err(
                "boot.checks names no check: a boot that checks nothing proves nothing".to_owned(),
            );
        }
        for (at, check) in self.checks.iter().enumerate() {
            if check.is_empty() || !check.chars().all(plain) {
                return Err(format!(
                    "boot.checks: `{check}` is no name of a check: use small letters, digits and dashes"
                ));
            }
            if self.checks[..at].contains(check) {
                return Err(format!("boot.checks names `{check}` twice"));
            }
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some(name) = self.environment.keys().find(|name| {
            name.is_empty()
                || !name.chars().all(word)
                || name.starts_with(|c: char| c.is_ascii_digit())
        }) {
            return Err(format!(
                "boot.environment: `{name}` is no name of a variable"
            ));
        }
        for (what, value) in [
            ("memory_mib", self.memory_mib),
            ("disk_mib", self.disk_mib),
            ("limit_seconds", self.limit_seconds),
            ("cpus", self.cpus as u64),
        ] {
            if value == 0 {
                return Err(format!("boot.{what} is 0"));
            }
        }
        Ok(())
    }
}
