//! `lustre-repo-kernel-guard`: the package that keeps a server on kernels that have Lustre. Its files are in `specs/kernel-guard/`.

use rpm::{Dependency, FileOptions, PackageBuilder, Scriptlet};

use crate::own_package::{BuiltPackage, Error, Numbers};

/// The package's name.
pub const NAME: &str = "lustre-repo-kernel-guard";

/// The package that it comes with.
pub const GUARDED: &str = "kmod-lustre";

/// Its version. Raised with every change of its files, or servers keep what they have; a test holds it to them.
pub const VERSION: &str = "1.0";

/// The program.
pub const PROGRAM: &str = "/usr/libexec/lustre-repo/kernel-guard";

/// What it says to those who log in.
pub const NOTE: &str = "/etc/motd.d/lustre-repo-kernel-guard";
/// What it says to them of the running kernel.
pub const RUNNING_NOTE: &str = "/etc/motd.d/lustre-repo-kernel-guard-running";
/// What it remembers.
pub const STATE: &str = "/var/lib/lustre-repo-kernel-guard/state";

/// Lustre's services, which wait for it and do not start where the running kernel has no Lustre: upstream's units, and the one that
/// systemd makes of its older script.
const SERVICES: [&str; 3] = ["lnet", "lsvcgss", "lustre"];

const UNITS: &str = "/usr/lib/systemd/system";
const UNIT: &str = "lustre-repo-kernel-guard.service";

const BEFORE_LUSTRE: &str = include_str!("../../specs/kernel-guard/before-lustre.conf");

/// A file: its path, its text, and whether it is a program.
type GuardFile = (&'static str, &'static str, bool);

const FILES: [GuardFile; 4] = [
    (
        PROGRAM,
        include_str!("../../specs/kernel-guard/kernel-guard"),
        true,
    ),
    (
        "/usr/lib/kernel/install.d/99-lustre-repo-kernel-guard.install",
        include_str!("../../specs/kernel-guard/99-lustre-repo-kernel-guard.install"),
        true,
    ),
    (
        "/usr/lib/systemd/system/lustre-repo-kernel-guard.service",
        include_str!("../../specs/kernel-guard/lustre-repo-kernel-guard.service"),
        false,
    ),
    (
        "/usr/share/doc/lustre-repo-kernel-guard/README.md",
        include_str!("../../docs/kernel-guard.md"),
        false,
    ),
];

/// Where modules are, as packages name it.
const MODULES: [&str; 2] = ["/lib/modules", "/usr/lib/modules"];

/// After everything of a transaction that brings or takes modules, with its scriptlets: kernels and modules may be in any order in it.
const TRIGGER: &str = "cat >/dev/null 2>&1 || :
if [ -x /usr/libexec/lustre-repo/kernel-guard ]; then /usr/libexec/lustre-repo/kernel-guard update || :; fi
exit 0
";

/// Before the last of it goes.
const PREUN: &str = "if [ \"$1\" = 0 ] && [ -x /usr/libexec/lustre-repo/kernel-guard ]; then
    /usr/libexec/lustre-repo/kernel-guard release || :
fi
exit 0
";

/// What the package says and does, for the key of who makes it: all its files and scriptlets.
pub fn content() -> String {
    let mut text = format!("{BEFORE_LUSTRE}\n{TRIGGER}\n{PREUN}\n");
    for (path, content, program) in FILES {
        text.push_str(&format!("{path} {program}\n{content}\n"));
    }
    text
}

/// Builds the package, with the distribution's tag in its release.
pub fn build(dist: &str, source_date_epoch: u64, url: Option<&str>) -> Result<BuiltPackage, Error> {
    let numbers = Numbers {
        name: NAME,
        version: VERSION,
        release: &format!("1{dist}"),
        source_date_epoch,
    };
    numbers.build(
        "Keeps the boot default of a Lustre server on kernels that have Lustre",
        "What a server boots has Lustre",
        |builder| {
            if let Some(url) = url {
                builder.url(url);
            }
            fill(builder)
        },
    )
}

fn fill(builder: &mut PackageBuilder) -> Result<(), rpm::Error> {
    let shell = |text: &str| Scriptlet::new(text).prog(vec!["/bin/sh"]);
    builder
        .description(
            "After a kernel was added, the boot default stays on the newest one that has\n\
             lustre.ko and, on servers, ldiskfs.ko. A kernel without them is installed, and\n\
             can be booted by hand. Lustre's services say which kernel to boot where the\n\
             running one has no Lustre. Removing this package gives back the\n\
             distribution's boot default.",
        )
        // The release package recommends it too, but is installed before the repository is known that has it.
        .supplements(Dependency::any(GUARDED));
    for program in ["bash", "coreutils", "findutils", "grep", "rpm"] {
        builder.requires(Dependency::any(program));
    }
    builder
        .requires(Dependency::script_preun("/bin/sh"))
        .pre_uninstall_script(shell(PREUN));
    for path in MODULES {
        builder.trans_file_trigger_in(path, None, shell(TRIGGER));
        builder.trans_file_trigger_postun(path, None, shell(TRIGGER));
    }
    let folder = |path: String| FileOptions::dir(path).permissions(0o755);
    // Not every system has one, and none is to be left where there was none.
    let notes = NOTE.rsplit_once('/').map_or(NOTE, |(notes, _)| notes);
    builder
        .with_dir_entry(folder(notes.to_owned()))?
        .with_dir_entry(folder("/usr/libexec/lustre-repo".to_owned()))?
        .with_dir_entry(folder(format!("/usr/share/doc/{NAME}")))?
        .with_dir_entry(folder(format!("/var/lib/{NAME}")))?;
    for (path, content, program) in FILES {
        let mut options = FileOptions::new(path).permissions(if program { 0o755 } else { 0o644 });
        if path.starts_with("/usr/share/doc/") {
            options = options.doc();
        }
        builder.with_file_contents(content, options)?;
    }
    for service in SERVICES {
        let path = format!("{UNITS}/{service}.service.d");
        builder
            .with_dir_entry(folder(path.clone()))?
            .with_file_contents(
                BEFORE_LUSTRE,
                FileOptions::new(format!("{path}/50-{NAME}.conf")).permissions(0o644),
            )?;
    }
    builder.with_symlink(FileOptions::symlink(
        format!("{UNITS}/multi-user.target.wants/{UNIT}"),
        format!("../{UNIT}"),
    ))?;
    for path in [NOTE, RUNNING_NOTE, STATE] {
        builder.with_ghost(FileOptions::ghost(path).permissions(0o644))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    /// The digest of what the version stands for.
    const CONTENT: &str = "46abaaaec3e035a3f150420a3cfe6c2729ef9dfd8a6b9781db3c18cb91d1643d";

    #[test]
    fn what_changes_has_another_version() {
        let digest = Sha256::digest(content());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            digest, CONTENT,
            "the files of {NAME} changed: raise VERSION where {VERSION} was released, and write the digest here"
        );
    }

    #[test]
    fn the_same_twice_and_with_the_distributions_tag() {
        let one = build(".el9", 1_704_067_200, None).unwrap();
        assert_eq!(
            one.file_name,
            "lustre-repo-kernel-guard-1.0-1.el9.noarch.rpm"
        );
        assert!(one.bytes == build(".el9", 1_704_067_200, None).unwrap().bytes);
        assert!(build(".el9", u64::MAX, None).is_err());
    }
}
