//! Another key: servers that were told of it follow, by dnf alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_packaging::sign::{Key, Signer as _};

use super::clients::Dnf;
use super::world::{EPOCH, Tree, key, next_key, run, site_tool, succeed};

const NEXT_FILE: &str = "RPM-GPG-KEY-lustre-repo-next";

/// A release of the tool in this version.
fn release(tree: &mut Tree, by: &'static Key, next: Option<&Key>, number: u32) {
    if number > 1 {
        tree.without(&format!("site-tool-1.0-{}.x86_64.rpm", number - 1));
    }
    tree.with(&site_tool(&format!("1.0-{number}")));
    tree.signed_anew(by, next, &format!("{number}.el8"));
    tree.released = EPOCH + 86_400 * number;
    tree.assemble().unwrap();
    assert_eq!(tree.failures(), Default::default());
}

/// A server that knows the first key and has the release package of the repository as it is.
struct Server<'a>(Dnf<'a>);

impl<'a> Server<'a> {
    fn new(folder: &'a Path, tree: &Tree) -> Self {
        let dnf = Dnf { folder };
        fs::create_dir_all(dnf.root()).unwrap();
        succeed(
            Command::new("rpmkeys")
                .arg("--root")
                .arg(dnf.root())
                .arg("--import")
                .arg(tree.dist().join("RPM-GPG-KEY-lustre-repo")),
        );
        let package = "x86_64/Packages/lustre-repo-release-1.0-1.el8.noarch.rpm";
        succeed(
            dnf.with_base()
                .arg("install")
                .arg(tree.dist().join(package)),
        );
        let server = Self(dnf);
        let (installed, said) = server.dnf(&["install", "site-tool"]);
        assert!(installed, "{said}");
        server
    }

    /// dnf as on the server: the paths of keys in its configuration are the server's own.
    fn dnf(&self, arguments: &[&str]) -> (bool, String) {
        let root = self.0.root();
        let told = fs::read_to_string(root.join("etc/yum.repos.d/lustre-repo.repo")).unwrap();
        let keys = told.lines().find_map(|line| line.strip_prefix("gpgkey="));
        let keys = keys
            .unwrap()
            .replace("file://", &format!("file://{}", root.display()));
        run(self
            .0
            .with_base()
            .arg(format!("--setopt=lustre.gpgkey={keys}"))
            .arg("--refresh")
            .args(arguments))
    }

    fn has(&self, package: &str) -> bool {
        let (has, _) = run(Command::new("rpm")
            .arg("--root")
            .arg(self.0.root())
            .args(["-q", package]));
        has
    }
}

/// rpm keeps the `.repo` file of whoever has edited it, which names the first key's file alone.
#[test]
fn a_server_whose_administrator_edited_the_repo_file_follows_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new();
    release(&mut tree, key(), None, 1);
    let server = folder.path().join("server");
    let server = Server::new(&server, &tree);
    let repo_file = server.0.root().join("etc/yum.repos.d/lustre-repo.repo");
    let edited = fs::read_to_string(&repo_file).unwrap() + "# ours\n";
    fs::write(&repo_file, &edited).unwrap();
    release(&mut tree, key(), Some(next_key()), 2);
    let (updated, said) = server.dnf(&["upgrade"]);
    assert!(
        updated && server.has("lustre-repo-release-1.0-2.el8"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&repo_file).unwrap(), edited);
    assert!(repo_file.with_extension("repo.rpmnew").exists());
    release(&mut tree, next_key(), None, 3);
    let (updated, said) = server.dnf(&["upgrade"]);
    assert!(updated && server.has("site-tool-1.0-3"), "{said}");
    release(&mut tree, next_key(), None, 4);
    let (updated, said) = server.dnf(&["upgrade"]);
    assert!(updated && server.has("site-tool-1.0-4"), "{said}");
}

/// What we read and others do not: a file of a key is proven by those who import it.
#[test]
fn a_key_that_rpm_and_gpg_cannot_import_fails_the_proofs() {
    let mut tree = Tree::new();
    tree.signed_anew(key(), Some(next_key()), "2.el8");
    tree.assemble().unwrap();
    for (name, ours) in [
        (NEXT_FILE, "manifest"),
        ("RPM-GPG-KEY-lustre-repo", "metadata-signatures"),
    ] {
        let file = tree.dist().join(name);
        let good = fs::read_to_string(&file).unwrap();
        fs::write(&file, good.replace('\n', " ")).unwrap();
        let failures = tree.failures();
        let named: Vec<&String> = failures
            .iter()
            .filter(|(_, why)| why.contains(&format!("{name}: ")))
            .map(|(check, _)| check)
            .collect();
        assert!(named.iter().any(|check| *check == ours), "{failures:?}");
        assert!(named.len() >= 3, "gpg's and rpm's, too: {failures:?}");
        fs::write(&file, good).unwrap();
    }
    assert_eq!(tree.failures(), Default::default());
}

/// Whatever stands around the key in what a site gives: only the key is published.
#[test]
fn of_a_next_key_that_is_given_the_key_alone_is_published() {
    let mut tree = Tree::new();
    let armored = next_key().public_key_armored().unwrap();
    let given = format!("Not for others: x\n{}", armored.replace('\n', " "));
    tree.repo_file = tree.repo_file.clone().with_next_key(Some(&given)).unwrap();
    tree.assemble().unwrap();
    let written = fs::read_to_string(tree.dist().join(NEXT_FILE)).unwrap();
    assert_eq!(written, armored);
    let both = format!("{armored}\n{}", armored.replace("PUBLIC", "PRIVATE"));
    let error = tree
        .repo_file
        .clone()
        .with_next_key(Some(&both))
        .unwrap_err();
    assert!(
        error.to_string().contains("contains a secret key"),
        "{error}"
    );
}

#[test]
fn servers_that_were_told_of_the_next_key_follow_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let mut tree = Tree::new();
    // One who installed before there was a next key, and does not update in time.
    release(&mut tree, key(), None, 1);
    assert!(!tree.dist().join(NEXT_FILE).exists());
    let late = folder.path().join("late");
    let late = Server::new(&late, &tree);
    let in_time = folder.path().join("in-time");
    let in_time = Server::new(&in_time, &tree);

    release(&mut tree, key(), Some(next_key()), 2);
    let next = next_key().public_key_armored().unwrap();
    assert_eq!(
        fs::read_to_string(tree.dist().join(NEXT_FILE)).unwrap(),
        next
    );
    let (updated, said) = in_time.dnf(&["upgrade"]);
    assert!(
        updated && in_time.has("lustre-repo-release-1.0-2.el8"),
        "{said}"
    );
    let installed = in_time.0.root().join("etc/pki/rpm-gpg").join(NEXT_FILE);
    assert_eq!(fs::read_to_string(installed).unwrap(), next);

    release(&mut tree, next_key(), None, 3);
    assert!(!tree.dist().join(NEXT_FILE).exists());
    let (updated, said) = in_time.dnf(&["upgrade"]);
    assert!(updated && in_time.has("site-tool-1.0-3"), "{said}");
    // It has the new key under the old name, and goes on with that alone.
    let pki = in_time.0.root().join("etc/pki/rpm-gpg");
    assert_eq!(
        fs::read_to_string(pki.join("RPM-GPG-KEY-lustre-repo")).unwrap(),
        next
    );
    assert!(!pki.join(NEXT_FILE).exists());
    let (updated, said) = late.dnf(&["upgrade"]);
    assert!(!updated && late.has("site-tool-1.0-1"), "{said}");

    release(&mut tree, next_key(), None, 4);
    let (updated, said) = in_time.dnf(&["upgrade"]);
    assert!(updated && in_time.has("site-tool-1.0-4"), "{said}");

    // What docs/keys.md tells those who come late.
    let pki = late.0.root().join("etc/pki/rpm-gpg");
    fs::copy(
        tree.dist().join("RPM-GPG-KEY-lustre-repo"),
        pki.join("RPM-GPG-KEY-lustre-repo"),
    )
    .unwrap();
    let (updated, said) = late.dnf(&["upgrade"]);
    assert!(updated && late.has("site-tool-1.0-4"), "{said}");
}

#[test]
fn a_next_key_that_is_not_the_one_named_is_noticed() {
    let mut tree = Tree::new();
    tree.signed_anew(key(), Some(next_key()), "2.el8");
    let manifest = tree.assemble().unwrap();
    let told = manifest.repository.unwrap().next_key;
    assert_eq!(told, Some(next_key().fingerprint()));
    assert_eq!(tree.failures(), Default::default());
    let file = tree.dist().join(NEXT_FILE);
    for text in [Some(tree.public_key()), Some("no key".to_owned()), None] {
        match &text {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let failures = tree.failures();
        assert!(
            failures["manifest"].contains(NEXT_FILE),
            "{text:?}: {failures:?}"
        );
    }
}
