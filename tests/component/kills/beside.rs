//! A repository is verified while another run builds in the store.

use std::time::Duration;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{project, run};

use super::{World, change, first, flip};

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn a_repository_is_verified_whole_beside_a_run_that_builds() {
    let world = World::new();
    world.repo(0);
    let key = world.dist().join("RPM-GPG-KEY-lustre-repo");
    let held = Store::open(&world.store(), "a run that builds", &mut |_| {}).unwrap();
    let mut command = world.home.command(&["verify", "--json", "--public-key"]);
    command
        .arg(&key)
        .arg(world.dist())
        .env("LUSTRE_REPO_STORE", world.store());
    // A run that waited would wait for the test, for ever.
    let ran = std::thread::scope(|scope| {
        let verifies = scope.spawn(|| run(&mut command));
        for _ in 0..600 {
            if verifies.is_finished() {
                break;
            }
            std::thread::sleep(Duration::from_secs(1));
        }
        drop(held);
        verifies.join().unwrap()
    });
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("waiting"), "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    // The packages were installed, too.
    for name in ["package-signatures", "repoclosure", "install-everything"] {
        let one = checks.iter().find(|one| one["name"] == name).unwrap();
        assert_eq!(one["result"], "pass", "{one}");
    }
}

/// What a repository is held against is in the store, too, and so are its sources, which nobody looks for until they are needed.
#[test]
#[ignore = "needs the store of the built rehearsal, network, and minutes: a step of .ci/run"]
fn a_damaged_distribution_is_noticed_by_static_checks_and_made_again_by_the_others() {
    let world = World::new();
    world.repo(0);
    let key = world.dist().join("RPM-GPG-KEY-lustre-repo");
    let verify = |arguments: &[&str]| {
        let mut command = world.home.command(&["verify", "--public-key"]);
        command
            .arg(&key)
            .args(arguments)
            .arg(world.dist())
            .env("LUSTRE_REPO_STORE", world.store());
        run(&mut command)
    };
    let held = verify(&["--static"]);
    assert_eq!(held.code, 0, "{held:?}");
    assert!(!held.stderr.contains("file-conflicts"), "{held:?}");

    for stage in world.stages("distribution") {
        change(&first(&stage.join("base/Packages"), ".rpm"), |bytes| {
            flip(bytes)
        });
    }
    let lock = std::fs::read_to_string(project().join("specs/locks/rehearsal.toml")).unwrap();
    let lock: toml::Table = lock.parse().unwrap();
    let sha256 = lock["package"][0]["sha256"].as_str().unwrap();
    let source = first(&world.store().join("files"), sha256);
    std::fs::remove_file(&source).unwrap();
    let damaged = verify(&["--static"]);
    assert_eq!(damaged.code, 1, "{damaged:?}");
    assert!(damaged.stderr.contains(" is damaged ("), "{damaged:?}");

    let mended = verify(&[]);
    assert_eq!(mended.code, 0, "{mended:?}");
    assert!(
        mended.stderr.contains("done    distribution in "),
        "{mended:?}"
    );
    assert!(source.exists());

    world.forget(&["distribution"]);
    let without = verify(&["--static", "--quiet"]);
    assert_eq!(without.code, 0, "{without:?}");
    for check in [
        "closure",
        "kernel-symbols",
        "base-upgrade",
        "file-conflicts",
        "newer-than-base",
    ] {
        assert!(without.stderr.contains(check), "{check}: {without:?}");
    }
}
