//! The workflows of GitHub and GitLab: what they run of the tool is what it understands, and only one job of a release sees the key.

use std::collections::BTreeSet;
use std::fs;

use lustre_repo_tests::command_line::{Home, project};
use lustre_repo_tests::workflow::{arguments, jobs, lines};

use super::{understood, words};

/// The files, and how many lines of each run the tool.
const FILES: [(&str, usize); 4] = [
    (".github/workflows/ci.yml", 2),
    (".github/workflows/release.yml", 11),
    (".github/workflows/watch.yml", 0),
    (".gitlab-ci.yml", 10),
];

/// The workflows that release.
const RELEASES: [&str; 2] = [".github/workflows/release.yml", ".gitlab-ci.yml"];

/// What forges put in place of names.
const VALUES: [(&str, &str); 8] = [
    ("${GITHUB_REF_NAME%%/*}", "rehearsal"),
    ("${CI_COMMIT_TAG%%/*}", "rehearsal"),
    ("${{ matrix.jobs }}", "2"),
    ("${{ matrix.builder }}", "1"),
    ("$BUILDER", "1"),
    ("$FINGERPRINT", "0123456789ABCDEF0123456789ABCDEF01234567"),
    ("$PUBLISH_URL", "https://repo.example.org/lustre"),
    ("$PUBLISH_TO", "/srv/www/lustre"),
];

fn read(file: &str) -> String {
    fs::read_to_string(project().join(file)).unwrap()
}

#[test]
fn every_line_that_starts_the_tool_is_understood() {
    let home = Home::new();
    for (file, count) in FILES {
        let text = read(file);
        let found = lines(&text);
        assert_eq!(found.len(), count, "{file}: {found:#?}");
        for line in found {
            let mut line = line.to_owned();
            for (name, value) in VALUES {
                line = line.replace(name, value);
            }
            assert!(!line.contains('$'), "{file}: {line}");
            let words = words(arguments(&line).unwrap());
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Err(why) = understood(&home, &words) {
                panic!("{file}: `{line}`: {why}");
            }
        }
    }
    assert!(home.is_untouched());
}

#[test]
fn the_key_is_in_one_job_which_builds_nothing_and_waits_for_builders_that_agree() {
    for file in RELEASES {
        let text = read(file);
        let jobs = jobs(&text);
        let job = |name: &str| {
            let found = jobs.iter().find(|(job, _)| job == name);
            found.unwrap_or_else(|| panic!("{file} has no job {name}"))
        };
        let waits = |name: &str, on: &str| {
            let needs = job(name).1.lines().find(|line| line.contains("needs:"));
            let needs = needs.unwrap_or_else(|| panic!("{file}: {name} needs nothing"));
            needs.contains(on)
        };
        assert!(
            waits("compare", "build") && waits("sign", "compare"),
            "{file}"
        );
        assert!(waits("boot", "sign") && waits("publish", "boot"), "{file}");
        for (name, lines_of) in &jobs {
            let signs = name == "sign";
            let says = |words: &str| lines_of.contains(words);
            assert_eq!(says("LUSTRE_REPO_KEY"), signs, "{file}: {name}");
            assert_eq!(says("environment: release"), signs, "{file}: {name}");
            // What builds has no secret of any kind.
            let started = lines(lines_of);
            let builds = started.iter().any(|line| {
                let given = arguments(line).unwrap();
                let whole = given.starts_with("repo ") && !given.contains("--from-build");
                given.starts_with("build ") || given.starts_with("assemble ") || whole
            });
            assert_eq!(builds, name == "build", "{file}: {name}");
            assert!(!(builds && says("secrets.")), "{file}: {name}");
        }
        // Both builders, and not one of them twice.
        for (name, line) in [("compare", "compare"), ("sign", "repo")] {
            let found = lines(&job(name).1);
            let found = found
                .iter()
                .find(|it| arguments(it).unwrap().starts_with(line));
            let found = found.unwrap();
            for folder in ["unsigned-1", "unsigned-2"] {
                assert_eq!(found.matches(folder).count(), 1, "{file}: {found}");
            }
        }
    }
}

#[test]
fn a_release_may_do_no_more_than_it_has_to() {
    let text = read(".github/workflows/release.yml");
    assert!(text.contains("\npermissions: {}\n"));
    let all = jobs(&text);
    assert!(all.len() > 6);
    for (name, lines) in all {
        let mut rights = BTreeSet::new();
        let mut inside = false;
        for line in lines.lines() {
            if line.trim_start().starts_with("permissions:") {
                inside = true;
                assert!(rights.is_empty(), "{name}");
                rights.insert("said".to_owned());
            } else if inside && line.starts_with("      ") {
                rights.insert(line.trim().to_owned());
            } else {
                inside = false;
            }
        }
        let wanted: &[&str] = match name.as_str() {
            "attest" => &[
                "said",
                "attestations: write",
                "contents: read",
                "id-token: write",
            ],
            "install" => &["said"],
            // A place may be the pages and the releases of this repository.
            "publish" => &["said", "contents: write"],
            _ => &["said", "contents: read"],
        };
        let wanted = wanted.iter().map(|right| (*right).to_owned()).collect();
        assert_eq!(rights, wanted, "{name}");
        // A tag is somebody's text: it comes to a shell as a variable.
        for expression in lines.split("${{").skip(1) {
            let expression = expression.split("}}").next().unwrap().trim();
            let known = [
                "vars.",
                "secrets.",
                "matrix.",
                "needs.sign.outputs.",
                "steps.carry.",
            ];
            let known = known.iter().any(|one| expression.starts_with(one));
            assert!(known, "{name}: {expression}");
        }
        for line in lines.lines().filter(|line| line.contains("run:")) {
            assert!(
                !line.contains("vars.") && !line.contains("secrets."),
                "{line}"
            );
        }
    }
}

#[test]
fn what_a_maintainer_sets_up_is_documented() {
    let docs = read("docs/releasing.md");
    let mut names = 0;
    for file in RELEASES {
        let text = read(file);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_.".contains(c)));
        for word in words {
            let name = word
                .strip_prefix("vars.")
                .or_else(|| word.strip_prefix("secrets."));
            if let Some(name) = name {
                names += 1;
                assert!(docs.contains(&format!("`{name}`")), "{file}: {name}");
            }
        }
        let environments = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("environment: "));
        for environment in environments {
            names += 1;
            assert!(docs.contains(&format!("`{environment}`")), "{environment}");
        }
        for (job, _) in jobs(&text) {
            let told = ["watch", "workflow"].contains(&job.as_str());
            assert!(told || docs.contains(&format!("`{job}`")), "{file}: {job}");
        }
    }
    assert!(names > 10, "{names}");
}
