//! A site without a network: the rehearsal out of a bundle, in a network namespace without interfaces.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lustre_packaging::process;
use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, namespaces, program, run};
use lustre_repo_tests::little;
use lustre_repository::{manifest, sums};
use rustix::process::{Pid, Signal, kill_process};
use walkdir::WalkDir;

use super::{CHEAP, World};

/// The stages that are made of fetched files, in seconds to a minute. What takes longer is taken along.
const FETCHED: [&str; 4] = [
    "distribution",
    "kernel-sources",
    "kernel-srpm",
    "e2fsprogs-srpm",
];

/// How long anything may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);

/// Ends a program with `signal` once `begun` says yes; its exit code, if it has one.
fn ended(mut child: Child, signal: Signal, begun: &dyn Fn() -> bool) -> Option<i32> {
    let clock = Instant::now();
    while !begun() {
        assert!(clock.elapsed() < PATIENCE, "it did not begin");
        if child.try_wait().unwrap().is_some() {
            panic!("it ended before: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
    child.wait().unwrap().code()
}

fn started(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The sums of a repository: of its proof and page, too.
fn sums_of(dist: &Path) -> String {
    fs::read_to_string(dist.join(sums::FILE)).unwrap()
}

fn cp(arguments: &[&str], from: &Path, to: &Path) {
    let mut command = process::command("cp");
    process::output(command.args(arguments).arg(from).arg(to)).unwrap();
}

/// The specs of both machines: the project's, for a machine with little room. A store that has the slow builds asks for that of all while it is
/// not known that they fit.
fn specs(world: &World) -> PathBuf {
    let specs = world.base.join("specs");
    if !specs.exists() {
        little::specs(&specs).unwrap();
    }
    specs
}

/// A machine without a network: a home, a store with the slow builds, and specs without a lock.
struct Site {
    home: Home,
    base: PathBuf,
}

impl Site {
    fn new(world: &World) -> Self {
        let base = world.base.join("site");
        drop(Store::open(&base.join("store"), "a test", &mut |_| {}).unwrap());
        let made_here: BTreeSet<&str> = CHEAP.into_iter().chain(FETCHED).collect();
        for name in names(&world.store().join("stages")) {
            let stage = name.rsplit_once('-').map_or("", |(stage, _)| stage);
            if !made_here.contains(stage) {
                let from = world.store().join("stages").join(&name);
                cp(&["--archive", "--link"], &from, &base.join("store/stages"));
            }
        }
        cp(&["-a", "-T"], &specs(world), &base.join("specs"));
        fs::remove_dir_all(base.join("specs/locks")).unwrap();
        let home = Home::new();
        Self { home, base }
    }

    /// `repo --from-bundle` where there is no interface but a loopback that is down.
    fn command(&self, bundle: &Path, key: &Path, manifest: &Path) -> Command {
        let mut command = namespaces(&["--net"]);
        command.arg(program());
        command.args(["repo", "--prove", "static", "--from-bundle"]);
        command
            .arg(bundle)
            .arg("--specs")
            .arg(self.base.join("specs"));
        command.arg("--key-file").arg(key);
        command.arg("--released-as").arg(manifest);
        command.arg("--output").arg(self.base.join("dist"));
        self.home.prepare(&mut command);
        command.env("LUSTRE_REPO_STORE", self.base.join("store"));
        command
    }

    /// How many files are in the store.
    fn files(&self) -> usize {
        let all = WalkDir::new(self.base.join("store/files"));
        all.into_iter()
            .filter(|entry| entry.as_ref().is_ok_and(|it| it.file_type().is_file()))
            .count()
    }
}

#[test]
#[ignore = "needs the store of the built rehearsal, and minutes: a step of .ci/run"]
fn without_interfaces_a_bundle_gives_the_same_sums_and_goes_on_where_it_was_killed() {
    let world = World::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let time = u32::try_from(now.unwrap().as_secs()).unwrap() + 100;
    let ran = run(world.command_at(0, time).arg("--specs").arg(specs(&world)));
    assert_eq!(ran.code, 0, "{ran:?}");
    let kept = world.dist();

    // Ended while it is written, there is no bundle; killed, the next one puts its own in the place of what is left.
    let folder = world.base.join("out");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("rehearsal.bundle");
    // Under a name of its own each time.
    let part = || {
        let names = names(&folder).into_iter();
        let mut parts = names.filter(|name| name.starts_with(".rehearsal.bundle.lustre-repo-"));
        parts.next().map(|name| folder.join(name))
    };
    let bundle = || {
        let mut command = world.home.command(&["bundle", "--offline", "--output"]);
        command.arg(&file).arg("--specs").arg(specs(&world));
        command.env("LUSTRE_REPO_STORE", world.store());
        command
    };
    let begun = || {
        let found = part().and_then(|part| fs::metadata(part).ok());
        found.is_some_and(|found| found.len() > 1 << 20)
    };
    for (signal, code, left) in [(Signal::TERM, Some(130), 0), (Signal::KILL, None, 1)] {
        assert_eq!(ended(started(&mut bundle()), signal, &begun), code);
        assert_eq!(names(&folder).len(), left);
        assert_eq!(part().is_some(), left == 1);
    }
    let first = run(&mut bundle());
    assert_eq!(first.code, 0, "{first:?}");
    assert_eq!(names(&folder), ["rehearsal.bundle"]);
    // Written once more, it is the same.
    let again = run(&mut bundle());
    assert_eq!((again.code, &again.stdout), (0, &first.stdout), "{again:?}");

    let site = Site::new(&world);
    let (key, manifest) = (&world.keys[0], kept.join(manifest::FILE));
    let some = || site.files() > 20;
    ended(
        started(&mut site.command(&file, key, &manifest)),
        Signal::KILL,
        &some,
    );
    let come = site.files();
    let ran = run(&mut site.command(&file, key, &manifest));
    assert_eq!(ran.code, 0, "{ran:?}");
    let said = ran
        .stderr
        .lines()
        .find(|line| line.contains("files copied into the store"));
    let words: Vec<&str> = said.unwrap().split_whitespace().collect();
    let there: usize = words[words.len() - 3].parse().unwrap();
    assert!((20..=come).contains(&there), "{said:?}: {come}");
    // Nothing differs on both machines.
    assert!(!ran.stderr.contains("may differ"), "{ran:?}");
    // All that is made of fetched files was made here.
    for stage in FETCHED {
        assert!(
            ran.stderr.contains(&format!("done    {stage} in")),
            "{stage}: {ran:?}"
        );
    }
    let dist = site.base.join("dist");
    assert_eq!(sums_of(&dist), sums_of(&kept));
    assert_eq!(sums::verify(&dist, &|_, _| None).unwrap(), []);
    // The site's lock is the bundle's, byte for byte.
    let lock = |specs: &Path| fs::read(specs.join("locks/rehearsal.toml")).unwrap();
    assert_eq!(lock(&site.base.join("specs")), lock(&specs(&world)));
}
