//! What clients make of a destination.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::sign::PublicKey;
use lustre_repository::{repodata, sums};
use rustix::fs::inotify;

use super::releases::{releases, tool};
use super::world::{public_key, run};

const KINDS: [&str; 3] = ["x86_64", "x86_64-debuginfo", "source"];

/// Reads all of a destination: signatures, the sums of every file, metadata, packages. Gives which release it is.
#[track_caller]
pub fn whole(place: &Path) -> usize {
    let key = PublicKey::parse(public_key()).unwrap();
    let read =
        |path: &str| fs::read(place.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut signed = vec!["SHA256SUMS".to_owned()];
    signed.extend(KINDS.map(|kind| format!("{kind}/repodata/repomd.xml")));
    for path in signed {
        let signature = read(&format!("{path}.asc"));
        let verified = key.verify_detached(&read(&path), &signature);
        verified.unwrap_or_else(|error| panic!("{path}: {error}"));
    }
    for kind in KINDS {
        let root = place.join(kind);
        let metadata = repodata::read(&root).unwrap_or_else(|error| panic!("{kind}: {error}"));
        for package in metadata.packages {
            let (digest, _) = sums::sha256(&root.join(&package.location)).unwrap();
            assert_eq!(digest, package.checksum.hex, "{}", package.location);
        }
    }
    let text = String::from_utf8(read("SHA256SUMS")).unwrap();
    for (digest, path) in sums::all(&text) {
        let (found, _) =
            sums::sha256(&place.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(found, digest, "{path}");
    }
    (0..3)
        .find(|number| {
            fs::read(releases().at(*number).join("SHA256SUMS")).unwrap() == text.as_bytes()
        })
        .unwrap()
}

/// That a client that has the index of a release finds the metadata and the packages that it names.
#[track_caller]
pub fn serves(place: &Path, number: usize) {
    let dist = releases().at(number);
    let text = fs::read_to_string(dist.join("SHA256SUMS")).unwrap();
    for (digest, path) in sums::all(&text) {
        let index = path.ends_with("/repomd.xml") || path.ends_with("/repomd.xml.asc");
        if (path.contains("/repodata/") && !index) || path.contains("/Packages/") {
            let (found, _) = sums::sha256(&place.join(path))
                .unwrap_or_else(|error| panic!("{path} of release {number}: {error}"));
            assert_eq!(found, digest, "{path}");
        }
    }
}

/// That nothing is there that no release needs: packages of others, folders of others, half-sent files.
#[track_caller]
pub fn tidy(place: &Path, number: usize) {
    for other in 0..3 {
        let needed = other == number || other + 1 == number;
        assert_eq!(place.join(tool(other)).exists(), needed, "release {other}");
    }
    let own = fs::read_dir(place.join(".releases")).unwrap();
    let mut names: Vec<String> = own
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names.len(), 1 + 2.min(number + 1), "{names:?}");
    for entry in walkdir::WalkDir::new(place) {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let half = name.starts_with('.') && entry.depth() > 1;
        assert!(!half, "{} was left", entry.path().display());
    }
}

/// Watches folders for names that go, if only for a moment.
pub struct Watch {
    inotify: OwnedFd,
    folders: BTreeMap<i32, PathBuf>,
}

impl Watch {
    pub fn new(folders: &[&Path]) -> Self {
        let inotify = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        let what = inotify::WatchFlags::DELETE | inotify::WatchFlags::MOVED_FROM;
        let watched = folders.iter().map(|folder| {
            let number = inotify::add_watch(&inotify, *folder, what).unwrap();
            (number, folder.to_path_buf())
        });
        let folders = watched.collect();
        Self { inotify, folders }
    }

    /// What is there, and was not for a moment.
    pub fn missed(self) -> BTreeSet<PathBuf> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut gone = BTreeSet::new();
        loop {
            match events.next() {
                Ok(event) => {
                    let Some(name) = event.file_name() else {
                        continue;
                    };
                    gone.insert(self.folders[&event.wd()].join(name.to_str().unwrap()));
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
        gone.retain(|path| path.symlink_metadata().is_ok());
        gone
    }
}

/// A dnf that remembers what it read.
pub struct Dnf {
    folder: tempfile::TempDir,
    /// Options of its repository, where it reads that through a proxy.
    more: Vec<String>,
}

impl Dnf {
    pub fn new() -> Self {
        Self::of(&public_key(), &[])
    }

    /// One that accepts this key.
    pub fn with_key(key: &str) -> Self {
        Self::of(key, &[])
    }

    /// With these options of its repository, which name a proxy.
    pub fn through(more: &[String]) -> Self {
        Self::of(&public_key(), more)
    }

    fn of(key: &str, more: &[String]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key.asc"), key).unwrap();
        Self {
            folder,
            more: more.to_vec(),
        }
    }

    fn command(&self, url: &str) -> Command {
        let folder = self.folder.path().display();
        let config = self.folder.path().join("dnf.conf");
        let text = format!(
            "[main]\ncachedir={folder}/cache\npersistdir={folder}/persist\nlogdir={folder}/log\nreposdir={folder}/none\n"
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("dnf");
        command
            .arg("-c")
            .arg(config)
            .arg(format!("--installroot={folder}/root"))
            .args([
                "--releasever=8",
                "--forcearch=x86_64",
                "-y",
                "--disableplugin=local",
            ])
            .arg(format!("--repofrompath=ours,{url}/x86_64"))
            .args(["--repo=ours", "--setopt=ours.repo_gpgcheck=1"])
            .arg(format!("--setopt=ours.gpgkey=file://{folder}/key.asc"))
            .args(&self.more);
        match self.more.is_empty() {
            true => command.env("no_proxy", "*"),
            false => command.env_remove("no_proxy").env_remove("NO_PROXY"),
        };
        command
    }

    /// Installs a package of `url`, whose signature it checks; gives whether that worked, and what it said.
    pub fn installs(&self, url: &str, package: &str) -> (bool, String) {
        let mut command = self.command(url);
        command.args(["--setopt=ours.gpgcheck=1", "install", package]);
        run(&mut command)
    }

    /// Where it installs.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// The release of the tool that it sees at `url`, asking whether there is something new.
    #[track_caller]
    pub fn sees(&self, url: &str) -> usize {
        let mut command = self.command(url);
        command.args(["--refresh", "repoquery", "--quiet", "site-tool.x86_64"]);
        let (success, text) = run(command.args(["--qf", "seen %{release}"]));
        let line = text.lines().find_map(|line| line.strip_prefix("seen "));
        let release: usize = line
            .filter(|_| success)
            .and_then(|it| it.trim().parse().ok())
            .unwrap_or_else(|| panic!("{text}"));
        release - 1
    }

    /// The version and release of a package that it sees at `url`, asking whether there is something new.
    #[track_caller]
    pub fn newest(&self, url: &str, package: &str) -> String {
        let mut command = self.command(url);
        command.args(["--refresh", "repoquery", "--quiet", "--latest-limit=1"]);
        command.args(["--qf", "seen %{version}-%{release}"]);
        let (success, text) = run(command.arg(format!("{package}.x86_64")));
        let line = text.lines().find_map(|line| line.strip_prefix("seen "));
        let line = line.filter(|_| success);
        line.unwrap_or_else(|| panic!("{text}")).trim().to_owned()
    }

    /// It gets a package of this version and release by the metadata that it has.
    #[track_caller]
    pub fn fetches(&self, url: &str, package: &str, version: &str) {
        let mut command = self.command(url);
        command.args(["--setopt=metadata_expire=never", "download"]);
        let to = self.folder.path().join("downloaded");
        command.arg(format!("--destdir={}", to.display()));
        let (success, text) = run(command.arg(format!("{package}-{version}")));
        assert!(success, "{text}");
        let file = to.join(format!("{package}-{version}.x86_64.rpm"));
        assert!(file.is_file(), "{text}");
    }

    /// It gets the tool by the metadata that it has, without asking whether there is something new.
    #[track_caller]
    pub fn downloads(&self, url: &str, number: usize) {
        let to = self.folder.path().join("downloaded");
        let mut command = self.command(url);
        command.args([
            "--setopt=metadata_expire=never",
            "download",
            "site-tool.x86_64",
        ]);
        let (success, text) = run(command.arg(format!("--destdir={}", to.display())));
        assert!(success, "{text}");
        let name = tool(number);
        let name = name.rsplit('/').next().unwrap();
        assert!(to.join(name).is_file(), "{text}");
    }
}

/// What is at a place, by path: of files the content, of links what they point to.
pub fn snapshot(place: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(place).min_depth(1).into_iter();
    entries
        .map(Result::unwrap)
        .map(|entry| {
            let name = entry.path().strip_prefix(place).unwrap();
            let content = match entry.file_type() {
                kind if kind.is_symlink() => {
                    let to = fs::read_link(entry.path()).unwrap();
                    to.to_string_lossy().into_owned().into_bytes()
                }
                kind if kind.is_file() => fs::read(entry.path()).unwrap(),
                _ => Vec::new(),
            };
            (name.display().to_string(), content)
        })
        .collect()
}
