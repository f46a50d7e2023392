//! A repository that a stranger builds again, with nothing but what is published and a bundle of the distribution's packages.

use std::fs;
use std::path::Path;

use lustre_packaging::sign::{Key, PublicKey, Secret, Signer as _, sign_package};
use lustre_repo_tests::command_line::run;
use lustre_repo_tests::http::Server;
use lustre_repo_tests::json_schema::{exact, schema};
use lustre_repository::comps::Comps;
use lustre_repository::earlier::Earlier;
use lustre_repository::layout::{Assembly, Input, assemble};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::repo_file::RepoFile;
use lustre_repository::sbom::MadeWith;
use serde_json::Value;

use super::World;

/// The package that is exchanged.
const EXCHANGED: &str = "lustre-iokit";

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_stranger_confirms_each_package_and_names_the_one_that_was_exchanged() {
    let world = World::new();
    let made = run(&mut world.command(0));
    assert_eq!(made.code, 0, "{made:?}");
    let bundle = world.base.join("rehearsal.bundle");
    let mut command = world.home.command(&["bundle", "--offline", "--output"]);
    command.arg(&bundle).env("LUSTRE_REPO_STORE", world.store());
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");

    // Served, to somebody with an empty store.
    let server = Server::start(&world.dist()).unwrap();
    let store = world.base.join("stranger");
    let key = world.dist().join("RPM-GPG-KEY-lustre-repo");
    let rebuild = |place: &str| -> (i32, String, Option<Value>) {
        let line = ["rebuild", "--json", "--package", "lustre", "--package"];
        let mut command = world.home.command(&line);
        command
            .args(["lustre-repo-release", "--public-key"])
            .arg(&key)
            .arg("--bundle")
            .arg(&bundle)
            .arg(place)
            .env("LUSTRE_REPO_STORE", &store);
        let ran = run(&mut command);
        let told: Option<Value> = serde_json::from_str(&ran.stdout).ok();
        if let Some(told) = &told {
            exact(&schema("rebuild"), told, &[]);
        }
        (ran.code, ran.stderr, told)
    };
    let (code, said, told) = rebuild(&server.url("/"));
    assert_eq!(code, 0, "{said}");
    let told = told.unwrap();
    assert_eq!(told["same"], true, "{told}");
    let left = told["not_rebuilt"].as_array().unwrap();
    for (why, name) in [("not-asked", "kernel-"), ("source", "lustre-")] {
        let is =
            |one: &&Value| one["why"] == why && one["nevra"].as_str().unwrap().starts_with(name);
        assert!(left.iter().any(|one| is(&one)), "{why}: {left:?}");
    }
    let manifest = Manifest::read(&world.dist().join(manifest::FILE)).unwrap();
    let mut wanted: Vec<&str> = manifest
        .packages
        .iter()
        .filter(|one| ["lustre", "release-package"].contains(&one.stage.as_str()))
        .map(|one| one.nevra.as_str())
        .filter(|nevra| !nevra.ends_with(".src"))
        .collect();
    wanted.sort_unstable();
    let mut packages: Vec<&str> = told["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["nevra"].as_str().unwrap())
        .collect();
    packages.sort_unstable();
    assert_eq!(packages, wanted);

    // One package is another, and all of it is signed by the same key.
    let other = world.base.join("exchanged");
    exchange(&world, &manifest, &other);
    let (code, said, told) = rebuild(other.to_str().unwrap());
    assert_eq!(code, 3, "{said}");
    let told = told.unwrap();
    let differ: Vec<&Value> = told["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["result"] != "same")
        .collect();
    assert_eq!(differ.len(), 1, "{differ:?}");
    assert_eq!(differ[0]["result"], "differs");
    let nevra = differ[0]["nevra"].as_str().unwrap();
    assert!(nevra.starts_with(EXCHANGED), "{nevra}");
    let files = differ[0]["differences"]["files"].to_string();
    assert!(files.contains("/usr/bin/backdoor"), "{files}");
}

/// Assembles the world's repository once more at `to`, with another package in place of one.
fn exchange(world: &World, manifest: &Manifest, to: &Path) {
    let from = world.dist();
    let text = Secret::new(fs::read(&world.keys[0]).unwrap());
    let key = Key::from_armored(&text, "the test", None).unwrap();
    let public_key = key.public_key_armored().unwrap();
    let created = PublicKey::parse(&public_key).unwrap().created();
    let time = u32::try_from(manifest.release_time()).unwrap();
    let folder = tempfile::tempdir_in(&world.base).unwrap();
    let packages: Vec<Input> = manifest
        .packages
        .iter()
        .map(|one| {
            let mut input = Input {
                path: from.join(&one.file),
                sha256_unsigned: one.sha256_unsigned.clone(),
                stage: one.stage.clone(),
            };
            if one.nevra.starts_with(&format!("{EXCHANGED}-")) {
                let mut parts = one.nevra.rsplitn(3, '-');
                let (release, version) = (parts.next().unwrap(), parts.next().unwrap());
                let (release, arch) = release.rsplit_once('.').unwrap();
                let mut builder =
                    rpm::PackageBuilder::new(EXCHANGED, version, "GPL-2.0-only", arch, "exchanged");
                builder
                    .using_config(rpm::BuildConfig::v4().source_date(1))
                    .release(release);
                let options = rpm::FileOptions::new("/usr/bin/backdoor");
                builder.with_file_contents("x", options).unwrap();
                let path = folder
                    .path()
                    .join(Path::new(&one.file).file_name().unwrap());
                builder.build().unwrap().write_file(&path).unwrap();
                let signed = sign_package(&path, &path, &key, time.max(created)).unwrap();
                input.sha256_unsigned = signed.unsigned_sha256;
                input.path = path;
            }
            input
        })
        .collect();
    let told = manifest.repository.as_ref().unwrap();
    let lock = fs::read_to_string(from.join(manifest::LOCK_FILE)).unwrap();
    let assembly = Assembly {
        packages: &packages,
        comps: &Comps::default(),
        repo_file: &RepoFile::new(&told.baseurl, &told.name).unwrap(),
        public_key: &public_key,
        manifest: manifest.clone(),
        base: None,
        lock: Some(&lock),
        made_with: &MadeWith::default(),
        earlier: &Earlier::default(),
        sign: &|data| Ok(key.sign_detached(data, time.max(created))?),
    };
    assemble(&assembly, to).unwrap();
}
