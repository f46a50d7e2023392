//! The sandbox that builds run in, on a small chroot made of the host's own programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lustre_packaging::boot::image;
use lustre_packaging::build::rpmbuild;
use lustre_packaging::build::workdir::{Settings, Workdir};
use lustre_packaging::process::{self, Limits};
use lustre_packaging::sandbox::{ChrootClone, Ids, Sandbox, User};
use lustre_packaging::target::Target;
use lustre_repo_tests::small_disk::SmallDisk;

mod circumstances;
mod compiler_cache;
mod escape;

/// Programs of the small chroot.
const PROGRAMS: [&str; 15] = [
    "sh", "id", "cat", "uname", "touch", "setpriv", "env", "stat", "chown", "mkdir", "cp", "chmod",
    "ln", "mv", "mke2fs",
];

/// A chroot with a few programs and the libraries they need.
fn chroot(dir: &Path) -> std::path::PathBuf {
    let root = dir.join("root");
    for folder in ["usr/bin", "etc", "proc", "dev", "tmp", "home"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (link, target) in [
        ("bin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
    ] {
        std::os::unix::fs::symlink(target, root.join(link)).unwrap();
    }
    for program in PROGRAMS {
        let path = lustre_packaging::host::find_program(program).unwrap();
        with_libraries(&path, &root, &root.join("usr/bin").join(program));
    }
    fs::write(root.join("etc/known"), "as it was\n").unwrap();
    Ids::for_new_chroots().unwrap().give(&root, 0).unwrap();
    root
}

/// Copies a program to `to`, in the chroot `root`, with the libraries that it needs.
fn with_libraries(program: &Path, root: &Path, to: &Path) {
    fs::copy(program, to).unwrap();
    let listed = Command::new("ldd").arg(program).output().unwrap();
    for word in String::from_utf8(listed.stdout).unwrap().split_whitespace() {
        if word.starts_with('/') {
            // The host may name a library below /lib, which is /usr/lib.
            let place = word.trim_start_matches('/').trim_start_matches("usr/");
            let copy = root.join("usr").join(place);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(word, &copy).unwrap();
        }
    }
}

fn inside(sandbox: &Sandbox<'_>, script: &str) -> Result<String, process::Error> {
    process::output(&mut sandbox.command("sh", &["-c", script]))
        .map(|bytes| String::from_utf8(bytes).unwrap().trim().to_owned())
}

#[test]
fn the_builder_has_no_network_no_privileges_and_a_fixed_environment() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Builder).unwrap();
    let sandbox = Sandbox::new(&clone, User::Builder, "builder.test").env("EXTRA", "1");

    assert_eq!(inside(&sandbox, "id -u; id -g").unwrap(), "1000\n1000");
    assert_eq!(inside(&sandbox, "uname -n").unwrap(), "builder.test");
    let capabilities = inside(&sandbox, "cat /proc/self/status").unwrap();
    for set in [
        "CapEff:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "NoNewPrivs:\t1",
    ] {
        assert!(capabilities.contains(set), "{set} not in {capabilities}");
    }
    let devices = inside(&sandbox, "cat /proc/net/dev").unwrap();
    let names: Vec<&str> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(names, ["lo"], "only the loopback of its own");

    let environment = inside(&sandbox, "env").unwrap();
    for line in ["LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/builddir", "EXTRA=1"] {
        assert!(
            environment.lines().any(|one| one == line),
            "{line} not in {environment}"
        );
    }
    assert!(
        !environment.contains("CARGO"),
        "the host's environment stays outside: {environment}"
    );
    assert!(
        inside(&sandbox, "touch /etc/new").is_err(),
        "the builder owns nothing of the chroot"
    );
}

#[test]
fn what_root_changes_in_a_clone_stays_in_the_clone() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let folder = dir.path().join("clone");
    let clone = ChrootClone::new(&root, &folder, User::Root).unwrap();
    let sandbox = Sandbox::new(&clone, User::Root, "x");
    inside(&sandbox, "echo changed > /etc/known; echo new > /etc/new").unwrap();
    assert_eq!(
        inside(&sandbox, "cat /etc/known").unwrap(),
        "changed",
        "the clone keeps it between commands"
    );
    assert_eq!(
        fs::read_to_string(root.join("etc/known")).unwrap(),
        "as it was\n"
    );
    assert!(!root.join("etc/new").exists());
    drop(clone);
    assert!(!folder.exists(), "a clone leaves nothing");
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(
        !mounts.contains(dir.path().to_str().unwrap()),
        "no mount is left"
    );
}

#[test]
fn a_clone_is_for_everybody_whatever_the_umask() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).unwrap();
    // This process's own would reach the tests beside this one.
    let clone = dir.path().join("clone");
    let closed = Command::new("sh")
        .args(["-ec", "umask 077; mkdir \"$1\" \"$1/upper\"", "sh"])
        .arg(&clone)
        .status()
        .unwrap();
    assert!(closed.success());
    let clone = ChrootClone::new(&root, &clone, User::Builder).unwrap();
    let sandbox = Sandbox::new(&clone, User::Builder, "x");
    assert_eq!(inside(&sandbox, "stat -c %a /").unwrap(), "755");
}

#[test]
fn a_clone_is_made_in_under_a_second_however_large_the_chroot() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    for index in 0..3000 {
        fs::write(root.join(format!("home/{index}")), "x").unwrap();
    }
    let clock = Instant::now();
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Builder).unwrap();
    let took = clock.elapsed();
    // Copying 3,000 files needs thousands of system calls; the bound leaves room for a busy machine.
    assert!(took.as_secs() < 5, "{took:?}");
    drop(clone);
}

#[test]
fn a_folder_shown_read_only_cannot_be_written_even_by_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let shown = dir.path().join("shown");
    fs::create_dir(&shown).unwrap();
    fs::write(shown.join("file"), "text").unwrap();
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Root).unwrap();
    let sandbox = Sandbox::new(&clone, User::Root, "x").read_only(&shown, "/srv/shown");
    assert_eq!(inside(&sandbox, "cat /srv/shown/file").unwrap(), "text");
    assert!(inside(&sandbox, "touch /srv/shown/new").is_err());
}

#[test]
fn a_workdir_gives_the_builder_its_home_with_fixed_macros_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let settings = Settings {
        source_date_epoch: 1_700_000_000,
        host: "builder.test".to_owned(),
        dist: ".t1".to_owned(),
        jobs: 3,
        circumstances: Default::default(),
        limits: Default::default(),
    };
    let work = Workdir::new(&root, &dir.path().join("work"), &settings).unwrap();
    fs::write(work.path("build/SOURCES/a.tar").unwrap(), "x").unwrap();
    work.hand_over().unwrap();
    let log = dir.path().join("log");
    work.script(
        "stat -c '%Y %a %u' build/SOURCES/a.tar > seen; echo $SOURCE_DATE_EPOCH $RPM_BUILD_NCPUS >> seen; cat .rpmmacros >> seen",
        &[],
        &log,
    )
    .unwrap();
    let seen = fs::read_to_string(work.path("seen").unwrap()).unwrap();
    assert!(
        seen.starts_with("1700000000 644 1000\n1700000000 3\n"),
        "{seen}"
    );
    for line in [
        "%_topdir /builddir/build",
        "%_buildhost builder.test",
        "%_smp_mflags -j${RPM_BUILD_NCPUS}",
    ] {
        assert!(seen.lines().any(|one| one == line), "{line} not in {seen}");
    }
    let error = work
        .script("echo why it failed >&2; exit 7", &[], &log)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("why it failed") && error.contains("log"),
        "{error}"
    );
}

#[test]
fn no_link_that_a_build_leaves_is_followed_out_of_its_home() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    for name in ["a.rpm", "config.log"] {
        fs::write(other.join(name), "of the host").unwrap();
    }
    let settings = Settings {
        source_date_epoch: 1_700_000_000,
        host: "builder.test".to_owned(),
        dist: ".t1".to_owned(),
        jobs: 1,
        circumstances: Default::default(),
        limits: Default::default(),
    };
    // The folder of the packages is a link, and one above it is.
    for link in ["build/RPMS", "build"] {
        let work = Workdir::new(&root, &dir.path().join(link), &settings).unwrap();
        let raw = work.path("build/RPMS").unwrap();
        work.hand_over().unwrap();
        let script = "mv \"$1\" away; ln -s \"$2\" \"$1\"";
        let arguments = [link, other.to_str().unwrap()];
        work.script(script, &arguments, &dir.path().join("log"))
            .unwrap();
        let error = work.path("build/RPMS").unwrap_err().to_string();
        assert!(error.contains("the build left a link"), "{error}");
        if link == "build/RPMS" {
            let found = rpmbuild::packages_under(&raw).unwrap();
            assert!(found.is_empty(), "{found:?}");
        }
    }
    assert_eq!(fs::read_dir(&other).unwrap().count(), 2);
}

/// What is built may be of somebody who wants the machine, not the packages.
#[test]
fn a_build_that_goes_further_than_it_may_is_ended_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let limits = Limits {
        time: Some(Duration::from_secs(2)),
        disk: Some(8 << 20),
        log: 1 << 20,
    };
    let settings = Settings {
        source_date_epoch: 1_700_000_000,
        host: "builder.test".to_owned(),
        dist: ".t1".to_owned(),
        jobs: 1,
        circumstances: Default::default(),
        limits,
    };
    for (name, script, parts) in [
        (
            "log",
            "while :; do echo again; done",
            ["1 MiB, the limit of its log", "--max-log"],
        ),
        (
            "disk",
            "cat /dev/zero >big & wait",
            ["its limit is 8 MiB", "--max-disk"],
        ),
        (
            "time",
            "while :; do :; done & while :; do :; done",
            ["2 seconds, its limit", "--max-time"],
        ),
    ] {
        let folder = dir.path().join(name);
        let work = Workdir::new(&root, &folder, &settings).unwrap();
        work.hand_over().unwrap();
        let log = dir.path().join(format!("{name}.log"));
        let error = work.script(script, &[], &log).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: `{part}` is not in {error}");
        }
        fs::remove_dir_all(&folder).unwrap();
        assert!(fs::metadata(log).unwrap().len() < 2 << 20, "{name}");
        drop(work);
        assert!(!folder.exists(), "{name}");
    }
}

#[test]
fn a_build_that_fills_the_disk_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let small = SmallDisk::new("3m");
    let settings = Settings {
        source_date_epoch: 1_700_000_000,
        host: "builder.test".to_owned(),
        dist: ".t1".to_owned(),
        jobs: 1,
        circumstances: Default::default(),
        limits: Default::default(),
    };
    let work = Workdir::new(&root, &small.path().join("work"), &settings).unwrap();
    work.hand_over().unwrap();
    for (script, why) in [
        ("cat /dev/zero >big", "the disk is full"),
        // What it wrote is gone when it ends, and what it said is what is left.
        (
            "cat /dev/zero >big || { : >big; exit 1; }",
            "the disk was full",
        ),
        // A program that says nothing.
        ("cat /dev/zero >big 2>/dev/null", "the disk is full"),
    ] {
        let log = dir.path().join("log");
        let error = work.script(script, &[], &log).unwrap_err().to_string();
        let place = small.path().display().to_string();
        for part in [why, &place, "MiB of 3 MiB free", "make room"] {
            assert!(error.contains(part), "{script}: `{part}` is not in {error}");
        }
        let _ = fs::remove_file(work.path("big").unwrap());
        let _ = fs::remove_file(log);
    }
}

#[test]
fn a_guest_s_disk_that_fills_the_one_it_is_on_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let [modules, guest] = [root.join("usr/lib/modules/1"), dir.path().join("guest")];
    for folder in [&modules, &guest] {
        fs::create_dir_all(folder).unwrap();
    }
    fs::write(guest.join("init"), "#!/bin/sh\n").unwrap();
    fs::write(modules.join("vmlinuz"), vec![1; 1 << 20]).unwrap();
    Ids::for_new_chroots().unwrap().give(&root, 0).unwrap();
    let specs = lustre_repo_tests::command_line::project().join("specs");
    let mut boot = Target::load(&specs, "rehearsal").unwrap().boot.unwrap();
    boot.disk_mib = 64;
    // Without room for the kernel, and with room for that alone.
    for size in ["700k", "2m"] {
        let clone = ChrootClone::new(&root, &dir.path().join(size), User::Root).unwrap();
        for folder in ["/srv/boot-guest", "/srv/boot-root", "/srv/boot-image"] {
            clone.make_folder(folder).unwrap();
        }
        let small = SmallDisk::new(size);
        let sandbox = Sandbox::new(&clone, User::Root, "server");
        let (out, log) = (small.path().join("image"), dir.path().join("log"));
        let runs = image::Guest {
            boot: &boot,
            scripts: &guest,
            kept: None,
        };
        let made = image::make(&sandbox, runs, "1", None, &out, &log);
        let error = made.unwrap_err().to_string();
        let place = small.path().display().to_string();
        for part in ["the disk", "full", &place, "make room"] {
            assert!(error.contains(part), "{size}: `{part}` is not in {error}");
        }
    }
}

#[test]
fn a_chroot_can_be_seen_as_it_is_on_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let root = chroot(dir.path());
    let clone = ChrootClone::new(&root, &dir.path().join("clone"), User::Root).unwrap();
    clone.make_folder("/srv/itself").unwrap();
    let sandbox = Sandbox::new(&clone, User::Root, "server").itself("/srv/itself");
    // What a command writes is there; what is mounted around it is not.
    assert_eq!(
        inside(
            &sandbox,
            "touch /etc/new /tmp/new; cat /srv/itself/etc/known; stat -c %F /srv/itself/etc/new"
        )
        .unwrap(),
        "as it was\nregular empty file"
    );
    for absent in [
        "/srv/itself/proc/self",
        "/srv/itself/dev/null",
        "/srv/itself/tmp/new",
        "/srv/itself/srv/itself/etc",
    ] {
        assert!(
            inside(&sandbox, &format!("test ! -e {absent}")).is_ok(),
            "{absent}"
        );
    }
    assert!(
        inside(&sandbox, "touch /srv/itself/etc/not").is_err(),
        "it is read only"
    );
}
