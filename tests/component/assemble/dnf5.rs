//! The dnf of Fedora and of Enterprise Linux after 10: another program than dnf 4, with other words and its own reader of metadata. Debian 12
//! has none, so it comes from unstable, which may be broken on any day: these are tests of the scheduled job.

use std::path::Path;
use std::process::Command;

use lustre_repo_tests::debian;
use lustre_repo_tests::nginx::Nginx;
use lustre_repository::assets::Assets;

use super::advisories::advised;
use super::world::{Tree, key, run, succeed, world};

/// dnf 5 in a root of its own, which sees the folder of a test at its own path.
struct Dnf5<'a> {
    folder: &'a Path,
    /// Whether it sees a server of this machine.
    loopback: bool,
}

impl Dnf5<'_> {
    fn command(&self, tree: &Tree) -> Command {
        let root = debian::unstable(&["dnf5", "gpg", "gpg-agent", "gpgconf"]).unwrap();
        let mut command = Command::new("bwrap");
        command
            .arg("--ro-bind")
            .args([&root, Path::new("/")])
            .args(["--dev", "/dev", "--proc", "/proc"])
            .args(["--unshare-pid", "--die-with-parent"]);
        if !self.loopback {
            command.arg("--unshare-net");
        }
        for folder in ["/run", "/tmp", "/root", "/var"] {
            command.args(["--tmpfs", folder]);
        }
        for folder in [tree.path(), world().path()] {
            command.arg("--bind").args([folder, folder]);
        }
        command.args([
            "dnf5",
            "--assumeyes",
            "--releasever=8",
            "--forcearch=x86_64",
            "--setopt=best=True",
        ]);
        for (option, folder) in [
            ("--installroot", "root"),
            ("--setopt=cachedir", "cache"),
            ("--setopt=logdir", "log"),
            ("--setopt=reposdir", "none"),
        ] {
            command.arg(format!("{option}={}", self.folder.join(folder).display()));
        }
        command
    }
}

fn repository(name: &str, folder: &Path) -> String {
    format!("--repofrompath={name},file://{}", folder.display())
}

#[test]
#[ignore = "fetches dnf 5 from Debian unstable: the step `dnf5` of .ci/run"]
fn dnf_5_lists_and_installs_what_is_a_matter_of_security() {
    let tree = advised();
    let folder = tree.path().join("dnf5");
    std::fs::create_dir(&folder).unwrap();
    let dnf = Dnf5 {
        folder: &folder,
        loopback: false,
    };
    let version = succeed(dnf.command(&tree).arg("--version"));
    assert!(version.starts_with("dnf5 version 5."), "{version}");

    succeed(dnf.command(&tree).args([
        &repository("base", &world().base),
        "--repo=base",
        "--no-gpgchecks",
        "install",
        "kernel-core",
        "e2fsprogs",
    ]));
    let ours = repository("ours", &tree.dist().join("x86_64"));
    let asked = |arguments: &[&str]| {
        let mut command = dnf.command(&tree);
        succeed(
            command
                .args([&ours, "--repo=ours", "--no-gpgchecks"])
                .args(arguments),
        )
    };
    let listed = asked(&["advisory", "list", "--security"]);
    let lines: Vec<&str> = listed.lines().filter(|it| it.contains("SITE-")).collect();
    assert_eq!(lines.len(), 2, "{listed}");
    for (line, package) in lines
        .iter()
        .zip(["e2fsprogs-1.47-1", "kernel-core-6.1-553"])
    {
        assert!(
            line.starts_with("SITE-2026:1 security Important") && line.contains(package),
            "{listed}"
        );
    }
    let info = asked(&["advisory", "info", "--bugfix"]);
    assert!(info.contains("lustre-repo:LU-20192"), "{info}");
    let listed = asked(&["advisory", "list", "--with-cve"]);
    assert!(listed.contains("CVE-2026-0002"), "{listed}");
    for by in [
        &["--security"][..],
        &["--advisories=SITE-2026:1"],
        &["--cves=CVE-2026-0001"],
    ] {
        let text = asked(&[&["--setopt=tsflags=test", "upgrade"][..], by].concat());
        assert!(
            text.contains("e2fsprogs") && text.contains("kernel-core"),
            "{by:?}: {text}"
        );
    }
    let text = asked(&["--setopt=tsflags=test", "upgrade", "--security", "--bugfix"]);
    assert!(text.contains("kernel-core"), "{text}");
}

#[test]
#[ignore = "fetches dnf 5 from Debian unstable: the step `dnf5` of .ci/run"]
fn dnf_5_takes_the_signed_repository_and_refuses_a_changed_one() {
    let tree = Tree::new();
    tree.assemble().unwrap();
    let folder = tree.path().join("dnf5");
    std::fs::create_dir_all(folder.join("root")).unwrap();
    let dnf = Dnf5 {
        folder: &folder,
        loopback: false,
    };
    let dist = tree.dist().join("x86_64");
    let key = tree.dist().join("RPM-GPG-KEY-lustre-repo");
    let configured = |arguments: &[&str]| {
        let mut command = dnf.command(&tree);
        command
            .args([
                repository("ours", &dist),
                repository("base", &world().base),
                "--setopt=ours.gpgcheck=1".to_owned(),
                "--setopt=ours.repo_gpgcheck=1".to_owned(),
                format!("--setopt=ours.gpgkey=file://{}", key.display()),
                "--setopt=base.gpgcheck=0".to_owned(),
            ])
            .args(arguments);
        command
    };
    succeed(&mut configured(&["install", "e2fsprogs"]));
    let index = dist.join("repodata/repomd.xml");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace("<revision>", "<revision>1")).unwrap();
    let (done, said) = run(&mut configured(&["--refresh", "makecache"]));
    assert!(!done, "{said}");
    assert!(said.contains("ours"), "{said}");
}

#[test]
#[ignore = "fetches dnf 5 from Debian unstable: the step `dnf5` of .ci/run"]
fn dnf_5_installs_packages_that_are_assets_behind_a_redirect() {
    let place = tempfile::tempdir().unwrap();
    let server = Nginx::start(|_| {
        format!(
            "server {{ listen 127.0.0.1:PORT; root {};\nlocation /download/ {{ rewrite ^/download/(.+)$ /storage/$1?signature=abc redirect; }}\n\
             location /storage/ {{ if ($arg_signature != abc) {{ return 403; }} }} }}",
            place.path().display()
        )
    });
    let mut tree = Tree::published_at(&format!("{}/pages", server.url()));
    let assets = format!("{}/download", server.url());
    tree.repo_file = tree.repo_file.clone().with_assets(Some(&assets)).unwrap();
    tree.signed_anew(key(), None, "1.el8");
    tree.assemble().unwrap();
    for package in Assets::read(&tree.dist()).unwrap().unwrap().packages {
        let to = place.path().join("storage").join(package.place());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(tree.dist().join(&package.path), to).unwrap();
    }
    let pages = place.path().join("pages");
    std::fs::create_dir(&pages).unwrap();
    succeed(
        Command::new("cp")
            .args(["-a", "-t"])
            .arg(&pages)
            .arg(tree.dist().join("assets")),
    );
    let folder = tree.path().join("dnf5");
    std::fs::create_dir_all(folder.join("root")).unwrap();
    let dnf = Dnf5 {
        folder: &folder,
        loopback: true,
    };
    let key = tree.dist().join("RPM-GPG-KEY-lustre-repo");
    let mut command = dnf.command(&tree);
    command
        .arg(format!(
            "--repofrompath=ours,{}/pages/assets/x86_64",
            server.url()
        ))
        .args(["--repo=ours", "--setopt=ours.gpgcheck=1"])
        .arg("--setopt=ours.repo_gpgcheck=1")
        .arg(format!("--setopt=ours.gpgkey=file://{}", key.display()))
        .args(["install", "e2fsprogs"]);
    succeed(&mut command);
    assert!(folder.join("root/usr/sbin/mke2fs").is_file());
}
