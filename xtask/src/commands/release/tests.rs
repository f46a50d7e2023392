//! What is told of the repository that is there, and of the release that takes its place.

use std::fs;

use lustre_packaging::sign::{Key, Secret, Signer as _};
use lustre_packaging::target::Target;
use lustre_repository::assets::{Asset, Assets};
use lustre_repository::history::{History, Set, SetPackage};
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{Check, Outcome, Proof};
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

fn asked(time: Option<u32>) -> ReleaseRequest {
    ReleaseRequest {
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

/// The key of these tests.
fn key() -> Key {
    let file = crate::place::specs().join("distributions/rehearsal/key.asc");
    let text = Secret::new(fs::read(file).unwrap());
    Key::from_armored(&text, "the test", None).unwrap()
}

/// A folder as [`published`], of the target `rehearsal`, which keeps one release, signed with the key.
fn keeping(key: &Key) -> tempfile::TempDir {
    let dir = published(None);
    let at = |name: &str| dir.path().join(name);
    let package = |nevra: &str| SetPackage {
        nevra: nevra.to_owned(),
        path: history::path_of(nevra).unwrap(),
        size: 1,
        sha256: "1".repeat(64),
        sha256_unsigned: "2".repeat(64),
        stage: "lustre".to_owned(),
    };
    let set = |time, nevra| Set {
        time,
        manifest_sha256: "3".repeat(64),
        packages: vec![package(nevra)],
        ..Set::default()
    };
    let earlier = Earlier {
        sets: vec![set(6, "lustre-1-1.x86_64")],
        ..Earlier::default()
    };
    let manifest = Manifest {
        format: manifest::FORMAT,
        target: "rehearsal".to_owned(),
        key_fingerprint: key.fingerprint(),
        release: Some(Release {
            time: 7,
            keeps_sha256: earlier.digest(),
            ..Release::default()
        }),
        ..Manifest::default()
    };
    manifest.write(&at(manifest::FILE)).unwrap();
    let mut sets = vec![set(7, "lustre-2-1.x86_64")];
    sets.extend(earlier.sets);
    let releases = History {
        format: history::FORMAT,
        target: "rehearsal".to_owned(),
        sets,
        dropped: Vec::new(),
    };
    fs::write(at(history::FILE), releases.to_json()).unwrap();
    let held = Check {
        result: Outcome::Pass,
        ..Check::not_run("closure", "")
    };
    let proof = Proof::of_sums("", "rehearsal", "0", vec![held]);
    fs::write(at(proof::FILE), proof.to_json()).unwrap();
    sign(key, dir.path());
    dir
}

fn sign(key: &Key, folder: &Path) {
    sums::write(folder).unwrap();
    let text = fs::read(folder.join(sums::FILE)).unwrap();
    let public = PublicKey::parse(key.public_key_armored().unwrap()).unwrap();
    let signature = key.sign_detached(&text, public.signs_from()).unwrap();
    fs::write(folder.join(sums::SIGNATURE), signature).unwrap();
}

#[test]
fn what_is_kept_is_of_a_proven_repository_that_the_same_key_signed() {
    let key = key();
    let public = PublicKey::parse(key.public_key_armored().unwrap()).unwrap();
    let folder = keeping(&key);
    let load = |name: &str| Target::load(&crate::place::specs(), name).unwrap();
    let unfit = |target: &str| -> Vec<Option<String>> {
        let before = PreviousRelease::at(folder.path()).unwrap().unwrap();
        assert_eq!((before.kept(), before.packages().len()), (2, 1));
        let candidates = before.candidates(&public, &load(target)).unwrap();
        assert_eq!(candidates[1].set.time, 6);
        candidates.into_iter().map(|one| one.unfit).collect()
    };
    let all = |words: &str, found: Vec<Option<String>>| {
        let said = |one: &Option<String>| one.as_ref().is_some_and(|one| one.contains(words));
        assert!(found.iter().all(said), "{words}: {found:?}");
    };
    assert_eq!(unfit("rehearsal"), [None, None]);
    all("of the target", unfit("debian-12"));
    // The packages of a release that nobody proved are none to go back to; those before it are.
    let path = folder.path().join(proof::FILE);
    fs::write(&path, proof::FILE).unwrap();
    sign(&key, folder.path());
    assert_eq!(
        unfit("rehearsal"),
        [Some("it was not proven".to_owned()), None]
    );
    // Somebody who cannot sign wrote other sums.
    fs::write(&path, "other").unwrap();
    sums::write(folder.path()).unwrap();
    all("SHA256SUMS.asc does not hold", unfit("rehearsal"));
    let path = folder.path().join(manifest::FILE);
    let mut manifest = Manifest::read(&path).unwrap();
    manifest.key_fingerprint = "0".repeat(40);
    manifest.write(&path).unwrap();
    sign(&key, folder.path());
    all(&key.fingerprint(), unfit("rehearsal"));
    // A list that is not the one of the sums says nothing.
    let path = folder.path().join(history::FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("111", "444", 1)).unwrap();
    let error = PreviousRelease::at(folder.path()).unwrap_err();
    let said = format!("{error:#}");
    assert!(
        said.contains(history::FILE) && said.contains("move it away"),
        "{said}"
    );
}

#[test]
fn which_assets_packages_are_is_taken_from_who_signed_it_for_the_same_place() {
    const URL: &str = "https://github.com/site/lustre/releases/download";
    let key = key();
    let public = PublicKey::parse(key.public_key_armored().unwrap()).unwrap();
    let folder = keeping(&key);
    let at = |name: &str| folder.path().join(name);
    let placed = |nevra: &str| assets::PackageFile {
        path: history::path_of(nevra).unwrap(),
        sha256: "1".repeat(64),
        size: 1,
    };
    let of = |time, nevras: &[&str], before: &[Asset]| {
        let packages: Vec<_> = nevras.iter().map(|nevra| placed(nevra)).collect();
        Assets::of("rehearsal", URL, time, packages, before).unwrap()
    };
    let first = of(6, &["lustre-1-1.x86_64"], &[]);
    let all = ["lustre-1-1.x86_64", "lustre-2-1.x86_64"];
    let second = of(7, &all, &first.packages);
    fs::write(at(assets::FILE), second.to_json()).unwrap();
    let read = || PreviousRelease::at(folder.path()).unwrap().unwrap();
    // A list that is not among what was signed says nothing.
    assert!(PreviousRelease::at(folder.path()).is_err());
    sign(&key, folder.path());
    let before = read();
    assert_eq!(before.assets(Some(URL), &public), second.packages);
    assert_eq!(before.earlier().assets, first.packages);
    for url in [
        None,
        Some("https://github.com/other/lustre/releases/download"),
    ] {
        assert_eq!(before.assets(url, &public), []);
    }
    // What is made again needs the same list: the manifest has its digest.
    let package = at("x86_64/Packages/lustre-1-1.x86_64.rpm");
    fs::create_dir_all(package.parent().unwrap()).unwrap();
    fs::write(&package, "1").unwrap();
    let asked = |keeps_sha256| ReleaseRequest {
        whole: Some((
            Release {
                time: 7,
                keeps_sha256,
                ..Release::default()
            },
            folder.path().to_owned(),
        )),
        ..ReleaseRequest::default()
    };
    let earlier = before.earlier();
    let again = asked(earlier.digest()).earlier(&public).unwrap();
    assert_eq!(again, Some(earlier.clone()));
    let without = Earlier {
        assets: Vec::new(),
        ..earlier
    };
    let error = asked(without.digest()).earlier(&public).unwrap_err();
    assert!(format!("{error:#}").contains(assets::FILE), "{error:#}");
    // Somebody who cannot sign wrote other sums.
    fs::write(at("more"), "").unwrap();
    sums::write(folder.path()).unwrap();
    assert_eq!(read().assets(Some(URL), &public), []);
}

#[test]
fn a_release_is_made_again_with_what_it_keeps_or_not_at_all() {
    let key = key();
    let public = PublicKey::parse(key.public_key_armored().unwrap()).unwrap();
    let folder = keeping(&key);
    let asked = || ReleaseRequest {
        whole: Some((
            Manifest::read(&folder.path().join(manifest::FILE))
                .unwrap()
                .released()
                .unwrap(),
            folder.path().to_owned(),
        )),
        ..ReleaseRequest::default()
    };
    let refused = |word: &str| {
        let said = format!("{:#}", asked().earlier(&public).unwrap_err());
        for word in [word, "whole copy", "--release-time 7"] {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    let path = "x86_64/Packages/lustre-1-1.x86_64.rpm";
    refused(path);
    let package = folder.path().join(path);
    fs::create_dir_all(package.parent().unwrap()).unwrap();
    fs::write(&package, "1").unwrap();
    let earlier = asked().earlier(&public).unwrap().unwrap();
    assert_eq!(earlier.sets.len(), 1);
    let whole = asked();
    let release = whole.release(7, None, BTreeSet::new(), &earlier);
    assert_eq!(release.keeps_sha256, earlier.digest());
    fs::write(folder.path().join(sums::SIGNATURE), "none").unwrap();
    refused("does not hold");
    fs::remove_file(folder.path().join(history::FILE)).unwrap();
    refused("SHA256SUMS");
    // One that keeps nothing needs nothing.
    let plain = ReleaseRequest {
        whole: Some((Release::default(), folder.path().join("none"))),
        ..ReleaseRequest::default()
    };
    assert_eq!(plain.earlier(&public).unwrap(), Some(Earlier::default()));
    assert_eq!(ReleaseRequest::default().earlier(&public).unwrap(), None);
}
