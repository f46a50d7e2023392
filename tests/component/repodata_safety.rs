//! Repodata in adverse conditions: changed, cut off and foreign files, failures halfway, and other circumstances.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lustre_repo_tests::rpm_corpus::{self, doctored, of_rpm_rs};
use lustre_repository::repodata::{self, Error, Options};
use rpm::{IndexData, IndexTag};
use walkdir::WalkDir;

fn options(workers: usize) -> Options {
    Options {
        revision: 1_714_521_600,
        workers,
        ..Options::default()
    }
}

/// All files of a folder with their content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn the_same_packages_give_the_same_bytes() {
    let (one, two) = (rpm_corpus::copy().unwrap(), rpm_corpus::copy().unwrap());
    repodata::write(one.path(), &options(1)).unwrap();
    // Other file times, another folder, other threads, another order of creation, and again over its own result.
    for entry in WalkDir::new(two.path()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let file = File::open(entry.path()).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(86_400))
                .unwrap();
        }
    }
    repodata::write(two.path(), &options(7)).unwrap();
    let first = content(&one.path().join("repodata"));
    assert_eq!(first, content(&two.path().join("repodata")));
    repodata::write(two.path(), &options(3)).unwrap();
    assert_eq!(first, content(&two.path().join("repodata")));
    assert_eq!(first.len(), 4);
    let sum_named = |name: &Path| name.to_str().unwrap().find('-') == Some(64);
    assert_eq!(first.keys().filter(|name| sum_named(name)).count(), 3);
}

#[test]
fn a_changed_document_is_noticed() {
    let root = rpm_corpus::copy().unwrap();
    let repomd = repodata::write(root.path(), &options(2)).unwrap();
    for kind in ["primary", "filelists", "other"] {
        let path = root.path().join(&repomd.record(kind).unwrap().location);
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        let middle = bad.len() / 2;
        bad[middle] ^= 1;
        fs::write(&path, &bad).unwrap();
        let error = repodata::read(root.path()).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Mismatch {
                    what: "checksum",
                    ..
                }
            ),
            "{error}"
        );
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let error = repodata::read(root.path()).unwrap_err();
        assert!(
            matches!(error, Error::Mismatch { what: "size", .. }),
            "{error}"
        );
        fs::remove_file(&path).unwrap();
        let error = repodata::read(root.path()).unwrap_err().to_string();
        assert!(error.contains(kind), "{error}");
        fs::write(&path, &good).unwrap();
    }
    repodata::read(root.path()).unwrap();
}

#[test]
fn a_bad_package_is_an_error_that_names_it_and_changes_nothing() {
    let root = rpm_corpus::copy().unwrap();
    repodata::write(root.path(), &options(2)).unwrap();
    fs::write(root.path().join("repodata/repomd.xml.asc"), "signature").unwrap();
    let before = content(&root.path().join("repodata"));
    let good = fs::read(root.path().join("Packages/corpus-rpm-rs-1.0-1.noarch.rpm")).unwrap();
    let bad = root.path().join("Packages/m/bad.rpm");
    fs::create_dir_all(bad.parent().unwrap()).unwrap();
    let magic = [0x8e, 0xad, 0xe8, 1];
    let signature = 96;
    let main_header = signature
        + 4
        + good[signature + 4..]
            .windows(magic.len())
            .position(|bytes| bytes == magic)
            .unwrap();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    for (bytes, expected) in [
        (Vec::new(), "ends inside its header"),
        (b"<html>not found</html>".repeat(40), "like an RPM"),
        (good[..300].to_vec(), "ends inside its header"),
        (good[..good.len() - 10].to_vec(), "it was cut off"),
        (changed(0), "like an RPM"),
        (changed(96), "no magic number"),
        // The type of the main header's first entry, which begins 16 bytes behind its magic number.
        (changed(main_header + 16 + 4), ""),
    ] {
        fs::write(&bad, bytes).unwrap();
        let error = repodata::write(root.path(), &options(3))
            .unwrap_err()
            .to_string();
        assert!(error.contains("Packages/m/bad.rpm"), "{error}");
        assert!(error.contains(expected), "{error}");
        assert_eq!(content(&root.path().join("repodata")), before);
    }
    let names: Vec<_> = fs::read_dir(root.path())
        .unwrap()
        .map(|it| it.unwrap().file_name())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".repodata")),
        "{names:?}"
    );

    // Put in place as a whole: the signature of the replaced metadata goes with it.
    fs::remove_file(&bad).unwrap();
    repodata::write(root.path(), &options(3)).unwrap();
    let after = content(&root.path().join("repodata"));
    assert!(!after.contains_key(Path::new("repomd.xml.asc")));
    assert_eq!(after.len(), before.len() - 1);
}

#[test]
fn control_characters_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let text = (
        IndexTag::RPMTAG_DESCRIPTION as u32,
        IndexData::I18NString(vec!["a\u{7}b".to_owned()]),
    );
    doctored(
        of_rpm_rs("bell").unwrap(),
        vec![text],
        &root.path().join("bell-1.rpm"),
    )
    .unwrap();
    let error = repodata::write(root.path(), &options(1))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bell-1") && error.contains("description") && error.contains("0x07"),
        "{error}"
    );
    assert!(!root.path().join("repodata").exists());
}

/// Version 6 packages say nothing of their payload's unpacked size in a form that repodata has a place for.
#[test]
fn a_package_of_version_6() {
    let root = tempfile::tempdir().unwrap();
    rpm::PackageBuilder::new("six", "1", "MIT", "noarch", "Six")
        .using_config(rpm::BuildConfig::v6())
        .with_file_contents("x", rpm::FileOptions::new("/etc/six"))
        .unwrap()
        .build()
        .unwrap()
        .write_file(root.path().join("six.rpm"))
        .unwrap();
    repodata::write(root.path(), &options(1)).unwrap();
    let packages = repodata::read(root.path()).unwrap().packages;
    assert_eq!(packages[0].nevra(), "six-1-1.noarch");
    assert_eq!(
        (packages[0].size_archive, packages[0].size_installed),
        (0, 1)
    );
    assert_eq!(packages[0].files[0].path, "/etc/six");
}

/// A repository's packages come from others: no file name may lead out of it or break the XML.
#[test]
fn odd_names_of_files() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("a & <b> \"c\"");
    fs::create_dir(&folder).unwrap();
    let name = "ü'%20 +x.rpm";
    of_rpm_rs("odd")
        .unwrap()
        .write_file(folder.join(name))
        .unwrap();
    repodata::write(root.path(), &options(1)).unwrap();
    let packages = repodata::read(root.path()).unwrap().packages;
    assert_eq!(packages[0].location, format!("a & <b> \"c\"/{name}"));
    assert!(root.path().join(&packages[0].location).is_file());
}
