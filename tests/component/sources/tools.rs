//! What the tests of sources make their inputs with: git, gpg, rpmbuild, createrepo_c.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::source::{FetchedSource, Fetcher, Locked, Options, Retry, Source};
use lustre_packaging::store::Store;

/// Runs a command that has to succeed; its standard output without the last newline.
pub fn succeed(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// A store, a folder for inputs, and how to fetch.
pub struct Place {
    dir: tempfile::TempDir,
    pub options: Options,
}

impl Place {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("in")).unwrap();
        let options = Options {
            keys: dir.path().join("in"),
            retry: Retry {
                attempts: 3,
                first_pause: std::time::Duration::ZERO,
            },
            ..Options::default()
        };
        Self { dir, options }
    }

    /// A path for inputs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("in").join(name)
    }

    pub fn store(&self) -> Store {
        let root = self.dir.path().join("store");
        Store::open(&root, "a test", &mut |holder| panic!("waits for {holder}")).unwrap()
    }

    pub fn lock(&self, source: &Source) -> Result<FetchedSource, String> {
        let store = self.store();
        Fetcher::new(&store, &self.options, &|_| {})
            .lock("lustre", source)
            .map_err(|error| error.to_string())
    }

    pub fn fetch(&self, source: &Source, locked: &Locked) -> Result<FetchedSource, String> {
        let store = self.store();
        Fetcher::new(&store, &self.options, &|_| {})
            .fetch("lustre", source, locked)
            .map_err(|error| error.to_string())
    }

    /// Writes out a source; the folder.
    pub fn export(&self, fetched: &FetchedSource) -> PathBuf {
        let into = self.dir.path().join("out");
        if into.exists() {
            fs::remove_dir_all(&into).unwrap();
        }
        fetched.export(&self.store(), &into, 1_000_000).unwrap();
        into
    }
}

/// A git repository for tests.
pub struct Repository(pub PathBuf);

impl Repository {
    pub fn new(path: PathBuf) -> Self {
        fs::create_dir_all(&path).unwrap();
        let repository = Self(path);
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        succeed(
            Command::new("git")
                .arg("-C")
                .arg(&self.0)
                .args(["-c", "user.name=Test", "-c", "user.email=test@example.org"])
                .args(arguments)
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("GIT_AUTHOR_DATE", "@1500000000 +0200")
                .env("GIT_COMMITTER_DATE", "@1500000000 +0200"),
        )
    }

    /// Writes files and commits everything; the commit.
    pub fn commit(&self, files: &[(&str, &str)]) -> String {
        for (name, content) in files {
            let path = self.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message=x"]);
        self.git(&["rev-parse", "HEAD"])
    }
}

/// Builds a source package with one source file of this content into `folder`; its path.
pub fn build_srpm(folder: &Path, release: &str, content: &str) -> PathBuf {
    let work = tempfile::tempdir().unwrap();
    let spec = work.path().join("model-kernel.spec");
    let text = format!(
        "Name: model-kernel\nVersion: 4.18.0\nRelease: {release}\nSummary: x\nLicense: GPL-2.0-only\nSource0: data.txt\n\
         BuildArch: noarch\n%description\nx\n%files\n"
    );
    fs::write(&spec, text).unwrap();
    fs::write(work.path().join("data.txt"), content).unwrap();
    fs::create_dir_all(folder).unwrap();
    let define = |name: &str, value: &Path| format!("{name} {}", value.display());
    succeed(
        Command::new("rpmbuild")
            .args(["-bs", "--nodeps", "--define"])
            .arg(define("_sourcedir", work.path()))
            .arg("--define")
            .arg(define("_srcrpmdir", folder))
            .arg("--define")
            .arg(define("_topdir", work.path()))
            .arg("--define")
            .arg(define("_dbpath", work.path()))
            .arg(&spec),
    );
    folder.join(format!("model-kernel-4.18.0-{release}.src.rpm"))
}

pub fn createrepo(repository: &Path) {
    succeed(Command::new("createrepo_c").arg("--quiet").arg(repository));
}
