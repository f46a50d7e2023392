//! Making a chroot from a base repository with the host's dnf: what is not signed by the distribution's key does not get in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use lustre_packaging::buildroot::{self, Base, BaseRepo};
use lustre_packaging::sign::{Key, Signer, sign_package};
use lustre_repo_tests::small_disk::SmallDisk;

/// The time of signatures: 2024-01-01.
const TIME: u32 = 1_704_067_200;

/// The distribution's key, and somebody else's. Made once: RSA-4096 takes seconds.
fn keys() -> &'static (Key, Key) {
    static KEYS: OnceLock<(Key, Key)> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |name: &str| Key::generate(name, 1_577_836_800).unwrap();
        (
            key("distribution <d@example.org>"),
            key("somebody <s@example.org>"),
        )
    })
}

fn succeed(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// A repository with one package, `packages` and metadata signed by the keys given.
fn repository(dir: &Path, package: Option<&Key>, metadata: &Key) -> PathBuf {
    let repository = dir.join("base");
    let packages = repository.join("Packages");
    fs::create_dir_all(&packages).unwrap();
    let spec = dir.join("small.spec");
    fs::write(
        &spec,
        "Name: small\nVersion: 1\nRelease: 1\nSummary: A test package\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n\
         %description\nA package of the tests.\n%install\nmkdir -p %{buildroot}/etc\necho here > %{buildroot}/etc/small\n\
         %files\n/etc/small\n",
    )
    .unwrap();
    succeed(
        Command::new("rpmbuild")
            .args([
                "-bb",
                "--quiet",
                "--define",
                &format!("_topdir {}", dir.join("rpm").display()),
            ])
            .arg(&spec),
    );
    let unsigned = dir.join("rpm/RPMS/noarch/small-1-1.noarch.rpm");
    let place = packages.join("small-1-1.noarch.rpm");
    match package {
        Some(key) => drop(sign_package(&unsigned, &place, key, TIME).unwrap()),
        None => drop(fs::copy(&unsigned, &place).unwrap()),
    }
    succeed(Command::new("createrepo_c").arg("--quiet").arg(&repository));
    let repomd = repository.join("repodata/repomd.xml");
    let signature = metadata
        .sign_detached(&fs::read(&repomd).unwrap(), TIME)
        .unwrap();
    fs::write(repomd.with_extension("xml.asc"), signature).unwrap();
    repository
}

/// Makes a chroot from the repository; the distribution's key is the one that is trusted.
fn bootstrap(dir: &Path, repository: PathBuf) -> Result<PathBuf, String> {
    let key = dir.join("key.asc");
    fs::write(&key, keys().0.public_key_armored().unwrap()).unwrap();
    let base = Base {
        repos: vec![BaseRepo {
            id: "base".to_owned(),
            folder: repository,
        }],
        key,
        arch: "x86_64".to_owned(),
        signed_metadata: true,
        module_platform: None,
    };
    let root = dir.join("root");
    let packages = ["small".to_owned()];
    buildroot::bootstrap(
        &base,
        &packages,
        &root,
        &dir.join("scratch"),
        &dir.join("log"),
    )
    .map(|()| root)
    .map_err(|error| error.to_string())
}

#[test]
fn what_the_distribution_signed_is_installed() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, _) = keys();
    let root = bootstrap(dir.path(), repository(dir.path(), Some(ours), ours)).unwrap();
    assert_eq!(
        fs::read_to_string(root.join("etc/small")).unwrap(),
        "here\n"
    );
}

#[test]
fn a_full_disk_is_named_by_dnf_s_step() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, _) = keys();
    let repository = repository(dir.path(), Some(ours), ours);
    let small = SmallDisk::new("500k");
    let error = bootstrap(small.path(), repository).unwrap_err();
    let place = small.path().display().to_string();
    assert!(
        error.contains("the disk") && error.contains("full"),
        "{error}"
    );
    assert!(
        error.contains(&place) && error.contains("make room"),
        "{error}"
    );
}

#[test]
fn metadata_signed_by_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = keys();
    let error = bootstrap(dir.path(), repository(dir.path(), Some(ours), other)).unwrap_err();
    assert!(
        error.to_lowercase().contains("signature") || error.contains("GPG"),
        "{error}"
    );
    assert!(!dir.path().join("root/etc/small").exists());
}

#[test]
fn a_package_that_is_not_signed_is_refused_even_in_signed_metadata() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = keys();
    for (name, signer) in [("unsigned", None), ("foreign", Some(other))] {
        let case = dir.path().join(name);
        fs::create_dir(&case).unwrap();
        let error = bootstrap(&case, repository(&case, signer, ours)).unwrap_err();
        assert!(error.contains("small"), "{name}: {error}");
        assert!(!case.join("root/etc/small").exists(), "{name}");
    }
}
