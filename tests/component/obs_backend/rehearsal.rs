//! The rehearsal, built there: proven like any other, the same packages as those that were built here, and built again here the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::export::obs as texts;
use lustre_packaging::obs::Project;
use lustre_packaging::target::Target;
use lustre_repo_tests::command_line::{project, run};
use lustre_repo_tests::obs_backend::{Backend, Base};
use serde_json::Value;

use super::{ARCH, PROJECT, differing, put_projects, tag};
use crate::kills::World;

/// What is built there.
const PACKAGES: [&str; 3] = ["e2fsprogs", "kernel", "lustre"];

/// What differs of a package that was built there: where it is from, the source package that was made there, which says so too, and the
/// size and the digests of all that.
const DIFFER: [&str; 6] = [
    "Disturl",
    "Sha1header",
    "Sha256header",
    "Sigmd5",
    "Sigsize",
    "Sourcepkgid",
];

/// The packages below a folder, by file name.
fn packages(folder: &Path) -> BTreeMap<String, PathBuf> {
    let paths = walkdir::WalkDir::new(folder).into_iter();
    paths
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|it| it == "rpm"))
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

#[test]
#[ignore = "needs the store of the built rehearsal, and an hour: the step `obs` of .ci/run"]
fn the_rehearsal_is_the_same_but_for_its_provenance_and_is_built_again_the_same() {
    let world = World::new();
    let here = PACKAGES.map(|stage| packages(&world.newest(stage).join("RPMS")));
    let target = Target::load(&project().join("specs"), "rehearsal").unwrap();
    let base = texts::base_project(&Project::parse(PROJECT).unwrap());
    let backend = Backend::start(&Base {
        project: &base.project,
        meta: &texts::project_meta(&base, &[], ARCH),
        config: &texts::base_conf(&target),
        packages: &world.newest("distribution").join("base/Packages"),
    });
    put_projects(&backend, base);

    let dist = world.base.join("dist");
    let line = ["repo", "--locked", "--on", "obs", "--project", PROJECT];
    let mut command = world.home.command(&line);
    command
        .args(["--api", &backend.url(), "--output"])
        .arg(&dist)
        .env("LUSTRE_REPO_STORE", world.store());
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}\n{}", backend.logs());
    let mut again = command;
    let proof = fs::read(dist.join("proof.json")).unwrap();
    let proof: Value = serde_json::from_slice(&proof).unwrap();
    let results: Vec<&str> = proof["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["result"].as_str().unwrap())
        .collect();
    assert!(
        results.iter().filter(|one| **one == "pass").count() > 20,
        "{proof}"
    );
    assert!(!results.contains(&"fail"), "{proof}");

    let manifest = fs::read(dist.join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let wanted = BTreeSet::from(DIFFER.map(str::to_owned));
    for (stage, here) in PACKAGES.iter().zip(&here) {
        let there = packages(&world.newest(stage).join("RPMS"));
        assert!(here.keys().eq(there.keys()), "{here:?}\n{there:?}");
        assert!(here.len() > 3, "{here:?}");
        let disturl = &manifest["stages"][stage]["builder"]["disturl"];
        let disturl = disturl.as_str().unwrap();
        for (name, path) in here {
            assert_eq!(differing(path, &there[name]), wanted, "{name}");
            assert_eq!(tag(&there[name], "DISTURL"), disturl, "{name}");
        }
    }

    // With all packages in the store, nobody is asked, and nobody is there.
    drop(backend);
    let ran = run(&mut again);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("out of reach"), "{ran:?}");

    // Who has the repository builds it again, with what it says of that.
    let mut command = world.home.command(&["rebuild", "--json", "--public-key"]);
    command
        .arg(dist.join("RPM-GPG-KEY-lustre-repo"))
        .arg(&dist)
        .env("LUSTRE_REPO_STORE", world.store());
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    let told: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(told["same"], true, "{told}");
    let rebuilt = told["packages"].as_array().unwrap().len();
    assert_eq!(
        rebuilt,
        here.iter().map(BTreeMap::len).sum::<usize>(),
        "{told}"
    );
}
