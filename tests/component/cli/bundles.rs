//! Bundles on the command line: what is refused, and what is put where.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lustre_packaging::bundle::{Contents, Provenance};
use lustre_packaging::lock::Lock;
use lustre_packaging::store::{Digest, Store};
use lustre_repo_tests::command_line::{CARGO_SAYS, Home, Run, project, run};

/// A bundle for `target` with nothing pinned, and files of a site.
fn bundle(folder: &Path, target: &str, site: &[(&str, &str)]) -> PathBuf {
    let store = Store::open(&folder.join("made"), "a test", &mut |_| {}).unwrap();
    let (files, trees) = (BTreeMap::new(), BTreeMap::new());
    let lock = Lock::new(target, Digest::of_bytes(b"x"), files, trees, Vec::new());
    let made = Provenance {
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

const SITE: &str = "inherits = 'rehearsal'\n[kernel]\noverlay = './kernel'\n";

const OVERLAY: &str = "with = ['kernel/rehearsal']\npackage = 'kernel'\n";

#[test]
fn a_sites_files_are_put_into_a_folder_of_their_own_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let files = [("site.toml", SITE), ("kernel/overlay.toml", OVERLAY)];
    let whole = bundle(folder.path(), "site", &files);
    let specs = project().join("specs");
    let there = |place: &Path| {
        for (name, text) in files {
            let found = fs::read_to_string(place.join(name)).unwrap();
            assert_eq!(found, text, "{name}");
        }
        // Its lock is not taken: it is for something else.
        assert!(!place.join("site.lock.toml").exists());
    };
    let refused = "is for other sources than the target asks for here";

    // Where the target is named, in a new folder; also when they are there, and whatever else is there then.
    let home = Home::new();
    let named = folder.path().join("named");
    let target = named.join("site.toml").display().to_string();
    for name in ["kernel/mine", "mine"] {
        let ran = repo(&home, &whole, &["--target", &target]);
        assert!(ran.code == 1 && ran.stderr.contains(refused), "{ran:?}");
        there(&named);
        fs::write(named.join(name), "mine").unwrap();
    }
    // Where none is named, in a folder of the target's name where the program works.
    let works = folder.path().join("works");
    fs::create_dir_all(works.join("other")).unwrap();
    let mut command = home.command(&["repo", "--from-bundle"]);
    command.arg(&whole).current_dir(&works);
    command
        .env_remove(CARGO_SAYS)
        .env("LUSTRE_REPO_SPECS", &specs);
    let ran = run(&mut command);
    assert!(ran.code == 1 && ran.stderr.contains(refused), "{ran:?}");
    there(&works.join("site"));

    // Nothing is added to a folder that has something else, changed in it, or written through a link.
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let checkout: &dyn Fn(&Path) = &|at| fs::write(at.join("Cargo.toml"), "mine").unwrap();
    let other: &dyn Fn(&Path) = &|at| fs::write(at.join("kernel/build.rs"), "mine").unwrap();
    let changed: &dyn Fn(&Path) = &|at| fs::write(at.join("kernel/overlay.toml"), "mine").unwrap();
    let linked: &dyn Fn(&Path) = &|at| {
        fs::remove_dir(at.join("kernel")).unwrap();
        symlink(&elsewhere, at.join("kernel")).unwrap();
    };
    for (name, make, words) in [
        ("checkout", checkout, "Cargo.toml; name a new folder"),
        ("other", other, "kernel/build.rs; name a new folder"),
        ("changed", changed, "overlay.toml is not the file that"),
        ("linked", linked, "kernel; name a new folder"),
    ] {
        let place = folder.path().join(name);
        fs::create_dir_all(place.join("kernel")).unwrap();
        make(&place);
        let target = place.join("site.toml").display().to_string();
        let ran = repo(&home, &whole, &["--target", &target]);
        let said = ran.stderr.replace("\nhelp: ", "; ");
        assert!(ran.code == 1 && said.contains(words), "{words}: {ran:?}");
        assert!(!place.join("site.toml").exists(), "{name}");
        let left = fs::read_to_string(place.join("kernel/overlay.toml"));
        assert!(left.is_err() || name == "changed" && left.unwrap() == "mine");
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    // Another target's file is not its, and what its target does not name does not belong.
    for target in ["rehearsal", "./other.toml"] {
        let ran = repo(&home, &whole, &["--target", target]);
        assert!(ran.code == 2 && ran.stderr.contains("site"), "{ran:?}");
    }
    let files = [
        ("site.toml", SITE),
        ("kernel/overlay.toml", OVERLAY),
        ("more.toml", ""),
    ];
    let more = bundle(folder.path(), "site", &files);
    let target = folder.path().join("more/site.toml").display().to_string();
    let ran = repo(&home, &more, &["--target", &target]);
    let said = "more.toml is not a file that the target needs";
    assert!(ran.code == 1 && ran.stderr.contains(said), "{ran:?}");
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
