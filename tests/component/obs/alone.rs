//! What holds for a whole process, so that it is tested in one of its own: an interruption, which holds for all that it does afterwards, and
//! what it has in its environment.

use std::env;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

use lustre_packaging::obs::{Login, Pace};
use lustre_packaging::process;
use lustre_packaging::sign::Secret;
use lustre_packaging::source::{Patience, Retry};
use lustre_repo_tests::obs_stub::{Built, Fault};

use super::{PACKAGE, PROJECT, Run, api, honest_service, pace, service, submitted};

/// Is set in the process of its own.
const ALONE: &str = "TESTED_ALONE";

/// Whether this is the process in which the test `name` is alone; it ran there, well, where it is not.
fn is_alone(name: &str, environment: &[(&str, &str)]) -> bool {
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let (_, module) = module_path!().split_once("::").unwrap();
    let out = Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::{name}")])
        .env(ALONE, "1")
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
    false
}

#[test]
fn an_interruption_ends_the_waiting_at_once_and_not_the_build() {
    if !is_alone(
        "an_interruption_ends_the_waiting_at_once_and_not_the_build",
        &[],
    ) {
        return;
    }
    let obs = service(|_| Built::Never);
    let api = api(&obs, None);
    let there = submitted(&api).unwrap();
    let run = Run::new();
    let pace = Pace {
        first: Duration::from_secs(50),
        most: Duration::from_secs(50),
        ..pace()
    };
    let clock = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while run.states.lock().unwrap().is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
            process::interrupt();
        });
        run.waited(&api, &there, pace).unwrap_err().to_string()
    });
    assert!(
        clock.elapsed() < Duration::from_secs(20),
        "{:?}",
        clock.elapsed()
    );
    for part in [
        PACKAGE,
        "the server goes on building",
        "the same command goes on",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn an_interruption_ends_the_pause_after_an_answer_of_a_busy_server() {
    if !is_alone(
        "an_interruption_ends_the_pause_after_an_answer_of_a_busy_server",
        &[],
    ) {
        return;
    }
    let obs = service(|_| Built::Never);
    let retry = Retry {
        attempts: 5,
        first_pause: Duration::from_secs(50),
    };
    let patient = api(&obs, None).with(retry, Patience::default());
    let there = submitted(&patient).unwrap();
    let result = format!("GET /build/{PROJECT}/_result");
    obs.faults(&result, std::iter::repeat_n(Fault::Status(503, "busy"), 9));
    obs.requests();
    let clock = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            while obs.requests().is_empty() {
                std::thread::sleep(Duration::from_millis(20));
            }
            // The pause has begun.
            std::thread::sleep(Duration::from_secs(1));
            process::interrupt();
        });
        let run = Run::new();
        run.waited(&patient, &there, pace())
            .unwrap_err()
            .to_string()
    });
    assert!(
        clock.elapsed() < Duration::from_secs(20),
        "{:?}",
        clock.elapsed()
    );
    assert!(error.contains("the server goes on building"), "{error}");
}

#[test]
fn a_password_for_this_machine_is_told_to_no_proxy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let proxies = [("http_proxy", proxy.as_str()), ("all_proxy", &proxy)];
    if !is_alone("a_password_for_this_machine_is_told_to_no_proxy", &proxies) {
        if let Ok((mut stream, _)) = listener.accept() {
            let mut told = [0; 1000];
            let count = stream.read(&mut told).unwrap_or_default();
            panic!("{}", String::from_utf8_lossy(&told[..count]));
        }
        return;
    }
    let obs = honest_service();
    obs.asks_for("me", "secret");
    let login = Login::new("me", Secret::new("secret")).unwrap();
    submitted(&api(&obs, Some(login))).unwrap();
}
