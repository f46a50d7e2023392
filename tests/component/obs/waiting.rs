//! Waiting: what counts, what ends it, and what is said then.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lustre_packaging::obs::Pace;
use lustre_repo_tests::obs_stub::{Built, Fault};

use super::{PACKAGE, PROJECT, Run, api, honest, honest_service, pace, service, submitted};

#[test]
fn a_build_is_waited_for_and_each_state_told_once() {
    let obs = honest_service();
    {
        // Of other sources, which nobody should take for these.
        let mut state = obs.state();
        let package = state.package(PROJECT, PACKAGE);
        package.code = "failed".to_owned();
        package.jobs.push(("old".to_owned(), "failed".to_owned()));
        package.log = "what was built\n".to_owned();
    }
    let api = api(&obs, None);
    let run = Run::new();
    let result = format!("GET /build/{PROJECT}/_result");
    obs.faults(
        &result,
        [Fault::Status(500, "busy"), Fault::Status(502, "busy")],
    );
    let made = run.all(&api).unwrap();
    let states = run.states.lock().unwrap();
    let codes: Vec<&str> = states.iter().map(|state| state.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "submitted",
            "failed",
            "blocked",
            "scheduled",
            "building",
            "finished",
            "succeeded"
        ]
    );
    assert!(
        made.disturl
            .ends_with(&format!("{}-{PACKAGE}", made.srcmd5))
    );
    assert_eq!(fs::read_to_string(run.log()).unwrap(), "what was built\n");
    drop(states);
    // The next run finds it done, and has nothing built.
    let before = obs.state().package(PROJECT, PACKAGE).jobs.len();
    let again = Run::new();
    assert_eq!(again.all(&api).unwrap(), made);
    assert_eq!(obs.state().package(PROJECT, PACKAGE).jobs.len(), before);
}

#[test]
fn what_is_there_of_other_sources_is_not_taken_for_these_but_wiped() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let obs = service(|package| match RUNS.fetch_add(1, Ordering::SeqCst) {
        1 => Built::Unchanged,
        _ => Built::Succeeded(honest(&package.srcmd5())),
    });
    let api = api(&obs, None);
    let first = Run::new().all(&api).unwrap();
    obs.requests();
    let other = Run::new().all_of(&api, "Name: hello\n\n").unwrap();
    assert_ne!(other.disturl, first.disturl);
    assert_eq!(asked_for(&obs.requests()), ["wipe"]);
    // Where that does not help, nothing is taken.
    let obs = service(|package| match package.jobs.is_empty() {
        true => Built::Succeeded(honest(&package.srcmd5())),
        false => Built::Unchanged,
    });
    let api = super::api(&obs, None);
    Run::new().all(&api).unwrap();
    let (_folder, sources) = super::sources(&[("hello.spec", "Name: hello\n\n")]);
    let there = lustre_packaging::obs::package(&api, PROJECT, PACKAGE, "<package/>", &sources);
    let error = Run::new()
        .waited(&api, &there.unwrap(), pace())
        .unwrap_err();
    let error = error.to_string();
    for part in ["built of earlier sources", "osc wipebinaries"] {
        assert!(error.contains(part), "{error}");
    }
}

/// The builds that were asked for.
fn asked_for(requests: &[String]) -> Vec<&str> {
    let commands = requests.iter().filter_map(|one| one.split_once("?cmd="));
    commands
        .map(|(_, rest)| rest.split('&').next().unwrap())
        .filter(|command| *command != "commitfilelist")
        .collect()
}

/// The base project moved on, and the lock with it; or the configuration is another.
#[test]
fn what_was_built_with_something_else_is_built_anew_once() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let obs = service(|package| {
        let srcmd5 = package.srcmd5();
        let mut files = honest(&srcmd5);
        let run = RUNS.fetch_add(1, Ordering::SeqCst);
        if run == 1 {
            return Built::Unchanged;
        }
        if run == 0 {
            let with = [("gcc", "d41d8cd98f00b204e9800998ecf8427e")];
            files.insert("_buildenv".to_owned(), super::buildenv(&srcmd5, &with));
        }
        Built::Succeeded(files)
    });
    let api = api(&obs, None);
    // What was built just now would come out the same.
    let error = Run::new().all(&api).unwrap_err().to_string();
    assert!(error.contains("gcc"), "{error}");
    assert_eq!(asked_for(&obs.requests()), [""; 0]);
    // Nothing is removed for that, unless the new build is taken for unchanged.
    let run = Run::new();
    run.all(&api).unwrap();
    assert_eq!(asked_for(&obs.requests()), ["rebuild", "wipe"]);
    let states = run.states.lock().unwrap();
    let anew: Vec<&str> = states
        .iter()
        .filter(|state| state.code == "to be built anew")
        .map(|state| state.details.split(':').next().unwrap())
        .collect();
    let said = [
        "what is there stays until it is built",
        "what is there is removed",
    ];
    assert_eq!(anew, said);
    Run::new().all(&api).unwrap();
    assert_eq!(asked_for(&obs.requests()), [""; 0]);
}

#[test]
fn what_is_refused_again_is_not_removed() {
    let obs = service(|package| {
        let srcmd5 = package.srcmd5();
        let mut files = honest(&srcmd5);
        let with = [("gcc", "d41d8cd98f00b204e9800998ecf8427e")];
        files.insert("_buildenv".to_owned(), super::buildenv(&srcmd5, &with));
        Built::Succeeded(files)
    });
    let api = api(&obs, None);
    Run::new().all(&api).unwrap_err();
    Run::new().all(&api).unwrap_err();
    assert_eq!(asked_for(&obs.requests()), ["rebuild"]);
}

#[test]
fn a_server_that_is_gone_for_a_while_is_waited_for_and_one_that_stays_away_is_not() {
    let obs = honest_service();
    let api = api(&obs, None);
    let result = format!("GET /build/{PROJECT}/_result");
    let busy = || std::iter::repeat_n(Fault::Status(503, "maintenance"), 1_000);
    // Of each look, three tries.
    obs.faults(&result, busy().take(8));
    let run = Run::new();
    run.all(&api).unwrap();
    let states = run.states.lock().unwrap();
    let out = states.iter().find(|state| state.code == "out of reach");
    assert!(out.unwrap().details.contains("maintenance"), "{states:?}");
    drop(states);
    obs.faults(&result, busy());
    let (_folder, sources) = super::sources(&[("hello.spec", "Name: hello\n\n")]);
    let there = lustre_packaging::obs::package(&api, PROJECT, PACKAGE, "<package/>", &sources);
    let error = Run::new().waited(&api, &there.unwrap(), pace());
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("503") && error.contains("maintenance"),
        "{error}"
    );
}

#[test]
fn a_failed_build_shows_the_end_of_its_log_and_is_built_again_by_the_next_run() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let obs = service(|package| match RUNS.fetch_add(1, Ordering::SeqCst) {
        0 => {
            let lines = (1..=100).map(|line| format!("line {line}\n"));
            Built::Failed(lines.collect::<String>() + "gcc: no such thing\n")
        }
        _ => Built::Succeeded(honest(&package.srcmd5())),
    });
    let api = api(&obs, None);
    let run = Run::new();
    let error = run.all(&api).unwrap_err().to_string();
    let log = run.log();
    for part in [
        PACKAGE,
        "line 99",
        "gcc: no such thing",
        &log.display().to_string(),
    ] {
        assert!(error.contains(part), "{error}");
    }
    assert!(!error.contains("line 50\n"), "{error}");
    assert!(fs::read_to_string(log).unwrap().starts_with("line 1\n"));
    obs.requests();
    Run::new().all(&api).unwrap();
    let posts: Vec<String> = obs
        .requests()
        .into_iter()
        .filter(|one| one.starts_with("POST"))
        .collect();
    assert_eq!(posts.len(), 1, "{posts:?}");
    assert!(posts[0].contains("cmd=rebuild"), "{posts:?}");
}

#[test]
fn what_is_never_built_says_why() {
    for (code, details, help) in [
        (
            "unresolvable",
            "nothing provides kernel-devel",
            "base project",
        ),
        (
            "broken",
            "could not parse hello.spec",
            "does not understand",
        ),
        ("excluded", "", "leaves this architecture out"),
        ("disabled", "", "enable building"),
        ("locked", "", "unlock"),
    ] {
        let obs = service(move |_| Built::Not(code, details));
        let error = Run::new().all(&api(&obs, None)).unwrap_err().to_string();
        for part in [PACKAGE, code, details, help] {
            assert!(error.contains(part), "{code}: {error}");
        }
    }
}

#[test]
fn the_time_that_is_waited_has_an_end() {
    let obs = service(|_| Built::Never);
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let pace = Pace {
        limit: Duration::from_secs(5),
        ..pace()
    };
    let error = Run::new()
        .waited(&api, &there, pace)
        .unwrap_err()
        .to_string();
    for part in [
        PACKAGE,
        "building (on worker 7)",
        "--wait",
        "the server goes on",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn answers_that_are_none_end_it() {
    for answer in [
        "",
        "<other><status/></other>",
        "<resultlist><result repository=\"standard\"",
    ] {
        let obs = honest_service();
        let api = api(&obs, None);
        let there = submitted(&api).unwrap();
        obs.faults(
            &format!("GET /build/{PROJECT}/_result"),
            [Fault::Instead(answer.into())],
        );
        let error = Run::new()
            .waited(&api, &there, pace())
            .unwrap_err()
            .to_string();
        assert!(error.contains("cannot be used"), "{answer}: {error}");
    }
}
