//! Which folders the tool takes for its store, and what it does to those that are none.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lustre_packaging::store::{MARK, Store};
use lustre_repo_tests::command_line::Home;
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
    // A mirror of a repository that no target names.
    fs::create_dir_all(root.join("git/old-0123456789ab.git")).unwrap();
    fs::write(root.join("git/old-0123456789ab.git/HEAD"), "x".repeat(4096)).unwrap();
    // What would go is told with its size, and stays.
    let ran = home.run(&["clean", "--all", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let line = ran.stdout.lines().find(|line| line.ends_with("  git"));
    let line = line.unwrap_or_else(|| panic!("{ran:?}"));
    let kib: u64 = line
        .trim_start()
        .split(" KiB")
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(kib >= 4, "{line}");
    assert!(ran.stderr.contains("would remove the store"), "{ran:?}");
    let stays = ["git/old-0123456789ab.git/HEAD", "logs/kernel.log"];
    assert!(
        stays.iter().all(|file| root.join(file).is_file()),
        "{ran:?}"
    );
    let ran = home.run(&["clean"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(root.join("stages/mine").is_dir(), "{ran:?}");

    let ran = home.run(&["clean", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("photos does not belong to the store"),
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

#[test]
fn nothing_outside_the_temporary_folder_is_unmounted_or_removed_through_a_mount() {
    let home = Home::new();
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let mine = home.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("file"), "stays").unwrap();
    let ran = home.run_with_mount(&mine, &home.store().join("git"), &["clean", "--all"]);
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

#[test]
fn what_is_mounted_in_a_result_that_would_go_stays_mounted_and_the_result_stays() {
    let home = Home::new();
    let store = Store::open(&home.store(), "a test", &mut |_| {}).unwrap();
    // A result that cannot be read is one that nothing needs.
    let stage = home.store().join("stages/kernel-0123456789abcdef");
    fs::create_dir_all(stage.join("RPMS")).unwrap();
    drop(store);
    let mine = home.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("file"), "stays").unwrap();
    for arguments in [&["clean"][..], &["clean", "--verify"]] {
        let ran = home.run_with_mount(&mine, &stage.join("RPMS"), arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.contains("something is mounted at") && ran.stderr.contains("RPMS`"),
            "{}",
            ran.stderr
        );
        assert!(ran.stdout.trim().ends_with("abcdef/RPMS"), "{ran:?}");
        assert_eq!(fs::read_to_string(mine.join("file")).unwrap(), "stays");
        assert!(stage.is_dir());
    }
    // Without the mount, nothing is in the way.
    assert_eq!(home.run(&["clean"]).code, 0);
    assert!(!stage.exists());
}

/// What a run that was killed while it published leaves: a tree in the making, and its note in the store.
fn killed_while_publishing(home: &Home, output: &Path) -> PathBuf {
    fs::create_dir_all(output.parent().unwrap()).unwrap();
    let left = output.with_file_name(".rehearsal.lustre-repo-aBcD01");
    fs::create_dir(&left).unwrap();
    fs::write(left.join("a.rpm"), "half of it").unwrap();
    drop(Store::open(&home.store(), "a test", &mut |_| {}).unwrap());
    let note = home.store().join("outputs/0123456789abcdef");
    fs::write(note, output.as_os_str().as_encoded_bytes()).unwrap();
    left
}

#[test]
fn what_a_killed_run_left_beside_an_output_is_found_by_every_command() {
    // Those that only look say so, and all others remove it, whatever else they come to.
    for (arguments, removes) in [
        (&["plan"][..], false),
        (&["preflight", "--offline", "--locked"], false),
        (&["clean", "--dry-run"], false),
        (&["clean", "--all", "--dry-run"], false),
        (&["clean"], true),
        (&["clean", "--verify"], true),
        (&["clean", "--all"], true),
        (&["fetch", "--offline", "--locked"], true),
        (&["build", "--offline", "--locked"], true),
        (&["lock", "--offline"], true),
    ] {
        let home = Home::new();
        let left = killed_while_publishing(&home, &home.path().join("dist/rehearsal"));
        let ran = home.run(arguments);
        assert_eq!(left.exists(), !removes, "{arguments:?}: {ran:?}");
        let said = ran.stderr.contains("a killed run left") && ran.stderr.contains("aBcD01");
        assert_eq!(said, !removes, "{arguments:?}: {ran:?}");
        let notes = fs::read_dir(home.store().join("outputs"));
        let notes = notes.map_or(0, Iterator::count);
        assert_eq!(notes, usize::from(!removes), "{arguments:?}");
    }
}

#[test]
fn the_only_word_of_what_a_killed_run_left_is_not_removed_before_that() {
    let home = Home::new();
    let output = home.path().join("dist/rehearsal");
    let left = killed_while_publishing(&home, &output);
    let mine = home.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::create_dir(left.join("mine")).unwrap();
    let ran = home.run_with_mount(&mine, &left.join("mine"), &["clean", "--all"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("something is mounted"), "{ran:?}");
    assert!(left.exists() && home.store().join("outputs/0123456789abcdef").exists());
    // Where the disk with the output is away, it is said what is to be done.
    fs::rename(home.path().join("dist"), home.path().join("away")).unwrap();
    let ran = home.run(&["clean", "--all"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let words = output.display().to_string();
    assert!(
        ran.stderr.contains(&words) && ran.stderr.contains(".rehearsal.lustre-repo-"),
        "{ran:?}"
    );
}

#[test]
fn a_dry_run_removes_nothing_and_says_what_would_go_and_how_large_it_is() {
    let home = Home::new();
    let root = home.store();
    drop(Store::open(&root, "a test", &mut |_| {}).unwrap());
    // What cannot be read, half of a download that nothing pins, and the log of a result that is gone.
    let stage = root.join("stages/kernel-0123456789abcdef");
    fs::create_dir(&stage).unwrap();
    fs::write(stage.join("out"), vec![1; 3 << 20]).unwrap();
    fs::write(root.join("partial").join("ab".repeat(32)), vec![1; 2 << 20]).unwrap();
    fs::write(root.join("logs/lustre-0123456789abcdef.log"), "x").unwrap();
    let before = snapshot(&root);
    for (arguments, listed) in [
        (
            &["clean", "--dry-run"][..],
            &[
                "3 MiB  stages/kernel-0123456789abcdef",
                "2 MiB  partial/abab",
                "KiB  logs/lustre-0123456789abcdef.log",
            ][..],
        ),
        (
            &["clean", "--all", "--dry-run"],
            &["3 MiB  stages", "2 MiB  partial"],
        ),
    ] {
        let ran = home.run(arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
        for words in listed {
            assert!(ran.stdout.contains(words), "{words}: {ran:?}");
        }
        assert!(
            ran.stderr.contains("would remove") && ran.stderr.contains("5 MiB"),
            "{ran:?}"
        );
        assert_eq!(snapshot(&root), before, "{arguments:?}");
    }
    let ran = home.run(&["clean"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!stage.exists() && ran.stderr.contains("5 MiB"), "{ran:?}");
}
