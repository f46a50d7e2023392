//! What an update mends: `updateinfo.xml` as createrepo_c and dnf read it, and against the manifest.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use lustre_repo_tests::createrepo;
use lustre_repository::manifest::{self, Advisory, Manifest};

use super::clients::Dnf;
use super::world::{OUR_KERNEL, Tree, succeed};

fn advisory(id: &str, kind: &str) -> Advisory {
    Advisory {
        id: id.to_owned(),
        kind: kind.to_owned(),
        severity: Some("Important".to_owned()),
        title: "kernel <update> & more".to_owned(),
        description: "what it is about".to_owned(),
        issued: Some("2024-01-01 00:00:00".to_owned()),
        cves: vec!["CVE-2026-0001".to_owned(), "CVE-2026-0002".to_owned()],
        stage: "test".to_owned(),
    }
}

/// A repository with one advisory of its packages, and one of packages that it has not.
pub fn advised() -> Tree {
    let mut tree = Tree::new();
    tree.advisories = vec![
        advisory("SITE-2026:1", "security"),
        Advisory {
            stage: "elsewhere".to_owned(),
            ..advisory("SITE-2026:2", "security")
        },
        Advisory {
            cves: Vec::new(),
            ..advisory("lustre-repo:LU-20192", "bugfix")
        },
    ];
    tree.assemble().unwrap();
    tree
}

#[test]
fn createrepo_c_reads_the_advisories() {
    const READER: &str = "\
import createrepo_c as cr, glob, sys
for one in cr.UpdateInfo(glob.glob(sys.argv[1] + '/repodata/*updateinfo*')[0]).updates:
    print(one.id, one.type, one.severity, one.issued_date, one.title, [r.id for r in one.references])
    for collection in one.collections:
        for p in collection.packages:
            print(' ', p.name, p.epoch, p.version, p.release, p.arch, p.filename)
";
    let tree = advised();
    let python = createrepo::program().unwrap().with_file_name("python");
    let text = succeed(
        Command::new(python)
            .args(["-c", READER])
            .arg(tree.dist().join("x86_64")),
    );
    let kernel = format!(
        "  kernel-core 0 6.1 {} x86_64 kernel-core-{OUR_KERNEL}.x86_64.rpm",
        OUR_KERNEL.split_once('-').unwrap().1
    );
    for line in [
        "SITE-2026:1 security Important 2024-01-01 00:00:00 kernel <update> & more ['CVE-2026-0001', 'CVE-2026-0002']",
        "lustre-repo:LU-20192 bugfix Important 2024-01-01 00:00:00 kernel <update> & more []",
        &kernel,
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(!text.contains("SITE-2026:2"), "{text}");
    for other in ["src", "debuginfo"] {
        assert!(!text.contains(other), "{text}");
    }
    assert_eq!(tree.failures(), BTreeMap::new());
}

#[test]
fn dnf_lists_and_installs_what_is_a_matter_of_security() {
    let tree = advised();
    let folder = tree.path().join("dnf");
    let dnf = Dnf { folder: &folder };
    succeed(dnf.with_base().args([
        "--nogpgcheck",
        "--repo=base",
        "install",
        "kernel-core",
        "e2fsprogs",
    ]));
    let ours = format!(
        "--repofrompath=ours,file://{}/x86_64",
        tree.dist().display()
    );
    let asked = |arguments: &[&str]| {
        let mut command = dnf.command();
        succeed(
            command
                .args([&ours, "--repo=ours", "--nogpgcheck"])
                .args(arguments),
        )
    };
    let listed = asked(&["updateinfo", "list", "--security"]);
    let lines: Vec<&str> = listed
        .lines()
        .filter(|line| line.contains("SITE-") || line.contains("lustre-repo:"))
        .collect();
    assert_eq!(lines.len(), 2, "{listed}");
    for (line, package) in lines
        .iter()
        .zip(["e2fsprogs-1.47-1", "kernel-core-6.1-553"])
    {
        assert!(
            line.starts_with("SITE-2026:1 Important/Sec.") && line.contains(package),
            "{listed}"
        );
    }
    let listed = asked(&["updateinfo", "list", "--bugfix"]);
    assert!(listed.contains("lustre-repo:LU-20192"), "{listed}");
    let listed = asked(&["updateinfo", "list", "cves"]);
    assert!(listed.contains("CVE-2026-0002"), "{listed}");
    for by in [
        &["--security"][..],
        &["--advisory=SITE-2026:1"],
        &["--cve=CVE-2026-0001"],
    ] {
        let text = asked(&[&["--setopt=tsflags=test", "upgrade"][..], by].concat());
        assert!(
            text.contains("e2fsprogs") && text.contains("kernel-core"),
            "{by:?}: {text}"
        );
    }
    let text = asked(&["--setopt=tsflags=test", "upgrade", "--advisory=SITE-2026:2"]);
    assert!(text.contains("Nothing to do"), "{text}");
}

#[test]
fn advisories_that_are_not_those_of_the_manifest_are_found() {
    let tree = advised();
    let path = tree.dist().join(manifest::FILE);
    let mut changed: Manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    changed.advisories[0].severity = Some("Low".to_owned());
    fs::write(&path, changed.to_json()).unwrap();
    let said = "x86_64/repodata: the advisories (updateinfo.xml) are not those of manifest.json";
    let failures = tree.failures();
    assert!(failures["repodata"].contains(said), "{failures:?}");
    changed.advisories.clear();
    fs::write(&path, changed.to_json()).unwrap();
    let failures = tree.failures();
    assert!(failures["repodata"].contains(said), "{failures:?}");

    // Without any, there is no such file, and dnf has nothing to say.
    let mut tree = Tree::new();
    tree.assemble().unwrap();
    let names = fs::read_dir(tree.dist().join("x86_64/repodata")).unwrap();
    let names: Vec<_> = names.map(|one| one.unwrap().file_name()).collect();
    assert!(
        names
            .iter()
            .all(|one| !one.to_string_lossy().contains("updateinfo")),
        "{names:?}"
    );
    tree.advisories = vec![Advisory {
        stage: "elsewhere".to_owned(),
        ..advisory("SITE-2026:3", "security")
    }];
    tree.assemble().unwrap();
    assert_eq!(tree.failures(), BTreeMap::new());
}
