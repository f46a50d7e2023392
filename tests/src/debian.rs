//! Programs of Debian that judge what we do and that no machine should have for that alone: a server, once installed, is started. They are
//! unpacked, once, and kept for all later runs.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use lustre_packaging::process;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

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
    let root = folder.path().join("root");
    let mut apt = Apt::new(folder.path())?;
    apt.of_archive(&format!(
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {archive} unstable main\n"
    ))?;
    apt.extract(
        &[&["base-files", "usr-is-merged"], packages].concat(),
        &root,
    )?;
    // What is mounted over in a sandbox: made once, not by each of several at a time.
    for folder in ["dev", "proc", "run", "tmp", "root", "var"] {
        fs::create_dir_all(root.join(folder))?;
    }
    fs::write(root.join("made"), "")?;
    fs::rename(&root, &home).with_context(|| format!("make {}", home.display()))?;
    Ok(home)
}

/// A root with these packages of the machine's own release and all that they need, for programs that are to run apart from the machine. No
/// scriptlet is run, so nothing is started; `finish` does what they would have done. It is in the file with the text `code`: another one makes
/// another root.
pub fn root(
    packages: &[&str],
    code: &str,
    finish: &dyn Fn(&Path) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let tools = tools()?;
    let digest = format!("{:x}", Sha256::digest(packages.join("\n") + code));
    let name = format!("debian-root-{}", &digest[..12]);
    let home = tools.join(&name);
    let lock = File::create(tools.join(format!("{name}.lock")))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    if home.exists() {
        return Ok(home);
    }
    let folder = tempfile::tempdir_in(&tools)?;
    let root = folder.path().join("root");
    let all = [&["base-files", "base-passwd"], packages].concat();
    Apt::new(folder.path())?.extract(&all, &root)?;
    // This release's packages still have files in both /bin and /usr/bin.
    for name in ["bin", "lib", "lib64", "sbin"] {
        let (old, new) = (root.join(name), root.join("usr").join(name));
        if old.symlink_metadata().is_ok_and(|it| it.is_dir()) {
            fs::create_dir_all(&new)?;
            process::output(
                Command::new("cp")
                    .args(["--archive", "--no-target-directory"])
                    .args([&old, &new]),
            )?;
            fs::remove_dir_all(&old)?;
            symlink(Path::new("usr").join(name), &old)?;
        }
    }
    fs::create_dir_all(root.join("srv"))?;
    finish(&root)?;
    fs::rename(&root, &home).with_context(|| format!("make {}", home.display()))?;
    Ok(home)
}

/// apt as on a machine on which nothing is installed.
struct Apt {
    folder: PathBuf,
    /// What differs from the machine's own.
    options: Vec<String>,
}

impl Apt {
    /// Its state is in `folder`; the lists of packages are the machine's.
    fn new(folder: &Path) -> Result<Self> {
        let folder = folder.join("apt");
        fs::create_dir_all(folder.join("archives/partial"))?;
        fs::write(folder.join("status"), "")?;
        let mut apt = Self {
            folder,
            options: vec!["-oAPT::Sandbox::User=root".to_owned()],
        };
        for (option, value) in [
            ("Dir::State::status", "status"),
            ("Dir::Cache::Archives", "archives"),
            ("Dir::Cache::pkgcache", "pkgcache"),
            ("Dir::Cache::srcpkgcache", "srcpkgcache"),
        ] {
            apt.option(option, value);
        }
        Ok(apt)
    }

    fn option(&mut self, option: &str, value: &str) {
        let path = self.folder.join(value);
        self.options.push(format!("-o{option}={}", path.display()));
    }

    /// Takes packages from these sources alone, by their lists of today.
    fn of_archive(&mut self, sources: &str) -> Result<()> {
        fs::create_dir_all(self.folder.join("lists/partial"))?;
        fs::write(self.folder.join("sources.list"), sources)?;
        for (option, value) in [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "none"),
            ("Dir::State::Lists", "lists"),
        ] {
            self.option(option, value);
        }
        process::output(self.command().arg("update"))?;
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["--quiet", "--yes"]).args(&self.options);
        command
    }

    /// Unpacks these packages, and all that they need, into the new folder `root`.
    fn extract(&self, packages: &[&str], root: &Path) -> Result<()> {
        process::output(
            self.command()
                .args(["install", "--download-only", "--no-install-recommends"])
                .args(packages),
        )?;
        let mut debs: Vec<PathBuf> = fs::read_dir(self.folder.join("archives"))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        debs.retain(|path| path.extension().is_some_and(|it| it == "deb"));
        // base-files first: it has the folders, or links, that all others are unpacked through.
        debs.sort_by_key(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            (!name.starts_with("base-files_"), name.into_owned())
        });
        fs::create_dir(root)?;
        for deb in &debs {
            process::output(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .args([deb.as_path(), root]),
            )?;
        }
        Ok(())
    }
}
