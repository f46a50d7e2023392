//! Detached signatures, as over `repomd.xml`.

use std::fs;

use lustre_packaging::sign::{Error, PublicKey, Signer, verify_detached};

use crate::tools::{Gpg, TIME, key, succeed};

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
    let error = verify_detached(b"data", sign(&["--digest-algo", "SHA1"]), &public).unwrap_err();
    assert!(error.to_string().contains("Sha1"), "{error}");
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
