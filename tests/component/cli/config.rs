//! A site's defaults: from its files, from the environment, and from the command line, which counts first.

use std::fs;

use lustre_repo_tests::command_line::{Home, Run, run};

/// The tool with the user's file of defaults, and with variables; none says where the store is but they.
fn with(home: &Home, variables: &[(&str, &str)], line: &[&str]) -> Run {
    let mut command = home.command(line);
    command.env_remove("LUSTRE_REPO_STORE");
    run(command.envs(variables.iter().copied()))
}

fn defaults(home: &Home, text: &str) {
    let folder = home.path().join(".config/lustre-repo");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), text).unwrap();
}

#[test]
fn the_line_counts_before_the_environment_and_that_before_the_file() {
    let home = Home::new();
    defaults(
        &home,
        "target = 'rocky-9.6'\nstore = 'own-store'\njobs = 3\n",
    );
    let planned = |variables: &[(&str, &str)], line: &[&str]| {
        let ran = with(&home, variables, &[&["plan"][..], line].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        let path = ran.stdout.split(".toml").next().unwrap().to_owned();
        path.rsplit('/').next().unwrap().to_owned()
    };
    let variable = [("LUSTRE_REPO_TARGET", "rocky-9.7")];
    assert_eq!(planned(&[], &[]), "rocky-9.6");
    assert_eq!(planned(&variable, &[]), "rocky-9.7");
    assert_eq!(planned(&variable, &["--target", "rocky-9.8"]), "rocky-9.8");

    let store = |variables: &[(&str, &str)], line: &[&str]| {
        let line = [&["clean", "--dry-run"][..], line].concat();
        let ran = with(&home, variables, &line);
        assert_eq!(ran.code, 0, "{ran:?}");
        let said = ran.stderr.strip_prefix("nothing to clean: ").unwrap();
        said.split(' ').next().unwrap().to_owned()
    };
    let own = home.path().join(".config/lustre-repo/own-store");
    let variable = [("LUSTRE_REPO_STORE", "/no/such/variable")];
    assert_eq!(store(&[], &[]), own.display().to_string());
    assert_eq!(store(&variable, &[]), "/no/such/variable");
    assert_eq!(store(&variable, &["--store", "/no/line"]), "/no/line");
}

#[test]
fn a_key_file_of_the_defaults_is_what_signs_where_nothing_else_says() {
    let home = Home::new();
    let mut fingerprints = Vec::new();
    for name in ["a", "b", "c"] {
        let file = home.path().join(name);
        let id = format!("{name} <{name}@example.org>");
        let made = with(
            &home,
            &[],
            &[
                "key",
                "new",
                "--user-id",
                &id,
                "--output",
                file.to_str().unwrap(),
            ],
        );
        assert_eq!(made.code, 0, "{made:?}");
        fingerprints.push(made.stderr.split(' ').nth(1).unwrap().to_owned());
    }
    let file = |name: &str| home.path().join(name).display().to_string();
    defaults(&home, &format!("key-file = '{}'\n", file("a")));
    let shown = |variables: &[(&str, &str)], line: &[&str]| {
        let line = [&["key", "show", "--json"][..], line].concat();
        let ran = with(&home, variables, &line);
        assert_eq!(ran.code, 0, "{ran:?}");
        let shown: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        shown["fingerprint"].as_str().unwrap().to_owned()
    };
    let b = file("b");
    let variable = [("LUSTRE_REPO_KEY_FILE", b.as_str())];
    assert_eq!(shown(&[], &[]), fingerprints[0]);
    assert_eq!(shown(&variable, &[]), fingerprints[1]);
    assert_eq!(
        shown(&variable, &["--key-file", &file("c")]),
        fingerprints[2]
    );
}

#[test]
fn defaults_that_are_wrong_are_refused_with_their_line() {
    let home = Home::new();
    defaults(&home, "jobs = 2\ntargets = 'rocky-9.6'\n");
    let ran = with(&home, &[], &["plan"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    for part in ["config.toml", "line 2", "`targets`", "`key-file`"] {
        assert!(ran.stderr.contains(part), "`{part}`: {}", ran.stderr);
    }
    defaults(&home, "");
    let ran = with(&home, &[("LUSTRE_REPO_JOBS", "many")], &["plan"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("LUSTRE_REPO_JOBS"), "{}", ran.stderr);
}
