//! A served stand-in, targets that trust its key, and the tool run with them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use lustre_packaging::store::Store;
use tempfile::TempDir;

use super::base::{Base, jobs};
use super::kernel::Release;
use super::lustre::Lustre;
use super::{e2fsprogs, git, mirror};
use crate::command_line::{CARGO_SAYS, Run, of_checkout, program, run};
use crate::http::Server;

/// The host of Lustre's sources.
pub const SOURCES: &str = "review.whamcloud.com";

/// One release of the distribution, served, with what a target of it takes from elsewhere.
pub struct World {
    /// What it is made of.
    pub base: Base,
    pub release: Release,
    pub server: Server,
    /// The store that runs use.
    pub store: PathBuf,
    folder: TempDir,
}

/// What a target is derived from.
#[derive(Debug, Clone, Copy)]
pub struct WorldOptions {
    /// The project's target.
    pub target: &'static str,
    pub release: Release,
    /// Where its mirrors have the releases: `dl.rockylinux.org/pub/rocky`.
    pub location: &'static str,
    pub lustre: Lustre,
    /// Its e2fsprogs: the tag, without its `v`.
    pub e2fsprogs: &'static str,
}

impl World {
    /// Makes it and starts to serve.
    pub fn new(wanted: &WorldOptions) -> Result<Self> {
        let base = Base::open()?;
        // Beside the base, so that packages are links.
        let folder = tempfile::Builder::new()
            .prefix("world-")
            .tempdir_in(&base.cache)?;
        let root = folder.path().join("served");
        mirror::write(&base, &wanted.release, wanted.location, &root)?;

        let trees = folder.path().join("trees");
        let (lustre, tools) = (trees.join("lustre"), trees.join("e2fsprogs"));
        fs::create_dir_all(&trees)?;
        wanted.lustre.write(&lustre)?;
        let sources = root.join(SOURCES);
        fs::create_dir_all(&sources)?;
        let commits = git::publish(
            &sources.join("fs/lustre-release"),
            &[(wanted.lustre.tag(), &lustre)],
        )?;
        e2fsprogs::write(&base.e2fsprogs, wanted.e2fsprogs, &tools)?;
        let tag = format!("v{}", wanted.e2fsprogs);
        git::publish(&sources.join("tools/e2fsprogs"), &[(&tag, &tools)])?;
        fs::remove_dir_all(&trees)?;

        let world = Self {
            server: Server::start(&root)?,
            store: base.store.clone(),
            base,
            release: wanted.release,
            folder,
        };
        fs::write(world.target(), world.derived(wanted, &commits[0]))?;
        Ok(world)
    }

    /// The same with a store of its own, which begins with the files of the base's: what a run does there is seen by no other.
    pub fn with_own_store(mut self) -> Result<Self> {
        self.store = self.folder.path().join("store");
        drop(Store::open(&self.store, "a test", &mut |_| {})?);
        let mut command = Command::new("cp");
        command
            .args(["-a", "--link"])
            .arg(self.base.store.join("files"));
        lustre_packaging::process::output(command.arg(&self.store))?;
        Ok(self)
    }

    /// The served folder.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("served")
    }

    /// The target's file.
    pub fn target(&self) -> PathBuf {
        self.folder.path().join("site.toml")
    }

    /// The target's lock, once it has one.
    pub fn lock(&self) -> PathBuf {
        self.folder.path().join("site.lock.toml")
    }

    /// Where `repo` puts the repository.
    pub fn output(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// A folder for the test's own things.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The target: the project's own, with the stand-in's keys, the commit of its Lustre, and the little that its small kernel takes.
    fn derived(&self, wanted: &WorldOptions, commit: &str) -> String {
        let key = self.base.key.public_key().fingerprint();
        let mut text = format!(
            "inherits = \"{}\"\ndescription = \"{} on a stand-in for its distribution\"\n\
             model = \"The distribution is a stand-in, and the Lustre of this repository is a model that stores nothing in parallel.\"\n\
             # Neither has Kerberos.\nfeatures = {{ gss = false }}\n\n\
             [distribution]\nkey = \"{key}\"\n\n\
             [distribution.keys.distribution]\nfingerprint = \"{key}\"\n\n\
             [needs]\njob_memory_mib = 300\noutput_gib = 1\nbase = {{ disk_gib = 3 }}\ne2fsprogs = {{ disk_gib = 1 }}\n\
             kernel = {{ disk_gib = 3, memory_mib = 500 }}\ndebuginfo = {{ disk_gib = 0, memory_mib = 0 }}\nlustre = {{ disk_gib = 1 }}\n\n\
             [lustre]\nsource = {{ git = {{ url = \"https://{SOURCES}/fs/lustre-release\", tag = \"{}\", commit = \"{commit}\" }} }}\n",
            wanted.target,
            wanted.target,
            wanted.lustre.tag(),
        );
        if wanted.lustre == Lustre::V2_17 {
            // The model has one kind of store: the wbcfs pair is not there.
            text += "packages = [\n    \"lustre\", \"kmod-lustre\", \"kmod-lustre-osd-ldiskfs\", \"lustre-osd-ldiskfs-mount\", \
                     \"lustre-resource-agents\",\n    \"lustre-devel\", \"kmod-lustre-devel\", \"lustre-iokit\", \"lustre-tests\", \
                     \"kmod-lustre-tests\",\n]\n";
        }
        text
    }

    /// The tool with this target, the stand-in for its mirrors and the base's store, about to run. `verb` is the subcommand.
    pub fn command(&self, verb: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg(verb).arg("--target").arg(self.target());
        for host in [mirror::DISTRIBUTION, SOURCES] {
            let to = self.server.url(&format!("/{host}"));
            command.arg("--mirror").arg(format!("https://{host}={to}"));
        }
        command
            .args(["--jobs", &jobs().to_string()])
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env(CARGO_SAYS, of_checkout())
            // The development key is made once.
            .env("HOME", self.base.cache.join("home"))
            .env("TMPDIR", std::env::temp_dir())
            .env("LUSTRE_REPO_STORE", &self.store)
            .stdin(std::process::Stdio::null());
        command
    }

    /// Runs it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn run(&self, verb: &str, arguments: &[&str]) -> Result<Run> {
        let home = self.base.cache.join("home");
        fs::create_dir_all(&home).with_context(|| home.display().to_string())?;
        Ok(run(&mut self.command(verb, arguments)))
    }
}
