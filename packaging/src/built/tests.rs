//! What was built, as it is, and as somebody who means harm would have it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;
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
    let [one, two] = ["one", "two"].map(|name| Built::open(&world.at(name)).unwrap());
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
        let error = Built::open(&at).and_then(|built| built.check());
        let error = error.unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    // What an index of somebody else's has.
    let index = Built::open(&world.at("good")).unwrap().index().clone();
    let mut twice = index.clone();
    let files = twice.stages.get_mut("kernel").unwrap();
    files.push(files[0].clone());
    fs::write(world.at("good").join(INDEX), twice.to_json().unwrap()).unwrap();
    let error = Built::open(&world.at("good")).unwrap_err().to_string();
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
        let error = Built::open(&world.at("good")).unwrap_err().to_string();
        assert!(error.contains(words), "{to}: {error}");
    }
}

#[test]
fn a_folder_of_somebody_else_stays_as_it_is() {
    let world = World::new();
    for name in ["photos", "empty"] {
        fs::create_dir(world.at(name)).unwrap();
    }
    fs::write(world.at("photos/a.jpg"), "x").unwrap();
    fs::write(world.at("file"), "x").unwrap();
    std::os::unix::fs::symlink(world.at("empty"), world.at("link")).unwrap();
    for name in ["photos", "file", "link"] {
        let error = world.write(name, "kernel").unwrap_err();
        assert!(matches!(error, Error::Taken { .. }), "{name}: {error}");
    }
    assert_eq!(content(&world.at("photos")).len(), 1);
    world.write("empty", "kernel").unwrap();
    // What a killed run left.
    fs::create_dir(world.at(".empty.part")).unwrap();
    fs::write(world.at(".empty.part/x"), "x").unwrap();
    world.write("empty", "kernel").unwrap();
    assert!(!world.at(".empty.part").exists());
    Built::open(&world.at("empty")).unwrap().check().unwrap();
}
