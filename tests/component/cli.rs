//! The command line from outside: exit codes, words on the right stream, and refusing before any work is done.

// The helpers of a test fail as a test does.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use lustre_packaging::host;
use lustre_repo_tests::command_line::{Home, Run, program, project, run};

#[path = "cli/planning.rs"]
mod planning;
#[path = "cli/waiting.rs"]
mod waiting;

/// The commands that take a target.
const TARGET_COMMANDS: [&str; 9] = [
    "repo",
    "plan",
    "preflight",
    "fetch",
    "build",
    "assemble",
    "verify",
    "boot",
    "lock",
];

#[test]
fn an_unknown_target_is_wrong_usage_and_the_known_ones_are_named() {
    for command in TARGET_COMMANDS {
        let home = Home::new();
        let ran = home.run(&[command, "--target", "nowhere-1"]);
        assert_eq!(ran.code, 2, "{command}: {ran:?}");
        assert!(
            ran.stderr.contains("nowhere-1") && ran.stderr.contains("rehearsal"),
            "{command}: {}",
            ran.stderr
        );
        assert_eq!(ran.stdout, "", "{command}");
        assert!(home.is_untouched(), "{command}");
    }
}

#[test]
fn a_target_is_a_name_or_the_path_of_a_targets_file() {
    for name in [
        "../targets/rehearsal",
        "/etc/passwd",
        "/no/such/site.toml",
        ".toml",
        ".",
        "",
    ] {
        let home = Home::new();
        let ran = home.run(&["plan", "--target", name]);
        assert_eq!(ran.code, 2, "{name}: {ran:?}");
        assert!(home.is_untouched(), "{name}");
    }
}

#[test]
fn what_the_command_line_does_not_know_is_wrong_usage() {
    let wrong: [&[&str]; 7] = [
        &["repo", "--no-such-option"],
        &["no-such-command"],
        &[],
        &["repo", "--jobs", "many"],
        &["repo", "--jobs", "0"],
        &["build", "--offline", "no-such-package"],
        &["key", "export", "--key-file", "a", "--key-agent", "b"],
    ];
    for arguments in wrong {
        let home = Home::new();
        let ran = home.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
        assert_ne!(ran.stderr, "", "{arguments:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert!(home.is_untouched(), "{arguments:?}");
    }
}

#[test]
fn targets_can_be_read_by_machines() {
    let home = Home::new();
    let ran = home.run(&["targets", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let targets: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let names: Vec<&str> = targets
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|target| target["name"].as_str())
        .collect();
    assert!(names.contains(&"rehearsal"), "{names:?}");
    assert_eq!(
        names.len(),
        fs::read_dir(project().join("specs/targets"))
            .unwrap()
            .count()
    );
    assert!(home.is_untouched());
}

#[test]
fn where_there_is_no_terminal_there_are_no_escape_codes() {
    let lines: [&[&str]; 6] = [
        &["targets"],
        &["targets", "--json"],
        &["--help"],
        &["repo", "--help"],
        &["repo", "--no-such-option"],
        &["plan", "--target", "nowhere-1"],
    ];
    for arguments in lines {
        let ran = Home::new().run(arguments);
        for stream in [&ran.stdout, &ran.stderr] {
            assert!(!stream.contains('\u{1b}'), "{arguments:?}: {stream:?}");
        }
        assert!(ran.stdout.len() + ran.stderr.len() > 0, "{arguments:?}");
    }
}

#[test]
fn a_repository_that_is_not_there_is_an_error_with_the_next_step() {
    let home = Home::new();
    let ran = home.run(&["verify", "--offline", "/no/such/repository"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("/no/such/repository") && ran.stderr.contains("cargo xtask repo"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_repository_with_another_key_than_expected_does_not_hold_and_is_not_looked_into() {
    let home = Home::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let dist = elsewhere.path();
    let secret = dist.join("release.key.asc");
    let secret = secret.to_str().unwrap();
    let id = ["--user-id", "A <a@example.org>", "--output", secret];
    assert_eq!(home.run(&[&["key", "new"][..], &id].concat()).code, 0);
    let public = home.run(&["key", "export", "--key-file", secret]).stdout;
    fs::write(dist.join("RPM-GPG-KEY-lustre-repo"), &public).unwrap();
    fs::write(dist.join("SHA256SUMS"), "").unwrap();
    let verify = ["verify", "--offline", "--json", dist.to_str().unwrap()];

    let other = "0123456789ABCDEF0123456789ABCDEF01234567";
    let ran = home.run(&[&verify[..], &["--public-key", other]].concat());
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = proof["checks"].as_array().unwrap();
    assert_eq!(checks.len(), 1, "{checks:#?}");
    assert_eq!(checks[0]["name"], "key");
    assert_eq!(checks[0]["result"], "fail");
    assert!(
        ran.stderr.contains(other) && ran.stderr.contains("--public-key"),
        "{}",
        ran.stderr
    );

    // This machine's development key is expected where none is named; but none is made for that.
    let development = home.path().join(".local/share/lustre-repo/keys");
    assert!(!development.exists());
    assert_eq!(home.run(&["key", "show"]).code, 0);
    assert!(development.exists());
    let ran = home.run(&verify);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.contains("development key"), "{}", ran.stderr);

    // The last eight digits of a fingerprint are no name: anybody can make a key that has them.
    let ran = home.run(&["verify", "--public-key", &other[32..]]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_key_is_never_overwritten() {
    let home = Home::new();
    let file = home.path().join("release.key.asc");
    fs::write(&file, "somebody's key").unwrap();
    let ran = home.run(&[
        "key",
        "new",
        "--user-id",
        "A <a@example.org>",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains(file.to_str().unwrap()),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's key");
}

#[test]
fn a_new_key_is_shown_and_exported_and_stays_secret() {
    let home = Home::new();
    let file = home.path().join("release.key.asc");
    let path = file.to_str().unwrap();
    let made = home.run(&[
        "key",
        "new",
        "--user-id",
        "A <a@example.org>",
        "--output",
        path,
    ]);
    assert_eq!(made.code, 0, "{made:?}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let shown = home.run(&["key", "show", "--json", "--key-file", path]);
    assert_eq!(shown.code, 0, "{shown:?}");
    let key: serde_json::Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(key["user_ids"][0], "A <a@example.org>");

    let exported = home.run(&["key", "export", "--key-file", path]);
    assert_eq!(exported.code, 0, "{exported:?}");
    // What gpg makes of it is the other opinion.
    let public = home.path().join("public.asc");
    fs::write(&public, &exported.stdout).unwrap();
    let mut gpg = Command::new("gpg");
    gpg.args(["--batch", "--with-colons", "--homedir"])
        .arg(home.path())
        .arg("--show-keys")
        .arg(&public);
    let gpg = run(gpg.stdin(Stdio::null()));
    assert_eq!(gpg.code, 0, "{gpg:?}");
    assert!(
        gpg.stdout.contains(key["fingerprint"].as_str().unwrap()),
        "{}",
        gpg.stdout
    );
    assert!(
        gpg.stdout.contains("pub:") && !gpg.stdout.contains("sec:"),
        "{}",
        gpg.stdout
    );
}

/// A folder for PATH with the host tools that building needs, without `missing`, and with what installs packages here.
fn tools(folder: &Path, missing: &str) {
    fs::create_dir(folder).unwrap();
    let text = fs::read_to_string(project().join("specs/host-tools.toml")).unwrap();
    let programs = text
        .lines()
        .filter_map(|line| line.strip_prefix("program = \""))
        .filter_map(|line| line.strip_suffix('"'));
    for program in programs.chain(["apt-get", "true", "sh"]) {
        // A program stands in the list once more for a plugin.
        if program != missing
            && !folder.join(program).exists()
            && let Some(path) = host::find_program(program)
        {
            symlink(path, folder.join(program)).unwrap();
        }
    }
    assert!(!folder.join(missing).exists());
}

#[test]
fn a_missing_tool_is_an_error_with_the_line_that_installs_it() {
    for command in ["repo", "fetch", "build", "assemble", "verify"] {
        let home = Home::new();
        let elsewhere = tempfile::tempdir().unwrap();
        let path = elsewhere.path().join("bin");
        tools(&path, "bwrap");
        let ran = run(home.command(&[command]).env("PATH", &path));
        assert_eq!(ran.code, 1, "{command}: {ran:?}");
        let line = ran
            .stderr
            .lines()
            .find(|line| line.contains("install") && line.contains("bubblewrap"));
        let line = line
            .unwrap_or_else(|| panic!("{command}: no line that installs it in: {}", ran.stderr));
        assert!(
            line.contains("apt-get install") || line.contains("dnf install"),
            "{line}"
        );
        assert!(
            ran.stderr.contains("bwrap") && ran.stderr.contains("--setup"),
            "{}",
            ran.stderr
        );
        // Of what is there, nothing is installed again.
        assert!(
            !line.contains("rpmlint") && !line.contains("curl"),
            "{line}"
        );
        assert!(home.is_untouched(), "{command}");
    }
}

/// Runs `repo` as an ordinary user on a machine where user namespaces cannot be had.
fn run_without_privileges(home: &Home) -> Run {
    let elsewhere = tempfile::tempdir().unwrap();
    let bin = elsewhere.path().join("bin");
    tools(&bin, "unshare");
    for (name, script) in [
        (
            "unshare",
            "#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n",
        ),
        // Only looked for.
        ("newuidmap", "#!/bin/sh\nexit 1\n"),
    ] {
        let path = bin.join(name);
        if path.is_symlink() {
            fs::remove_file(&path).unwrap();
        }
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(elsewhere.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(home.path(), PermissionsExt::from_mode(0o777)).unwrap();
    let copy = elsewhere.path().join("xtask");
    fs::copy(program(), &copy).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();

    let is_root = run(Command::new("id").arg("-u")).stdout.trim() == "0";
    let mut command = if is_root {
        // The checkout may be where only root can read, /root for one. So that user sees a copy of what the tool reads, at the same path,
        // below folders that are open to all.
        let copy_of_project = elsewhere.path().join("project");
        fs::create_dir_all(copy_of_project.join("specs")).unwrap();
        for folder in [copy_of_project.clone(), copy_of_project.join("specs")] {
            fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let list = copy_of_project.join("specs/host-tools.toml");
        fs::copy(project().join("specs/host-tools.toml"), &list).unwrap();
        fs::set_permissions(list, PermissionsExt::from_mode(0o644)).unwrap();
        let mut command = Command::new("bwrap");
        command.args(["--bind", "/", "/", "--dev", "/dev"]);
        // The first folder on the way that this test's own folders are not below is hidden by an empty one.
        let way: Vec<&Path> = project().ancestors().collect();
        let hidden = way
            .iter()
            .rev()
            .position(|folder| !elsewhere.path().starts_with(folder))
            .unwrap();
        for (at, folder) in way.iter().rev().skip(hidden).enumerate() {
            let how = if at == 0 { "--tmpfs" } else { "--dir" };
            command.args(["--perms", "0755", how]).arg(folder);
        }
        command
            .arg("--ro-bind")
            .arg(&copy_of_project)
            .arg(project());
        command.args(["--chdir", "/", "--"]);
        command.args([
            "setpriv",
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ]);
        command
    } else {
        Command::new("env")
    };
    command
        .arg("env")
        .arg(format!("PATH={}", bin.display()))
        .arg(&copy)
        .arg("repo");
    home.prepare(&mut command);
    run(&mut command)
}

#[test]
fn neither_root_nor_user_namespaces_is_an_error_before_any_work() {
    let home = Home::new();
    let ran = run_without_privileges(&home);
    assert_eq!(ran.code, 1, "{ran:?}");
    for part in [
        "not root",
        "user namespace",
        "Operation not permitted",
        "run as root",
    ] {
        assert!(
            ran.stderr.contains(part),
            "`{part}` is not in: {}",
            ran.stderr
        );
    }
    assert_eq!(ran.stdout, "");
    assert!(home.is_untouched());
}
