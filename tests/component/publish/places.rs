//! Every kind of place, from the first release to the third, with a client that follows.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::http::Server;
use lustre_repo_tests::nginx::Nginx;

use super::client::{Dnf, Watch, serves, snapshot, tidy, whole};
use super::releases::{command, copy, promote, publish, published, releases, tool};
use super::servers::{HOST, Rsyncd, S3, SECRET, Sshd};
use super::world::succeed;

/// Publishes all releases to `to`, which is `at` on the disk.
fn follow(to: &str, at: &Path, publish: &dyn Fn(usize) -> Run) {
    let home = Home::new();
    let client = Dnf::new();
    let url = format!("file://{}", at.display());
    for number in 0..3 {
        let watch = (number > 0).then(|| Watch::new(&[at, &at.join(".releases")]));
        let done = publish(number);
        assert_eq!(done.code, 0, "{to}: {done:?}");
        assert!(done.stderr.contains("was NOT checked"), "{done:?}");
        let missed = watch.map(Watch::missed).unwrap_or_default();
        assert!(
            missed.is_empty(),
            "{to}: not there for a moment: {missed:?}"
        );
        assert_eq!(whole(at), number, "{to}");
        tidy(at, number);
        if number > 0 {
            // It has the metadata of the one before, and does not ask.
            client.downloads(&url, number - 1);
            serves(at, number - 1);
        }
        assert_eq!(client.sees(&url), number);
        let before = snapshot(at);
        let again = publish(number);
        assert_eq!(again.code, 0, "{again:?}");
        assert!(again.stderr.contains("everything was there"), "{again:?}");
        assert!(snapshot(at) == before, "{to}: it changed");
    }
    succeed(
        Command::new("sha256sum")
            .args(["--quiet", "--strict", "-c", "SHA256SUMS"])
            .current_dir(at),
    );
    drop(home);
}

/// Does `work` while somebody reads these files all the time, and finds each of them each time.
fn while_read(at: &Path, paths: &[&str], work: impl FnOnce()) {
    struct Over<'a>(&'a AtomicBool);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut read = 0u64;
            while !over.load(Ordering::SeqCst) {
                for path in paths {
                    fs::read(at.join(path)).unwrap();
                }
                read += 1;
                // The machine is for those who publish.
                std::thread::sleep(Duration::from_micros(200));
            }
            read
        });
        // Also where the work fails.
        let ends = Over(&over);
        work();
        drop(ends);
        assert!(reader.join().unwrap() > 10);
    });
}

#[test]
fn a_folder_has_one_release_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("new/with blank");
    let home = Home::new();
    let to = at.to_str().unwrap();
    let done = published(&home, 0, to);
    assert!(
        done.stderr.contains("its own URL is an example"),
        "{done:?}"
    );
    assert_eq!(whole(&at), 0);
    // dnf takes no blanks in a URL.
    let at = folder.path().join("plain");
    let to = at.to_str().unwrap().to_owned();
    follow(&to, &at, &|number| publish(&home, number, &to, &[]));
    let user = fs::metadata(at.join("manifest.json")).unwrap();
    let own = fs::metadata(releases().at(2).join("manifest.json")).unwrap();
    assert_eq!(user.modified().unwrap(), own.modified().unwrap());
}

#[test]
fn rsyncs_daemon_has_one_release_after_the_other() {
    let server = Rsyncd::new("munge symlinks = no");
    let home = Home::new();
    let to = server.url("deep/lustre");
    follow(&to, &server.path("deep/lustre"), &|number| {
        publish(&home, number, &to, &[])
    });
}

#[test]
fn a_machine_behind_ssh_has_one_release_after_the_other_whatever_its_path() {
    let home = Home::new();
    let server = Sshd::new();
    let sent = |path: &Path, number| {
        let to = format!("{HOST}:{}", path.display());
        let mut command = command(&home, releases().at(number), &to, &[]);
        run(command.env("RSYNC_RSH", server.shell()))
    };
    let folder = server.path("www");
    fs::create_dir(&folder).unwrap();
    let at = folder.join("plain");
    follow("ssh", &at, &|number| sent(&at, number));
    for name in ["with blank", "$(touch evil)", "a'b;c"] {
        let at = folder.join(name);
        let done = sent(&at, 0);
        assert_eq!(done.code, 0, "{name}: {done:?}");
        assert_eq!(whole(&at), 0, "{name}");
    }
    // Its home is where a path without a slash begins.
    let done = sent(Path::new("www/relative"), 0);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(whole(&folder.join("relative")), 0);
    let names: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(!server.path("evil").exists());
    // A machine that is another one by its key, and one that does not let in whoever asks.
    let known = server.path("known_hosts");
    let other = fs::read_to_string(server.path("user.pub")).unwrap();
    let right = fs::read_to_string(&known).unwrap();
    let name = right.split(' ').next().unwrap();
    fs::write(&known, format!("{name} {other}")).unwrap();
    let refused = sent(&folder.join("refused"), 0);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("HOST IDENTIFICATION"),
        "{refused:?}"
    );
    fs::write(&known, right).unwrap();
    fs::remove_file(server.path("user.pub")).unwrap();
    let refused = sent(&folder.join("refused"), 0);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("Permission denied"), "{refused:?}");
    assert!(!folder.join("refused").exists());
}

#[test]
fn an_object_store_has_one_release_after_the_other() {
    let server = S3::new();
    let home = Home::new();
    let to = "s3://bucket/deep/lustre";
    let url = server.url("deep/lustre");
    let client = Dnf::new();
    for number in 0..3 {
        let more = ["--url", url.as_str(), "-v"];
        let mut command = command(&home, releases().at(number), to, &more);
        let done = run(command.envs(server.variables()));
        assert_eq!(done.code, 0, "{done:?}");
        assert!(done.stderr.contains("dnf reads it"), "{done:?}");
        assert!(!done.stderr.contains(SECRET) && !done.stdout.contains(SECRET));
        let at = server.fetched("deep/lustre");
        assert_eq!(whole(&at), number);
        for other in 0..3 {
            let needed = other == number || other + 1 == number;
            assert_eq!(at.join(tool(other)).exists(), needed, "release {other}");
        }
        if number > 0 {
            client.downloads(&url, number - 1);
            serves(&at, number - 1);
        }
        assert_eq!(client.sees(&url), number);
    }
    let at = server.fetched("deep/lustre");
    let repodata = fs::read_dir(at.join("x86_64/repodata")).unwrap();
    let names = repodata.map(|it| it.unwrap().file_name().into_string().unwrap());
    for name in names {
        let path = format!("deep/lustre/x86_64/repodata/{name}");
        let headers = succeed(
            Command::new("curl")
                .args(["-s", "-D", "-", "-o", "/dev/null", "--noproxy", "*"])
                .arg(server.url(&path)),
        );
        let wanted = match name.starts_with("repomd.xml") {
            true => "no-cache",
            false => "immutable",
        };
        assert!(headers.contains(wanted), "{path}: {headers}");
    }
}

#[test]
fn a_repository_that_was_put_there_by_hand_is_taken_over_while_it_is_read() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    copy(releases().at(0), &at);
    // Somebody's own.
    fs::write(at.join("favicon.ico"), "icon").unwrap();
    let paths = ["x86_64/repodata/repomd.xml", "SHA256SUMS"];
    while_read(&at, &paths, || {
        published(&home, 1, at.to_str().unwrap());
    });
    assert_eq!(whole(&at), 1);
    serves(&at, 0);
    assert!(at.join("x86_64/repodata").is_symlink());
    published(&home, 2, at.to_str().unwrap());
    assert_eq!(whole(&at), 2);
    tidy(&at, 2);
    assert_eq!(fs::read(at.join("favicon.ico")).unwrap(), b"icon");

    let server = Rsyncd::new("munge symlinks = no");
    let at = server.path("www");
    copy(releases().at(0), &at);
    for number in [0, 1, 2] {
        published(&home, number, &server.url("www"));
        assert_eq!(whole(&at), number);
        serves(&at, number.saturating_sub(1));
    }
    tidy(&at, 2);
}

#[test]
fn while_a_release_takes_the_place_of_another_every_file_is_found() {
    let home = Home::new();
    let server = Rsyncd::new("munge symlinks = no");
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("www");
    for (to, at) in [
        (plain.to_str().unwrap().to_owned(), plain.clone()),
        (server.url("www"), server.path("www")),
    ] {
        published(&home, 0, &to);
        let paths = ["x86_64/repodata/repomd.xml", "SHA256SUMS", "manifest.json"];
        while_read(&at, &paths, || {
            for number in [1, 2] {
                published(&home, number, &to);
            }
        });
        assert_eq!(whole(&at), 2);
    }
}

#[test]
fn what_would_be_done_is_listed_and_not_done() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let ran = publish(&home, 0, to, &["--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains(&tool(0)) && ran.stderr.contains("nothing was sent"));
    assert!(!at.exists());
    published(&home, 0, to);
    published(&home, 1, to);
    let before = snapshot(&at);
    let ran = publish(&home, 2, to, &["--dry-run", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let sent: Vec<&str> = result["sent"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .filter(|path| path.ends_with(".rpm"))
        .collect();
    // The release package and the kernel are as they were.
    assert_eq!(sent, [tool(2)]);
    let removed = result["removed"].as_array().unwrap();
    assert!(removed.contains(&tool(0).into()), "{result:#}");
    assert_eq!(result["dry_run"], true);
    assert!(snapshot(&at) == before);
}

#[test]
fn the_view_of_a_client_is_told_right_or_wrong() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let url = server.url("/www");
    let ran = publish(&home, 0, to, &["--url", &url, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(result["client"]["result"], "pass", "{result:#}");
    assert_eq!(result["client"]["without_dnf"], serde_json::Value::Null);
    let asked = server.requests();
    let asked = |path: &str| asked.iter().any(|it| it.path == path && it.status == 200);
    for path in [
        "/www/SHA256SUMS.asc",
        "/www/source/repodata/repomd.xml.asc",
        "/www/x86_64/repodata/repomd.xml",
    ] {
        assert!(asked(path), "{path}");
    }
    // A cache that still has the old one; and nothing at all.
    copy(releases().at(0), &folder.path().join("cache"));
    let ran = publish(&home, 1, to, &["--url", &server.url("/cache")]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("is that of another release"), "{ran:?}");
    assert_eq!(whole(&at), 1);
    let file = format!("file://{}", at.display());
    let ran = publish(&home, 1, to, &["--url", &file]);
    assert_eq!(ran.code, 0, "{ran:?}");
    fs::remove_file(at.join(".releases/current")).unwrap();
    let ran = publish(&home, 1, to, &["--url", &file]);
    assert_eq!((ran.code, whole(&at)), (0, 1), "{ran:?}");
}

#[test]
fn through_a_cache_that_goes_by_time_and_size_clients_read_each_release_that_is_published() {
    let home = Home::new();
    let rsyncd = Rsyncd::new("munge symlinks = no");
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("www");
    for (to, at) in [
        (plain.to_str().unwrap().to_owned(), plain.clone()),
        (rsyncd.url("www"), rsyncd.path("www")),
    ] {
        let nginx = Nginx::caching(&at);
        let url = nginx.url();
        let client = Dnf::new();
        let looked = ["--url", url.as_str()];
        for number in 0..3 {
            nginx.ages();
            let ran = match number {
                // Each way to a release.
                1 => {
                    let staged = publish(&home, 1, &to, &["--staging", "--url", &url]);
                    assert_eq!(staged.code, 0, "{staged:?}");
                    let tester = Dnf::new();
                    assert_eq!(tester.sees(&format!("{url}/staging")), 1);
                    assert_eq!(client.sees(&url), 0);
                    nginx.ages();
                    promote(&home, &to, &looked)
                }
                number => publish(&home, number, &to, &looked),
            };
            assert_eq!(ran.code, 0, "{to}: {ran:?}");
            assert!(ran.stderr.contains("dnf reads it"), "{ran:?}");
            let before = nginx.hits();
            assert_eq!(client.sees(&url), number, "{to}");
            client.downloads(&url, number);
            assert!(nginx.hits() > before, "nothing was kept");
        }
    }
}
