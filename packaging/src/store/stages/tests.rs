use std::os::fd::AsRawFd;

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    (dir, store)
}

fn make(store: &Store, content: &str) -> StageDir {
    let key = Digest::of_bytes(b"key");
    let pending = store.stages().begin("e2fsprogs", &key).unwrap();
    fs::create_dir(pending.dir().join("rpms")).unwrap();
    fs::write(pending.dir().join("rpms/a.rpm"), content).unwrap();
    fs::create_dir(pending.dir().join("root")).unwrap();
    fs::write(pending.dir().join("root/file"), "anything").unwrap();
    let record = StageRecord {
        name: "e2fsprogs".to_owned(),
        key,
        inputs: BTreeMap::from([("spec".to_owned(), "1".to_owned())]),
        outputs: pending
            .outputs(&[("root", Digest::of_bytes(b"packages"))])
            .unwrap(),
        started: 1,
        milliseconds: 2,
        log: None,
        contents: None,
        taken: None,
        compiler_cache: false,
    };
    store.stages().finish(pending, &record).unwrap()
}

#[test]
fn a_finished_stage_is_found_with_its_record() {
    let (_dir, store) = store();
    let key = Digest::of_bytes(b"key");
    assert!(store.stages().lookup("e2fsprogs", &key).is_none());
    let made = make(&store, "package");
    let found = store.stages().lookup("e2fsprogs", &key).unwrap();
    assert_eq!(found.record, made.record);
    let paths: Vec<&str> = found
        .record
        .outputs
        .iter()
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(paths, ["root", "rpms/a.rpm"]);
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    assert!(
        store
            .stages()
            .lookup("e2fsprogs", &Digest::of_bytes(b"other"))
            .is_none()
    );
}

#[test]
fn a_damaged_stage_is_not_used_and_is_replaced() {
    let (_dir, store) = store();
    let key = Digest::of_bytes(b"key");
    let first = make(&store, "package");
    fs::write(first.path.join("rpms/a.rpm"), "pack").unwrap();
    match store.stages().state("e2fsprogs", &key) {
        StageState::Damaged(why) => assert!(why.contains("rpms/a.rpm"), "{why}"),
        other => panic!("{other:?}"),
    }
    let second = make(&store, "package");
    assert_eq!(first.record.digest(), second.record.digest());
    assert!(store.stages().lookup("e2fsprogs", &key).is_some());
}

#[test]
fn of_a_stage_one_folder_is_checked_for_who_reads_no_other() {
    let (dir, made) = store();
    let key = Digest::of_bytes(b"key");
    let pending = made.stages().begin("kernel", &key).unwrap();
    for (folder, file) in [("rpms", "rpms/a.rpm"), ("rpm", "rpm/b")] {
        fs::create_dir(pending.dir().join(folder)).unwrap();
        fs::write(pending.dir().join(file), "package").unwrap();
    }
    let record = StageRecord {
        name: "kernel".to_owned(),
        key,
        inputs: BTreeMap::new(),
        outputs: pending.outputs(&[]).unwrap(),
        started: 1,
        milliseconds: 2,
        log: None,
        contents: None,
        taken: None,
        compiler_cache: false,
    };
    let stage = made.stages().finish(pending, &record).unwrap();
    // A run that did not make it itself.
    drop(made);
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    fs::write(stage.path.join("rpm/b"), "packagE").unwrap();
    store.stages().check_folder(&stage, "rpms").unwrap();
    store.stages().check(&stage).unwrap_err();
    let package = stage.path.join("rpms/a.rpm");
    let wrong = || store.stages().check_folder(&stage, "rpms").unwrap_err();
    fs::write(&package, "packagE").unwrap();
    assert_eq!(wrong(), "rpms/a.rpm differs from its record");
    fs::rename(&package, stage.path.join("rpms/c")).unwrap();
    assert_eq!(wrong(), "rpms/a.rpm is not there");
    fs::write(&package, "package").unwrap();
    assert_eq!(wrong(), "rpms/c was added");
}

#[test]
fn a_dropped_stage_leaves_nothing() {
    let (_dir, store) = store();
    let pending = store
        .stages()
        .begin("kernel", &Digest::of_bytes(b""))
        .unwrap();
    fs::write(pending.dir().join("half"), "x").unwrap();
    drop(pending);
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    assert!(store.stages().list().unwrap().is_empty());
    assert!(
        store
            .stages()
            .begin("../x", &Digest::of_bytes(b""))
            .is_err()
    );
}

#[test]
fn stages_are_listed_and_removed() {
    let (_dir, store) = store();
    make(&store, "package");
    let listed = store.stages().list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record.as_ref().unwrap().name, "e2fsprogs");
    let found = store
        .stages()
        .lookup("e2fsprogs", &Digest::of_bytes(b"key"));
    store.stages().forget(&found.unwrap()).unwrap();
    assert!(store.stages().list().unwrap().is_empty());
}

#[test]
fn what_a_run_beside_may_read_is_removed_when_that_is_over() {
    let (dir, store) = store();
    let stage = make(&store, "package");
    let reader = Store::beside(dir.path(), "a reader", &mut |_| {}).unwrap();
    let read = fs::File::open(&stage.path).unwrap();
    store.stages().forget(&stage).unwrap();
    assert!(store.stages().list().unwrap().is_empty());
    let held = format!("/proc/self/fd/{}/rpms/a.rpm", read.as_raw_fd());
    assert_eq!(fs::read_to_string(&held).unwrap(), "package");
    // Nor do others remove it, beside whom it is read.
    drop(store);
    let other = Store::open(dir.path(), "another", &mut |_| {}).unwrap();
    assert_eq!(fs::read_to_string(&held).unwrap(), "package");
    drop((reader, other));
    drop(Store::beside(dir.path(), "a third", &mut |_| {}).unwrap());
    fs::read_to_string(&held).unwrap_err();
    assert_eq!(fs::read_dir(dir.path().join("tmp")).unwrap().count(), 0);
}
