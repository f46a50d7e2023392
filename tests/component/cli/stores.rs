//! Which folders the tool takes for its store, and what it does to those that are none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use lustre_packaging::store::{MARK, Store};
use lustre_repo_tests::command_line::{Home, program, run};
use walkdir::WalkDir;

/// Every name below a folder, with what the files hold.
fn snapshot(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all: Vec<_> = WalkDir::new(folder)
        .into_iter()
        .map(|item| {
            let item = item.unwrap();
            let content = fs::read(item.path()).unwrap_or_default();
            (item.path().display().to_string(), content)
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_folder_of_somebody_else_is_no_store_and_is_left_alone() {
    let home = Home::new();
    let mine = home.path().join("mine");
    fs::create_dir_all(mine.join("tmp/mine")).unwrap();
    fs::create_dir_all(mine.join("docs")).unwrap();
    fs::write(mine.join("docs/b"), "x").unwrap();
    let before = snapshot(&mine);
    let store = mine.to_str().unwrap();
    for arguments in [
        &["plan"][..],
        &["fetch", "--offline"],
        &["repo", "--offline"],
        &["preflight", "--offline"],
        &["lock"],
        &["clean"],
        &["clean", "--all"],
    ] {
        let ran = home.run(&[arguments, &["--store", store]].concat());
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert!(
            ran.stderr.contains(store) && ran.stderr.contains(MARK),
            "{arguments:?}: {}",
            ran.stderr
        );
        assert_eq!(snapshot(&mine), before, "{arguments:?}");
    }
}

#[test]
fn only_what_a_store_is_made_of_is_ever_removed_of_it() {
    let home = Home::new();
    let root = home.store();
    drop(Store::open(&root, "a test", &mut |_| {}).unwrap());
    fs::write(root.join("logs/kernel.log"), "x").unwrap();
    fs::create_dir(root.join("photos")).unwrap();
    fs::write(root.join("photos/one"), "mine").unwrap();
    fs::create_dir_all(root.join("stages/mine")).unwrap();
    let ran = home.run(&["clean"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(root.join("stages/mine").is_dir(), "{ran:?}");

    let ran = home.run(&["clean", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("photos is not the store's"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(root.join("photos/one")).unwrap(), "mine");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    // What is left is no store.
    assert_eq!(home.run(&["clean"]).code, 2);
}

#[test]
fn a_store_that_is_a_link_stays_a_link() {
    let home = Home::new();
    let disk = home.path().join("disk");
    fs::create_dir(&disk).unwrap();
    symlink(&disk, home.store()).unwrap();
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let ran = home.run(&["clean", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_link(home.store()).unwrap(), disk);
    assert_eq!(fs::read_dir(&disk).unwrap().count(), 0);

    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    fs::remove_file(home.store()).unwrap();
    let ran = home.run(&["clean", "--all", "--store", disk.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!disk.exists());
}

#[test]
fn a_temporary_folder_that_is_a_link_is_not_emptied() {
    let home = Home::new();
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let mine = home.path().join("mine");
    fs::create_dir_all(mine.join("a")).unwrap();
    let tmp = home.store().join("tmp");
    fs::remove_dir(&tmp).unwrap();
    symlink(&mine, &tmp).unwrap();
    let ran = home.run(&["clean"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("is a link"), "{}", ran.stderr);
    assert!(mine.join("a").is_dir());
}

/// In a mount namespace of its own, so that nothing stays mounted here whatever happens.
#[test]
fn nothing_outside_the_temporary_folder_is_unmounted_or_removed_through_a_mount() {
    let home = Home::new();
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let mine = home.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("file"), "stays").unwrap();
    let script = "mount --bind \"$1\" \"$2\" && { \"$3\" clean --all; code=$?; findmnt -no TARGET \"$2\"; exit $code; }";
    let is_root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !is_root {
        command.args(["--user", "--map-root-user"]);
    }
    command
        .args(["sh", "-c", script, "sh"])
        .args([&mine, &home.store().join("git")])
        .arg(program());
    home.prepare(&mut command);
    let ran = run(&mut command);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("something is mounted at") && ran.stderr.contains("umount"),
        "{}",
        ran.stderr
    );
    assert!(ran.stdout.trim().ends_with("store/git"), "{ran:?}");
    assert_eq!(fs::read_to_string(mine.join("file")).unwrap(), "stays");
    // Nothing else was removed before that was noticed.
    assert!(home.store().join("logs").is_dir());
}
