//! `verify` of a repository that somebody gives us: what it is of, whose it is, and how far it is looked into.

use std::fs;
use std::path::Path;

use lustre_repo_tests::command_line::Home;

/// A manifest that says nothing but the target.
pub fn manifest(target: &str) -> String {
    serde_json::json!({
        "format": 1,
        "tool": { "name": "lustre-repo", "version": "0" },
        "target": target,
        "source_date_epoch": 1,
        "key_fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567",
    })
    .to_string()
}

/// A folder with a key that nobody here knows, and a manifest. Gives the key's fingerprint.
pub fn stranger(dist: &Path, target: &str) -> String {
    let maker = Home::new();
    let secret = maker.path().join("key.asc");
    let secret = secret.to_str().unwrap();
    let id = ["--user-id", "A <a@example.org>", "--output", secret];
    assert_eq!(maker.run(&[&["key", "new"][..], &id].concat()).code, 0);
    let public = maker.run(&["key", "export", "--key-file", secret]).stdout;
    fs::write(dist.join("RPM-GPG-KEY-lustre-repo"), public).unwrap();
    fs::write(dist.join("SHA256SUMS"), "").unwrap();
    fs::write(dist.join("manifest.json"), manifest(target)).unwrap();
    let shown = maker.run(&["key", "show", "--json", "--key-file", secret]);
    let shown: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    shown["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn the_target_is_the_one_that_the_manifest_names() {
    let dist = tempfile::tempdir().unwrap();
    let verify = ["verify", "--offline", dist.path().to_str().unwrap()];
    stranger(dist.path(), "nowhere-1");
    for (name, code, words) in [
        ("nowhere-1", 2, "--target PATH.toml"),
        ("../../etc/site.toml", 3, "is not a valid name"),
        ("./site.toml", 3, "is not a valid name"),
        ("site.toml", 3, "is not a valid name"),
        ("", 3, "is not a valid name"),
        ("a\n\u{1b}[31mb", 3, "is not a valid name"),
    ] {
        fs::write(dist.path().join("manifest.json"), manifest(name)).unwrap();
        let home = Home::new();
        let ran = home.run(&verify);
        assert_eq!(ran.code, code, "{name:?}: {ran:?}");
        assert!(
            ran.stderr.contains("manifest.json") && ran.stderr.contains(words),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        assert!(home.is_untouched(), "{name:?}");
    }
    // Another than the default is opened as itself.
    stranger(dist.path(), "debian-12");
    let ran = Home::new().run(&[&verify[..], &["--json"]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(proof["target"], "debian-12");
}

/// Whoever asks whether a repository may be published gets the answer, whatever somebody has made of its files.
#[test]
fn a_repository_that_cannot_say_what_it_is_is_not_to_be_published() {
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    let remake = || {
        let _ = fs::remove_dir_all(&dist);
        fs::create_dir(&dist).unwrap();
        stranger(&dist, "rehearsal");
    };
    let pipe = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 5] = [
        ("No such file", |_| ()),
        ("it is a folder", |path| fs::create_dir(path).unwrap()),
        ("it is a symbolic link", |path| {
            std::os::unix::fs::symlink("/dev/zero", path).unwrap();
        }),
        ("it has 1099511627776 bytes", |path| {
            fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
        }),
        ("UTF-8", |path| fs::write(path, b"\xff").unwrap()),
    ];
    let home = Home::new();
    let verify = |more: &[&str]| {
        let arguments = ["verify", "--offline", "--json", dist.to_str().unwrap()];
        home.run(&[&arguments, more].concat())
    };
    let said = |words: &str, file: &str, check: &str, more: &[&str]| {
        let ran = verify(more);
        assert_eq!(ran.code, 3, "{file}: {words}: {ran:?}");
        let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let found = &proof["checks"][0];
        assert_eq!(
            (&found["name"], &found["result"]),
            (&check.into(), &"fail".into())
        );
        for text in [&ran.stderr, found["message"].as_str().unwrap()] {
            assert!(text.contains(words) && text.contains(file), "{text}");
        }
    };
    let ways = [&[][..], &["--static"], &["--target", "rehearsal"]];
    for (file, check) in [
        ("SHA256SUMS", "sha256sums"),
        ("manifest.json", "manifest"),
        ("RPM-GPG-KEY-lustre-repo", "key"),
    ] {
        remake();
        fs::write(dist.join("lustre-repo.repo"), "").unwrap();
        let path = dist.join(file);
        for (at, (words, change)) in changes.iter().enumerate() {
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir(&path));
            change(&path);
            said(words, file, check, ways[at % ways.len()]);
        }
        fs::remove_file(&path).unwrap();
        pipe(&path);
        said("it is a pipe", file, check, &[]);
    }
    remake();
    fs::write(dist.join("manifest.json"), "no JSON").unwrap();
    said("is not a manifest", "manifest.json", "manifest", &[]);
    // What never was one is a mistake of whoever asks.
    fs::remove_dir_all(&dist).unwrap();
    assert_eq!(verify(&[]).code, 1);
    fs::create_dir(&dist).unwrap();
    fs::write(dist.join("manifest.json"), "{\"name\": \"Photos\"}").unwrap();
    let ran = verify(&[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no repository of this tool"), "{ran:?}");
}

/// Nobody has said which key to expect: what it needs is said, and nothing is unpacked or installed.
#[test]
fn a_strangers_repository_is_looked_at_and_not_trusted() {
    let dist = tempfile::tempdir().unwrap();
    let fingerprint = stranger(dist.path(), "rehearsal");
    let home = Home::new();
    let verify = [
        "verify",
        "--offline",
        "--json",
        dist.path().to_str().unwrap(),
    ];
    let ran = home.run(&verify);
    assert_eq!(ran.code, 3, "{ran:?}");
    for said in [&fingerprint[..], "--public-key", "--trust-on-first-use"] {
        assert!(ran.stderr.contains(said), "{said}: {}", ran.stderr);
    }
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = proof["checks"].as_array().unwrap();
    let result = |name: &str| {
        let found = checks.iter().find(|check| check["name"] == name);
        found.map(|check| check["result"].as_str().unwrap().to_owned())
    };
    assert_eq!(result("key").as_deref(), Some("not-run"));
    // It is not signed at all, so its content is nobody's word.
    assert_eq!(result("metadata-signatures").as_deref(), Some("fail"));
    assert_eq!(result("repodata").as_deref(), Some("not-run"));
    assert_eq!(result("install"), None);

    let ran = home.run(&[&verify[..], &["--trust-on-first-use"]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(proof["checks"][0]["result"], "pass");
    // Whom to trust is said once.
    let both = ["--trust-on-first-use", "--public-key", &fingerprint];
    assert_eq!(home.run(&[&verify[..], &both].concat()).code, 2);
}

#[test]
fn a_second_build_is_compared_with_the_repository_that_is_named() {
    let dist = tempfile::tempdir().unwrap();
    stranger(dist.path(), "rehearsal");
    let home = Home::new();
    let ran = home.run(&[
        "verify",
        "--offline",
        "--reproducible",
        dist.path().to_str().unwrap(),
    ]);
    // Said before anything is built: with another key, no byte of it can be the same.
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(
        ran.stderr
            .contains("0123456789ABCDEF0123456789ABCDEF01234567")
            && ran.stderr.contains("--key-file"),
        "{}",
        ran.stderr
    );
}
