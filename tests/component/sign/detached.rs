//! Detached signatures, as over `repomd.xml`.

use std::fs;

use lustre_packaging::sign::{Error, Key, PublicKey, Secret, Signer, verify_detached};

use super::tools::{Gpg, TIME, key, succeed};

#[test]
fn gpg_agrees_on_detached_signatures() {
    let dir = tempfile::tempdir().unwrap();
    let [data, signature, public] =
        ["repomd.xml", "repomd.xml.asc", "key"].map(|it| dir.path().join(it));
    let armored = key().sign_detached(b"<repomd/>", TIME).unwrap();
    assert_eq!(armored, key().sign_detached(b"<repomd/>", TIME).unwrap());
    let armored_key = key().public_key_armored().unwrap();
    fs::write(&signature, &armored).unwrap();
    fs::write(&public, &armored_key).unwrap();
    let gpg = Gpg::new();
    succeed(gpg.command().arg("--import").arg(&public));

    fs::write(&data, "<repomd/>").unwrap();
    let (accepted, words) = gpg.verify(&data, &signature);
    assert!(accepted && words.contains("Good signature"), "{words}");
    assert_eq!(
        verify_detached(b"<repomd/>", &armored, &armored_key).unwrap(),
        key().fingerprint()
    );

    fs::write(&data, "<repomd />").unwrap();
    assert!(!gpg.verify(&data, &signature).0);
    let error = verify_detached(b"<repomd />", &armored, &armored_key).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
    let error = verify_detached(b"<repomd/>", "garbage", &armored_key).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
}

#[test]
fn we_agree_with_gpg_on_its_signatures() {
    let gpg = Gpg::new();
    gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "never"]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "data").unwrap();
    let sign = |options: &[&str]| {
        let mut command = gpg.command();
        command.args(["--faked-system-time", &format!("{TIME}!")]);
        succeed(
            command
                .args(options)
                .args(["--armor", "-o", "-", "--detach-sign"])
                .arg(&data),
        )
    };
    let public = gpg.export("--export", "");
    // Our key in front of it in the same file, in a block of its own.
    let both = key().public_key_armored().unwrap() + &public;
    let good = sign(&[]);
    assert_eq!(
        verify_detached(b"data", &good, &both).unwrap(),
        gpg.fingerprint()
    );
    assert!(matches!(
        PublicKey::parse(&both),
        Err(Error::SeveralKeys { count: 2, .. })
    ));

    let ours = key().public_key_armored().unwrap();
    let error = verify_detached(b"data", &good, &ours)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&gpg.fingerprint()) && error.contains(&key().fingerprint()),
        "{error}"
    );
    let weak = sign(&["--digest-algo", "SHA1"]);
    let error = verify_detached(b"data", &weak, &public).unwrap_err();
    assert!(error.to_string().contains("Sha1"), "{error}");
    // The proofs of a repository go by the same policy.
    let error = lustre_repository::key::verify_detached(&public, &weak, b"data").unwrap_err();
    assert!(error.to_string().contains("Sha1"), "{error}");
    lustre_repository::key::verify_detached(&public, &good, b"data").unwrap();
    let lifetime = sign(&["--default-sig-expire", "1d"]);
    let error = verify_detached(b"data", &lifetime, &public).unwrap_err();
    assert!(
        error.to_string().contains("expired at 2024-01-02"),
        "{error}"
    );
}

#[test]
fn a_signing_subkey_of_a_distribution_is_accepted() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa3072", "cert", "never"]);
    let add = ["--quick-add-key", &fingerprint, "rsa3072", "sign", "never"];
    let at = format!("{}!", TIME - 50);
    succeed(
        gpg.command()
            .args(["--faked-system-time", &at, "--passphrase", ""])
            .args(add),
    );
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "data").unwrap();
    let sign = ["--armor", "-o", "-", "--detach-sign"];
    let at = format!("{TIME}!");
    let signature = succeed(
        gpg.command()
            .args(["--faked-system-time", &at])
            .args(sign)
            .arg(&data),
    );
    let public = gpg.export("--export", "");
    assert_eq!(
        verify_detached(b"data", &signature, &public).unwrap(),
        fingerprint
    );
    let error = verify_detached(b"date", &signature, &public).unwrap_err();
    assert!(matches!(error, Error::BadSignature { .. }), "{error}");
}

#[test]
fn signatures_and_keys_are_found_as_gpg_finds_them() {
    let gpg = Gpg::new();
    gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "never"]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "data").unwrap();
    let at = format!("{TIME}!");
    let sign = |options: &[&str]| {
        let out = dir.path().join("out");
        let mut command = gpg.command();
        command.args(["--faked-system-time", &at, "--yes", "--output"]);
        succeed(
            command
                .arg(&out)
                .args(options)
                .arg("--detach-sign")
                .arg(&data),
        );
        fs::read(out).unwrap()
    };
    let public = gpg.export("--export", "");
    let ours = key().public_key_armored().unwrap();
    let (theirs, mine) = (
        sign(&["--armor"]),
        key().sign_detached(b"data", TIME).unwrap(),
    );
    let theirs = String::from_utf8(theirs).unwrap();
    let fingerprint = gpg.fingerprint();

    // One key's signature behind the other's: two armors, and two signatures in one block.
    let two = format!("{mine}{theirs}");
    assert_eq!(
        verify_detached(b"data", &two, &public).unwrap(),
        fingerprint
    );
    assert_eq!(
        verify_detached(b"data", &two, &ours).unwrap(),
        key().fingerprint()
    );
    let dearmored = |text: &str| {
        let file = dir.path().join("asc");
        fs::write(&file, text).unwrap();
        let mut command = gpg.command();
        let out = command
            .arg("--dearmor")
            .stdin(fs::File::open(file).unwrap());
        out.output().unwrap().stdout
    };
    let both = [dearmored(&mine), dearmored(&theirs)].concat();
    assert_eq!(
        verify_detached(b"data", &both, &public).unwrap(),
        fingerprint
    );
    assert!(verify_detached(b"date", &both, &public).is_err());
    let neither = [dearmored(&mine), dearmored(&mine)].concat();
    let error = verify_detached(b"data", &neither, &public).unwrap_err();
    assert!(matches!(error, Error::OtherKey { .. }), "{error}");

    // A binary signature with a binary key under the names of armored ones.
    let binary = sign(&[]);
    let key_file = dearmored(&public);
    assert_eq!(
        verify_detached(b"data", &binary, &key_file).unwrap(),
        fingerprint
    );
    assert_eq!(
        PublicKey::parse(&key_file).unwrap().fingerprint(),
        fingerprint
    );

    // Prose around and between blocks, as a distribution's file of all its keys has it.
    let prose = format!(
        "The following keys: -----BEGIN PGP PUBLIC KEY BLOCK----- and so on.\n\nThe old one:\n{ours}\nand, from 2019 on:\r\n{}\nThe end.\n",
        public.replace('\n', "\r\n")
    );
    let found: Vec<String> = PublicKey::parse_many(&prose)
        .unwrap()
        .iter()
        .map(PublicKey::fingerprint)
        .collect();
    assert_eq!(found, [key().fingerprint(), fingerprint.clone()]);
    assert_eq!(
        verify_detached(b"data", &theirs, &prose).unwrap(),
        fingerprint
    );
    let file = dir.path().join("prose");
    fs::write(&file, &prose).unwrap();
    let other = Gpg::new();
    succeed(other.command().arg("--import").arg(&file));
    let listed = succeed(other.command().args(["--with-colons", "--list-keys"]));
    for fingerprint in &found {
        assert!(listed.contains(fingerprint), "{listed}");
    }
}

#[test]
fn what_is_wrong_with_a_signature_is_said_in_words() {
    let key = key().public_key();
    let good = super::tools::key().sign_detached(b"data", TIME).unwrap();
    let cut = &good[..good.len() / 2];
    let changed = good.replacen("wsF", "wsG", 1);
    for bad in ["", "garbage", cut, &changed, "\u{fffd}\0"] {
        let error = key.verify_detached(b"data", bad).unwrap_err().to_string();
        for inside in ["assertion", "left", "nom", "Err", "[", "Error", "{"] {
            assert!(!error.contains(inside), "{error}");
        }
    }
    let error = key.verify_detached(b"date", &good).unwrap_err().to_string();
    assert!(error.contains("does not match the data"), "{error}");
}

#[test]
fn a_key_signs_from_when_it_last_said_what_it_may() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "2y"]);
    let at = format!("{}!", TIME + 50);
    // Its end is moved, after the time that is signed at, and only the newest self-signature goes out.
    succeed(
        gpg.command()
            .args(["--faked-system-time", &at, "--passphrase", ""])
            .args(["--quick-set-expire", &fingerprint, "20y"]),
    );
    let secret = succeed(gpg.command().args(["--passphrase", "", "--armor"]).args([
        "--export-options",
        "export-minimal",
        "--export-secret-keys",
    ]));
    let renewed = Key::from_armored(&Secret::new(secret), "a test", None).unwrap();
    let public = renewed.public_key();
    assert_eq!(public.created(), TIME - 100);
    assert_eq!(public.signs_from(), TIME + 50);
    let error = renewed.sign_detached(b"data", TIME).unwrap_err();
    assert!(
        matches!(error, Error::BeforeSelfSignature { .. }),
        "{error}"
    );
    assert!(public.check_usable(TIME).is_err());
    let signature = renewed.sign_detached(b"data", TIME + 50).unwrap();
    assert_eq!(
        public.verify_detached(b"data", &signature).unwrap(),
        TIME + 50
    );
    public.check_published().unwrap();
}

#[test]
fn a_subkey_signs_nothing_once_it_is_revoked_nor_for_who_wants_the_primary_key() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa3072", "cert,sign", "never"]);
    let early = format!("{}!", TIME - 50);
    let mut command = gpg.command();
    command.args(["--faked-system-time", &early, "--passphrase", ""]);
    succeed(command.args(["--quick-add-key", &fingerprint, "rsa3072", "sign", "never"]));
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::write(&data, "data").unwrap();
    let at = format!("{TIME}!");
    let mut command = gpg.command();
    command.args([
        "--faked-system-time",
        &at,
        "--armor",
        "-o",
        "-",
        "--detach-sign",
    ]);
    let signature = succeed(command.arg(&data));
    let public = PublicKey::parse(gpg.export("--export", "")).unwrap();
    public.verify_detached(b"data", &signature).unwrap();
    let error = public
        .verify_detached_by_primary(b"data", &signature)
        .unwrap_err();
    assert!(error.to_string().contains("dnf5"), "{error}");

    let script = dir.path().join("script");
    fs::write(&script, "key 1\nrevkey\ny\n0\n\ny\nsave\n").unwrap();
    let mut command = gpg.command();
    command.args(["--passphrase", "", "--command-fd", "0", "--no-batch"]);
    let revoked = command
        .args(["--edit-key", &fingerprint])
        .stdin(fs::File::open(&script).unwrap())
        .output()
        .unwrap();
    let public = PublicKey::parse(gpg.export("--export", "")).unwrap();
    let error = public.verify_detached(b"data", &signature);
    assert!(error.is_err(), "{revoked:?}");
}
