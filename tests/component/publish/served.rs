//! `verify URL`: what is served, fetched as clients see it and held against what was signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lustre_packaging::sign::Signer as _;
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::http::{Fault, Server};
use lustre_repo_tests::nginx::Nginx;
use lustre_repository::sums;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::releases::{copy, published, releases, tool};
use super::world::{EPOCH, key};

/// What the small releases say of themselves.
pub const TARGET: &str = "inherits = \"rehearsal\"\n\n[repository]\nname = \"Lustre\"\nbaseurl = \"https://repo.example.org/lustre\"\n";

/// The files that are fetched before anything is known to be signed.
const HEAD: [&str; 4] = [
    "SHA256SUMS",
    "SHA256SUMS.asc",
    "RPM-GPG-KEY-lustre-repo",
    "manifest.json",
];

/// A user who has the target of the small releases, and expects their key.
struct User {
    home: Home,
    target: PathBuf,
}

impl User {
    fn new() -> Self {
        let home = Home::new();
        let target = home.path().join("test.toml");
        fs::write(&target, TARGET).unwrap();
        Self { home, target }
    }

    fn command(&self, url: &str) -> Command {
        let key = releases().at(0).join("RPM-GPG-KEY-lustre-repo");
        let mut command = self.home.command(&["verify", "--static", "--json", url]);
        command.arg("--public-key").arg(key);
        command.arg("--target").arg(&self.target);
        command
    }

    /// What it says of `url`, and its checks by name.
    fn verifies(&self, url: &str) -> (Run, Value) {
        let ran = run(&mut self.command(url));
        let proof = serde_json::from_str(&ran.stdout).unwrap_or(Value::Null);
        (ran, proof)
    }

    /// What is left of what came: nothing.
    #[track_caller]
    fn is_tidy(&self) {
        for folder in ["tmp", "files/sha256", "partial"] {
            let there: Vec<_> = walkdir::WalkDir::new(self.home.store().join(folder))
                .min_depth(1)
                .into_iter()
                .map(|entry| entry.unwrap().into_path())
                .filter(|path| path.extension().is_none_or(|it| it != "run"))
                .collect();
            assert!(there.is_empty(), "{there:?}");
        }
    }
}

pub fn result<'p>(proof: &'p Value, name: &str) -> (&'p str, &'p str) {
    let checks = proof["checks"].as_array().into_iter().flatten();
    let check = checks.into_iter().find(|check| check["name"] == name);
    check.map_or(("none", ""), |check| {
        (
            check["result"].as_str().unwrap(),
            check["message"].as_str().unwrap(),
        )
    })
}

/// A copy of a release, to be served.
fn served(number: usize, at: &Path) {
    copy(releases().at(number), at);
}

/// What was asked for, below `/www`.
fn asked(server: &Server) -> Vec<String> {
    let asked = server.requests().into_iter();
    let mut paths: Vec<String> = asked
        .filter_map(|it| Some(it.path.strip_prefix("/www/")?.to_owned()))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

#[test]
fn every_file_is_fetched_from_where_it_is_served_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let user = User::new();
    published(&user.home, 0, at.to_str().unwrap());
    let server = Server::start(folder.path()).unwrap();
    let text = fs::read_to_string(at.join("SHA256SUMS")).unwrap();
    let mut wanted: Vec<String> = sums::names(&text).map(str::to_owned).collect();
    wanted.extend(sums::LEFT_OUT.map(str::to_owned));
    wanted.sort();
    // Whatever this machine has of an earlier time.
    for _ in 0..2 {
        let (ran, proof) = user.verifies(&server.url("/www/"));
        assert_eq!(result(&proof, "served").0, "pass", "{ran:?}");
        for signed in [
            "key",
            "sha256sums",
            "metadata-signatures",
            "rpmkeys",
            "provenance",
        ] {
            assert_eq!(result(&proof, signed).0, "pass", "{signed}: {proof:#}");
        }
        assert_eq!(asked(&server), wanted);
        user.is_tidy();
    }
    // A real server; and a release that is named by its letters as they are.
    let nginx = Nginx::start(|_| {
        let root = folder.path().display();
        format!("server {{ listen 127.0.0.1:PORT; root {root}; }}\n")
    });
    let (ran, proof) = user.verifies(&format!("{}/www", nginx.url()));
    assert_eq!(result(&proof, "served").0, "pass", "{ran:?}");
    // What does not hold is not kept (these are no releases of the target), and nothing is kept in place of something else.
    let kept = folder.path().join("kept/test");
    let url = format!("{}/www", nginx.url());
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("mine"), "").unwrap();
    for (from, to, code) in [
        (url.as_str(), kept.as_path(), 3),
        (&url, &own, 2),
        (&url, &at.join("x86_64/below"), 2),
        (at.to_str().unwrap(), &kept, 2),
    ] {
        let ran = run(user.command(from).arg("--output").arg(to));
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(!to.join("SHA256SUMS").exists(), "{}", to.display());
    }
    assert!(!kept.exists());
    user.is_tidy();
    let file = format!("file://{}", at.display());
    let (ran, proof) = user.verifies(&file);
    assert_eq!(result(&proof, "served").0, "pass", "{ran:?}");
    user.is_tidy();
}

#[test]
fn what_is_not_served_as_it_was_signed_is_told() {
    let folder = tempfile::tempdir().unwrap();
    served(0, &folder.path().join("www"));
    let server = Server::start(folder.path()).unwrap();
    let user = User::new();
    let url = server.url("/www");
    let package = tool(0);
    let at = format!("/www/{package}");
    let large = vec![b'x'; 1 << 20];
    let status = |status| vec![Fault::Status(status); 9];
    for (path, faults, words) in [
        (at.as_str(), status(404), "404"),
        ("/www/x86_64/repodata/repomd.xml", status(403), "403"),
        ("/www/provenance.intoto.json", status(404), "404"),
        (
            "/www/proof.json",
            vec![Fault::Instead(b"{}".to_vec()); 9],
            "was signed",
        ),
        // More than it has, which is not taken to its end.
        (&at, vec![Fault::Instead(large); 9], "it is larger than"),
        ("/www/SHA256SUMS.asc", status(404), "404"),
        ("/www/manifest.json", status(404), "404"),
    ] {
        server.faults(path, faults);
        let (ran, proof) = user.verifies(&url);
        server.faults(path, []);
        assert_eq!(ran.code, 3, "{path}: {ran:?}");
        let (verdict, said) = result(&proof, "served");
        assert_eq!(verdict, "fail", "{path}: {proof:#}");
        let file = path.strip_prefix("/www/").unwrap();
        for text in [said, &ran.stderr] {
            assert!(
                text.contains(file) && text.contains(words),
                "{path}: {text}"
            );
        }
        user.is_tidy();
    }
    // What broke off goes on where it stopped.
    server.requests();
    server.faults(&at, [Fault::Truncate(100)]);
    let (ran, proof) = user.verifies(&url);
    assert_eq!(result(&proof, "served").0, "pass", "{ran:?}");
    let asked = server.requests();
    assert!(
        asked.iter().any(|it| it.path == at && it.from == Some(100)),
        "{asked:?}"
    );
    // Of many, some are named.
    fs::remove_dir_all(folder.path().join("www/x86_64")).unwrap();
    let (ran, proof) = user.verifies(&url);
    assert_eq!(ran.code, 3, "{ran:?}");
    let (_, said) = result(&proof, "served");
    assert!(said.contains("not tried any more"), "{said}");
    let kept = folder.path().join("kept");
    let ran = run(user.command(&url).arg("--output").arg(&kept));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(!kept.exists());
    // No repository at all is an answer about the URL, and not about a repository.
    let (ran, _) = user.verifies(&server.url("/nothing"));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(
        ran.stderr.contains("no repository of this tool at http://") && ran.stderr.contains("404"),
        "{ran:?}"
    );
    let with_password = server
        .url("/nothing")
        .replace("http://", "http://me:secret@");
    let (ran, _) = user.verifies(&with_password);
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
}

#[test]
fn nothing_that_is_listed_is_fetched_before_the_list_is_known_to_be_signed() {
    let folder = tempfile::tempdir().unwrap();
    let www = folder.path().join("www");
    let server = Server::start(folder.path()).unwrap();
    let user = User::new();
    let url = server.url("/www");
    let mut head = HEAD.map(str::to_owned);
    head.sort();
    let sign = |text: &str| key().sign_detached(text.as_bytes(), EPOCH).unwrap();
    let mine = fs::read_to_string(releases().at(0).join("SHA256SUMS")).unwrap();
    let first = mine.lines().next().unwrap();
    let forged = |name: &str| format!("{}  {name}\n{mine}", "0".repeat(64));
    type Change<'c> = (&'c str, &'c dyn Fn(), &'c str, &'c str);
    let changes: [Change<'_>; 6] = [
        (
            "another key",
            &|| {
                let maker = Home::new();
                let secret = maker.path().join("key.asc");
                let secret = secret.to_str().unwrap();
                let id = ["--user-id", "A <a@example.org>", "--output", secret];
                assert_eq!(maker.run(&[&["key", "new"][..], &id].concat()).code, 0);
                let public = maker.run(&["key", "export", "--key-file", secret]).stdout;
                fs::write(www.join("RPM-GPG-KEY-lustre-repo"), public).unwrap();
            },
            "key",
            "expected",
        ),
        (
            "another list",
            &|| fs::write(www.join("SHA256SUMS"), forged("a")).unwrap(),
            "served",
            "its signature does not hold",
        ),
        (
            "a path that leads elsewhere",
            &|| {
                let text = forged("../../../../evil");
                fs::write(www.join("SHA256SUMS"), &text).unwrap();
                fs::write(www.join("SHA256SUMS.asc"), sign(&text)).unwrap();
            },
            "served",
            "no path in a repository",
        ),
        (
            "a file twice",
            &|| {
                let text = format!("{mine}{first}\n");
                fs::write(www.join("SHA256SUMS"), &text).unwrap();
                fs::write(www.join("SHA256SUMS.asc"), sign(&text)).unwrap();
            },
            "served",
            "twice",
        ),
        (
            "the manifest of another release",
            &|| {
                let other = releases().at(1).join("manifest.json");
                fs::copy(other, www.join("manifest.json")).unwrap();
            },
            "served",
            "that of another release",
        ),
        (
            "more files than there are",
            &|| {
                let more = (0..1100).map(|at| format!("{}  x/{at}\n", "0".repeat(64)));
                let text = mine.clone() + &more.collect::<String>();
                fs::write(www.join("SHA256SUMS"), &text).unwrap();
                fs::write(www.join("SHA256SUMS.asc"), sign(&text)).unwrap();
            },
            "served",
            "at most 1000",
        ),
    ];
    for (what, change, check, words) in changes {
        served(0, &www);
        change();
        server.requests();
        let (ran, proof) = user.verifies(&url);
        assert_eq!(ran.code, 3, "{what}: {ran:?}");
        let (verdict, said) = result(&proof, check);
        assert_eq!(verdict, "fail", "{what}: {proof:#}");
        assert!(said.contains(words), "{what}: {said}");
        let mut asked = asked(&server);
        // Which of them are packages, the list of releases says.
        asked.retain(|path| path != "releases.json");
        assert_eq!(asked, head, "{what}");
        user.is_tidy();
    }
}

#[test]
fn an_interruption_leaves_nothing_of_what_came() {
    let folder = tempfile::tempdir().unwrap();
    served(0, &folder.path().join("www"));
    let server = Server::start(folder.path()).unwrap();
    let user = User::new();
    let at = format!("/www/{}", tool(0));
    server.faults(&at, [Fault::Slow(16, Duration::from_millis(200))]);
    let mut command = user.command(&server.url("/www"));
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let clock = Instant::now();
    while !server.requests().iter().any(|it| it.path == at) {
        let ended = child.try_wait().unwrap();
        let waits = ended.is_none() && clock.elapsed() < Duration::from_secs(120);
        assert!(waits, "{ended:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(130), "{said}");
    assert!(clock.elapsed() < Duration::from_secs(150));
    user.is_tidy();
}

#[test]
fn what_cannot_be_looked_at_is_said_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("www");
    let home = Home::new();
    let install = ["--check", "install"];
    let none = [&install[..], &["--url", "none"]].concat();
    for more in [&install[..], &none] {
        let ran = super::releases::publish(&home, 0, to.to_str().unwrap(), more);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("--check install: "), "{ran:?}");
        assert!(!to.exists());
    }
    for url in ["http://a.example/?x=", "ftp://a.example/", "http://a b/"] {
        let ran = home.run(&["verify", url]);
        assert_eq!(ran.code, 2, "{url}: {ran:?}");
    }
    let ran = home.run(&["verify", "--reproducible", "http://a.example/"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--reproducible"), "{ran:?}");
}

/// The processes that have this on their command line.
fn running(words: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |id: &i32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.split('\0').any(|word| word == words) && line.contains("\0verify\0")
    };
    ids.filter(has).filter_map(Pid::from_raw).collect()
}

#[test]
fn who_is_ended_while_it_is_verified_says_what_is_published_and_leaves_nobody_verifying() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let url = server.url("/www");
    let to = folder.path().join("www");
    let to = to.to_str().unwrap();
    let user = User::new();
    let (home, target) = (&user.home, user.target.to_str().unwrap());
    // What it would be installed on: without, nothing would be sent.
    let ran = run(&mut home.command(&["lock", "--target", target]));
    assert_eq!(ran.code, 0, "{ran:?}");
    for signal in [Signal::INT, Signal::TERM, Signal::KILL] {
        let more = ["--check", "install", "--url", &url, "--target", target];
        // It is published each time: the first fetch of `verify` takes long.
        let head = || vec![Fault::Slow(1, Duration::from_millis(300)); 8];
        let mut command = super::releases::command(home, releases().at(0), to, &more);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let clock = Instant::now();
        let waits = |child: &mut std::process::Child| {
            let ended = child.try_wait().unwrap();
            assert!(
                ended.is_none() && clock.elapsed() < Duration::from_secs(120),
                "{ended:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        // Its own look comes first.
        while running(&url).is_empty() {
            waits(&mut child);
        }
        server.faults("/www/SHA256SUMS", head());
        kill_process(Pid::from_child(&child), signal).unwrap();
        let clock = Instant::now();
        while !running(&url).is_empty() || child.try_wait().unwrap().is_none() {
            assert!(clock.elapsed() < Duration::from_secs(30), "{signal:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
        let done = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&done.stderr);
        if signal != Signal::KILL {
            assert_eq!(done.status.code(), Some(130), "{said}");
            for words in ["it is there, and", &format!("verify {url}")] {
                assert!(said.contains(words), "{words}: {said}");
            }
            assert!(!said.contains("cannot start"), "{said}");
        }
        server.faults("/www/SHA256SUMS", []);
        assert_eq!(super::client::whole(Path::new(to)), 0);
    }
}
