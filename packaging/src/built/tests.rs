//! What was built, as it is, and as somebody who means harm would have it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::json_index::JsonIndex as _;
use crate::store::{Digest, StageDir, StageRecord, Store};

struct World {
    dir: tempfile::TempDir,
    store: Store,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        Self { dir, store }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A finished stage with these files; a folder `root` of one that has a list of packages is recorded as one.
    fn stage(&self, name: &str, files: &[(&str, &str)]) -> StageDir {
        let key = Digest::of_bytes(format!("{name} {files:?}").as_bytes());
        let pending = self.store.stages().begin(name, &key).unwrap();
        let mut whole = Vec::new();
        for (path, content) in files {
            let path = pending.dir().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
        }
        if pending.dir().join("root").is_dir() {
            whole.push(("root", Digest::of_bytes(b"list")));
        }
        let record = StageRecord {
            name: name.to_owned(),
            key,
            inputs: BTreeMap::new(),
            outputs: pending.outputs(&whole).unwrap(),
            started: 0,
            milliseconds: 0,
            log: None,
            contents: None,
            taken: None,
            compiler_cache: false,
        };
        self.store.stages().finish(pending, &record).unwrap()
    }

    fn write(&self, name: &str, kernel: &str) -> Result<Digest, Error> {
        let stages = [
            self.stage("kernel", &[("RPMS/kernel-1~rc1.rpm", kernel)]),
            self.stage(
                "kernel-root",
                &[("packages.txt", "bash\n"), ("root/bin/sh", "large")],
            ),
        ];
        let stages: BTreeMap<String, &StageDir> = stages
            .iter()
            .map(|stage| (stage.record.name.clone(), stage))
            .collect();
        write(&self.at(name), made_of(), &stages)
    }
}

fn made_of() -> MadeOf {
    MadeOf {
        tool: "1".to_owned(),
        code: "2".to_owned(),
        target: "site".to_owned(),
        target_sha256: Digest::of_bytes(b"target"),
        lock_sha256: "3".to_owned(),
        sources_sha256: "4".to_owned(),
        specs: BTreeMap::from([("a.toml".to_owned(), Digest::of_bytes(b"a"))]),
    }
}

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter();
    files
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let below = entry.path().strip_prefix(folder).unwrap();
            (below.display().to_string(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_same_packages_are_the_same_bytes_and_others_are_named() {
    let world = World::new();
    let digest = world.write("one", "kernel").unwrap();
    assert_eq!(world.write("two", "kernel").unwrap(), digest);
    assert_eq!(content(&world.at("one")), content(&world.at("two")));
    let names: Vec<String> = content(&world.at("one")).into_keys().collect();
    assert_eq!(
        names,
        [
            INDEX,
            "kernel-root/packages.txt",
            "kernel/RPMS/kernel-1~rc1.rpm"
        ]
    );
    // In place of an earlier one.
    let other = world.write("two", "kernal").unwrap();
    assert_ne!(other, digest);
    let [one, two] = ["one", "two"].map(|name| BuildOutput::open(&world.at(name)).unwrap());
    for built in [&one, &two] {
        built.check().unwrap();
    }
    assert_eq!(one.sha256(), &digest);
    assert_eq!(differences(one.index(), one.index()), [] as [&str; 0]);
    assert_eq!(
        differences(one.index(), two.index()),
        ["kernel/RPMS/kernel-1~rc1.rpm differs"]
    );
    let mut third = two.index().clone();
    third.made_of.lock_sha256 = "5".to_owned();
    third.made_of.specs = BTreeMap::new();
    third.stages.remove("kernel");
    third.stages.get_mut("kernel-root").unwrap()[0].path = "more.txt".to_owned();
    assert_eq!(
        differences(one.index(), &third),
        [
            "built of another lock",
            "built of another specs/a.toml",
            "kernel-root/packages.txt is only in the first build",
            "kernel/RPMS/kernel-1~rc1.rpm is only in the first build",
            "kernel-root/more.txt is only in the second build",
        ]
    );
    let to = world.at("taken");
    one.take("kernel", &to).unwrap();
    assert_eq!(
        fs::read(to.join("RPMS/kernel-1~rc1.rpm")).unwrap(),
        b"kernel"
    );
    let error = one.take("lustre", &to).unwrap_err().to_string();
    assert!(error.contains("`lustre`"), "{error}");
}

#[test]
fn what_is_not_as_it_is_listed_is_refused() {
    let world = World::new();
    world.write("good", "kernel").unwrap();
    let package = "kernel/RPMS/kernel-1~rc1.rpm";
    type Change = fn(&Path, &str);
    let changes: [(Change, &str); 6] = [
        (
            |at, package| fs::remove_file(at.join(package)).unwrap(),
            "it is not there",
        ),
        (
            |at, package| fs::write(at.join(package), "longer than it was").unwrap(),
            "18 bytes",
        ),
        (
            |at, package| fs::write(at.join(package), "kernal").unwrap(),
            "sha256",
        ),
        (
            |at, _| fs::write(at.join("kernel/more"), "").unwrap(),
            "does not list it",
        ),
        (
            |at, package| {
                fs::remove_file(at.join(package)).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", at.join(package)).unwrap();
            },
            "it is no file",
        ),
        (
            |at, _| {
                let text = fs::read_to_string(at.join(INDEX)).unwrap();
                fs::write(at.join(INDEX), text.replace("  ", " ")).unwrap();
            },
            "not written as this tool writes it",
        ),
    ];
    for (change, words) in changes {
        let at = world.at("changed");
        let _ = fs::remove_dir_all(&at);
        world.write("changed", "kernel").unwrap();
        change(&at, package);
        let error = BuildOutput::open(&at).and_then(|built| built.check());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    // What an index of somebody else's has.
    let index = BuildOutput::open(&world.at("good"))
        .unwrap()
        .index()
        .clone();
    let mut twice = index.clone();
    let files = twice.stages.get_mut("kernel").unwrap();
    files.push(files[0].clone());
    fs::write(world.at("good").join(INDEX), twice.to_json().unwrap()).unwrap();
    let error = BuildOutput::open(&world.at("good"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("there twice"), "{error}");
    fs::write(world.at("good").join(INDEX), index.to_json().unwrap()).unwrap();
    let good = fs::read_to_string(world.at("good").join(INDEX)).unwrap();
    for (from, to, words) in [
        (
            "RPMS/kernel-1~rc1.rpm",
            "../../evil",
            "no path of what a stage puts out",
        ),
        (
            "\"kernel\"",
            "\"../kernel\"",
            "no path of what a stage puts out",
        ),
        (
            "RPMS/kernel-1~rc1.rpm",
            "/etc/passwd",
            "no path of what a stage puts out",
        ),
        (
            "\"size\": 6",
            "\"size\": 99999999999999",
            "no package is that large",
        ),
        ("\"version\": 1", "\"version\": 2", "has the version 2"),
        ("lustre-repo build", "lustre-repo bundle", "its format is"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(world.at("good").join(INDEX), good.replace(from, to)).unwrap();
        let error = BuildOutput::open(&world.at("good"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(words), "{to}: {error}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_of_somebody_else_stays_as_it_is() {
    let world = World::new();
    for name in ["photos", "empty", "other"] {
        fs::create_dir(world.at(name)).unwrap();
    }
    fs::write(world.at("photos/a.jpg"), "x").unwrap();
    fs::write(world.at("other").join(INDEX), "{}").unwrap();
    fs::write(world.at("file"), "x").unwrap();
    std::os::unix::fs::symlink(world.at("empty"), world.at("link")).unwrap();
    for (name, words) in [
        ("photos", "it has no build.json"),
        ("other", "missing field"),
        ("file", "it is no folder"),
        ("link", "it is a link"),
    ] {
        let error = world.write(name, "kernel").unwrap_err().to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    assert_eq!(content(&world.at("photos")).len(), 1);
    world.write("empty", "kernel").unwrap();
    // What is beside it is somebody's, whatever it is called; what a killed run left has a name that nobody gives.
    let mine = [
        ".empty.part",
        ".empty.new-backup",
        ".empty.lustre-repo-mine",
    ];
    let left = world.at(".empty.lustre-repo-dEad00");
    for name in mine {
        fs::create_dir(world.at(name)).unwrap();
        fs::write(world.at(name).join("notes"), "mine").unwrap();
    }
    fs::create_dir(&left).unwrap();
    world.write("empty", "kernel").unwrap();
    for name in mine {
        assert_eq!(
            fs::read_to_string(world.at(name).join("notes")).unwrap(),
            "mine"
        );
    }
    assert!(!left.exists());
    BuildOutput::open(&world.at("empty"))
        .unwrap()
        .check()
        .unwrap();
}

/// What was begun, killed, or damaged by hand is no obstacle, and what somebody put there is.
#[test]
fn what_is_its_own_is_replaced_however_it_is_and_the_rest_is_named() {
    let world = World::new();
    let package = "kernel/RPMS/kernel-1~rc1.rpm";
    let index = world.write("out", "kernel").unwrap();
    let damages: [fn(&Path, &str); 3] = [
        |at, _| fs::write(at.join("kernel-root/packages.txt"), "changed").unwrap(),
        |at, package| fs::remove_file(at.join(package)).unwrap(),
        |at, _| fs::remove_dir_all(at.join("kernel")).unwrap(),
    ];
    for damage in damages {
        damage(&world.at("out"), package);
        assert_eq!(world.write("out", "kernel").unwrap(), index);
        BuildOutput::open(&world.at("out"))
            .unwrap()
            .check()
            .unwrap();
    }
    // Killed between the two renames of a file system that has no exchange; or while the old one is removed, with nothing left of its index.
    let old = world.at(".out.lustre-repo-dEad00.old");
    fs::rename(world.at("out"), &old).unwrap();
    world.write("out", "kernal").unwrap();
    fs::create_dir(&old).unwrap();
    fs::write(old.join("part"), "").unwrap();
    world.write("out", "kernel").unwrap();
    assert_eq!(names(world.dir.path()), ["out", "store"]);
    // Somebody's.
    for name in ["NOTES", "kernel/RPMS/mine.rpm", "mine/deep"] {
        let mine = world.at("out").join(name);
        fs::create_dir_all(mine.parent().unwrap()).unwrap();
        fs::write(mine, "mine").unwrap();
    }
    let error = world.write("out", "kernel").unwrap_err().to_string();
    for part in ["(3): NOTES, kernel/RPMS/mine.rpm, mine/", "move them away"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(content(&world.at("out")).len(), 6);
    let error = world
        .write("out/mine/sub", "kernel")
        .unwrap_err()
        .to_string();
    assert!(error.contains("it is inside"), "{error}");
    assert_eq!(around(&world.at("out")), None);
}

/// On a disk of its own, and a mount point.
#[test]
fn a_disk_without_room_and_a_mount_point_are_told_before_anything_is_copied() {
    const PLACE: &str = "LUSTRE_REPO_TEST_DISK";
    let Some(place) = std::env::var_os(PLACE) else {
        let dir = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let script = "mount -t tmpfs -o size=256k none \"$1\" && shift && exec \"$@\"";
        command.args(["sh", "-c", script, "sh"]).arg(dir.path());
        command.arg(std::env::current_exe().unwrap());
        let name = "built::tests::a_disk_without_room_and_a_mount_point_are_told_before_anything_is_copied";
        let ran = command.args(["--exact", name]).env(PLACE, dir.path());
        let ran = ran.output().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{ran:?}");
        return;
    };
    let (world, disk) = (World::new(), PathBuf::from(place));
    let large = "x".repeat(1 << 20);
    let shown = disk.display().to_string();
    let out = disk.join("out");
    let error = world.write(out.to_str().unwrap(), &large).unwrap_err();
    assert!(matches!(error, Error::Room(_)), "{error}");
    let error = error.to_string();
    for part in [&shown, "takes 2 MiB", "--output"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    assert!(!error.contains("--store"), "{error}");
    let error = world.write(&shown, "kernel").unwrap_err().to_string();
    assert!(error.contains("something is mounted there"), "{error}");
    assert_eq!(names(&disk), [] as [&str; 0]);
    world.write(out.to_str().unwrap(), "kernel").unwrap();
    BuildOutput::open(&out).unwrap().check().unwrap();
}
