//! What the stand-in is made of, kept below Cargo's target folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use lustre_distro::Recipe;
use lustre_packaging::buildroot;
use lustre_packaging::lock::Lock;
use lustre_packaging::sign::Key;
use lustre_packaging::store::Store;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest, Sha256};

use super::kernel::Release;
use super::linux;
use crate::command_line::{CARGO_SAYS, of_checkout, program, project};

/// What the stand-in's buildroot has, for the kernels that it builds itself.
const BUILDROOT: &[&str] = &[
    "rehearsal-release",
    "rpm-build",
    "redhat-rpm-config",
    "kernel-rpm-macros",
    "bash",
    "bc",
    "bison",
    "coreutils",
    "cpio",
    "diffutils",
    "elfutils-libelf-devel",
    "findutils",
    "flex",
    "gawk",
    "gcc",
    "grep",
    "gzip",
    "kmod",
    "make",
    "openssl-devel",
    "patch",
    "perl-interpreter",
    "sed",
    "tar",
    "util-linux",
    "xz",
];

/// What the stand-in is made of.
#[derive(Debug)]
pub struct Base {
    /// Where it is kept.
    pub cache: PathBuf,
    /// The store with everything that is pinned. Runs of the tool use it as well.
    pub store: PathBuf,
    /// The rehearsal distribution: `base/Packages`, `key.asc`.
    pub distribution: PathBuf,
    /// The cut-down Linux.
    pub linux: PathBuf,
    /// The archive of e2fsprogs.
    pub e2fsprogs: PathBuf,
    /// The key that signs all of it.
    pub key: Key,
}

impl Base {
    /// Makes what is not there.
    pub fn open() -> Result<Self> {
        let cache = target_folder()?.join("stand-in");
        fs::create_dir_all(&cache)?;
        let _alone = alone(&cache)?;
        let store = cache.join("store");
        share_files(&store)?;
        let specs = project().join("specs");
        let lock = fetched(&specs, &store)?;
        let recipe = Recipe::load(&specs.join("distributions/rehearsal"))?;
        let key = lustre_distro::build::key(&recipe)?;
        let file = |digest: &str| -> Result<PathBuf> {
            let path = place(&store, digest);
            ensure!(path.is_file(), "the store has no {}", path.display());
            Ok(path)
        };
        let pin = |name: &str| {
            let pin = lock.source.get(name);
            pin.with_context(|| format!("the lock of the rehearsal pins no {name}"))
        };
        let archive = pin("distribution-kernel")?;
        let source = file(&archive.sha256)?;
        let linux = linux::cut(&source, &archive.sha256, &cache)?;
        let distribution = cache.join(format!(
            "distribution-{}",
            &lustre_distro::inputs_digest(&recipe, &lock.package)?[..16]
        ));
        if !distribution.exists() {
            let scratch = tempfile::tempdir_in(&cache)?;
            let debs = scratch.path().join("debs");
            fs::create_dir(&debs)?;
            for package in &lock.package {
                symlink(file(&package.file.sha256)?, debs.join(&package.file.file))?;
            }
            // The archive's content is of no use here: the rehearsal's own kernel is left out.
            let kernel = debs.join(&archive.file);
            fs::write(&kernel, "")?;
            let (work, made) = (scratch.path().join("work"), scratch.path().join("made"));
            fs::create_dir_all(&work)?;
            fs::create_dir_all(&made)?;
            let inputs = lustre_distro::Inputs {
                pins: &lock.package,
                debs: &debs,
                kernel_spec: &specs.join("distributions/rehearsal/kernel"),
                kernel_source: &kernel,
                kernel_dist: None,
                jobs: jobs(),
            };
            lustre_distro::build(&recipe, &inputs, &work, &made, &scratch.path().join("log"))?;
            fs::rename(&made, &distribution)?;
        }
        let e2fsprogs = file(&pin("e2fsprogs")?.sha256)?;
        Ok(Self {
            cache,
            store,
            distribution,
            linux,
            e2fsprogs,
            key,
        })
    }

    /// The packages of the distribution's own kernel of `release`, built where they are not there.
    pub fn kernel(&self, release: &Release) -> Result<PathBuf> {
        let _alone = alone(&self.cache)?;
        own_kernel(release, &self.linux, &self.distribution, &self.cache)
    }
}

/// Where a store has the file of a digest.
fn place(store: &Path, digest: &str) -> PathBuf {
    store.join("files/sha256").join(&digest[..2]).join(digest)
}

/// The rehearsal's lock, with all that it pins in the store.
fn fetched(specs: &Path, store: &Path) -> Result<Lock> {
    let path = specs.join("locks/rehearsal.toml");
    let read = || -> Result<Lock> {
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    };
    if let Ok(lock) = read() {
        let packages = lock.package.iter().map(|package| &package.file);
        let mut files = packages.chain(lock.source.values());
        // A run of another test may hold the store for minutes.
        if files.all(|pin| place(store, &pin.sha256).is_file()) {
            return Ok(lock);
        }
    }
    run(Command::new(program())
        .env(CARGO_SAYS, of_checkout())
        .args(["fetch", "--target", "rehearsal", "--store"])
        .arg(store))?;
    read()
}

/// Tests run side by side; one makes a thing, the others wait.
fn alone(cache: &Path) -> Result<fs::File> {
    let lock = fs::File::create(cache.join("lock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    Ok(lock)
}

fn own_kernel(
    release: &Release,
    linux: &Path,
    distribution: &Path,
    cache: &Path,
) -> Result<PathBuf> {
    let scratch = tempfile::tempdir_in(cache)?;
    let spec = scratch.path().join("spec");
    release.spec(&spec, false)?;
    let mut hasher = Sha256::new();
    for path in [linux, distribution] {
        hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    }
    let mut files: Vec<PathBuf> = fs::read_dir(&spec)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.sort();
    for file in files {
        hasher.update(fs::read(file)?);
    }
    let digest = format!("{:x}", hasher.finalize());
    let made = cache.join(format!("kernel-el{}-{}", release.el, &digest[..16]));
    if !made.exists() {
        let root = buildroot(distribution, cache)?;
        release.build(linux, &root, jobs(), &made)?;
    }
    Ok(made)
}

/// A chroot with what builds a kernel, made by the host's dnf where it is not there.
pub fn buildroot(distribution: &Path, cache: &Path) -> Result<PathBuf> {
    let name = distribution
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let root = cache.join(format!("buildroot-of-{name}"));
    if !root.exists() {
        let scratch = tempfile::tempdir_in(cache)?;
        let base = lustre_packaging::buildroot::Base {
            repos: vec![buildroot::BaseRepo {
                id: "base".to_owned(),
                folder: distribution.join("base"),
            }],
            key: distribution.join("key.asc"),
            arch: "x86_64".to_owned(),
            signed_metadata: true,
            module_platform: None,
        };
        let packages: Vec<String> = BUILDROOT.iter().map(|&name| name.to_owned()).collect();
        let (made, log) = (scratch.path().join("root"), scratch.path().join("log"));
        buildroot::bootstrap(&base, &packages, &made, &scratch.path().join("dnf"), &log)
            .with_context(|| lustre_packaging::process::tail(&log, 20))?;
        fs::rename(&made, &root)?;
    }
    Ok(root)
}

/// Links the files of the user's store into ours, so that nothing is fetched twice. Where there is none, all is fetched.
fn share_files(store: &Path) -> Result<()> {
    drop(Store::open(store, "a test", &mut |_| {})?);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let users = cache.map(|cache| cache.join("lustre-repo"));
    for users in users.iter().filter(|users| users.join("files").is_dir()) {
        for part in ["files", "apt"] {
            // `cp` cannot link between file systems and would copy into an apt that is in use: neither is needed.
            let _ = Command::new("cp")
                .args(["-a", "--link", "--no-clobber"])
                .arg(users.join(part))
                .arg(store)
                .stderr(std::process::Stdio::null())
                .status();
        }
    }
    Ok(())
}

/// Cargo's target folder, where the built program is.
fn target_folder() -> Result<PathBuf> {
    let found = program().ancestors().find(|path| path.ends_with("target"));
    Ok(found.map_or_else(|| project().join("target"), Path::to_owned))
}

/// How many jobs builds run.
pub fn jobs() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn run(command: &mut Command) -> Result<()> {
    lustre_packaging::process::output(command)?;
    Ok(())
}
