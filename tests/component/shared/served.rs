//! Servers that do not do what they should.

use std::fs;
use std::time::{Duration, Instant};

use lustre_packaging::shared::Web;
use lustre_repo_tests::http::{Fault, Server};
use lustre_repo_tests::loopback::free_port;
use lustre_repo_tests::s3::S3;

use super::kills::{command, ended};
use super::{Builder, SIZE, archive, entry, filled, key, reads, writes};

fn below(folder: &std::path::Path, path: &std::path::Path) -> String {
    format!("/{}", path.strip_prefix(folder).unwrap().display())
}

#[test]
fn a_server_gives_and_takes_as_a_folder_does() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    server.takes();
    let place = Web::new(&server.url("/site")).unwrap();
    let ran = Builder::new().run(&place, &writes(key()));
    assert_eq!((ran.made.len(), ran.given.len()), (5, 4), "{ran:?}");
    // What names an archive comes after it.
    let puts: Vec<String> = server
        .requests()
        .into_iter()
        .filter(|it| it.method == "PUT")
        .map(|it| it.path)
        .collect();
    let archive = archive(&folder.path().join("site"), "last");
    let entry = entry(&folder.path().join("site"), "last");
    let at = |path| puts.iter().position(|it| *it == below(folder.path(), path));
    assert!(
        at(&archive) < at(&entry) && at(&archive).is_some(),
        "{puts:?}"
    );
    let builder = Builder::new();
    let ran = builder.run(&place, &reads(key()));
    assert_eq!(ran.taken, ["last"], "{ran:?}");
    builder.is_tidy();
}

#[test]
fn a_password_is_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let url = server.url("").replace("http://", "http://me:secret-word@");
    let place = Web::new(&url).unwrap();
    let ran = Builder::new().run(&place, &writes(key()));
    // It takes nothing.
    assert_eq!(ran.warnings.len(), 1, "{ran:?}");
    assert!(ran.warnings[0].contains("405"), "{ran:?}");
    assert!(!format!("{ran:?}{place}").contains("secret-word"));
    server.takes();
    let ran = Builder::new().run(&place, &writes(key()));
    assert_eq!(ran.given.len(), 4, "{ran:?}");
    let builder = Builder::new();
    builder.run(&place, &reads(key()));
    let mut looked = 0;
    for item in walkdir::WalkDir::new(builder.store.root()) {
        let item = item.unwrap();
        if item.file_type().is_file() {
            looked += 1;
            let bytes = fs::read(item.path()).unwrap();
            assert!(
                !bytes.windows(11).any(|it| it == b"secret-word"),
                "{item:?}"
            );
        }
    }
    assert!(looked > 5);
}

#[test]
fn a_server_that_refuses_or_cannot_be_reached_is_asked_once_and_the_build_goes_on() {
    let (folder, _) = filled();
    let server = Server::start(folder.path()).unwrap();
    for (fault, times, word) in [
        (Fault::Status(401), 1, "401"),
        (Fault::Status(403), 1, "403"),
        (Fault::Status(500), 3, "500"),
        (Fault::Moved(server.url("/round")), 1, "redirect"),
        (Fault::Moved("file:///etc/passwd".to_owned()), 1, "file"),
    ] {
        server.faults("/round", vec![Fault::Moved(server.url("/round")); 99]);
        for stage in ["first", "root"] {
            let path = below(folder.path(), &entry(folder.path(), stage));
            server.faults(&path, vec![fault.clone(); times]);
        }
        let ran = Builder::new().run(&Web::new(&server.url("")).unwrap(), &reads(key()));
        assert_eq!(ran.made.len(), 5, "{fault:?}: {ran:?}");
        assert_eq!(ran.warnings.len(), 1, "{ran:?}");
        assert!(ran.warnings[0].contains(word), "{fault:?}: {ran:?}");
        for stage in ["first", "root"] {
            let path = below(folder.path(), &entry(folder.path(), stage));
            server.faults(&path, []);
        }
    }
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let ran = Builder::new().run(&Web::new(&nobody).unwrap(), &writes(key()));
    assert_eq!((ran.made.len(), ran.given.len()), (5, 0), "{ran:?}");
    assert!(ran.warnings[0].contains("not asked again"), "{ran:?}");
}

#[test]
fn what_passes_is_tried_again() {
    let (folder, _) = filled();
    let server = Server::start(folder.path()).unwrap();
    let entry = below(folder.path(), &entry(folder.path(), "last"));
    let archive = below(folder.path(), &archive(folder.path(), "last"));
    server.faults(&entry, [Fault::Status(503), Fault::Truncate(10)]);
    server.faults(
        &archive,
        [
            Fault::Truncate(5000),
            Fault::Slow(40_000, Duration::from_millis(20)),
        ],
    );
    let ran = Builder::new().run(&Web::new(&server.url("")).unwrap(), &reads(key()));
    assert_eq!(ran.taken, ["last"], "{ran:?}");
    assert!(ran.warnings.is_empty(), "{ran:?}");
}

#[test]
fn an_archive_that_is_cut_short_for_ever_or_another_is_not_used() {
    let (folder, _) = filled();
    let server = Server::start(folder.path()).unwrap();
    let archive = below(folder.path(), &archive(folder.path(), "last"));
    let began = Instant::now();
    for fault in [
        vec![Fault::Status(404)],
        vec![Fault::Status(500); 3],
        vec![Fault::Instead(vec![0; 100])],
        vec![Fault::Instead(vec![0; 10 << 20])],
        vec![Fault::Moved("http://127.0.0.1:1/".to_owned()); 9],
    ] {
        server.faults(&archive, fault.clone());
        let builder = Builder::new();
        let ran = builder.run(&Web::new(&server.url("")).unwrap(), &reads(key()));
        assert_eq!(ran.taken, ["second"], "{ran:?}");
        assert_eq!(ran.made, ["last", "own"]);
        assert!(ran.warnings[0].starts_with("last here: "), "{ran:?}");
        server.faults(&archive, []);
    }
    assert!(began.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_object_store_gives_and_takes_as_a_folder_does() {
    let server = S3::new();
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, puts: bool| {
        let own = folder.path().join(name);
        fs::create_dir(&own).unwrap();
        let mut command = command(&own, "s3://bucket/deep/store", SIZE, puts);
        command.envs(server.variables()).env("no_proxy", "*");
        ended(command.spawn().unwrap())
    };
    assert_eq!(run("empty", false), "5 0 0\n");
    assert_eq!(run("first", true), "5 0 4\n");
    assert_eq!(run("second", false), "1 1 0\n");
    let fetched = server.fetched("deep/store");
    let whole = archive(&fetched, "last");
    fs::write(&whole, "another").unwrap();
    let name = whole.file_name().unwrap().to_str().unwrap();
    let to = format!(":s3:bucket/deep/store/contents/{name}");
    let put = server
        .rclone(&["copyto", "--ignore-times", whole.to_str().unwrap(), &to])
        .output();
    assert!(put.unwrap().status.success());
    assert_eq!(run("third", false), "2 1 0\n");
}
