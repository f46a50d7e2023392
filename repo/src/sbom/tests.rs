//! What both forms list, from one repository, and that the lists are whole and the same each time.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::manifest::{Manifest, Package, Source, Stage, Tool};

fn package(nevra: &str, file: &str, stage: &str) -> Package {
    Package {
        nevra: nevra.to_owned(),
        file: file.to_owned(),
        size: 1,
        sha256_unsigned: "ab".repeat(32),
        sha256: "cd".repeat(32),
        stage: stage.to_owned(),
    }
}

fn manifest() -> Manifest {
    let source = |name: &str, location: &str, digest: String| Source {
        name: name.to_owned(),
        location: location.to_owned(),
        digest,
    };
    let stage = |sources: Vec<Source>| Stage {
        digest: "12".repeat(32),
        sources,
        build_packages: vec![
            "gcc-12-1.x86_64".to_owned(),
            "perl-4:5.36-1.noarch".to_owned(),
        ],
        builder: None,
    };
    let kernel = source(
        "kernel",
        "https://example.org/kernel.src.rpm",
        format!("sha256:{}", "ef".repeat(32)),
    );
    Manifest {
        tool: Tool {
            name: "lustre-repo".to_owned(),
            version: "0.1.0".to_owned(),
        },
        target: "rocky-9.6".to_owned(),
        source_date_epoch: 1_767_225_600,
        stages: BTreeMap::from([
            ("kernel".to_owned(), stage(vec![kernel.clone()])),
            (
                "lustre".to_owned(),
                // ldiskfs is made of the kernel's ext4.
                stage(vec![
                    kernel,
                    source(
                        "lustre",
                        "https://example.org/lustre.git",
                        "git:0a1b2c".to_owned(),
                    ),
                ]),
            ),
        ]),
        packages: vec![
            package(
                "lustre-2.17.0-1.x86_64",
                "x86_64/Packages/lustre.rpm",
                "lustre",
            ),
            package(
                "lustre-2.17.0-1.src",
                "source/Packages/lustre.src.rpm",
                "lustre",
            ),
            package(
                "kernel-1:5.14.0-570.el9.src",
                "source/Packages/kernel.src.rpm",
                "kernel",
            ),
            package(
                "release-9-1.noarch",
                "x86_64/Packages/release.rpm",
                "release-package",
            ),
        ],
        ..Manifest::default()
    }
}

fn made_with() -> MadeWith {
    MadeWith {
        patches: vec![Patch {
            stage: "lustre".to_owned(),
            file: "specs/lustre/2.17/edits.toml".to_owned(),
            sha256: "34".repeat(32),
        }],
        crates: vec![
            Crate {
                name: "rpm".to_owned(),
                version: "0.30.2".to_owned(),
                sha256: Some("56".repeat(32)),
            },
            Crate {
                name: "xtask".to_owned(),
                version: "0.1.0".to_owned(),
                sha256: None,
            },
        ],
    }
}

fn made(manifest: &Manifest) -> BTreeMap<&'static str, Value> {
    let licenses = BTreeMap::from([(
        "x86_64/Packages/lustre.rpm".to_owned(),
        "GPLv2 and \"others\"".to_owned(),
    )]);
    let bom = Bom {
        manifest,
        licenses: &licenses,
        made_with: &made_with(),
    };
    let all = files(&bom);
    assert_eq!(all, files(&bom));
    all.into_iter()
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect()
}

fn strings<'v>(values: &'v Value, key: &str) -> Vec<&'v str> {
    values
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one[key].as_str().unwrap_or_default())
        .collect()
}

#[test]
fn spdx_lists_every_part_and_how_they_belong_together() {
    let all = made(&manifest());
    let document = &all[SPDX];
    let packages = document["packages"].as_array().unwrap();
    let ids: BTreeMap<&str, &str> = packages
        .iter()
        .map(|one| {
            (
                one["SPDXID"].as_str().unwrap(),
                one["name"].as_str().unwrap(),
            )
        })
        .collect();
    // Tool, four packages, two sources, a patch, two build packages, two crates.
    assert_eq!((packages.len(), ids.len()), (12, 12), "{ids:?}");
    let one = |name: &str, file: &str| {
        packages
            .iter()
            .find(|one| {
                one["name"] == name && one["packageFileName"].as_str().unwrap_or_default() == file
            })
            .unwrap_or_else(|| panic!("{name} {file}"))
    };
    let lustre = one("lustre", "x86_64/Packages/lustre.rpm");
    assert_eq!(lustre["versionInfo"], "2.17.0-1");
    assert_eq!(lustre["checksums"][0]["checksumValue"], "cd".repeat(32));
    assert_eq!(
        lustre["externalRefs"][0]["referenceLocator"],
        "pkg:rpm/lustre@2.17.0-1?arch=x86_64"
    );
    assert_eq!(
        lustre["licenseComments"],
        "the package says: GPLv2 and \"others\""
    );
    assert_eq!(
        one("lustre", "")["downloadLocation"],
        "git+https://example.org/lustre.git@0a1b2c"
    );
    let perl = one("perl", "");
    assert_eq!(
        perl["externalRefs"][0]["referenceLocator"],
        "pkg:rpm/perl@5.36-1?arch=noarch&epoch=4"
    );
    let relations: BTreeSet<(&str, &str, &str)> = document["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let name = |key: &str| match one[key].as_str().unwrap() {
                "SPDXRef-DOCUMENT" => "-",
                id => ids[id],
            };
            (
                name("spdxElementId"),
                one["relationshipType"].as_str().unwrap(),
                name("relatedSpdxElement"),
            )
        })
        .collect();
    for wanted in [
        ("-", "DESCRIBES", "release"),
        ("lustre", "GENERATED_FROM", "lustre"),
        ("lustre", "GENERATED_FROM", "kernel"),
        ("kernel", "GENERATED_FROM", "kernel"),
        ("specs/lustre/2.17/edits.toml", "PATCH_FOR", "lustre"),
        ("gcc", "BUILD_DEPENDENCY_OF", "lustre"),
        ("gcc", "BUILD_DEPENDENCY_OF", "kernel"),
        ("lustre-repo", "BUILD_TOOL_OF", "lustre"),
        ("rpm", "DEPENDENCY_OF", "lustre-repo"),
    ] {
        assert!(relations.contains(&wanted), "{wanted:?}: {relations:?}");
    }
}

#[test]
fn cyclonedx_lists_every_part_and_what_each_is_made_of() {
    let all = made(&manifest());
    let document = &all[CYCLONEDX];
    let mut references = strings(&document["components"], "bom-ref");
    assert_eq!(
        references,
        [
            "package:source/Packages/kernel.src.rpm",
            "package:source/Packages/lustre.src.rpm",
            "package:x86_64/Packages/lustre.rpm",
            "package:x86_64/Packages/release.rpm",
            "source:0:kernel",
            "source:1:lustre",
            "patch:lustre:specs/lustre/2.17/edits.toml",
            "build:gcc-12-1.x86_64",
            "build:perl-4:5.36-1.noarch",
        ]
    );
    let mut depending = strings(&document["dependencies"], "ref");
    depending.sort_unstable();
    references.sort_unstable();
    assert_eq!(depending, references);
    let of = |this: &str| {
        let all = document["dependencies"].as_array().unwrap();
        all.iter().find(|one| one["ref"] == this).unwrap()["dependsOn"].clone()
    };
    assert_eq!(
        of("package:x86_64/Packages/lustre.rpm"),
        serde_json::json!(["package:source/Packages/lustre.src.rpm"])
    );
    assert_eq!(
        of("package:source/Packages/lustre.src.rpm"),
        serde_json::json!([
            "build:gcc-12-1.x86_64",
            "build:perl-4:5.36-1.noarch",
            "patch:lustre:specs/lustre/2.17/edits.toml",
            "source:0:kernel",
            "source:1:lustre",
        ])
    );
    let tool = &document["metadata"]["tools"]["components"][0];
    assert_eq!(strings(&tool["components"], "name"), ["rpm", "xtask"]);
    let serial = document["serialNumber"].as_str().unwrap();
    assert_eq!(all[SPDX]["documentNamespace"], serial);
    assert_eq!(
        (serial.len(), serial.matches('-').count()),
        (45, 4),
        "{serial}"
    );
}

#[test]
fn the_lists_do_not_depend_on_an_order_and_no_path_of_the_machine_is_in_them() {
    let first = manifest();
    let mut other = first.clone();
    other.packages.reverse();
    assert_eq!(made(&first), made(&other));
    let mut local = first;
    for stage in local.stages.values_mut() {
        for source in &mut stage.sources {
            source.location = "/home/me/sources".to_owned();
        }
    }
    for (name, document) in made(&local) {
        assert!(!document.to_string().contains("/home/me"), "{name}");
    }
}
