//! A distribution of one package, with which small packages are built in seconds: whoever installs a hundred takes ten times as long.

// Helpers of tests fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use crate::debian;
use crate::python::tools;

/// What rpmbuild needs for packages without programs, and what the worker calls.
const PACKAGES: [&str; 22] = [
    "bash",
    "coreutils",
    "dash",
    "diffutils",
    "file",
    "findutils",
    "gawk",
    "grep",
    "gzip",
    "hostname",
    "libpam-modules",
    "libpam-runtime",
    "login",
    "make",
    "mount",
    "passwd",
    "patch",
    "rpm",
    "sed",
    "tar",
    "util-linux",
    "xz-utils",
];

/// Its root, whose rpm calls the vendor as the rehearsal's does.
///
/// # Panics
/// When it cannot be made.
pub fn root() -> PathBuf {
    let root = debian::root(&PACKAGES, include_str!("system.rs"), &|root| {
        fs::create_dir_all(root.join("etc/rpm"))?;
        fs::write(
            root.join("etc/rpm/macros.vendor"),
            "%vendor Rehearsal Linux\n",
        )?;
        put_users(root, "", "")?;
        for folder in ["doc", "locale", "man"] {
            fs::remove_dir_all(root.join("usr/share").join(folder))?;
        }
        for kind in ["account", "auth", "password", "session"] {
            let file = root.join("etc/pam.d").join(format!("common-{kind}"));
            fs::write(file, format!("{kind} required pam_permit.so\n"))?;
        }
        Ok(())
    });
    root.unwrap()
}

/// A folder with the package `system`, which has all of that and provides all these names.
///
/// # Panics
/// When it cannot be made.
pub fn of_one_package(provided: &[String]) -> PathBuf {
    let root = root();
    let also: String = provided
        .iter()
        .map(|name| format!("Provides: {name}\n"))
        .collect();
    let spec = include_str!("system.spec").replace("%{also}", &also);
    let digest = format!("{:x}", Sha256::digest(&spec));
    let tools = tools().unwrap();
    let name = format!("system-{}", &digest[..12]);
    let home = tools.join(&name);
    let lock = fs::File::create(tools.join(format!("{name}.lock"))).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    if home.exists() {
        return home;
    }
    let folder = tempfile::tempdir_in(&tools).unwrap();
    let path = folder.path().join("system.spec");
    fs::write(&path, spec).unwrap();
    let mut command = Command::new("rpmbuild");
    command
        .args(["-bb", "--quiet", "--target", "x86_64"])
        .arg("--define")
        .arg(format!("_topdir {}", folder.path().display()))
        .arg("--define")
        .arg(format!("tree {}", root.display()))
        .args(["--define", "_binary_payload w1.zstdio"])
        .arg(&path);
    process::output(&mut command).unwrap();
    fs::rename(folder.path().join("RPMS/x86_64"), &home).unwrap();
    home
}

/// Writes the users and groups that every system has, and more; the scriptlet that would do so is not run.
pub(super) fn put_users(root: &Path, users: &str, groups: &str) -> std::io::Result<()> {
    for (file, more) in [("passwd", users), ("group", groups)] {
        let master = root.join(format!("usr/share/base-passwd/{file}.master"));
        let text = fs::read_to_string(master)?;
        fs::write(root.join("etc").join(file), text + more)?;
    }
    symlink("gawk", root.join("usr/bin/awk"))
}
