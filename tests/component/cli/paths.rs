//! Paths with characters that mean something to some program: what cannot work is refused at once.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use lustre_repo_tests::command_line::{Home, run};

/// Names that no folder may have that the tool works in, with what is said of each.
const ANYWHERE: [(&[u8], &str); 5] = [
    (b"a\nb", "'\\n'"),
    (b"a\tb", "'\\t'"),
    (b"a\x1b[2Jb", "'\\u{1b}'"),
    (b"a\x7fb", "'\\u{7f}'"),
    (b"a\xffb", "UTF-8"),
];

/// The same for the store alone.
const IN_STORE: (&[u8], &str) = (b"a\"b", "'\"'");

#[test]
fn a_path_that_some_program_cannot_deal_with_is_refused_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    let refuses = |arguments: &[&OsStr], variable: Option<&OsStr>, words: &str| {
        let home = Home::new();
        let mut command = home.command(&[]);
        command.args(arguments);
        if let Some(store) = variable {
            command.env("LUSTRE_REPO_STORE", store);
        }
        let ran = run(&mut command);
        assert_eq!(ran.code, 2, "{arguments:?} {variable:?}: {ran:?}");
        assert!(
            ran.stderr.contains(words)
                && ran.stderr.starts_with("error: ")
                && ran.stderr.matches("error:").count() == 1,
            "{arguments:?} {variable:?}: {}",
            ran.stderr
        );
        assert!(home.is_untouched(), "{arguments:?} {variable:?}");
    };
    let storing = [
        "repo",
        "plan",
        "preflight",
        "fetch",
        "build",
        "assemble",
        "verify",
        "boot",
        "lock",
        "clean",
    ];
    for (name, words) in ANYWHERE.into_iter().chain([IN_STORE]) {
        let path = elsewhere.path().join(OsStr::from_bytes(name));
        // One of the names for all commands: they come from one place.
        let commands = if name == IN_STORE.0 {
            &storing[..]
        } else {
            &storing[..1]
        };
        for command in commands {
            let command = OsStr::new(command);
            refuses(
                &[command, OsStr::new("--store"), path.as_os_str()],
                None,
                words,
            );
        }
        refuses(&[OsStr::new("plan")], Some(path.as_os_str()), words);
        assert!(!path.exists(), "{path:?}");
        // Where a link leads is where it is.
        fs::create_dir(&path).unwrap();
        symlink(&path, &link).unwrap();
        refuses(
            &[OsStr::new("plan"), OsStr::new("--store"), link.as_os_str()],
            None,
            words,
        );
        fs::remove_file(&link).unwrap();
    }
    for (name, words) in ANYWHERE {
        let path = elsewhere.path().join(OsStr::from_bytes(name)).join("new");
        for command in ["repo", "assemble"] {
            refuses(
                &[
                    OsStr::new(command),
                    OsStr::new("--output"),
                    path.as_os_str(),
                ],
                None,
                words,
            );
        }
        refuses(&[OsStr::new("verify"), path.as_os_str()], None, words);
        assert!(!path.exists(), "{path:?}");
    }
}

/// The other names are those of checkouts that work: `tests/component/lock/checkout.rs`.
#[test]
fn a_checkout_that_some_program_cannot_deal_with_is_refused_before_any_work() {
    let elsewhere = tempfile::tempdir().unwrap();
    for (name, words) in ANYWHERE {
        let checkout = elsewhere.path().join(OsStr::from_bytes(name));
        // That much tells the tool that it is its own.
        for folder in ["xtask", "specs/targets"] {
            fs::create_dir_all(checkout.join(folder)).unwrap();
        }
        for command in ["repo", "plan", "targets", "key"] {
            let home = Home::new();
            let line = if command == "key" {
                &["key", "show"][..]
            } else {
                &[command]
            };
            let mut command = home.command(line);
            let ran = run(command.env("CARGO_MANIFEST_DIR", checkout.join("xtask")));
            assert_eq!(ran.code, 2, "{line:?}: {ran:?}");
            assert!(
                ran.stderr.contains("the checkout") && ran.stderr.contains(words),
                "{line:?}: {}",
                ran.stderr
            );
            assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
            assert!(home.is_untouched(), "{line:?}");
        }
    }
    // That another program's cargo started it is no reason to look there.
    let ran = run(Home::new()
        .command(&["targets"])
        .env("CARGO_MANIFEST_DIR", elsewhere.path().join("xtask")));
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("outside of a checkout"), "{ran:?}");
}

#[test]
fn every_other_path_can_be_that_of_a_store() {
    let elsewhere = tempfile::tempdir().unwrap();
    let store = elsewhere
        .path()
        .join("-a b,c%{lua:x}#d?e:f'g$HOME`h\\i*[j]{k,l}~é");
    let home = Home::new();
    let mut command = home.command(&["preflight", "--offline", "--locked", "--store"]);
    let ran = run(command.arg(&store));
    // What is not in it ends the run; but it was opened.
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(store.exists(), "{ran:?}");
    let mut command = home.command(&["clean", "--all", "--store"]);
    assert_eq!(run(command.arg(&store)).code, 0);
    assert!(!store.exists(), "{ran:?}");
}
