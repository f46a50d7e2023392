//! A published repository, changed in every way that somebody between it and its users could think of, and once whole but read only. For
//! each change: which of our checks notice it, what `cargo xtask verify` says, and whether dnf refuses it on a server that has the key.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, Signer, sign_package};
use lustre_repo_tests::command_line::{Home, Run};
use lustre_repository::proof::{Check, Outcome};
use lustre_repository::{repodata, sums};

use crate::clients::Dnf;
use crate::world::{EPOCH, Spec, Tree, public_key, run, succeed, world};

const LUSTRE: &str = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";
const INDEX: &str = "x86_64/repodata/repomd.xml";

/// What dnf does on a server that has the `.repo` file and the key of the repository as they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    /// It installs nothing.
    Refuses,
    /// It never reads what was changed, and installs what was published.
    DoesNotLook,
}
use Server::{DoesNotLook, Refuses};

/// A change: its name, what does it to a copy of the tree, checks that have to notice it, and dnf.
type Change = (&'static str, fn(&Path), &'static [&'static str], Server);

/// Whoever changes a tree can write its list of digests anew, but not sign it.
const SUMS: &[&str] = &["metadata-signatures", "gpg-verify"];
const PACKAGE: &[&str] = &[
    "package-signatures",
    "rpmkeys",
    "sha256sums",
    "manifest",
    "repodata",
];
const METADATA: &[&str] = &[
    "metadata-signatures",
    "gpg-verify",
    "sha256sums",
    "repodata",
];

const CHANGES: [Change; 33] = [
    (
        "a byte of a payload",
        |d| flip(&d.join(LUSTRE), -20),
        PACKAGE,
        Refuses,
    ),
    (
        "a byte of a header",
        |d| flip(&d.join(LUSTRE), 3000),
        PACKAGE,
        Refuses,
    ),
    ("a header that claims 4 GiB", claims, PACKAGE, Refuses),
    (
        "a header with a tag outside of it",
        points_outside,
        PACKAGE,
        Refuses,
    ),
    (
        "a package cut off",
        |d| cut(&d.join(LUSTRE)),
        PACKAGE,
        Refuses,
    ),
    (
        "a package without its signature",
        unsigned,
        PACKAGE,
        Refuses,
    ),
    (
        "a package signed by another",
        |d| signed_by(other(), d),
        PACKAGE,
        Refuses,
    ),
    (
        "an older package of ours, signed",
        |d| signed_by(crate::world::key(), d),
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "one package under the name of another",
        |d| {
            let from = d.join("x86_64/Packages/e2fsprogs-1.47-1.x86_64.rpm");
            fs::copy(from, d.join(LUSTRE)).unwrap();
        },
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "a package taken away",
        |d| fs::remove_file(d.join(LUSTRE)).unwrap(),
        &["sha256sums", "manifest", "repodata"],
        Refuses,
    ),
    (
        "a package that is a link",
        |d| {
            fs::rename(d.join(LUSTRE), d.with_extension("elsewhere")).unwrap();
            symlink(d.with_extension("elsewhere"), d.join(LUSTRE)).unwrap();
        },
        // The others cannot be made.
        &["sha256sums"],
        DoesNotLook,
    ),
    (
        "a package put beside",
        beside,
        &[
            "package-signatures",
            "rpmkeys",
            "sha256sums",
            "manifest",
            "repodata",
        ],
        DoesNotLook,
    ),
    (
        "metadata made anew, with another's package",
        made_anew,
        METADATA,
        Refuses,
    ),
    (
        "metadata made anew, without a package",
        without_one,
        METADATA,
        Refuses,
    ),
    (
        "a byte of the index",
        |d| flip(&d.join(INDEX), -30),
        METADATA,
        Refuses,
    ),
    (
        "no signature of the index",
        |d| fs::remove_file(d.join(INDEX).with_extension("xml.asc")).unwrap(),
        METADATA,
        Refuses,
    ),
    (
        "the index signed by another",
        |d| {
            let content = fs::read(d.join(INDEX)).unwrap();
            let signature = other().sign_detached(&content, EPOCH).unwrap();
            fs::write(d.join(INDEX).with_extension("xml.asc"), signature).unwrap();
        },
        METADATA,
        Refuses,
    ),
    (
        "the signature of another index",
        |d| {
            let from = d.join("source/repodata/repomd.xml.asc");
            fs::copy(from, d.join(INDEX).with_extension("xml.asc")).unwrap();
        },
        METADATA,
        Refuses,
    ),
    (
        "the metadata of another of our repositories, signed",
        |d| {
            fs::remove_dir_all(d.join("x86_64/repodata")).unwrap();
            succeed(
                Command::new("cp")
                    .arg("-a")
                    .arg(d.join("x86_64-debuginfo/repodata"))
                    .arg(d.join("x86_64/repodata")),
            );
        },
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "a byte of the package list",
        |d| flip(&document(d, "primary"), 100),
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "a package list that unpacks without end",
        bomb,
        METADATA,
        Refuses,
    ),
    (
        "no file list",
        |d| fs::remove_file(document(d, "filelists")).unwrap(),
        &["sha256sums", "repodata"],
        Refuses,
    ),
    (
        "all of it by another",
        forged,
        &[
            "package-signatures",
            "rpmkeys",
            "metadata-signatures",
            "gpg-verify",
            "manifest",
        ],
        Refuses,
    ),
    (
        "the manifest",
        |d| edit(d, "manifest.json", "\"tool\"", "\"tool\" "),
        SUMS,
        DoesNotLook,
    ),
    (
        "the proof",
        |d| edit(d, "proof.json", "\"pass\"", "\"fail\""),
        SUMS,
        DoesNotLook,
    ),
    (
        "a page with another key",
        |d| {
            edit(
                d,
                "index.html",
                "rpm --import RPM",
                "rpm --import https://example.org/RPM",
            )
        },
        &["metadata-signatures", "gpg-verify", "page"],
        DoesNotLook,
    ),
    (
        "the provenance",
        |d| {
            edit(
                d,
                "provenance.intoto.json",
                "\"target\": \"test\"",
                "\"target\": \"other\"",
            )
        },
        &["provenance"],
        DoesNotLook,
    ),
    (
        "the list of parts",
        |d| edit(d, "sbom.spdx.json", "NOASSERTION", "NONE"),
        &["metadata-signatures", "gpg-verify", "provenance"],
        DoesNotLook,
    ),
    (
        "no page",
        |d| {
            fs::remove_file(d.join("index.html")).unwrap();
            sums::write(d).unwrap();
        },
        &["metadata-signatures", "gpg-verify", "page"],
        DoesNotLook,
    ),
    (
        "a .repo file that checks nothing",
        |d| edit(d, "lustre-repo.repo", "gpgcheck=1", "gpgcheck=0"),
        &["metadata-signatures", "gpg-verify", "repo-file"],
        DoesNotLook,
    ),
    (
        "a .repo file for another place",
        |d| {
            edit(
                d,
                "lustre-repo.repo",
                "baseurl=file://",
                "baseurl=file:///elsewhere",
            )
        },
        &["metadata-signatures", "gpg-verify", "repo-file"],
        DoesNotLook,
    ),
    (
        "a file put beside",
        |d| {
            fs::write(d.join(".htaccess"), "Redirect / https://example.org/").unwrap();
            sums::write(d).unwrap();
        },
        SUMS,
        DoesNotLook,
    ),
    (
        "no signature of the digests",
        |d| fs::remove_file(d.join(sums::SIGNATURE)).unwrap(),
        SUMS,
        DoesNotLook,
    ),
];

fn other() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("Other <other@example.org>", DEV_KEY_CREATED).unwrap())
}

/// Flips a bit; a negative place counts from the end.
fn flip(path: &Path, at: isize) {
    let mut bytes = fs::read(path).unwrap();
    let at = if at < 0 {
        bytes.len() - at.unsigned_abs()
    } else {
        at.unsigned_abs()
    };
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 100).unwrap();
}

/// Writes a number into the introduction of the signature header, which begins after the lead.
fn write_at(path: &Path, at: usize, bytes: &[u8]) {
    let mut content = fs::read(path).unwrap();
    content[at..at + bytes.len()].copy_from_slice(bytes);
    fs::write(path, content).unwrap();
}

fn claims(dist: &Path) {
    write_at(&dist.join(LUSTRE), 96 + 12, &u32::MAX.to_be_bytes());
}

fn points_outside(dist: &Path) {
    // The offset of the second entry.
    write_at(
        &dist.join(LUSTRE),
        96 + 16 + 16 + 8,
        &0x7fff_ffff_u32.to_be_bytes(),
    );
}

fn unsigned(dist: &Path) {
    let unsigned = world().path().join("unsigned/lustre-2.17.0-1.x86_64.rpm");
    fs::copy(unsigned, dist.join(LUSTRE)).unwrap();
}

/// Another package of the same name and version, whose script runs as root, signed with a key.
fn signed_by(key: &Key, dist: &Path) {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let spec = Spec {
            name: "lustre",
            evr: "2.17.0-1",
            tags: "Requires: kmod-lustre",
            files: &[("/usr/sbin/lctl", "another tool")],
        };
        spec.build(&world().path().join("tampered")).0
    });
    sign_package(built, &dist.join(LUSTRE), key, EPOCH).unwrap();
}

fn beside(dist: &Path) {
    let spec = Spec {
        name: "beside",
        evr: "1-1",
        tags: "",
        files: &[],
    };
    let built = spec.build(&dist.with_extension("built")).0;
    let to = dist.join("x86_64/Packages/beside-1-1.x86_64.rpm");
    sign_package(&built, &to, other(), EPOCH).unwrap();
}

/// Writes the repodata anew; the signature stays the old one.
fn rewritten(dist: &Path) {
    let signature = fs::read(dist.join(INDEX).with_extension("xml.asc")).unwrap();
    let options = repodata::Options {
        revision: u64::from(EPOCH),
        workers: 1,
        ..repodata::Options::default()
    };
    repodata::write(&dist.join("x86_64"), &options).unwrap();
    fs::write(dist.join(INDEX).with_extension("xml.asc"), signature).unwrap();
}

fn made_anew(dist: &Path) {
    signed_by(other(), dist);
    rewritten(dist);
}

fn without_one(dist: &Path) {
    fs::remove_file(dist.join("x86_64/Packages/e2fsprogs-1.47-1.x86_64.rpm")).unwrap();
    rewritten(dist);
}

/// A file of the binary repository's metadata.
fn document(dist: &Path, kind: &str) -> PathBuf {
    let root = dist.join("x86_64");
    let repomd = repodata::read(&root).unwrap().repomd;
    root.join(&repomd.record(kind).unwrap().location)
}

/// A package list of half a gigabyte in half a megabyte, rightly listed in an index that nobody signed.
fn bomb(dist: &Path) {
    let path = document(dist, "primary");
    let file = File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::best());
    gzip.write_all(b"<metadata packages=\"1\">").unwrap();
    for _ in 0..512 {
        gzip.write_all(&[b' '; 1 << 20]).unwrap();
    }
    gzip.finish().unwrap().sync_all().unwrap();
    let (digest, size) = sums::sha256(&path).unwrap();
    let old = path.file_name().unwrap().to_str().unwrap();
    let index = fs::read_to_string(dist.join(INDEX)).unwrap();
    let start = index.find("<data type=\"primary\">").unwrap();
    let end = start + index[start..].find("</data>").unwrap();
    let data = format!(
        "<data type=\"primary\"><checksum type=\"sha256\">{digest}</checksum><location href=\"repodata/{old}\"/>\
         <timestamp>1</timestamp><size>{size}</size>"
    );
    fs::write(
        dist.join(INDEX),
        format!("{}{data}{}", &index[..start], &index[end..]),
    )
    .unwrap();
}

/// Every signature is another's, and the key that is offered, too.
fn forged(dist: &Path) {
    let key = other();
    for entry in walkdir::WalkDir::new(dist) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|e| e == "rpm") {
            sign_package(&path, &path, key, EPOCH).unwrap();
        }
    }
    for folder in ["x86_64", "x86_64-debuginfo", "source"] {
        let options = repodata::Options {
            revision: u64::from(EPOCH),
            workers: 1,
            ..repodata::Options::default()
        };
        repodata::write(&dist.join(folder), &options).unwrap();
    }
    fs::write(
        dist.join("RPM-GPG-KEY-lustre-repo"),
        key.public_key_armored().unwrap(),
    )
    .unwrap();
    sums::write(dist).unwrap();
    for name in [
        "x86_64/repodata/repomd.xml",
        "x86_64-debuginfo/repodata/repomd.xml",
        "source/repodata/repomd.xml",
        sums::FILE,
    ] {
        let content = fs::read(dist.join(name)).unwrap();
        let signature = key.sign_detached(&content, EPOCH).unwrap();
        fs::write(dist.join(format!("{name}.asc")), signature).unwrap();
    }
}

/// Replaces a text in a file at the top, and writes the digests anew.
fn edit(dist: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dist.join(name)).unwrap();
    assert!(text.contains(from), "{name}: {text}");
    fs::write(dist.join(name), text.replacen(from, to, 1)).unwrap();
    sums::write(dist).unwrap();
}

/// Whether a server's dnf would install from the tree, and what it says. Its `.repo` file and key are those of the tree as it was.
fn dnf(folder: &Path, dist: &Path, repo_file: &str) -> (bool, String) {
    let dnf = Dnf { folder };
    let repos = dnf.root().join("etc/yum.repos.d");
    fs::create_dir_all(&repos).unwrap();
    let key = folder.join("key.asc");
    fs::write(&key, public_key()).unwrap();
    let mut text = String::new();
    for line in repo_file.lines() {
        let line = match line.split_once('=') {
            Some(("baseurl", url)) => {
                let part = url.rsplit('/').next().unwrap();
                format!("baseurl=file://{}/{part}", dist.display())
            }
            Some(("gpgkey", _)) => format!("gpgkey=file://{}", key.display()),
            _ => line.to_owned(),
        };
        text.push_str(&line);
        text.push('\n');
    }
    fs::write(repos.join("lustre-repo.repo"), text).unwrap();
    run(dnf.with_base().args([
        "--setopt=tsflags=test",
        "--setopt=keepcache=0",
        "install",
        "lustre",
        "kmod-lustre",
        "kernel-core",
        "e2fsprogs",
    ]))
}

/// A site's target whose repository is the one at `dist`, in `folder`.
pub fn site_target(folder: &Path, dist: &Path) -> PathBuf {
    let target = folder.join("test.toml");
    let repo_file = fs::read_to_string(dist.join("lustre-repo.repo")).unwrap();
    let url = repo_file
        .lines()
        .find_map(|line| line.strip_prefix("baseurl="))
        .and_then(|url| url.rsplit_once('/'))
        .unwrap()
        .0;
    let text = format!(
        "inherits = \"rehearsal\"\n[repository]\nname = \"Lustre test\"\nbaseurl = \"{url}\"\n"
    );
    fs::write(&target, text).unwrap();
    target
}

/// Each of our checks that did not pass, with its result and its words.
pub type Noticed = BTreeMap<String, (Outcome, String)>;

/// What `cargo xtask verify` says of the repository to somebody who expects the key: its exit code, and the checks that did not pass.
pub fn verify(dist: &Path, target: &Path, more: &[&str]) -> (Run, Noticed) {
    verify_as(dist, target, more, Home::run)
}

/// The same, with the tool run by `run`.
fn verify_as(
    dist: &Path,
    target: &Path,
    more: &[&str],
    run: impl Fn(&Home, &[&str]) -> Run,
) -> (Run, Noticed) {
    let arguments = [
        "verify",
        "--offline",
        "--json",
        "--target",
        target.to_str().unwrap(),
        dist.to_str().unwrap(),
    ];
    let ran = run(&Home::new(), &[&arguments, more].concat());
    let said: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
    let checks = said["checks"].as_array().cloned().unwrap_or_default();
    let checks: Vec<Check> = checks
        .into_iter()
        .map(|check| serde_json::from_value(check).unwrap())
        .collect();
    (ran, not_passed(checks))
}

fn not_passed(checks: Vec<Check>) -> Noticed {
    let failed = checks
        .into_iter()
        .filter(|check| check.result != Outcome::Pass);
    failed
        .map(|check| (check.name, (check.result, check.message)))
        .collect()
}

fn copy(tree: &Path, to: &Path) -> PathBuf {
    let dist = to.join("dist");
    succeed(Command::new("cp").args(["-a", "-T"]).arg(tree).arg(&dist));
    dist
}

/// What is wrong with how a change was met, and a line that tells it.
fn met(tree: &Tree, change: &Change, repo_file: &str, target: &Path) -> (Vec<String>, String) {
    let (name, change, expected, server) = change;
    let folder = tempfile::tempdir().unwrap();
    let dist = copy(&tree.dist(), folder.path());
    change(&dist);
    let noticed = not_passed(tree.check_at(&dist));
    let key = folder.path().join("expected.asc");
    fs::write(&key, public_key()).unwrap();
    let (ran, said) = verify(&dist, target, &["--public-key", key.to_str().unwrap()]);
    let (installs, dnf) = dnf(&folder.path().join("dnf"), &dist, repo_file);
    let failed: Vec<&str> = noticed
        .iter()
        .filter(|(_, (result, _))| *result == Outcome::Fail)
        .map(|(check, _)| check.as_str())
        .collect();
    let mut wrong = Vec::new();
    for check in *expected {
        match noticed.get(*check) {
            Some((Outcome::Fail, _)) => {}
            other => wrong.push(format!("{name}: {check} does not fail: {other:?}")),
        }
    }
    let by: Vec<&str> = said
        .iter()
        .filter(|(_, (result, _))| *result == Outcome::Fail)
        .map(|(check, _)| check.as_str())
        .collect();
    let line = format!(
        "{name}: {}; verify: {}; dnf {}",
        failed.join(", "),
        by.join(", "),
        if installs { "does not look" } else { "refuses" }
    );
    if ran.code != 3
        || !by
            .iter()
            .any(|check| expected.contains(check) || *check == "key")
    {
        wrong.push(format!("{name}: verify: {ran:?}"));
    }
    // And it says so to whoever does not read JSON.
    for check in by {
        if !ran.stderr.contains(check) {
            wrong.push(format!(
                "{name}: verify does not say {check}: {}",
                ran.stderr
            ));
        }
    }
    if said.keys().any(|check| check.starts_with("install")) {
        wrong.push(format!("{name}: verify goes on to install it: {said:?}"));
    }
    if installs != (*server == DoesNotLook) {
        wrong.push(format!("{name}: dnf: {dnf}"));
    }
    (wrong, line)
}

#[test]
fn every_change_to_a_published_repository_is_noticed() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    let repo_file = fs::read_to_string(tree.dist().join("lustre-repo.repo")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (installs, said) = dnf(folder.path(), &tree.dist(), &repo_file);
    assert!(installs, "untouched: {said}");
    let target = site_target(folder.path(), &tree.dist());
    let key = folder.path().join("expected.asc");
    fs::write(&key, public_key()).unwrap();
    // Nobody changed it: it gets as far as to what a server has besides, which is not here.
    let (ran, said) = verify(
        &tree.dist(),
        &target,
        &["--public-key", key.to_str().unwrap()],
    );
    assert_eq!(ran.code, 1, "untouched: {ran:?} {said:?}");
    assert!(said.is_empty() && ran.stderr.contains("offline"), "{ran:?}");
    // Nor does it make a difference that nobody could change it, `verify` no more than others.
    let (closed, said) = verify_as(
        &tree.dist(),
        &target,
        &["--public-key", key.to_str().unwrap()],
        |home, arguments| home.run_read_only(&tree.dist(), arguments),
    );
    assert_eq!(closed.code, ran.code, "read only: {closed:?}");
    assert!(
        said.is_empty() && closed.stderr.contains("offline"),
        "{closed:?}"
    );

    let next = std::sync::atomic::AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    let table = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(change) = CHANGES.get(at) else {
                        return;
                    };
                    let (found, line) = met(&tree, change, &repo_file, &target);
                    table.lock().unwrap().insert(at, line);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    // Shown where the test fails, or with --nocapture.
    for line in table.into_inner().unwrap().values() {
        println!("{line}");
    }
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A bomb is not unpacked on the word of an index that nobody signed.
#[test]
fn what_nobody_signed_is_not_read() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    bomb(&tree.dist());
    let failures = tree.failures();
    for check in ["repodata", "closure", "file-conflicts", "duplicates"] {
        assert!(
            failures[check].ends_with("it was not read"),
            "{check}: {}",
            failures[check]
        );
    }
}

/// Devices and pipes in a tree are refused before anybody reads them: reading would never end.
#[test]
fn what_never_ends_is_not_read() {
    let tree = Tree::new();
    for (name, check) in [
        (LUSTRE, "package-signatures"),
        (INDEX, "repodata"),
        ("manifest.json", "manifest"),
        ("RPM-GPG-KEY-lustre-repo", "metadata-signatures"),
        ("SHA256SUMS", "sha256sums"),
        ("lustre-repo.repo", "repo-file"),
    ] {
        for device in [true, false] {
            // Without its manifest, a folder is none that is replaced.
            let _ = fs::remove_dir_all(tree.dist());
            tree.assemble().unwrap();
            let path = tree.dist().join(name);
            fs::remove_file(&path).unwrap();
            if device {
                symlink("/dev/zero", &path).unwrap();
            } else {
                succeed(Command::new("mkfifo").arg(&path));
            }
            let failures = tree.failures();
            assert!(failures.contains_key(check), "{name}: {failures:#?}");
            assert!(failures.contains_key("sha256sums"), "{name}: {failures:#?}");
        }
    }
}

/// Inode, mode, times and size of everything in a tree.
fn states(tree: &Path) -> BTreeMap<PathBuf, [i64; 8]> {
    walkdir::WalkDir::new(tree)
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let it = entry.metadata().unwrap();
            let state = [
                it.ino() as i64,
                i64::from(it.mode()),
                it.mtime(),
                it.mtime_nsec(),
                it.ctime(),
                it.ctime_nsec(),
                it.size() as i64,
                it.nlink() as i64,
            ];
            (entry.into_path(), state)
        })
        .collect()
}

/// A copy that somebody else made has other file times, and may be on a medium that takes no writes.
#[test]
fn checking_changes_nothing() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    for entry in walkdir::WalkDir::new(tree.dist()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let file = File::open(entry.path()).unwrap();
            file.set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }
    }
    let before = states(&tree.dist());
    let failures = tree.failures();
    assert!(failures.is_empty(), "{failures:#?}");
    assert_eq!(states(&tree.dist()), before);
}
