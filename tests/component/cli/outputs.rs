//! Where a repository may be put: judged before anything is done for it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lustre_packaging::built::{self, MadeOf};
use lustre_packaging::store::{Digest, Store};
use lustre_repo_tests::command_line::{Home, run};

#[test]
fn an_output_that_cannot_be_one_is_refused_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    fs::create_dir_all(elsewhere.path().join("app/below")).unwrap();
    fs::write(
        elsewhere.path().join("app/manifest.json"),
        "{\"name\": \"Photos\", \"icons\": []}",
    )
    .unwrap();
    fs::write(elsewhere.path().join("app/photo.jpg"), "mine").unwrap();
    fs::write(elsewhere.path().join("file"), "mine").unwrap();
    fs::create_dir(elsewhere.path().join("empty")).unwrap();
    symlink(
        elsewhere.path().join("empty"),
        elsewhere.path().join("link"),
    )
    .unwrap();
    for command in ["repo", "assemble"] {
        for (output, words) in [
            (at("app"), "is not one of this tool"),
            (at("app/below/.."), "is not one of this tool"),
            (at(""), "has no manifest.json"),
            (at("file"), "it is no folder"),
            (at("link"), "it is a link"),
            (at("file/below"), "Not a directory"),
            ("/".to_owned(), "mounted"),
            ("/proc".to_owned(), "mounted"),
            ("/proc/new".to_owned(), "cannot write to"),
        ] {
            let home = Home::new();
            let ran = home.run(&[command, "--offline", "--output", &output]);
            assert_eq!(ran.code, 2, "{command} {output}: {ran:?}");
            assert!(
                ran.stderr.contains(words),
                "{command} {output}: {}",
                ran.stderr
            );
            assert!(home.is_untouched(), "{command} {output}");
        }
    }
    assert_eq!(fs::read_to_string(at("app/photo.jpg")).unwrap(), "mine");
    // What can be one is not what stops the run.
    for output in [at("empty"), at("new/below")] {
        let ran = Home::new().run(&["repo", "--offline", "--output", &output]);
        assert!(!ran.stderr.contains(&output), "{}", ran.stderr);
    }
}

/// A repository of this tool, as far as one is told by its manifest.
const MANIFEST: &str = r#"{"format": 1, "tool": {"name": "lustre-repo", "version": "1"}, "target": "x", "source_date_epoch": 1,
    "key_fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567"}"#;

#[test]
fn what_is_mounted_below_an_output_keeps_it_from_being_replaced() {
    let elsewhere = tempfile::tempdir().unwrap();
    let [photos, dist] = ["photos", "dist"].map(|name| elsewhere.path().join(name));
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("photo.jpg"), "mine").unwrap();
    fs::create_dir_all(dist.join("deep/photos")).unwrap();
    fs::write(dist.join("manifest.json"), MANIFEST).unwrap();
    for command in ["repo", "assemble"] {
        let home = Home::new();
        let output = dist.to_str().unwrap();
        let arguments = [command, "--offline", "--output", output];
        let ran = home.run_with_mount(&photos, &dist.join("deep/photos"), &arguments);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(
            ran.stderr.contains("mounted below it, at") && ran.stderr.contains("deep/photos`"),
            "{}",
            ran.stderr
        );
        assert!(ran.stdout.trim().ends_with("dist/deep/photos"), "{ran:?}");
        assert!(home.is_untouched());
        // Without the mount, that is not what stops the run.
        let ran = home.run(&arguments);
        assert!(!ran.stderr.contains("mounted"), "{}", ran.stderr);
    }
    assert_eq!(
        fs::read_to_string(photos.join("photo.jpg")).unwrap(),
        "mine"
    );
}

#[test]
fn what_somebody_put_into_a_repository_is_named_and_kept() {
    let elsewhere = tempfile::tempdir().unwrap();
    let dist = elsewhere.path().join("dist");
    let packages = dist.join("x86_64/Packages");
    fs::create_dir_all(&packages).unwrap();
    fs::create_dir(dist.join("my-other-repo")).unwrap();
    let digest = "0".repeat(64);
    let sums = format!("{digest}  manifest.json\n{digest}  x86_64/Packages/ours.rpm\n");
    fs::write(dist.join("manifest.json"), MANIFEST).unwrap();
    fs::write(dist.join("SHA256SUMS"), sums).unwrap();
    fs::write(packages.join("ours.rpm"), "changed").unwrap();
    let mine = [
        "NOTES",
        "my-other-repo/site.rpm",
        "x86_64/Packages/site.rpm",
    ];
    for name in mine {
        fs::write(dist.join(name), "mine").unwrap();
    }
    for command in ["repo", "assemble"] {
        let home = Home::new();
        let ran = home.run(&[command, "--offline", "--output", dist.to_str().unwrap()]);
        assert_eq!(ran.code, 2, "{command}: {ran:?}");
        for named in [
            "(3): NOTES, my-other-repo/, x86_64/Packages/site.rpm",
            "move them away",
        ] {
            assert!(ran.stderr.contains(named), "{command}: {}", ran.stderr);
        }
        assert!(home.is_untouched(), "{command}");
    }
    for name in mine {
        assert_eq!(fs::read_to_string(dist.join(name)).unwrap(), "mine");
        fs::remove_file(dist.join(name)).unwrap();
    }
    fs::remove_dir(dist.join("my-other-repo")).unwrap();
    // What is its own, changed or not, is not what stops the run.
    let home = Home::new();
    let ran = home.run(&["repo", "--offline", "--output", dist.to_str().unwrap()]);
    assert!(
        !ran.stderr.contains("would be replaced with"),
        "{}",
        ran.stderr
    );
}

/// The store is emptied and the repository replaced as a whole: what is in one of them would go with it.
#[test]
fn a_repository_in_the_store_and_a_store_in_the_repository_are_refused_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let place = |name: &str| elsewhere.path().join(name);
    let there = place("there");
    fs::create_dir(&there).unwrap();
    fs::write(there.join("manifest.json"), MANIFEST).unwrap();
    symlink(&there, place("link")).unwrap();
    for (store, output) in [
        ("store", "store/tmp/dist"),
        ("store", "store"),
        ("there/store", "there"),
        ("link/store", "there"),
        ("new/a/store", "new"),
    ] {
        let home = Home::new();
        let [store, output] = [store, output].map(place);
        for command in ["repo", "assemble"] {
            let mut command = home.command(&[command, "--offline", "--output"]);
            command.arg(&output).arg("--store").arg(&store);
            let ran = run(&mut command);
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(
                ran.stderr.contains("one must not be in the other"),
                "{}",
                ran.stderr
            );
            assert!(!store.exists(), "{}", store.display());
        }
    }
    // A link to what the run would make: where it leads is told by nothing that is there yet.
    symlink(place("later"), place("to-later")).unwrap();
    for (store, output) in [("later", "to-later/dist"), ("to-later/store", "later")] {
        let home = Home::new();
        let mut command = home.command(&["repo", "--offline", "--output"]);
        command.arg(place(output)).arg("--store").arg(place(store));
        let ran = run(&mut command);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("is a dangling link"), "{}", ran.stderr);
        assert!(!place("later").exists());
    }
    // Beside each other they may be.
    let home = Home::new();
    let mut command = home.command(&["repo", "--offline", "--release-time", "4294967295"]);
    command.arg("--output").arg(place("store-2"));
    let ran = run(command.arg("--store").arg(place("store-1")));
    // What the key does not allow is told before anything is fetched.
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("in the future"), "{}", ran.stderr);
}

#[test]
fn nothing_is_written_into_a_repository_nor_where_there_is_no_folder() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    for name in ["dist", "www"] {
        fs::create_dir_all(elsewhere.path().join(name).join("x86_64/Packages")).unwrap();
    }
    fs::write(elsewhere.path().join("dist/manifest.json"), MANIFEST).unwrap();
    fs::write(elsewhere.path().join("dist/SHA256SUMS"), "").unwrap();
    let link = elsewhere.path().join("www/manifest.json");
    symlink(".releases/current/manifest.json", link).unwrap();
    let commands: [(&[&str], i32); 5] = [
        (&["repo", "--offline", "--output"], 2),
        (&["assemble", "--offline", "--output"], 2),
        (&["build", "--offline", "--output"], 2),
        (&["bundle", "--offline", "--output"], 2),
        (
            &["key", "new", "--user-id", "A <a@example.org>", "--output"],
            2,
        ),
    ];
    for (command, code) in commands {
        for output in ["dist/sub", "dist/x86_64/Packages/new/sub", "www/sub"] {
            let home = Home::new();
            let output = at(output);
            let ran = home.run(&[command, &[output.as_str()]].concat());
            assert_eq!(ran.code, code, "{command:?} {output}: {ran:?}");
            let folder = command[0] == "key" || command[0] == "bundle";
            let words = ["inside the repository", "is no folder"];
            let told = words.iter().any(|words| ran.stderr.contains(words));
            assert!(told && (folder || ran.stderr.contains(words[0])), "{ran:?}");
            assert!(home.is_untouched(), "{command:?} {output}");
        }
    }
    for command in [
        &["bundle", "--offline", "--output"][..],
        &["key", "new", "--user-id", "A <a@example.org>", "--output"],
    ] {
        let home = Home::new();
        let ran = home.run(&[command, &[at("none/file").as_str()]].concat());
        let told = ran.stderr.contains("none is no folder") && ran.stderr.contains("make it");
        assert!(ran.code != 0 && told, "{ran:?}");
        assert!(home.is_untouched(), "{command:?}");
    }
    // A name with what its file ends in.
    let site = elsewhere.path().join("own.toml");
    fs::write(&site, "inherits = \"rehearsal.toml\"\n").unwrap();
    let ran = Home::new().run(&["plan", "--target", site.to_str().unwrap()]);
    assert!(ran.stderr.contains("write `rehearsal`"), "{ran:?}");
}

/// What `build --output` writes, of nothing.
fn build_folder(out: &Path) {
    let made_of = MadeOf {
        tool: "1".to_owned(),
        code: "2".to_owned(),
        target: "site".to_owned(),
        target_sha256: Digest::of_bytes(b"target"),
        lock_sha256: "3".to_owned(),
        sources_sha256: "4".to_owned(),
        specs: BTreeMap::new(),
    };
    built::write(out, made_of, &BTreeMap::new()).unwrap();
}

/// Commands that write a folder, and those that write a file into one that is there.
const FOLDERS: [&[&str]; 4] = [
    &["repo", "--offline", "--output"],
    &["assemble", "--offline", "--output"],
    &["build", "--offline", "--output"],
    &["verify", "http://127.0.0.1:1/r", "--output"],
];
const FILES: [&[&str]; 3] = [
    &["bundle", "--offline", "--output"],
    &["bundle", "--release", "--output"],
    &["key", "new", "--user-id", "A <a@example.org>", "--output"],
];

#[test]
fn nothing_is_written_into_a_store_or_into_what_was_built() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    build_folder(Path::new(&at("first")));
    drop(Store::open(Path::new(&at("other")), "a test", &mut |_| {}).unwrap());
    symlink(at("first"), at("to-first")).unwrap();
    let before = walkdir::WalkDir::new(elsewhere.path()).into_iter().count();
    let man: &[&str] = &["man", "--output"];
    for command in FOLDERS.into_iter().chain(FILES).chain([man]) {
        for (place, words) in [
            ("first/sub", "`build --output` wrote"),
            ("to-first/sub", "`build --output` wrote"),
            ("other/sub", "inside the store"),
            ("other/tmp/sub", "inside the store"),
        ] {
            let home = Home::new();
            let ran = home.run(&[command, &[at(place).as_str()]].concat());
            assert_eq!(ran.code, 2, "{command:?} {place}: {ran:?}");
            assert!(ran.stderr.contains(words), "{command:?} {place}: {ran:?}");
            assert!(ran.stderr.contains("help: "), "{command:?}: {ran:?}");
            assert!(home.is_untouched(), "{command:?} {place}");
        }
    }
    // That of the run, which is not there yet.
    for command in FOLDERS {
        let home = Home::new();
        let place = home.store().join("new/sub").display().to_string();
        let ran = home.run(&[command, &[place.as_str()]].concat());
        assert_eq!(ran.code, 2, "{command:?}: {ran:?}");
        let words = "one must not be in the other";
        assert!(ran.stderr.contains(words), "{command:?}: {ran:?}");
        assert!(home.is_untouched(), "{command:?}");
    }
    let after = walkdir::WalkDir::new(elsewhere.path()).into_iter().count();
    assert_eq!(before, after);
    // Beside them, that is not what stops the run; what was built is replaced by what is built.
    for place in [at("beside"), at("first")] {
        let ran = Home::new().run(&["build", "--offline", "--output", &place]);
        assert!(ran.code != 2 && !ran.stderr.contains(&place), "{ran:?}");
    }
}

#[test]
fn every_command_that_writes_a_folder_judges_its_name_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let at = |name: &str| elsewhere.path().join(name).display().to_string();
    let [long, longer] = [240, 300].map(|length| at(&"a".repeat(length)));
    let mine = elsewhere.path().join("mine");
    fs::create_dir_all(mine.join("below")).unwrap();
    fs::write(mine.join("photo.jpg"), "mine").unwrap();
    fs::create_dir(elsewhere.path().join("empty")).unwrap();
    symlink(at("empty"), at("link")).unwrap();
    for command in FOLDERS {
        let ours = match command[0] {
            "build" => "it has no build.json",
            _ => "it has no manifest.json",
        };
        for (place, words) in [
            (long.as_str(), "give a shorter one"),
            (&longer, "give a shorter one"),
            (&at("none/.."), "is not a name"),
            (&at("link"), "it is a link"),
            ("/proc", "mounted"),
            ("/", "mounted"),
            ("/proc/new", "cannot write to"),
            (&at("mine"), ours),
            (&at("mine/below/.."), ours),
        ] {
            let home = Home::new();
            let ran = home.run(&[command, &[place]].concat());
            assert_eq!(ran.code, 2, "{command:?} {place}: {ran:?}");
            assert!(ran.stderr.contains(words), "{command:?} {place}: {ran:?}");
            assert!(home.is_untouched(), "{command:?} {place}");
        }
        // Where it runs, the folder would go with all that runs there.
        let home = Home::new();
        let mut here = home.command(&[command, &["."]].concat());
        let ran = run(here.current_dir(elsewhere.path().join("empty")));
        assert!(
            ran.code == 2 && ran.stderr.contains("runs in it"),
            "{ran:?}"
        );
    }
    // A key is written into a new file of its own name.
    for command in &FILES[..2] {
        let home = Home::new();
        let ran = home.run(&[*command, &[long.as_str()]].concat());
        assert_eq!(ran.code, 2, "{command:?}: {ran:?}");
        assert!(
            ran.stderr.contains("give a shorter one"),
            "{command:?}: {ran:?}"
        );
    }
    let names = fs::read_dir(elsewhere.path()).unwrap().count();
    assert_eq!(names, 3);
}

#[test]
fn one_folder_by_two_names_is_not_two_builders() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for name in ["first", "second", "linked"] {
        build_folder(Path::new(&at(name)));
    }
    symlink(at("first"), at("link")).unwrap();
    fs::remove_file(at("linked/build.json")).unwrap();
    fs::hard_link(at("first/build.json"), at("linked/build.json")).unwrap();
    let first = at("first");
    for other in [
        "first",
        "first/",
        "first/.",
        "link",
        "second/../first",
        "linked",
    ] {
        let other = at(other);
        for line in [
            &["compare", &first, &other][..],
            &[
                "repo",
                "--offline",
                "--from-build",
                &first,
                "--from-build",
                &other,
            ],
        ] {
            let home = Home::new();
            let ran = home.run(line);
            assert_eq!(ran.code, 2, "{line:?}: {ran:?}");
            assert!(
                ran.stderr.contains("one builder, not two"),
                "{line:?}: {ran:?}"
            );
            assert!(home.is_untouched(), "{line:?}");
        }
    }
    let ran = Home::new().run(&["compare", &first, &at("second")]);
    assert!(
        ran.code == 0 && ran.stdout.contains("byte-identical"),
        "{ran:?}"
    );
}
