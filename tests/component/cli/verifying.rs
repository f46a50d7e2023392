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
    for name in [
        "nowhere-1",
        "../../etc/site.toml",
        "./site.toml",
        "",
        "a\n\u{1b}[31mb",
    ] {
        fs::write(dist.path().join("manifest.json"), manifest(name)).unwrap();
        let home = Home::new();
        let ran = home.run(&verify);
        assert_eq!(ran.code, 2, "{name:?}: {ran:?}");
        assert!(
            ran.stderr.contains("manifest.json") && ran.stderr.contains("--target PATH.toml"),
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
