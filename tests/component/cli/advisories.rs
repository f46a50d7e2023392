//! `advisories` on a history of ours: what it finds there, and clones that it cannot be told from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::{Home, Run, run};
use serde_json::Value;

/// A repository in a folder of its own, whose commits have times one after another.
struct Clone {
    dir: tempfile::TempDir,
    time: u32,
}

impl Clone {
    fn new() -> Self {
        let clone = Self {
            dir: tempfile::tempdir().unwrap(),
            time: 1_000_000_000,
        };
        clone.git(&["init", "--quiet", "--initial-branch=master"]);
        clone
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut git = Command::new("git");
        git.current_dir(self.path())
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "a")
                .env(format!("GIT_{who}_EMAIL"), "a@example.org")
                .env(format!("GIT_{who}_DATE"), format!("{} +0000", self.time));
        }
        git
    }

    fn git(&self, arguments: &[&str]) -> String {
        let done = run(&mut self.command(arguments));
        assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
        done.stdout.trim().to_owned()
    }

    /// A commit that changes `file`; gives its id.
    fn commit(&mut self, file: &str, subject: &str, body: &str) -> String {
        self.time += 60;
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, self.time.to_string()).unwrap();
        self.git(&["add", "."]);
        self.git(&["commit", "--quiet", "-m", &format!("{subject}\n\n{body}")]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A target that takes `commit` as Lustre 2.17.0, with `more` in its [lustre].
    fn target(&self, home: &Home, commit: &str, more: &str) -> PathBuf {
        let path = home.path().join("site.toml");
        let text = format!(
            "inherits = \"debian-12\"\n[lustre]\nsource = {{ git = {{ url = \"file:///nowhere\", commit = \"{commit}\" }} }}\n{more}"
        );
        fs::write(&path, text).unwrap();
        path
    }

    fn advisories(&self, target: &Path, more: &[&str]) -> Run {
        self.ran(&Home::new(), target, more)
    }

    fn ran(&self, home: &Home, target: &Path, more: &[&str]) -> Run {
        let source = format!("lustre={}", self.path().display());
        let target = target.to_str().unwrap();
        let line = ["advisories", "--target", target, "--source", &source];
        home.run(&[&line[..], more].concat())
    }
}

#[test]
fn what_upstream_mended_since_is_listed_and_what_the_history_has_is_not() {
    let home = Home::new();
    let mut clone = Clone::new();
    let first = clone.commit(
        "lustre/mdd/a.c",
        "LU-1 mdd: first",
        "Change-Id: I1111111111\n",
    );
    let pinned = clone.commit(
        "lustre/ofd/b.c",
        "LU-2 ofd: second",
        &format!("Fixes: {first}\nChange-Id: I2222222222\n"),
    );
    clone.git(&["tag", "-a", "-m", "release", "2.17.0"]);
    // On another branch, older than the pinned commit: it is not looked at.
    clone.git(&["branch", "b2_16", &first]);
    let crash = clone.commit(
        "lustre/mdd/c.c",
        "LU-3 mdd: it panics",
        &format!(
            "Fixes: {} (\"LU-1 mdd: first\")\nChange-Id: I3333333333\n",
            &first[..10]
        ),
    );
    let by_subject = clone.commit(
        "lustre/osd-ldiskfs/d.c",
        "LU-4 osd: silent corruption",
        "Fixes: LU-2 ofd: second\nChange-Id: I4444444444\n",
    );
    let follows = clone.commit(
        "lustre/osd-ldiskfs/d.c",
        "LU-5 osd: the mend leaks",
        &format!("Fixes: {}\n", &by_subject[..8]),
    );
    let picked = clone.commit(
        "lustre/ofd/b.c",
        "LU-2 ofd: second, as it was on master",
        &format!("Fixes: {first}\nChange-Id: I2222222222\n"),
    );
    let wrong = clone.commit(
        "lustre/ofd/e.c",
        "LU-6 ofd: wrong",
        &format!("Fixes: {first}\n"),
    );
    clone.commit(
        "lustre/ofd/e.c",
        "Revert \"LU-6 ofd: wrong\"",
        &format!("This reverts commit {wrong}.\n"),
    );
    clone.commit("lustre/ofd/f.c", "LU-7 ofd: anything", "");
    // The same mend on a maintenance branch.
    clone.git(&["checkout", "--quiet", "-b", "b2_17", &pinned]);
    let also = clone.commit(
        "lustre/mdd/c.c",
        "LU-3 mdd: it panics",
        &format!("Fixes: {first}\nChange-Id: I3333333333\n"),
    );

    let target = clone.target(&home, &pinned, "");
    let ran = clone.ran(&home, &target, &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["commit"], pinned.as_str());
    assert_eq!(report["branches"], serde_json::json!(["b2_17", "master"]));
    assert_eq!(
        (&report["later"], &report["naming"]),
        (&8.into(), &5.into()),
        "{report}"
    );
    let ids = |list: &Value| -> Vec<String> {
        let all = list.as_array().unwrap().iter();
        all.map(|one| one["commit"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = &report["advisories"];
    assert_eq!(ids(found), [by_subject.clone(), crash.clone()], "{report}");
    assert_eq!(ids(&found[0]["mends"]), std::slice::from_ref(&pinned));
    assert_eq!(ids(&found[0]["followed_by"]), [follows]);
    assert_eq!(
        (&found[0]["says"], &found[1]["says"]),
        (&"corruption".into(), &"crash".into())
    );
    assert_eq!(ids(&found[1]["also"]), [also]);
    assert_eq!(ids(&found[1]["mends"]), [first]);
    let left = report["left_out"].as_array().unwrap();
    let mut left: Vec<(&str, &str)> = left
        .iter()
        .map(|one| {
            (
                one["commit"].as_str().unwrap(),
                one["why"].as_str().unwrap(),
            )
        })
        .collect();
    left.sort_by_key(|(_, why)| *why);
    assert_eq!(
        left,
        [
            (picked.as_str(), "same-change-id"),
            (wrong.as_str(), "taken-back")
        ]
    );
    // What is known of that release, and how it stands with the project's overlay.
    let known = report["known"].as_array().unwrap();
    let of = |ticket: &str| known.iter().find(|one| one["ticket"] == ticket).unwrap();
    assert_eq!(of("LU-20192")["standing"], "mended", "{report}");
    assert_eq!(of("LU-19862")["standing"], "mended");
    assert_eq!(of("LU-19829")["standing"], "accepted");

    let ran = clone.ran(&home, &target, &[]);
    for part in [
        "mended by large-directory of lustre/2.17",
        "LU-4 osd: silent corruption",
        // That of the maintenance branch is the same fix, and the numbers add up.
        "; 5 fix or revert a commit of it (5 say so by `Fixes:`), 2 of these are left out, and 3 remain: 2 fixes, the most severe first",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
    assert!(!ran.stdout.contains("as it was on master"), "{ran:?}");
}

#[test]
fn a_fault_that_nobody_mended_or_accepted_ends_with_3() {
    let home = Home::new();
    let mut clone = Clone::new();
    let pinned = clone.commit("a", "LU-1 a", "");
    // Of another release, so that nothing of it mends 2.17.0.
    let open = clone.target(&home, &pinned, "overlay = \"lustre/2.18\"\n");
    let ran = clone.advisories(&open, &[]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let first = ran.stdout.lines().nth(1).unwrap();
    assert!(
        first.contains("corruption") && ran.stdout.contains("open"),
        "{ran:?}"
    );
    let all = "[lustre.accepts]\nLU-20192 = 'a'\nLU-12268 = 'b'\nLU-19955 = 'c'\nLU-19791 = 'd'\nLU-99999 = 'e'\n";
    let accepted = clone.target(&home, &pinned, &format!("overlay = \"lustre/2.18\"\n{all}"));
    let ran = clone.advisories(&accepted, &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("accepted: a") && ran.stderr.contains("LU-99999"),
        "{ran:?}"
    );
    for (wrong, words) in [
        ("LU-x = 'a'", "`LU-x` is not a ticket"),
        ("LU-1 = ' '", "has no reason"),
    ] {
        let target = clone.target(&home, &pinned, &format!("[lustre.accepts]\n{wrong}\n"));
        let ran = clone.advisories(&target, &[]);
        assert!(
            ran.code == 1 && ran.stderr.contains(words),
            "{wrong}: {ran:?}"
        );
    }
}

#[test]
fn a_clone_that_lacks_the_history_is_told_with_what_to_fetch() {
    let home = Home::new();
    let mut clone = Clone::new();
    let first = clone.commit("a", "LU-1 a", "");
    let pinned = clone.commit("a", "LU-2 b", "");
    let target = clone.target(&home, &pinned, "");

    let mut shallow = Clone::new();
    let from = format!("file://{}", clone.path().display());
    shallow.git(&[
        "fetch",
        "--quiet",
        "--depth=1",
        &from,
        "master:refs/heads/up",
    ]);
    let ran = shallow.advisories(&target, &[]);
    assert!(ran.code == 1 && ran.stderr.contains("shallow"), "{ran:?}");
    assert!(ran.stderr.contains("--unshallow"), "{ran:?}");

    shallow.commit("b", "another", "");
    let absent = shallow.target(&home, &first, "");
    let ran = shallow.advisories(&absent, &[]);
    assert!(ran.code == 1 && ran.stderr.contains(&first), "{ran:?}");
    assert!(ran.stderr.contains("fetch it there"), "{ran:?}");

    clone.git(&["checkout", "--quiet", "--detach"]);
    clone.git(&["branch", "--quiet", "--force", "master", &first]);
    let ran = clone.advisories(&clone.target(&home, &pinned, ""), &[]);
    assert!(
        ran.code == 1 && ran.stderr.contains("are older than"),
        "{ran:?}"
    );

    let home = Home::new();
    let ran = home.run(&["advisories"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("is a model"),
        "{ran:?}"
    );
    let ran = home.run(&["advisories", "--target", "debian-12"]);
    assert!(
        ran.code == 1 && ran.stderr.contains("git clone --bare"),
        "{ran:?}"
    );
    // What is fetched for builds has no history.
    assert!(!ran.stderr.contains("cargo xtask fetch"), "{ran:?}");
    assert!(home.is_untouched());
}

#[test]
fn a_second_part_that_is_called_as_the_first_is_not_taken_for_it() {
    let home = Home::new();
    let mut clone = Clone::new();
    let cause = clone.commit("lnet/a.c", "LU-1 lnet: cause", "");
    let fixes = format!("Fixes: {cause}\n");
    let pinned = clone.commit(
        "lnet/a.c",
        "LU-2 lnet: use strscpy",
        &format!("{fixes}Change-Id: I1111111111\n"),
    );
    let second = clone.commit(
        "lnet/a.c",
        "LU-2 lnet: use strscpy",
        &format!("{fixes}Change-Id: I2222222222\n"),
    );
    let ran = clone.ran(&home, &clone.target(&home, &pinned, ""), &["--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["left_out"], serde_json::json!([]), "{report:#}");
    assert_eq!(report["advisories"][0]["commit"], second.as_str());
}
