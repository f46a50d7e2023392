//! A Linux that is cut down to what the stand-in's small config builds: a tenth of the files, and minutes instead of a quarter of
//! an hour.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use lustre_packaging::{archive, process};

/// Raised whenever [`kept`] or the packing changes.
const FORMAT: u32 = 2;

/// The folders of drivers, file systems and network protocols that have more than their makefiles.
const DRIVERS: &[&str] = &[
    "base",
    "block",
    "char",
    "clocksource",
    "md",
    "rtc",
    "tty",
    "virtio",
];
const FILE_SYSTEMS: &[&str] = &[
    "configfs",
    "crypto",
    "debugfs",
    "devpts",
    "exportfs",
    "ext4",
    "iomap",
    "jbd2",
    "kernfs",
    "lockd",
    "nfs",
    "nfs_common",
    "nls",
    "notify",
    "proc",
    "quota",
    "ramfs",
    "sysfs",
    "tracefs",
    "unicode",
    "verity",
];
const PROTOCOLS: &[&str] = &[
    "802", "bpf", "core", "ethernet", "ethtool", "ipv4", "ipv6", "llc", "mptcp", "netlink",
    "packet", "sched", "sunrpc", "unix", "xdp",
];
/// What of arch/x86 nothing here needs.
const NOT_OF_X86: &[&str] = &["kvm"];

/// The cut-down source of `archive`, a kernel's upstream release of this `digest`, in the folder `cache`: made where it is not there.
pub fn cut(archive: &Path, digest: &str, cache: &Path) -> Result<PathBuf> {
    let name = format!("linux-{}-{FORMAT}.tar.xz", &digest[..digest.len().min(16)]);
    let made = cache.join(&name);
    if made.exists() {
        return Ok(made);
    }
    fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
    let scratch = tempfile::tempdir_in(cache)?;
    let tree = scratch.path().join("linux");
    archive::unpack_only(archive, &tree, 1, &kept)?;
    let unfinished = scratch.path().join(&name);
    process::output(
        Command::new("tar")
            .args([
                "--sort=name",
                "--mtime=@0",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
            ])
            .args(["--use-compress-program=xz -1 -T0 --block-size=16MiB", "-cf"])
            .arg(&unfinished)
            .arg("-C")
            .arg(scratch.path())
            .arg("linux"),
    )?;
    fs::rename(&unfinished, &made).with_context(|| made.display().to_string())?;
    Ok(made)
}

/// Whether the file at `path` stays. Makefiles stay everywhere, because they name each other.
fn kept(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    let Some((name, folders)) = parts.split_last() else {
        return false;
    };
    let makefile = ["Kconfig", "Makefile", "Kbuild"]
        .iter()
        .any(|start| name.starts_with(start));
    let of = |kept: &[&str]| folders.len() < 2 || kept.contains(&folders[1]);
    match folders.first().copied() {
        None => true,
        Some("LICENSES") => false,
        Some("Documentation" | "rust" | "samples" | "sound") => makefile,
        Some("arch") => {
            makefile
                || folders.len() < 2
                || (folders[1] == "x86"
                    && folders.get(2).is_none_or(|part| !NOT_OF_X86.contains(part)))
        }
        // The loopback device is among the drivers' own files.
        Some("drivers") => {
            makefile || folders == ["drivers", "net"] || (folders.len() > 1 && of(DRIVERS))
        }
        Some("fs") => makefile || of(FILE_SYSTEMS),
        Some("net") => makefile || of(PROTOCOLS),
        Some("tools") => {
            of(&["arch", "build", "include", "lib", "objtool", "scripts"])
                && (folders.get(1) != Some(&"arch") || folders.get(2) == Some(&"x86"))
        }
        Some("include") => of(&[
            "acpi",
            "asm-generic",
            "clocksource",
            "config",
            "crypto",
            "generated",
            "keys",
            "kunit",
            "kvm",
            "linux",
            "math-emu",
            "media",
            "memory",
            "misc",
            "net",
            "pcmcia",
            "ras",
            "rdma",
            "rv",
            "scsi",
            "soc",
            "sound",
            "target",
            "trace",
            "uapi",
            "ufs",
            "vdso",
            "video",
            "xen",
        ]),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::kept;
    use std::path::Path;

    #[test]
    fn what_the_small_config_builds_stays() {
        for (path, stays) in [
            ("Makefile", true),
            ("fs/namespace.c", true),
            ("fs/ext4/super.c", true),
            ("fs/btrfs/super.c", false),
            ("fs/btrfs/Kconfig", true),
            ("drivers/md/dm.c", true),
            ("drivers/net/loopback.c", true),
            ("drivers/net/bonding/bond_main.c", false),
            ("drivers/net/Kconfig", true),
            ("arch/Kconfig", true),
            ("arch/x86/kernel/cpu/common.c", true),
            ("arch/x86/kvm/x86.c", false),
            ("arch/arm/crypto/Kconfig", true),
            ("arch/arm/kernel/setup.c", false),
            ("tools/Makefile", true),
            ("tools/objtool/check.c", true),
            ("tools/perf/builtin-top.c", false),
            ("include/trace/events/ext4.h", true),
            ("include/drm/drm_device.h", false),
            ("Documentation/Kconfig", true),
            ("Documentation/index.rst", false),
        ] {
            assert_eq!(kept(Path::new(path)), stays, "{path}");
        }
    }
}
