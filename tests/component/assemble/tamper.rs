//! A published repository, changed in every way that somebody between it and its users could think of, and once whole but read only. For
//! each change: which of our checks notice it, what `cargo xtask verify` says, and whether dnf refuses it on a server that has the key.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use lustre_repo_tests::command_line::{Home, Run};
use lustre_repository::proof::{Check, Outcome};

use super::changes::{CHANGES, Change, INDEX, LUSTRE, Server::DoesNotLook, bomb};
use super::clients::Dnf;
use super::world::{Tree, public_key, run, succeed};

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
    assert!(
        said.is_empty() && ran.stderr.contains("test.lock.toml does not exist"),
        "{ran:?}"
    );
    // Nor does it make a difference that nobody could change it, `verify` no more than others.
    let (closed, said) = verify_as(
        &tree.dist(),
        &target,
        &["--public-key", key.to_str().unwrap()],
        |home, arguments| home.run_read_only(&tree.dist(), arguments),
    );
    assert_eq!(closed.code, ran.code, "read only: {closed:?}");
    assert!(
        said.is_empty() && closed.stderr.contains("test.lock.toml does not exist"),
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
