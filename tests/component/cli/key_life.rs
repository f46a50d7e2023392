//! `key new`, `key renew` and `key revoke`: the steps of docs/keys.md.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, PublicKey};
use lustre_repo_tests::command_line::{Home, Run};
use serde_json::Value;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Seconds from when the key was made to its end.
fn lifetime(home: &Home, file: &Path) -> Option<u64> {
    let shown = home.run(&["key", "show", "--json", "--key-file", path(file)]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    Some(shown["expires"].as_u64()? - shown["created"].as_u64().unwrap())
}

#[test]
fn a_key_is_made_with_an_end_renewed_and_revoked() {
    const DAY: u64 = 86_400;
    let home = Home::new();
    let key = |words: &[&str]| -> Run { home.run(&[&["key"], words].concat()) };
    let first = home.path().join("first.key.asc");
    let made = key(&["new", "--user-id", "Site", "--output", path(&first)]);
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("valid until 20"), "{made:?}");
    assert_eq!(lifetime(&home, &first), Some(3 * 365 * DAY));
    let shown = key(&["show", "--key-file", path(&first)]);
    assert!(shown.stdout.contains("valid until 20"), "{shown:?}");
    assert!(!shown.stderr.contains("warning"), "{shown:?}");

    let renew = |output: &Path, period: &str| {
        let key_file = ["--key-file", path(&first), "--output", path(output)];
        key(&[&["renew"], &key_file[..], &["--expires", period]].concat())
    };
    let short = home.path().join("short.key.asc");
    let renewed = renew(&short, "30d");
    assert_eq!(renewed.code, 0, "{renewed:?}");
    let mode = fs::metadata(&short).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let days = lifetime(&home, &short).unwrap() / DAY;
    assert!((30..=31).contains(&days), "{days}");
    // Whoever signs with it is told.
    let shown = key(&["show", "--key-file", path(&short)]);
    assert!(
        shown.stderr.contains("expires on") && shown.stderr.contains("docs/keys.md"),
        "{shown:?}"
    );
    let forever = home.path().join("forever.key.asc");
    assert_eq!(renew(&forever, "never").code, 0);
    assert_eq!(lifetime(&home, &forever), None);
    let ids = [&first, &short, &forever].map(|file| {
        let public = Key::public_in_file(file).unwrap();
        (public.fingerprint(), public.user_ids().to_vec())
    });
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");

    // Nothing is overwritten, by whatever command.
    let again = renew(&short, "1y");
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("never overwritten"), "{again:?}");
    for period in ["0d", "3", "31y", "soon", ""] {
        let refused = renew(&home.path().join("x"), period);
        assert_eq!(refused.code, 2, "{period}: {refused:?}");
    }

    let revoked = home.path().join("revoked.asc");
    let words = ["revoke", "--key-file", path(&first), "--compromised"];
    let ran = key(&[&words[..], &["--output", path(&revoked)]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let text = fs::read_to_string(&revoked).unwrap();
    assert!(text.contains("BEGIN PGP PUBLIC KEY BLOCK"));
    let error = PublicKey::parse(&text).unwrap().check_published();
    assert!(error.unwrap_err().to_string().contains("revoked"));
}

#[test]
fn only_a_release_key_is_renewed_or_revoked() {
    let home = Home::new();
    for command in ["renew", "revoke"] {
        let output = home.path().join("out.asc");
        let ran = home.run(&["key", command, "--output", path(&output)]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("--key-file"), "{ran:?}");
        let agent = "0123456789ABCDEF0123456789ABCDEF01234567";
        let words = ["key", command, "--key-agent", agent, "--output"];
        let ran = home.run(&[&words[..], &[path(&output)]].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("gpg"), "{ran:?}");
        assert!(!output.exists());
    }
}

#[test]
fn a_key_that_has_ended_is_shown_as_that() {
    let home = Home::new();
    let ended = Key::generate_with_lifetime("A", DEV_KEY_CREATED, Some(86_400)).unwrap();
    let file = home.path().join("ended.key");
    let secret = ended.secret_armored(None).unwrap();
    secret.write_new_file(&file).unwrap();
    let shown = home.run(&["key", "show", "--key-file", path(&file)]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.contains("expired on 2020-01-02"), "{shown:?}");
    assert!(!shown.stdout.contains("valid until"), "{shown:?}");
    assert!(
        shown.stderr.contains("warning") && shown.stderr.contains("key renew"),
        "{shown:?}"
    );
    let shown = home.run(&["key", "show", "--json", "--key-file", path(&file)]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["state"], "expired");
}
