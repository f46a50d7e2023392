//! Programs of Debian that judge what we do and that no machine should have for that alone: a server, once installed, is started. They are
//! unpacked, once, and kept for all later runs.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};

use crate::python::tools;

/// A folder with what is in these packages, in the versions that the machine's apt would install.
pub fn unpacked(packages: &[&str]) -> Result<PathBuf> {
    let tools = tools()?;
    let name = packages.join("+");
    let home = tools.join(format!("debian-{name}"));
    // Test programs run side by side; the lock goes with the file.
    let lock = File::create(tools.join(format!("debian-{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if home.exists() {
        return Ok(home);
    }
    let folder = tempfile::tempdir_in(&tools)?;
    process::output(
        Command::new("apt-get")
            .args(["download", "--quiet"])
            .args(packages)
            .current_dir(folder.path()),
    )?;
    let root = folder.path().join("root");
    for entry in fs::read_dir(folder.path())? {
        let package = entry?.path();
        if package.extension().is_some_and(|it| it == "deb") {
            process::output(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([&package, &root]),
            )?;
        }
    }
    fs::rename(&root, &home).with_context(|| format!("make {}", home.display()))?;
    Ok(home)
}

/// A root with these packages of Debian unstable and all that they need, without running their scriptlets: programs that the machine's own
/// release does not have yet. It is as new as the day on which it is made, and kept for a week.
pub fn unstable(packages: &[&str]) -> Result<PathBuf> {
    const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
    let tools = tools()?;
    let name = format!("unstable-{}", packages.join("+"));
    let home = tools.join(&name);
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    // The root itself has the time that a package gives it.
    let made = home.join("made");
    if let Ok(there) = fs::metadata(&made)
        && there.modified()?.elapsed().is_ok_and(|age| age < KEPT)
    {
        return Ok(home);
    }
    if home.exists() {
        fs::remove_dir_all(&home)?;
    }

    let asked = process::output(Command::new("apt-get").args([
        "--no-release-info",
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]))?;
    let asked = String::from_utf8(asked)?;
    // That of the security team has no unstable.
    let archive = asked.lines().find(|uri| !uri.contains("security"));
    let archive = archive.context("apt knows no archive of Debian's")?;

    let folder = tempfile::tempdir_in(&tools)?;
    let (apt, root) = (folder.path().join("apt"), folder.path().join("root"));
    for path in ["lists/partial", "archives/partial"] {
        fs::create_dir_all(apt.join(path))?;
    }
    fs::create_dir(&root)?;
    fs::write(apt.join("status"), "")?;
    fs::write(
        apt.join("sources.list"),
        format!(
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {archive} unstable main\n"
        ),
    )?;
    let apt_get = || {
        let mut command = Command::new("apt-get");
        for (option, value) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "none"),
            ("Dir::State::Lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache::Archives", "archives"),
            ("Dir::Cache::pkgcache", "pkgcache"),
            ("Dir::Cache::srcpkgcache", "srcpkgcache"),
        ] {
            command.arg(format!("-o{option}={}", apt.join(value).display()));
        }
        command.args(["--quiet", "--yes", "-oAPT::Sandbox::User=root"]);
        command
    };
    process::output(apt_get().arg("update"))?;
    process::output(
        apt_get()
            .args(["install", "--download-only", "--no-install-recommends"])
            .args(["base-files", "usr-is-merged"])
            .args(packages),
    )?;
    let mut debs: Vec<PathBuf> = fs::read_dir(apt.join("archives"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    debs.retain(|path| path.extension().is_some_and(|it| it == "deb"));
    // base-files has the links of /bin and /lib that all others are unpacked through.
    debs.sort_by_key(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        (!name.starts_with("base-files_"), name.into_owned())
    });
    for deb in &debs {
        process::output(Command::new("dpkg-deb").arg("--extract").args([deb, &root]))?;
    }
    // What is mounted over in a sandbox: made once, not by each of several at a time.
    for folder in ["dev", "proc", "run", "tmp", "root", "var"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("made"), "")?;
    fs::rename(&root, &home).with_context(|| format!("make {}", home.display()))?;
    Ok(home)
}
