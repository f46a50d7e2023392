//! What the scheduled workflows make of `watch`: the script of each is run on a repository with its origin, with stand-ins for the forge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::{Run, project, run};
use lustre_repo_tests::script;

const LOCK: &str = "specs/locks/site.toml";

/// Takes the place of `.ci/watch FOLDER`: a lock moved, as long as there is a file `moved` beside it.
const WATCH: &str = r#"#!/bin/sh
[ -e "$0.moved" ] || exit 0
mkdir -p "$1/specs/locks"
cat "$0.moved" >specs/locks/site.toml
cp specs/locks/site.toml "$1/specs/locks/"
echo text >"$1/change.md"
"#;

/// A forge's program: what it is asked is written down, and a download is the folder that the step before left.
const FORGE: &str = r#"#!/bin/sh
echo "${0##*/} $*" >>"$ASKED"
case "$1 $2" in
"run download") mkdir -p "$RUNNER_TEMP" && cp -a "$CHANGE" "$RUNNER_TEMP/change" ;;
"pr edit") exit 1 ;;
esac
"#;

/// The lines of a script in a workflow, behind the line `from`.
fn script(file: &str, from: &str) -> String {
    let text = fs::read_to_string(project().join(file)).unwrap();
    let mut lines = text.lines().skip_while(|line| line.trim() != from).skip(1);
    let first = lines.find(|line| line.trim().ends_with('|')).unwrap();
    let depth = first.len() - first.trim_start().len();
    let script: Vec<&str> = lines
        .take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > depth)
        .map(str::trim)
        .collect();
    assert!(script.len() > 5, "{file}: {script:?}");
    script.join("\n")
}

struct Forge {
    dir: tempfile::TempDir,
}

impl Forge {
    fn new() -> Self {
        let forge = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        forge.git(
            ".",
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "origin.git",
            ],
        );
        forge.git(".", &["clone", "--quiet", "origin.git", "clone"]);
        for (file, text) in [(LOCK, "old\n"), (".ci/watch", WATCH)] {
            let path = forge.path("clone").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            script::write(&path, text).unwrap();
        }
        forge.git("clone", &["checkout", "--quiet", "-B", "main"]);
        forge.git("clone", &["add", "."]);
        forge.git("clone", &["commit", "--quiet", "--message", "x"]);
        forge.git("clone", &["push", "--quiet", "origin", "main"]);
        fs::create_dir(forge.path("bin")).unwrap();
        for name in ["gh", "curl"] {
            script::write(forge.path("bin").join(name), FORGE).unwrap();
        }
        forge
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, program: &str, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .env("HOME", self.dir.path())
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "a")
                .env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        command
    }

    fn git(&self, folder: &str, arguments: &[&str]) -> String {
        let mut git = self.command("git", &self.path(folder));
        let done = run(git.args(arguments));
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.stdout.trim().to_owned()
    }

    /// The commit that is proposed.
    fn proposed(&self) -> String {
        let line = [
            "for-each-ref",
            "--format=%(objectname)",
            "refs/heads/watch/locks",
        ];
        self.git("origin.git", &line)
    }

    /// What the forge's programs were asked.
    fn asked(&self) -> String {
        fs::read_to_string(self.path("asked")).unwrap_or_default()
    }

    /// What a run of the workflow does, on a clone of its own.
    fn scheduled(&self, script: &str) -> Run {
        let _ = fs::remove_dir_all(self.path("fresh"));
        let _ = fs::remove_dir_all(self.path("temporary"));
        self.git(".", &["clone", "--quiet", "origin.git", "fresh"]);
        let moved = self.path("moved");
        let change = self.path("change");
        if moved.exists() {
            fs::copy(&moved, self.path("fresh/.ci/watch.moved")).unwrap();
            let locks = change.join("specs/locks");
            fs::create_dir_all(&locks).unwrap();
            fs::copy(&moved, locks.join("site.toml")).unwrap();
            fs::write(change.join("change.md"), "text\n").unwrap();
        }
        let path = std::env::var("PATH").unwrap();
        let mut shell = self.command("bash", &self.path("fresh"));
        shell
            .args([
                "--noprofile",
                "--norc",
                "-e",
                "-o",
                "pipefail",
                "-c",
                script,
            ])
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("ASKED", self.path("asked"))
            .env("CHANGE", &change)
            .env("GITHUB_RUN_ID", "1")
            .env("RUNNER_TEMP", self.path("temporary"))
            .env("CI_PROJECT_DIR", self.path("fresh"))
            .env("CI_SERVER_HOST", "forge.example")
            .env("CI_PROJECT_PATH", "a/b")
            .env("CI_PROJECT_ID", "1")
            .env("CI_DEFAULT_BRANCH", "main")
            .env("CI_API_V4_URL", "https://forge.example/api/v4")
            .env("WATCH_TOKEN", "t")
            .env("GIT_CONFIG_COUNT", "1")
            .env(
                "GIT_CONFIG_KEY_0",
                format!("url.{}.insteadOf", self.path("origin.git").display()),
            )
            .env(
                "GIT_CONFIG_VALUE_0",
                "https://watch:t@forge.example/a/b.git",
            );
        run(&mut shell)
    }
}

#[test]
fn what_was_proposed_is_proposed_again_only_when_it_is_another() {
    for (file, from, ask) in [
        (
            ".github/workflows/watch.yml",
            "- name: A branch with the new locks, and a change request",
            "pr create",
        ),
        (".gitlab-ci.yml", "script:", "merge_requests"),
    ] {
        let script = script(file, from);
        let forge = Forge::new();
        let scheduled = |code: i32| {
            let ran = forge.scheduled(&script);
            assert_eq!(ran.code, code, "{file}: {ran:?}");
        };
        if file.ends_with("gitlab-ci.yml") {
            // Nothing is new: on GitHub, the job does not run then.
            scheduled(0);
            assert_eq!(
                (forge.proposed().as_str(), forge.asked().as_str()),
                ("", "")
            );
        }
        fs::write(forge.path("moved"), "new\n").unwrap();
        scheduled(0);
        let first = forge.proposed();
        let asked = forge.asked();
        assert!(asked.contains(ask), "{file}: {asked}");
        assert_eq!(
            forge.git("origin.git", &["show", &format!("{first}:{LOCK}")]),
            "new",
            "{file}"
        );
        // The next day, and nobody has taken it yet.
        scheduled(0);
        assert_eq!(forge.proposed(), first, "{file}");
        let more = forge.asked();
        let more = more.strip_prefix(&asked).unwrap();
        assert!(!more.contains(ask), "{file}: {more}");
        fs::write(forge.path("moved"), "newer\n").unwrap();
        scheduled(0);
        assert_ne!(forge.proposed(), first, "{file}");
    }
}
