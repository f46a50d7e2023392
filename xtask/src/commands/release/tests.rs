//! What is told of the repository that is there, and of the release that takes its place.

use std::fs;

use lustre_packaging::target::Target;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::release::Contradiction;
use lustre_repository::{page, proof, repo_file, sums};

use super::*;

/// A folder that has what is looked at of a repository.
fn published(release: Option<Release>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let manifest = Manifest {
        format: manifest::FORMAT,
        source_date_epoch: 7,
        release,
        ..Manifest::default()
    };
    manifest.write(&dir.path().join(manifest::FILE)).unwrap();
    for name in [
        repo_file::KEY_FILE,
        repo_file::FILE,
        proof::FILE,
        page::FILE,
    ] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    sums::write(dir.path()).unwrap();
    dir
}

fn asked(time: Option<u32>) -> Asked {
    Asked {
        time,
        overrules: [Rule::LowerEvr].into(),
        whole: None,
    }
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be_read() {
    let empty = tempfile::tempdir().unwrap();
    for folder in [empty.path(), &empty.path().join("none")] {
        assert!(PreviousRelease::at(folder).unwrap().is_none());
    }
    let before = published(None);
    assert_eq!(
        PreviousRelease::at(before.path()).unwrap().unwrap().time(),
        7
    );
    for (name, text) in [
        (sums::FILE, ""),
        (manifest::FILE, "{\"format\": 99}"),
        (manifest::FILE, "no manifest"),
    ] {
        fs::write(before.path().join(name), text).unwrap();
        let error = PreviousRelease::at(before.path()).unwrap_err();
        let said = format!("{error:#}");
        assert!(
            said.contains("move it away") && said.contains(name),
            "{said}"
        );
    }
}

#[test]
fn who_only_looks_is_told_what_a_run_would_stop_at() {
    let before = published(None);
    let looked = || {
        let mut told = Vec::new();
        let found =
            PreviousRelease::looked_at(before.path(), &mut |line| told.push(line.to_owned()));
        (found.map(|before| before.time()), told)
    };
    assert_eq!(looked(), (Some(7), Vec::new()));
    fs::write(before.path().join(manifest::FILE), "no manifest").unwrap();
    let (found, told) = looked();
    assert_eq!(found, None);
    assert!(
        told.len() == 1 && told[0].contains(manifest::FILE) && told[0].contains("move it away"),
        "{told:?}"
    );
}

#[test]
fn a_repository_of_another_target_is_told_from_another_release_of_its_own() {
    let specs = crate::place::specs();
    let load = |name, lustre| Target::load_with(&specs, name, lustre).unwrap();
    let folder = published(None);
    let mut before = PreviousRelease::at(folder.path()).unwrap().unwrap();
    let (own, other) = (load("rocky-8.10", None), load("rehearsal", None));
    let instead = load("rocky-8.10", Some("2.15.8"));
    before.manifest.target = own.name.clone();
    for target in [&own, &instead] {
        assert_eq!(before.of_another(target), None, "{}", target.name);
    }
    let found = before.of_another(&other).unwrap();
    assert_eq!(found.rule, Rule::SameTarget);
    let error = before
        .judge(std::slice::from_ref(&found), &BTreeSet::new())
        .unwrap_err();
    let said = error.to_string();
    for words in [
        "rocky-8.10",
        "rehearsal",
        "another output",
        "--overrule same-target",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let overruled = before.judge(&[found], &[Rule::SameTarget].into()).unwrap();
    assert_eq!(overruled, [Rule::SameTarget].into());
    before.manifest.target = instead.name.clone();
    before.manifest.overrides.lustre = Some("2.15.8".to_owned());
    for target in [&own, &instead] {
        assert_eq!(before.of_another(target), None, "{}", target.name);
    }
    assert!(before.of_another(&other).is_some());
}

#[test]
fn until_more_is_known_a_release_is_the_one_that_is_there() {
    let release = Release {
        time: 50,
        overrules: [Rule::SameNevra].into(),
        replaces: None,
        keeps_sha256: None,
    };
    let folder = published(Some(release.clone()));
    let before = PreviousRelease::at(folder.path()).unwrap();
    let signing = Signing {
        fingerprint: String::new(),
        public_key: String::new(),
        time: 7,
        release: Release::default(),
        earlier: Earlier::default(),
        signer: None,
    };
    let guess = |time, before| first_guess(&asked(time), before, &signing).unwrap();
    for time in [None, Some(50)] {
        assert_eq!(guess(time, before.as_ref()), release);
    }
    let chosen = |time, before: Option<&PreviousRelease>| Release {
        time,
        overrules: [Rule::LowerEvr].into(),
        replaces: before.map(PreviousRelease::replaced),
        keeps_sha256: None,
    };
    let later = guess(Some(51), before.as_ref());
    assert_eq!(later, chosen(51, before.as_ref()));
    let replaced = later.replaces.unwrap();
    let file = folder.path().join(manifest::FILE);
    assert_eq!(replaced.time, 50);
    assert_eq!(replaced.manifest_sha256, sums::sha256(&file).unwrap().0);
    assert_eq!(guess(Some(51), None), chosen(51, None));
    assert_eq!(guess(None, None), chosen(7, None));
    let before = before.unwrap();
    for (time, goes) in [(None, true), (Some(50), true), (Some(49), false)] {
        assert_eq!(in_time(&asked(time), &before).is_ok(), goes, "{time:?}");
    }
}

#[test]
fn only_what_is_broken_is_overruled_and_what_is_not_allowed_is_said() {
    let folder = published(None);
    let before = PreviousRelease::at(folder.path()).unwrap().unwrap();
    let broken = |rule, what: &str| Contradiction {
        rule,
        what: what.to_owned(),
    };
    let mut found = vec![broken(Rule::LowerEvr, "a is lower")];
    let all: BTreeSet<Rule> = Rule::ALL.into();
    assert_eq!(before.judge(&[], &all).unwrap(), BTreeSet::new());
    let used = before.judge(&found, &all).unwrap();
    assert_eq!(used, [Rule::LowerEvr].into());
    for number in 0..9 {
        found.push(broken(Rule::SameNevra, &format!("package {number}")));
    }
    let error = before.judge(&found, &used).unwrap_err().to_string();
    for words in ["package 4", "and 4 more", "--overrule same-nevra", "raise"] {
        assert!(error.contains(words), "{words}: {error}");
    }
    for not in ["a is lower", "package 5"] {
        assert!(!error.contains(not), "{not}: {error}");
    }
}
