//! What is not published, and places that do not take it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lustre_packaging::sign::{Key, Secret, Signer};
use lustre_repo_tests::command_line::{Home, project, run};
use lustre_repo_tests::script;
use lustre_repo_tests::small_disk::SmallDisk;

use super::client::{snapshot, whole};
use super::releases::{command, copy, publish, published, releases};
use super::servers::Rsyncd;

#[test]
fn only_a_repository_whose_proofs_hold_is_published() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let [dist, to] = ["dist", "to"].map(|name| folder.path().join(name));
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 6] = [
        ("proof.json", |dist| {
            fs::remove_file(dist.join("proof.json")).unwrap();
        }),
        ("sha256sums", |dist| {
            let path = dist.join("index.html");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace("Lustre", "Luster")).unwrap();
        }),
        ("package-signatures", |dist| {
            let path = dist.join(super::releases::tool(0));
            let mut bytes = fs::read(&path).unwrap();
            let end = bytes.len() - 1;
            bytes[end] ^= 1;
            fs::write(path, bytes).unwrap();
        }),
        ("metadata-signatures", |dist| {
            fs::copy(
                dist.join("source/repodata/repomd.xml"),
                dist.join("x86_64/repodata/repomd.xml"),
            )
            .unwrap();
        }),
        ("manifest", |dist| {
            fs::write(dist.join("manifest.json"), "no JSON").unwrap();
        }),
        ("sha256sums", |dist| {
            fs::write(dist.join("more"), "more").unwrap();
        }),
    ];
    for (check, change) in changes {
        copy(releases().at(0), &dist);
        change(&dist);
        let ran = run(&mut command(&home, &dist, to.to_str().unwrap(), &[]));
        assert_eq!(ran.code, 3, "{check}: {ran:?}");
        assert!(ran.stderr.contains(check), "{check}: {ran:?}");
        assert!(!to.exists(), "{check}");
    }
    // The key has to be the one expected, and somebody has to say which.
    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    for key in [&["--public-key", other][..], &[]] {
        let mut command = home.command(&["publish", "--from"]);
        command.arg(releases().at(0)).args(key).arg(&to);
        let ran = run(&mut command);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains("key"), "{ran:?}");
        assert!(!to.exists());
    }
}

#[test]
fn a_repository_of_another_target_than_the_one_named_and_options_without_effect_are_refused() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let dist = releases().at(0);
    for staging in [&[][..], &["--staging"]] {
        let more = [&["--target", "debian-12"], staging].concat();
        let ran = run(&mut command(&home, dist, to, &more));
        assert_eq!(ran.code, 2, "{ran:?}");
        for words in ["--target debian-12", "is a repository of `"] {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
    }
    for option in [&["--offline"][..], &["--ccache"], &["--max-log", "5"]] {
        let ran = run(&mut command(&home, dist, to, option));
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(option[0]), "{ran:?}");
    }
    assert!(!at.exists());
    let ran = run(&mut command(&home, dist, to, &["--staging"]));
    assert_eq!(ran.code, 0, "{ran:?}");
    let promoted = ["--target", "debian-12"];
    let ran = super::releases::promote(&home, to, &promoted);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("is a repository of `"), "{ran:?}");
    let tar = folder.path().join("a.tar");
    let key = dist.join("RPM-GPG-KEY-lustre-repo");
    let mut bundle = home.command(&["bundle", "--target", "debian-12", "--output"]);
    bundle.arg(&tar).arg("--release").arg(dist);
    let ran = run(bundle.arg("--public-key").arg(key));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr.contains("is a repository of `") && !tar.exists(),
        "{ran:?}"
    );
}

#[test]
fn what_does_not_follow_what_is_published_is_refused_and_can_be_forced() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    // One that was never published in between contradicts nothing.
    published(&home, 2, to);
    let before = snapshot(&at);
    let back = publish(&home, 1, to, &[]);
    assert_eq!(back.code, 1, "{back:?}");
    for words in ["does not follow", "lower-evr", "--replace-anyway"] {
        assert!(back.stderr.contains(words), "{words}: {back:?}");
    }
    assert!(snapshot(&at) == before);
    let forced = publish(&home, 1, to, &["--replace-anyway"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert!(forced.stderr.contains("replaced anyway"), "{forced:?}");
    assert_eq!(whole(&at), 1);
}

#[test]
fn what_another_key_signed_is_not_replaced() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    copy(releases().at(0), &at);
    let secret = project().join("specs/distributions/rehearsal/key.asc");
    let secret = Secret::new(fs::read(secret).unwrap());
    let other = Key::from_armored(&secret, "the test", None).unwrap();
    let sums = fs::read(at.join("SHA256SUMS")).unwrap();
    let signature = other.sign_detached(&sums, super::world::EPOCH).unwrap();
    fs::write(at.join("SHA256SUMS.asc"), signature).unwrap();
    let ran = publish(&home, 1, to, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("does not hold"), "{ran:?}");
    let public = other.public_key_armored().unwrap();
    fs::write(at.join("RPM-GPG-KEY-lustre-repo"), public).unwrap();
    let ran = publish(&home, 1, to, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("another key") && ran.stderr.contains(&other.fingerprint()),
        "{ran:?}"
    );
    // Nor is what cannot be told.
    fs::write(at.join("manifest.json"), "{}").unwrap();
    let ran = publish(&home, 1, to, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!at.join(".releases").exists());
    let ran = publish(&home, 1, to, &["--replace-anyway"]);
    assert_eq!((ran.code, whole(&at)), (0, 1), "{ran:?}");
}

#[test]
fn a_place_that_is_none_is_refused_before_anything_is_sent() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    copy(releases().at(0), &dist);
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("1.jpg"), "mine").unwrap();
    fs::write(folder.path().join("file"), "mine").unwrap();
    symlink(&dist, folder.path().join("link")).unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let before = snapshot(folder.path());
    for (to, words) in [
        (at("photos"), "1.jpg"),
        (at("file"), "it is no folder"),
        (at("file/below"), "Not a directory"),
        (at("dist"), "it is the repository"),
        (at("dist/x86_64/new"), "it is the repository"),
        (at("link/new"), "it is the repository"),
        (at(""), "it is the repository"),
        (at("new/../dist"), "`..`"),
        ("localhost:a/../b".to_owned(), "`..`"),
        ("user:secret@localhost:a".to_owned(), "host"),
        ("ftp://localhost/a".to_owned(), "ftp"),
        ("rclone::s3,secret_access_key=x:bucket".to_owned(), "REMOTE"),
        ("a\nb".to_owned(), "control character"),
    ] {
        let ran = run(&mut command(&home, &dist, &to, &[]));
        assert!([1, 2].contains(&ran.code), "{to}: {ran:?}");
        assert!(ran.stderr.contains(words), "{to}: {ran:?}");
        assert!(snapshot(folder.path()) == before, "{to}");
    }
    // What looks like an option is none of the programs that are started.
    for to in ["-e sh:path", "-oProxyCommand=touch evil:path"] {
        let mut command = command(&home, &dist, "--", &[]);
        let ran = run(command.arg(to).current_dir(folder.path()));
        assert_eq!(ran.code, 2, "{to}: {ran:?}");
        assert!(ran.stderr.contains("begins with"), "{to}: {ran:?}");
    }
    assert!(snapshot(folder.path()) == before);
}

#[test]
fn a_place_that_takes_nothing_is_told_and_clients_read_what_they_read() {
    let home = Home::new();
    let disk = SmallDisk::new("4m");
    let at = disk.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    // Other things fill it.
    let mut size = 1 << 20;
    for number in 0.. {
        let name = disk.path().join(format!("fill-{number}"));
        if fs::write(&name, vec![0; size]).is_err() {
            fs::remove_file(name).unwrap();
            size /= 2;
        }
        if size < 4096 {
            break;
        }
    }
    let ran = publish(&home, 1, to, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("the disk is full"), "{ran:?}");
    assert_eq!(whole(&at), 0);
    for entry in fs::read_dir(disk.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("fill-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    published(&home, 1, to);
    assert_eq!(whole(&at), 1);

    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    published(&home, 0, at.to_str().unwrap());
    let key = releases().at(1).join("RPM-GPG-KEY-lustre-repo");
    let ran = home.run_read_only(
        folder.path(),
        &[
            "publish",
            "--public-key",
            key.to_str().unwrap(),
            "--from",
            releases().at(1).to_str().unwrap(),
            at.to_str().unwrap(),
        ],
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["Read-only", "make the file system writable"] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    assert_eq!(whole(&at), 0);
}

#[test]
fn a_daemon_whose_links_lead_nowhere_or_that_takes_nothing_is_told() {
    let home = Home::new();
    let server = Rsyncd::new("munge symlinks = yes");
    let at = server.path("www");
    copy(releases().at(0), &at);
    let ran = publish(&home, 1, &server.url("www"), &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("munge symlinks = no"), "{ran:?}");
    assert_eq!(whole(&at), 0);
    let server = Rsyncd::new("munge symlinks = no\nread only = yes");
    let ran = publish(&home, 0, &server.url("www"), &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("read only = no"), "{ran:?}");
    let gone = server.url("www");
    drop(server);
    let ran = publish(&home, 0, &gone, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
}

#[test]
fn what_a_place_elsewhere_says_comes_with_what_to_do() {
    let home = Home::new();
    let server = Rsyncd::new("munge symlinks = no");
    let port = lustre_repo_tests::loopback::free_port();
    let gone = format!("rsync://127.0.0.1:{port}/m/x");
    let unknown = server.url("x").replace("/m/x", "/unknown/x");
    let store = |key: &str| {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}")),
            ("AWS_ACCESS_KEY_ID", key.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("RCLONE_LOW_LEVEL_RETRIES", "1".to_owned()),
        ]
    };
    let folder = tempfile::tempdir().unwrap();
    // Stands for ssh, and says so, as to a terminal.
    let says = |words: &str, code: u8| {
        let program = folder.path().join(format!("says-{code}-{}", words.len()));
        let text = format!("#!/bin/sh\nprintf '{words}\\r\\n' >&2\nexit {code}\n");
        script::write(&program, text).unwrap();
        program.display().to_string()
    };
    let refused = says("ssh: connect to host web port 22: Connection refused", 255);
    let denied = says("me@web: Permission denied (publickey).", 255);
    let lacks = says("sh: 1: rsync: not found", 127);
    for (to, shell, help) in [
        (gone.as_str(), "ssh", "rsyncd.conf"),
        (unknown.as_str(), "ssh", "module"),
        ("web:/srv/www", &refused, "ssh web"),
        ("me@web:/srv/www", &denied, "ssh me@web"),
        ("web:/srv/www", &lacks, "install rsync"),
        ("rclone:nope:x", "ssh", "rclone config"),
        ("s3://bucket/x", "ssh", "AWS_ENDPOINT_URL"),
    ] {
        for promoted in [false, true] {
            let mut command = match promoted {
                false => command(&home, releases().at(0), to, &[]),
                true => super::releases::promote_command(&home, to, &[]),
            };
            let ran = run(command.env("RSYNC_RSH", shell).envs(store("key")));
            assert_eq!(ran.code, 1, "{to}: {ran:?}");
            let advice = ran.stderr.split("help: ").nth(1).unwrap_or_default();
            assert!(advice.contains(help), "{help}: {to}: {ran:?}");
            for words in ["\\r", "\r"] {
                assert!(!ran.stderr.contains(words), "{to}: {ran:?}");
            }
        }
    }
}

#[test]
fn what_a_program_lacks_is_asked_for_where_it_is_needed() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let programs = folder.path().join("bin");
    fs::create_dir(&programs).unwrap();
    for name in ["curl", "true"] {
        let program = programs.join(name);
        script::write(&program, "#!/bin/sh\n").unwrap();
    }
    for (to, words) in [
        ("localhost:a", "rsync"),
        ("s3://bucket/a", "rclone"),
        (folder.path().join("www").to_str().unwrap(), ""),
    ] {
        let mut command = command(&home, releases().at(0), to, &["--url", "none"]);
        let ran = run(command.env("PATH", &programs));
        assert_eq!(ran.code, i32::from(!words.is_empty()), "{to}: {ran:?}");
        assert!(ran.stderr.contains(words), "{to}: {ran:?}");
    }
}
