//! `rebuild` of a repository that cannot be rebuilt: why, and what to do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::lock::{FilePin, Lock, PackagePin};
use lustre_packaging::process;
use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _, sign_package};
use lustre_packaging::store::Digest;
use lustre_repo_tests::command_line::{Home, Run, project};
use lustre_repo_tests::http::{Request, Server};
use lustre_repo_tests::json_schema::{schema, wrong};
use lustre_repo_tests::little;
use lustre_repository::comps::Comps;
use lustre_repository::earlier::Earlier;
use lustre_repository::layout::{Assembly, Input, assemble};
use lustre_repository::manifest::{Manifest, Stage, Tool};
use lustre_repository::release::Release;
use lustre_repository::repo_file::RepoFile;
use lustre_repository::sbom::MadeWith;
use serde_json::{Value, json};

use super::verifying::stranger;

const SPEC: &str = "Name: e2fsprogs\nVersion: 1\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n%description\nd\n%files\n";

/// A size that one file may have, and no disk has room for thousands of.
const HUGE: u64 = 8 << 30;

/// A lock of the target with one package, which is at `uri`.
fn lock(target: &str, uri: &str) -> String {
    let pin = FilePin {
        file: "bash_5_amd64.deb".to_owned(),
        size: 3,
        sha256: Digest::of_bytes(b"abc").to_string(),
        uri: uri.to_owned(),
    };
    let package = PackagePin {
        name: "bash".to_owned(),
        version: "5".to_owned(),
        arch: "amd64".to_owned(),
        file: pin.clone(),
    };
    let (files, trees) = (BTreeMap::new(), BTreeMap::new());
    let request = Digest::of_bytes(b"request");
    let lock = Lock::new(target, request, files, trees, vec![package]);
    lock.to_toml().unwrap()
}

struct World {
    folder: tempfile::TempDir,
    source: PathBuf,
    key: Key,
    home: Home,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("e2fsprogs.spec");
        fs::write(&spec, SPEC).unwrap();
        let mut command = Command::new("rpmbuild");
        let top = format!("_topdir {}", folder.path().display());
        process::output(command.args(["-bs", "--define", &top]).arg(&spec)).unwrap();
        // The rehearsal distribution's key, since making one takes seconds.
        let file = project().join("specs/distributions/rehearsal/key.asc");
        let text = Secret::new(fs::read(file).unwrap());
        Self {
            source: folder.path().join("SRPMS/e2fsprogs-1-1.src.rpm"),
            key: Key::from_armored(&text, "the test", None).unwrap(),
            folder,
            home: Home::new(),
        }
    }

    /// A signed repository of the rehearsal with a source package, whose manifest has the digest of `told`, and which has the lock `shipped`.
    fn repository(&self, told: Option<&str>, shipped: Option<&str>, root: &[&str]) -> PathBuf {
        let public_key = self.key.public_key_armored().unwrap();
        let time = PublicKey::parse(&public_key).unwrap().created();
        let signed = self.folder.path().join("signed.src.rpm");
        let unsigned = sign_package(&self.source, &signed, &self.key, time).unwrap();
        let stage = Stage {
            digest: Digest::of_bytes(b"root").to_string(),
            build_packages: root.iter().map(|one| (*one).to_owned()).collect(),
            ..Stage::default()
        };
        let manifest = Manifest {
            tool: Tool {
                name: "lustre-repo".to_owned(),
                version: "0.0.7".to_owned(),
            },
            target: "rehearsal".to_owned(),
            source_date_epoch: 1_767_225_600,
            release: Some(Release {
                time,
                ..Release::default()
            }),
            lock_sha256: told.map(|text| Digest::of_bytes(text.as_bytes()).to_string()),
            stages: BTreeMap::from([("e2fsprogs".to_owned(), stage)]),
            ..Manifest::default()
        };
        let dist = self.folder.path().join("dist");
        let packages = [Input {
            path: signed,
            sha256_unsigned: unsigned.unsigned_sha256,
            stage: "e2fsprogs".to_owned(),
        }];
        let assembly = Assembly {
            packages: &packages,
            comps: &Comps::default(),
            repo_file: &RepoFile::new("https://repo.example.org/a", "A test").unwrap(),
            public_key: &public_key,
            manifest,
            base: None,
            lock: shipped,
            made_with: &MadeWith::default(),
            earlier: &Earlier::default(),
            sign: &|data| Ok(self.key.sign_detached(data, time)?),
        };
        assemble(&assembly, &dist).unwrap();
        dist
    }

    fn rebuild(&self, place: &Path, more: &[&str]) -> Run {
        let key = self.key.fingerprint();
        // What others' builds take is not looked at here.
        let specs = self.folder.path().join("specs");
        if !specs.exists() {
            little::specs(&specs).unwrap();
        }
        let mut line = vec!["rebuild", "--public-key", &key, place.to_str().unwrap()];
        line.extend(["--specs", specs.to_str().unwrap()]);
        self.home.run(&[&line, more].concat())
    }
}

fn says(ran: &Run, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{words:?}: {ran:?}");
    for words in words {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

#[test]
fn what_is_no_repository_or_of_another_format_is_told_as_that() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let gone = format!("{place}/none");
    let rebuild = |place: &str| home.run(&["rebuild", "--trust-on-first-use", place]);
    says(&rebuild(&gone), 1, &["no repository", "none"]);
    says(&rebuild(place), 1, &["manifest.json is missing"]);
    stranger(folder.path(), "rehearsal");
    let file = folder.path().join("manifest.json");
    fs::write(&file, "{\"format\": 99, \"new\": 1}").unwrap();
    says(&rebuild(place), 1, &["manifest.json", "99"]);
    fs::write(&file, "no JSON").unwrap();
    says(&rebuild(place), 3, &["is not a manifest"]);
    assert!(home.is_untouched());
}

#[test]
fn nothing_is_built_of_who_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    stranger(folder.path(), "rehearsal");
    let home = Home::new();
    let place = folder.path().to_str().unwrap();
    let ran = home.run(&["rebuild", place]);
    says(
        &ran,
        2,
        &["no key is expected", "--public-key", "--trust-on-first-use"],
    );
    for option in [
        &["--source", "lustre=/tmp"][..],
        &["--allow-incomplete", "lustre"],
        &["--store-remote", "https://store.example.org/"],
        &["--store-key", "/none"],
        &["--push"],
        &["--ccache"],
    ] {
        let ran = home.run(&[&["rebuild", place], option].concat());
        says(&ran, 2, &[option[0], "on this machine alone"]);
    }
}

/// Neither the place is looked at nor a server asked: there is no repository at either.
#[test]
fn what_is_wrong_with_the_line_is_said_before_a_repository_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let home = Home::new();
    let none = folder.path().join("none");
    let bundle = folder.path().join("none.bundle");
    let bundle = bundle.to_str().unwrap();
    for place in [none.to_str().unwrap(), &server.url("/")] {
        for (code, line, words) in [
            (2, &[][..], &["no key is expected", "--public-key"][..]),
            (2, &["--public-key", "x"], &["--public-key x", "neither"]),
            (
                2,
                &["--trust-on-first-use", "--mirror", "a"],
                &["--mirror a"],
            ),
            (
                2,
                &["--trust-on-first-use", "--lustre", "2.17.0"],
                &["--lustre", "--target"],
            ),
            (
                1,
                &["--trust-on-first-use", "--bundle", bundle],
                &["none.bundle"],
            ),
        ] {
            let ran = home.run(&[&["rebuild", place], line].concat());
            says(&ran, code, words);
        }
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    assert!(home.is_untouched());
}

#[test]
fn a_limit_is_a_whole_number_of_its_unit() {
    let home = Home::new();
    for (option, unit) in [
        ("--max-time", "hours"),
        ("--max-disk", "GiB"),
        ("--max-log", "MiB"),
    ] {
        for value in ["0.01", "0", "1048577", "1h", ""] {
            let limit = format!("{option}={value}");
            let ran = home.run(&["rebuild", "/none", &limit]);
            let words = format!("a whole number of {unit}, from 1 to 1048576");
            says(&ran, 2, &[option, &words]);
        }
    }
    let ran = home.run(&["repo", "--on", "obs", "--wait", "0"]);
    says(&ran, 2, &["--wait", "a whole number of minutes, from 1 to"]);
}

#[test]
fn what_is_not_rebuilt_since_a_check_fails_is_told_in_the_form_of_every_result() {
    let told = |ran: &Run| -> Value {
        assert_eq!(ran.code, 3, "{ran:?}");
        let told: Value = serde_json::from_str(&ran.stdout).unwrap();
        let wrong = wrong(&schema("rebuild"), &told);
        assert!(wrong.is_empty(), "{wrong:?}\n{told:#}");
        assert_eq!(told["same"], false, "{told}");
        assert_eq!(told["packages"], json!([]), "{told}");
        told
    };
    let world = World::new();
    let good = lock("rehearsal", "https://mirror.example/bash_5_amd64.deb");
    let dist = world.repository(Some(&good), Some(&good), &["bash-5-0.x86_64"]);
    let place = dist.to_str().unwrap();
    let server = Server::start(&dist).unwrap();
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    for place in [place, &server.url("/")] {
        let line = ["rebuild", "--json", "--public-key", other, place];
        let told = told(&world.home.run(&line));
        assert_eq!(told["repository"], place);
        let failed = told["unproven"].as_array().unwrap();
        let key = failed.iter().find(|one| one["name"] == "key").unwrap();
        assert!(key["message"].as_str().unwrap().contains(other), "{told}");
        assert!(failed.iter().all(|one| one["result"] != "pass"), "{told}");
    }
    fs::write(dist.join("manifest.json"), "no JSON").unwrap();
    let told = told(&world.rebuild(&dist, &["--json"]));
    let why = told["unproven"][0]["message"].as_str().unwrap();
    assert!(why.contains("is not a manifest"), "{told}");
}

#[test]
fn a_repository_that_lacks_what_is_needed_says_what() {
    let world = World::new();
    let good = lock("rehearsal", "https://mirror.example/bash_5_amd64.deb");
    let root = ["bash-5-0.x86_64"];

    let dist = world.repository(None, None, &root);
    says(
        &world.rebuild(&dist, &[]),
        1,
        &["with which lock", "make it again"],
    );

    let dist = world.repository(Some(&good), None, &root);
    says(
        &world.rebuild(&dist, &[]),
        1,
        &["it has no lock.toml", "--bundle FILE"],
    );

    // Signed as it is, and no check of the manifest holds.
    let dist = world.repository(Some("another"), Some(&good), &root);
    says(
        &world.rebuild(&dist, &[]),
        3,
        &["lock.toml has the SHA-256"],
    );

    for (text, words) in [
        (
            good.replacen("version = 1", "version = 2", 1),
            "its version is 2",
        ),
        (good.replace("bash_5", "../bash_5"), "is not a file name"),
        (
            lock("debian-12", "https://m.example/b.deb"),
            "is of the target `debian-12`",
        ),
        (
            lock("rehearsal", "file:///etc/shadow"),
            "a place of another machine",
        ),
    ] {
        let dist = world.repository(Some(&text), Some(&text), &root);
        says(&world.rebuild(&dist, &[]), 1, &["cannot be rebuilt", words]);
    }

    let dist = world.repository(Some(&good), Some(&good), &[]);
    let words = [
        "in which buildroot `e2fsprogs`",
        "use version 0.0.7 of the tool",
    ];
    says(&world.rebuild(&dist, &[]), 1, &words);

    let dist = world.repository(Some(&good), Some(&good), &root);
    // Before the packages are fetched, or looked at.
    let server = Server::start(&dist).unwrap();
    let url = server.url("/");
    for place in [dist.as_path(), Path::new(&url)] {
        let ran = world.rebuild(place, &["--package", "kernel"]);
        says(&ran, 2, &["--package kernel", "made by: e2fsprogs"]);
        assert!(!ran.stderr.contains("checks"), "{ran:?}");
        let ran = world.rebuild(place, &["--target", "debian-12"]);
        says(
            &ran,
            2,
            &["--target debian-12", "a repository of `rehearsal`"],
        );
        assert!(!ran.stderr.contains("checks"), "{ran:?}");
    }
    let asked = server.requests();
    let fetched = |asked: &Request| asked.path.contains("Packages");
    assert!(!asked.is_empty() && !asked.iter().any(fetched), "{asked:?}");
    // Another key than the one that signed it.
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let place = dist.to_str().unwrap();
    let ran = world.home.run(&["rebuild", "--public-key", other, place]);
    says(&ran, 3, &[other]);
}

#[test]
fn packages_of_a_lock_that_are_gone_are_told_with_where_they_may_be() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let pinned = lock("rehearsal", &server.url("/bash_5_amd64.deb"));
    let dist = world.repository(Some(&pinned), Some(&pinned), &["bash-5-0.x86_64"]);
    // What others published does not say what is asked of this machine: whoever runs this does.
    let ran = world.rebuild(&dist, &[]);
    let place = server.url("/bash_5_amd64.deb");
    says(&ran, 1, &["loopback", &place, "--mirror"]);
    assert!(server.requests().is_empty(), "{:?}", server.requests());
    let root = server.url("/");
    let named = ["--mirror", &format!("{root}={root}")];
    let ran = world.rebuild(&dist, &named);
    says(
        &ran,
        1,
        &["cannot all be had", "bash_5_amd64.deb", "--bundle FILE"],
    );
    let ran = world.rebuild(&dist, &["--offline"]);
    says(
        &ran,
        1,
        &["not in the store", "bash_5_amd64.deb", "--bundle FILE"],
    );
    // The checkout's lock has nothing to do with it.
    for words in ["cargo xtask fetch", "lock --update"] {
        assert!(!ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    // Nor does anything begin that cannot end.
    let more: String = (0..4096)
        .map(|at| {
            let sha256 = Digest::of_bytes(format!("{at}").as_bytes());
            format!(
                "\n[[package]]\nname = \"a{at}\"\nversion = \"5\"\narch = \"amd64\"\nfile = \"a{at}.deb\"\nsize = {HUGE}\n\
                 sha256 = \"{sha256}\"\nuri = \"https://mirror.example/a{at}.deb\"\n"
            )
        })
        .collect();
    let huge = pinned + &more;
    let dist = world.repository(Some(&huge), Some(&huge), &["bash-5-0.x86_64"]);
    let words = ["4097 files that are not in the store", "MiB are free"];
    says(&world.rebuild(&dist, &named), 1, &words);
}
