//! The build root that a service says a package had, against the one that it has here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_packaging::obs::{self, Error, Known};
use lustre_repo_tests::obs_stub::Built;

use super::{Run, api, buildenv, honest, query, service, submitted, with_known};

/// Packages by the names of their files, each with its SIGMD5.
struct Packages {
    folder: tempfile::TempDir,
}

impl Packages {
    fn new() -> Self {
        let packages = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        for (name, version, requires) in [
            ("gcc", "12", ""),
            ("make", "4", ""),
            ("e2fsprogs-devel", "1", ""),
            ("e2fsprogs-devel", "2", ""),
            ("su", "1", "pam"),
            ("pam", "1", ""),
            ("zlib-devel", "1", ""),
            ("settings", "1", ""),
            ("settings", "2", ""),
        ] {
            packages.make(name, version, requires);
        }
        packages
    }

    fn make(&self, name: &str, version: &str, requires: &str) {
        let folder = tempfile::tempdir().unwrap();
        let spec = folder.path().join("x.spec");
        let requires = match requires {
            "" => String::new(),
            requires => format!("Requires: {requires}\n"),
        };
        let text = format!(
            "Name: {name}\nVersion: {version}\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\n{requires}%description\nd\n%files\n"
        );
        fs::write(&spec, text).unwrap();
        let mut command = Command::new("rpmbuild");
        command
            .args(["--define", &format!("_topdir {}", folder.path().display())])
            .arg("-bb")
            .arg(&spec);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let to = self.path(name, version);
        let made = folder
            .path()
            .join("RPMS/noarch")
            .join(to.file_name().unwrap());
        fs::copy(made, to).unwrap();
    }

    fn path(&self, name: &str, version: &str) -> PathBuf {
        let file = format!("{name}-{version}-1.noarch.rpm");
        self.folder.path().join(file)
    }

    fn sigmd5(&self, name: &str, version: &str) -> String {
        query(&self.path(name, version), "%{SIGMD5}")
    }

    /// What is known: the distribution's first, and then what was built.
    fn known(&self) -> Known {
        let mut known = Known::default();
        for (name, version) in [
            ("gcc", "12"),
            ("make", "4"),
            ("e2fsprogs-devel", "1"),
            ("su", "1"),
            ("pam", "1"),
            ("zlib-devel", "1"),
            ("settings", "1"),
            ("e2fsprogs-devel", "2"),
            ("settings", "2"),
        ] {
            known.add(&self.path(name, version)).unwrap();
        }
        known
    }
}

/// What is said of a package that was built with these.
fn collected(packages: &Packages, known: &Known, with: &[(&str, &str)]) -> Result<usize, Error> {
    let list: Vec<(String, String)> = with
        .iter()
        .map(|(name, version)| ((*name).to_owned(), packages.sigmd5(name, version)))
        .collect();
    let obs = service(move |package| {
        let srcmd5 = package.srcmd5();
        let mut files = honest(&srcmd5);
        let list: Vec<(&str, &str)> = list
            .iter()
            .map(|(name, md5)| (name.as_str(), md5.as_str()))
            .collect();
        files.insert("_buildenv".to_owned(), buildenv(&srcmd5, &list));
        Built::Succeeded(files)
    });
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let run = Run::new();
    run.waited(&api, &there, super::pace()).unwrap();
    let list = run.folder.path().join("list");
    let into: &Path = &run.packages();
    let collected = with_known(known, &there.srcmd5, |wanted| {
        obs::collect(&api, &wanted, into, &list)
    });
    assert_eq!(into.exists(), collected.is_ok());
    Ok(collected?.built_with.len())
}

#[test]
fn it_has_just_what_it_has_here_and_what_the_service_needs() {
    let packages = Packages::new();
    let mut known = packages.known();
    let installed = "e2fsprogs-devel-2-1.noarch 00\ngcc-0:12-1.noarch 00\nmake-4-1.noarch 00\n";
    known
        .is_root(installed, &["settings"], &["su".to_owned()])
        .unwrap();
    let own = [
        ("e2fsprogs-devel", "2"),
        ("gcc", "12"),
        ("make", "4"),
        ("settings", "2"),
    ];
    let service = [&own[..], &[("su", "1"), ("pam", "1")]].concat();
    assert_eq!(collected(&packages, &known, &own).unwrap(), 4);
    assert_eq!(collected(&packages, &known, &service).unwrap(), 6);
    let but = |at: usize, other: Option<(&'static str, &'static str)>| {
        let mut all = own.to_vec();
        all.remove(at);
        all.extend(other);
        all
    };
    for (with, parts) in [
        // One is missing.
        (
            but(2, None),
            ["lack make-4-1.noarch", "in the buildroot here"],
        ),
        // The package that sets the build up is missing, or an older one.
        (
            but(3, None),
            ["lack settings-2-1.noarch", "in the buildroot here"],
        ),
        (
            but(3, Some(("settings", "1"))),
            ["built with settings", "settings-2-1.noarch with"],
        ),
        // The distribution's, in place of what was built.
        (
            but(0, Some(("e2fsprogs-devel", "1"))),
            [
                "built with e2fsprogs-devel",
                "here is e2fsprogs-devel-2-1.noarch with",
            ],
        ),
        // One more, of the distribution.
        (
            [&own[..], &[("zlib-devel", "1")]].concat(),
            ["zlib-devel-1-1.noarch", "not in the buildroot here"],
        ),
        // The same twice.
        (
            [&own[..], &own[1..2]].concat(),
            ["gcc-12-1.noarch", "twice"],
        ),
    ] {
        let error = collected(&packages, &known, &with).unwrap_err();
        assert!(matches!(error, Error::BuiltWith { .. }), "{error}");
        let error = error.to_string();
        for part in parts {
            assert!(error.contains(part), "{with:?}: {error}");
        }
        let newer = error.contains("e2fsprogs-devel-1-1.noarch with");
        assert!(!newer, "{error}");
    }
}

#[test]
fn a_build_root_here_that_has_what_is_not_known_is_an_error() {
    let packages = Packages::new();
    let mut known = packages.known();
    for (installed, also, part) in [
        ("evil-1-1.noarch 00\n", "settings", "evil-1-1.noarch"),
        ("gcc-12-1.noarch 00\n", "nothing", "nothing"),
    ] {
        let error = known.is_root(installed, &[also], &[]).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(part) && error.contains("run the command again"),
            "{error}"
        );
    }
}
