//! The end of a key: renewed and revoked by us, judged by gpg and rpm.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use lustre_packaging::sign::{DEV_KEY_CREATED, Error, Key, PublicKey, Signer, sign_package};

use super::tools::{Gpg, Rpmkeys, key, packages, succeed};

const DAY: u32 = 86_400;

fn now() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(now.as_secs()).unwrap()
}

/// What gpg says of the end of a key.
fn end_by_gpg(public: &str) -> String {
    let gpg = Gpg::new();
    import(&gpg, public);
    let listing = succeed(gpg.command().args(["--with-colons", "--list-keys"]));
    let line = listing.lines().find(|it| it.starts_with("pub")).unwrap();
    line.split(':').nth(6).unwrap().to_owned()
}

fn import(gpg: &Gpg, public: &str) {
    let file = gpg.home().join("public.asc");
    fs::write(&file, public).unwrap();
    succeed(gpg.command().arg("--import").arg(&file));
}

/// Whether gpg with this key takes a signature.
fn takes(gpg: &Gpg, signature: &str) -> (bool, String) {
    let (data, file) = (gpg.home().join("data"), gpg.home().join("data.asc"));
    fs::write(&data, "data").unwrap();
    fs::write(&file, signature).unwrap();
    gpg.verify(&data, &file)
}

#[test]
fn a_renewed_key_is_the_same_key_with_another_end() {
    let now = now();
    for end in [Some(now + 90 * DAY), None] {
        let renewed = key().renewed(now, end).unwrap();
        let public = renewed.public_key();
        assert_eq!(public.fingerprint(), key().fingerprint());
        assert_eq!(public.user_ids(), key().public_key().user_ids());
        assert_eq!(public.expires(), end.map(u64::from));
        let armored = renewed.public_key_armored().unwrap();
        let told = end.map(|end| end.to_string()).unwrap_or_default();
        assert_eq!(end_by_gpg(&armored), told);
        // Through a file and back.
        let text = renewed.secret_armored(None).unwrap();
        let read = Key::from_armored(&text, "a test", None).unwrap();
        assert_eq!(read.public_key().expires(), end.map(u64::from));

        let signature = renewed.sign_detached(b"data", now).unwrap();
        let gpg = Gpg::new();
        import(&gpg, &armored);
        let (taken, said) = takes(&gpg, &signature);
        assert!(taken, "{said}");
        // Again, and back to no end.
        let again = renewed.renewed(now + 1, None).unwrap().public_key();
        assert_eq!(again.expires(), None);
        assert_eq!(end_by_gpg(&again.armored().unwrap()), "");
    }
}

#[test]
fn an_end_that_is_past_and_a_time_before_the_last_word_are_refused() {
    let now = now();
    let error = key().renewed(now, Some(now)).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let error = key().renewed(DEV_KEY_CREATED - 1, None).unwrap_err();
    assert!(
        matches!(error, Error::BeforeSelfSignature { .. }),
        "{error}"
    );
    let renewed = key().renewed(now, None).unwrap();
    let error = renewed.renewed(now - 1, None).unwrap_err();
    assert!(
        matches!(error, Error::BeforeSelfSignature { .. }),
        "{error}"
    );
}

#[test]
fn an_expired_key_signs_again_once_it_is_renewed() {
    let now = now();
    let lifetime = now - DEV_KEY_CREATED - DAY;
    let expired =
        Key::generate_with_lifetime("Test <test@example.org>", DEV_KEY_CREATED, Some(lifetime));
    let expired = expired.unwrap();
    let error = expired.sign_detached(b"data", now - 2 * DAY).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let renewed = expired.renewed(now, Some(now + DAY)).unwrap();
    let signature = renewed.sign_detached(b"data", now).unwrap();
    // Whoever has the key as it was, has to fetch it again: this is why servers are told of another key in time.
    let gpg = Gpg::new();
    import(&gpg, &expired.public_key_armored().unwrap());
    assert!(takes(&gpg, &signature).1.contains("expired"));
    import(&gpg, &renewed.public_key_armored().unwrap());
    let (taken, said) = takes(&gpg, &signature);
    assert!(taken && !said.contains("expired"), "{said}");
}

#[test]
fn nothing_that_a_revoked_key_signed_counts() {
    let signature = key().sign_detached(b"data", now()).unwrap();
    let gpg = Gpg::new();
    import(&gpg, &key().public_key_armored().unwrap());
    assert!(takes(&gpg, &signature).0);
    for compromised in [false, true] {
        let revoked = key().revoked(now(), compromised).unwrap();
        assert!(matches!(
            revoked.check_published(),
            Err(Error::Revoked { .. })
        ));
        let armored = revoked.armored().unwrap();
        let read = PublicKey::parse(&armored).unwrap();
        let error = read.verify_detached(b"data", &signature);
        assert!(matches!(error, Err(Error::Revoked { .. })), "{error:?}");
        // gpg merges it into the key that it has.
        import(&gpg, &armored);
        let said = takes(&gpg, &signature).1;
        assert!(said.contains("revoked"), "{said}");
        let listing = succeed(gpg.command().args(["--with-colons", "--list-keys"]));
        assert!(listing.contains("\npub:r:"), "{listing}");
    }
}

/// What docs/keys.md says of servers: rpm goes on with the key as it was imported, until that is removed.
#[test]
fn rpm_keeps_the_key_that_it_imported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("signed.rpm");
    sign_package(&packages().binary, &path, key(), now()).unwrap();
    let rpmkeys = Rpmkeys::with(&key().public_key_armored().unwrap());
    let check = |path: &Path| rpmkeys.check(path).0;
    assert!(check(&path));
    let revoked = key().revoked(now(), true).unwrap();
    let file = dir.path().join("revoked.asc");
    fs::write(&file, revoked.armored().unwrap()).unwrap();
    let _ = rpmkeys
        .command()
        .arg("--import")
        .arg(&file)
        .output()
        .unwrap();
    assert!(check(&path));
}
