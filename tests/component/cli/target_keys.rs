//! Keys in a site's target, as its file has them: what may stand there, and what is said of all else.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use lustre_packaging::sign::{Key, Secret, Signer as _};
use lustre_repo_tests::command_line::{Home, Run, project};
use lustre_repo_tests::gpg::Gpg;
use lustre_repo_tests::secret_search::SecretParts;

use super::keys::{armored, manglings};

/// A target's file with a value in one of its places.
type Place = fn(&str) -> String;

/// The rehearsal distribution's key: it is no secret, and looks like one.
fn secret() -> Key {
    let file = project().join("specs/distributions/rehearsal/key.asc");
    let text = Secret::new(fs::read(file).unwrap());
    Key::from_armored(&text, "a test", None).unwrap()
}

/// A site's target that says `more`.
fn target(folder: &Path, more: &str) -> PathBuf {
    let path = folder.join("site.toml");
    let text = format!("inherits = 'rehearsal'\n{more}");
    fs::write(&path, text).unwrap();
    path
}

fn plan(home: &Home, more: &str) -> Run {
    let site = tempfile::tempdir().unwrap();
    let path = target(site.path(), more);
    home.run(&["plan", "--target", path.to_str().unwrap()])
}

fn next_key(text: &str) -> String {
    format!("[repository]\nnext_key = '''\n{text}'''\n[repository.release_package]\nrelease = 2\n")
}

/// docs/keys.md, "Another key", step 1.
#[test]
fn a_next_key_is_taken_as_key_export_prints_it() {
    let home = Home::new();
    let armored = secret().public_key_armored().unwrap();
    assert!(armored.lines().count() > 10);
    let one_line = armored.replace('\n', " ");
    let indented = format!(
        "The key of next year:\n\n{}",
        armored.replace('\n', "\r\n  ")
    );
    for text in [&armored, &one_line, &indented] {
        let ran = plan(&home, &next_key(text));
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn no_error_of_a_target_shows_a_byte_of_a_secret_key_wherever_it_stands() {
    let home = Home::new();
    let key = secret();
    let armored = armored();
    let public = key.public_key_armored().unwrap();
    let parts = SecretParts::new(&armored, &public);
    let mut all: Vec<(String, String)> = manglings(&armored)
        .into_iter()
        .map(|(what, text, _)| (what.to_owned(), text))
        .collect();
    all.push((
        "behind its public key".to_owned(),
        format!("{public}{armored}"),
    ));
    let joined = format!("{public}{armored}").replace('\n', " ");
    all.push(("behind its public key, on one line".to_owned(), joined));
    let places: [(&str, Place); 10] = [
        ("next_key", |value| {
            format!("[repository]\nnext_key = {value}\n")
        }),
        ("name", |value| format!("[repository]\nname = {value}\n")),
        ("baseurl", |value| {
            format!("[repository]\nbaseurl = {value}\n")
        }),
        ("version", |value| format!("[lustre]\nversion = {value}\n")),
        ("a list", |value| {
            format!("[lustre]\nconfigure = ['a', {value}]\n")
        }),
        ("not text", |value| {
            format!("[repository]\nkeep = {value}\n")
        }),
        ("not a list", |value| {
            format!("[lustre]\noptions = {value}\n")
        }),
        ("a parent", |value| format!("with = [{value}]\n")),
        ("a name that is none", |value| {
            format!("[repository]\nkey = {value}\n")
        }),
        ("no TOML", |value| {
            format!("[repository]\nname = {value} {value}\n")
        }),
    ];
    for (what, text) in &all {
        for (place, more) in places {
            let ran = plan(&home, &more(&format!("'''\n{text}'''")));
            assert_ne!(ran.code, 0, "{what}, {place}: {ran:?}");
            assert!(ran.stderr.contains("site.toml"), "{what}, {place}: {ran:?}");
            for said in [&ran.stdout, &ran.stderr] {
                let found = parts.is_in(said.as_bytes());
                assert_eq!(found, None, "{what}, {place}");
            }
        }
    }
    // As a program reads it; in the name of a key; and in a comment, which is published by nobody and is in a bundle.
    let site = tempfile::tempdir().unwrap();
    let path = target(site.path(), &next_key(&armored));
    let line = ["--message-format", "json", "plan", "--target"];
    let ran = home.run(&[&line[..], &[path.to_str().unwrap()]].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(parts.is_in(ran.stdout.as_bytes()).is_none());
    assert!(parts.is_in(ran.stderr.as_bytes()).is_none());
    let one_line = armored.replace('\n', "");
    for more in [
        format!("[repository]\n'{one_line}' = 1\n"),
        format!("# {}\n", armored.replace('\n', "\n# ")),
    ] {
        let ran = plan(&home, &more);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("secret key"), "{ran:?}");
        assert!(parts.is_in(ran.stderr.as_bytes()).is_none());
    }
}

#[test]
fn a_sites_defaults_show_nothing_of_a_key_either() {
    let home = Home::new();
    let key = secret();
    let armored = armored();
    let parts = SecretParts::new(&armored, &key.public_key_armored().unwrap());
    let folder = home.path().join(".config/lustre-repo");
    fs::create_dir_all(&folder).unwrap();
    for name in ["key-file", "target", "jobs", "other"] {
        let text = format!("{name} = '''{armored}'''\n");
        fs::write(folder.join("config.toml"), text).unwrap();
        let ran = home.run(&["key", "show"]);
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        assert!(ran.stderr.contains("secret key"), "{name}: {ran:?}");
        assert!(parts.is_in(ran.stderr.as_bytes()).is_none(), "{name}");
    }
}

#[test]
fn a_next_key_that_could_never_sign_is_refused_when_the_target_is_read() {
    const DAY: u32 = 86_400;
    let home = Home::new();
    let key = secret();
    let said = key.public_key().signs_from();
    let public = |key: &Key| key.public_key_armored().unwrap();
    let by_gpg = |kind: &str| {
        let gpg = Gpg::new("A");
        let line = [
            "--passphrase",
            "",
            "--quick-generate-key",
            "B",
            kind,
            "sign",
            "never",
        ];
        assert!(gpg.command().args(line).status().unwrap().success());
        let exported = gpg.command().args(["--armor", "--export", "B"]).output();
        String::from_utf8(exported.unwrap().stdout).unwrap()
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = u32::try_from(now.as_secs()).unwrap();
    let later = Key::generate("Later", now + 1000 * DAY).unwrap();
    let ended = key.renewed(said + DAY, Some(said + 2 * DAY)).unwrap();
    let revoked = key.revoked(now, false).unwrap().armored().unwrap();
    let twice = public(&key).repeat(2);
    for (what, text, why) in [
        ("short", by_gpg("rsa2048"), "RSA with 2048 bits"),
        ("elliptic", by_gpg("ed25519"), "EdDSA"),
        ("ended", public(&ended), "expired at"),
        ("to come", public(&later), "valid only from"),
        ("revoked", revoked, "was revoked by its owner"),
        ("two", twice, "has 2 keys"),
    ] {
        let ran = plan(&home, &next_key(&text));
        assert_eq!(ran.code, 1, "{what}: {ran:?}");
        assert!(
            ran.stderr.contains("repository.next_key") && ran.stderr.contains(why),
            "{what}: {ran:?}"
        );
    }
}
