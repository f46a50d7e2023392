//! Locks of targets with an existing distribution: what is pinned of a small distribution on a mirror, and what a mirror may do.

mod checkout;
mod compat;
mod metadata;
mod mirror;
mod places;
mod signers;
mod trust;
mod watch;
mod workflows;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lustre_packaging::lock::{Lock, PackagePin};
use lustre_packaging::resolve;
use lustre_packaging::source::{Downloader, Locked, Mirror, Retry};
use lustre_packaging::store::{Digest, Store};
use lustre_packaging::target::Target;
use lustre_repo_tests::command_line::{Run, project};
use lustre_repo_tests::http::Fault;
use world::{KERNEL, LATER, MIRROR, World};

fn locked(world: &World) -> Lock {
    let ran = world.run(&["lock"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    Lock::read(&world.lock_file()).unwrap().unwrap()
}

fn package<'l>(lock: &'l Lock, name: &str) -> &'l PackagePin {
    let found: Vec<&PackagePin> = lock.package.iter().filter(|pin| pin.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found[0]
}

/// The run failed, and nothing was locked.
fn refused(world: &World, ran: &Run, parts: &[&str]) {
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in parts {
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    }
    assert!(!world.lock_file().exists());
}

#[test]
fn what_the_distribution_says_of_the_kernel_and_of_those_before_it_is_kept() {
    let world = World::new();
    locked(&world);
    let plain = Lock::read(&world.lock_file()).unwrap().unwrap();
    assert_eq!(plain.advisory, [], "the distribution says nothing");
    world.advise(KERNEL, "Important", &["CVE-2026-2", "CVE-2026-1"]);
    fs::remove_file(world.lock_file()).unwrap();
    locked(&world);
    let lock = Lock::read(&world.lock_file()).unwrap().unwrap();
    let one = &lock.advisory[0];
    assert_eq!(
        (one.id.as_str(), one.kind.as_str(), one.title.as_str()),
        (
            format!("SITE-2026:{KERNEL}").as_str(),
            "security",
            "kernel & `more`"
        )
    );
    assert_eq!(one.cves, ["CVE-2026-1", "CVE-2026-2"]);
    assert_eq!(one.issued.as_deref(), Some("2026-01-02 03:04:05"));
    assert_eq!(lock.advisory.len(), 1);
    // They decide on nothing that is built.
    assert_eq!(lock.request, plain.request);
    assert_eq!(lock.package, plain.package);
    // What is said of a later one is not of this one.
    world.advise(LATER, "Critical", &["CVE-2026-3"]);
    fs::remove_file(world.lock_file()).unwrap();
    locked(&world);
    assert_eq!(Lock::read(&world.lock_file()).unwrap().unwrap(), plain);
}

#[test]
fn every_root_is_pinned_and_nothing_else() {
    let world = World::new();
    let ran = world.run(&["lock"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains(&format!("kernel-6.12.0-{LATER}")) && ran.stderr.contains("newer than"),
        "a later kernel is told: {}",
        ran.stderr
    );
    let lock = Lock::read(&world.lock_file()).unwrap().unwrap();
    assert_eq!(lock.target, "site");
    let names: Vec<&str> = lock.package.iter().map(|pin| pin.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "build-tools",
            "compiler",
            "good",
            "kernel",
            "kernel-core",
            "kernel-core",
            "kernel-devel",
            "kernel-modules",
            "linker",
            "parser",
            "site-release",
            "tool"
        ]
    );
    // A rich dependency is met, a weak one is not, an epoch is kept.
    assert_eq!(package(&lock, "good").version, "2:1.0-1");
    assert_eq!(package(&lock, "site-release").arch, "noarch");
    // The stream of the module, although a newer package is in none.
    assert_eq!(package(&lock, "parser").version, "0.9-1.module");
    // Exactly the target's kernel, although there is a later one; of that, what the install proof has boot entries made by.
    for name in ["kernel", "kernel-modules", "kernel-devel"] {
        assert_eq!(package(&lock, name).version, format!("6.12.0-{KERNEL}"));
    }
    let cores = lock.package.iter().filter(|it| it.name == "kernel-core");
    let cores: Vec<&str> = cores.map(|it| it.version.as_str()).collect();
    let wanted = [KERNEL, LATER].map(|release| format!("6.12.0-{release}"));
    assert_eq!(cores, wanted);
    let tool = package(&lock, "tool");
    assert_eq!(
        tool.file.uri,
        format!("{MIRROR}/el10/base/x86_64/tool-1.0-1.x86_64.rpm"),
        "as the target names it"
    );
    let content = fs::read(world.mirror("base/x86_64/tool-1.0-1.x86_64.rpm")).unwrap();
    assert_eq!(tool.file.sha256, Digest::of_bytes(&content).to_string());
    assert_eq!(tool.file.size, content.len() as u64);

    let sources: Vec<&str> = lock.source.keys().map(String::as_str).collect();
    assert_eq!(sources, ["kernel", "key-distribution", "modules-streams"]);
    let kernel = format!("kernel-6.12.0-{KERNEL}.src.rpm");
    assert_eq!(lock.source["kernel"].file, kernel);
    assert_eq!(lock.source["key-distribution"].uri, format!("{MIRROR}/KEY"));
    match &lock.tree["e2fsprogs"] {
        Locked::Git { tag, commit, .. } => {
            assert_eq!(tag.as_deref(), Some("v1"));
            assert_eq!(*commit, world.commit());
        }
        other => panic!("{other:?}"),
    }

    // Once more, from nothing: the same bytes.
    let first = fs::read_to_string(world.lock_file()).unwrap();
    fs::remove_file(world.lock_file()).unwrap();
    locked(&world);
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), first);
    // And where there is one, nobody is asked.
    world.server.requests();
    locked(&world);
    assert_eq!(world.server.requests(), []);
}

/// rpm itself finds nothing missing among what is pinned.
#[test]
fn what_is_pinned_is_closed_for_rpm() {
    let world = World::new();
    let lock = locked(&world);
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    for folder in ["base/x86_64", "base/noarch", "streams/x86_64"] {
        for entry in fs::read_dir(world.mirror(folder)).unwrap() {
            let path = entry.unwrap().path();
            files.insert(path.file_name().unwrap().to_str().unwrap().to_owned(), path);
        }
    }
    let database = tempfile::tempdir().unwrap();
    let mut command = Command::new("rpm");
    command
        .arg("--dbpath")
        .arg(database.path())
        .args([
            "--install",
            "--test",
            "--nosignature",
            "--ignoreos",
            "--ignorearch",
        ])
        .args(lock.package.iter().map(|pin| &files[&pin.file.file]));
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
}

#[test]
fn what_is_pinned_is_fetched_through_faults_and_then_never_again() {
    let world = World::new();
    let lock = locked(&world);
    let place = |pin: &PackagePin| pin.file.uri.replace(&format!("{MIRROR}/el10"), "");
    let tool = place(package(&lock, "tool"));
    let compiler = place(package(&lock, "compiler"));
    world.server.requests();
    world
        .server
        .faults(&tool, [Fault::Status(503), Fault::Status(503)]);
    world.server.faults(&compiler, [Fault::Truncate(1000)]);
    world.server.faults(
        &place(package(&lock, "good")),
        [Fault::Slow(2000, Duration::from_millis(50))],
    );
    let ran = world.run(&["fetch"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let requests = world.server.requests();
    let statuses = |path: &str| -> Vec<u16> {
        let of = requests.iter().filter(|request| request.path == path);
        of.map(|request| request.status).collect()
    };
    assert_eq!(statuses(&tool), [503, 503, 200]);
    assert_eq!(
        statuses(&compiler),
        [200, 206],
        "it goes on where it stopped"
    );
    assert_eq!(statuses("/KEY"), [] as [u16; 0], "the key is in the store");
    {
        let store = Store::open(&world.home.store(), "test", &mut |_| {}).unwrap();
        for pin in lock.files() {
            let digest = pin.sha256.parse().unwrap();
            assert!(store.verified_file(&digest).unwrap().is_some(), "{pin:?}");
        }
    }
    let ran = world.run(&["fetch", "--offline", "--locked"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.server.requests(), []);
}

/// As many as a mirror does not mind.
#[test]
fn several_files_are_fetched_at_a_time_and_no_more_than_four() {
    let world = World::new();
    let lock = locked(&world);
    let prefix = format!("{MIRROR}/el10");
    let files: Vec<String> = lock
        .files()
        .map(|pin| pin.uri.replace(&prefix, ""))
        .filter(|path| path.ends_with(".rpm"))
        .collect();
    assert!(files.len() > 4, "{files:?}");
    for path in &files {
        let slow = Fault::Slow(1000, Duration::from_millis(30));
        world.server.faults(path, [slow]);
    }
    world.server.most_at_once();
    let ran = world.run(&["fetch", "--locked"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(world.server.most_at_once(), 4);
}

#[test]
fn a_package_that_was_replaced_is_told_with_what_to_do() {
    let world = World::new();
    let lock = locked(&world);
    let kernel = &lock.source["kernel"];
    let place = world.mirror("source").join(&kernel.file);
    let mut other = fs::read(&place).unwrap();
    other[200] ^= 1;
    fs::write(&place, other).unwrap();
    let ran = world.run(&["fetch"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in ["kernel-6.12.0", "wrong digest", "lock --update --target"] {
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    }
    let ran = world.run(&["fetch", "--offline"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("--offline was given"),
        "what was replaced is not kept: {ran:?}"
    );
}

#[test]
fn a_mirror_that_has_moved_on_is_told_with_what_to_do() {
    let world = World::new();
    locked(&world);
    let before = fs::read_to_string(world.lock_file()).unwrap();
    world.move_on();
    let ran = world.run(&["fetch"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in ["tool-1.0-1.x86_64.rpm", "404", "lock --update --target"] {
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), before);
}

/// The kernel's source package here has nothing in it, so preflight ends it: after what moves was said, and before anything is written.
#[test]
fn an_update_says_what_moves_and_writes_nothing_that_was_not_looked_at() {
    let world = World::new();
    locked(&world);
    let before = fs::read_to_string(world.lock_file()).unwrap();
    world.move_on();
    let ran = world.run(&["lock", "--update"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("tool.x86_64: 1.0-1 -> 1.1-1"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains("compiler.x86_64:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("preflight"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), before);
    // Without the lock it is resolved anew; with --locked it is not.
    fs::remove_file(world.lock_file()).unwrap();
    refused(
        &world,
        &world.run(&["lock", "--locked"]),
        &["--locked was given"],
    );
    assert_eq!(package(&locked(&world), "tool").version, "1.1-1");
}

#[test]
fn an_update_moves_on_to_the_newest_kernel_where_the_target_lets_it() {
    let world = World::new();
    // The first lock has what the target names, and says what there is.
    let ran = world.run(&["lock"]);
    assert!(
        ran.code == 0
            && ran.stderr.contains("` moves to it")
            && ran.stderr.contains("lock --update --target"),
        "{ran:?}"
    );
    let lock = fs::read_to_string(world.lock_file()).unwrap();
    assert!(lock.contains(&format!("kernel-6.12.0-{KERNEL}.src.rpm")));
    let moved = world.run(&["lock", "--update"]);
    let (from, to) = (
        format!("kernel-6.12.0-{KERNEL}"),
        format!("kernel-6.12.0-{LATER}"),
    );
    let line = moved
        .stderr
        .lines()
        .find(|line| line.contains(" -> ") && line.contains(&to));
    assert!(
        line.is_some_and(|line| line.contains(&from)) && moved.stderr.contains("preflight"),
        "{}",
        moved.stderr
    );
    // It holds nothing here, so it does not fit, and nothing moved.
    assert_ne!(moved.code, 0, "{moved:?}");
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), lock);
    let plain = fs::read_to_string(world.file()).unwrap();
    assert!(!plain.contains("[kernel]"), "{plain}");
    fs::write(world.file(), plain + "\n[kernel]\nmoves = false\n").unwrap();
    let stays = world.run(&["lock", "--update"]);
    assert!(
        stays
            .stderr
            .contains("set `version` in its [kernel] to change it"),
        "{}",
        stays.stderr
    );
}

#[test]
fn what_cannot_be_met_is_said_for_every_root() {
    let world = World::new();
    world.target("base = ['site-release', 'kernel', 'no-such-package']");
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &[
            "`install-root`",
            "no-such-package",
            "[distribution.repository.ID]",
        ],
    );
    assert!(!ran.stderr.contains("`bootstrap`"), "{}", ran.stderr);
    // What a package needs is gone.
    world.target("");
    fs::remove_file(world.mirror("base/x86_64/linker-1.0-1.x86_64.rpm")).unwrap();
    fs::remove_file(world.mirror("base/x86_64/good-1.0-1.x86_64.rpm")).unwrap();
    world.move_on();
    let ran = world.run(&["lock"]);
    refused(
        &world,
        &ran,
        &[
            "`bootstrap`",
            "(good or bad)",
            "`e2fsprogs-root`",
            "linker >= 1",
            "`lustre-root`",
        ],
    );
}

#[test]
fn without_a_version_the_newest_kernel_is_taken() {
    let world = World::new();
    let specs = project().join("specs");
    let target = Target::load(&specs, world.file().to_str().unwrap()).unwrap();
    let store = Store::open(&world.home.store(), "test", &mut |_| {}).unwrap();
    let url = world.server.url("");
    let mirrors: Vec<Mirror> = [format!("{MIRROR}/el10={url}"), format!("{MIRROR}={url}")]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    let downloader = Downloader::new(&store, false, &mirrors, Retry::default(), &|_| {});
    let keys = resolve::keys(&downloader, &store, &specs, &target.distribution).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let metadata = resolve::metadata(&downloader, &target, &keys, folder.path()).unwrap();
    let found = resolve::srpm(&metadata, "kernel", None).unwrap();
    assert_eq!(found.version, format!("6.12.0-{LATER}"));
    assert_eq!(found.newest, found.version);
    let named = format!("6.12.0-{KERNEL}");
    let found = resolve::srpm(&metadata, "kernel", Some(&named)).unwrap();
    assert_eq!(found.version, named);
    assert_eq!(found.newest, format!("6.12.0-{LATER}"));
    let error = resolve::srpm(&metadata, "kernel", Some("6.12.0-1.el10")).unwrap_err();
    let error = error.to_string();
    for part in ["kernel-6.12.0-1.el10", "source", KERNEL, LATER, "vault"] {
        assert!(error.contains(part), "`{part}`: {error}");
    }
    let ids: BTreeSet<&str> = metadata.binary.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["base", "streams"]));
}
