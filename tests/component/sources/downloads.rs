//! Downloads from a server that misbehaves.

use std::fs;
use std::time::Duration;

use lustre_packaging::source::{ArchiveSource, Downloader, Retry, Source};
use lustre_packaging::store::Digest;
use lustre_repo_tests::http::{Fault, Server};

use super::tools::Place;

/// A tar archive with one file, not compressed.
fn archive(size: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..size).map(|n| (n * 31 % 251) as u8).collect();
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("top")).unwrap();
    fs::write(dir.path().join("top/data"), content).unwrap();
    let packed = dir.path().join("x.tar.gz");
    lustre_packaging::archive::pack_tar_gz(&dir.path().join("top"), "top", 0, &packed).unwrap();
    fs::read(packed).unwrap()
}

fn source(urls: &[String], content: &[u8]) -> Source {
    Source::Archive(ArchiveSource {
        urls: urls.to_vec(),
        sha256: Digest::of_bytes(content),
    })
}

/// A place with an archive in it, and a server for it.
fn served() -> (Place, Server, Vec<u8>) {
    let place = Place::new();
    let content = archive(300_000);
    fs::write(place.path("a.tar.gz"), &content).unwrap();
    let server = Server::start(&place.path("")).unwrap();
    (place, server, content)
}

#[test]
fn a_truncated_download_goes_on_where_it_stopped() {
    let (place, server, content) = served();
    let half = content.len() / 2;
    server.faults("/a.tar.gz", [Fault::Truncate(half)]);
    let fetched = place
        .lock(&source(&[server.url("/a.tar.gz")], &content))
        .unwrap();
    let from: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.from)
        .collect();
    assert_eq!(from, [None, Some(half)]);
    let out = place.export(&fetched);
    assert_eq!(fs::read(out.join("data")).unwrap().len(), 300_000);
}

#[test]
fn a_download_goes_on_in_a_later_run() {
    let (mut place, server, content) = served();
    place.options.retry.attempts = 1;
    let source = source(&[server.url("/a.tar.gz")], &content);
    server.faults("/a.tar.gz", [Fault::Truncate(1000)]);
    let error = place.lock(&source).unwrap_err();
    assert!(error.contains("run again to resume"), "{error}");
    server.requests();
    place.lock(&source).unwrap();
    assert_eq!(server.requests()[0].from, Some(1000));
    // And a third needs no server.
    drop(server);
    place.options.offline = true;
    place.lock(&source).unwrap();
}

#[test]
fn a_busy_server_is_asked_again_and_a_missing_file_is_not() {
    let (place, server, content) = served();
    server.faults("/a.tar.gz", [Fault::Status(503), Fault::Status(503)]);
    let url = server.url("/a.tar.gz");
    place
        .lock(&source(std::slice::from_ref(&url), &content))
        .unwrap();
    let answers: Vec<u16> = server
        .requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(answers, [503, 503, 200]);

    let (place, server, content) = served();
    server.faults("/a.tar.gz", vec![Fault::Status(503); 9]);
    let urls = [server.url("/gone"), server.url("/a.tar.gz")];
    let error = place.lock(&source(&urls, &content)).unwrap_err();
    for part in [
        "/gone: ",
        "404",
        "/a.tar.gz: ",
        "503 (tried 3 times)",
        "--mirror",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let answers: Vec<u16> = server
        .requests()
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(answers, [404, 503, 503, 503]);
}

#[test]
fn the_next_place_is_tried() {
    let (place, server, content) = served();
    let urls = [
        server.url("/gone"),
        "http://127.0.0.1:1/closed".to_owned(),
        server.url("/a.tar.gz"),
    ];
    place.lock(&source(&urls, &content)).unwrap();
}

#[test]
fn a_wrong_file_is_an_error_with_both_digests_and_is_not_kept() {
    let (place, server, content) = served();
    let wanted = Digest::of_bytes(b"another file");
    let source = Source::Archive(ArchiveSource {
        urls: vec![server.url("/a.tar.gz")],
        sha256: wanted,
    });
    let error = place.lock(&source).unwrap_err();
    let found = Digest::of_bytes(&content);
    for part in [
        wanted.to_string(),
        found.to_string(),
        server.url("/a.tar.gz"),
    ] {
        assert!(error.contains(&part), "{error}");
    }
    let store = place.store();
    assert_eq!(fs::read_dir(store.partial_dir()).unwrap().count(), 0);
    assert_eq!((store.file(&wanted), store.file(&found)), (None, None));
    // Asked once more, in case it was damaged on its way, and no more: the same wrong file would come again.
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_damaged_file_is_fetched_again_and_that_is_said() {
    let (place, server, content) = served();
    let mut damaged = content.clone();
    damaged[1000] ^= 1;
    let store = place.store();
    let said = std::sync::Mutex::new(Vec::new());
    let hear = |progress: &lustre_packaging::source::Progress| {
        if progress.damaged {
            said.lock().unwrap().push(progress.url.clone());
        }
    };
    let downloader = Downloader::new(&store, false, &[], place.options.retry, &hear);
    let digest = Digest::of_bytes(&content);
    let url = server.url("/a.tar.gz");
    server.faults("/a.tar.gz", [Fault::Instead(damaged.clone())]);
    let urls = [url.clone()];
    for size in [None, Some(content.len() as u64)] {
        let path = downloader.file("lustre", &urls, &digest, size).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content);
        fs::remove_file(path).unwrap();
        server.faults("/a.tar.gz", [Fault::Instead(damaged.clone())]);
    }
    // From the beginning each time.
    let from: Vec<_> = server.requests().iter().map(|one| one.from).collect();
    assert_eq!(from, [None; 4]);
    assert_eq!(*said.lock().unwrap(), [url.clone(), url.clone()]);

    // A place that damages it twice is left for the next.
    fs::write(place.path("b.tar.gz"), &content).unwrap();
    server.faults("/a.tar.gz", vec![Fault::Instead(damaged); 9]);
    let urls = [url, server.url("/b.tar.gz")];
    downloader.file("lustre", &urls, &digest, None).unwrap();
    let asked: Vec<_> = server
        .requests()
        .iter()
        .map(|one| one.path.clone())
        .collect();
    assert_eq!(asked, ["/a.tar.gz", "/a.tar.gz", "/b.tar.gz"]);
}

#[test]
fn a_wrong_file_of_this_machine_is_read_once() {
    let (place, _, content) = served();
    let store = place.store();
    let said = std::sync::Mutex::new(0);
    let hear = |progress: &lustre_packaging::source::Progress| {
        *said.lock().unwrap() += u32::from(progress.damaged);
    };
    let downloader = Downloader::new(&store, false, &[], place.options.retry, &hear);
    let wanted = Digest::of_bytes(b"another file");
    let file = place.path("a.tar.gz").display().to_string();
    let error = downloader.file("lustre", &[file], &wanted, None);
    let error = error.unwrap_err().to_string();
    let found = Digest::of_bytes(&content).to_string();
    assert!(error.contains(&found), "{error}");
    assert_eq!(*said.lock().unwrap(), 0);
}

#[test]
fn a_wrong_part_is_given_up_and_fetched_anew() {
    let (place, server, content) = served();
    let digest = Digest::of_bytes(&content);
    let url = server.url("/a.tar.gz");
    for part in [
        vec![0; 1000],
        vec![0; content.len()],
        vec![0; content.len() + 9],
    ] {
        let place = Place::new();
        let partial = place.store().partial_dir().join(digest.to_string());
        fs::write(partial, part).unwrap();
        place
            .lock(&source(std::slice::from_ref(&url), &content))
            .unwrap();
    }
    // Nor does a server that cannot resume stop it.
    let partial = place.store().partial_dir().join(digest.to_string());
    fs::write(partial, &content[..1000]).unwrap();
    server.faults("/a.tar.gz", [Fault::NoRange]);
    place.lock(&source(&[url], &content)).unwrap();
}

#[test]
fn offline_says_what_is_missing_and_how_to_get_it() {
    let (mut place, server, content) = served();
    place.options.offline = true;
    let error = place
        .lock(&source(&[server.url("/a.tar.gz")], &content))
        .unwrap_err();
    for part in ["lustre", "/a.tar.gz", "--offline", "cargo xtask fetch"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(server.requests(), []);
}

#[test]
fn a_mirror_replaces_a_location() {
    let (mut place, server, content) = served();
    let mirror = format!("https://sources.example/pub={}", server.url(""));
    place.options.mirrors = vec![mirror.parse().unwrap()];
    let asked = ["https://sources.example/pub/a.tar.gz".to_owned()];
    let fetched = place.lock(&source(&asked, &content)).unwrap();
    assert_eq!(server.requests().len(), 1);
    // The lock names the place that the target names, not this machine's mirror.
    let lock = format!("{:?}", fetched.locked);
    assert!(
        lock.contains("sources.example") && !lock.contains("127.0.0.1"),
        "{lock}"
    );

    // A folder is a mirror too, also without network.
    let mut other = Place::new();
    other.options.offline = true;
    let mirror = format!("https://sources.example/pub={}", place.path("").display());
    other.options.mirrors = vec![mirror.parse().unwrap()];
    other.lock(&source(&asked, &content)).unwrap();
}

#[test]
fn a_password_in_a_url_is_not_shown() {
    let (place, server, content) = served();
    let url = server.url("/gone").replace("http://", "http://me:secret@");
    let error = place.lock(&source(&[url], &content)).unwrap_err();
    assert!(
        error.contains("/gone") && !error.contains("secret"),
        "{error}"
    );
}

#[test]
fn progress_is_told_and_ends_at_the_whole() {
    let (place, server, content) = served();
    let pause = Duration::from_millis(50);
    server.faults("/a.tar.gz", [Fault::Slow(content.len() / 8 + 1, pause)]);
    let store = place.store();
    let seen = std::sync::Mutex::new(Vec::new());
    let hear = |progress: &lustre_packaging::source::Progress| {
        seen.lock().unwrap().push(progress.bytes);
    };
    let downloader = Downloader::new(&store, false, &[], Retry::default(), &hear);
    let size = Some(content.len() as u64);
    let digest = Digest::of_bytes(&content);
    let urls = [server.url("/a.tar.gz")];
    downloader.file("lustre", &urls, &digest, size).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last().copied(), size);
}

#[test]
fn what_a_location_has_in_it_is_no_option_of_curl() {
    let (place, server, content) = served();
    let outside = place.path("outside");
    let options = format!("\noutput = {}\n", outside.display());
    for url in [
        format!("{}{options}", server.url("/a.tar.gz")),
        format!("{}\"{options}#", server.url("/a.tar.gz")),
        format!("{}\r{options}", server.url("/a.tar.gz")),
    ] {
        let error = place.lock(&source(&[url], &content)).unwrap_err();
        assert!(error.contains("control character"), "{error}");
        assert!(!error.contains("\noutput"), "{error}");
        assert!(!outside.exists());
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn no_more_is_taken_than_a_file_has() {
    let (place, server, content) = served();
    let store = place.store();
    let retry = Retry {
        attempts: 1,
        first_pause: Duration::ZERO,
    };
    let downloader = Downloader::new(&store, false, &[], retry, &|_| {});
    let digest = Digest::of_bytes(b"another");
    fs::create_dir(place.path("folder")).unwrap();
    let device = "file:///dev/zero".to_owned();
    let large = server.url("/a.tar.gz");
    let folder = place.path("folder").display().to_string();
    for (url, why) in [
        (large, "larger than 1000 bytes"),
        (device, "a device"),
        (folder, "a folder"),
    ] {
        let error = downloader
            .file("lustre", &[url], &digest, Some(1000))
            .unwrap_err()
            .to_string();
        assert!(error.contains(why), "{error}");
        assert_eq!(fs::read_dir(store.partial_dir()).unwrap().count(), 0);
    }
    // Where a server does not say how much comes, the file ends what writes it.
    assert!(content.len() > 1000);
    server.faults("/a.tar.gz", [Fault::Unannounced]);
    let error = downloader
        .file("lustre", &[server.url("/a.tar.gz")], &digest, Some(1000))
        .unwrap_err()
        .to_string();
    assert!(error.contains("larger than 1000 bytes"), "{error}");
    assert_eq!(fs::read_dir(store.partial_dir()).unwrap().count(), 0);
}

#[test]
fn two_threads_fetch_a_file_once() {
    let (place, server, content) = served();
    let store = place.store();
    let downloader = Downloader::new(&store, false, &[], Retry::default(), &|_| {});
    let digest = Digest::of_bytes(&content);
    let urls = [server.url("/a.tar.gz")];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| downloader.file("lustre", &urls, &digest, None).unwrap());
        }
    });
    assert_eq!(server.requests().len(), 1);
}
