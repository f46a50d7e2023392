//! Clones of Lustre's repository and of one of distributions' kernels, and what is looked at in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use lustre_packaging::process;

pub fn specs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs")
}

/// What is looked at of upstream's, with its version.
pub const REVISIONS: [(&str, &str); 9] = [
    ("2.15.5", "2.15.5"),
    ("v2_15_6", "2.15.6"),
    ("v2_15_7", "2.15.7"),
    ("2.15.8", "2.15.8"),
    ("2.16.0-RC1", "2.16.0-RC1"),
    ("2.16.1", "2.16.1"),
    ("v2_16_53", "2.16.53"),
    ("2.17.0", "2.17.0"),
    ("master", "2.17.57"),
];

pub fn git(arguments: &[&str]) -> Result<Vec<u8>> {
    git_in("LUSTRE_GIT", arguments)
}

/// git in the repository that the variable `name` names.
pub fn git_in(name: &str, arguments: &[&str]) -> Result<Vec<u8>> {
    let repository = std::env::var_os(name).with_context(|| format!("{name} names no clone"))?;
    Ok(process::output(
        Command::new("git")
            .arg("-C")
            .arg(repository)
            .args(arguments),
    )?)
}

pub fn file(revision: &str, path: &str) -> Option<String> {
    let text = git(&["show", &format!("{revision}:{path}")]).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// What overlays and series are of Lustre's tree.
pub const LUSTRE: [&str; 6] = [
    "lustre.spec.in",
    "config",
    "ldiskfs/kernel_patches",
    "lustre/osd-ldiskfs",
    "lustre/include",
    "lustre/target",
];

/// What Lustre makes ldiskfs of.
pub const EXT4: [&str; 3] = [
    "fs/ext4",
    "include/trace/events/ext4.h",
    "include/uapi/linux/ext4.h",
];

/// Puts these paths of a revision into `folder`; those that it does not have are left out.
pub fn unpack(name: &str, revision: &str, paths: &[&str], folder: &Path) -> Result<()> {
    let mut arguments = vec!["archive", revision];
    for path in paths {
        let listed = git_in(name, &["ls-tree", "--name-only", revision, path])?;
        if !listed.is_empty() {
            arguments.push(path);
        }
    }
    let file = folder.join("tree.tar");
    fs::write(&file, git_in(name, &arguments)?)?;
    let mut tar = Command::new("tar");
    process::output(tar.arg("-xf").arg(&file).arg("-C").arg(folder))?;
    Ok(fs::remove_file(&file)?)
}
