//! A key that stays with gpg-agent.

use std::fs;

use lustre_packaging::sign::{
    Error, GpgAgent, KeySource, Secret, Signer, sign_package, verify_package,
};

use super::tools::{Gpg, Rpmkeys, TIME, packages};

#[test]
fn rpm_and_we_accept_what_the_agent_signs() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make("", TIME - 100, &[], &["rsa4096", "sign", "never"]);
    let source = KeySource::Agent {
        fingerprint: fingerprint.clone(),
        home: Some(gpg.home().to_owned()),
    };
    let signer = source.open(None).unwrap().signer;
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one.rpm", "two.rpm"].map(|name| dir.path().join(name));
    for path in [&one, &two] {
        let made = sign_package(&packages().binary, path, signer.as_ref(), TIME).unwrap();
        assert_eq!(made.fingerprint, fingerprint);
    }
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());

    let public = signer.public_key_armored().unwrap();
    let (accepted, words) = Rpmkeys::with(&public).check(&one);
    assert!(accepted, "{words}");
    let agent = GpgAgent::new(&fingerprint, Some(gpg.home()), None).unwrap();
    assert_eq!(verify_package(&one, agent.public_key()).unwrap().time, TIME);

    let armored = signer.sign_detached(b"data", TIME).unwrap();
    assert_eq!(armored, signer.sign_detached(b"data", TIME).unwrap());
    let [data, signature] = ["data", "data.asc"].map(|name| dir.path().join(name));
    fs::write(&data, "data").unwrap();
    fs::write(&signature, armored).unwrap();
    let (accepted, words) = gpg.verify(&data, &signature);
    assert!(accepted, "{words}");
}

#[test]
fn a_locked_key_fails_at_once_and_opens_with_its_passphrase() {
    let gpg = Gpg::new();
    let fingerprint = gpg.make(
        "secret words",
        TIME - 100,
        &[],
        &["rsa3072", "sign", "never"],
    );
    // The agent remembers the passphrase from making the key.
    gpg.forget();
    let agent = |passphrase: Option<&str>| {
        GpgAgent::new(&fingerprint, Some(gpg.home()), passphrase.map(Secret::new)).unwrap()
    };
    let error = agent(None).sign_detached(b"data", TIME).unwrap_err();
    assert!(matches!(error, Error::Agent { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("LUSTRE_REPO_KEY_PASSPHRASE_FILE"),
        "{error}"
    );
    let wrong = agent(Some("other words"));
    let error = wrong.sign_detached(b"data", TIME).unwrap_err();
    assert!(matches!(error, Error::Agent { .. }), "{error}");
    assert!(!format!("{error} {error:?} {wrong:?}").contains("other words"));
    agent(Some("secret words"))
        .sign_rpm_header(b"data", TIME)
        .unwrap();
}

#[test]
fn unsuitable_keys_are_refused_before_anything_is_signed() {
    let gpg = Gpg::new();
    let open = |fingerprint: &str| GpgAgent::new(fingerprint, Some(gpg.home()), None);
    let none = "0123456789ABCDEF0123456789ABCDEF01234567";
    let error = open(none).unwrap_err();
    assert!(matches!(error, Error::AgentKey { .. }), "{error}");
    assert!(error.to_string().contains(none), "{error}");
    assert!(matches!(
        open("test@example.org"),
        Err(Error::NotAFingerprint { .. })
    ));

    let weak = gpg.make("", TIME - 100, &[], &["ed25519", "sign", "never"]);
    assert!(matches!(open(&weak), Err(Error::TooWeak { .. })));

    let gpg = Gpg::new();
    let ended = gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "1d"]);
    let agent = GpgAgent::new(&ended, Some(gpg.home()), None).unwrap();
    let error = agent.sign_detached(b"data", TIME).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    let error = agent.sign_detached(b"data", TIME - 200).unwrap_err();
    assert!(matches!(error, Error::NotYetValid { .. }), "{error}");
}
