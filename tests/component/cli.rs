//! The command line from outside: exit codes, words on the right stream, and refusing before any work is done.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use lustre_repo_tests::command_line::{Home, project, run};

mod advisories;
mod bundles;
mod config;
mod full;
mod help;
mod installed;
mod key_life;
mod keys;
mod looking;
mod machine;
mod outputs;
mod paths;
mod planning;
mod rebuilding;
mod releases;
mod schemas;
mod shared;
mod stores;
mod target_keys;
mod verifying;
mod waiting;

/// The commands that take a target.
const TARGET_COMMANDS: [&str; 13] = [
    "advisories",
    "compat",
    "watch",
    "repo",
    "plan",
    "preflight",
    "fetch",
    "build",
    "assemble",
    "verify",
    "boot",
    "lock",
    "log",
];

#[test]
fn an_unknown_target_is_wrong_usage_and_the_known_ones_are_named() {
    for command in TARGET_COMMANDS {
        let home = Home::new();
        let ran = home.run(&[command, "--target", "nowhere-1"]);
        assert_eq!(ran.code, 2, "{command}: {ran:?}");
        assert!(
            ran.stderr.contains("nowhere-1") && ran.stderr.contains("rehearsal"),
            "{command}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{command}");
        assert!(home.is_untouched(), "{command}");
    }
}

#[test]
fn a_target_is_a_name_or_the_path_of_a_targets_file() {
    for name in [
        "../targets/rehearsal",
        "/etc/passwd",
        "/no/such/site.toml",
        ".toml",
        ".",
        "",
    ] {
        let home = Home::new();
        let ran = home.run(&["plan", "--target", name]);
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        assert!(home.is_untouched(), "{name}");
    }
}

#[test]
fn what_the_command_line_does_not_know_is_wrong_usage() {
    let wrong: [&[&str]; 7] = [
        &["repo", "--no-such-option"],
        &["no-such-command"],
        &[],
        &["repo", "--jobs", "many"],
        &["repo", "--jobs", "0"],
        &["build", "--offline", "no-such-package"],
        &["key", "export", "--key-file", "a", "--key-agent", "b"],
    ];
    for arguments in wrong {
        let home = Home::new();
        let ran = home.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert_ne!(ran.stderr, "", "{arguments:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(home.is_untouched(), "{arguments:?}");
    }
}

#[test]
fn targets_can_be_read_by_machines() {
    let home = Home::new();
    let ran = home.run(&["targets", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let targets: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let names: Vec<&str> = targets
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|target| target["name"].as_str())
        .collect();
    assert!(names.contains(&"rehearsal"), "{names:?}");
    assert_eq!(
        names.len(),
        fs::read_dir(project().join("specs/targets"))
            .unwrap()
            .count()
    );
    assert!(home.is_untouched());
}

#[test]
fn where_there_is_no_terminal_there_are_no_escape_codes() {
    let lines: [&[&str]; 6] = [
        &["targets"],
        &["targets", "--json"],
        &["--help"],
        &["repo", "--help"],
        &["repo", "--no-such-option"],
        &["plan", "--target", "nowhere-1"],
    ];
    for arguments in lines {
        let ran = Home::new().run(arguments);
        for stream in [&ran.stdout, &ran.stderr] {
            assert!(!stream.contains('\u{1b}'), "{arguments:?}: {stream:?}");
        }
        assert!(ran.stdout.len() + ran.stderr.len() > 0, "{arguments:?}");
    }
}

#[test]
fn a_repository_that_is_not_there_is_an_error_with_the_next_step() {
    let home = Home::new();
    let ran = home.run(&["verify", "--offline", "/no/such/repository"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("/no/such/repository") && ran.stderr.contains("cargo xtask repo"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_repository_with_another_key_than_expected_does_not_hold_and_is_not_looked_into() {
    let home = Home::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let dist = elsewhere.path();
    let secret = dist.join("release.key.asc");
    let secret = secret.to_str().unwrap();
    let id = ["--user-id", "A <a@example.org>", "--output", secret];
    assert_eq!(home.run(&[&["key", "new"][..], &id].concat()).code, 0);
    let public = home.run(&["key", "export", "--key-file", secret]).stdout;
    fs::write(dist.join("RPM-GPG-KEY-lustre-repo"), &public).unwrap();
    fs::write(dist.join("SHA256SUMS"), "").unwrap();
    fs::write(dist.join("manifest.json"), verifying::manifest("rehearsal")).unwrap();
    let verify = ["verify", "--offline", "--json", dist.to_str().unwrap()];

    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let ran = home.run(&[&verify[..], &["--public-key", other]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = proof["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 1, "{checks:#?}");
    assert_eq!(checks[0]["name"], "key");
    assert_eq!(checks[0]["result"], "fail");
    assert!(
        ran.stderr.contains(other) && ran.stderr.contains("--public-key"),
        "{}",
        ran.stderr
    );

    // This machine's development key is expected where none is named; but none is made for that.
    let development = home.path().join(".local/share/lustre-repo/keys");
    assert!(!development.exists());
    assert_eq!(home.run(&["key", "show"]).code, 0);
    assert!(development.exists());
    let ran = home.run(&verify);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("development key"), "{}", ran.stderr);

    // The last eight digits of a fingerprint are no name: anybody can make a key that has them.
    let ran = home.run(&["verify", "--public-key", &other[32..]]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_key_is_never_overwritten() {
    let home = Home::new();
    let file = home.path().join("release.key.asc");
    fs::write(&file, "somebody's key").unwrap();
    let ran = home.run(&[
        "key",
        "new",
        "--user-id",
        "A <a@example.org>",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains(file.to_str().unwrap()),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's key");
}

#[test]
fn a_new_key_is_shown_and_exported_and_stays_secret() {
    let home = Home::new();
    let file = home.path().join("release.key.asc");
    let path = file.to_str().unwrap();
    let made = home.run(&[
        "key",
        "new",
        "--user-id",
        "A <a@example.org>",
        "--output",
        path,
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let shown = home.run(&["key", "show", "--json", "--key-file", path]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let key: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(key["user_ids"][0], "A <a@example.org>");

    let exported = home.run(&["key", "export", "--key-file", path]);
    assert_eq!(exported.code, 0, "{exported:?}");
    // What gpg makes of it is the other opinion.
    let public = home.path().join("public.asc");
    fs::write(&public, &exported.stdout).unwrap();
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--with-colons", "--homedir"])
        .arg(home.path())
        .arg("--show-keys")
        .arg(&public);
    let gpg = run(gpg.stdin(Stdio::null()));
    assert_eq!(gpg.code, 0, "{gpg:?}");
    assert!(
        gpg.stdout.contains(key["fingerprint"].as_str().unwrap()),
        "{}",
        gpg.stdout
    );
    assert!(
        gpg.stdout.contains("pub:") && !gpg.stdout.contains("sec:"),
        "{}",
        gpg.stdout
    );
}
