//! The lists of what a repository is made of and of how it was made, as the validators of others see them.

use std::fs;
use std::process::Command;

use lustre_repo_tests::python;
use lustre_repository::manifest::{Source, Stage};
use lustre_repository::sbom::{Crate, MadeWith, Patch};
use lustre_repository::sums;
use serde_json::Value;

use super::world::{Tree, succeed};

/// The validators, by digest: those of the forms' own projects.
const REQUIREMENTS: &str = include_str!("../../tools/sbom.txt");

/// What a repository of a kernel and Lustre has: sources of each sort, packages of a buildroot, patches and crates.
fn tree() -> Tree {
    let mut tree = Tree::published_at("https://repo.example.org/lustre");
    let source = |location: &str, digest: String| Source {
        name: "lustre".to_owned(),
        location: location.to_owned(),
        digest,
    };
    let digest = "0123456789abcdef".repeat(4);
    tree.stage = Stage {
        digest: digest.clone(),
        // Stages name them in whatever order.
        sources: vec![
            source("specs/model/lustre", format!("tree-sha256:{digest}")),
            source(
                "https://example.org/a b.src.rpm",
                format!("sha256:{digest}"),
            ),
            source(
                "https://example.org/kernel.src.rpm",
                format!("sha256:{digest}"),
            ),
            source(
                "https://example.org/lustre.git",
                format!("git:{}", &digest[..40]),
            ),
        ],
        build_packages: vec![
            "gcc-c++-12.2.0-14.x86_64".to_owned(),
            "perl-4:5.36.0-7+deb12u3.x86_64".to_owned(),
        ],
        ..Stage::default()
    };
    tree.made_with = MadeWith {
        patches: vec![Patch {
            stage: "test".to_owned(),
            file: "specs/lustre/2.17/overlay.toml".to_owned(),
            sha256: digest.clone(),
        }],
        crates: vec![
            Crate {
                name: "rpm".to_owned(),
                version: "0.30.2".to_owned(),
                sha256: Some(digest),
            },
            Crate {
                name: "xtask".to_owned(),
                version: "0.1.0".to_owned(),
                sha256: None,
            },
        ],
    };
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    tree
}

#[test]
fn the_validators_of_both_forms_find_nothing() {
    let home = match python::environment("sbom", REQUIREMENTS) {
        Ok(home) => home,
        // Hundreds of schemas of others are not kept here.
        Err(error) => {
            println!("skipped: the validators cannot be installed from PyPI: {error:#}");
            return;
        }
    };
    let tree = tree();
    let said = succeed(
        Command::new(home.join("bin/pyspdxtools"))
            .args(["--version", "SPDX-2.3", "--infile"])
            .arg(tree.dist().join("sbom.spdx.json")),
    );
    assert!(!said.contains("rror"), "{said}");
    let script = "import sys\nfrom cyclonedx.schema import SchemaVersion\nfrom cyclonedx.validation.json import JsonStrictValidator\n\
                  found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read())\n\
                  sys.exit(str(found) if found else 0)\n";
    succeed(
        Command::new(home.join("bin/python"))
            .args(["-c", script])
            .arg(tree.dist().join("sbom.cdx.json")),
    );
    // And they would find something.
    let broken = tree.path().join("broken.json");
    for (name, from, to) in [
        (
            "sbom.spdx.json",
            "\"SPDXID\": \"SPDXRef-DOCUMENT\"",
            "\"SPDXID\": \"document\"",
        ),
        (
            "sbom.cdx.json",
            "\"alg\": \"SHA-256\"",
            "\"alg\": \"sha256\"",
        ),
    ] {
        let text = fs::read_to_string(tree.dist().join(name)).unwrap();
        assert!(text.contains(from), "{name}");
        fs::write(&broken, text.replace(from, to)).unwrap();
        let mut command = match name {
            "sbom.cdx.json" => {
                let mut command = Command::new(home.join("bin/python"));
                command.args(["-c", script]);
                command
            }
            _ => {
                let mut command = Command::new(home.join("bin/pyspdxtools"));
                command.args(["--version", "SPDX-2.3", "--infile"]);
                command
            }
        };
        let done = command.arg(&broken).output().unwrap();
        assert!(!done.status.success(), "{name}");
    }
}

#[test]
fn the_lists_have_every_package_and_the_provenance_is_of_the_sums() {
    let tree = tree();
    let read = |name: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(tree.dist().join(name)).unwrap()).unwrap()
    };
    let manifest = read("manifest.json");
    let spdx = read("sbom.spdx.json").to_string();
    let cyclonedx = read("sbom.cdx.json").to_string();
    for package in manifest["packages"].as_array().unwrap() {
        for key in ["file", "sha256"] {
            let value = package[key].as_str().unwrap();
            assert!(spdx.contains(value) && cyclonedx.contains(value), "{value}");
        }
    }
    assert!(spdx.contains("the package says: MIT"), "{spdx}");
    let provenance = read("provenance.intoto.json");
    let digest = sums::sha256(&tree.dist().join(sums::FILE)).unwrap().0;
    assert_eq!(provenance["subject"][0]["digest"]["sha256"], digest);
    // As whoever has gpg alone would see it.
    let home = tempfile::tempdir().unwrap();
    let keyring = home.path().join("key.gpg");
    succeed(
        Command::new("gpg")
            .arg("--homedir")
            .arg(home.path())
            .args(["--batch", "--dearmor", "--output"])
            .arg(&keyring)
            .arg(tree.dist().join("RPM-GPG-KEY-lustre-repo")),
    );
    let verify = || {
        Command::new("gpgv")
            .arg("--keyring")
            .arg(&keyring)
            .arg(tree.dist().join("provenance.intoto.json.asc"))
            .arg(tree.dist().join("provenance.intoto.json"))
            .output()
            .unwrap()
            .status
            .success()
    };
    assert!(verify());
    let path = tree.dist().join("provenance.intoto.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"test\"", "\"tesT\"")).unwrap();
    assert!(!verify());
    assert_eq!(
        tree.failures().into_keys().collect::<Vec<_>>(),
        ["provenance"]
    );
}
