//! A place that has a release of which it cannot be told which: it is no empty one, and nothing older takes its place.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use lustre_repo_tests::command_line::{Home, Run, run};

use super::client::{snapshot, whole};
use super::github::Publisher;
use super::releases::{command, copy, promote_command, releases, tool};
use super::servers::{Objects, Rsyncd};

/// A kind of place: what it is called, where it is on the disk, and with which variables it is reached.
struct Kind<'k> {
    to: String,
    at: PathBuf,
    variables: &'k [(&'k str, &'k str)],
}

impl Kind<'_> {
    fn publish(&self, home: &Home, number: usize, more: &[&str]) -> Run {
        self.ran(command(home, releases().at(number), &self.to, more))
    }

    fn ran(&self, mut command: Command) -> Run {
        run(command.envs(self.variables.iter().copied()))
    }

    #[track_caller]
    fn published(&self, home: &Home, number: usize) -> Run {
        let ran = self.publish(home, number, &[]);
        assert_eq!((ran.code, whole(&self.at)), (0, number), "{ran:?}");
        ran
    }

    /// An older one is refused in every way, and nothing is changed; the one that was there is put right.
    #[track_caller]
    fn is_not_taken_for_empty(&self, home: &Home, what: &str) {
        let to = &self.to;
        let before = snapshot(&self.at);
        for more in [&[][..], &["--staging"], &["--dry-run"]] {
            let ran = self.publish(home, 0, more);
            assert_eq!(ran.code, 1, "{what}: {to}: {ran:?}");
            for words in ["nothing was sent", "--replace-anyway"] {
                assert!(ran.stderr.contains(words), "{what}: {to}: {words}: {ran:?}");
            }
            assert!(snapshot(&self.at) == before, "{what}: {to}");
        }
        let ran = self.publish(home, 2, &[]);
        assert_eq!(ran.code, 0, "{what}: {to}: {ran:?}");
        assert_eq!(whole(&self.at), 2, "{what}: {to}");
    }
}

/// What somebody does to the place at a path, whose release has this folder.
type Damage = (&'static str, fn(&Path, &Path));

fn remove(path: &Path) {
    match path.symlink_metadata().unwrap().is_dir() {
        true => fs::remove_dir_all(path).unwrap(),
        false => fs::remove_file(path).unwrap(),
    }
}

fn lead(link: &Path, to: &str) {
    remove(link);
    symlink(to, link).unwrap();
}

#[test]
fn where_links_lead_to_a_release_that_cannot_be_told_nothing_older_takes_its_place() {
    let home = Home::new();
    let daemon = Rsyncd::new("munge symlinks = no");
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("www");
    let kinds = [
        Kind {
            to: plain.display().to_string(),
            at: plain,
            variables: &[],
        },
        Kind {
            to: daemon.url("www"),
            at: daemon.path("www"),
            variables: &[],
        },
    ];
    let damages: [Damage; 9] = [
        ("no manifest.json", |at, _| {
            remove(&at.join("manifest.json"));
        }),
        ("manifest.json leads elsewhere", |at, _| {
            lead(&at.join("manifest.json"), "../elsewhere/manifest.json");
        }),
        ("current leads elsewhere", |at, _| {
            lead(&at.join(".releases/current"), "../../victim");
        }),
        ("no current", |at, _| remove(&at.join(".releases/current"))),
        ("neither", |at, _| {
            remove(&at.join("manifest.json"));
            remove(&at.join(".releases/current"));
        }),
        ("current is a file", |at, _| {
            remove(&at.join(".releases/current"));
            fs::write(at.join(".releases/current"), "mine").unwrap();
        }),
        ("no manifest.json in its folder", |_, own| {
            remove(&own.join("manifest.json"));
        }),
        ("its folder is gone", |_, own| remove(own)),
        ("all but the packages and folders is gone", |at, _| {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    remove(&path);
                }
            }
            for kind in ["x86_64", "x86_64-debuginfo", "source"] {
                remove(&at.join(kind).join("repodata"));
            }
            remove(&at.join(".releases/current"));
        }),
    ];
    for kind in &kinds {
        kind.published(&home, 1);
        kind.published(&home, 2);
        let good = folder.path().join("good");
        copy(&kind.at, &good);
        for (what, damage) in damages {
            copy(&good, &kind.at);
            let id = fs::read_link(kind.at.join(".releases/current")).unwrap();
            damage(&kind.at, &kind.at.join(".releases").join(id));
            kind.is_not_taken_for_empty(&home, what);
        }
        // Whoever forces it leaves what clients may read.
        copy(&good, &kind.at);
        lead(&kind.at.join(".releases/current"), "../../victim");
        let ran = kind.publish(&home, 0, &["--replace-anyway"]);
        assert_eq!((ran.code, whole(&kind.at)), (0, 0), "{ran:?}");
        assert!(ran.stderr.contains("cannot be told"), "{ran:?}");
        for number in [1, 2] {
            assert!(kind.at.join(tool(number)).exists(), "{number}: {ran:?}");
        }
        // What is staged is not published over it, either.
        remove(&kind.at);
        kind.published(&home, 0);
        let ran = kind.publish(&home, 1, &["--staging"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        lead(&kind.at.join(".releases/current"), "../../victim");
        let before = snapshot(&kind.at);
        let ran = kind.ran(promote_command(&home, &kind.to, &[]));
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(snapshot(&kind.at) == before);
    }
}

#[test]
fn a_folder_of_a_repository_that_cannot_be_told_is_not_the_one_that_a_link_leads_to() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let kind = Kind {
        to: at.display().to_string(),
        at,
        variables: &[],
    };
    kind.published(&home, 1);
    // Somebody copies a later one over it, and its manifest is gone again.
    for name in ["SHA256SUMS", "x86_64/repodata"] {
        remove(&kind.at.join(name));
        copy(&releases().at(2).join(name), &kind.at.join(name));
        remove(&kind.at.join("manifest.json"));
        let before = snapshot(&kind.at);
        // Nor is that the one by the link again.
        for number in [1, 2] {
            let ran = kind.publish(&home, number, &[]);
            assert_eq!(ran.code, 1, "{name}: {ran:?}");
            for words in [name, "--replace-anyway"] {
                assert!(ran.stderr.contains(words), "{words}: {ran:?}");
            }
            assert!(snapshot(&kind.at) == before);
        }
        let ran = kind.publish(&home, 1, &["--replace-anyway"]);
        assert_eq!((ran.code, whole(&kind.at)), (0, 1), "{ran:?}");
    }
}

#[test]
fn where_there_are_no_links_a_release_that_cannot_be_told_stays_as_well() {
    let home = Home::new();
    let objects = Objects::new();
    let variables = Objects::variables();
    let kind = Kind {
        to: objects.to("l"),
        at: objects.path("l"),
        variables: &variables,
    };
    kind.published(&home, 1);
    kind.published(&home, 2);
    let good = objects.path("good");
    copy(&kind.at, &good);
    let damages: [Damage; 5] = [
        ("no manifest.json", |at, _| {
            remove(&at.join("manifest.json"));
        }),
        ("no SHA256SUMS", |at, _| remove(&at.join("SHA256SUMS"))),
        ("neither", |at, _| {
            remove(&at.join("manifest.json"));
            remove(&at.join("SHA256SUMS"));
        }),
        ("the metadata alone", |at, _| {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    remove(&path);
                }
            }
        }),
        ("the packages alone", |at, _| {
            for entry in fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    remove(&path);
                }
            }
            for kind in ["x86_64", "x86_64-debuginfo", "source"] {
                remove(&at.join(kind).join("repodata"));
            }
        }),
    ];
    for (what, damage) in damages {
        copy(&good, &kind.at);
        damage(&kind.at, &kind.at);
        kind.is_not_taken_for_empty(&home, what);
    }
}

#[test]
fn pages_that_cannot_be_told_stay_as_they_are() {
    let publisher = Publisher::new();
    publisher.published(1);
    publisher.published(2);
    let good = publisher.github.keep();
    for removed in [
        &["manifest.json"][..],
        &["manifest.json", "SHA256SUMS"],
        &["SHA256SUMS", "SHA256SUMS.asc"],
    ] {
        publisher.github.restore(&good);
        let paths: Vec<String> = removed
            .iter()
            .map(|name| format!("lustre/9.6/{name}"))
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        publisher.github.removes(&paths);
        let before = publisher.github.keep();
        let ran = publisher.publish(0, &[]);
        assert_eq!(ran.code, 1, "{removed:?}: {ran:?}");
        assert!(ran.stderr.contains("--replace-anyway"), "{ran:?}");
        assert_eq!(publisher.github.keep(), before);
    }
}

/// A first publish that was killed is no release: the next one takes its place, unless it is older.
#[test]
fn a_first_publish_that_was_begun_is_followed_by_the_same_or_a_later_release() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let kind = Kind {
        to: at.display().to_string(),
        at,
        variables: &[],
    };
    kind.published(&home, 1);
    let id = fs::read_link(kind.at.join(".releases/current")).unwrap();
    let note = Path::new(".releases").join(id).join("SHA256SUMS");
    for (number, code) in [(1, 0), (2, 0), (0, 1)] {
        remove(&kind.at);
        let note = kind.at.join(&note);
        fs::create_dir_all(note.parent().unwrap()).unwrap();
        fs::copy(releases().at(1).join("SHA256SUMS"), &note).unwrap();
        let package = kind.at.join(tool(1));
        fs::create_dir_all(package.parent().unwrap()).unwrap();
        fs::copy(releases().at(1).join(tool(1)), &package).unwrap();
        let ran = kind.publish(&home, number, &[]);
        assert_eq!(ran.code, code, "{number}: {ran:?}");
        match code {
            0 => assert_eq!(whole(&kind.at), number),
            _ => assert!(ran.stderr.contains("--replace-anyway"), "{ran:?}"),
        }
    }
}

/// Nor is what somebody tests removed where it cannot be told which that is.
#[test]
fn what_is_staged_and_cannot_be_told_stays() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let kind = Kind {
        to: at.display().to_string(),
        at,
        variables: &[],
    };
    kind.published(&home, 0);
    let ran = kind.publish(&home, 2, &["--staging"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let link = kind.at.join(".releases/staged");
    let id = fs::read_link(&link).unwrap();
    lead(&link, "../../elsewhere");
    kind.published(&home, 1);
    assert!(kind.at.join(".releases").join(&id).is_dir());
    assert!(kind.at.join(tool(2)).exists());
    lead(&link, id.to_str().unwrap());
    assert_eq!(whole(&kind.at.join("staging")), 2);
}

#[test]
fn a_folder_with_empty_folders_alone_is_empty() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    fs::create_dir_all(at.join("lost+found")).unwrap();
    fs::create_dir_all(at.join("a/b")).unwrap();
    let kind = Kind {
        to: at.display().to_string(),
        at,
        variables: &[],
    };
    kind.published(&home, 0);
}
