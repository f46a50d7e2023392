//! The table `[boot]`: the virtual machine that boots a target's packages, and what is expected of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::syntax::inside;

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
    /// The file under `specs/` that says which lines of the kernel log are errors.
    pub kernel_log: String,
    /// Known error lines of this Lustre release on this kernel, in addition to those in that file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<KnownLine>,
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
    /// Modules that Lustre's own cleanup forgets; they must at least let themselves be taken out.
    #[serde(default)]
    pub stays: Vec<String>,
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
    /// Inodes without a name that this release of Lustre is known to leave on its targets, where `e2fsck` finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nameless: Vec<Nameless>,
    /// What `e2fsck` cannot check, one sentence each; it is said in the proof.
    pub unchecked: Vec<String>,
    /// The three machines that have one file system, where the repository has the packages of a release before.
    pub upgrade: Upgrade,
}

/// The checks of three machines with one disk besides their own: it is mounted where the images are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// With the release before, which makes the file system.
    pub predecessor: Vec<String>,
    /// After the upgrade.
    pub upgraded: Vec<String>,
    /// After that was undone.
    pub undone: Vec<String>,
}

/// A line of the kernel's log that is known, and why it says nothing against what was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownLine {
    /// A regular expression that the line matches.
    pub pattern: String,
    /// Where it comes from: a ticket of Lustre's, where there is one.
    pub why: String,
}

/// An object of Lustre's that is an inode without a name, and why that says nothing against what was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nameless {
    /// Its identifier, as Lustre writes it: `[0x200000001:0x101e:0x0]`.
    pub fid: String,
    /// Where it comes from: a ticket of Lustre's, where there is one.
    pub why: String,
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
    /// The folder that all images are in.
    pub fn images_folder(&self) -> Option<&str> {
        let folder = |image: &'_ String| image.rsplit_once('/').map(|(folder, _)| folder.len());
        let first = self.images.first()?;
        let length = folder(first).filter(|length| *length > 0)?;
        let here = &first[..length];
        let same = |image: &String| folder(image) == Some(length) && image.starts_with(here);
        self.images.iter().all(same).then_some(here)
    }

    /// The same for a machine of an upgrade, which makes these checks. What a file system has of features is what the release that made it
    /// gives it.
    #[must_use]
    pub fn with_checks(&self, checks: &[String]) -> Self {
        Self {
            checks: checks.to_vec(),
            features: Vec::new(),
            unchecked: Vec::new(),
            ..self.clone()
        }
    }

    /// What no type can say.
    pub(super) fn check(&self) -> Result<(), String> {
        for (what, path) in [
            ("boot.guest", &self.guest),
            ("boot.kernel_log", &self.kernel_log),
        ] {
            inside(what, path)?;
        }
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for (key, checks) in [
            ("boot.checks", &self.checks),
            ("boot.upgrade.predecessor", &self.upgrade.predecessor),
            ("boot.upgrade.upgraded", &self.upgrade.upgraded),
            ("boot.upgrade.undone", &self.upgrade.undone),
        ] {
            if checks.is_empty() {
                return Err(format!(
                    "{key} is empty: a boot without checks proves nothing"
                ));
            }
            for (at, check) in checks.iter().enumerate() {
                if check.is_empty() || !check.chars().all(plain) {
                    return Err(format!(
                        "{key}: `{check}` is not a valid name: use lower-case letters, digits and dashes"
                    ));
                }
                if checks[..at].contains(check) {
                    return Err(format!("{key} lists `{check}` twice"));
                }
            }
        }
        if self.images_folder().is_none() {
            return Err(
                "boot.images are not all in one folder: that of the file system that an upgrade keeps"
                    .to_owned(),
            );
        }
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some(name) = self.environment.keys().find(|name| {
            name.is_empty()
                || !name.chars().all(word)
                || name.starts_with(|c: char| c.is_ascii_digit())
        }) {
            return Err(format!(
                "boot.environment: `{name}` is not a valid variable name"
            ));
        }
        for one in &self.nameless {
            let inner = one
                .fid
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'));
            let is_number = |part: &str| {
                part.strip_prefix("0x").is_some_and(|digits| {
                    !digits.is_empty()
                        && digits
                            .chars()
                            .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
                })
            };
            if inner.is_none_or(|inner| {
                inner.split(':').count() != 3 || !inner.split(':').all(is_number)
            }) {
                return Err(format!(
                    "boot.nameless: `{}` is not an identifier like `[0x200000001:0x101e:0x0]`, in lower case",
                    one.fid
                ));
            }
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Target, list};
    use super::*;

    fn of(target: &str) -> Boot {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        Target::load(&specs, target).unwrap().boot.unwrap()
    }

    #[test]
    fn what_cannot_be_is_said_by_its_key() {
        type Change = fn(&mut Boot);
        let wrong: [(&str, Change); 10] = [
            ("boot.checks", |boot| boot.checks.clear()),
            ("boot.upgrade.undone", |boot| boot.upgrade.undone.clear()),
            ("boot.upgrade.upgraded", |boot| {
                boot.upgrade.upgraded.push("Fsck".to_owned());
            }),
            ("boot.images", |boot| {
                boot.images.push("/var/tmp/lustre-ost9".to_owned());
            }),
            ("boot.checks", |boot| {
                boot.checks.push("../../etc".to_owned())
            }),
            ("twice", |boot| boot.checks.push("mount".to_owned())),
            ("boot.guest", |boot| boot.guest = "/etc".to_owned()),
            ("boot.kernel_log", |boot| {
                boot.kernel_log = "../x".to_owned()
            }),
            ("boot.limit_seconds", |boot| boot.limit_seconds = 0),
            ("boot.environment", |boot| {
                boot.environment.insert("a b".to_owned(), String::new());
            }),
        ];
        let good = of("rehearsal");
        assert_eq!(good.check(), Ok(()));
        for (word, change) in wrong {
            let mut boot = good.clone();
            change(&mut boot);
            let error = boot.check().unwrap_err();
            assert!(error.contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn every_target_of_the_project_has_the_data_it_names() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        let mut booted = 0;
        for name in list(&specs).unwrap() {
            let Some(boot) = Target::load(&specs, &name).unwrap().boot else {
                continue;
            };
            booted += 1;
            let upgrade = &boot.upgrade;
            let later = [&upgrade.predecessor, &upgrade.upgraded, &upgrade.undone];
            for check in boot.checks.iter().chain(later.into_iter().flatten()) {
                let script = specs.join(&boot.guest).join("checks").join(check);
                assert!(script.is_file(), "{name}: {}", script.display());
            }
            crate::boot::KernelLog::load(&specs.join(&boot.kernel_log))
                .unwrap()
                .knowing(&boot.known)
                .unwrap();
            assert!(!boot.images.is_empty(), "{name}");
        }
        assert!(booted > 0);
    }

    #[test]
    fn a_target_overrides_single_keys_and_whole_lists() {
        let (model, real) = (of("rehearsal"), of("debian-12"));
        assert_eq!(model.checks, real.checks);
        assert_ne!(model.limit_seconds, real.limit_seconds);
        // Nothing of the model is left among what replaces it.
        assert!(model.devices.iter().any(|devices| devices.kind == "llite"));
        assert!(real.devices.iter().all(|devices| devices.kind != "llite"));
    }
}
