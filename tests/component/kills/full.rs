//! A disk that has no room for the repository, although it had when the run began: it is out of inodes.

use std::fs;

use lustre_repo_tests::command_line::{namespaces, run};

use super::World;

#[test]
#[ignore = "needs the store of the built rehearsal: a step of .ci/run"]
fn a_repository_that_has_no_room_is_told_so_and_nothing_of_it_stays() {
    let world = World::new();
    let place = world.base.join("small");
    fs::create_dir_all(&place).unwrap();
    let left = world.base.join("left");
    // What is left is looked at before the file system goes with its namespace.
    let script = "mount -t tmpfs -o size=2g,nr_inodes=20 none \"$1\" || exit 99; place=$1; left=$2; shift 2; \"$@\"; code=$?; \
        ls -A \"$place\" >\"$left\"; exit $code";
    let mut command = namespaces(&["--mount"]);
    command
        .args(["sh", "-c", script, "sh"])
        .args([&place, &left]);
    let tool = world.command_to(0, &place.join("dist"));
    command.arg(tool.get_program()).args(tool.get_args());
    world.home.prepare(&mut command);
    command.env("LUSTRE_REPO_STORE", world.store());
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["the disk is full", "small"] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(&left).unwrap(), "", "{}", ran.stderr);

    // With room, nothing of it is in the way.
    world.repo(0);
}
