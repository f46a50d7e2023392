//! A shared store on the command line: what is missing or cannot be is said before anything is done.

use std::fs;

use lustre_repo_tests::command_line::{Home, Run, run};

/// A home with a key, secret and public.
fn with_key() -> (Home, String, String) {
    let home = Home::new();
    let [secret, public] = ["key.asc", "pub.asc"].map(|name| home.path().join(name));
    let [secret, public] = [secret, public].map(|path| path.display().to_string());
    let id = "Builder <b@example.org>";
    let made = home.run(&["key", "new", "--user-id", id, "--output", &secret]);
    assert_eq!(made.code, 0, "{made:?}");
    let exported = home.run(&["key", "export", "--key-file", &secret]);
    fs::write(&public, exported.stdout).unwrap();
    (home, secret, public)
}

fn refused(ran: &Run, words: &[&str]) {
    assert_eq!(ran.code, 2, "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
}

#[test]
fn what_cannot_be_trusted_or_reached_is_refused_before_anything_is_done() {
    let (home, secret, public) = with_key();
    let build = |more: &[&str]| home.run(&[&["build"][..], more].concat());
    refused(&build(&["--push"]), &["--push", "--store-remote URL"]);
    let shared = home.path().join("shared");
    let shared = shared.to_str().unwrap();
    let remote = ["--store-remote", shared];
    // A mistyped one is not found when everything is built.
    refused(&build(&remote), &["is no folder", "give a folder"]);
    fs::create_dir(shared).unwrap();
    refused(&build(&remote), &["no key is named", "--store-key FILE"]);
    let with = |more: &[&str]| build(&[&remote[..], more].concat());
    refused(
        &with(&["--push", "--store-key", &public]),
        &["0 of the files", "secret key"],
    );
    refused(
        &with(&["--push", "--store-key", &secret, "--store-key", &secret]),
        &["2 of the files"],
    );
    for (place, word) in [
        ("host:path", "a place for rsync"),
        ("rsync://host/module", "a place for rsync"),
        ("ftp://host/path", "`ftp://` is not known"),
        ("https://", "host"),
        ("s3://", "no name of a bucket"),
    ] {
        let ran = build(&["--store-remote", place, "--store-key", &public]);
        refused(&ran, &["--store-remote", word, "s3://BUCKET/PATH"]);
        assert!(!ran.stderr.contains("publish"), "{ran:?}");
    }
    // What the runs of this machine use.
    let folder = home.path().join("other");
    fs::create_dir_all(folder.join("below")).unwrap();
    fs::write(folder.join("lustre-repo-store"), "").unwrap();
    for place in [folder.clone(), folder.join("below")] {
        let place = place.to_str().unwrap();
        let ran = build(&["--store-remote", place, "--store-key", &public]);
        refused(&ran, &["that only this machine uses", "give a folder"]);
    }
    let missing = with(&["--store-key", "/no/such/key"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.stderr.contains("--store-key /no/such/key"));
    assert!(!home.store().exists());
}

#[test]
fn variables_and_defaults_name_it_as_the_line_does() {
    let (home, _, public) = with_key();
    let build = |variables: &[(&str, &str)]| {
        let mut command = home.command(&["build"]);
        run(command.envs(variables.iter().copied()))
    };
    let remote = ("LUSTRE_REPO_STORE_REMOTE", "host:path");
    refused(&build(&[remote]), &["`host:path` is a place for rsync"]);
    let shared = home.path().join("shared");
    fs::create_dir(&shared).unwrap();
    let remote = ("LUSTRE_REPO_STORE_REMOTE", shared.to_str().unwrap());
    refused(&build(&[remote]), &["no key is named"]);
    let none = ("LUSTRE_REPO_STORE_KEY_FILE", "/no/such/key");
    let ran = build(&[remote, none]);
    assert!(ran.stderr.contains("--store-key /no/such/key"), "{ran:?}");
    let folder = home.path().join(".config/lustre-repo");
    fs::create_dir_all(folder.join("shared")).unwrap();
    let defaults = |text: &str| fs::write(folder.join("config.toml"), text).unwrap();
    defaults("store-remote = 'rsync://host/m'\n");
    refused(&build(&[]), &["rsync://host/m"]);
    // The variable counts first.
    refused(&build(&[remote]), &["no key is named"]);
    defaults("store-remote = 'shared'\nstore-key = ['none.asc']\n");
    let ran = build(&[]);
    let own = folder.join("none.asc");
    assert!(ran.stderr.contains(own.to_str().unwrap()), "{ran:?}");
    // Whoever asks nobody needs no key.
    defaults("store-remote = 'shared'\n");
    refused(&home.run(&["plan"]), &["no key is named"]);
    let ran = home.run(&["plan", "--offline"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    defaults(&format!(
        "store-remote = 'shared'\nstore-key = ['{public}']\n"
    ));
    let ran = home.run(&["plan"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    // What puts nothing there signs nothing.
    let ran = home.run(&["plan", "--push"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    refused(&home.run(&["build", "--push"]), &["0 of the files"]);
    assert!(!home.store().exists());
}
