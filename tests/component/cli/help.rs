//! What every command takes, how its help is laid out, and how much of what happens is told.

use std::fs;

use lustre_repo_tests::command_line::{Home, Run, run};

use super::TARGET_COMMANDS;

/// The lines of a short help, below the headings that they stand under.
fn sections(help: &str) -> Vec<(String, Vec<String>)> {
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in help.lines() {
        match line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            Some(heading) => sections.push((heading.to_owned(), Vec::new())),
            None => {
                if let Some((_, lines)) = sections.last_mut().filter(|_| line.starts_with(' ')) {
                    lines.push(line.to_owned());
                }
            }
        }
    }
    sections
}

#[test]
fn the_short_help_has_a_line_for_every_option_and_those_of_all_commands_by_themselves() {
    let home = Home::new();
    let others = ["targets", "clean", "test"];
    for command in TARGET_COMMANDS.into_iter().chain(others) {
        let ran = home.run(&[command, "-h"]);
        assert_eq!(ran.code, 0, "{command}: {ran:?}");
        let sections = sections(&ran.stdout);
        let options = sections
            .iter()
            .filter(|(heading, _)| !heading.starts_with("Example") && heading != "Arguments");
        let mut global = Vec::new();
        for (heading, lines) in options {
            for line in lines {
                let option = line.trim_start();
                let deep = line.len() - option.len() > 6;
                assert!(
                    option.starts_with('-') && !deep,
                    "{command}, {heading}: `{line}` goes on with the one before:\n{}",
                    ran.stdout
                );
            }
            if heading == "Global options" {
                global.extend(lines.iter().map(|line| line.trim_start().to_owned()));
            }
        }
        for option in [
            "--store",
            "--json",
            "-q, --quiet",
            "-v, --verbose",
            "--color",
        ] {
            assert!(
                global.iter().any(|line| line.starts_with(option)),
                "{command}: {option} is not in {global:?}"
            );
        }
    }
    assert!(home.is_untouched());
}

#[test]
fn every_command_has_examples() {
    let home = Home::new();
    let help = home.run(&["-h"]).stdout;
    let (_, commands) = sections(&help)
        .into_iter()
        .find(|(heading, _)| heading == "Commands")
        .unwrap();
    let mut seen = 0;
    for line in &commands {
        let name = line.split_whitespace().next().unwrap();
        let deep = line.len() - line.trim_start().len() > 2;
        if name == "help" || deep {
            continue;
        }
        seen += 1;
        let help = home.run(&[name, "--help"]).stdout;
        let (_, examples) = help.split_once("\nExample").unwrap_or_default();
        assert!(examples.contains("cargo xtask "), "{name}: {help}");
    }
    assert!(seen > 12, "{seen} commands");
}

#[test]
fn the_version_is_told_with_the_code_that_it_is_of() {
    let home = Home::new();
    let short = home.run(&["-V"]);
    assert_eq!(short.code, 0, "{short:?}");
    let version = short.stdout.trim().rsplit(' ').next().unwrap();
    assert_eq!(version.split('.').count(), 3, "{short:?}");
    let long = home.run(&["--version"]).stdout;
    let code = long.lines().find_map(|line| line.strip_prefix("code "));
    assert!(long.starts_with(short.stdout.trim()), "{long}");
    assert!(code.is_some_and(|code| code.len() == 64), "{long}");
    assert!(home.is_untouched());
}

/// The tool where variables say something of colours.
fn with(home: &Home, variables: &[(&str, &str)], line: &[&str]) -> Run {
    run(home.command(line).envs(variables.iter().copied()))
}

#[test]
fn colours_are_as_the_line_says_and_else_as_the_environment_does() {
    let home = Home::new();
    let wrong = ["plan", "--target", "nowhere-1"];
    let clap = ["repo", "--no-such-option"];
    let colored = |variables: &[(&str, &str)], line: &[&str]| {
        let ran = with(&home, variables, line);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_eq!(ran.stdout, "");
        let plain: String = ran.stderr.split('\u{1b}').collect();
        assert!(plain.contains("error:"), "{ran:?}");
        ran.stderr.contains('\u{1b}')
    };
    for line in [&wrong[..], &clap] {
        let always = [line, &["--color", "always"]].concat();
        let never = [&["--color=never"][..], line].concat();
        assert!(!colored(&[], line), "{line:?}: there is no terminal");
        assert!(colored(&[], &always), "{line:?}");
        assert!(colored(&[("NO_COLOR", "1")], &always), "the line counts");
        assert!(colored(&[("CLICOLOR_FORCE", "1")], line), "{line:?}");
        let both = [("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")];
        assert!(!colored(&both, line), "{line:?}");
        assert!(!colored(&[("CLICOLOR_FORCE", "1")], &never), "{line:?}");
    }
}

#[test]
fn a_quiet_command_says_results_and_failures_only() {
    let home = Home::new();
    let key = home.path().join("key.asc");
    let file = key.to_str().unwrap();
    let made = [
        "key",
        "new",
        "--user-id",
        "A <a@example.org>",
        "--output",
        file,
    ];
    let quiet = home.run(&[&["-q"][..], &made].concat());
    assert_eq!(
        (quiet.code, quiet.stderr.as_str()),
        (0, ""),
        "it has done as it was told"
    );
    assert!(key.exists());
    let failed = home.run(&[&made[..], &["--quiet"]].concat());
    assert_eq!(failed.code, 1);
    assert!(
        failed.stderr.starts_with("error: ") && failed.stderr.contains(file),
        "{failed:?}"
    );
    let matrix = ["targets", "--matrix"];
    let loud = home.run(&matrix);
    assert!(
        !loud.stdout.is_empty() && !loud.stderr.is_empty(),
        "{loud:?}"
    );
    let quiet = home.run(&[&matrix[..], &["-q"]].concat());
    assert_eq!(
        (quiet.code, &quiet.stdout, quiet.stderr.as_str()),
        (0, &loud.stdout, ""),
        "the result is the same"
    );
    let both = home.run(&[&matrix[..], &["-q", "-v"]].concat());
    assert_eq!(both.code, 2, "{both:?}");
}

#[test]
fn json_is_refused_where_there_is_none_and_clean_has_it() {
    let home = Home::new();
    for line in [
        &["key", "export"][..],
        &["key", "new", "--user-id", "A", "--output", "/no/such/file"],
        &["test"],
    ] {
        let ran = home.run(&[line, &["--json"]].concat());
        assert_eq!(ran.code, 2, "{line:?}: {ran:?}");
        assert!(ran.stderr.contains("--json"), "{line:?}: {}", ran.stderr);
    }
    assert!(home.is_untouched());
    // Nothing is there, and that is a result.
    let json = |line: &[&str]| -> serde_json::Value {
        let ran = home.run(line);
        assert_eq!(ran.code, 0, "{line:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    };
    let none = json(&["--json", "clean", "--dry-run"]);
    assert_eq!(none["things"].as_array().unwrap().len(), 0);
    let store = home.store();
    let opened = home.run(&["fetch", "--offline", "--locked", "--target", "rocky-9.6"]);
    assert_ne!(opened.code, 0, "there is no lock: {opened:?}");
    fs::write(store.join("files/sha256").join("unknown"), "x").unwrap_or_default();
    for dry in [true, false] {
        let all = ["clean", "--all", "--json"];
        let line = if dry {
            [&all[..], &["--dry-run"]].concat()
        } else {
            all.to_vec()
        };
        let told = json(&line);
        assert_eq!(told["removed"], !dry, "{told}");
        assert!(told["things"].as_array().is_some(), "{told}");
    }
    assert!(!store.exists());
}

#[test]
fn an_error_says_what_failed_and_then_what_to_do_each_on_a_line() {
    let home = Home::new();
    let ran = home.run(&["verify", "--offline", "/no/such/repository"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<&str> = ran.stderr.lines().collect();
    let of = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert!(lines[0].starts_with("error: no repository"), "{lines:#?}");
    assert!(of("caused by: ") > 0, "{lines:#?}");
    assert_eq!(
        lines.last().copied(),
        Some("help: `cargo xtask repo` makes one")
    );
    let known = ["error: ", "caused by: ", "help: ", "log: ", "  "];
    for line in &lines {
        assert!(
            known.iter().any(|word| line.starts_with(word)),
            "`{line}` in {lines:#?}"
        );
    }
}
