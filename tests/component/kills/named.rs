//! What folders are called changes nothing of what is made in them.

use std::fs;

use super::{CHEAP, World};

/// Everything that means something to a shell, a pattern, a URL, a list, an option or a macro; and what would run a program, were it
/// one of rpm's.
const NAME: &str = "-odd a,b;c:d%20%%%{e}%(f)#g?h$i'j`k[l]{m,n}*~&(o)!|<p>^=@\\q\u{e9}";

/// The stages that read what is in other folders or make roots, and take seconds.
const READING: [&str; 12] = [
    "preflight",
    "preflight-files",
    "preflight-lustre",
    "distribution",
    "bootstrap",
    "install-root",
    "e2fsprogs-srpm",
    "e2fsprogs-root",
    "kernel-sources",
    "kernel-srpm",
    "kernel-root",
    "lustre-srpm",
];

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn whatever_the_folders_of_store_and_repository_are_called_the_bytes_are_the_same() {
    let mut world = World::new();
    world.repo(0);
    let wanted = world.repository();
    let odd = world.base.with_file_name(NAME);
    fs::rename(&world.base, &odd).unwrap();
    world.base = odd;
    fs::remove_dir_all(world.dist()).unwrap();
    world.forget(&CHEAP);
    world.forget(&READING);
    let ran = world.repo(0);
    for stage in READING.iter().chain(&CHEAP) {
        let line = format!("done    {stage} in ");
        assert!(ran.stderr.contains(&line), "{stage}: {}", ran.stderr);
    }
    // What takes long was made of the same, and so is there.
    for stage in ["e2fsprogs", "kernel", "lustre"] {
        let line = format!("start   {stage}, ");
        assert!(!ran.stderr.contains(&line), "{stage}: {}", ran.stderr);
    }
    assert_eq!(world.repository(), wanted);
}
