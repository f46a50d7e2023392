//! Sources: what differs is submitted, and nothing twice.

use std::time::{Duration, Instant};

use lustre_packaging::export::obs as texts;
use lustre_packaging::obs::{self, Login, Project, Submitted};
use lustre_packaging::sign::Secret;
use lustre_repo_tests::obs_stub::{Fault, Obs};

use super::{PACKAGE, PROJECT, api, honest_service, sources, submitted};

/// What changes something there.
fn changes(obs: &Obs) -> Vec<String> {
    let mut all = obs.requests();
    all.retain(|one| !one.starts_with("GET "));
    all
}

#[test]
fn what_differs_is_submitted_and_nothing_twice() {
    let obs = honest_service();
    let api = api(&obs, None);
    let submit = |files: &[(&str, &str)]| -> Submitted {
        let (_folder, sources) = sources(files);
        obs::package(&api, PROJECT, PACKAGE, "<package/>", &sources).unwrap()
    };
    let first = [("hello.spec", "1"), ("a~b+c.patch", "2")];
    let one = submit(&first);
    assert!(!one.unchanged);
    assert_eq!(one.uploaded, ["a~b+c.patch", "hello.spec"]);
    changes(&obs);
    let again = submit(&first);
    assert!(again.unchanged && again.uploaded.is_empty());
    assert_eq!(again.srcmd5, one.srcmd5);
    assert_eq!(changes(&obs), [""; 0]);
    let other = submit(&[("hello.spec", "3"), ("a~b+c.patch", "2")]);
    assert_eq!(other.uploaded, ["hello.spec"]);
    assert_ne!(other.srcmd5, one.srcmd5);
    // Back to what was there once: all of it is known.
    assert_eq!(submit(&first).uploaded, [""; 0]);
    let state = obs.state();
    let package = &state.packages[&(PROJECT.to_owned(), PACKAGE.to_owned())];
    assert_eq!(package.revisions, 3);
}

#[test]
fn what_workers_have_to_have_and_what_pins_is_left_to_whoever_wrote_it() {
    let obs = honest_service();
    let md5 = "d41d8cd98f00b204e9800998ecf8427e".to_owned();
    for name in ["_constraints", "_buildenv"] {
        let mut state = obs.state();
        let files = &mut state.package(PROJECT, PACKAGE).files;
        files.insert(name.to_owned(), md5.clone());
    }
    submitted(&api(&obs, None)).unwrap();
    let state = obs.state();
    let package = &state.packages[&(PROJECT.to_owned(), PACKAGE.to_owned())];
    let files: Vec<&str> = package.files.keys().map(String::as_str).collect();
    assert_eq!(files, ["_buildenv", "_constraints", "hello.spec"]);
}

#[test]
fn files_of_somebody_else_are_not_removed() {
    let md5 = "d41d8cd98f00b204e9800998ecf8427e".to_owned();
    for (name, marked, is_replaced) in [
        ("old.patch", true, true),
        ("old.patch", false, false),
        ("_link", true, false),
        ("_service", true, false),
        ("_multibuild", false, false),
    ] {
        let obs = honest_service();
        {
            let mut state = obs.state();
            let package = state.package(PROJECT, PACKAGE);
            package.files.insert(name.to_owned(), md5.clone());
            if marked {
                package.meta = texts::package_meta(PROJECT, PACKAGE);
            }
        }
        let result = submitted(&api(&obs, None));
        let state = obs.state();
        let package = &state.packages[&(PROJECT.to_owned(), PACKAGE.to_owned())];
        if is_replaced {
            result.unwrap();
            assert!(!package.files.contains_key(name), "{name}");
            continue;
        }
        let error = result.unwrap_err().to_string();
        for part in [name, "home:me/hello", "was not changed"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(package.revisions, 0, "{name}");
    }
}

#[test]
fn a_configuration_is_written_where_it_is_another() {
    let obs = honest_service();
    let api = api(&obs, None);
    assert!(obs::config(&api, PROJECT, "Type: spec\n").unwrap());
    assert!(!obs::config(&api, PROJECT, "Type: spec\n").unwrap());
    assert!(obs::config(&api, PROJECT, "Type: spec\nRelease:\n").unwrap());
}

#[test]
fn a_project_that_is_not_there_or_builds_on_something_else_is_named() {
    let obs = honest_service();
    let api = api(&obs, None);
    let project = |text: &str| Project::parse(text).unwrap();
    let before = ["kernel", "e2fsprogs"];
    let found = obs::repository(&api, &project(PROJECT), "rocky-9.6", &before, "x86_64").unwrap();
    assert_eq!(
        (found.name.as_str(), found.config.as_str()),
        ("standard", "standard")
    );
    assert_eq!(found.packages.len(), 2);
    assert_eq!(found.of("kernel"), "standard");
    obs.projects("low", &["kernel", "e2fsprogs"]);
    obs.project("low:kernel", &["base"]);
    obs.projects("turned", &["e2fsprogs", "kernel"]);
    obs.projects("own", &["e2fsprogs"]);
    obs.project("alone", &["base"]);
    for name in ["alone:config", "alone:kernel", "alone:e2fsprogs"] {
        obs.project(name, &["base"]);
    }
    obs.project("half", &["half:config"]);
    for (name, arch, parts) in [
        (
            "other/el9",
            "x86_64",
            [
                "no project `other:config`, `other:kernel`, `other:e2fsprogs`, `other`",
                "export obs --target rocky-9.6 --package e2fsprogs --project other/el9 -o DIR",
            ],
        ),
        (
            "half",
            "x86_64",
            [
                "no project `half:config`, `half:kernel`, `half:e2fsprogs`",
                "--project half -o DIR",
            ],
        ),
        (
            "own",
            "x86_64",
            [
                "no project `own:kernel`",
                "meta prj own:kernel -F DIR/own:kernel/_meta",
            ],
        ),
        (
            "alone",
            "x86_64",
            [
                "does not build on a repository of alone:kernel",
                "alone:config",
            ],
        ),
        (
            "turned",
            "x86_64",
            [
                "turned/standard",
                "turned:kernel, turned:e2fsprogs, turned:config",
            ],
        ),
        (
            "low",
            "x86_64",
            [
                "low:kernel/standard does not build on",
                "low:config/standard",
            ],
        ),
        (
            "home:me/images",
            "x86_64",
            ["has the repositories standard", "/REPOSITORY"],
        ),
        (
            "home:me",
            "aarch64",
            ["no repository for this architecture", "/REPOSITORY"],
        ),
    ] {
        let error = obs::repository(&api, &project(name), "rocky-9.6", &before, arch).unwrap_err();
        let error = error.to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}

#[test]
fn who_asks_without_a_password_hears_where_it_belongs() {
    let obs = honest_service();
    obs.asks_for("me", "a \"secret\\");
    let login = |password: &str| Some(Login::new("me", Secret::new(password)).unwrap());
    submitted(&api(&obs, login("a \"secret\\"))).unwrap();
    for (login, part) in [
        (None, "no user was given"),
        (login("another"), "does not take"),
    ] {
        let error = submitted(&api(&obs, login)).unwrap_err().to_string();
        for part in [
            part,
            "LUSTRE_REPO_OBS_USER",
            "LUSTRE_REPO_OBS_PASSWORD_FILE",
        ] {
            assert!(error.contains(part), "{error}");
        }
        assert!(!error.contains("another"), "{error}");
    }
    // Once is enough to know it.
    obs.requests();
    submitted(&api(&obs, None)).unwrap_err();
    assert_eq!(obs.requests().len(), 1);
}

#[test]
fn what_a_server_refuses_is_said_in_its_words() {
    let list = format!("GET /source/{PROJECT}/{PACKAGE}");
    let commit = format!("POST /source/{PROJECT}/{PACKAGE}");
    for (request, status, parts) in [
        (&list, 403, ["status 403", "no permission"]),
        (&list, 500, ["status 500", "no permission"]),
        (&commit, 409, ["status 409", "run the same command again"]),
        (&commit, 400, ["status 400", "no permission"]),
    ] {
        let obs = honest_service();
        let fault = || Fault::Status(status, "no permission\u{1b}[2J");
        obs.faults(request, [fault(), fault(), fault()]);
        let error = submitted(&api(&obs, None)).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{status}: {error}");
        }
        assert!(!error.contains('\u{1b}'), "{error:?}");
        let commits = obs
            .requests()
            .iter()
            .filter(|one| one.starts_with(&commit))
            .count();
        assert!(commits <= 2, "{commits}");
        // What passes, passes: nothing is left of it.
        obs.faults(request, []);
        submitted(&api(&obs, None)).unwrap();
    }
    let obs = honest_service();
    obs.faults(
        &list,
        [Fault::Status(500, "busy"), Fault::Status(503, "busy")],
    );
    submitted(&api(&obs, None)).unwrap();
}

#[test]
fn a_connection_that_is_cut_leaves_one_revision() {
    let file = format!("PUT /source/{PROJECT}/{PACKAGE}/hello.spec");
    let list = format!("GET /source/{PROJECT}/{PACKAGE}");
    let commit = format!("POST /source/{PROJECT}/{PACKAGE}");
    let obs = honest_service();
    obs.faults(&list, [Fault::Cut(3)]);
    obs.faults(&file, [Fault::Cut(0)]);
    // The second one is the one that makes the revision.
    obs.faults(&commit, [Fault::Cut(20), Fault::Cut(0)]);
    submitted(&api(&obs, None)).unwrap();
    let state = obs.state();
    let package = &state.packages[&(PROJECT.to_owned(), PACKAGE.to_owned())];
    assert_eq!(package.revisions, 1);
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let obs = honest_service();
    let list = format!("GET /source/{PROJECT}/{PACKAGE}");
    // Slower than a byte in the time that is waited.
    let slow = || Fault::Slow(1, Duration::from_secs(3));
    obs.faults(&list, [slow(), slow(), slow()]);
    let clock = Instant::now();
    let error = submitted(&api(&obs, None)).unwrap_err().to_string();
    assert!(error.contains(&obs.url()), "{error}");
    assert!(
        clock.elapsed() < Duration::from_secs(30),
        "{:?}",
        clock.elapsed()
    );
    // One that is slow, and comes, is taken.
    obs.faults(&list, [Fault::Slow(10, Duration::from_millis(20))]);
    submitted(&api(&obs, None)).unwrap();
}

#[test]
fn sources_that_become_others_there_are_not_waited_for() {
    let obs = honest_service();
    let commit = format!("POST /source/{PROJECT}/{PACKAGE}");
    let answer = br#"<directory srcmd5="d41d8cd98f00b204e9800998ecf8427e"><entry name="x" md5="d41d8cd98f00b204e9800998ecf8427e"/></directory>"#;
    obs.faults(&commit, [Fault::Instead(answer.to_vec())]);
    let error = submitted(&api(&obs, None)).unwrap_err().to_string();
    assert!(
        error.contains("d41d8cd98f00b204e9800998ecf8427e, and they are"),
        "{error}"
    );
    for answer in [
        "<other/>",
        "",
        "<directory><entry name=\"../x\" md5=\"\"/></directory>",
        "<directory error=\"missing\"><entry name=\"x\"/></directory>",
    ] {
        obs.faults(&commit, [Fault::Instead(answer.into())]);
        let error = submitted(&api(&obs, None)).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "{answer}: {error}");
    }
}
