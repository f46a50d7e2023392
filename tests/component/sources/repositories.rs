//! Source packages from a signed dnf repository.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_packaging::source::{Locked, Source, SrpmSource};
use lustre_repo_tests::http::{Fault, Server};

use super::tools::{Place, build_srpm, createrepo};
use lustre_repo_tests::gpg::Gpg;

const OLD: &str = "553.22.1.el8_10";
const NEW: &str = "553.100.1.el8_10";

/// A place with a repository of two source packages in it, signed by the key.
fn repository(gpg: &Gpg) -> (Place, PathBuf) {
    let place = Place::new();
    let repository = place.path("repository");
    for release in [OLD, NEW] {
        gpg.sign_package(&build_srpm(&repository.join("Packages"), release, release));
    }
    createrepo(&repository);
    gpg.sign_repository(&repository);
    fs::write(place.path("KEY"), gpg.public_key()).unwrap();
    (place, repository)
}

fn source(repository: &str, version: Option<&str>) -> SrpmSource {
    SrpmSource {
        repository: repository.to_owned(),
        package: "model-kernel".to_owned(),
        version: version.map(str::to_owned),
        key: PathBuf::from("KEY"),
        fingerprint: None,
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_signed_repository_gives_its_source_packages() {
    let gpg = Gpg::new("Distribution");
    let (mut place, repository) = repository(&gpg);
    let server = Server::start(&repository).unwrap();
    let mut newest = source(&server.url("/"), None);
    newest.fingerprint = Some(gpg.fingerprint().to_lowercase());
    let newest = Source::Srpm(newest);
    let fetched = place.lock(&newest).unwrap();
    let Locked::Srpm { nevra, href, .. } = &fetched.locked else {
        panic!("{:?}", fetched.locked);
    };
    assert_eq!(nevra, &format!("model-kernel-4.18.0-{NEW}.src"));
    assert_eq!(href, &format!("Packages/model-kernel-4.18.0-{NEW}.src.rpm"));
    let out = place.export(&fetched);
    assert_eq!(fs::read_to_string(out.join("data.txt")).unwrap(), NEW);
    assert!(out.join("model-kernel.spec").is_file());

    let version = format!("4.18.0-{OLD}");
    let old = place
        .lock(&Source::Srpm(source(&shown(&repository), Some(&version))))
        .unwrap();
    assert_eq!(
        fs::read_to_string(place.export(&old).join("data.txt")).unwrap(),
        OLD
    );

    // The lock and the store are enough.
    drop(server);
    place.options.offline = true;
    assert_eq!(
        place.fetch(&newest, &fetched.locked).unwrap().identity(),
        fetched.identity()
    );
}

#[test]
fn a_version_that_is_not_there_is_answered_by_those_that_are() {
    let gpg = Gpg::new("Distribution");
    let (place, repository) = repository(&gpg);
    let error = place
        .lock(&Source::Srpm(source(&shown(&repository), Some("5.14.0"))))
        .unwrap_err();
    assert!(
        error.contains("model-kernel 5.14.0") && error.contains(OLD),
        "{error}"
    );
}

#[test]
fn metadata_that_was_changed_or_is_signed_by_another_is_refused() {
    let gpg = Gpg::new("Distribution");
    let (place, repository) = repository(&gpg);
    let source = Source::Srpm(source(&shown(&repository), None));
    let repomd = repository.join("repodata/repomd.xml");
    let good = fs::read(&repomd).unwrap();

    // Changed after it was signed.
    let mut changed = good.clone();
    changed.extend_from_slice(b"<!-- -->\n");
    fs::write(&repomd, changed).unwrap();
    let error = place.lock(&source).unwrap_err();
    assert!(
        error.contains("signature of") && error.contains("repomd.xml"),
        "{error}"
    );

    // Signed by a key that is not the pinned one: both are named.
    fs::write(&repomd, good).unwrap();
    let other = Gpg::new("Somebody else");
    other.sign_repository(&repository);
    let error = place.lock(&source).unwrap_err();
    let names = error.to_uppercase();
    for key in [gpg.fingerprint(), other.fingerprint()] {
        assert!(names.contains(&key[24..]), "{key}: {error}");
    }

    // Not signed at all.
    fs::remove_file(repository.join("repodata/repomd.xml.asc")).unwrap();
    let error = place.lock(&source).unwrap_err();
    assert!(error.contains("repomd.xml.asc"), "{error}");

    // A pinned fingerprint that is not in the file of keys.
    let mut wrong = super::repositories::source(&shown(&repository), None);
    wrong.fingerprint = Some(other.fingerprint());
    let error = place.lock(&Source::Srpm(wrong)).unwrap_err();
    assert!(
        error.contains(&other.fingerprint()) && error.contains(&gpg.fingerprint()),
        "{error}"
    );
}

#[test]
fn what_metadata_names_is_in_its_repository() {
    let gpg = Gpg::new("Distribution");
    let (place, repository) = repository(&gpg);
    let server = Server::start(&repository).unwrap();
    let outside = place.path("outside");
    let repomd = repository.join("repodata/repomd.xml");
    let text = fs::read_to_string(&repomd).unwrap();
    let (before, rest) = text.split_once("type=\"primary\"").unwrap();
    let (middle, rest) = rest.split_once("href=\"").unwrap();
    let (href, after) = rest.split_once('"').unwrap();
    for (instead, why) in [
        (
            format!("{href}&#10;output = {}&#10;", outside.display()),
            "control character",
        ),
        ("file:///etc/passwd".to_owned(), "neither http nor https"),
        (format!("../repository/{href}"), "leaves its repository"),
    ] {
        let hostile = format!("{before}type=\"primary\"{middle}href=\"{instead}\"{after}");
        fs::write(&repomd, hostile).unwrap();
        fs::remove_file(repository.join("repodata/repomd.xml.asc")).unwrap();
        // Whoever signs may be hostile as well.
        gpg.sign_repository(&repository);
        let error = place
            .lock(&Source::Srpm(source(&server.url("/"), None)))
            .unwrap_err();
        assert!(error.contains(why), "{error}");
        assert!(!outside.exists());
    }
}

#[test]
fn a_replaced_source_package_is_refused() {
    let gpg = Gpg::new("Distribution");
    let (place, repository) = repository(&gpg);
    let server = Server::start(&repository).unwrap();
    let asked = Source::Srpm(source(&server.url("/"), None));
    // Another package under the same name, as the metadata does not have it.
    let other = Place::new();
    let replaced = build_srpm(&other.path(""), NEW, "not what was signed");
    gpg.sign_package(&replaced);
    let path = format!("/Packages/model-kernel-4.18.0-{NEW}.src.rpm");
    server.faults(&path, [Fault::Instead(fs::read(&replaced).unwrap())]);
    let error = place.lock(&asked).unwrap_err();
    assert!(
        (error.contains("wrong digest") || error.contains("is larger than"))
            && error.contains(&path),
        "{error}"
    );

    // In the metadata, but not signed: the repository's own signature is not enough.
    let unsigned = build_srpm(&repository.join("Packages"), "999.el8_10", "unsigned");
    createrepo(&repository);
    gpg.sign_repository(&repository);
    let error = place.lock(&asked).unwrap_err();
    assert!(
        error.contains("999.el8_10") && error.contains("sign"),
        "{error}"
    );
    let (digest, _) = lustre_packaging::store::Digest::of_file(&unsigned).unwrap();
    assert_eq!(place.store().file(&digest), None);
}
