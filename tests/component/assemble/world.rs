//! A small distribution and our packages for it: built once with rpmbuild, signed once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lustre_packaging::sign::{Key, PublicKey, Signer, dev_key, sign_package};
use lustre_packaging::store::Digest;
use lustre_repo_tests::folder::Folder;
use lustre_repository::assets::Assets;
use lustre_repository::compat::Ext4;
use lustre_repository::comps::{Comps, Group};
use lustre_repository::digests::Digests;
use lustre_repository::earlier::{Candidate, Choice, Earlier, choose};
use lustre_repository::history::{History, SetPackage, path_of};
use lustre_repository::layout::{self, Assembly, Completion, Input};
use lustre_repository::manifest::{Advisory, KnownFault, Manifest, Stage, Tool};
use lustre_repository::proof::{Check, Outcome, Proof, StaticInput, static_checks};
use lustre_repository::release::{Release, ReplacedRelease};
use lustre_repository::release_package::{self, ReleasePackage};
use lustre_repository::repo_file::RepoFile;
use lustre_repository::repodata;
use lustre_repository::sbom::MadeWith;

/// Build time, signing time and revision: 2024-01-01.
pub const EPOCH: u32 = 1_704_067_200;

/// The kernel of the distribution and ours.
pub const BASE_KERNEL: &str = "6.1-553.el8_10";
pub const OUR_KERNEL: &str = "6.1-553.el8_10_lustre";

/// What stands for the lock that they were made with.
const LOCK: &str = "a lock\n";

/// The packages every repository of these tests has.
pub const EXPECTED: [&str; 5] = [
    "kernel-core",
    "kmod-lustre",
    "lustre",
    "e2fsprogs",
    "lustre-repo-release",
];

/// Runs a command, gives its output (standard output, then error) and panics where it fails.
pub fn succeed(command: &mut Command) -> String {
    let (success, text) = run(command);
    assert!(success, "{command:?}\n{text}");
    text
}

/// Runs a command and gives whether it succeeded, and its output.
pub fn run(command: &mut Command) -> (bool, String) {
    let done = command.env("LC_ALL", "C.UTF-8").output().unwrap();
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    (done.status.success(), text)
}

/// A package to build. `files` are path and content.
pub struct Spec<'a> {
    pub name: &'a str,
    pub evr: &'a str,
    pub tags: &'a str,
    pub files: &'a [(&'a str, &'a str)],
}

/// A package that each release has another version of.
pub fn site_tool(evr: &str) -> Spec<'_> {
    Spec {
        name: "site-tool",
        evr,
        tags: "",
        files: &[("/usr/share/site-tool", "a tool")],
    }
}

impl Spec<'_> {
    /// Builds it into `to` and gives the paths of the binary and the source package.
    pub fn build(&self, to: &Path) -> (PathBuf, PathBuf) {
        let top = tempfile::tempdir().unwrap();
        let (version, release) = self.evr.split_once('-').unwrap();
        let mut text = format!(
            "Name: {}\nVersion: {version}\nRelease: {release}\nSummary: A test package\nLicense: MIT\nAutoReqProv: no\n{}\n\
             %description\nA package of the tests.\n%install\nmkdir -p %{{buildroot}}\n",
            self.name, self.tags
        );
        let mut list = String::new();
        for (path, content) in self.files {
            text.push_str(&format!(
                "install -d $(dirname %{{buildroot}}{path})\nprintf '%%s' '{content}' > %{{buildroot}}{path}\n"
            ));
            list.push_str(&format!("{path}\n"));
        }
        text.push_str("%files\n");
        text.push_str(&list);
        let spec = top.path().join("test.spec");
        fs::write(&spec, text).unwrap();
        let define = |name: &str, value: &str| ["--define".to_owned(), format!("{name} {value}")];
        succeed(
            Command::new("rpmbuild")
                .args(["-ba", "--quiet", "--target", "x86_64"])
                .args(define("_topdir", &top.path().display().to_string()))
                .args(define("use_source_date_epoch_as_buildtime", "1"))
                .args(define("_buildhost", "test"))
                .args(define("debug_package", "%{nil}"))
                .env("SOURCE_DATE_EPOCH", EPOCH.to_string())
                .arg(&spec),
        );
        fs::create_dir_all(to).unwrap();
        let copy = |from: PathBuf| {
            let to = to.join(from.file_name().unwrap());
            fs::copy(&from, &to).unwrap();
            to
        };
        let nvr = format!("{}-{}", self.name, self.evr);
        (
            copy(top.path().join(format!("RPMS/x86_64/{nvr}.x86_64.rpm"))),
            copy(top.path().join(format!("SRPMS/{nvr}.src.rpm"))),
        )
    }
}

/// The key, made once and kept in the target folder: RSA-4096 takes a while.
pub fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| dev_key(&keys()).unwrap().key)
}

/// The key that follows it, made likewise.
pub fn next_key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| dev_key(&keys().join("next")).unwrap().key)
}

/// The folder that the key is in.
pub fn keys() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("assemble-keys")
}

/// The armored public key.
pub fn public_key() -> String {
    key().public_key_armored().unwrap()
}

/// The distribution and our signed packages.
pub struct World {
    dir: Folder,
    /// The distribution's repository, with metadata by createrepo_c.
    pub base: PathBuf,
    /// Our signed packages; the release package is added by [`Tree`], since it knows its place.
    pub packages: Vec<Input>,
    /// An unsigned package of ours.
    pub unsigned: PathBuf,
}

/// The world, built once.
pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::build)
}

const KERNEL: &str = "Provides: installonlypkg(kernel)\nProvides: kernel-core-uname-r = %{version}-%{release}.x86_64";

impl World {
    fn build() -> Self {
        let dir = Folder::new().unwrap();
        let base = dir.path().join("base");
        let kernel = format!("{KERNEL}\nProvides: kernel(foo) = 0x1\nProvides: kernel(bar) = 0x1");
        let specs = [
            Spec {
                name: "bash",
                evr: "5.2-1",
                tags: "Provides: /bin/sh",
                files: &[
                    ("/usr/bin/bash", "a shell"),
                    ("/usr/share/doc/shared", "same"),
                ],
            },
            Spec {
                name: "kernel-core",
                evr: BASE_KERNEL,
                tags: &kernel,
                files: &[("/lib/modules/6.1-553.el8_10/vmlinuz", "theirs")],
            },
            Spec {
                name: "e2fsprogs",
                evr: "1.45-1",
                tags: "",
                files: &[("/usr/sbin/mke2fs", "old")],
            },
        ];
        for spec in specs {
            spec.build(&base.join("Packages"));
        }
        for entry in fs::read_dir(base.join("Packages")).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().ends_with(".src.rpm") {
                fs::remove_file(path).unwrap();
            }
        }
        succeed(Command::new("createrepo_c").arg("-q").arg(&base));

        let unsigned = dir.path().join("unsigned");
        let kernel = format!("{KERNEL}\nProvides: kernel(foo) = 0x2\nProvides: kernel(bar) = 0x3");
        let specs = [
            Spec {
                name: "kernel-core",
                evr: OUR_KERNEL,
                tags: &kernel,
                files: &[("/lib/modules/6.1-553.el8_10_lustre/vmlinuz", "ours")],
            },
            Spec {
                name: "kmod-lustre",
                evr: "2.17.0-1",
                tags: "Requires: kernel(foo) = 0x2\nRequires: kernel(bar) = 0x3\nProvides: ksym(lu) = 0x7",
                files: &[(
                    "/lib/modules/6.1-553.el8_10_lustre/extra/lustre.ko",
                    "module",
                )],
            },
            Spec {
                name: "lustre",
                evr: "2.17.0-1",
                tags: "Requires: kmod-lustre = %{version}\nRequires: /bin/sh\nRequires: ksym(lu) = 0x7\n\
                       Requires: (e2fsprogs >= 1.47 if kernel-core)\nRequires(post): /usr/bin/bash",
                files: &[
                    ("/usr/sbin/lctl", "tool"),
                    ("/usr/share/doc/shared", "same"),
                ],
            },
            Spec {
                name: "lustre-debuginfo",
                evr: "2.17.0-1",
                tags: "",
                files: &[("/usr/lib/debug/usr/sbin/lctl.debug", "symbols")],
            },
            Spec {
                name: "e2fsprogs",
                evr: "1.47-1",
                tags: "Provides: ldiskfsprogs = %{version}",
                files: &[("/usr/sbin/mke2fs", "new"), ("/usr/sbin/extra", "extra")],
            },
        ];
        let mut packages = Vec::new();
        let mut one = PathBuf::new();
        for spec in &specs {
            let (binary, source) = spec.build(&unsigned);
            packages.push(signed(&binary, dir.path()));
            packages.push(signed(&source, dir.path()));
            one = binary;
        }
        Self {
            base,
            packages,
            unsigned: one,
            dir,
        }
    }

    /// A folder that stays as long as the tests run.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// Signs a package into `dir` and gives it as an input.
pub fn signed(package: &Path, dir: &Path) -> Input {
    signed_by(key(), package, dir)
}

fn signed_by(key: &Key, package: &Path, dir: &Path) -> Input {
    let path = dir.join("signed").join(package.file_name().unwrap());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let done = sign_package(package, &path, key, EPOCH).unwrap();
    Input {
        path,
        sha256_unsigned: done.unsigned_sha256,
        stage: "test".to_owned(),
    }
}

/// The error type of a signing function.
pub type SignError = Box<dyn std::error::Error + Send + Sync>;

/// A repository of these tests, in a folder of its own.
pub struct Tree {
    dir: tempfile::TempDir,
    /// What it is assembled from; tests change it.
    pub packages: Vec<Input>,
    /// What has to be in it; tests change it.
    pub expected: Vec<String>,
    /// When it is released; tests change it.
    pub released: u32,
    /// What it replaces; tests change it.
    pub replaces: Option<ReplacedRelease>,
    /// What it keeps of earlier releases; tests change it.
    pub earlier: Earlier,
    /// What is known to be wrong with its Lustre; tests change it.
    pub known_faults: Vec<KnownFault>,
    /// Why nobody knows; tests change it.
    pub known_faults_not_looked_up: Option<String>,
    /// What updating to it mends; tests change it.
    pub advisories: Vec<Advisory>,
    /// The key that signs.
    signer: &'static Key,
    /// What its packages are made of; tests change it.
    pub stage: Stage,
    /// What they are made with besides; tests change it.
    pub made_with: MadeWith,
    pub repo_file: RepoFile,
}

impl Tree {
    /// The world's packages and a release package that points to this tree.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("file://{}", dir.path().join("dist/test").display());
        Self::at(dir, &url)
    }

    /// As [`Self::new`], published at `url`.
    pub fn published_at(url: &str) -> Self {
        Self::at(tempfile::tempdir().unwrap(), url)
    }

    fn at(dir: tempfile::TempDir, url: &str) -> Self {
        let repo_file = RepoFile::new(url, "Lustre test").unwrap();
        let release = release(&repo_file);
        let path = dir.path().join(&release.file_name);
        fs::write(&path, release.bytes).unwrap();
        let mut packages = world().packages.clone();
        packages.push(signed(&path, dir.path()));
        Self {
            dir,
            packages,
            expected: EXPECTED.map(str::to_owned).to_vec(),
            released: EPOCH,
            replaces: None,
            earlier: Earlier::default(),
            known_faults: Vec::new(),
            known_faults_not_looked_up: None,
            advisories: Vec::new(),
            signer: key(),
            stage: Stage::default(),
            made_with: MadeWith::default(),
            repo_file,
        }
    }

    /// A folder for the test.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Where the tree is.
    pub fn dist(&self) -> PathBuf {
        self.dir.path().join("dist/test")
    }

    /// Leaves a package out.
    pub fn without(&mut self, file: &str) -> &mut Self {
        let before = self.packages.len();
        self.packages
            .retain(|input| input.path.file_name().unwrap() != file);
        assert_eq!(self.packages.len() + 1, before, "{file} was not there");
        self
    }

    /// Adds a package, built and signed for it.
    pub fn with(&mut self, spec: &Spec<'_>) -> &mut Self {
        let (binary, _) = spec.build(&self.dir.path().join("more"));
        let input = signed_by(self.signer, &binary, self.dir.path());
        self.packages.push(input);
        self
    }

    /// Has all of it signed by `signer`, with a release package of that number which tells servers of the next key.
    pub fn signed_anew(
        &mut self,
        signer: &'static Key,
        next_key: Option<&Key>,
        release: &str,
    ) -> &mut Self {
        let next = next_key.map(|key| key.public_key_armored().unwrap());
        self.signer = signer;
        let repo_file = self.repo_file.clone();
        self.repo_file = repo_file.with_next_key(next.as_deref()).unwrap();
        self.packages.retain(|input| {
            let name = input.path.file_name().unwrap().to_string_lossy();
            !name.starts_with(release_package::NAME)
        });
        let folder = self.dir.path().join(release);
        for input in &mut self.packages {
            // What it was before anybody signed it stays.
            let path = signed_by(signer, &input.path, &folder).path;
            *input = Input {
                path,
                ..input.clone()
            };
        }
        let built = release_package::build(&ReleasePackage {
            version: "1.0",
            release,
            repo_file: &self.repo_file,
            public_key: &signer.public_key_armored().unwrap(),
            source_date_epoch: u64::from(EPOCH),
            url: None,
        })
        .unwrap();
        let path = folder.join(&built.file_name);
        fs::write(&path, built.bytes).unwrap();
        self.packages.push(signed_by(signer, &path, &folder));
        self
    }

    /// The armored public key of what signs it.
    pub fn public_key(&self) -> String {
        self.signer.public_key_armored().unwrap()
    }

    /// Assembles it with the test key.
    pub fn assemble(&self) -> Result<Manifest, layout::Error> {
        self.assemble_with(&|content| Ok(self.signer.sign_detached(content, self.released)?))
    }

    /// Assembles it with another signing function.
    pub fn assemble_with(
        &self,
        sign: &dyn Fn(&[u8]) -> Result<String, SignError>,
    ) -> Result<Manifest, layout::Error> {
        let public_key = self.public_key();
        let base = repodata::primary(&world().base).unwrap();
        layout::assemble(
            &Assembly {
                packages: &self.packages,
                comps: &comps(),
                repo_file: &self.repo_file,
                public_key: &public_key,
                manifest: Manifest {
                    tool: Tool {
                        name: "lustre-repo".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    },
                    target: "test".to_owned(),
                    source_date_epoch: u64::from(EPOCH),
                    release: Some(Release {
                        time: self.released,
                        replaces: self.replaces.clone(),
                        ..Release::default()
                    }),
                    lock_sha256: Some(Digest::of_bytes(LOCK.as_bytes()).to_string()),
                    known_faults: self.known_faults.clone(),
                    known_faults_not_looked_up: self.known_faults_not_looked_up.clone(),
                    advisories: self.advisories.clone(),
                    stages: BTreeMap::from([("test".to_owned(), self.stage.clone())]),
                    ..Manifest::default()
                },
                base: Some(layout::Base {
                    of: "the base of the test",
                    packages: &base,
                    ext4: &|kernel| Ext4::not_compared(format!("nobody has {}", kernel.source)),
                }),
                lock: Some(LOCK),
                made_with: &self.made_with,
                earlier: &self.earlier,
                sign,
            },
            &self.dist(),
        )
    }

    /// Has it keep `keep` releases with its own, of those that the tree has.
    pub fn keeping(&mut self, keep: usize) -> &mut Self {
        let there = History::read(&self.dist()).unwrap().unwrap();
        let fit = |set| Candidate { set, unfit: None };
        let candidates: Vec<Candidate> = there.sets.into_iter().map(fit).collect();
        let now = self.packages.iter().map(|input| {
            let nevra = layout::nevra_of(&input.path).unwrap();
            let (sha256, size) = lustre_repository::sums::sha256(&input.path).unwrap();
            SetPackage {
                path: path_of(&nevra).unwrap(),
                nevra,
                size,
                sha256,
                sha256_unsigned: input.sha256_unsigned.clone(),
                stage: input.stage.clone(),
            }
        });
        let assets = Assets::read(&self.dist()).unwrap();
        self.earlier = choose(&Choice {
            folder: &self.dist(),
            candidates: &candidates,
            now: &now.collect::<Vec<_>>(),
            keep,
            key: &PublicKey::parse(self.public_key()).unwrap(),
            base: &repodata::read(&world().base).unwrap().packages,
            assets: &assets.map_or_else(Vec::new, |all| all.packages),
        });
        self
    }

    /// Completes the assembled tree with its proof, as it is published; gives the proof.
    pub fn complete(&self) -> Proof {
        let proof = Proof::new(&self.dist(), "test", "0", self.check()).unwrap();
        let sign = |content: &[u8]| Ok(self.signer.sign_detached(content, self.released)?);
        let completion = Completion::new(&self.dist(), &proof, &self.public_key(), &sign).unwrap();
        for (name, text) in completion.files() {
            fs::write(self.dist().join(name), text).unwrap();
        }
        proof
    }

    /// What its `.repo` file says.
    pub fn repo_file(&self) -> &RepoFile {
        &self.repo_file
    }

    /// All static checks.
    pub fn check(&self) -> Vec<Check> {
        self.check_at(&self.dist())
    }

    /// All static checks of a copy of it.
    pub fn check_at(&self, dist: &Path) -> Vec<Check> {
        static_checks(&StaticInput {
            dist,
            base_repos: &[world().base.clone()],
            expected: &self.expected,
            target: "test",
            repo_file: &self.repo_file,
            public_key: &self.public_key(),
            digests: &Digests::default(),
            logs: &self.dir.path().join("logs"),
            confine: lustre_packaging::sandbox::looking,
        })
    }

    /// The checks that did not pass, with their messages.
    pub fn failures(&self) -> BTreeMap<String, String> {
        self.check()
            .into_iter()
            .filter(|check| check.result != Outcome::Pass)
            .map(|check| (check.name, check.message))
            .collect()
    }
}

/// The release package for a place.
pub fn release(repo_file: &RepoFile) -> release_package::BuiltPackage {
    release_package::build(&ReleasePackage {
        version: "1.0",
        release: "1.el8",
        repo_file,
        public_key: &public_key(),
        source_date_epoch: u64::from(EPOCH),
        url: Some("https://repo.example.org/"),
    })
    .unwrap()
}

fn comps() -> Comps {
    let packages = ["kernel-core", "kmod-lustre", "lustre", "e2fsprogs"];
    Comps::new(vec![Group {
        id: "lustre-server".to_owned(),
        name: "Lustre Server".to_owned(),
        description: "A server".to_owned(),
        mandatory: packages.map(str::to_owned).into(),
        default: Vec::new(),
        optional: Vec::new(),
    }])
    .unwrap()
}
