//! Keys as they are given by variable, by file and by pipe: what is wrong with one is said without a byte of it, and no program sees one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lustre_packaging::process;
use lustre_repo_tests::command_line::{Home, Run, program, run};
use lustre_repo_tests::script;
use lustre_repo_tests::secret_search::{SecretParts, body, decoded};
use lustre_repo_tests::started::Programs;

/// The rehearsal distribution's key, without headers, as gpg exports one: it is no secret, and looks like one.
pub fn armored() -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(project.join("specs/distributions/rehearsal/key.asc")).unwrap();
    let lines = text.lines().filter(|line| !line.contains(':'));
    lines.map(|line| format!("{line}\n")).collect()
}

/// A key in the many ways in which it gets lost on its way into a CI system, and whether it can be understood all the same.
pub fn manglings(key: &str) -> Vec<(&'static str, String, bool)> {
    let body = body(key);
    let sum = key.lines().find(|line| line.starts_with('=')).unwrap();
    let middle = &body[200..220];
    let changed = |to: &str| key.replacen(middle, to, 1);
    let other: String = middle.chars().rev().collect();
    vec![
        ("as it is", key.to_owned(), true),
        ("CRLF", key.replace('\n', "\r\n"), true),
        ("CR alone", key.replace('\n', "\r"), true),
        ("indented", key.replace('\n', "\n    "), true),
        ("doubled line ends", key.replace('\n', "\n\n"), true),
        ("blanks for line breaks", key.replace('\n', " "), true),
        ("no line breaks", key.replace('\n', ""), true),
        ("line breaks written out", key.replace('\n', "\\n"), false),
        (
            "one wrong character",
            changed(&format!("{}*{}", &middle[..9], &middle[10..])),
            false,
        ),
        (
            "an accent",
            changed(&format!("{}é{}", &middle[..9], &middle[10..])),
            false,
        ),
        ("other characters", changed(&other), false),
        ("a character less", changed(&middle[1..]), false),
        ("a character more", changed(&format!("{middle}A")), false),
        ("cut off", key[..key.len() / 2].to_owned(), false),
        (
            "without its end",
            key.replace("-----END PGP PRIVATE KEY BLOCK-----", ""),
            false,
        ),
        ("twice", format!("{key}{key}"), false),
        ("a wrong checksum", key.replace(sum, "=AAAA"), false),
        ("the base64 alone", body.clone(), false),
        ("in quotes", format!("\"{}\"", key.trim_end()), false),
        (
            "with a mark before each line",
            format!("> {}", key.replace('\n', "\n> ")),
            false,
        ),
        (
            "its first half missing",
            key[key.len() / 2..].to_owned(),
            false,
        ),
        ("said to be public", key.replace("PRIVATE", "PUBLIC"), false),
    ]
}

/// A file for its owner alone.
fn secret_file(path: PathBuf, text: &[u8]) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

#[test]
fn no_command_says_or_writes_a_byte_of_a_key_however_it_is_mangled() {
    let key = armored();
    let home = Home::new();
    let file = secret_file(home.path().join("given.key"), key.as_bytes());
    let public = home.run(&["key", "export", "--key-file", file.to_str().unwrap()]);
    assert_eq!(public.code, 0, "{public:?}");
    let secret = SecretParts::new(&key, &public.stdout);
    // The search finds what it is to find.
    let bytes = decoded(&body(&key));
    let part = bytes
        .windows(8)
        .find(|part| secret.is_in(part).is_some())
        .unwrap();
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02X}")).collect() };
    for shown in [
        format!("{part:?}"),
        format!("{part:02x?}"),
        format!("{part:x?}"),
        hex(part),
        key.clone(),
        // Its text as numbers, as a parser that stops in it says where.
        format!("{:?}", key.as_bytes()),
        format!("{:x?}", key.as_bytes()),
        hex(key.as_bytes()),
    ] {
        assert!(secret.is_in(shown.as_bytes()).is_some(), "{shown}");
    }
    assert_eq!(secret.is_in(public.stdout.as_bytes()), None);

    let empty = home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let commands: [&[&str]; 5] = [
        &["key", "show"],
        &["key", "export"],
        &["plan"],
        &["assemble", "--offline"],
        &["verify", empty.to_str().unwrap()],
    ];
    for (what, text, understood) in manglings(&key) {
        for (index, line) in commands.iter().enumerate() {
            // Building is not what this is about.
            if understood && index > 2 {
                continue;
            }
            for by_file in [false, true] {
                let mut command = home.command(line);
                let name = if by_file {
                    secret_file(file.clone(), text.as_bytes());
                    command.arg("--key-file").arg(&file);
                    file.to_str().unwrap()
                } else {
                    command.env("LUSTRE_REPO_KEY", &text);
                    "LUSTRE_REPO_KEY"
                };
                command.env("RUST_BACKTRACE", "1");
                let ran = run(&mut command);
                for said in [&ran.stdout, &ran.stderr] {
                    assert_eq!(
                        secret.is_in(said.as_bytes()),
                        None,
                        "{what}: {line:?}: {ran:?}"
                    );
                }
                // Without a lock, a plan asks for no key.
                if line == &["plan"] {
                    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
                } else if index < 3 {
                    assert_eq!(
                        ran.code,
                        i32::from(!understood),
                        "{what}: {line:?}: {ran:?}"
                    );
                    assert_eq!(ran.stderr.contains(name), !understood, "{what}: {ran:?}");
                    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
                } else {
                    assert_ne!(ran.code, 0, "{what}: {line:?}: {ran:?}");
                }
            }
        }
    }
    assert_eq!(secret.below(&[home.path()], &[&file]), None);
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let home = Home::new();
    let mut command = home.command(&["plan"]);
    for name in [
        "LUSTRE_REPO_KEY",
        "LUSTRE_REPO_KEY_FILE",
        "LUSTRE_REPO_KEY_AGENT",
        "LUSTRE_REPO_KEY_PASSPHRASE",
        "LUSTRE_REPO_KEY_PASSPHRASE_FILE",
        "LUSTRE_REPO_STORE",
    ] {
        command.env(name, "");
    }
    let planned = run(&mut command);
    assert_eq!(planned.code, 0, "{planned:?}");

    let file = home.path().join("new.key");
    let mut command = home.command(&["key", "new", "--user-id", "A", "--output"]);
    let made = run(command.arg(&file).env("LUSTRE_REPO_KEY_PASSPHRASE", ""));
    assert_eq!(made.code, 0, "{made:?}");
    assert!(made.stderr.contains("not encrypted"), "{made:?}");
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    let shown = home.run(&["key", "show", "--key-file", file.to_str().unwrap()]);
    assert_eq!(shown.code, 0, "{shown:?}");
}

#[test]
fn an_option_wins_over_what_is_exported_and_two_exported_keys_are_none() {
    let home = Home::new();
    let file = secret_file(home.path().join("a.key"), armored().as_bytes());
    let show = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = home.command(&["key", "show"]);
        run(command.args(arguments).envs(variables.iter().copied()))
    };
    let path = file.to_str().unwrap();
    let exported = [
        ("LUSTRE_REPO_KEY_FILE", "/no/such/file"),
        ("LUSTRE_REPO_KEY", "x"),
    ];
    assert_eq!(show(&["--key-file", path], &exported).code, 0);
    assert_eq!(show(&[], &[("LUSTRE_REPO_KEY_FILE", path)]).code, 0);
    // No conflict with another option, either: it is gpg that says no.
    let agent = "0123456789ABCDEF0123456789ABCDEF01234567";
    let asked = show(&["--key-agent", agent], &[("LUSTRE_REPO_KEY_FILE", path)]);
    assert_eq!(asked.code, 1, "{asked:?}");
    assert!(asked.stderr.contains(agent), "{asked:?}");
    let both = show(
        &[],
        &[
            ("LUSTRE_REPO_KEY_FILE", path),
            ("LUSTRE_REPO_KEY_AGENT", agent),
        ],
    );
    assert_eq!(both.code, 2, "{both:?}");
    assert!(both.stderr.contains("LUSTRE_REPO_KEY_AGENT"), "{both:?}");
}

#[test]
fn a_key_comes_through_a_pipe_and_no_file_is_left_open_for_others() {
    let home = Home::new();
    let file = secret_file(home.path().join("a.key"), armored().as_bytes());
    let shell = |script: &str| -> Run {
        let mut command = Command::new("bash");
        home.prepare(&mut command);
        run(command
            .args(["-c", script])
            .env("TOOL", program())
            .env("KEY", &file))
    };
    for script in [
        r#""$TOOL" key show --key-file <(cat "$KEY")"#,
        r#"cat "$KEY" | "$TOOL" key show --key-file /dev/stdin"#,
        r#"exec 7< <(sleep 1; cat "$KEY"); "$TOOL" key show --key-file /dev/fd/7"#,
        r#"export LUSTRE_REPO_KEY_FILE=/dev/stdin; cat "$KEY" | "$TOOL" key show"#,
    ] {
        let shown = shell(script);
        assert_eq!(shown.code, 0, "{script}: {shown:?}");
        assert!(shown.stdout.contains("never expires"), "{shown:?}");
    }
    let open = shell(r#""$TOOL" key show --key-file /dev/fd/7 7<"$KEY""#);
    assert_eq!(open.code, 2, "{open:?}");
    assert!(open.stderr.contains("through a pipe"), "{open:?}");
}

#[test]
fn what_is_no_key_file_ends_at_once() {
    let home = Home::new();
    let huge = home.path().join("huge");
    fs::File::create(&huge).unwrap().set_len(300 << 20).unwrap();
    fs::set_permissions(&huge, PermissionsExt::from_mode(0o600)).unwrap();
    let pipe = home.path().join("pipe");
    process::output(process::command("mkfifo").arg(&pipe)).unwrap();
    let limit = Duration::from_secs(30);
    for path in [Path::new("/dev/zero"), Path::new("/"), &huge, &pipe] {
        let start = Instant::now();
        let shown = home.run(&["key", "show", "--key-file", path.to_str().unwrap()]);
        assert_eq!(shown.code, 1, "{shown:?}");
        assert!(shown.stderr.contains(path.to_str().unwrap()), "{shown:?}");
        assert!(start.elapsed() < limit, "{}", path.display());
    }
}

/// A `gpg` that waits and says its id in the file `pid`, and in `pid.below` that of a program which it started, and which has a session of its
/// own. Of the two, one is deaf to SIGTERM, or both.
fn waiting_gpg(home: &Home, deaf: Deaf) -> PathBuf {
    // What has the signal says so.
    let trap = "trap 'echo >PID.signalled' TERM;"
        .replace("PID", home.path().join("pid").to_str().unwrap());
    let trap = trap.as_str();
    let (itself, below) = match deaf {
        Deaf::Both => (trap, trap),
        Deaf::Itself => (trap, ""),
        Deaf::WhatItStarted => ("", trap),
        Deaf::Nobody => ("", ""),
    };
    let folder = home.path().join("bin");
    fs::create_dir(&folder).unwrap();
    let gpg = folder.join("gpg");
    let text = format!(
        "#!/bin/sh\nsetsid sh -c \"{below} echo \\$\\$ >{0}.below; while :; do sleep 0.2; done\" </dev/null >/dev/null 2>&1 &\n{itself}\nwhile [ ! -s {0}.below ]; do sleep 0.01; done\necho $$ >{0}.new\nmv {0}.new {0}\nwhile :; do echo >>{0}.beats; sleep 0.2; done\n",
        home.path().join("pid").display()
    );
    script::write(&gpg, text).unwrap();
    folder
}

/// For how many fifths of a second the `gpg` has waited.
fn heartbeats(home: &Home) -> usize {
    fs::read(home.path().join("pid.beats")).map_or(0, |beats| beats.len())
}

#[derive(Debug, Clone, Copy)]
enum Deaf {
    Both,
    Itself,
    WhatItStarted,
    Nobody,
}

#[test]
fn a_signal_ends_what_was_started_and_a_second_one_ends_all_at_once() {
    // A command that is ended, and one that ends itself when it has cleaned up.
    let lines = [&["key", "show"][..], &["assemble", "--offline"]];
    let cases = [
        (lines[0], Deaf::Both, 1),
        (lines[0], Deaf::Both, 2),
        (lines[1], Deaf::Itself, 1),
        (lines[1], Deaf::WhatItStarted, 1),
        (lines[1], Deaf::Both, 2),
    ];
    for case @ (line, deaf, signals) in cases {
        let home = Home::new();
        let path = format!(
            "{}:{}",
            waiting_gpg(&home, deaf).display(),
            std::env::var("PATH").unwrap()
        );
        let agent = "0123456789ABCDEF0123456789ABCDEF01234567";
        let mut command = home.command(line);
        let mut child = command
            .args(["--key-agent", agent])
            .env("PATH", path)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        let gpg: String = loop {
            match fs::read_to_string(home.path().join("pid")) {
                Ok(id) => break id.trim().to_owned(),
                Err(_) => assert!(Instant::now() < limit, "gpg does not start: {case:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let id = child.id().to_string();
        let start = Instant::now();
        process::output(process::command("kill").args(["-TERM", &id])).unwrap();
        let mut beats = 0;
        if signals == 2 {
            // The first has come that far: two that come together are one.
            while !home.path().join("pid.signalled").exists() {
                assert!(Instant::now() < limit, "no signal came on: {case:?}");
                std::thread::sleep(Duration::from_millis(20));
            }
            beats = heartbeats(&home);
            process::output(process::command("kill").args(["-TERM", &id])).unwrap();
        }
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(130), "{case:?}");
        if signals == 2 {
            // By what it lived, not by the clock, which goes on while a busy machine does nothing.
            let lived = heartbeats(&home) - beats;
            assert!(lived < 15, "{case:?}: {lived} beats");
        } else {
            // The first one waits for what is deaf, and kills it.
            assert!(start.elapsed() > Duration::from_secs(4), "{case:?}");
        }
        let below = fs::read_to_string(home.path().join("pid.below")).unwrap();
        for id in [gpg.as_str(), below.trim()] {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            assert!(
                stat.is_empty() || stat.contains(") Z "),
                "{case:?}: it runs on: {stat}"
            );
        }
    }
}

/// As Ctrl-C in a terminal, or the end of a CI job: all of them get it, and what is started may end before the tool has noticed.
#[test]
fn a_signal_to_all_of_a_group_is_told_as_the_interruption_whoever_ends_first() {
    for round in 0..5 {
        let home = Home::new();
        let path = format!(
            "{}:{}",
            waiting_gpg(&home, Deaf::Nobody).display(),
            std::env::var("PATH").unwrap()
        );
        let agent = "0123456789ABCDEF0123456789ABCDEF01234567";
        let mut command = home.command(&["assemble", "--offline", "--key-agent", agent]);
        let child = command
            .env("PATH", path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let limit = Instant::now() + Duration::from_secs(60);
        while !home.path().join("pid").exists() {
            assert!(Instant::now() < limit, "gpg does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        let group = format!("-{}", child.id());
        process::output(process::command("kill").args(["-INT", "--", &group])).unwrap();
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(130), "{round}: {said}");
        assert!(!said.contains("help:"), "{round}: {said}");
    }
}

#[test]
fn a_key_or_a_passphrase_in_the_wrong_place_is_not_shown() {
    let key = armored();
    let home = Home::new();
    let file = secret_file(home.path().join("given.key"), key.as_bytes());
    let path = file.to_str().unwrap();
    let public = home.run(&["key", "export", "--key-file", path]);
    let secret = SecretParts::new(&key, &public.stdout);
    for (what, text, _) in manglings(&key) {
        let lines: [(&str, Vec<&str>); 7] = [
            ("LUSTRE_REPO_KEY_FILE", vec!["key", "show"]),
            ("LUSTRE_REPO_KEY_AGENT", vec!["key", "show"]),
            ("LUSTRE_REPO_TARGET", vec!["plan"]),
            ("LUSTRE_REPO_STORE", vec!["plan"]),
            ("", vec!["key", "show", "--key-file", &text]),
            ("", vec!["key", "show", "--key-agent", &text]),
            ("", vec!["verify", "--public-key", &text]),
        ];
        for (variable, line) in lines {
            let mut command = home.command(&line);
            if !variable.is_empty() {
                command.env(variable, &text);
            }
            let ran = run(&mut command);
            let place = (what, variable, line.get(2));
            assert_ne!(ran.code, 0, "{place:?}");
            for said in [&ran.stdout, &ran.stderr] {
                assert_eq!(
                    secret.is_in(said.as_bytes()),
                    None,
                    "{what} {:?} {:?}",
                    variable,
                    line[0]
                );
            }
        }
    }
    let mut command = home.command(&["key", "show", "--key-file", path]);
    let ran = run(command.env("LUSTRE_REPO_KEY_PASSPHRASE_FILE", "pw-Hush77"));
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!ran.stderr.contains("Hush77"), "{ran:?}");
    assert!(
        ran.stderr.contains("LUSTRE_REPO_KEY_PASSPHRASE_FILE"),
        "{ran:?}"
    );
}

#[test]
fn a_key_that_has_ended_is_told_before_anything_is_fetched_or_built() {
    use lustre_packaging::sign::{DEV_KEY_CREATED, Key};
    let home = Home::new();
    let ended = Key::generate_with_lifetime("A", DEV_KEY_CREATED, Some(86_400)).unwrap();
    let file = home.path().join("ended.key");
    ended
        .secret_armored(None)
        .unwrap()
        .write_new_file(&file)
        .unwrap();
    let path = file.to_str().unwrap();
    for line in [&["repo"][..], &["assemble"], &["verify", "--reproducible"]] {
        let ran = run(home.command(line).args(["--offline", "--key-file", path]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("expired at 2020-01-02"), "{ran:?}");
        // Without a lock and offline, everything else fails.
        assert!(!ran.stderr.contains("offline"), "{ran:?}");
    }
}

#[test]
fn a_program_that_is_started_finds_no_key_in_its_environment_nor_in_that_of_the_tool() {
    let home = Home::new();
    // What would reach out or change the machine fails here.
    let failing = ["apt-get", "curl", "dnf", "gpg", "sudo"];
    let programs = Programs::new(home.path(), &failing).unwrap();
    let key = armored();
    let passphrase = "its passphrase";
    let started_by = |line: &[&str], expected: &str| {
        let mut command = home.command(line);
        command
            .env("LUSTRE_REPO_KEY", &key)
            .env("LUSTRE_REPO_KEY_PASSPHRASE", passphrase);
        let (ran, started) = programs.run(&mut command).unwrap();
        assert_eq!(ran.code, 1, "{line:?}: {ran:?}");
        assert!(
            started.iter().any(|one| one.program == expected),
            "{line:?} starts no {expected}: {started:?}"
        );
        for one in started {
            let secrets = [key.lines().nth(3).unwrap(), passphrase, "LUSTRE_REPO_KEY"];
            for secret in secrets {
                assert!(!one.environment.contains(secret), "{line:?}: {one:?}");
                assert!(!one.around.contains(secret), "{line:?}: {one:?}");
            }
            // It could look at the tool, and did.
            assert!(one.around.contains(line[0]), "{line:?}: {one:?}");
            assert!(!one.around.contains("was not found"), "{line:?}: {one:?}");
        }
    };
    let agent = "0123456789ABCDEF0123456789ABCDEF01234567";
    started_by(&["key", "show", "--key-agent", agent], "gpg");
    // Where there is a lock already, it has to ask all the same.
    started_by(&["lock", "--update"], "apt-get");
    started_by(&["lock", "--update", "--target", "rocky-9.6"], "curl");
    // Something is to be installed.
    programs.remove("createrepo_c").unwrap();
    started_by(&["repo", "--setup"], "apt-get");
}
