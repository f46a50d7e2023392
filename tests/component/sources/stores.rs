//! Several runs on one store, runs that are killed, and disks that are full.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lustre_packaging::store::{Digest, Store};

use super::tools::{Place, Repository};

fn run(mode: &str, store: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_store-run"))
        .arg(mode)
        .arg(store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn lines(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
}

#[test]
fn a_second_run_waits_and_names_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = run("hold", dir.path());
    let mut said = lines(&mut first);
    assert_eq!(said.next().unwrap(), "holds");
    let mut second = run("hold", dir.path());
    let mut heard = lines(&mut second);
    let waits = heard.next().unwrap();
    let name = format!("waits for `store-run hold` (process {}, ", first.id());
    assert!(waits.starts_with(&name), "{waits}");
    drop(first.stdin.take());
    assert!(first.wait().unwrap().success());
    // Told once, then it goes on.
    assert_eq!(heard.next().unwrap(), "holds");
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());
    assert_eq!(heard.next(), None);
}

#[test]
fn nobody_waits_for_a_run_that_was_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = run("hold", dir.path());
    assert_eq!(lines(&mut first).next().unwrap(), "holds");
    first.kill().unwrap();
    first.wait().unwrap();
    let text = fs::read_to_string(dir.path().join("store.lock")).unwrap();
    assert!(text.contains("store-run hold"), "{text}");
    Store::open(dir.path(), "a test", &mut |holder| {
        panic!("waits for {holder}")
    })
    .unwrap();
}

#[test]
fn a_killed_stage_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = run("stage", dir.path());
    assert_eq!(lines(&mut child).next().unwrap(), "in the stage");
    child.kill().unwrap();
    child.wait().unwrap();
    // It was there, half made: the run's folder, and the file that says whose it is.
    let left: Vec<_> = fs::read_dir(dir.path().join("tmp")).unwrap().collect();
    assert_eq!(left.len(), 2);
    let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
    assert_eq!(fs::read_dir(store.tmp_dir()).unwrap().count(), 0);
    let own: Vec<_> = fs::read_dir(dir.path().join("tmp")).unwrap().collect();
    assert_eq!(own.len(), 2, "{own:?}");
    assert!(store.stages().list().unwrap().is_empty());
    assert!(
        store
            .stages()
            .lookup("kernel", &Digest::of_bytes(b"key"))
            .is_none()
    );
}

#[test]
fn what_is_mounted_in_tmp_is_unmounted_and_not_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "stays").unwrap();
    let root = dir.path().join("store");
    drop(Store::open(&root, "a test", &mut |_| {}).unwrap());
    let mount = root.join("tmp/left here");
    fs::create_dir_all(&mount).unwrap();
    // In a mount namespace of its own, so that nothing is left mounted here whatever happens.
    let script = "mount --bind \"$1\" \"$2\" && exec \"$3\" hold \"$4\"";
    let done = namespace()
        .args(["sh", "-c", script, "sh"])
        .args([&outside, &mount])
        .arg(env!("CARGO_BIN_EXE_store-run"))
        .arg(&root)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "stays");
    assert_eq!(fs::read_dir(root.join("tmp")).unwrap().count(), 0);
}

#[test]
fn what_an_interruption_keeps_from_being_read_is_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let said = || {
        let done = Command::new(env!("CARGO_BIN_EXE_store-run"))
            .args(["interrupted", dir.path().join("store").to_str().unwrap()])
            .output()
            .unwrap();
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{why}");
        String::from_utf8(done.stdout).unwrap()
    };
    assert_eq!(said(), "made\n1 stages\n");
    let kept = "interrupted; finished stages are kept: run the same command to continue";
    assert_eq!(said(), format!("{kept}\ninterrupted\n1 stages\n"));
}

#[test]
fn a_full_disk_is_told_as_such_and_nothing_half_written_stays() {
    let dir = tempfile::tempdir().unwrap();
    let big = dir.path().join("in");
    fs::create_dir(&big).unwrap();
    // Does not compress: a full disk has to be met when it is packed, too.
    let mut noise = Vec::new();
    fs::File::open("/dev/urandom")
        .unwrap()
        .take(3 << 20)
        .read_to_end(&mut noise)
        .unwrap();
    let file = dir.path().join("noise");
    fs::create_dir(&file).unwrap();
    fs::write(file.join("data"), &noise).unwrap();
    let tar = big.join("big.tar");
    let packed = Command::new("tar")
        .arg("-C")
        .arg(&file)
        .arg("-cf")
        .arg(&tar)
        .arg("data")
        .status();
    assert!(packed.unwrap().success());

    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let script = "mount -t tmpfs -o size=1m none \"$1\" && exec \"$2\" full \"$1/store\" \"$3\"";
    let done = namespace()
        .args(["sh", "-c", script, "sh"])
        .arg(&small)
        .arg(env!("CARGO_BIN_EXE_store-run"))
        .arg(&tar)
        .output()
        .unwrap();
    let said = String::from_utf8(done.stdout).unwrap();
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}{why}");
    for what in ["insert", "finish", "unpack", "pack", "download"] {
        let find = |start: &str| said.lines().filter(|line| line.starts_with(start)).count();
        let error = said
            .lines()
            .find(|line| line.starts_with(&format!("{what}: ")))
            .unwrap();
        assert!(error.contains("no room left to write "), "{error}");
        assert!(error.contains("small/store/"), "{error}");
        assert_eq!(find(&format!("{what} leaves 0")), 2, "{said}");
    }
}

/// git says so itself, in the middle of other words; what it takes to go on is said by us.
#[test]
fn a_disk_that_is_full_when_git_fetches_is_told_as_such() {
    let place = Place::new();
    let upstream = Repository::new(place.path("upstream"));
    let mut noise = Vec::new();
    fs::File::open("/dev/urandom")
        .unwrap()
        .take(3 << 20)
        .read_to_end(&mut noise)
        .unwrap();
    fs::write(upstream.0.join("noise"), &noise).unwrap();
    let commit = upstream.commit(&[("README", "x\n")]);
    let url = format!("file://{}", upstream.0.display());
    // The second has no room for an empty repository.
    for (size, blocks) in [("size=1m", "1 MiB"), ("nr_inodes=24", "free inodes")] {
        let small = place.path("small");
        let _ = fs::create_dir(&small);
        let script =
            "mount -t tmpfs -o \"$5\" none \"$1\" && exec \"$2\" git \"$1/store\" \"$3\" \"$4\"";
        let done = namespace()
            .args(["sh", "-c", script, "sh"])
            .arg(&small)
            .arg(env!("CARGO_BIN_EXE_store-run"))
            .args([&url, &commit, size])
            .output()
            .unwrap();
        let said = String::from_utf8(done.stdout).unwrap();
        let why = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{size}: {said}{why}");
        for words in ["the disk", "full", blocks, "small", "make room", "--store"] {
            assert!(said.contains(words), "{size}: {words}: {said}");
        }
    }
}

/// `unshare` into a mount namespace, with a user namespace where that is needed for it.
fn namespace() -> Command {
    let root = fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Uid:") && line.split('\t').nth(2) == Some("0"));
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    command
}
