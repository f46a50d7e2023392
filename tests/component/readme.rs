//! The README's commands: each is one that the tool understands, or one that `.ci/run` runs as it stands.

use std::fs;

use lustre_repo_tests::command_line::{Home, project};
use serde_json::Value;

mod documented;
mod schema;
mod workflows;

/// A fenced block of shell commands.
#[derive(Debug)]
struct Block {
    /// What stands after `sh`: nothing for commands of this machine, `server` for those of a server.
    place: String,
    commands: Vec<String>,
}

/// The blocks fenced with ```` ```sh ````; lines that go on after a backslash are joined.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    let mut joined = String::new();
    for line in text.lines() {
        if inside && line.trim_end() == "```" {
            inside = false;
        } else if let Some(place) = line.strip_prefix("```sh").filter(|_| !inside) {
            inside = true;
            blocks.push(Block {
                place: place.trim().to_owned(),
                commands: Vec::new(),
            });
        } else if let Some(block) = blocks.last_mut().filter(|_| inside) {
            if let Some(start) = line.strip_suffix('\\') {
                joined.push_str(start);
                continue;
            }
            joined.push_str(line);
            let command = std::mem::take(&mut joined);
            if !command.trim().is_empty() && !command.starts_with('#') {
                block.commands.push(command.trim().to_owned());
            }
        }
    }
    assert!(!inside, "a block is not closed");
    blocks
}

fn readme() -> String {
    fs::read_to_string(project().join("README.md")).unwrap()
}

/// The words of a command; quotes may stand around blanks.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for letter in command.chars() {
        match letter {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            other => word.push(other),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// What the tool says to the arguments when asked for help on them: it reads them all, and does nothing.
fn understood(home: &Home, arguments: &[&str]) -> Result<(), String> {
    let mut line = arguments.to_vec();
    // After `--`, nothing is the tool's own.
    let end = line
        .iter()
        .position(|word| *word == "--")
        .unwrap_or(line.len());
    line.insert(end, "--help");
    let ran = home.run(&line);
    if ran.code == 0 && ran.stdout.contains("Usage: cargo xtask") {
        Ok(())
    } else {
        Err(ran.stderr)
    }
}

#[test]
fn help_tells_lines_that_the_tool_understands_from_others() {
    let home = Home::new();
    assert_eq!(understood(&home, &["repo", "--setup", "-j", "2"]), Ok(()));
    assert_eq!(understood(&home, &["test", "--", "sign::"]), Ok(()));
    for wrong in [
        &["repos"][..],
        &["repo", "--sepup"],
        &["repo", "-j", "two"],
        &["targets", "rehearsal"],
        &["key", "make"],
    ] {
        assert!(understood(&home, wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn it_opens_with_the_two_commands() {
    let text = readme();
    let first = &blocks(&text)[0];
    assert_eq!(
        first.commands,
        ["cargo xtask repo --setup", "cargo xtask test --setup"]
    );
    let before = text
        .lines()
        .position(|line| line.starts_with("```sh"))
        .unwrap();
    assert!(before <= 8, "{before} lines stand before the two commands");
    let ci = fs::read_to_string(project().join(".ci/run")).unwrap();
    for command in &first.commands {
        assert!(
            ci.contains(command.as_str()),
            ".ci/run does not run `{command}`"
        );
    }
}

#[test]
fn every_command_is_understood_or_run_by_ci() {
    let home = Home::new();
    let ci = fs::read_to_string(project().join(".ci/run")).unwrap();
    let mut understood_lines = 0;
    for block in blocks(&readme())
        .iter()
        .filter(|block| block.place.is_empty())
    {
        for command in &block.commands {
            let words = words(command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let ["cargo", "xtask", arguments @ ..] = words.as_slice() {
                if let Err(why) = understood(&home, arguments) {
                    panic!("README.md: `{command}`: {why}");
                }
                understood_lines += 1;
            } else {
                assert!(
                    ci.contains(command.as_str()),
                    "README.md has `{command}`, and .ci/run does not run it"
                );
            }
        }
    }
    assert!(
        understood_lines > 5,
        "only {understood_lines} commands were found"
    );
    assert!(home.is_untouched());
}

#[test]
fn what_servers_are_told_is_what_the_install_proof_does() {
    let home = Home::new();
    let targets: Value = serde_json::from_str(&home.run(&["targets", "--json"]).stdout).unwrap();
    let target = targets
        .as_array()
        .unwrap()
        .iter()
        .find(|target| target["name"] == "rocky-9.6")
        .unwrap();
    let proven: Vec<&str> = target["install"]["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let numbers = &target["repository"]["release_package"];
    let version = numbers["version"].as_str().unwrap();
    let number = numbers["release"].as_u64().unwrap();
    let dist = target["distribution"]["dist"].as_str().unwrap();
    let release =
        format!("/x86_64/Packages/lustre-repo-release-{version}-{number}{dist}.noarch.rpm");
    let group = target["repository"]["group"]["name"].as_str().unwrap();

    let mut lines = 0;
    for block in blocks(&readme())
        .iter()
        .filter(|block| block.place == "server")
    {
        for command in &block.commands {
            lines += 1;
            let words = words(command);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            match words.as_slice() {
                ["rpm", "--import", key] => {
                    assert!(key.ends_with("/RPM-GPG-KEY-lustre-repo"), "{command}")
                }
                ["dnf", "install", url] if url.contains("://") => {
                    assert!(url.ends_with(&release), "{command}: not {release}")
                }
                ["dnf", "install", packages @ ..] => {
                    for package in packages {
                        assert!(
                            proven.contains(package),
                            "{command}: the proof does not install {package}"
                        );
                    }
                    assert!(packages.contains(&"kmod-lustre-osd-ldiskfs"), "{command}");
                }
                ["dnf", "group", "install", name] => assert_eq!(*name, group, "{command}"),
                ["reboot"] => {}
                other => panic!("nothing checks `{}`", other.join(" ")),
            }
        }
    }
    assert!(lines >= 4, "{lines}");
    let mandatory = target["repository"]["group"]["mandatory"]
        .as_array()
        .unwrap();
    for package in mandatory.iter().filter_map(Value::as_str) {
        assert!(
            proven.contains(&package),
            "the group has {package}, and the proof does not install it"
        );
    }
}

#[test]
fn links_lead_somewhere() {
    for file in [
        "README.md",
        "CONTRIBUTING.md",
        "docs/architecture.md",
        "docs/kernel-pinning.md",
        "specs/README.md",
        "tests/README.md",
    ] {
        let path = project().join(file);
        let text = fs::read_to_string(&path).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let target = link.split('#').next().unwrap_or_default();
            if !target.contains("://") && !target.is_empty() {
                assert!(
                    path.parent().unwrap().join(target).exists(),
                    "{file}: {link}"
                );
            }
        }
    }
}

#[test]
fn places_that_contributors_are_sent_to_exist() {
    let text = fs::read_to_string(project().join("CONTRIBUTING.md")).unwrap();
    let mut places = 0;
    // What is between backticks and looks like a path, fenced blocks aside.
    for (number, part) in text.split('`').enumerate() {
        let is_path = part.contains('/') && !part.contains(' ') && !part.contains('\n');
        let is_name = part.chars().any(|letter| letter.is_ascii_uppercase());
        if number % 2 == 1 && is_path && !is_name {
            places += 1;
            assert!(project().join(part).exists(), "{part}");
        }
    }
    assert!(places > 15, "only {places} places were found");
}

/// Who searches for the words of an error finds them, and not those of an earlier version.
#[test]
fn every_message_of_the_troubleshooting_is_one_that_the_tool_says() {
    let mut sources = String::new();
    for entry in walkdir::WalkDir::new(project()) {
        let path = entry.unwrap().into_path();
        let name = path.strip_prefix(project()).unwrap();
        let is_source = name.extension().is_some_and(|extension| extension == "rs")
            && name
                .components()
                .nth(1)
                .is_some_and(|folder| folder.as_os_str() == "src")
            && !name.starts_with("tests");
        if is_source {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    // A text that goes on in the next line is one.
    let lines: Vec<&str> = sources.lines().map(str::trim_start).collect();
    let sources = lines.join("\n").replace("\\\n", "");
    let text = fs::read_to_string(project().join("docs/troubleshooting.md")).unwrap();
    let messages: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .collect();
    assert!(messages.len() > 15, "{messages:?}");
    for message in messages {
        assert!(sources.contains(message), "nothing says `{message}`");
    }
}
