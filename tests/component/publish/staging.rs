//! Releases that are staged, tested, and promoted.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use lustre_repo_tests::command_line::{Home, Run, run};
use lustre_repo_tests::http::Server;
use lustre_repo_tests::json_schema::{exact, schema};

use super::client::{Dnf, serves, snapshot, tidy, whole};
use super::releases::{command, promote, promote_command, publish, published, releases, tool};
use super::servers::{HOST, Objects, Rsyncd, S3, Sshd};

const STAGING: &[&str] = &["--staging"];

/// From the first release to the third, each staged first: what clients and testers see at `at`, and what becomes of it.
fn from_the_first_to_the_third(
    home: &Home,
    to: &str,
    at: &Path,
    change: &dyn Fn(&mut std::process::Command),
) {
    let ran = |mut command: std::process::Command| -> Run {
        change(&mut command);
        run(&mut command)
    };
    let stage = |number: usize| ran(command(home, releases().at(number), to, STAGING));
    let url = format!("file://{}", at.display());
    let (client, tester) = (Dnf::new(), Dnf::new());
    for number in 0..3_usize {
        let before = number.checked_sub(1);
        let done = stage(number);
        assert_eq!(done.code, 0, "{to}: {done:?}");
        match before {
            Some(before) => {
                assert_eq!(whole(at), before, "{to}");
                assert_eq!(client.sees(&url), before, "{to}");
            }
            None => {
                assert!(!at.join("x86_64/repodata").exists() && !at.join("SHA256SUMS").exists())
            }
        }
        let staging = at.join("staging");
        assert_eq!(whole(&staging), number, "{to}");
        let staging = format!("{url}/staging");
        assert_eq!(tester.sees(&staging), number, "{to}");
        tester.downloads(&staging, number);
        let staged = snapshot(at);
        let again = stage(number);
        assert!(again.stderr.contains("everything was there"), "{again:?}");
        assert!(snapshot(at) == staged, "{to}");
        // It is read, and nothing is changed.
        let listed = ran(promote_command(home, to, &["--dry-run", "--json"]));
        assert_eq!(listed.code, 0, "{listed:?}");
        let result: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        assert_eq!(result["staging"], false);
        assert!(snapshot(at) == staged, "{to}");
        let done = ran(promote_command(home, to, &[]));
        assert_eq!(done.code, 0, "{to}: {done:?}");
        assert_eq!(whole(at), number, "{to}");
        assert_eq!(client.sees(&url), number, "{to}");
        assert_eq!(whole(&at.join("staging")), number, "{to}");
        if let Some(before) = before {
            serves(at, before);
        }
        let promoted = snapshot(at);
        let again = ran(promote_command(home, to, &[]));
        assert_eq!(again.code, 0, "{again:?}");
        assert!(again.stderr.contains("everything was there"), "{again:?}");
        assert!(snapshot(at) == promoted, "{to}");
    }
    // But for what is of staging, all is as a publish leaves it.
    fs::remove_file(at.join("staging")).unwrap();
    fs::remove_file(at.join(".releases/staged")).unwrap();
    tidy(at, 2);
}

#[test]
fn what_is_staged_in_a_folder_is_what_goes_live() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    from_the_first_to_the_third(&home, at.to_str().unwrap(), &at, &|_| {});
}

#[test]
fn what_is_staged_by_rsync_is_what_goes_live() {
    let home = Home::new();
    let server = Rsyncd::new("munge symlinks = no");
    from_the_first_to_the_third(
        &home,
        &server.url("deep/www"),
        &server.path("deep/www"),
        &|_| {},
    );
    let server = Sshd::new();
    let at = server.path("www");
    from_the_first_to_the_third(
        &home,
        &format!("{HOST}:{}", at.display()),
        &at,
        &|command| {
            command.env("RSYNC_RSH", server.shell());
        },
    );
}

#[test]
fn what_is_staged_in_an_object_store_is_what_goes_live() {
    let home = Home::new();
    let server = S3::new();
    let to = "s3://bucket/lustre";
    let url = server.url("lustre");
    let done = |mut command: std::process::Command| {
        let done = run(command.envs(server.variables()));
        assert_eq!(done.code, 0, "{done:?}");
        done
    };
    let client = Dnf::new();
    for number in 0..3 {
        let more = ["--staging", "--url", url.as_str()];
        let staged = done(command(&home, releases().at(number), to, &more));
        assert!(staged.stderr.contains("dnf reads it"), "{staged:?}");
        let at = server.fetched("lustre");
        assert_eq!(whole(&at.join("staging")), number);
        if number > 0 {
            assert_eq!(whole(&at), number - 1);
            assert_eq!(client.sees(&url), number - 1);
        } else {
            assert!(!at.join("SHA256SUMS").exists());
        }
        let promoted = done(promote_command(&home, to, &["--url", &url]));
        assert!(promoted.stderr.contains("dnf reads it"), "{promoted:?}");
        let at = server.fetched("lustre");
        assert_eq!(whole(&at), number);
        assert_eq!(whole(&at.join("staging")), number);
        assert_eq!(client.sees(&url), number);
        if number > 0 {
            serves(&at, number - 1);
        }
        done(promote_command(&home, to, &[]));
    }
    let at = server.fetched("lustre");
    assert!(!at.join(tool(0)).exists());
    // What somebody changed there is not published.
    let file = server.path("page");
    fs::write(&file, "another page").unwrap();
    let to_page = ":s3:bucket/lustre/staging/index.html";
    let put = server
        .rclone(&["copyto", file.to_str().unwrap(), to_page])
        .output();
    assert!(put.unwrap().status.success());
    let mut command = promote_command(&home, to, &[]);
    let refused = run(command.envs(server.variables()));
    assert_eq!(refused.code, 3, "{refused:?}");
    assert!(refused.stderr.contains("index.html"), "{refused:?}");
}

#[test]
fn what_is_none_of_the_release_that_is_staged_in_an_object_store_is_named() {
    let home = Home::new();
    let objects = Objects::new();
    let (to, at) = (objects.to("l"), objects.path("l"));
    let ran = |mut command: std::process::Command| run(command.envs(Objects::variables()));
    let done = |number: usize, more: &[&str]| {
        let ran = ran(command(&home, releases().at(number), &to, more));
        assert_eq!(ran.code, 0, "{ran:?}");
    };
    done(0, &[]);
    // What another one leaves there for who tested it is no fault.
    done(1, STAGING);
    done(2, STAGING);
    let good = objects.path("good");
    super::releases::copy(&at, &good);
    for path in [
        "x86_64/repodata/evil.xml",
        "x86_64/Packages/evil.rpm",
        "evil",
        "assets/x86_64/repodata/evil.xml",
        ".releases/evil",
    ] {
        super::releases::copy(&good, &at);
        let evil = at.join("staging").join(path);
        fs::create_dir_all(evil.parent().unwrap()).unwrap();
        fs::write(evil, "evil").unwrap();
        let before = snapshot(&at);
        let promoted = ran(promote_command(&home, &to, &[]));
        let staged = ran(command(&home, releases().at(2), &to, STAGING));
        for ran in [promoted, staged] {
            assert_eq!(ran.code, 1, "{path}: {ran:?}");
            for words in [&format!("staging/{path}"), "remove it", "nothing was sent"] {
                assert!(ran.stderr.contains(words), "{words}: {ran:?}");
            }
            assert!(snapshot(&at) == before, "{path}");
        }
    }
    // Nor does a list of somebody's own make it one of ours.
    super::releases::copy(&good, &at);
    let list = at.join("staging/.releases/1-0123456789abcdef/SHA256SUMS");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    let line = format!("{}  x86_64/Packages/evil.rpm\n", "0".repeat(64));
    fs::write(list, line).unwrap();
    fs::write(at.join("staging/x86_64/Packages/evil.rpm"), "evil").unwrap();
    let refused = ran(promote_command(&home, &to, &[]));
    assert_eq!(refused.code, 1, "{refused:?}");
    super::releases::copy(&good, &at);
    let promoted = ran(promote_command(&home, &to, &[]));
    assert_eq!((promoted.code, whole(&at)), (0, 2), "{promoted:?}");
}

#[test]
fn nothing_but_what_was_staged_and_tested_is_promoted() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let nothing = promote(&home, to, &[]);
    assert_eq!(nothing.code, 1, "{nothing:?}");
    assert!(nothing.stderr.contains("nothing is staged"), "{nothing:?}");
    published(&home, 0, to);
    assert_eq!(promote(&home, to, &[]).code, 1);
    let staged = publish(&home, 1, to, STAGING);
    assert_eq!(staged.code, 0, "{staged:?}");
    let id = fs::read_link(at.join(".releases/staged")).unwrap();
    let own = at.join(".releases").join(&id);
    type Change<'c> = (&'c str, i32, &'c dyn Fn());
    let package = at.join(tool(1));
    let changed = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let changes: [Change<'_>; 8] = [
        ("index.html", 3, &|| changed(&own.join("index.html"))),
        ("metadata-signatures", 3, &|| {
            changed(&own.join("SHA256SUMS.asc"))
        }),
        ("site-tool", 3, &|| changed(&package)),
        ("site-tool", 3, &|| fs::remove_file(&package).unwrap()),
        ("repomd.xml", 3, &|| {
            let path = "x86_64/repodata/repomd.xml";
            fs::copy(at.join(path), own.join(path)).map(drop).unwrap();
        }),
        ("proof", 3, &|| {
            fs::copy(releases().at(0).join("proof.json"), own.join("proof.json"))
                .map(drop)
                .unwrap();
        }),
        // Another release of ours, whole, under the name of the one that was tested.
        ("not what it is called", 1, &|| {
            fs::remove_dir_all(&own).unwrap();
            let live = fs::read_link(at.join(".releases/current")).unwrap();
            super::releases::copy(&at.join(".releases").join(live), &own);
        }),
        ("nothing is staged", 1, &|| {
            let link = at.join(".releases/staged");
            fs::remove_file(&link).unwrap();
            symlink("../../elsewhere", link).unwrap();
        }),
    ];
    let good = folder.path().join("good");
    super::releases::copy(&at, &good);
    for (words, code, change) in changes {
        super::releases::copy(&good, &at);
        change();
        let before = snapshot(&at);
        let refused = promote(&home, to, &[]);
        assert_eq!(refused.code, code, "{words}: {refused:?}");
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        assert!(snapshot(&at) == before, "{words}");
    }
    super::releases::copy(&good, &at);
    // Another key than the expected one.
    let mut other = home.command(&["promote", "--public-key"]);
    let other = run(other
        .arg("0123456789ABCDEF0123456789ABCDEF01234567")
        .arg(to));
    assert_eq!(other.code, 3, "{other:?}");
    // Another release is published by now: the one that was tested was to replace another.
    let direct = tempfile::tempdir().unwrap();
    super::releases::copy(&good, direct.path());
    let direct = direct.path().to_str().unwrap();
    published(&home, 2, direct);
    let refused = promote(&home, direct, &["--replace-anyway"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for words in ["was staged beside", "stage it again"] {
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    assert_eq!(whole(Path::new(direct)), 2);
    assert_eq!(whole(&Path::new(direct).join("staging")), 1);
    let back = publish(&home, 1, direct, STAGING);
    assert_eq!(back.code, 1, "{back:?}");
    assert!(back.stderr.contains("lower-evr"), "{back:?}");
    // By the rules of a publish, and overruled as there.
    assert_eq!(
        publish(&home, 1, direct, &["--staging", "--replace-anyway"]).code,
        0
    );
    let refused = promote(&home, direct, &[]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--replace-anyway"), "{refused:?}");
    assert_eq!(promote(&home, direct, &["--replace-anyway"]).code, 0);
    assert_eq!(whole(Path::new(direct)), 1);
    // And what was staged as it is is published.
    assert_eq!(promote(&home, to, &[]).code, 0);
    assert_eq!(whole(&at), 1);
}

#[test]
fn what_is_somebodys_own_is_not_taken_for_staging() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    published(&home, 0, to);
    fs::create_dir(at.join("staging")).unwrap();
    let before = snapshot(&at);
    let refused = publish(&home, 1, to, STAGING);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("`staging`"), "{refused:?}");
    assert!(snapshot(&at) == before);
    let listed = publish(&home, 1, to, &["--dry-run"]);
    assert_eq!(listed.code, 0, "{listed:?}");
}

#[test]
fn testers_read_what_is_staged_by_the_url_of_the_place() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    let to = at.to_str().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let url = server.url("/www");
    published(&home, 0, to);
    let ran = publish(&home, 1, to, &["--staging", "--url", &url, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(result["staging"], true);
    assert_eq!(result["client"]["result"], "pass", "{result:#}");
    assert_eq!(result["client"]["url"], format!("{url}/staging"));
    let ran = promote(&home, to, &["--url", &url, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(result["client"]["url"], url, "{result:#}");
    // As its schema has it, whatever came of it.
    let schema = schema("publish");
    exact(&schema, &result, &[]);
    let dry = ["--dry-run", "--json"];
    let elsewhere = server.url("/elsewhere");
    for (ran, code) in [
        (publish(&home, 2, to, &dry), 0),
        (
            publish(&home, 2, to, &["--staging", "--dry-run", "--json"]),
            0,
        ),
        (promote(&home, to, &dry), 0),
        (promote(&home, to, &["--json"]), 0),
        (promote(&home, to, &["--json", "--url", &elsewhere]), 3),
    ] {
        assert_eq!(ran.code, code, "{ran:?}");
        exact(&schema, &serde_json::from_str(&ran.stdout).unwrap(), &[]);
    }
    // Clients that see something else are told.
    let ran = promote(&home, to, &["--url", &server.url("/elsewhere")]);
    assert_eq!(ran.code, 3, "{ran:?}");
}
