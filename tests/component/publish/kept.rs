//! The release that is published, for the next one to follow: judged by what it says of itself, and kept by the rules of `repo -o`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lustre_packaging::sign::{Key, Signer as _};
use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::http::{Fault, Server};
use lustre_repo_tests::small_disk::SmallDisk;
use serde_json::Value;

use super::releases::{copy, published, releases, tool};
use super::served::result;
use super::world::{EPOCH, Tree, key, next_key, site_tool};

/// What the releases say of themselves.
const URL: &str = "https://repo.example.org/lustre";

/// A folder that is served, and somebody who fetches from there.
struct Place {
    home: Home,
    folder: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path()).unwrap();
        let home = Home::new();
        Self {
            home,
            folder,
            server,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn url(&self) -> String {
        self.server.url("/www")
    }

    /// What is served from now on.
    fn serves(&self, dist: &Path) {
        copy(dist, &self.at("www"));
    }

    /// A target file with these words of its own in `[repository]`.
    fn target(&self, name: &str, url: &str, more: &str) -> PathBuf {
        let path = self.at("next.toml");
        let text = format!(
            "inherits = \"rehearsal\"\n\n[repository]\nname = \"{name}\"\nbaseurl = \"{url}\"\n{more}\n"
        );
        fs::write(&path, text).unwrap();
        path
    }

    /// `verify` of what is served, about to run.
    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.home.command(&["verify", "--json"]);
        command.arg(self.url()).args(more);
        command
    }

    /// As the release workflow fetches what is published.
    fn keeps(&self, keys: &str, to: &Path) -> Run {
        let line = ["--as-published", "--public-key", keys, "--output"];
        run(self.command(&line).arg(to))
    }
}

fn fingerprint() -> String {
    key().fingerprint()
}

fn sums(folder: &Path) -> String {
    fs::read_to_string(folder.join("SHA256SUMS")).unwrap()
}

/// A release that is signed by `by`, and tells servers of `next`.
fn release(by: &'static Key, next: Option<&Key>, day: u32) -> Tree {
    made(Tree::published_at(URL), by, next, day)
}

fn made(mut tree: Tree, by: &'static Key, next: Option<&Key>, day: u32) -> Tree {
    tree.signed_anew(by, next, &format!("{day}.el8"));
    tree.released = EPOCH + 86_400 * day;
    tree.assemble().unwrap();
    assert!(tree.complete().holds());
    tree
}

/// A key that servers have still, and that ends in 30 days.
fn ending() -> &'static Key {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let until = u32::try_from(now.as_secs()).unwrap() + 30 * 86_400;
    let renewed = key().renewed(key().public_key().signs_from(), Some(until));
    Box::leak(Box::new(renewed.unwrap()))
}

#[test]
fn what_is_published_is_judged_by_what_it_says_of_itself() {
    let place = Place::new();
    let plain = releases().at(0);
    let next = next_key().public_key_armored().unwrap();
    let told = format!("next_key = '''\n{next}'''");
    let package = "x86_64/Packages/site-tool-1.0-1.x86_64.rpm";
    let two = format!("{} {}", next_key().fingerprint(), fingerprint());
    let trees = [
        release(key(), Some(next_key()), 1),
        release(ending(), None, 1),
        release(next_key(), None, 1),
    ];
    let [told_of, near, rotated] = trees.each_ref().map(Tree::dist);
    // What was published; what the target of the next release says; which keys the site names; what it fails by, held against that target.
    let cases: [(&Path, &str, &str, &str, &str, &str); 7] = [
        (
            plain,
            "Lustre",
            URL,
            "",
            &fingerprint(),
            "expected-packages",
        ),
        (
            plain,
            "Lustre",
            "https://other.example.org/l",
            "",
            &fingerprint(),
            "repo-file",
        ),
        (plain, "Another name", URL, "", &fingerprint(), "repo-file"),
        (plain, "Lustre", URL, &told, &fingerprint(), "repo-file"),
        (&told_of, "Lustre test", URL, "", &two, "expected-packages"),
        (&near, "Lustre test", URL, "", &fingerprint(), "key-expiry"),
        (&rotated, "Lustre test", URL, "", &two, "expected-packages"),
    ];
    for (at, (dist, name, url, more, keys, fails)) in cases.into_iter().enumerate() {
        place.serves(dist);
        let target = place.target(name, url, more);
        let kept = place.at(&format!("kept-{at}"));
        let mut held = place.command(&["--static", "--public-key", keys, "--target"]);
        let ran = run(held.arg(&target).arg("--output").arg(&kept));
        let proof: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(
            (ran.code, result(&proof, fails).0),
            (3, "fail"),
            "{at}: {ran:?}"
        );
        assert!(!kept.exists(), "{at}");
        // By name of the target or without, which this machine may not have.
        for target in [Some(&target), None] {
            let _ = fs::remove_dir_all(&kept);
            let mut command = place.command(&["--as-published", "--public-key", keys]);
            command.arg("--output").arg(&kept);
            if let Some(target) = target {
                command.arg("--target").arg(target);
            }
            let ran = run(&mut command);
            assert_eq!(ran.code, 0, "{at}: {ran:?}");
            assert_eq!(sums(&kept), sums(dist), "{at}");
            let proof: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(proof["target"], "test", "{at}: {proof:#}");
            for made in [
                "key",
                "sha256sums",
                "package-signatures",
                "manifest",
                "releases",
                "repo-file",
                "repodata",
            ] {
                assert_eq!(result(&proof, made).0, "pass", "{at}: {made}: {proof:#}");
            }
            for left in ["expected-packages", "page", "closure", "install"] {
                assert_eq!(result(&proof, left).0, "not-run", "{at}: {left}: {proof:#}");
            }
        }
    }
    assert!(plain.join(package).exists());
    // What is not as it was signed is refused as ever; and so is what nobody expects, and a folder's.
    place.serves(plain);
    fs::write(place.at("www").join(package), "another").unwrap();
    for keys in [fingerprint(), next_key().fingerprint()] {
        let ran = place.keeps(&keys, &place.at("no"));
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(!place.at("no").exists());
    }
    let mut command = place
        .home
        .command(&["verify", "--as-published", "--public-key"]);
    let ran = run(command.arg(fingerprint()).arg(&near));
    assert_eq!(ran.code, 0, "{ran:?}");
    let sums = near.join("SHA256SUMS");
    fs::write(&sums, fs::read_to_string(&sums).unwrap() + "\n").unwrap();
    let mut command = place
        .home
        .command(&["verify", "--as-published", "--public-key"]);
    let ran = run(command.arg(fingerprint()).arg(&near));
    assert_eq!(ran.code, 3, "{ran:?}");
    // There is nothing to hold against itself without a path.
    let ran = place.home.run(&["verify", "--as-published"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_repository_that_is_there_is_replaced_by_what_follows_it_alone() {
    let place = Place::new();
    let kept = place.at("kept");
    let both = format!("{},{}", fingerprint(), next_key().fingerprint());
    let followed = |dist: &Path| {
        place.serves(dist);
        let ran = place.keeps(&both, &kept);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(sums(&kept), sums(dist));
    };
    let refused = |dist: &Path, keys: &str, words: &str| {
        place.serves(dist);
        place.server.requests();
        let before = sums(&kept);
        let ran = place.keeps(keys, &kept);
        assert_eq!(ran.code, 1, "{words}: {ran:?}");
        for words in [words, "does not follow", "move it away"] {
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        }
        assert_eq!(sums(&kept), before, "{words}");
        let asked = place.server.requests();
        let packages = asked.iter().filter(|it| it.path.ends_with(".rpm"));
        assert_eq!(packages.count(), 0, "{words}: {asked:?}");
    };
    fs::create_dir(&kept).unwrap();
    followed(releases().at(0));
    followed(releases().at(1));
    // Once more, also where somebody changed it.
    fs::remove_file(kept.join(tool(1))).unwrap();
    followed(releases().at(1));
    assert!(kept.join(tool(1)).exists());
    // An older one that a mirror gives: all its signatures hold.
    refused(releases().at(0), &both, "released");
    followed(releases().at(2));
    // What another key signed, which nobody expects here, was not told of, and may be somebody else's.
    let own = fingerprint();
    let (first, told) = (
        release(next_key(), None, 10),
        release(key(), Some(next_key()), 11),
    );
    refused(&first.dist(), &next_key().fingerprint(), "another");
    // A lower version of a package, released later.
    let mut tree = Tree::published_at(URL);
    tree.with(&site_tool("1.0-1"));
    let lower = made(tree, key(), None, 11);
    refused(&lower.dist(), &own, "site-tool");
    let _ = fs::remove_dir_all(&kept);
    followed(&told.dist());
    followed(&release(next_key(), None, 12).dist());
    refused(
        &release(key(), None, 13).dist(),
        &own,
        "is signed with the key",
    );
    // One that is not whole.
    fs::remove_file(kept.join("SHA256SUMS")).unwrap();
    let ran = place.keeps(&both, &kept);
    assert!(
        ran.code == 2 && kept.join("manifest.json").exists(),
        "{ran:?}"
    );
}

#[test]
fn whoever_puts_a_repository_there_is_waited_for() {
    let place = Place::new();
    place.serves(releases().at(0));
    let parent = place.at("dist");
    fs::create_dir(&parent).unwrap();
    let held = fs::File::open(&parent).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let kept = parent.join("kept");
    let mut command = place.command(&["--as-published", "--public-key", &fingerprint()]);
    command.arg("--output").arg(&kept);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let clock = Instant::now();
    let last =
        |it: &lustre_repo_tests::http::Request| it.path.ends_with("provenance.intoto.json.asc");
    while !place.server.requests().iter().any(last) {
        assert!(clock.elapsed() < Duration::from_secs(120));
        std::thread::sleep(Duration::from_millis(50));
    }
    // Another run puts a later one there meanwhile.
    std::thread::sleep(Duration::from_secs(4));
    assert!(child.try_wait().unwrap().is_none());
    copy(releases().at(1), &kept);
    drop(held);
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{said}");
    assert!(said.contains("does not follow"), "{said}");
    assert_eq!(sums(&kept), sums(releases().at(1)));
}

#[test]
fn a_disk_that_is_too_small_is_told_before_anything_is_fetched_for_it() {
    let place = Place::new();
    place.serves(releases().at(0));
    let disk = SmallDisk::new("16k");
    place.server.requests();
    let ran = place.keeps(&fingerprint(), &disk.path().join("kept"));
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["the disk is full", "another folder with --output"] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    let disk = disk.path().display().to_string();
    assert!(
        ran.stderr.contains(&disk) && !ran.stderr.contains("--store"),
        "{ran:?}"
    );
    let asked = place.server.requests();
    assert!(
        !asked.iter().any(|it| it.path.ends_with(".rpm")),
        "{asked:?}"
    );
    // On another disk, it is copied.
    let disk = SmallDisk::new("8m");
    let kept = disk.path().join("kept");
    let ran = place.keeps(&fingerprint(), &kept);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(sums(&kept), sums(releases().at(0)));
}

#[test]
fn what_a_server_answers_is_told_apart_and_what_came_is_told_by_its_url() {
    let place = Place::new();
    place.serves(releases().at(0));
    let verify = |more: &[&str]| {
        let target = place.target("Lustre", URL, "");
        let mut command = place.command(&["--static", "--public-key", &fingerprint()]);
        run(command.args(more).arg("--target").arg(target))
    };
    let file = "/www/SHA256SUMS";
    for (status, words) in [
        (404, "no repository of this tool at"),
        (403, "cannot tell whether there is a repository at"),
        (401, "cannot tell whether there is a repository at"),
    ] {
        place.server.faults(file, vec![Fault::Status(status); 9]);
        let ran = verify(&[]);
        place.server.faults(file, []);
        assert_eq!(ran.code, 1, "{status}: {ran:?}");
        for words in [words, &status.to_string(), &place.url(), "help: "] {
            assert!(ran.stderr.contains(words), "{status}: {words}: {ran:?}");
        }
    }
    // What is empty, or no manifest.
    let manifest = "/www/manifest.json";
    for content in [&b""[..], b"{}"] {
        place
            .server
            .faults(manifest, vec![Fault::Instead(content.to_vec()); 9]);
        let ran = verify(&[]);
        place.server.faults(manifest, []);
        assert_eq!(ran.code, 3, "{ran:?}");
        assert!(ran.stderr.contains(&place.url()), "{ran:?}");
        for text in [&ran.stderr, &ran.stdout] {
            assert!(!text.contains("/tmp/"), "{text}");
        }
        let proof: Value = serde_json::from_str(&ran.stdout).unwrap();
        let whole: Value =
            serde_json::from_str(&fs::read_to_string(releases().at(0).join("proof.json")).unwrap())
                .unwrap();
        assert_eq!(proof["sums_sha256"], whole["sums_sha256"], "{proof:#}");
        // It is of the target that was named, whatever it says itself.
        assert_ne!(proof["target"], "unknown", "{proof:#}");
    }
    // Of what has no sums, none are told.
    let folder = place.at("none");
    copy(releases().at(0), &folder);
    fs::remove_file(folder.join("SHA256SUMS")).unwrap();
    let ran = place
        .home
        .run(&["verify", "--static", "--json", folder.to_str().unwrap()]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let proof: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(proof.get("sums_sha256"), None, "{proof:#}");
    // The network is what it takes.
    place.server.requests();
    let ran = verify(&["--offline"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("--offline"), "{ran:?}");
    assert!(!ran.stderr.contains("cargo xtask fetch"), "{ran:?}");
    assert_eq!(place.server.requests(), []);
}

#[test]
fn whoever_verifies_gets_no_lock_of_today() {
    let place = Place::new();
    place.serves(releases().at(0));
    let target = place.target("Lustre", URL, "");
    let mut command = place.command(&["--public-key", &fingerprint(), "--target"]);
    let ran = run(command.arg(&target));
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in ["next.lock.toml", "cargo xtask lock --target", "--static"] {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    assert!(!place.at("next.lock.toml").exists());
    let asked = place.server.requests();
    assert!(
        !asked.iter().any(|it| it.path.ends_with(".rpm")),
        "{asked:?}"
    );
    // Nor does whoever publishes: that is said before anything is sent.
    let to = place.at("new");
    let own = place.at("own");
    fs::create_dir(&own).unwrap();
    // What is published is of a target of this name.
    let target = own.join("test.toml");
    fs::copy(place.at("next.toml"), &target).unwrap();
    let mut command = super::releases::command(
        &place.home,
        releases().at(0),
        to.to_str().unwrap(),
        &["--check", "install", "--url", &place.url()],
    );
    let ran = run(command.arg("--target").arg(&target));
    assert!(ran.code != 0 && !to.exists(), "{ran:?}");
    assert!(ran.stderr.contains("cargo xtask lock --target"), "{ran:?}");
}

#[test]
fn what_somebody_put_into_a_published_folder_is_named() {
    let place = Place::new();
    let www = place.at("www");
    published(&place.home, 0, www.to_str().unwrap());
    published(&place.home, 1, www.to_str().unwrap());
    let verify = |path: &Path| {
        let line = ["verify", "--as-published", "--json", "--public-key"];
        let mut command = place.home.command(&line);
        run(command.arg(fingerprint()).arg(path))
    };
    // The packages of the release before are there, too.
    assert!(www.join(tool(0)).exists() && www.join(tool(1)).exists());
    let ran = verify(&www);
    assert_eq!(ran.code, 0, "{ran:?}");
    let link = |at: &Path| std::os::unix::fs::symlink("/etc/hostname", at).unwrap();
    let file = |at: &Path| fs::write(at, "evil").unwrap();
    type Plant<'p> = (&'p str, &'p dyn Fn(&Path), &'p str);
    let plants: [Plant<'_>; 5] = [
        (
            "x86_64/Packages/evil.rpm",
            &file,
            "x86_64/Packages/evil.rpm",
        ),
        (
            "x86_64/Packages/link.rpm",
            &link,
            "x86_64/Packages/link.rpm",
        ),
        ("source/evil", &file, "source/evil"),
        (".releases/current/evil", &file, "evil"),
        (
            ".releases/current/x86_64/repodata/evil.xml",
            &file,
            "x86_64/repodata/evil.xml",
        ),
    ];
    for (at, plant, named) in plants {
        plant(&www.join(at));
        let ran = verify(&www);
        assert_eq!(ran.code, 3, "{at}: {ran:?}");
        let proof: Value = serde_json::from_str(&ran.stdout).unwrap();
        let (verdict, said) = result(&proof, "sha256sums");
        assert!(verdict == "fail" && said.contains(named), "{at}: {said}");
        let mut command =
            place
                .home
                .command(&["bundle", "--public-key", &fingerprint(), "--output"]);
        let ran = run(command.arg(place.at("a.tar")).arg("--release").arg(&www));
        assert_eq!(ran.code, 3, "{at}: {ran:?}");
        fs::remove_file(www.join(at)).unwrap();
    }
    // Beside the repository, a site may have files of its own: they are told.
    file(&www.join("robots.txt"));
    let ran = verify(&www);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stderr.contains("warning: ") && ran.stderr.contains("robots.txt"),
        "{ran:?}"
    );
    // A release's own folder is not all of it.
    for path in [".releases/current", ".releases/current/"] {
        let path = www.join(path);
        for ran in [
            verify(&path),
            run(place
                .home
                .command(&["bundle", "--public-key", &fingerprint(), "--output"])
                .arg(place.at("a.tar"))
                .arg("--release")
                .arg(&path)),
            run(place
                .home
                .command(&[
                    "publish",
                    "--dry-run",
                    "--public-key",
                    &fingerprint(),
                    "--from",
                ])
                .arg(&path)
                .arg(place.at("other"))),
        ] {
            assert_eq!(ran.code, 2, "{ran:?}");
            assert!(
                ran.stderr.contains(&format!("give {}", www.display())),
                "{ran:?}"
            );
        }
    }
}
