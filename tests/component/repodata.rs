//! Repodata against createrepo_c 1.2, dnf and itself, on a corpus of real packages.
// Clippy lets tests unwrap, but not the functions that they share.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use lustre_packaging::process;
use lustre_repo_tests::createrepo;
use lustre_repo_tests::repodata_diff::{self, Node};
use lustre_repo_tests::rpm_corpus::{self, doctored, of_rpm_rs};
use lustre_repository::repodata::{self, Error, FileKind, Options, Package};
use rpm::{IndexData, IndexTag};
use tempfile::TempDir;
use walkdir::WalkDir;

/// 2024-05-01.
const REVISION: u64 = 1_714_521_600;

fn options(workers: usize) -> Options {
    Options {
        revision: REVISION,
        groupfile: None,
        workers,
    }
}

/// A copy of the corpus that a test can change.
fn copy() -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    let corpus = rpm_corpus::cached().unwrap();
    for entry in WalkDir::new(&corpus) {
        let entry = entry.unwrap();
        let place = copy
            .path()
            .join(entry.path().strip_prefix(&corpus).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(place).unwrap();
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
    copy
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
fn every_field_is_createrepo_c_s() {
    let (ours, theirs) = (copy(), copy());
    repodata::write(ours.path(), &options(2)).unwrap();
    createrepo::run(theirs.path(), REVISION, &[]).unwrap();
    let differences = repodata_diff::diff(ours.path(), theirs.path()).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));

    // With the same file times even the documents' bytes are the same.
    createrepo::run(
        ours.path(),
        REVISION,
        &["--outputdir", theirs.path().to_str().unwrap()],
    )
    .unwrap();
    let sums = |root: &Path| -> Vec<(String, String)> {
        let index = repodata_diff::index(root).unwrap();
        let sum = |data: &Node| {
            let sum = data.child("open-checksum").unwrap().text.clone();
            (data.attribute("type").to_owned(), sum)
        };
        index
            .children
            .iter()
            .filter(|it| it.name == "data")
            .map(sum)
            .collect()
    };
    assert_eq!(sums(ours.path()), sums(theirs.path()));
}

/// That both sides agree proves little if the corpus has nothing to agree on.
#[test]
fn the_corpus_has_what_it_promises() {
    let root = copy();
    repodata::write(root.path(), &options(2)).unwrap();
    let index = repodata_diff::index(root.path()).unwrap();
    let primary = repodata_diff::document(root.path(), &index, "primary").unwrap();
    let text = format!("{primary:?}");
    for needle in [
        "rpm:recommends",
        "rpm:suggests",
        "rpm:supplements",
        "rpm:enhances",
        "rpm:conflicts",
        "rpm:obsoletes",
        "(rich-a or rich-b)",
        "needed-by-pretrans",
        "needed-by-posttrans",
        "\"src\"",
        "\"ghost\"",
        "\"dir\"",
        "/usr/bin/corpus-foreign",
        "/usr/lib/sendmail",
        "ünïcödé ✓",
        "日本語",
        "Café crème",
        "Source Packages/",
        "Packages/c/deep/er/",
        "bundled(zlib)",
        "x86_64",
        "noarch",
        "might-be-missing",
    ] {
        assert!(text.contains(needle), "{needle} is not in primary.xml");
    }
    for absent in ["rpmlib(", "\"own-capability\", \"pre\"", "GLIBC_2.4)"] {
        assert!(!text.contains(absent), "{absent} is in primary.xml");
    }
    let packages = repodata::read(root.path()).unwrap().packages;
    let find = |name: &str, source: bool| -> &Package {
        packages
            .iter()
            .find(|package| package.name == name && (package.arch == "src") == source)
            .unwrap()
    };
    let pre: Vec<&str> = find("corpus-scripts", false)
        .requires
        .iter()
        .filter(|entry| entry.pre)
        .map(|entry| entry.name.as_str())
        .collect();
    for name in [
        "needed-by-pretrans",
        "needed-by-posttrans",
        "needed-by-pre",
        "needed-by-post",
    ] {
        assert!(pre.contains(&name), "{name} is not pre: {pre:?}");
    }
    assert!(!pre.contains(&"needed-by-preun"));
    let relations = find("corpus-relations", false);
    let names: Vec<&str> = relations
        .requires
        .iter()
        .map(|entry| entry.name.as_str())
        .collect();
    assert!(
        names.contains(&"/usr/share/corpus-own/data") && !names.contains(&"/usr/bin/corpus-own")
    );
    assert!(find("corpus-large", false).provides.len() > 4000);
    assert!(
        find("corpus-sources", true)
            .requires
            .iter()
            .any(|entry| entry.name == "(gcc or clang)")
    );
    let other = repodata_diff::document(root.path(), &index, "other").unwrap();
    let dates = |name: &str| -> Vec<i64> {
        let is_it = |it: &&Node| it.attribute("name") == name && it.attribute("arch") == "noarch";
        let package = other.children.iter().find(is_it).unwrap();
        let logs = package.children.iter().filter(|it| it.name == "changelog");
        logs.map(|it| it.attribute("date").parse().unwrap())
            .collect()
    };
    let long = dates("corpus-changelog-long");
    assert_eq!(long.len(), 10);
    assert!(long.windows(2).all(|pair| pair[0] < pair[1]), "{long:?}");
}

#[test]
fn groups_are_createrepo_c_s() {
    let root = copy();
    let comps = root.path().join("comps.xml");
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<comps>\n  <group>\n    <id>corpus</id>\n    \
        <name>Corpus</name>\n    <description/>\n    <default>true</default>\n    <uservisible>true</uservisible>\n    \
        <packagelist>\n      <packagereq type=\"mandatory\">corpus-empty</packagereq>\n    </packagelist>\n  </group>\n\
        </comps>\n";
    fs::write(&comps, text).unwrap();
    let with_groups = Options {
        groupfile: Some(comps),
        ..options(2)
    };
    repodata::write(root.path(), &with_groups).unwrap();
    let record = |root: &Path, kind: &str| {
        let index = repodata_diff::index(root).unwrap();
        let is_it = |it: &&Node| it.attribute("type") == kind;
        index.children.iter().find(is_it).unwrap().clone()
    };
    let theirs = tempfile::tempdir().unwrap();
    let output = ["--outputdir", theirs.path().to_str().unwrap()];
    // As a plain file …
    createrepo::run(
        root.path(),
        REVISION,
        &[
            &output[..],
            &["--groupfile", "comps.xml", "--compatibility"],
        ]
        .concat(),
    )
    .unwrap();
    assert_eq!(record(root.path(), "group"), record(theirs.path(), "group"));
    // … and compressed, which 1.2 lists as `group` and older ones as `group_gz`.
    createrepo::run(
        root.path(),
        REVISION,
        &[&output[..], &["--groupfile", "comps.xml"]].concat(),
    )
    .unwrap();
    let (ours, theirs) = (
        record(root.path(), "group_gz"),
        record(theirs.path(), "group"),
    );
    assert_eq!(ours.child("open-checksum"), theirs.child("open-checksum"));
    assert_eq!(ours.child("open-size"), theirs.child("open-size"));
    let listed = dnf(root.path(), &["group", "list", "--ids"]);
    assert!(listed.contains("(corpus)"), "{listed}");
}

#[test]
fn the_same_packages_give_the_same_bytes() {
    let (one, two) = (copy(), copy());
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
fn reading_gives_what_was_written() {
    let (ours, theirs) = (copy(), copy());
    let written = repodata::write(ours.path(), &options(2)).unwrap();
    createrepo::run(theirs.path(), REVISION, &[]).unwrap();
    let our = repodata::read(ours.path()).unwrap();
    assert_eq!(our.repomd, written);
    let mut their = repodata::read(theirs.path()).unwrap();
    for (our, their) in our.packages.iter().zip(&mut their.packages) {
        assert_eq!(our.time_file, our.time_build, "{}", our.nevra());
        their.time_file = our.time_file;
        assert_eq!(our, their);
    }
    assert_eq!(our.packages.len(), their.packages.len());

    // zstd, which createrepo_c 1.2 writes by default.
    createrepo::run(theirs.path(), REVISION, &["--general-compress-type=zstd"]).unwrap();
    let zstd = repodata::read(theirs.path()).unwrap();
    assert!(
        zstd.repomd
            .record("primary")
            .unwrap()
            .location
            .ends_with(".zst")
    );
    assert_eq!(zstd.packages.len(), our.packages.len());

    // rpm itself on files and dependencies.
    for package in our.packages.iter().filter(|package| package.arch != "src") {
        let path = ours.path().join(&package.location);
        let query = |what: &str| rpm(&["-qp", what], &path);
        let files = query("--list");
        let mut expected: Vec<&str> = files.lines().filter(|line| line.starts_with('/')).collect();
        expected.sort_unstable();
        let mut found: Vec<&str> = package
            .files
            .iter()
            .map(|file| file.path.as_str())
            .collect();
        found.sort_unstable();
        if package.name != "corpus-latin1" {
            assert_eq!(found, expected, "{}", package.nevra());
        }
        let requires = query("--requires");
        for entry in &package.requires {
            assert!(
                requires
                    .lines()
                    .any(|line| line.trim_end().starts_with(&entry.name)),
                "{entry} in {requires}"
            );
        }
        assert_eq!(
            query("--qf=%{nevra}").trim().replace("-0:", "-"),
            package.nevra()
        );
    }
}

#[test]
fn a_changed_document_is_noticed() {
    let root = copy();
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
    let root = copy();
    repodata::write(root.path(), &options(2)).unwrap();
    fs::write(root.path().join("repodata/repomd.xml.asc"), "signature").unwrap();
    let before = content(&root.path().join("repodata"));
    let good = fs::read(root.path().join("Packages/corpus-rpm-rs-1.0-1.noarch.rpm")).unwrap();
    let bad = root.path().join("Packages/m/bad.rpm");
    fs::create_dir_all(bad.parent().unwrap()).unwrap();
    let changed = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    for (bytes, expected) in [
        (Vec::new(), "ends inside of its header"),
        (b"<html>not found</html>".repeat(40), "as an RPM does"),
        (good[..300].to_vec(), "ends inside of its header"),
        (good[..good.len() - 10].to_vec(), "it was cut off"),
        (changed(0), "as an RPM does"),
        (changed(96), "no magic number"),
        // In the data of the main header.
        (changed(good.len() - 400), ""),
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

#[test]
fn dnf_reads_it() {
    let root = copy();
    repodata::write(root.path(), &options(2)).unwrap();
    let query = |arguments: &[&str]| -> Vec<String> {
        let out = dnf(root.path(), &[&["repoquery", "-q"], arguments].concat());
        out.lines().map(str::to_owned).collect()
    };
    let mut listed = query(&["--qf=%{name} %{epoch} %{version} %{release} %{arch}"]);
    listed.sort();
    listed.dedup();
    let mut expected: Vec<String> = repodata::read(root.path())
        .unwrap()
        .packages
        .iter()
        .map(|package| {
            let evr = &package.evr;
            let release = evr.release.as_deref().unwrap();
            format!(
                "{} {} {} {release} {}",
                package.name, evr.epoch, evr.version, package.arch
            )
        })
        .collect();
    expected.sort();
    expected.dedup();
    assert_eq!(listed, expected);
    assert_eq!(
        query(&["--whatprovides", "kernel(some_symbol)"]),
        ["corpus-relations-2:1.5~rc1-3.el8.noarch"]
    );
    assert_eq!(query(&["--whatprovides", "/opt/corpus/bin/tool"]).len(), 1);
    assert_eq!(
        query(&["--whatrecommends", "recommended-a"]),
        query(&["--whatprovides", "kernel(some_symbol)"])
    );
    assert_eq!(
        query(&["--whatobsoletes", "obsoleted"]),
        query(&["--whatprovides", "kernel(some_symbol)"])
    );
    assert!(
        query(&["--requires-pre", "corpus-scripts"]).contains(&"needed-by-pre >= 1.0".to_owned())
    );
    let sources = query(&["--whatrequires", "bash"]);
    assert_eq!(sources, ["corpus-sources-1:3.2.1-4.el8.src"]);
    let files = query(&["--list", "corpus-files.x86_64"]);
    let package = repodata::read(root.path()).unwrap().packages;
    let package = package
        .iter()
        .find(|it| it.name == "corpus-files" && it.arch != "src")
        .unwrap();
    assert_eq!(files.len(), package.files.len());
    assert!(
        package
            .files
            .iter()
            .any(|file| file.kind == FileKind::Ghost)
    );
    let changes = dnf(
        root.path(),
        &["repoquery", "-q", "--changelogs", "corpus-changelog-same"],
    );
    assert!(
        changes.contains("- 10") && changes.contains("- 1\n"),
        "{changes}"
    );
}

/// The host's dnf on the repository alone, with nothing of the host's configuration.
fn dnf(repository: &Path, arguments: &[&str]) -> String {
    let root = tempfile::tempdir().unwrap();
    let out = process::output(
        Command::new("dnf")
            .arg(format!("--installroot={}", root.path().display()))
            .args([
                "--setopt=reposdir=/dev/null",
                "--setopt=cachedir=/cache",
                "--releasever=8",
                "--forcearch=x86_64",
            ])
            .arg(format!(
                "--repofrompath=corpus,file://{}",
                repository.display()
            ))
            .args(["--repo=corpus", "--nogpgcheck"])
            .args(arguments)
            .env("LC_ALL", "C.UTF-8"),
    );
    String::from_utf8(out.unwrap()).unwrap()
}

fn rpm(arguments: &[&str], package: &Path) -> String {
    let out = process::output(
        Command::new("rpm")
            .args(arguments)
            .arg(package)
            .env("LC_ALL", "C.UTF-8"),
    );
    String::from_utf8_lossy(&out.unwrap()).into_owned()
}
