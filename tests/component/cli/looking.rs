//! Commands that look at what runs left, or at the command line itself: logs, buildroots, the graph, completions, the manual.

use std::fs;
use std::process::{Command, Stdio};

use lustre_packaging::store::Store;
use lustre_repo_tests::command_line::{Home, project, run};

use super::verifying::stranger;

/// A file with `text` in a folder of its own, and what `program` says of it; nothing where this machine has no such program.
#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn judged(program: &str, arguments: &[&str], name: &str, text: &str) -> Option<(i32, String)> {
    let there = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    if !there.success() {
        eprintln!("skipped: this machine has no `{program}`");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(name);
    fs::write(&file, text).unwrap();
    let ran = run(Command::new(program)
        .args(arguments)
        .arg(&file)
        .env("MANPAGER", "cat")
        .env("MANWIDTH", "100")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null()));
    Some((ran.code, format!("{}{}", ran.stdout, ran.stderr)))
}

#[test]
fn completions_are_what_their_shell_reads() {
    let home = Home::new();
    for (shell, arguments) in [
        ("bash", &["-n"][..]),
        ("zsh", &["-n"]),
        ("fish", &["--no-execute"]),
    ] {
        let ran = home.run(&["completions", shell]);
        assert_eq!(ran.code, 0, "{shell}: {ran:?}");
        for word in ["lustre-repo", "preflight", "allow-incomplete"] {
            assert!(ran.stdout.contains(word), "{shell}: no {word}");
        }
        if let Some((code, said)) = judged(shell, arguments, "completions", &ran.stdout) {
            assert_eq!((code, said.as_str()), (0, ""), "{shell}");
        }
    }
    // bash offers what begins as the word does.
    let script = home.run(&["completions", "bash", "--name", "other"]).stdout;
    let ask = "COMP_WORDS=(other pref); COMP_CWORD=1; _other other pref other; printf '%s\\n' \"${COMPREPLY[@]}\"\n";
    let (code, said) = judged("bash", &[], "ask", &format!("{script}\n{ask}")).unwrap();
    assert_eq!((code, said.trim()), (0, "preflight"));
    assert_eq!(home.run(&["completions", "nosh"]).code, 2);
    assert!(home.is_untouched());
}

#[test]
fn every_command_has_a_page_that_man_reads() {
    let home = Home::new();
    let folder = home.path().join("man/man1");
    let ran = home.run(&["man", "-o", folder.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let help = home.run(&["-h"]).stdout;
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let mut pages = 0;
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap();
        if line.starts_with("   ") || name == "help" {
            continue;
        }
        let page = folder.join(format!("cargo-xtask-{name}.1"));
        assert!(page.is_file(), "there is no {}", page.display());
        pages += 1;
    }
    assert!(pages > 12, "{pages} pages");
    let page = fs::read_to_string(folder.join("cargo-xtask-repo.1")).unwrap();
    if let Some((code, said)) = judged("man", &["--warnings", "-l"], "repo.1", &page) {
        assert_eq!(code, 0, "{said}");
        for words in ["cargo xtask repo", "--allow-incomplete", "Examples"] {
            assert!(said.contains(words), "{words} is not in\n{said}");
        }
        // `--quiet` speaks of warnings, too; groff's have a colon or a place behind the word.
        for words in ["warning:", "warning ["] {
            assert!(!said.contains(words), "{said}");
        }
    }
}

#[test]
fn the_log_of_a_stage_is_found_and_what_has_none_is_named() {
    let home = Home::new();
    let ran = home.run(&["log", "kernel"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("`kernel`") && ran.stderr.contains("help: `cargo xtask repo"),
        "{}",
        ran.stderr
    );
    assert!(home.is_untouched(), "it only looks");

    let log = home.store().join("logs/kernel-0123456789abcdef.log");
    {
        let store = Store::open(&home.store(), "a test", &mut |_| {}).unwrap();
        let place = "kernel-0123456789abcdef";
        store
            .record_uses("rehearsal", |uses| uses.begins("kernel", place))
            .unwrap();
        fs::write(&log, "it built\n\u{1b}[31mand broke\n").unwrap();
    }
    let shown = home.run(&["log", "kernel"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    assert!(shown.stdout.starts_with("it built\n"), "{shown:?}");
    assert!(!shown.stdout.contains('\u{1b}'), "a terminal would obey it");
    let path = home.run(&["log", "--path", "kernel"]);
    let real = fs::canonicalize(&log).unwrap();
    assert_eq!(path.stdout.trim(), real.to_str().unwrap());
    let listed = home.run(&["log"]);
    assert!(listed.stdout.starts_with("kernel "), "{listed:?}");
    let json = home.run(&["log", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[0]["stage"], "kernel");
    // Another target has not run it.
    assert_eq!(
        home.run(&["log", "kernel", "--target", "rocky-9.6"]).code,
        1
    );
    let other = home.run(&["log", "lustre"]);
    assert!(other.stderr.contains("available logs: kernel"), "{other:?}");
}

#[test]
fn a_shell_without_a_buildroot_says_what_makes_one() {
    let home = Home::new();
    let ran = home.run(&["shell", "kernel", "--target", "rocky-9.6"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr
            .contains("help: run `cargo xtask build --target rocky-9.6`"),
        "{}",
        ran.stderr
    );
}

/// The picture in the document is the one that the command beside it draws.
#[test]
fn the_picture_of_the_graph_is_the_one_that_plan_draws() {
    let text = fs::read_to_string(project().join("docs/build-graph.md")).unwrap();
    let (before, rest) = text.split_once("\n```mermaid\n").unwrap();
    let (picture, _) = rest.split_once("\n```").unwrap();
    let command = before
        .lines()
        .find_map(|line| line.strip_prefix("cargo xtask "));
    let arguments: Vec<&str> = command.unwrap().split(' ').collect();
    // A lock that this machine may have is not the document's.
    let name = arguments.last().unwrap();
    let site = tempfile::tempdir().unwrap();
    let file = site.path().join("site.toml");
    fs::write(
        &file,
        format!("inherits = '{name}'\n[repository]\nbaseurl = 'https://repo.example/lustre'\n"),
    )
    .unwrap();
    let mut line = arguments[..arguments.len() - 1].to_vec();
    line.push(file.to_str().unwrap());
    let ran = Home::new().run(&line);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(
        ran.stdout.trim_end(),
        picture,
        "docs/build-graph.md: run `cargo xtask {}` and put what it prints there",
        arguments.join(" ")
    );
    assert!(picture.contains("kernel_root --> kernel"), "{picture}");
    let dot = [
        &line[..1],
        &["--graph", "dot", "--target"],
        &line[line.len() - 1..],
    ]
    .concat();
    let dot = Home::new().run(&dot);
    assert!(dot.stdout.starts_with("digraph"), "{dot:?}");
    let both = Home::new().run(&["plan", "--graph", "--json"]);
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn static_checks_need_no_chroot_and_say_what_was_not_run() {
    let dist = tempfile::tempdir().unwrap();
    let fingerprint = stranger(dist.path(), "rehearsal");
    let home = Home::new();
    let path = dist.path().to_str().unwrap();
    let verify = [
        "verify",
        "--static",
        "--json",
        "--public-key",
        &fingerprint,
        path,
    ];
    let ran = home.run(&verify);
    // Nobody has signed it.
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let result = |name: &str| {
        let mut checks = proof["checks"].as_array().unwrap().iter();
        let found = checks.find(|check| check["name"] == name);
        found.map(|check| {
            let text = |key: &str| check[key].as_str().unwrap().to_owned();
            (text("result"), text("message"))
        })
    };
    assert_eq!(result("key").unwrap().0, "pass");
    assert_eq!(result("metadata-signatures").unwrap().0, "fail");
    let (install, why) = result("install").unwrap();
    assert_eq!(install, "not-run");
    assert!(why.contains("--static"), "{why}");
    // With the reason, and not for machines alone.
    let said: Vec<&str> = ran.stderr.lines().collect();
    let line = |name: &str| {
        let of = |line: &&&str| line.starts_with("not run: ") && line.contains(name);
        said.iter().find(of).copied().unwrap_or_default()
    };
    let why = "--static only runs the static checks";
    assert!(line("install").contains(why), "{}", ran.stderr);
    let stages = fs::read_dir(home.store().join("stages"));
    assert_eq!(stages.map_or(0, Iterator::count), 0, "nothing was made");
    for other in ["--boot", "--reproducible", "--trust-on-first-use"] {
        assert_eq!(home.run(&["verify", "--static", other, path]).code, 2);
    }
}

/// What is wrong with the line is told before anything is compiled or measured for it.
#[test]
fn a_bench_that_cannot_be_told_is_refused_at_once() {
    let home = Home::new();
    for (line, words) in [
        (&["bench", "nosuch"][..], ["no bench `nosuch`", "closure"]),
        (&["bench", "sig"], ["no bench `sig`", "sign-large"]),
        (
            &["bench", "sign", "--write", "docs/performance.md"],
            ["--write", "cannot be used with"],
        ),
        (
            &["bench", "--short", "--write", "docs/performance.md"],
            ["--write", "cannot be used with"],
        ),
    ] {
        let ran = home.run(line);
        assert_eq!(ran.code, 2, "{ran:?}");
        for word in words {
            assert!(ran.stderr.contains(word), "{word}: {ran:?}");
        }
    }
}
