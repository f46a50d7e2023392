//! A repository is verified while another run builds in the store.

use std::time::Duration;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::run;

use super::World;

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
