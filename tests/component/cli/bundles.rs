//! Bundles on the command line: what is refused, and what is put where.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lustre_packaging::bundle::{Contents, Made};
use lustre_packaging::lock::Lock;
use lustre_packaging::store::{Digest, Store};
use lustre_repo_tests::command_line::{CARGO_SAYS, Home, Run, project, run};

/// A bundle for `target` with nothing pinned, and files of a site.
fn bundle(folder: &Path, target: &str, site: &[(&str, &str)]) -> PathBuf {
    let store = Store::open(&folder.join("made"), "a test", &mut |_| {}).unwrap();
    let (files, trees) = (BTreeMap::new(), BTreeMap::new());
    let lock = Lock::new(target, Digest::of_bytes(b"x"), files, trees, Vec::new());
    let made = Made {
        tool: "9.9.9".to_owned(),
        code: "other".to_owned(),
        target: target.to_owned(),
        lustre: None,
        specs: BTreeMap::from([("targets/rehearsal.toml".to_owned(), Digest::of_bytes(b"x"))]),
    };
    let mut beside = BTreeMap::new();
    for (name, text) in site {
        let path = folder.join(format!("site-{}", beside.len()));
        fs::write(&path, text).unwrap();
        beside.insert((*name).to_owned(), path);
    }
    let contents = Contents {
        made: &made,
        lock: &lock,
        lock_text: &lock.to_toml().unwrap(),
        site: &beside,
    };
    let out = folder.join("a.bundle");
    contents.write(&store, &out, &|_| {}).unwrap();
    out
}

fn repo(home: &Home, bundle: &Path, more: &[&str]) -> Run {
    let mut command = home.command(&["repo", "--from-bundle"]);
    run(command.arg(bundle).args(more))
}

#[test]
fn what_is_no_bundle_for_the_target_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = bundle(folder.path(), "rocky-9.6", &[]);
    let bytes = fs::read(&whole).unwrap();
    fs::write(at("text"), "mine").unwrap();
    fs::write(at("part"), &bytes[..bytes.len() - 1]).unwrap();
    fs::write(at("more"), [&bytes[..], b"x"].concat()).unwrap();
    for (file, more, code, words) in [
        (at("none"), &[][..], 1, "none"),
        (at(""), &[], 1, "a folder, not a file"),
        (PathBuf::from("/dev/zero"), &[], 1, "a device, not a file"),
        (at("text"), &[], 1, "is not a bundle"),
        (at("part"), &[], 1, "the copy is not complete"),
        (at("more"), &[], 1, "something is behind the last member"),
        (
            whole.clone(),
            &["--target", "rocky-9.7"],
            2,
            "for the target `rocky-9.6`, not for `rocky-9.7`",
        ),
    ] {
        let home = Home::new();
        let ran = repo(&home, &file, more);
        assert_eq!(ran.code, code, "{}: {ran:?}", file.display());
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(home.is_untouched(), "{}", file.display());
    }
    // The target is the bundle's, and its lock is none for these specs: those that differ are named, and no lock is written.
    let home = Home::new();
    let ran = repo(
        &home,
        &whole,
        &["--specs", project().join("specs").to_str().unwrap()],
    );
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in [
        "is for other sources than the target asks for here",
        "version 9.9.9",
        "other specs: ",
    ] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    let ran = repo(&home, &whole, &["--locked"]);
    assert!(ran.stderr.contains("--locked was given"), "{ran:?}");
    assert!(!home.path().join(".local").exists(), "a key was made");
    assert_eq!(
        fs::read_dir(home.store().join("files/sha256"))
            .unwrap()
            .count(),
        0
    );
}

const SITE: &str = "inherits = 'rehearsal'\ndescription = 'a site'\n";

#[test]
fn a_sites_files_are_put_where_they_are_missing_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("site.toml", SITE),
        ("overlays/kernel/a.patch", "a patch\n"),
    ];
    let bundle = bundle(folder.path(), "site", &files);
    let specs = project().join("specs");
    let there = |place: &Path| {
        for (name, text) in files {
            assert_eq!(
                fs::read_to_string(place.join(name)).unwrap(),
                text,
                "{name}"
            );
        }
        // Its lock is not taken: it is for something else.
        assert!(!place.join("site.lock.toml").exists());
    };
    let refused = "is for other sources than the target asks for here";

    // Beside the target that is named, also when they are there.
    let home = Home::new();
    let named = folder.path().join("named");
    fs::create_dir(&named).unwrap();
    let target = named.join("site.toml").display().to_string();
    for _ in 0..2 {
        let ran = repo(&home, &bundle, &["--target", &target]);
        assert!(ran.code == 1 && ran.stderr.contains(refused), "{ran:?}");
        there(&named);
    }
    // Into the folder that the program works in, where none is named.
    let works = folder.path().join("works");
    fs::create_dir(&works).unwrap();
    let mut command = home.command(&["repo", "--from-bundle"]);
    command.arg(&bundle).current_dir(&works);
    command
        .env_remove(CARGO_SAYS)
        .env("LUSTRE_REPO_SPECS", &specs);
    let ran = run(&mut command);
    assert!(ran.code == 1 && ran.stderr.contains(refused), "{ran:?}");
    there(&works);

    // A file of the user is not changed, and no other is put beside it; nothing is written through a link.
    let own = folder.path().join("own");
    fs::create_dir_all(own.join("overlays/kernel")).unwrap();
    fs::write(own.join("overlays/kernel/a.patch"), "mine\n").unwrap();
    let linked = folder.path().join("linked");
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&linked).unwrap();
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, linked.join("overlays")).unwrap();
    for (place, words) in [
        (&own, "a.patch is not the file that"),
        (&linked, "overlays is not a folder"),
    ] {
        let target = place.join("site.toml").display().to_string();
        let ran = repo(&home, &bundle, &["--target", &target]);
        assert!(
            ran.code == 1 && ran.stderr.contains(words),
            "{words}: {ran:?}"
        );
        assert!(!place.join("site.toml").exists());
    }
    assert_eq!(
        fs::read_to_string(own.join("overlays/kernel/a.patch")).unwrap(),
        "mine\n"
    );
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Another target's file is not its.
    for target in ["rehearsal", "./other.toml"] {
        let ran = repo(&home, &bundle, &["--target", target]);
        assert!(ran.code == 2 && ran.stderr.contains("site"), "{ran:?}");
    }
}

#[test]
fn a_file_of_somebody_is_not_replaced_by_a_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("mine"), "mine").unwrap();
    let none = at("none");
    for (line, code, words) in [
        (
            &["-o", &at("mine")][..],
            2,
            "is there and is something else",
        ),
        (
            &["-o", &at("mine"), "--release"],
            2,
            "is there and is something else",
        ),
        (&["-o", &at("")], 2, "is a folder"),
        (
            &["-o", &none, "--source", "lustre=/srv"],
            2,
            "has what the lock pins",
        ),
        (&["-o", &none, "--public-key", "x"], 2, "--release"),
        (&["-o", &none, "--release", &none], 1, "no repository at"),
        (&[], 2, "--output"),
    ] {
        let home = Home::new();
        let ran = home.run(&[&["bundle"], line].concat());
        assert_eq!(ran.code, code, "{line:?}: {ran:?}");
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
        assert!(home.is_untouched(), "{line:?}");
    }
    assert_eq!(fs::read_to_string(at("mine")).unwrap(), "mine");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
