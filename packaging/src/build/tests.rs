use std::fs;
use std::path::{Path, PathBuf};

use rpm::{BuildConfig, CompressionType, FileOptions, PackageBuilder};

use super::workdir::Settings;
use super::{Error, lustre, rpmbuild};

/// A small package `name` with empty files at `files`, in `folder`.
fn package(folder: &Path, name: &str, files: &[&str]) -> PathBuf {
    let mut builder = PackageBuilder::new(name, "1", "GPL-2.0-or-later", "noarch", "A test");
    builder.using_config(
        BuildConfig::v4()
            .source_date(1_700_000_000)
            .compression(CompressionType::None),
    );
    for file in files {
        builder
            .with_file_contents("", FileOptions::new(*file))
            .unwrap();
    }
    let path = folder.join(format!("{name}-1.noarch.rpm"));
    builder.build().unwrap().write_file(&path).unwrap();
    path
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_package_that_did_not_come_out_is_named_with_those_that_did() {
    let dir = tempfile::tempdir().unwrap();
    let made = ["lustre", "lustre-tests"].map(|name| package(dir.path(), name, &[]));
    rpmbuild::expect("lustre", &made, &words(&["lustre-tests", "lustre"])).unwrap();
    let wanted = words(&["lustre", "kmod-lustre", "kmod-lustre-osd-ldiskfs"]);
    let error = rpmbuild::expect("lustre", &made, &wanted)
        .unwrap_err()
        .to_string();
    for part in [
        "did not produce kmod-lustre, kmod-lustre-osd-ldiskfs;",
        "it produced lustre, lustre-tests",
        "`lustre.packages`",
    ] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
}

#[test]
fn an_entry_of_a_changelog_after_the_build_is_an_error_that_says_what_to_set() {
    let dir = tempfile::tempdir().unwrap();
    let mut builder = PackageBuilder::new("lustre", "1", "GPL-2.0-or-later", "noarch", "A test");
    // Noon, as rpm has a date alone.
    builder.add_changelog_entry("A", "- x", 1_735_732_800_u32);
    let path = dir.path().join("lustre-1.src.rpm");
    builder.build().unwrap().write_file(&path).unwrap();
    rpmbuild::written_before(&path, 1_735_689_600).unwrap();
    let error = rpmbuild::written_before(&path, 1_735_689_599).unwrap_err();
    assert!(matches!(error, Error::Changelog { .. }), "{error:?}");
    let error = error.to_string();
    for part in [
        "lustre-1.src.rpm",
        "2025-01-01T00:00:00Z",
        "2024-12-31T23:59:59Z",
        "set `source_date_epoch = 1735689600`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_name_is_the_headers_and_not_the_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kernel-6.1.rpm");
    fs::rename(package(dir.path(), "lustre", &[]), &path).unwrap();
    assert_eq!(rpmbuild::package_name(&path).unwrap(), "lustre");
    fs::write(&path, "no package").unwrap();
    let error = rpmbuild::package_name(&path).unwrap_err();
    assert!(matches!(error, Error::Package { .. }), "{error:?}");
    assert!(error.to_string().contains("kernel-6.1.rpm"), "{error}");
}

#[test]
fn a_server_without_ldiskfs_is_a_failure_that_says_where_to_look() {
    let dir = tempfile::tempdir().unwrap();
    let modules = "/lib/modules/6.1/extra/lustre";
    let plain = package(
        dir.path(),
        "kmod-lustre",
        &[&format!("{modules}/fs/lustre.ko"), "/etc/ldiskfs.ko.conf"],
    );
    let packed = package(
        dir.path(),
        "kmod-lustre-osd-ldiskfs",
        &[&format!("{modules}/fs/ldiskfs.ko.xz")],
    );
    let wanted = words(&["lustre.ko", "ldiskfs.ko"]);
    lustre::expect_modules(&[plain.clone(), packed], &wanted).unwrap();
    let error = lustre::expect_modules(&[plain], &wanted)
        .unwrap_err()
        .to_string();
    assert!(error.contains("without ldiskfs.ko;"), "{error}");
    assert!(error.contains("lustre-srpm"), "{error}");
}

#[test]
fn a_tree_that_was_configured_in_place_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = lustre::expect_clean(dir.path()).unwrap_err().to_string();
    assert!(error.contains("autogen.sh"), "{error}");
    fs::write(dir.path().join("autogen.sh"), "").unwrap();
    lustre::expect_clean(dir.path()).unwrap();
    fs::write(dir.path().join("config.status"), "").unwrap();
    let error = lustre::expect_clean(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("configured in place") && error.contains("git clean"),
        "{error}"
    );
}

#[test]
fn packages_are_found_in_one_order_and_collected_under_their_names() {
    let dir = tempfile::tempdir().unwrap();
    for (folder, file) in [
        ("noarch", "b.rpm"),
        ("x86_64", "a.rpm"),
        ("noarch", "a.rpm.txt"),
        ("noarch", "a.rpm"),
    ] {
        let folder = dir.path().join("RPMS").join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(file), file).unwrap();
    }
    let found = rpmbuild::packages_under(&dir.path().join("RPMS")).unwrap();
    let relative: Vec<&str> = found
        .iter()
        .map(|path| path.strip_prefix(dir.path()).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        relative,
        [
            "RPMS/noarch/a.rpm",
            "RPMS/noarch/b.rpm",
            "RPMS/x86_64/a.rpm"
        ]
    );
    assert!(rpmbuild::packages_under(&dir.path().join("none")).is_err());
}

#[test]
fn the_macros_are_the_same_for_any_number_of_jobs() {
    let macros = |jobs| {
        Settings {
            source_date_epoch: 1,
            host: "builder.test".to_owned(),
            dist: ".t1".to_owned(),
            jobs,
            circumstances: Default::default(),
            limits: Default::default(),
        }
        .macros()
    };
    assert_eq!(macros(1), macros(7), "they end up in the headers of SRPMs");
}

/// What rpm has a sandbox for.
mod as_root {
    use super::*;

    #[test]
    #[ignore = "needs root"]
    fn a_source_package_is_asked_for_its_requirements_wherever_it_lies() {
        let requiring = |folder: PathBuf, what: &str| {
            fs::create_dir_all(&folder).unwrap();
            let mut builder =
                PackageBuilder::new("lustre", "1", "GPL-2.0-or-later", "noarch", "A test");
            builder.requires(rpm::Dependency::any(what));
            let path = folder.join("lustre-1.src.rpm");
            builder.build().unwrap().write_file(&path).unwrap();
            path
        };
        let dir = tempfile::tempdir().unwrap();
        // What a pattern would find besides.
        requiring(dir.path().join("axb"), "other");
        for name in [
            "a b", "a,b", "a%b", "a#b", "a?b", "a*b", "a[b]", "a{x,y}", "a:b", "a'b", "a\"b",
            "a$b", "a\\b", "a\nb", "-a", "~",
        ] {
            let srpm = requiring(dir.path().join(name), "gcc");
            assert_eq!(rpmbuild::requirements(&srpm).unwrap(), ["gcc"], "{name:?}");
        }
    }
}
