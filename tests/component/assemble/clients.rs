//! What the users' tools say of an assembled repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::world::{Spec, Tree, run, succeed, world};

/// A dnf with nothing of this machine's configuration.
pub struct Dnf<'a> {
    pub folder: &'a Path,
}

impl Dnf<'_> {
    pub fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    pub fn command(&self) -> Command {
        let file = self.folder.join("dnf.conf");
        let folder = self.folder.display();
        // `best` as on Enterprise Linux.
        let text = format!(
            "[main]\nbest=True\ninstallonly_limit=3\ncachedir={folder}/cache\npersistdir={folder}/persist\n\
             logdir={folder}/log\nreposdir={folder}/root/etc/yum.repos.d\n"
        );
        fs::create_dir_all(self.folder).unwrap();
        fs::write(&file, text).unwrap();
        let mut command = Command::new("dnf");
        command
            .arg("-c")
            .arg(file)
            .arg(format!("--installroot={}", self.root().display()))
            // A proxy of the machine's does not stand between it and servers of the tests.
            .env("no_proxy", "*")
            // Debian's dnf-plugins-core comes with the plugin `local` switched on: it keeps every package any dnf of the
            // machine installs, and offers it to all others.
            .args([
                "--releasever=8",
                "--forcearch=x86_64",
                "-y",
                "--disableplugin=local",
            ]);
        command
    }

    /// As [`Self::command`] with the base repository.
    pub fn with_base(&self) -> Command {
        let mut command = self.command();
        command.arg(format!(
            "--repofrompath=base,file://{}",
            world().base.display()
        ));
        command
    }
}

#[test]
fn sha256sum_gpg_and_rpmkeys_agree() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let home = tree.path().join("gnupg");
    fs::create_dir(&home).unwrap();
    let key = tree.dist().join("RPM-GPG-KEY-lustre-repo");
    succeed(
        Command::new("sha256sum")
            .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
            .current_dir(tree.dist()),
    );
    let gpg = || {
        let mut gpg = Command::new("gpg");
        gpg.args(["--batch", "--no-autostart", "--homedir"])
            .arg(&home);
        gpg
    };
    succeed(gpg().arg("--import").arg(&key));
    for folder in ["x86_64", "x86_64-debuginfo", "source"] {
        let index = tree.dist().join(folder).join("repodata/repomd.xml");
        let text = succeed(
            gpg()
                .arg("--verify")
                .arg(index.with_extension("xml.asc"))
                .arg(&index),
        );
        assert!(text.contains("Good signature"), "{text}");
    }
    let define = format!("_dbpath {}", tree.path().join("rpmdb").display());
    succeed(
        Command::new("rpmkeys")
            .args(["--define", &define, "--import"])
            .arg(&key),
    );
    for entry in walkdir::WalkDir::new(tree.dist()) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|e| e == "rpm") {
            let text = succeed(
                Command::new("rpmkeys")
                    .args(["--define", &define, "-K"])
                    .arg(&path),
            );
            assert!(text.contains("digests signatures OK"), "{text}");
        }
    }
}

/// dnf's opinion on closure: the lines `nothing provides …`, or none.
fn repoclosure(tree: &Tree) -> (bool, String) {
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    run(dnf
        .with_base()
        .arg(format!(
            "--repofrompath=ours,file://{}/x86_64",
            tree.dist().display()
        ))
        .args(["--repo=base", "--repo=ours", "--refresh"])
        .args(["repoclosure", "--check=ours"]))
}

#[test]
fn dnf_repoclosure_agrees() {
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let (success, text) = repoclosure(&tree);
    assert!(success, "{text}");
    assert!(!tree.failures().contains_key("closure"));

    let unmet = [
        "/usr/bin/none",
        "kernel(bar) = 0x9",
        "ldiskfsprogs > 1.47",
        "lustre >= 2.18",
    ];
    let met = [
        "/usr/bin/bash",
        "ldiskfsprogs",
        "ldiskfsprogs = 1.47-9",
        // A version without release stands for all of its releases.
        "ldiskfsprogs > 1.47-1",
        "lustre >= 2.17",
    ];
    let tags = requiring(unmet.iter().chain(&met));
    tree.with(&asking("asking", &tags));
    tree.assemble().unwrap();
    let (success, text) = repoclosure(&tree);
    assert!(!success, "{text}");
    let mut theirs: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    theirs.sort_unstable();
    let failures = tree.failures();
    let mut ours: Vec<&str> = failures["closure"]
        .lines()
        .filter_map(|line| {
            line.strip_prefix("nothing provides ")?
                .split(" needed by asking-1-1.x86_64")
                .next()
        })
        .collect();
    ours.sort_unstable();
    assert_eq!(ours, theirs, "{text}");
    assert_eq!(ours, unmet);
}

fn requiring<'a>(requirements: impl IntoIterator<Item = &'a &'a str>) -> String {
    requirements
        .into_iter()
        .map(|requirement| format!("Requires: {requirement}\n"))
        .collect()
}

fn asking<'a>(name: &'a str, tags: &'a str) -> Spec<'a> {
    Spec {
        name,
        evr: "1-1",
        tags,
        files: &[],
    }
}

/// Rich requirements: repoclosure does not resolve them (it calls `(z if y)` unmet where nothing provides `y`), so the
/// judge is what dnf installs. (`unless` is not in the table: rpmbuild refuses it in `Requires:`.)
#[test]
fn dnf_agrees_on_rich_requirements() {
    let table = [
        ("(z if y)", true),
        ("(z if y else bash)", true),
        ("(z or /usr/bin/bash)", true),
        ("(bash and (z or e2fsprogs >= 1.47))", true),
        ("(ldiskfsprogs with e2fsprogs)", true),
        ("(ldiskfsprogs without lustre)", true),
        ("(z or y)", false),
        ("(bash and z)", false),
        ("(ldiskfsprogs with bash)", false),
        ("(ldiskfsprogs without e2fsprogs)", false),
        ("(bash if y else z)", false),
    ];
    let mut tree = Tree::new();
    let names: Vec<String> = (0..table.len()).map(|n| format!("asking{n}")).collect();
    for (name, (requirement, _)) in names.iter().zip(&table) {
        tree.with(&asking(name, &requiring([requirement])));
    }
    tree.assemble().unwrap();
    let dnf = Dnf {
        folder: &tree.path().join("dnf"),
    };
    let closure = tree
        .check()
        .into_iter()
        .find(|check| check.name == "closure")
        .unwrap()
        .message;
    for (name, (requirement, met)) in names.iter().zip(&table) {
        let ours = format!("ours,file://{}/x86_64", tree.dist().display());
        let (success, text) = run(dnf.with_base().arg(format!("--repofrompath={ours}")).args([
            "--setopt=tsflags=test",
            "install",
            name,
        ]));
        assert_eq!(success, *met, "{requirement}: {text}");
        let sentence = format!("nothing provides {requirement} needed by {name}-1-1.x86_64");
        assert_eq!(
            !closure.contains(&sentence),
            *met,
            "{requirement}: {closure}"
        );
    }
}
