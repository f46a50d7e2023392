//! What `build --output` writes, killed at any moment.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use lustre_packaging::built::{BuildOutput, INDEX};
use lustre_repo_tests::chance::Chance;
use lustre_repo_tests::command_line::run;

use super::{World, wait_at_most};

/// How often a run is killed.
const KILLS: u32 = 20;

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn killed_at_any_moment_what_was_built_is_whole_and_the_next_run_ends_with_the_same_bytes() {
    let world = World::new();
    let folder = world.base.join("out");
    fs::create_dir(&folder).unwrap();
    let out = folder.join("unsigned");
    // Not of this run, whatever it is called.
    let mine = folder.join(".unsigned.part");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("notes"), "mine").unwrap();
    let build = || -> Command {
        let mut command = world.home.command(&["build", "--offline", "--output"]);
        command.arg(&out).env("LUSTRE_REPO_STORE", world.store());
        command
    };
    let whole = || {
        let built = BuildOutput::open(&out).unwrap();
        built.check().unwrap();
        *built.sha256()
    };
    let ran = run(&mut build());
    assert_eq!(ran.code, 0, "{ran:?}");
    let wanted = whole();
    let clock = Instant::now();
    let ran = run(&mut build());
    let mut took = clock.elapsed();
    assert_eq!((ran.code, whole()), (0, wanted), "{ran:?}");
    let mut chance = Chance::new(u64::from(std::process::id()));
    let (mut killed, mut left) = (0, 0);
    for attempt in 0.. {
        if killed == KILLS {
            break;
        }
        assert!(
            attempt < 3 * KILLS,
            "of {attempt} runs, {killed} were killed"
        );
        // Changed by hand, it is replaced as well.
        fs::write(out.join("kernel-root/packages.txt"), "changed").unwrap();
        let mut command = build();
        let child = command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = child.spawn().unwrap();
        let has_ended = wait_at_most(&mut child, took.mul_f64(0.5 + chance.next() * 0.55));
        if !has_ended {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        // The earlier one or the new one, with all that its index lists.
        assert!(out.join(INDEX).exists(), "attempt {attempt}");
        let names = fs::read_dir(&folder).unwrap().count();
        left += u32::from(names > 2);
        // A machine that is busier, or less, than in the first run is killed later, or earlier.
        took = match (has_ended, names > 2) {
            (true, _) => took.mul_f64(0.9),
            (false, true) => took,
            (false, false) => took.mul_f64(1.05),
        };
    }
    assert!(left > 0, "no run was killed while it wrote");
    let ran = run(&mut build());
    assert_eq!((ran.code, whole()), (0, wanted), "{ran:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    assert_eq!(fs::read_to_string(mine.join("notes")).unwrap(), "mine");
}
