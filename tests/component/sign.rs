//! Signing packages, against rpm's and GnuPG's own judgement.

mod agent;
mod detached;
mod keys;
mod life;
mod tools;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::sign::{Error, Key, Signer, sign_package, sign_packages, verify_package};
use sha2::{Digest, Sha256};
use tools::{BUILT, Gpg, Rpmkeys, TIME, Unreachable, key, packages, rpmbuild, succeed};

fn rpmkeys() -> Rpmkeys {
    Rpmkeys::with(&key().public_key_armored().unwrap())
}

/// A signed copy of a package in `dir`.
fn signed(dir: &Path, unsigned: &Path) -> PathBuf {
    let path = dir.join("signed.rpm");
    sign_package(unsigned, &path, key(), TIME).unwrap();
    path
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Where the main header and the payload begin.
fn offsets(package: &Path) -> (usize, usize) {
    let metadata = rpm::PackageMetadata::open(package).unwrap();
    let offsets = metadata.get_package_segment_offsets();
    (offsets.header as usize, offsets.payload as usize)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn rpm_accepts_what_we_sign() {
    let rpmkeys = rpmkeys();
    for unsigned in [&packages().binary, &packages().source] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out.rpm");
        let made = sign_package(unsigned, &path, key(), TIME).unwrap();
        let (accepted, words) = rpmkeys.check(&path);
        assert!(accepted, "{words}");
        assert!(words.contains("Header V4 RSA/SHA256 Signature"), "{words}");
        assert!(words.contains("Payload SHA256 digest: OK"), "{words}");

        let bytes = fs::read(&path).unwrap();
        assert_eq!(made.unsigned_sha256, sha256(&fs::read(unsigned).unwrap()));
        assert_eq!((made.size, made.time), (bytes.len() as u64, TIME));
        let verified = verify_package(&path, &key().public_key()).unwrap();
        assert_eq!(
            (verified.sha256, verified.size),
            (sha256(&bytes), made.size)
        );
        assert_eq!(
            (verified.time, verified.fingerprint),
            (TIME, key().fingerprint())
        );

        // The payload and the main header are as they were, and so is what rpm reads from the old signature header.
        let query = "--qf=%{NEVRA} %{ARCHIVESIZE} %{SIGSIZE} %{SHA1HEADER} %{SHA256HEADER}";
        let read = |path: &Path| {
            succeed(
                Command::new("rpm")
                    .args(["-qp", "--nosignature", query])
                    .arg(path),
            )
        };
        assert_eq!(read(unsigned), read(&path));
        let (old, new) = (offsets(unsigned), offsets(&path));
        assert_eq!(fs::read(unsigned).unwrap()[old.0..], bytes[new.0..]);
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mtime(), i64::from(BUILT));
        assert_eq!(metadata.mode() & 0o777, 0o644);
        assert_eq!(names(dir.path()), ["out.rpm"]);
    }
}

#[test]
fn one_key_and_time_give_the_same_bytes_signed_before_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let once = fs::read(signed(dir.path(), &packages().binary)).unwrap();
    // In place, over a signature of another time.
    let path = dir.path().join("again.rpm");
    sign_package(&packages().binary, &path, key(), TIME + 1).unwrap();
    assert_ne!(fs::read(&path).unwrap(), once);
    sign_package(&path, &path, key(), TIME).unwrap();
    assert_eq!(fs::read(&path).unwrap(), once);
}

#[test]
fn a_signature_by_another_key_is_replaced() {
    let gpg = Gpg::new();
    gpg.make("", TIME - 100, &[], &["rsa3072", "sign", "never"]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.rpm");
    let other = keys::key_of(&gpg, "--export-secret-keys", "", None).unwrap();
    sign_package(&packages().binary, &path, &other, TIME).unwrap();
    let error = verify_package(&path, &key().public_key()).unwrap_err();
    assert!(error.to_string().contains(&other.fingerprint()), "{error}");
    assert!(!rpmkeys().check(&path).0);

    sign_package(&path, &path, key(), TIME).unwrap();
    assert_eq!(
        fs::read(&path).unwrap(),
        fs::read(signed(dir.path(), &packages().binary)).unwrap()
    );
}

#[test]
fn unsigned_packages_are_told_from_signed_ones() {
    let error = verify_package(&packages().binary, &key().public_key()).unwrap_err();
    assert!(matches!(error, Error::Unsigned { .. }), "{error}");
    assert!(!rpmkeys().check(&packages().binary).0);
}

#[test]
fn a_signature_that_only_rpm_6_looks_at_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = signed(dir.path(), &packages().binary);
    let mut bytes = fs::read(&path).unwrap();
    // In the index of the signature header: the tag `RSA` becomes one that means nothing, `OPENPGP` (278) stays.
    let rsa = [0, 0, 1, 12];
    let at = bytes[112..]
        .chunks(16)
        .position(|entry| entry[..4] == rsa)
        .unwrap();
    bytes[112 + at * 16 + 3] = 20;
    fs::write(&path, bytes).unwrap();
    let error = verify_package(&path, &key().public_key()).unwrap_err();
    assert!(matches!(error, Error::Unsigned { .. }), "{error}");
}

#[test]
fn any_changed_byte_is_found_as_rpm_finds_it() {
    let dir = tempfile::tempdir().unwrap();
    let good = signed(dir.path(), &packages().binary);
    let bytes = fs::read(&good).unwrap();
    let (header, payload) = offsets(&good);
    let summary = header
        + bytes[header..]
            .windows(16)
            .position(|it| it == b"A sample package")
            .unwrap();
    let rpmkeys = rpmkeys();
    let public = key().public_key();
    let bad = dir.path().join("bad.rpm");
    let try_with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.clone();
        change(&mut changed);
        fs::write(&bad, changed).unwrap();
        let (accepted, words) = rpmkeys.check(&bad);
        assert!(!accepted, "{words}");
        verify_package(&bad, &public).unwrap_err()
    };

    let error = try_with(&|bytes| bytes[summary] = b'B');
    assert!(
        matches!(
            error,
            Error::Digest {
                what: "main header",
                ..
            }
        ),
        "{error}"
    );
    let error = try_with(&|bytes| bytes[payload + 20] ^= 1);
    assert!(
        matches!(
            error,
            Error::Digest {
                what: "payload",
                ..
            }
        ),
        "{error}"
    );
    let error = try_with(&|bytes| bytes.truncate(bytes.len() - 1));
    assert!(
        matches!(
            error,
            Error::Digest {
                what: "payload",
                ..
            }
        ),
        "{error}"
    );
    let error = try_with(&|bytes| bytes.push(0));
    assert!(
        matches!(
            error,
            Error::Digest {
                what: "payload",
                ..
            }
        ),
        "{error}"
    );
    let error = try_with(&|bytes| bytes.truncate(payload - 1));
    assert!(matches!(error, Error::BadPackage { .. }), "{error}");
    // An index entry that points out of the header.
    let error = try_with(&|bytes| bytes[header + 16 + 8] = 0x7f);
    assert!(matches!(error, Error::BadPackage { .. }), "{error}");

    // One byte anywhere in the main header or the payload, without a panic.
    for at in (header..bytes.len()).step_by(7) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        fs::write(&bad, changed).unwrap();
        assert!(verify_package(&bad, &public).is_err(), "byte {at}");
    }
    // And anywhere before: what is accepted there must be nothing that rpm looks at.
    for at in (0..header).step_by(3) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x41;
        fs::write(&bad, changed).unwrap();
        if verify_package(&bad, &public).is_ok() {
            let (accepted, words) = rpmkeys.check(&bad);
            assert!(accepted, "byte {at}: {words}");
        }
    }
}

#[test]
fn a_damaged_input_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(&packages().binary).unwrap();
    let (header, payload) = offsets(&packages().binary);
    let input = tempfile::tempdir().unwrap();
    let input = input.path().join("in.rpm");
    let output = dir.path().join("out.rpm");

    for (at, what) in [(header + 300, "main header"), (payload + 20, "payload")] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&input, &changed).unwrap();
        let error = sign_package(&input, &output, key(), TIME).unwrap_err();
        assert!(error.to_string().contains("in.rpm"), "{error}");
        assert!(
            matches!(error, Error::Digest { what: found, .. } if found == what)
                || matches!(error, Error::BadPackage { .. }),
            "{error}"
        );
        assert!(names(dir.path()).is_empty());
    }

    // What was there before stays.
    fs::write(&output, "old").unwrap();
    assert!(sign_package(&input, &output, key(), TIME).is_err());
    assert_eq!(fs::read(&output).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["out.rpm"]);

    // No key is asked for what is no package.
    for text in [&b""[..], b"not a package", &bytes[..payload - 1]] {
        fs::write(&input, text).unwrap();
        let error = sign_package(&input, &output, &Unreachable, TIME).unwrap_err();
        assert!(matches!(error, Error::BadPackage { .. }), "{error}");
    }
    let error = sign_package(Path::new("/no/such.rpm"), &output, key(), TIME).unwrap_err();
    assert!(error.to_string().contains("/no/such.rpm"), "{error}");
}

/// A package of which both digests are taken at a time.
#[test]
fn a_large_package_is_signed_and_checked_as_a_small_one_is() {
    let dir = tempfile::tempdir().unwrap();
    let [unsigned, signed] = ["in.rpm", "out.rpm"].map(|name| dir.path().join(name));
    // Of no size that a buffer has.
    let content: Vec<u8> = (0..9_000_001_u32).map(|at| (at % 251) as u8).collect();
    let mut builder = rpm::PackageBuilder::new("large", "1", "MIT", "noarch", "x");
    let config = rpm::BuildConfig::v4().compression(rpm::CompressionType::None);
    builder.using_config(config);
    let options = rpm::FileOptions::new("/large");
    builder.with_file_contents(content, options).unwrap();
    builder.build().unwrap().write_file(&unsigned).unwrap();
    let made = sign_package(&unsigned, &signed, key(), TIME).unwrap();
    assert_eq!(made.unsigned_sha256, sha256(&fs::read(&unsigned).unwrap()));
    let bytes = fs::read(&signed).unwrap();
    let verified = verify_package(&signed, &key().public_key()).unwrap();
    assert_eq!(
        (verified.sha256, verified.size),
        (sha256(&bytes), made.size)
    );
    let (accepted, words) = rpmkeys().check(&signed);
    assert!(accepted, "{words}");
    let mut changed = bytes;
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&signed, changed).unwrap();
    let error = verify_package(&signed, &key().public_key()).unwrap_err();
    assert!(matches!(error, Error::Digest { .. }), "{error}");
}

#[test]
fn several_packages_are_signed_as_each_is_and_the_first_error_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let from = [&packages().binary, &packages().source, &packages().binary];
    let pairs: Vec<_> = (0..9)
        .map(|at| (from[at % 3].clone(), dir.path().join(format!("{at}.rpm"))))
        .collect();
    let made = sign_packages(&pairs, key(), TIME).unwrap();
    for ((unsigned, signed), made) in pairs.iter().zip(&made) {
        let alone = dir.path().join("alone");
        assert_eq!(&sign_package(unsigned, &alone, key(), TIME).unwrap(), made);
        assert_eq!(fs::read(&alone).unwrap(), fs::read(signed).unwrap());
    }
    let mut pairs = pairs;
    for at in [3, 7] {
        pairs[at].0 = format!("/no/such/{at}.rpm").into();
    }
    let error = sign_packages(&pairs, key(), TIME).unwrap_err().to_string();
    assert!(error.contains("/no/such/3.rpm"), "{error}");
}

#[test]
fn packages_that_a_header_signature_would_not_cover_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("v6.rpm");
    rpm::PackageBuilder::new("six", "1", "MIT", "noarch", "x")
        .using_config(rpm::BuildConfig::v6())
        .build()
        .unwrap()
        .write_file(&input)
        .unwrap();
    let error = sign_package(&input, &dir.path().join("out.rpm"), &Unreachable, TIME).unwrap_err();
    assert!(error.to_string().contains("format v6"), "{error}");
    assert_eq!(names(dir.path()), ["v6.rpm"]);
}

#[test]
fn half_a_gigabyte_is_signed_in_little_memory() {
    const MIB: u64 = 1024 * 1024;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let top = dir.path();
    rpmbuild(
        top,
        "truncate -s 500M %{buildroot}/opt/sample/zeros",
        &["-bb", "--define", "_binary_payload w0.gzdio"],
    );
    let unsigned = top.join("RPMS/noarch/sample-1.0-1.noarch.rpm");
    assert!(fs::metadata(&unsigned).unwrap().len() > 500 * MIB);
    let secret = tools::reveal(&key().secret_armored(None).unwrap(), top);
    let signed = top.join("signed.rpm");
    let peak = succeed(
        Command::new("sh")
            // 256 MiB of address space: a package held in memory would not fit.
            .args(["-c", "ulimit -v 262144; exec \"$@\"", "sh"])
            .arg(env!("CARGO_BIN_EXE_sign-and-measure"))
            .arg(secret)
            .arg(&unsigned)
            .arg(&signed)
            .arg(TIME.to_string()),
    );
    let peak: u64 = peak.trim().parse().unwrap();
    println!("peak memory {peak} KiB");
    assert!(peak < 64 * 1024, "peak memory {peak} KiB");
    let (accepted, words) = rpmkeys().check(&signed);
    assert!(accepted, "{words}");
}

#[test]
fn a_key_that_has_ended_signs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("out.rpm");
    let ended = Key::generate_with_lifetime("Ended", TIME - 100, Some(200)).unwrap();
    let error = sign_package(&packages().binary, &path, &ended, TIME).unwrap_err();
    assert!(matches!(error, Error::Expired { .. }), "{error}");
    assert!(error.to_string().contains("the present"), "{error}");
    assert!(names(dir.path()).is_empty());
}
