//! Results that are not what they should be: refused by name, nothing kept, and the next run goes on.

use std::fs;
use std::path::Path;

use lustre_packaging::sign::{DEV_KEY_CREATED, Key, sign_package};
use lustre_repo_tests::obs_stub::{Built, Fault};

use super::{
    FILE, Files, PACKAGE, PROJECT, REPOSITORY, Run, api, base, buildenv, disturl, honest,
    honest_service, query, rpm, service,
};

/// What somebody changed, how, and what is said of it.
type Case = (&'static str, fn(&mut Files, &str), &'static [&'static str]);

const OTHER: &str = "d41d8cd98f00b204e9800998ecf8427e";

const CASES: [Case; 14] = [
    (
        "a package that is cut",
        |files, _| {
            let bytes = files.get_mut(FILE).unwrap();
            bytes.truncate(bytes.len() - 10);
        },
        &[FILE],
    ),
    (
        "a package with a changed payload",
        |files, _| *files.get_mut(FILE).unwrap().last_mut().unwrap() ^= 1,
        &[FILE, "digest"],
    ),
    (
        "another package under its name",
        |files, srcmd5| {
            files.insert(FILE.to_owned(), rpm("evil", "1", &disturl(srcmd5)));
        },
        &[FILE, "evil-1-1.noarch"],
    ),
    (
        "another version",
        |files, srcmd5| {
            files.remove(FILE);
            files.insert(
                "hello-2-1.noarch.rpm".to_owned(),
                rpm("hello", "2", &disturl(srcmd5)),
            );
        },
        &["hello-2-1.noarch", "its spec makes no"],
    ),
    (
        "one more package",
        |files, srcmd5| {
            files.insert(
                "bash-5-1.noarch.rpm".to_owned(),
                rpm("bash", "5", &disturl(srcmd5)),
            );
        },
        &["bash-5-1.noarch", "its spec makes no"],
    ),
    (
        "a package of other sources",
        |files, _| {
            files.insert(FILE.to_owned(), rpm("hello", "1", &disturl(OTHER)));
        },
        &[FILE, "DISTURL", OTHER],
    ),
    (
        "a package that does not say of what it is",
        |files, _| {
            files.insert(FILE.to_owned(), rpm("hello", "1", "%{nil}"));
        },
        &[FILE, "DISTURL"],
    ),
    (
        "no package",
        |files, _| {
            files.remove(FILE);
        },
        &["hello", "did not produce"],
    ),
    (
        "something that is no package",
        |files, _| {
            files.insert(FILE.to_owned(), b"<html>not found</html>".to_vec());
        },
        &[FILE],
    ),
    (
        "no list of what it was built with",
        |files, _| {
            files.remove("_buildenv");
        },
        &["_buildenv", "it is not there"],
    ),
    (
        "a list of another build",
        |files, _| {
            files.insert(
                "_buildenv".to_owned(),
                buildenv(OTHER, &[("gcc", &base().2)]),
            );
        },
        &["_buildenv", "it is of the sources", OTHER],
    ),
    (
        "an empty list",
        |files, srcmd5| {
            files.insert("_buildenv".to_owned(), buildenv(srcmd5, &[]));
        },
        &["_buildenv", "names no package"],
    ),
    (
        "another package of the same name and version in the build root",
        |files, srcmd5| {
            files.insert("_buildenv".to_owned(), buildenv(srcmd5, &[("gcc", OTHER)]));
        },
        &["gcc-12-1.noarch", "another package", OTHER],
    ),
    (
        "a package in the build root that the lock does not have",
        |files, srcmd5| {
            let gcc = &base().2;
            let with = [("gcc", gcc.as_str()), ("evil", OTHER)];
            files.insert("_buildenv".to_owned(), buildenv(srcmd5, &with));
        },
        &["evil", "none of the packages that the lock pins"],
    ),
];

/// That nothing was kept.
fn is_tidy(run: &Run, what: &str) {
    assert!(!run.packages().exists(), "{what}");
}

#[test]
fn a_result_that_is_not_what_it_should_be_is_refused_by_name_and_the_next_run_goes_on() {
    for (what, change, parts) in CASES {
        let obs = service(move |package| {
            let srcmd5 = package.srcmd5();
            let mut files = honest(&srcmd5);
            change(&mut files, &srcmd5);
            Built::Succeeded(files)
        });
        let api = api(&obs, None);
        let run = Run::new();
        let there = super::submitted(&api).unwrap();
        let error = run
            .waited(&api, &there, super::pace())
            .and_then(|()| run.collected(&api, &there.srcmd5))
            .unwrap_err()
            .to_string();
        for part in [&[PACKAGE], parts].concat() {
            assert!(error.contains(part), "{what}: {error}");
        }
        is_tidy(&run, what);
        obs.state().package(PROJECT, PACKAGE).binaries = honest(&there.srcmd5);
        run.all(&api).unwrap();
        assert!(run.packages().join(FILE).is_file(), "{what}");
    }
}

#[test]
fn a_list_of_files_that_names_a_path_is_refused() {
    for (entry, part) in [
        ("filename=\"../../etc/x.rpm\" size=\"1\"", "filename"),
        ("filename=\"a/b.rpm\" size=\"1\"", "filename"),
        ("filename=\"x.rpm\" size=\"99999999999\"", "bytes"),
        ("filename=\"x.rpm\" size=\"many\"", "size"),
    ] {
        let obs = honest_service();
        let api = api(&obs, None);
        let run = Run::new();
        let made = run.all(&api).unwrap();
        let run = Run::new();
        let env = buildenv(&made.srcmd5, &[("gcc", &base().2)]).len();
        let text = format!(
            "<binarylist><binary filename=\"_buildenv\" size=\"{env}\"/><binary {entry}/></binarylist>"
        );
        let list = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}");
        let fault = || Fault::Instead(text.clone().into());
        obs.faults(&list, [fault(), fault()]);
        let error = run.collected(&api, &made.srcmd5).unwrap_err().to_string();
        assert!(error.contains(part), "{entry}: {error}");
        is_tidy(&run, entry);
    }
}

#[test]
fn a_file_of_another_size_than_was_said_is_refused_and_a_cut_one_fetched_again() {
    let obs = honest_service();
    let api = api(&obs, None);
    let run = Run::new();
    let file = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}/{FILE}");
    obs.faults(&file, [Fault::Cut(100), Fault::Status(500, "busy")]);
    let made = run.all(&api).unwrap();
    for bytes in [10, 10_000, 3_000_000] {
        obs.faults(&file, [Fault::Instead(vec![0; bytes])]);
        let run = Run::new();
        let error = run.collected(&api, &made.srcmd5).unwrap_err().to_string();
        assert!(error.contains(FILE), "{error}");
        is_tidy(&run, "another size");
    }
}

#[test]
fn signatures_of_others_are_taken_off_and_nothing_else() {
    let key = Key::generate("Service <s@example.org>", DEV_KEY_CREATED).unwrap();
    let plain = honest_service();
    let run = Run::new();
    let made = run.all(&api(&plain, None)).unwrap();
    let unsigned = run.packages().join(FILE);
    // What has no signature stays as it is.
    assert_eq!(fs::read(&unsigned).unwrap(), honest(&made.srcmd5)[FILE]);
    let folder = tempfile::tempdir().unwrap();
    let signed = folder.path().join(FILE);
    let time = key.public_key().signs_from();
    sign_package(&unsigned, &signed, &key, time).unwrap();
    let signature = |path: &Path| query(path, "%{RSAHEADER:pgpsig}%{SIGPGP:pgpsig}");
    assert!(
        signature(&signed).contains("Key ID"),
        "{}",
        signature(&signed)
    );
    let bytes = fs::read(&signed).unwrap();
    let obs = service(move |package| {
        let mut files = honest(&package.srcmd5());
        files.insert(FILE.to_owned(), bytes.clone());
        Built::Succeeded(files)
    });
    let run = Run::new();
    run.all(&api(&obs, None)).unwrap();
    let found = run.packages().join(FILE);
    assert_eq!(signature(&found), "(none)(none)");
    for tag in ["%{SIGMD5}", "%{SHA256HEADER}", "%{DISTURL}"] {
        assert_eq!(query(&found, tag), query(&unsigned, tag), "{tag}");
    }
    // Whoever signs it makes the same of both.
    let both = [&unsigned, &found].map(|path| {
        let to = folder.path().join("to.rpm");
        sign_package(path, &to, &key, time).unwrap();
        fs::read(&to).unwrap()
    });
    assert!(both[0] == both[1]);
}
