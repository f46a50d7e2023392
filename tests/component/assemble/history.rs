//! Several releases in one repository: what dnf makes of them, which are kept, and what is noticed of a list of releases that is not so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::sign::Signer as _;
use lustre_repository::earlier::Earlier;
use lustre_repository::history::{FILE, History};
use lustre_repository::manifest::Manifest;
use lustre_repository::sums;

use super::clients::Dnf;
use super::tamper::{site_target, verify};
use super::world::{EPOCH, Spec, Tree, key, next_key, public_key, run};

/// The release of the tree with Lustre 2.17.`number`, in place of the one before it, which keeps `keep` releases.
fn release(tree: &mut Tree, number: u32, keep: usize) {
    with_lustre(tree, number);
    tree.released = EPOCH + 86_400 * number;
    tree.keeping(keep);
    tree.assemble().unwrap();
}

/// Puts Lustre 2.17.`number` in place of the one before it.
fn with_lustre(tree: &mut Tree, number: u32) {
    let last = number - 1;
    tree.without(&format!("lustre-2.17.{last}-1.x86_64.rpm"));
    tree.without(&format!("kmod-lustre-2.17.{last}-1.x86_64.rpm"));
    let evr = format!("2.17.{number}-1");
    let symbol = format!("ksym(lu) = 0x{}", number + 7);
    let tags =
        format!("Requires: kernel(foo) = 0x2\nRequires: kernel(bar) = 0x3\nProvides: {symbol}");
    let content = format!("module {number}");
    tree.with(&Spec {
        name: "kmod-lustre",
        evr: &evr,
        tags: &tags,
        files: &[(
            "/lib/modules/6.1-553.el8_10_lustre/extra/lustre.ko",
            &content,
        )],
    });
    // The modules of another release do not do.
    let tags = format!("Requires: kmod-lustre = %{{version}}\nRequires: {symbol}");
    tree.with(&Spec {
        name: "lustre",
        evr: &evr,
        tags: &tags,
        files: &[("/usr/sbin/lctl", &evr)],
    });
}

/// A tree with two releases.
fn two() -> Tree {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    release(&mut tree, 1, 3);
    tree
}

fn releases(tree: &Tree) -> History {
    History::read(&tree.dist()).unwrap().unwrap()
}

fn versions(history: &History) -> Vec<&str> {
    history.sets.iter().map(|set| set.lustre.as_str()).collect()
}

/// A server that uses the tree.
struct Server<'a> {
    dnf: Dnf<'a>,
    url: String,
    key: PathBuf,
}

impl<'a> Server<'a> {
    fn new(folder: &'a Path, tree: &Tree) -> Self {
        fs::create_dir_all(folder).unwrap();
        let key = folder.join("key.asc");
        fs::write(&key, public_key()).unwrap();
        Self {
            dnf: Dnf { folder },
            url: format!("file://{}/x86_64", tree.dist().display()),
            key,
        }
    }

    #[track_caller]
    fn dnf(&self, arguments: &[&str]) -> String {
        let (success, text) = run(self
            .dnf
            .with_base()
            .arg(format!("--repofrompath=ours,{}", self.url))
            .args(["--setopt=ours.gpgcheck=1", "--setopt=ours.repo_gpgcheck=1"])
            .arg(format!(
                "--setopt=ours.gpgkey=file://{}",
                self.key.display()
            ))
            .arg("--refresh")
            .args(arguments));
        assert!(success, "{arguments:?}: {text}");
        text
    }

    #[track_caller]
    fn has(&self, packages: &[&str]) {
        for package in packages {
            let (has, text) = run(Command::new("rpm")
                .arg("--root")
                .arg(self.dnf.root())
                .args(["-q", package]));
            assert!(has, "{package}: {text}");
        }
    }
}

const OLD: [&str; 2] = ["lustre-2.17.0-1", "kmod-lustre-2.17.0-1"];
const NEW: [&str; 2] = ["lustre-2.17.1-1", "kmod-lustre-2.17.1-1"];

#[test]
fn dnf_sees_both_releases_installs_the_older_one_and_goes_back() {
    let tree = two();
    assert_eq!(tree.failures(), Default::default());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("chosen");
    let chosen = Server::new(&at, &tree);
    let listed = chosen.dnf(&["repoquery", "--repo=ours", "--showduplicates", "lustre"]);
    for nevra in ["lustre-0:2.17.0-1.x86_64", "lustre-0:2.17.1-1.x86_64"] {
        assert!(listed.contains(nevra), "{listed}");
    }
    // A new server with a release that somebody chose, which it leaves and goes back to.
    chosen.dnf(&["install", "lustre-2.17.0-1.x86_64", "e2fsprogs"]);
    chosen.has(&OLD);
    chosen.dnf(&["upgrade"]);
    chosen.has(&NEW);
    chosen.dnf(&["history", "undo", "last"]);
    chosen.has(&OLD);
    // One that takes what it is given, and goes back.
    let at = folder.path().join("newest");
    let newest = Server::new(&at, &tree);
    newest.dnf(&["install", "lustre"]);
    newest.has(&NEW);
    newest.dnf(&["downgrade", "lustre", "kmod-lustre"]);
    newest.has(&OLD);
}

#[test]
fn the_oldest_release_goes_with_the_fourth_and_is_named() {
    let mut tree = two();
    assert_eq!(versions(&releases(&tree)), ["2.17.1-1", "2.17.0-1"]);
    let shared = "x86_64/Packages/e2fsprogs-1.47-1.x86_64.rpm";
    for set in &releases(&tree).sets {
        assert!(set.paths().any(|path| path == shared), "{set:?}");
    }
    let oldest = tree
        .dist()
        .join("x86_64/Packages/lustre-2.17.0-1.x86_64.rpm");
    release(&mut tree, 2, 3);
    assert_eq!(
        versions(&releases(&tree)),
        ["2.17.2-1", "2.17.1-1", "2.17.0-1"]
    );
    assert!(releases(&tree).dropped.is_empty() && oldest.exists());
    release(&mut tree, 3, 3);
    let history = releases(&tree);
    assert_eq!(versions(&history), ["2.17.3-1", "2.17.2-1", "2.17.1-1"]);
    let [dropped] = history.dropped.as_slice() else {
        panic!("{:?}", history.dropped);
    };
    assert_eq!((dropped.time, dropped.lustre.as_str()), (EPOCH, "2.17.0-1"));
    assert_eq!(dropped.why, "this repository keeps 3 releases");
    assert!(!oldest.exists());
    assert_eq!(tree.failures(), Default::default());
    tree.complete();
    assert_eq!(tree.failures(), Default::default());
    let page = fs::read_to_string(tree.dist().join("index.html")).unwrap();
    assert!(page.contains("this repository keeps 3 releases"), "{page}");
    // What it says of itself is the release's.
    let read = |name: &str| fs::read_to_string(tree.dist().join(name)).unwrap();
    for name in ["manifest.json", "compat.json", "sbom.spdx.json"] {
        assert!(!read(name).contains("2.17.2-1"), "{name}");
    }
    assert!(read("SHA256SUMS").contains("lustre-2.17.2-1.x86_64.rpm"));
}

#[test]
fn the_same_packages_released_once_more_take_the_place_of_their_release() {
    let mut tree = two();
    for again in 1..4 {
        tree.released += again;
        tree.keeping(3);
        tree.assemble().unwrap();
        let history = releases(&tree);
        assert_eq!(versions(&history), ["2.17.1-1", "2.17.0-1"]);
        assert_eq!(history.sets[0].time, tree.released);
        assert!(history.dropped.is_empty(), "{:?}", history.dropped);
    }
}

/// Why the older of two releases is not kept by a third, of which `change` changes something.
#[track_caller]
fn dropped(change: impl FnOnce(&mut Tree)) -> String {
    let mut tree = two();
    with_lustre(&mut tree, 2);
    tree.released += 86_400;
    change(&mut tree);
    tree.keeping(9);
    tree.assemble().unwrap();
    assert_eq!(tree.failures(), Default::default());
    let oldest = releases(&tree).dropped.into_iter().last().unwrap();
    assert_eq!(oldest.lustre, "2.17.0-1");
    oldest.why
}

#[test]
fn a_release_that_does_not_hold_is_not_kept() {
    let path = "x86_64/Packages/lustre-2.17.0-1.x86_64.rpm";
    let damaged = |tree: &mut Tree| {
        let path = tree.dist().join(path);
        let mut bytes = fs::read(&path).unwrap();
        let last = bytes.len() - 20;
        bytes[last] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    let why = dropped(damaged);
    assert!(why.starts_with(path) && why.contains("SHA-256"), "{why}");
    let why = dropped(|tree| fs::remove_file(tree.dist().join(path)).unwrap());
    assert!(why.starts_with(path), "{why}");
    let why = dropped(|tree| {
        let path = tree.dist().join(path);
        let elsewhere = tree.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    });
    assert!(why.starts_with(path) && why.contains("no file"), "{why}");
    let why = dropped(|tree| {
        tree.signed_anew(next_key(), None, "2.el8");
    });
    assert!(why.contains("not signed with the key"), "{why}");
    // The same name, other content: overruled in development.
    let why = dropped(|tree| {
        tree.without("e2fsprogs-1.47-1.x86_64.rpm");
        tree.with(&Spec {
            name: "e2fsprogs",
            evr: "1.47-1",
            tags: "Provides: ldiskfsprogs = %{version}",
            files: &[("/usr/sbin/mke2fs", "another")],
        });
    });
    assert!(
        why == "e2fsprogs-1.47-1.x86_64 has other content in a newer release",
        "{why}"
    );
    // Servers would take the old one.
    let why = dropped(|tree| {
        tree.without("e2fsprogs-1.47-1.x86_64.rpm");
        tree.without("lustre-2.17.2-1.x86_64.rpm");
        tree.with(&Spec {
            name: "e2fsprogs",
            evr: "1.46-1",
            tags: "",
            files: &[("/usr/sbin/mke2fs", "older")],
        });
        tree.with(&Spec {
            name: "lustre",
            evr: "2.17.2-1",
            tags: "",
            files: &[],
        });
    });
    assert!(why.contains("is lower than the previous"), "{why}");
}

#[test]
fn a_release_that_needs_what_is_gone_is_not_kept() {
    let mut tree = Tree::new();
    tree.with(&Spec {
        name: "site-tool",
        evr: "1-1",
        tags: "Requires: no-such-thing",
        files: &[],
    });
    tree.assemble().unwrap();
    tree.without("site-tool-1-1.x86_64.rpm");
    release(&mut tree, 1, 3);
    let history = releases(&tree);
    assert_eq!(versions(&history), ["2.17.1-1"]);
    let why = &history.dropped[0].why;
    assert!(why.contains("nothing provides no-such-thing"), "{why}");
    // Kept all the same, it is a finding.
    let mut tree = Tree::new();
    tree.with(&Spec {
        name: "site-tool",
        evr: "1-1",
        tags: "Requires: no-such-thing",
        files: &[],
    });
    tree.assemble().unwrap();
    tree.earlier = Earlier {
        folder: tree.dist(),
        sets: releases(&tree).sets,
        ..Earlier::default()
    };
    tree.without("site-tool-1-1.x86_64.rpm");
    with_lustre(&mut tree, 1);
    tree.released += 1;
    tree.assemble().unwrap();
    let failures = tree.failures();
    assert_eq!(failures.keys().collect::<Vec<_>>(), ["closure"]);
    let said = &failures["closure"];
    assert!(
        said.starts_with("the release of 2024-01-01T00:00:00Z: nothing provides no-such-thing"),
        "{said}"
    );
}

/// Writes the list of releases, and all that is to be signed anew.
fn tampered(tree: &Tree, list: &str, keeps: Option<String>) {
    let dist = tree.dist();
    fs::write(dist.join(FILE), list).unwrap();
    if let Some(keeps) = keeps {
        let path = dist.join("manifest.json");
        let mut manifest = Manifest::read(&path).unwrap();
        manifest.release.as_mut().unwrap().keeps_sha256 = Some(keeps);
        manifest.write(&path).unwrap();
    }
    sums::write(&dist).unwrap();
    let sums = fs::read(dist.join(sums::FILE)).unwrap();
    let signature = key().sign_detached(&sums, tree.released).unwrap();
    fs::write(dist.join(sums::SIGNATURE), signature).unwrap();
}

#[test]
fn a_list_of_releases_that_is_not_so_is_refused_whoever_signed_it() {
    let tree = two();
    tree.complete();
    let folder = tempfile::tempdir().unwrap();
    let target = site_target(folder.path(), &tree.dist());
    let expected = folder.path().join("expected.asc");
    fs::write(&expected, public_key()).unwrap();
    let good = releases(&tree);
    type Change = fn(&mut History);
    let changes: [(&str, Change); 8] = [
        ("other target", |all| all.target = "other".to_owned()),
        ("the digest of a package", |all| {
            let older = all.sets[1].packages.iter_mut();
            let mut older = older.filter(|one| one.nevra.starts_with("lustre-2.17.0-1.x"));
            older.next().unwrap().sha256 = "0".repeat(64);
        }),
        ("a path outside", |all| {
            all.sets[1].packages[0].path = "../../outside.rpm".to_owned();
        }),
        ("a package twice", |all| {
            let again = all.sets[1].packages[0].clone();
            all.sets[1].packages.insert(0, again);
        }),
        ("a release twice", |all| {
            let again = all.sets[1].clone();
            all.sets.push(again);
        }),
        ("without its package", |all| {
            all.sets[1]
                .packages
                .retain(|one| !one.nevra.starts_with("lustre-2.17.0"));
        }),
        ("another first release", |all| {
            all.sets[0].lustre = "9".to_owned()
        }),
        ("none at all", |all| all.sets.clear()),
    ];
    for (name, change) in changes {
        let mut history = good.clone();
        change(&mut history);
        let earlier = Earlier {
            sets: history.sets.iter().skip(1).cloned().collect(),
            ..Earlier::default()
        };
        for keeps in [None, earlier.digest()] {
            let before = fs::read(tree.dist().join("manifest.json")).unwrap();
            tampered(&tree, &history.to_json(), keeps.clone());
            let failures = tree.failures();
            let by = ["releases", "manifest"];
            assert!(
                by.iter().any(|check| failures.contains_key(*check)),
                "{name}: {failures:#?}"
            );
            if keeps.is_none() {
                let arguments = ["--public-key", expected.to_str().unwrap()];
                let (ran, _) = verify(&tree.dist(), &target, &arguments);
                assert_ne!(ran.code, 0, "{name}: {ran:?}");
            }
            fs::write(tree.dist().join("manifest.json"), before).unwrap();
        }
    }
    tampered(&tree, &good.to_json(), None);
    assert!(!tree.failures().contains_key("releases"));
}
