//! Answers that lead elsewhere, that drip, or that refuse; and what is not what it says it is.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lustre_packaging::obs::{self, Login, Project};
use lustre_packaging::sign::Secret;
use lustre_packaging::source::{Patience, Retry};
use lustre_repo_tests::obs_stub::{ARCH, Built, Fault, Obs, PAGE};

use super::{
    FILE, PACKAGE, PROJECT, REPOSITORY, Run, api, base, buildenv, honest, honest_service, pace,
    rpm, service, submitted,
};

#[test]
fn nothing_is_asked_where_an_answer_leads() {
    let other = Obs::start(|_, _, _| Built::Never);
    let obs = honest_service();
    let login = || Some(Login::new("me", Secret::new("secret")).unwrap());
    let list = format!("GET /source/{PROJECT}/{PACKAGE}");
    let commit = format!("POST /source/{PROJECT}/{PACKAGE}");
    let place = other.url().replace("http://", "http://you:hidden@");
    for status in [301, 302, 303, 307, 308] {
        for request in [&list, &commit] {
            obs.faults(request, [Fault::Leads(status, format!("{place}/x"))]);
            let error = submitted(&api(&obs, login())).unwrap_err().to_string();
            for part in [&status.to_string(), "--api", "leads to", "/x"] {
                assert!(error.contains(part), "{error}");
            }
            assert!(
                !error.contains("hidden") && !error.contains("secret"),
                "{error}"
            );
        }
    }
    obs.faults(&list, [Fault::Leads(302, "\u{1b}[2J".to_owned())]);
    let error = submitted(&api(&obs, login())).unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
    assert_eq!(other.requests(), [""; 0]);
}

#[test]
fn of_several_repositories_one_is_named() {
    let obs = honest_service();
    let api = api(&obs, None);
    let repository = |name: &str, base: &str| {
        format!(
            "<repository name=\"{name}\"><path project=\"{base}\" repository=\"{name}\"/><arch>x86_64</arch></repository>"
        )
    };
    for (name, base) in [("two", "two:config"), ("two:config", "base")] {
        let meta = format!(
            "<project name=\"{name}\"><title/>{}{}</project>",
            repository("el8", base),
            repository("el9", base)
        );
        obs.state().projects.insert(name.to_owned(), meta);
    }
    let found = |text: &str| {
        let project = Project::parse(text).unwrap();
        obs::repository(&api, &project, "rocky-9.6", &[], "x86_64")
    };
    let error = found("two").unwrap_err().to_string();
    for part in ["el8", "el9", "--project two/REPOSITORY"] {
        assert!(error.contains(part), "{error}");
    }
    for name in ["el8", "el9"] {
        let found = found(&format!("two/{name}")).unwrap();
        assert_eq!((found.name.as_str(), found.config.as_str()), (name, name));
    }
    // The other's configuration is none of its.
    let meta = format!(
        "<project name=\"two:config\">{}</project>",
        repository("el8", "base")
    );
    let config = "two:config".to_owned();
    obs.state().projects.insert(config, meta);
    let error = found("two/el9").unwrap_err().to_string();
    assert!(error.contains("two:config"), "{error}");
    found("two/el8").unwrap();
}

#[test]
fn who_has_no_right_hears_which_it_takes() {
    let config = format!("PUT /source/{PROJECT}/_config");
    let meta = format!("PUT /source/{PROJECT}/{PACKAGE}/_meta");
    let obs = honest_service();
    obs.faults(&config, [Fault::Status(403, "no permission")]);
    let of_config = obs::config(&api(&obs, None), PROJECT, "Type: spec\n").unwrap_err();
    obs.faults(&meta, [Fault::Status(403, "no permission")]);
    let of_meta = submitted(&api(&obs, None)).unwrap_err();
    for error in [of_config.to_string(), of_meta.to_string()] {
        for part in ["no permission", "maintainer", "--project"] {
            assert!(error.contains(part), "{error}");
        }
    }
    // What is built may be kept from being downloaded.
    let run = Run::new();
    let file = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}/{FILE}");
    obs.faults(&file, [Fault::Status(403, "binarydownload")]);
    let error = run.all(&api(&obs, None)).unwrap_err().to_string();
    for part in [FILE, "binarydownload", "downloaded"] {
        assert!(error.contains(part), "{error}");
    }
    for (status, part) in [(413, "of this size"), (507, "no room"), (400, "--api")] {
        let busy = std::iter::repeat_n(Fault::Status(status, "no"), 3);
        obs.faults(&config, busy);
        let error = obs::config(&api(&obs, None), PROJECT, "Type: x\n").unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
        obs.faults(&config, []);
    }
}

/// It is written in the manifest, which offers it for a define, and rpmbuild takes it.
#[test]
fn a_disturl_that_a_shell_rpm_or_a_terminal_would_obey_is_refused() {
    let end = |srcmd5: &str| format!("{PROJECT}/{REPOSITORY}/{srcmd5}-{PACKAGE}");
    for server in [
        "$(touch${IFS}x)".to_owned(),
        "a`b`".to_owned(),
        "a;b".to_owned(),
        "%%(id)".to_owned(),
        "a\u{202e}b".to_owned(),
        "a".repeat(1000),
    ] {
        let name = server.clone();
        let obs = service(move |package| {
            let srcmd5 = package.srcmd5();
            let mut files = honest(&srcmd5);
            let disturl = format!("obs://{name}/{}", end(&srcmd5));
            files.insert(FILE.to_owned(), rpm("hello", "1", &disturl));
            Built::Succeeded(files)
        });
        let run = Run::new();
        let error = run.all(&api(&obs, None)).unwrap_err().to_string();
        assert!(error.contains("DISTURL"), "{server}: {error}");
        assert!(error.len() < 1000, "{}", error.len());
        assert!(!run.packages().exists(), "{server}");
    }
}

#[test]
fn a_server_that_drips_has_a_time_for_all_of_it() {
    let obs = honest_service();
    let retry = Retry {
        attempts: 1,
        first_pause: Duration::ZERO,
    };
    let patience = Patience {
        connect: Duration::from_secs(2),
        stall: Duration::from_secs(5),
        answer: Duration::from_secs(2),
    };
    let hasty = api(&obs, None).with(retry, patience);
    let made = Run::new().all(&api(&obs, None)).unwrap();
    // Fast enough for whoever looks for a byte now and then.
    let drips = || Fault::Slow(2, Duration::from_millis(300));
    let list = format!("GET /source/{PROJECT}/{PACKAGE}");
    obs.faults(&list, [drips()]);
    let clock = Instant::now();
    submitted(&hasty).unwrap_err();
    assert!(clock.elapsed() < Duration::from_secs(8), "a listing");
    let file = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}/{FILE}");
    obs.faults(&file, [drips()]);
    let clock = Instant::now();
    let run = Run::new();
    run.collected(&hasty, &made.srcmd5).unwrap_err();
    assert!(clock.elapsed() < Duration::from_secs(8), "a package");
    // Nor does it hold whoever waits longer than he said.
    let there = submitted(&api(&obs, None)).unwrap();
    let result = format!("GET /build/{PROJECT}/_result");
    obs.faults(&result, [drips()]);
    let pace = obs::Pace {
        limit: Duration::from_secs(2),
        ..pace()
    };
    let clock = Instant::now();
    let error = Run::new().waited(&api(&obs, None), &there, pace);
    assert!(error.unwrap_err().to_string().contains("--wait"));
    assert!(clock.elapsed() < Duration::from_secs(8), "waiting");
}

#[test]
fn sources_that_somebody_else_exchanged_are_not_waited_for() {
    let obs = service(|_| Built::Never);
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let (_folder, others) = super::sources(&[("hello.spec", "Name: hello # of others\n")]);
    let other = obs::package(&api, PROJECT, PACKAGE, "<package/>", &others).unwrap();
    let error = Run::new().waited(&api, &there, pace()).unwrap_err();
    let error = error.to_string();
    for part in [&there.srcmd5, &other.srcmd5, "a project of its own"] {
        assert!(error.contains(part), "{error}");
    }
    let key = (PROJECT.to_owned(), PACKAGE.to_owned());
    obs.state().packages.remove(&key);
    let error = Run::new().waited(&api, &there, pace()).unwrap_err();
    assert!(error.to_string().contains("gone"), "{error}");
}

#[test]
fn what_a_server_forgot_the_history_of_is_built_once_more() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let obs = service(|package| match RUNS.fetch_add(1, Ordering::SeqCst) {
        0 => Built::Not("succeeded", ""),
        _ => Built::Succeeded(honest(&package.srcmd5())),
    });
    Run::new().all(&api(&obs, None)).unwrap();
    assert_eq!(RUNS.load(Ordering::SeqCst), 2);
}

#[test]
fn each_question_of_a_wait_may_be_out_of_reach_for_a_while() {
    let build = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64");
    for request in [
        format!("{build}/_jobhistory"),
        format!("{build}/{PACKAGE}/_buildenv"),
        format!("{build}/{PACKAGE}"),
        format!("{build}/{PACKAGE}/{FILE}"),
        format!("POST /build/{PROJECT}"),
    ] {
        for status in [503, 425] {
            static RUNS: AtomicUsize = AtomicUsize::new(0);
            RUNS.store(0, Ordering::SeqCst);
            // Its first build fails, so that another one is asked for.
            let obs = service(|package| match RUNS.fetch_add(1, Ordering::SeqCst) {
                0 => Built::Failed("no\n".to_owned()),
                _ => Built::Succeeded(honest(&package.srcmd5())),
            });
            let api = api(&obs, None);
            Run::new().all(&api).unwrap_err();
            obs.faults(
                &request,
                std::iter::repeat_n(Fault::Status(status, "no"), 7),
            );
            let all = Run::new().all(&api);
            assert!(all.is_ok(), "{request}: {:?}", all.unwrap_err());
        }
    }
}

#[test]
fn a_build_counts_whose_log_cannot_be_had() {
    let log = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}/_log");
    let obs = honest_service();
    obs.faults(&log, std::iter::repeat_n(Fault::Status(500, "no log"), 3));
    let run = Run::new();
    run.all(&api(&obs, None)).unwrap();
    let told = run.states.lock().unwrap();
    let last = told.last().unwrap();
    assert!(last.details.contains("no log"), "{told:?}");
    // Of a long one, the end is kept.
    let obs = honest_service();
    obs.state().package(PROJECT, PACKAGE).log = "the beginning, the end".to_owned();
    let size = (128 << 20) + "the beginning, ".len();
    let entry = format!("<directory><entry name=\"_log\" size=\"{size}\"/></directory>");
    obs.faults(&log, [Fault::Instead(entry.into())]);
    let run = Run::new();
    run.all(&api(&obs, None)).unwrap();
    let kept = fs::read_to_string(run.log()).unwrap();
    assert!(kept.starts_with("[its first 15 bytes"), "{kept}");
    assert!(kept.ends_with("]\nthe end"), "{kept}");
}

/// Both builds are of the same sources, and their packages may have the same size.
#[test]
fn what_is_built_again_while_it_is_fetched_is_fetched_again() {
    let obs = honest_service();
    let api = api(&obs, None);
    let made = Run::new().all(&api).unwrap();
    // A list of another build.
    let known = ("gcc", base().2.as_str());
    let with = |build: usize| {
        let mut list = buildenv(&made.srcmd5, &[known]);
        list.extend(format!("<!-- {build} -->").into_bytes());
        list
    };
    let built = |count: usize| {
        let mut files = honest(&made.srcmd5);
        files.insert("_buildenv".to_owned(), with(count));
        files
    };
    let file = format!("GET /build/{PROJECT}/{REPOSITORY}/x86_64/{PACKAGE}/{FILE}");
    obs.faults(&file, [Fault::Then(built(2))]);
    let run = Run::new();
    let found = run.collected(&api, &made.srcmd5).unwrap();
    assert_ne!(found.buildenv_sha256, made.buildenv_sha256);
    let list = fs::read(run.folder.path().join("_buildenv")).unwrap();
    assert_eq!(list, with(2));
    // One that never rests is given up.
    obs.faults(&file, [Fault::Then(built(3)), Fault::Then(built(4))]);
    let run = Run::new();
    let error = run.collected(&api, &made.srcmd5).unwrap_err().to_string();
    assert!(
        error.contains(PACKAGE) && error.contains("built again"),
        "{error}"
    );
    assert!(!run.packages().exists());
}

#[test]
fn a_web_page_in_place_of_the_api_is_called_one() {
    let meta = format!("GET /source/{PROJECT}/_meta");
    let pages = [
        PAGE,
        "<?xml version=\"1.0\"?>\n<!-- a page -->\n<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\">\n<html/>",
        "\u{feff}<HTML></HTML>",
    ];
    let faults = [200, 404].map(|status| pages.map(|page| Fault::Page(status, page)));
    for fault in faults.into_iter().flatten() {
        let obs = honest_service();
        obs.faults(&meta, [fault]);
        let project = Project::parse(PROJECT).unwrap();
        let error =
            obs::repository(&api(&obs, None), &project, "rocky-9.6", &[], ARCH).unwrap_err();
        let error = error.to_string();
        for part in ["web page", "--api", "/_meta"] {
            assert!(error.contains(part), "{error}");
        }
    }
}

/// What is in front of a service shows one while that is restarted.
#[test]
fn a_web_page_ends_no_wait() {
    let obs = honest_service();
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let result = format!("GET /build/{PROJECT}/_result");
    obs.faults(
        &result,
        [
            Fault::Page(404, PAGE),
            Fault::Page(200, PAGE),
            Fault::Page(404, PAGE),
        ],
    );
    Run::new().waited(&api, &there, pace()).unwrap();
}
