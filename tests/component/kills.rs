//! What the store and a published repository are worth: runs that are killed at any moment, and files that change under the tool.
//!
//! They work on a copy of the store in which the target `rehearsal` was built, and take minutes: `.ci/run` runs them behind its step
//! `repository`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lustre_packaging::process;
use lustre_packaging::store::{Entry, Store, list_tree};
use lustre_repo_tests::chance::Chance;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::secret_search::SecretParts;
use lustre_repository::{proof, sums};

mod beside;
mod builds;
mod bundles;
mod full;
mod named;
mod paths;
mod rebuilt;
mod releases;
mod second;
mod site;
mod workflow;

/// How often a run is killed.
const KILLS: u32 = 50;

/// The stages behind the builds, which take seconds.
const CHEAP: [&str; 5] = ["release-package", "sign", "assemble", "prove", "finish"];

/// A copy of the user's store, a key of each of two sites, and a place to publish at.
pub(crate) struct World {
    pub(crate) home: Home,
    /// Where all of it but the home and the keys is.
    pub(crate) base: PathBuf,
    _folder: tempfile::TempDir,
    keys: [PathBuf; 2],
}

impl World {
    pub(crate) fn new() -> Self {
        let home = Home::new();
        let users = std::env::var_os("LUSTRE_REPO_STORE").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache/lustre-repo"),
            PathBuf::from,
        );
        // On the same file system: what never changes is linked.
        let folder = tempfile::tempdir_in(users.parent().unwrap()).unwrap();
        let base = folder.path().join("plain");
        let store = base.join("store");
        drop(Store::open(&store, "a test", &mut |_| {}).unwrap());
        for part in ["files", "stages"] {
            let mut command = process::command("cp");
            command
                .args(["--archive", "--link"])
                .arg(users.join(part))
                .arg(&store);
            process::output(&mut command).unwrap();
        }
        let keys = ["one", "two"].map(|name| {
            let file = home.path().join(name);
            let id = format!("{name} <{name}@example.org>");
            let ran = home.run(&[
                "key",
                "new",
                "--user-id",
                &id,
                "--output",
                file.to_str().unwrap(),
            ]);
            assert_eq!(ran.code, 0, "{ran:?}");
            file
        });
        Self {
            home,
            base,
            _folder: folder,
            keys,
        }
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.base.join("store")
    }

    fn dist(&self) -> PathBuf {
        self.base.join("dist/rehearsal")
    }

    /// `repo` with one of the keys, and the proofs that take seconds.
    fn command(&self, key: usize) -> std::process::Command {
        self.command_to(key, &self.dist())
    }

    /// The same, to another place.
    fn command_to(&self, key: usize, output: &Path) -> std::process::Command {
        let mut command =
            self.home
                .command(&["repo", "--offline", "--prove", "static", "--key-file"]);
        command
            .arg(&self.keys[key])
            .arg("--output")
            .arg(output)
            .env("LUSTRE_REPO_STORE", self.store());
        command
    }

    /// The same with a release time, in place of what may be there with the other key.
    fn command_at(&self, key: usize, time: u32) -> std::process::Command {
        let mut command = self.command(key);
        command
            .args(["--overrule", "release-package", "--release-time"])
            .arg(time.to_string());
        command
    }

    /// A repository with a key and a time, made where there is none; kept as it is at the place given.
    fn kept(&self, key: usize, time: u32) -> PathBuf {
        let _ = fs::remove_dir_all(self.dist());
        let ran = run(&mut self.command_at(key, time));
        assert_eq!(ran.code, 0, "{ran:?}");
        let kept = self.base.join(format!("kept-{key}-{time}"));
        fs::rename(self.dist(), &kept).unwrap();
        kept
    }

    /// Puts a repository that was kept where the next is published. Nothing ever writes into a file that is there.
    fn put_back(&self, kept: &Path) {
        let _ = fs::remove_dir_all(self.dist());
        let mut command = process::command("cp");
        command.args(["--archive", "--link", "-T"]);
        process::output(command.arg(kept).arg(self.dist())).unwrap();
    }

    fn repo(&self, key: usize) -> Run {
        let ran = run(&mut self.command(key));
        assert_eq!(ran.code, 0, "{ran:?}");
        ran
    }

    /// Looks for parts of the keys in everything that runs that signed have said and left, but the files that hold them.
    fn has_no_part_of_a_key(&self) {
        let file = |key: usize| self.keys[key].to_str().unwrap();
        let secrets = [0, 1].map(|key| {
            let public = self.home.run(&["key", "export", "--key-file", file(key)]);
            SecretParts::new(&fs::read_to_string(file(key)).unwrap(), &public.stdout)
        });
        let mut folders = vec![self.home.path().to_owned()];
        for key in [0, 1] {
            // Each in a place of its own: another key in the place of the first would contradict it.
            let place = self.base.join(format!("searched-{key}"));
            let said = run(&mut self.command_to(key, &place));
            assert_eq!(said.code, 0, "{said:?}");
            for text in [&said.stdout, &said.stderr] {
                assert_eq!(secrets[key].is_in(text.as_bytes()), None);
            }
            folders.push(place);
        }
        folders.extend(["logs", "tmp"].map(|name| self.store().join(name)));
        folders.extend(CHEAP.iter().flat_map(|name| self.stages(name)));
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        let keys: Vec<&Path> = self.keys.iter().map(PathBuf::as_path).collect();
        for secret in &secrets {
            assert_eq!(secret.below(&folders, &keys), None);
        }
    }

    /// The folders of the stage `name`, the newest last.
    fn stages(&self, name: &str) -> Vec<PathBuf> {
        let is_one = |path: &PathBuf| {
            let file = path.file_name().unwrap().to_str().unwrap();
            file.rsplit_once('-')
                .is_some_and(|(stage, _)| stage == name)
        };
        let items = fs::read_dir(self.store().join("stages")).unwrap();
        let mut found: Vec<PathBuf> = items
            .map(|item| item.unwrap().path())
            .filter(is_one)
            .collect();
        let made = |path: &PathBuf| {
            fs::metadata(path.join("stage.json"))
                .unwrap()
                .modified()
                .unwrap()
        };
        found.sort_by_key(made);
        found
    }

    /// The folder of the stage `name` that was made last.
    pub(crate) fn newest(&self, name: &str) -> PathBuf {
        self.stages(name).pop().unwrap()
    }

    fn forget(&self, stages: &[&str]) {
        for path in stages.iter().flat_map(|name| self.stages(name)) {
            fs::remove_dir_all(path).unwrap();
        }
    }

    /// What is published, all of it.
    fn published(&self) -> Vec<Entry> {
        list_tree(&self.dist()).unwrap()
    }

    /// What is published, which is whole and proven.
    fn repository(&self) -> Vec<Entry> {
        assert_eq!(sums::verify(&self.dist(), &|_, _| None).unwrap(), []);
        let proof = proof::Proof::read(&self.dist().join(proof::FILE)).unwrap();
        assert!(proof.holds());
        self.published()
    }
}

fn wait_at_most(child: &mut Child, time: Duration) -> bool {
    let clock = Instant::now();
    while clock.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn killed_at_any_moment_store_and_repository_are_whole_and_the_next_run_ends_with_the_same_bytes() {
    let world = World::new();
    // Each key's repository in place of the other's earlier one, and what comes of that is known: the times are given.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let earlier = u32::try_from(now.unwrap().as_secs()).unwrap() + 100;
    let later = earlier + 100;
    let kept = [0, 1].map(|key| world.kept(key, earlier));
    let mut before = Vec::new();
    let mut wanted = Vec::new();
    let mut took = Duration::ZERO;
    for key in [0, 1] {
        world.put_back(&kept[1 - key]);
        before.push(world.repository());
        world.forget(&CHEAP);
        let clock = Instant::now();
        let ran = run(&mut world.command_at(key, later));
        assert_eq!(ran.code, 0, "{ran:?}");
        took = clock.elapsed();
        wanted.push(world.repository());
        // Its manifest and its list of releases say all that it takes to make it again where nothing is.
        let made = world.base.join("made");
        fs::rename(world.dist(), &made).unwrap();
        world.forget(&CHEAP);
        let ran = run(world
            .command(key)
            .arg("--released-as")
            .arg(made.join("manifest.json")));
        fs::remove_dir_all(&made).unwrap();
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(world.repository(), wanted[key]);
        assert_ne!(before[key], wanted[key]);
    }
    let seed = u64::from(std::process::id());
    let mut chance = Chance::new(seed);
    let (mut killed, mut replaced) = (0, 0);
    // A run that ends before its moment comes is none that was killed.
    for attempt in 0.. {
        if killed == KILLS {
            break;
        }
        assert!(
            attempt < 2 * KILLS,
            "of {attempt} runs only {killed} were still running when they were to be killed"
        );
        let key = attempt as usize % 2;
        world.forget(&CHEAP);
        world.put_back(&kept[1 - key]);
        let mut child = world
            .command_at(key, later)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moment = took.mul_f64(chance.next() * 1.05);
        if !wait_at_most(&mut child, moment) {
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
        }
        let at = format!("kill {attempt} after {moment:?} of {took:?}, seed {seed}");
        // The repository is the one from before or the new one, with its proof.
        let here = world.repository();
        assert!(here == before[key] || here == wanted[key], "{at}");
        replaced += u32::from(here == wanted[key]);
        // What is in the store under its name is whole. Opening it takes no waiting and leaves nothing of the dead run.
        let store = Store::open(&world.store(), "a test", &mut |holder| {
            panic!("{at}: waits for {holder}")
        })
        .unwrap();
        for name in CHEAP {
            for path in world.stages(name) {
                let listed = store.stages().list().unwrap();
                let record = listed
                    .into_iter()
                    .find(|one| one.path == path)
                    .unwrap()
                    .record;
                let stage = store.stages().lookup(name, &record.unwrap().key).unwrap();
                store
                    .stages()
                    .check(&stage)
                    .unwrap_or_else(|why| panic!("{at}: {why}"));
            }
        }
        drop(store);
        assert_eq!(
            fs::read_dir(world.store().join("tmp")).unwrap().count(),
            0,
            "{at}"
        );
    }
    println!(
        "{killed} runs killed, {replaced} of them or of the others had put their repository in its place"
    );
    for key in [0, 1] {
        world.put_back(&kept[1 - key]);
        let ran = run(&mut world.command_at(key, later));
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(world.repository(), wanted[key]);
        let beside: Vec<_> = fs::read_dir(world.dist().parent().unwrap())
            .unwrap()
            .collect();
        assert_eq!(beside.len(), 1, "{beside:?}");
    }
    world.has_no_part_of_a_key();
}

/// Writes other content at `path`, which is linked to a file of the user's store: in a file of its own.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn flip(bytes: &mut [u8]) {
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
}

/// The first file below `folder` whose path ends so.
fn first(folder: &Path, end: &str) -> PathBuf {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(|item| item.unwrap())
        .filter(|item| item.file_type().is_file() && item.path().to_str().unwrap().ends_with(end))
        .map(walkdir::DirEntry::into_path)
        .collect();
    found.sort();
    found.into_iter().next().unwrap()
}

/// A damage: the stage, the end of the file's path, what is done to it, and the stages that are to be made anew so that it is met.
type Case = (
    &'static str,
    &'static str,
    fn(&Path),
    &'static [&'static str],
);

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn what_changes_in_the_store_is_noticed_named_and_mended() {
    let world = World::new();
    // The user's may be from a version that did not list what is in a root.
    world.forget(&["install-root"]);
    world.repo(0);
    let wanted = world.repository();
    let flipped: fn(&Path) = |path| change(path, |bytes| flip(bytes));
    let cut: fn(&Path) = |path| change(path, |bytes| bytes.truncate(bytes.len() / 2));
    let gone: fn(&Path) = |path| fs::remove_file(path).unwrap();
    let cases: [Case; 8] = [
        // Read when the stage behind it is made.
        (
            "release-package",
            ".rpm",
            flipped,
            &["sign", "assemble", "prove", "finish"],
        ),
        ("sign", ".rpm", flipped, &["assemble", "prove", "finish"]),
        ("sign", "signed.json", cut, &["assemble", "prove", "finish"]),
        ("assemble", "SHA256SUMS", flipped, &["prove", "finish"]),
        ("install-root", "/etc/passwd", gone, &["prove", "finish"]),
        // Its size tells without reading.
        ("assemble", ".rpm", cut, &[]),
        ("prove", "proof.json", flipped, &[]),
        ("prove", "stage.json", cut, &[]),
    ];
    for (name, end, damage, anew) in cases {
        world.forget(anew);
        let folder = world.newest(name);
        let path = first(&folder, end);
        damage(&path);
        let ran = world.repo(0);
        let what = format!("{name}: {end}");
        assert!(
            ran.stderr.contains(&format!("damaged {name}: ")),
            "{what}: {}",
            ran.stderr
        );
        let file = path.file_name().unwrap().to_str().unwrap();
        assert!(ran.stderr.contains(file), "{what}: {}", ran.stderr);
        assert_eq!(world.repository(), wanted, "{what}");
    }
    // What is published comes from the store, and is compared with what was recorded: the damaged file is not put there.
    fs::remove_dir_all(world.dist()).unwrap();
    change(&first(&world.newest("finish"), ".rpm"), |bytes| flip(bytes));
    let ran = world.repo(0);
    assert!(
        ran.stderr.contains("damaged finish: ") && ran.stderr.contains(".rpm"),
        "{}",
        ran.stderr
    );
    assert_eq!(world.repository(), wanted);

    // What no run meets is found by reading all.
    let store = world.store();
    let verify = |more: &[&str]| {
        let mut command = world.home.command(&[&["clean", "--verify"], more].concat());
        run(command.env("LUSTRE_REPO_STORE", &store))
    };
    assert_eq!(verify(&[]).code, 0);
    let kernel = first(&world.newest("kernel"), ".rpm");
    let root = first(&world.newest("install-root"), "/etc/group");
    let download = first(&store.join("files"), "");
    flipped(&kernel);
    gone(&root);
    flipped(&download);
    for (more, removed) in [(&["--dry-run"][..], false), (&[], true)] {
        let ran = verify(more);
        assert_eq!(ran.code, 3, "{ran:?}");
        for (path, up) in [(&kernel, 2), (&root, 3), (&download, 0)] {
            let thing = path.ancestors().nth(up).unwrap();
            let name = path.file_name().unwrap().to_str().unwrap();
            let line = ran.stdout.lines().find(|line| line.contains(name));
            assert!(line.is_some(), "{name}: {}", ran.stdout);
            assert_eq!(
                !thing.exists(),
                removed || !path.exists() && up == 0,
                "{}",
                thing.display()
            );
        }
    }
    assert_eq!(verify(&[]).code, 0);
}
