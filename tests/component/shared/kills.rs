//! Builders that are killed while they put or fetch something.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lustre_packaging::shared::{Folder, Web};
use lustre_repo_tests::http::{Fault, Server};
use rustix::process::{Pid, Signal, kill_process};

use super::{Builder, SIZE, archive, entry, filled, key, reads};

/// A builder with the store and the key in `folder`; with `puts`, one that puts there what it makes.
pub fn command(folder: &Path, place: &str, size: usize, puts: bool) -> Command {
    let file = folder.join(if puts { "secret.asc" } else { "public.asc" });
    if !file.exists() && puts {
        let secret = key().secret_armored(None).unwrap();
        secret.write_new_file(&file).unwrap();
    } else if !file.exists() {
        fs::write(&file, key().public_key().armored().unwrap()).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_shared-run"));
    command
        .arg(folder.join("store"))
        .arg(place)
        .arg(file)
        .arg(size.to_string())
        .stdout(Stdio::piped());
    command
}

fn start(folder: &Path, place: &str, size: usize, puts: bool) -> Child {
    command(folder, place, size, puts).spawn().unwrap()
}

/// What it made, took and put.
pub fn ended(child: Child) -> String {
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    String::from_utf8(ended.stdout).unwrap()
}

/// Kills the programs that were told of `folder`; gives whether there were any.
fn kill_those_of(folder: &Path) -> bool {
    let folder = folder.to_str().unwrap().as_bytes();
    let of = |one: &fs::DirEntry| {
        let line = fs::read(one.path().join("cmdline")).unwrap_or_default();
        line.windows(folder.len()).any(|part| part == folder)
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter(of);
    let ids = all.filter_map(|one| Pid::from_raw(one.file_name().to_str()?.parse().ok()?));
    let ids: Vec<Pid> = ids.collect();
    for id in &ids {
        // It may have ended by now.
        let _ = kill_process(*id, Signal::KILL);
    }
    !ids.is_empty()
}

fn wait_for(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn who_is_killed_while_putting_leaves_nothing_that_another_takes_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("shared");
    let begun = |name: &str| {
        let items = fs::read_dir(place.join(name));
        items.map_or(0, Iterator::count)
    };
    // Killed when so many files are there, whole or not.
    for files in 1..=5 {
        let _ = fs::remove_dir_all(folder.path().join("store"));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).unwrap();
        let mut child = start(folder.path(), place.to_str().unwrap(), 4 << 20, true);
        wait_for("nothing is put", || {
            begun("contents") + begun("stages") >= files
        });
        child.kill().unwrap();
        child.wait().unwrap();
        let ran = Builder::new().run(&Folder(place.clone()), &reads(key()));
        assert!(ran.warnings.is_empty(), "{files} files: {ran:?}");
    }
    let child = start(folder.path(), place.to_str().unwrap(), 4 << 20, true);
    ended(child);
    let entries = fs::read_dir(place.join("stages")).unwrap();
    let whole = entries.filter(|it| {
        let name = it.as_ref().unwrap().file_name();
        !name.to_str().unwrap().starts_with('.')
    });
    assert_eq!(whole.count(), 4);
}

/// A simple server keeps what came of a file.
#[test]
fn half_a_file_on_a_server_is_taken_by_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("www");
    fs::create_dir(&root).unwrap();
    let server = Server::start(&root).unwrap();
    server.takes();
    let url = server.url("");
    let first = start(folder.path(), &url, SIZE, true);
    assert_eq!(ended(first), "5 0 4\n");
    for path in [entry(&root, "last"), archive(&root, "last")] {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let builder = Builder::new();
        let ran = builder.run(&Web::new(&url).unwrap(), &reads(key()));
        assert_eq!(ran.taken, ["second"], "{ran:?}");
        assert_eq!(ran.warnings.len(), 1, "{ran:?}");
        assert!(ran.warnings[0].starts_with("last here: "), "{ran:?}");
        fs::write(&path, whole).unwrap();
        // Whoever puts replaces what nobody takes.
    }
    fs::write(entry(&root, "last"), "{").unwrap();
    assert_eq!(ended(start(folder.path(), &url, SIZE, true)), "0 0 1\n");
    let ran = Builder::new().run(&Web::new(&url).unwrap(), &reads(key()));
    assert_eq!(ran.taken, ["last"], "{ran:?}");
}

#[test]
fn who_is_killed_while_fetching_goes_on_where_it_was() {
    let (shared, _) = filled();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(shared.path()).unwrap();
    let file = archive(shared.path(), "last");
    let path = format!("/contents/{}", file.file_name().unwrap().to_str().unwrap());
    server.faults(&path, [Fault::Slow(2000, Duration::from_millis(50))]);
    let mut running = start(folder.path(), &server.url(""), SIZE, false);
    let partial = folder.path().join("store/partial");
    wait_for("nothing comes", || {
        let mut items = fs::read_dir(&partial).into_iter().flatten();
        items.any(|item| item.unwrap().metadata().is_ok_and(|it| it.len() > 3000))
    });
    running.kill().unwrap();
    running.wait().unwrap();
    // What it had started goes on, and what both write would be refused: a failure of power ends all of it.
    wait_for("what was started goes on", || !kill_those_of(folder.path()));
    server.requests();
    let again = start(folder.path(), &server.url(""), SIZE, false);
    assert_eq!(ended(again), "1 1 0\n");
    let resumed = server.requests();
    let resumes = |it: &lustre_repo_tests::http::Request| it.from.is_some_and(|from| from > 0);
    assert!(
        resumed.iter().any(|it| it.path == path && resumes(it)),
        "{resumed:?}"
    );
}
