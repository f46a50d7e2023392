//! The command line: what is said before anything is done.

use lustre_repo_tests::command_line::{Home, run};
use lustre_repo_tests::obs_stub::{Built, Fault, Obs};
use serde_json::Value;

const ON: [&str; 6] = [
    "--on",
    "obs",
    "--api",
    "http://127.0.0.1:1",
    "--project",
    "home:me",
];

#[test]
fn options_of_a_build_service_that_do_not_fit_are_usage_errors() {
    let home = Home::new();
    for (line, parts) in [
        (
            &["repo", "--api", "https://a.example"][..],
            ["--api", "--on obs"],
        ),
        (&["plan", "--project", "x"], ["--project", "--on obs"]),
        (&["build", "--wait", "3"], ["--wait", "--on obs"]),
        (&["repo", "--on", "obs"], ["--api", "--project"]),
        (
            &["repo", "--on", "obs", "--api", "https://a.example"],
            ["--api", "--project"],
        ),
        (
            &["repo", "--on", "obs", "--api", "/srv", "--project", "x"],
            ["http", "/srv"],
        ),
        (
            &[
                "repo",
                "--on",
                "obs",
                "--api",
                "https://a.example",
                "--project",
                "a/b/c",
            ],
            ["repository", "b/c"],
        ),
        (
            &[&["repo", "--offline"], &ON[..]].concat(),
            ["--offline", "--on obs"],
        ),
        (
            &[&["build", "--ccache"], &ON[..]].concat(),
            ["--ccache", "--on obs"],
        ),
        (
            &[&["build", "--output", "x"], &ON[..]].concat(),
            ["--output", "--on obs"],
        ),
        (
            &[&["build", "--rebuild", "kernel"], &ON[..]].concat(),
            ["--rebuild", "--on obs"],
        ),
        (
            &[&["repo", "--from-bundle", "/none"], &ON[..]].concat(),
            ["--from-bundle", "--on obs"],
        ),
        (
            &[&["repo", "--from-build", "/nowhere"], &ON[..]].concat(),
            ["--from-build", "--on obs"],
        ),
        (
            &[
                "plan",
                "--on",
                "obs",
                "--api",
                "a.example",
                "--project",
                "x",
            ],
            ["a.example", "https://"],
        ),
        (&["repo", "--on", "koji"], ["koji", "--on"]),
    ] {
        let ran = home.run(line);
        assert_eq!(ran.code, 2, "{line:?}: {ran:?}");
        for part in parts {
            assert!(ran.stderr.contains(part), "{line:?}: {ran:?}");
        }
    }
    let line = [
        "repo",
        "--on",
        "obs",
        "--api",
        "https://me:hidden@a.example",
        "--project",
        "x",
    ];
    let ran = home.run(&line);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(!ran.stderr.contains("hidden"), "{ran:?}");
}

#[test]
fn a_password_without_a_user_and_a_user_without_a_password_are_said() {
    let home = Home::new();
    for (name, value, part) in [
        ("LUSTRE_REPO_OBS_PASSWORD", "hidden", "LUSTRE_REPO_OBS_USER"),
        (
            "LUSTRE_REPO_OBS_USER",
            "me",
            "LUSTRE_REPO_OBS_PASSWORD_FILE",
        ),
        (
            "LUSTRE_REPO_OBS_PASSWORD_FILE",
            "/nowhere/hidden",
            "LUSTRE_REPO_OBS_USER",
        ),
    ] {
        let mut command = home.command(&[&["repo"], &ON[..]].concat());
        command.env(name, value);
        let out = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains(part) && !stderr.contains("hidden"),
            "{stderr}"
        );
    }
}

/// A plan asks nobody.
#[test]
fn a_plan_shows_where_packages_are_built() {
    let home = Home::new();
    let plan = |more: &[&str]| -> Vec<Value> {
        let ran = home.run(&[&["plan", "--json"], more].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let (here, there) = (plan(&[]), plan(&ON));
    assert_eq!(here.len(), there.len());
    let text = home.run(&[&["plan"], &ON[..]].concat()).stdout;
    for (here, there) in here.iter().zip(&there) {
        let stage = here["stage"].as_str().unwrap();
        let is_built = ["kernel", "e2fsprogs", "lustre"].contains(&stage);
        assert_eq!(there["builder"].is_string(), is_built, "{stage}");
        assert!(here["builder"].is_null(), "{stage}");
    }
    for (stage, project) in [("kernel", "home:me:kernel"), ("lustre", "home:me")] {
        let row = text.lines().find(|row| {
            let mut words = row.split_whitespace();
            words.any(|word| word == stage) && row.contains("built by")
        });
        let end = format!("built by OBS at http://127.0.0.1:1, project {project}");
        assert!(row.is_some_and(|row| row.ends_with(&end)), "{text}");
    }
}

/// Before a mirror is asked, and before anything is locked or fetched.
#[test]
fn the_service_is_asked_first() {
    let home = Home::new();
    let obs = Obs::start(|_, _, _| Built::Never);
    // It may be back by the time it is needed.
    obs.faults(
        "GET /source/home:me:config/_meta",
        [Fault::Status(503, "busy")],
    );
    let ran = |command: &str, user: bool| {
        let line = [command, "--locked", "--target", "rocky-9.6"];
        let service = ["--on", "obs", "--project", "home:me", "--api"];
        let mut command = home.command(&[&line[..], &service].concat());
        command.arg(obs.url());
        if user {
            command.env("LUSTRE_REPO_OBS_USER", "me");
            command.env("LUSTRE_REPO_OBS_PASSWORD", "another");
        }
        run(&mut command)
    };
    let busy = ran("repo", false);
    let warned = "the build service is out of reach";
    assert!(busy.stderr.contains(warned), "{busy:?}");
    // The run goes on.
    assert!(
        !busy.stderr.contains("run the same command again"),
        "{busy:?}"
    );
    assert!(busy.stderr.contains("--locked"), "{busy:?}");
    for command in ["repo", "assemble", "build"] {
        let ran = ran(command, false);
        assert_eq!(ran.code, 1, "{ran:?}");
        for part in [
            "has no project `home:me:config`",
            "export obs --target rocky-9.6 --package e2fsprogs --project home:me -o DIR",
        ] {
            assert!(ran.stderr.contains(part), "{ran:?}");
        }
        assert!(!ran.stderr.contains("--locked"), "{ran:?}");
    }
    obs.asks_for("me", "secret");
    for (user, part) in [(false, "no user was given"), (true, "does not take")] {
        let ran = ran("repo", user);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(part), "{ran:?}");
        assert!(!ran.stderr.contains("another"), "{ran:?}");
    }
}
