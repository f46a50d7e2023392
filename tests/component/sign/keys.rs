//! Keys: made, loaded, refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lustre_packaging::sign::{DEV_KEY_CREATED, Error, Key, KeySource, Secret, Signer, dev_key};

use super::tools::{Gpg, TIME, key, reveal, succeed};

/// What our loader says of gpg's export.
pub fn key_of(gpg: &Gpg, what: &str, exporting: &str, opening: Option<&str>) -> Result<Key, Error> {
    let text = Secret::new(gpg.export(what, exporting));
    Key::from_armored(&text, "a test", opening.map(Secret::new).as_ref())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn gpg_reads_the_keys_we_make() {
    let gpg = Gpg::new();
    let dir = tempfile::tempdir().unwrap();
    let public = dir.path().join("public.asc");
    fs::write(&public, key().public_key_armored().unwrap()).unwrap();
    succeed(gpg.command().arg("--import").arg(&public));
    assert_eq!(gpg.fingerprint(), key().fingerprint());
    let listing = succeed(gpg.command().args(["--with-colons", "--list-keys"]));
    let primary: Vec<&str> = listing
        .lines()
        .find(|it| it.starts_with("pub"))
        .unwrap()
        .split(':')
        .collect();
    // Size, algorithm (1 is RSA), made, ends, capabilities.
    assert_eq!((primary[2], primary[3]), ("4096", "1"));
    assert_eq!(
        (primary[5], primary[6]),
        (DEV_KEY_CREATED.to_string().as_str(), "")
    );
    assert!(primary[11].starts_with("sc"), "{listing}");
    assert!(!listing.contains("\nsub"), "{listing}");
    let packets = succeed(gpg.command().arg("--list-packets").arg(&public));
    assert!(
        packets.contains("digest algo 10"),
        "SHA-512 is 10: {packets}"
    );
    assert_eq!(key().public_key().user_ids(), ["Test <test@example.org>"]);
    assert_eq!(key().public_key().expires(), None);
}

#[test]
fn an_encrypted_export_opens_with_its_passphrase_only() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = Secret::new("correct horse");
    let path = reveal(
        &key().secret_armored(Some(&passphrase)).unwrap(),
        dir.path(),
    );
    let open = |passphrase: Option<&Secret>| Key::from_file(&path, passphrase);
    assert!(matches!(open(None), Err(Error::Encrypted { .. })));
    assert!(matches!(
        open(Some(&Secret::new("wrong"))),
        Err(Error::WrongPassphrase { .. })
    ));
    let opened = open(Some(&passphrase)).unwrap();
    assert_eq!(
        opened.sign_detached(b"data", TIME).unwrap(),
        key().sign_detached(b"data", TIME).unwrap()
    );
    // Nothing of a passphrase can be read from what is printed.
    let source = KeySource::File(path.clone());
    for text in [
        format!("{opened:?} {passphrase:?} {source:?}"),
        open(None).unwrap_err().to_string(),
        format!("{:?}", open(Some(&Secret::new("wrong"))).unwrap_err()),
    ] {
        assert!(
            !text.contains("horse") && !text.contains("\"wrong"),
            "{text}"
        );
    }
    // Its public part needs none.
    let public = source.public().unwrap().unwrap();
    assert_eq!(
        public.armored().unwrap(),
        key().public_key_armored().unwrap()
    );
    // gpg opens it as well.
    let gpg = Gpg::new();
    succeed(
        gpg.command()
            .args(["--passphrase", "correct horse", "--import"])
            .arg(&path),
    );
    assert_eq!(
        key_of(
            &gpg,
            "--export-secret-keys",
            "correct horse",
            Some("correct horse")
        )
        .unwrap()
        .fingerprint(),
        key().fingerprint()
    );
}

#[test]
fn an_encrypted_key_of_gpg_says_what_to_do() {
    let gpg = Gpg::new();
    gpg.make(
        "secret words",
        TIME - 100,
        &[],
        &["rsa3072", "sign", "never"],
    );
    let open = |passphrase| key_of(&gpg, "--export-secret-keys", "secret words", passphrase);
    let error = open(None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("LUSTRE_REPO_KEY_PASSPHRASE_FILE"),
        "{error}"
    );
    assert!(matches!(
        open(Some("other words")),
        Err(Error::WrongPassphrase { .. })
    ));
    open(Some("secret words"))
        .unwrap()
        .sign_detached(b"data", TIME)
        .unwrap();
}

#[test]
fn a_key_signs_only_within_its_lifetime() {
    let gpg = Gpg::new();
    gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "2y"]);
    let ended = key_of(&gpg, "--export-secret-keys", "", None).unwrap();
    assert_eq!(
        ended.public_key().expires(),
        Some(u64::from(TIME) - 100 + 2 * 365 * 86_400)
    );
    let error = ended.sign_detached(b"data", TIME - 101).unwrap_err();
    assert!(matches!(error, Error::NotYetValid { .. }), "{error}");
    let late = TIME + 3 * 365 * 86_400;
    let error = ended.sign_detached(b"data", late).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(error.to_string().contains("the signing time"), "{error}");
}

#[test]
fn keys_that_rpm_does_not_take_are_refused() {
    let refused = |options: &[&str], spec: &[&str]| {
        let gpg = Gpg::new();
        gpg.make("", TIME - 100, options, spec);
        key_of(&gpg, "--export-secret-keys", "", None).unwrap_err()
    };
    let error = refused(&[], &["rsa2048", "sign", "never"]);
    assert!(matches!(error, Error::TooWeak { .. }), "{error}");
    assert!(error.to_string().contains("RSA with 2048 bits"), "{error}");
    let error = refused(&[], &["ed25519", "sign", "never"]);
    assert!(matches!(error, Error::TooWeak { .. }), "{error}");
    let error = refused(&[], &["rsa3072", "cert", "never"]);
    assert!(matches!(error, Error::CannotSign { .. }), "{error}");
    let error = refused(
        &["--cert-digest-algo", "SHA1"],
        &["rsa3072", "sign", "never"],
    );
    assert!(matches!(error, Error::WeakSelfSignature { .. }), "{error}");
}

#[test]
fn a_revoked_key_is_refused() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "never"]);
    let path = gpg
        .home()
        .join(format!("openpgp-revocs.d/{fingerprint}.rev"));
    // gpg puts a colon before the armor, against accidents.
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace(":-----", "-----");
    fs::write(&path, text).unwrap();
    succeed(gpg.command().arg("--import").arg(&path));
    let error = key_of(&gpg, "--export-secret-keys", "", None).unwrap_err();
    assert!(matches!(error, Error::Revoked { .. }), "{error}");
}

#[test]
fn texts_that_are_not_one_secret_key_are_refused() {
    let load = |text: &str| Key::from_armored(&Secret::new(text), "the text", None).unwrap_err();
    for text in ["", "no key", &key().public_key_armored().unwrap()] {
        let error = load(text);
        assert!(matches!(error, Error::NotAKey { .. }), "{error}");
        assert!(error.to_string().contains("the text"), "{error}");
    }
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "never"]);
    let add = ["--quick-add-key", &fingerprint, "rsa3072", "sign", "never"];
    succeed(gpg.command().args(["--passphrase", ""]).args(add));
    let error = load(&gpg.export("--export-secret-subkeys", ""));
    assert!(matches!(error, Error::NoSecret { .. }), "{error}");
    assert!(error.to_string().contains(&fingerprint), "{error}");
    // A key with a subkey for signing signs with its primary key all the same.
    let whole = key_of(&gpg, "--export-secret-keys", "", None).unwrap();
    let signature = whole.sign_detached(b"data", TIME).unwrap();
    whole
        .public_key()
        .verify_detached(b"data", &signature)
        .unwrap();
    assert_eq!(whole.fingerprint(), fingerprint);

    succeed(gpg.command().args([
        "--passphrase",
        "",
        "--quick-generate-key",
        "Second",
        "rsa3072",
        "sign",
    ]));
    let error = load(&gpg.export("--export-secret-keys", ""));
    assert!(
        matches!(error, Error::SeveralKeys { count: 2, .. }),
        "{error}"
    );
}

#[test]
fn a_key_file_open_to_others_is_refused_unless_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let path = reveal(&key().secret_armored(None).unwrap(), dir.path());
    assert_eq!(mode(&path), 0o600);
    Key::from_file(&path, None).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Key::from_file(&path, None).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    let error = Key::from_file(&dir.path().join("none"), None).unwrap_err();
    assert!(matches!(error, Error::Path(_)), "{error}");

    let passphrase = Secret::new("p");
    let sealed = dir.path().join("sealed");
    key()
        .secret_armored(Some(&passphrase))
        .unwrap()
        .write_new_file(&sealed)
        .unwrap();
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o644)).unwrap();
    Key::from_file(&sealed, Some(&passphrase)).unwrap();
}

#[test]
fn the_development_key_is_made_once_and_kept_closed() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().join("lustre-repo/keys");
    // Who only wants to know makes nothing.
    let nothing = KeySource::Development(dir.clone()).public().unwrap();
    assert!(nothing.is_none());
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
    // Two at once: one makes it, both have it.
    let (one, two) = std::thread::scope(|scope| {
        let other = scope.spawn(|| dev_key(&dir).unwrap());
        (dev_key(&dir).unwrap(), other.join().unwrap())
    });
    assert_eq!(one.key.fingerprint(), two.key.fingerprint());
    assert!(one.made || two.made);
    assert!(!(one.made && two.made));
    assert_eq!((mode(&dir), mode(&one.path)), (0o700, 0o600));
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    assert_eq!(one.key.public_key().created(), DEV_KEY_CREATED);
    one.key.check_usable(TIME).unwrap();

    let source = KeySource::Development(dir.clone());
    let public = source.public().unwrap().unwrap();
    assert_eq!(public.fingerprint(), one.key.fingerprint());
    let again = source.open(None).unwrap();
    assert_eq!(again.signer.fingerprint(), one.key.fingerprint());
    assert_eq!(again.made, None);

    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    let error = dev_key(&dir).unwrap_err();
    assert!(error.to_string().contains("chmod 700"), "{error}");
}
