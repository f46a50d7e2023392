//! What somebody else put into the place, before anything is published there or promoted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::small_disk::SmallDisk;

use super::client::{snapshot, whole};
use super::releases::{copy, promote, promote_command, publish, published, releases};
use super::servers::{Rsyncd, Sshd};

/// What somebody does to a file.
type Change<'a> = &'a dyn Fn(&Path);

const STAGING: &[&str] = &["--staging"];

/// Refused, with these words, and neither the place nor what links there lead to was touched.
#[track_caller]
fn refused(ran: &Run, code: i32, words: &[&str]) {
    assert_eq!(ran.code, code, "{words:?}: {ran:?}");
    for words in words {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
}

/// What is put in the place of a folder at a path, or at one where a file has to be.
type Plant<'p> = (&'p str, &'p dyn Fn(&Path, &Path));

#[test]
fn no_link_is_followed_where_a_folder_has_to_be_and_nothing_is_sent() {
    let home = Home::new();
    let daemon = Rsyncd::new("munge symlinks = no");
    let folder = tempfile::tempdir().unwrap();
    let link = |at: &Path, outside: &Path| {
        let _ = fs::remove_dir_all(at);
        symlink(outside, at).unwrap();
    };
    let file = |at: &Path, _: &Path| {
        let _ = fs::remove_dir_all(at);
        fs::write(at, "mine").unwrap();
    };
    let made = |at: &Path, _: &Path| {
        let _ = fs::remove_file(at);
        fs::create_dir_all(at.join("mine")).unwrap();
    };
    let plants: [Plant<'_>; 6] = [
        (".releases/.partial", &link),
        (".releases/.partial", &file),
        ("x86_64/Packages", &link),
        ("x86_64", &link),
        (".releases", &link),
        (".releases/current", &made),
    ];
    for (path, plant) in plants {
        for by_rsync in [false, true] {
            let (at, to) = match by_rsync {
                false => {
                    let at = folder.path().join("www");
                    (at.clone(), at.display().to_string())
                }
                true => (daemon.path("www"), daemon.url("www")),
            };
            let outside = at.with_file_name("outside");
            for folder in [&at, &outside] {
                let _ = fs::remove_dir_all(folder);
            }
            fs::create_dir_all(outside.join("next/deep")).unwrap();
            published(&home, 0, &to);
            plant(&at.join(path), &outside);
            let before = (snapshot(&at), snapshot(&outside));
            for more in [&[][..], &["--replace-anyway"], STAGING] {
                let ran = publish(&home, 1, &to, more);
                refused(&ran, 1, &[path, "remove it", "nothing was sent"]);
                assert!(
                    (snapshot(&at), snapshot(&outside)) == before,
                    "{path} {to}: {ran:?}"
                );
            }
        }
    }
    // A promotion as well.
    let at = folder.path().join("www");
    let _ = fs::remove_dir_all(&at);
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    assert_eq!(publish(&home, 1, to, STAGING).code, 0);
    let outside = folder.path().join("outside");
    link(&at.join(".releases/.partial"), &outside);
    let before = (snapshot(&at), snapshot(&outside));
    refused(&promote(&home, to, &[]), 1, &[".releases/.partial", "link"]);
    assert!((snapshot(&at), snapshot(&outside)) == before);
}

#[test]
fn only_what_is_listed_is_promoted_or_published() {
    let home = Home::new();
    let daemon = Rsyncd::new("munge symlinks = no");
    let folder = tempfile::tempdir().unwrap();
    for by_rsync in [false, true] {
        let (at, to) = match by_rsync {
            false => {
                let at = folder.path().join("www");
                (at.clone(), at.display().to_string())
            }
            true => (daemon.path("www"), daemon.url("www")),
        };
        published(&home, 0, &to);
        assert_eq!(publish(&home, 1, &to, STAGING).code, 0);
        let good = folder.path().join("good");
        copy(&at, &good);
        let id = fs::read_link(at.join(".releases/staged")).unwrap();
        let own = at.join(".releases").join(&id);
        let carried = fs::read_dir(good.join("x86_64/repodata"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .find(|name| name.contains("primary"))
            .unwrap();
        let carried = format!("x86_64/repodata/{carried}");
        let changes: [(&str, Change<'_>); 7] = [
            ("x86_64/repodata/evil.xml", &|at| {
                fs::write(at, "evil").unwrap();
            }),
            ("x86_64/repodata/shadow", &|at| {
                symlink("/etc/shadow", at).unwrap();
            }),
            ("evil", &|at| fs::create_dir(at).unwrap()),
            (".evil.aaaaaa", &|at| symlink("/etc", at).unwrap()),
            ("source/Packages", &|at| {
                let _ = fs::remove_file(at);
                symlink("/etc", at).unwrap();
            }),
            // What is there for clients of the release before is that, too.
            (&carried, &|at| fs::write(at, "evil").unwrap()),
            (
                &format!("x86_64/repodata/{}-evil.xml", "0".repeat(64)),
                &|at| {
                    fs::write(at, "evil").unwrap();
                },
            ),
        ];
        for (path, change) in changes {
            copy(&good, &at);
            change(&own.join(path));
            let before = snapshot(&at);
            let ran = promote(&home, &to, &[]);
            refused(&ran, 1, &[path, "remove it"]);
            assert!(snapshot(&at) == before, "{path}");
            // Nor is it taken along by a publish that finds the folder there.
            if !path.contains("repodata/") || path.ends_with("evil.xml") && !path.contains("000") {
                let ran = publish(&home, 1, &to, &[]);
                refused(&ran, 1, &[path, "remove"]);
                assert!(snapshot(&at) == before, "{path}");
            }
        }
        copy(&good, &at);
        let ran = promote(&home, &to, &[]);
        assert_eq!((ran.code, whole(&at)), (0, 1), "{ran:?}");
    }
}

#[test]
fn what_is_promoted_is_what_testers_read() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    published(&home, 1, to);
    assert_eq!(publish(&home, 2, to, STAGING).code, 0);
    let good = folder.path().join("good");
    copy(&at, &good);
    let staging = at.join("staging");
    let changes: [&dyn Fn(); 3] = [
        &|| {
            fs::create_dir(&staging).unwrap();
            fs::write(staging.join("mine"), "mine").unwrap();
        },
        &|| symlink(".releases/current", &staging).unwrap(),
        &|| {},
    ];
    for change in changes {
        copy(&good, &at);
        fs::remove_file(&staging).unwrap();
        change();
        let before = snapshot(&at);
        let ran = promote(&home, to, &[]);
        refused(&ran, 1, &["`staging`", "stage it again"]);
        assert!(snapshot(&at) == before);
    }
    // What is published is staged as well, for who looks; the release that was staged stays.
    copy(&good, &at);
    let link = at.join(".releases/staged");
    let staged = fs::read_link(&link).unwrap();
    fs::remove_file(&link).unwrap();
    symlink(fs::read_link(at.join(".releases/current")).unwrap(), &link).unwrap();
    let ran = promote(&home, to, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(at.join(".releases").join(&staged).is_dir(), "{ran:?}");
    // It is told that nothing else became public, and what nobody comes to.
    let staged = staged.to_str().unwrap();
    for words in ["is published already", staged, "stage it again"] {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    assert!(!ran.stderr.contains("published 1"), "{ran:?}");
    assert!(at.join(".releases/probe").symlink_metadata().is_err());
    assert_eq!(whole(&at), 1);
    assert_eq!(publish(&home, 2, to, STAGING).code, 0);
    assert_eq!(promote(&home, to, &[]).code, 0);
    assert_eq!(whole(&at), 2);
}

#[test]
fn what_is_staged_and_damaged_is_told_where_it_is_with_a_log_that_is_there() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    // Nothing is made where there was nothing.
    refused(&promote(&home, to, &[]), 1, &["nothing is staged"]);
    assert!(!at.exists());
    published(&home, 0, to);
    assert_eq!(publish(&home, 1, to, STAGING).code, 0);
    let good = folder.path().join("good");
    copy(&at, &good);
    let id = fs::read_link(at.join(".releases/staged")).unwrap();
    let own = at.join(".releases").join(&id);
    let changes: [&dyn Fn(); 3] = [
        &|| fs::write(own.join("SHA256SUMS"), "").unwrap(),
        &|| {
            let elsewhere = folder.path().join("elsewhere");
            let _ = fs::remove_dir_all(&elsewhere);
            fs::rename(&own, &elsewhere).unwrap();
            symlink(&elsewhere, &own).unwrap();
        },
        &|| fs::remove_file(own.join("RPM-GPG-KEY-lustre-repo")).unwrap(),
    ];
    let told = ["stage it again", "remove it", "RPM-GPG-KEY-lustre-repo"];
    for (change, told) in changes.into_iter().zip(told) {
        copy(&good, &at);
        change();
        let ran = promote(&home, to, &[]);
        assert!([1, 3].contains(&ran.code), "{ran:?}");
        assert!(ran.stderr.contains(told), "{told}: {ran:?}");
        for words in [
            "/store/tmp/",
            ".partial",
            "cargo xtask repo` makes one",
            "lustre-repo repo` makes",
        ] {
            assert!(!ran.stderr.contains(words), "{words}: {ran:?}");
        }
    }
    copy(&good, &at);
    // More findings than are shown: the log has the others.
    for path in ["index.html", "manifest.json", "proof.json"] {
        let path = own.join(path);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
    }
    let ran = promote(&home, to, &[]);
    refused(&ran, 3, &[]);
    logs_are_there(&ran);
    for words in ["/store/tmp/", ".partial"] {
        assert!(!ran.stderr.contains(words), "{ran:?}");
    }
    let dist = folder.path().join("dist");
    copy(releases().at(1), &dist);
    for entry in fs::read_dir(dist.join("x86_64/Packages")).unwrap() {
        fs::write(entry.unwrap().path(), "no package").unwrap();
    }
    let ran = run(&mut super::releases::command(&home, &dist, to, &[]));
    refused(&ran, 3, &[]);
    logs_are_there(&ran);
}

/// The logs that are named are there.
#[track_caller]
fn logs_are_there(ran: &Run) {
    let named = ran.stderr.lines().filter_map(|line| {
        let (_, path) = line.split_once('/').filter(|_| line.contains(".log"))?;
        Some(format!("/{path}"))
    });
    for path in named {
        assert!(Path::new(path.trim()).is_file(), "{path}: {ran:?}");
    }
}

#[test]
fn a_promotion_copies_nothing_of_a_folder_and_leaves_nothing_where_it_is_killed() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    assert_eq!(publish(&home, 1, to, STAGING).code, 0);
    // Another file system, on which there is no room for a release.
    let disk = SmallDisk::new("1m");
    let mut size = 1 << 18;
    while size >= 4096 {
        let name = disk.path().join(format!("fill-{size}"));
        if fs::write(&name, vec![0; size]).is_err() {
            fs::remove_file(name).unwrap();
        }
        size /= 2;
    }
    fs::write(disk.path().join("more"), vec![0; 1 << 16]).ok();
    let mut command = promote_command(&home, to, &[]);
    let ran = run(command.env("TMPDIR", disk.path()));
    assert_eq!((ran.code, whole(&at)), (0, 1), "{ran:?}");
    assert!(!at.join(".releases/.partial").exists());
    // By rsync, what is fetched is in the store, and what is left there goes.
    let server = Sshd::new();
    let at = server.path("www");
    let to = format!("{}:{}", super::servers::HOST, at.display());
    let ssh = |mut command: std::process::Command| {
        command.env("RSYNC_RSH", server.shell());
        command
    };
    let command = |number, more: &[&str]| {
        ssh(super::releases::command(
            &home,
            releases().at(number),
            &to,
            more,
        ))
    };
    assert_eq!(run(&mut command(0, &[])).code, 0);
    assert_eq!(run(&mut command(1, STAGING)).code, 0);
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut child = ssh(promote_command(&home, &to, &[]))
        .env("TMPDIR", &temporary)
        .spawn()
        .unwrap();
    let tmp = home.store().join("tmp");
    let clock = std::time::Instant::now();
    // Until it has fetched something.
    let fetched = || {
        let entries = walkdir::WalkDir::new(&tmp).into_iter().flatten();
        entries
            .into_iter()
            .any(|entry| entry.path().to_string_lossy().contains("Packages"))
    };
    while !fetched() && child.try_wait().unwrap().is_none() {
        assert!(clock.elapsed().as_secs() < 120);
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(snapshot(&temporary), Default::default());
    let ran = run(&mut ssh(promote_command(&home, &to, &[])));
    assert_eq!((ran.code, whole(&at)), (0, 1), "{ran:?}");
    assert_eq!(snapshot(&tmp), Default::default());
}

#[test]
fn a_place_without_room_is_told_with_its_disk_and_before_anything_is_sent() {
    let home = Home::new();
    let disk = SmallDisk::new("1m");
    let at = disk.path().join("www");
    let to = at.to_str().unwrap();
    let mut size = 1 << 19;
    while size >= 4096 {
        let name = disk.path().join(format!("fill-{size}"));
        if fs::write(&name, vec![0; size]).is_err() {
            fs::remove_file(name).unwrap();
        }
        size /= 2;
    }
    for more in [&[][..], STAGING] {
        let ran = publish(&home, 1, to, more);
        let mount = disk.path().display().to_string();
        refused(&ran, 1, &["the disk is full", &mount, "make room there"]);
        assert!(!ran.stderr.contains("--store"), "{ran:?}");
        assert!(!at.exists(), "{ran:?}");
        // Nor the folders above it that were not there.
        let deep = at.join("a/b");
        let ran = publish(&home, 1, deep.to_str().unwrap(), more);
        refused(&ran, 1, &["the disk is full"]);
        assert!(!at.exists(), "{ran:?}");
        // What somebody has there already stays, empty as it is.
        fs::create_dir(&at).unwrap();
        let ran = publish(&home, 1, deep.to_str().unwrap(), more);
        refused(&ran, 1, &["the disk is full"]);
        assert!(fs::read_dir(&at).unwrap().next().is_none(), "{ran:?}");
        fs::remove_dir(&at).unwrap();
    }
}

#[test]
fn a_folder_with_a_mount_where_files_of_ours_are_renamed_is_refused_before_anything_is_sent() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    assert_eq!(publish(&home, 1, to, STAGING).code, 0);
    let other = folder.path().join("disk");
    let line = |number: usize, more: &[&str]| -> Vec<String> {
        let dist = releases().at(number).to_str().unwrap();
        let key = format!("{dist}/RPM-GPG-KEY-lustre-repo");
        let line = ["publish", "--public-key", &key, "--from", dist, to];
        line.iter().chain(more).map(|it| (*it).to_owned()).collect()
    };
    let key = releases().at(0).join("RPM-GPG-KEY-lustre-repo");
    let promotes = ["promote", "--public-key", key.to_str().unwrap(), to];
    let lines = [
        line(2, &[]),
        line(2, &["--dry-run"]),
        line(2, STAGING),
        promotes.map(str::to_owned).to_vec(),
    ];
    for path in ["x86_64/Packages", "x86_64", ".releases", "source/Packages"] {
        let on = at.join(path);
        // With what was there, as whoever moves it to a disk of its own has it.
        copy(&on, &other);
        for line in &lines {
            let before = snapshot(&at);
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            let ran = home.run_with_mount(&other, &on, &line);
            refused(
                &ran,
                1,
                &[on.to_str().unwrap(), "umount", "nothing was sent"],
            );
            assert!(snapshot(&at) == before, "{path}: {ran:?}");
            assert!(snapshot(&other) == snapshot(&on), "{path}: {ran:?}");
        }
    }
    // What is none of ours may be mounted there.
    let mine = at.join("photos");
    fs::create_dir(&mine).unwrap();
    let line = line(2, &[]);
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    let ran = home.run_with_mount(&other, &mine, &line);
    assert_eq!((ran.code, whole(&at)), (0, 2), "{ran:?}");
}

#[test]
fn nothing_is_published_into_a_store() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    drop(Store::open(&other, "a test", &mut |_| {}).unwrap());
    for place in [other.join("files/www"), home.store().join("www")] {
        let ran = publish(&home, 0, place.to_str().unwrap(), &[]);
        refused(&ran, 2, &["inside the store", "help: "]);
        assert!(!place.exists());
    }
}

#[test]
fn what_was_published_is_verified_and_bundled_where_it_lies() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    assert_eq!(publish(&home, 1, to, STAGING).code, 0);
    let key = releases().at(0).join("RPM-GPG-KEY-lustre-repo");
    let key = key.to_str().unwrap();
    let target = home.path().join("test.toml");
    fs::write(&target, super::served::TARGET).unwrap();
    let target = target.to_str().unwrap();
    let bundle = folder.path().join("disk.tar");
    let bundle = bundle.to_str().unwrap();
    let results = |checks: &[&str]| {
        let ran = home.run(&[
            "verify",
            "--static",
            "--json",
            "--target",
            target,
            "--public-key",
            key,
            to,
        ]);
        let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let all = proof["checks"].as_array().unwrap().clone();
        let all = all
            .into_iter()
            .filter(|check| checks.iter().any(|name| check["name"] == *name));
        let results: Vec<String> = all
            .map(|check| check["result"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(results.len(), checks.len(), "{ran:?}");
        // It is told where it lies, and nothing of it is somebody else's.
        for words in ["/store/tmp/", "symbolic link", "can read it: SHA256SUMS"] {
            assert!(
                !ran.stderr.contains(words) && !ran.stdout.contains(words),
                "{ran:?}"
            );
        }
        assert_eq!(proof["target"], "test", "{ran:?}");
        results
    };
    let bundled = || home.run(&["bundle", "--release", to, "--public-key", key, "-o", bundle]);
    let own = [
        "key",
        "sha256sums",
        "manifest",
        "package-signatures",
        "metadata-signatures",
    ];
    assert!(results(&own).iter().all(|it| it == "pass"));
    let ran = bundled();
    assert_eq!(ran.code, 0, "{ran:?}");
    // Through our own links alone.
    let evil = at.join("index.html");
    let page = folder.path().join("page");
    let real = fs::read(&evil).unwrap();
    fs::write(&page, real).unwrap();
    fs::remove_file(&evil).unwrap();
    symlink(page, &evil).unwrap();
    assert_eq!(results(&["sha256sums"]), ["fail"]);
    let ran = bundled();
    refused(&ran, 3, &["index.html"]);
}
