//! A release as one archive, for dnf from a disk.

use std::fs;
use std::path::Path;
use std::process::Command;

use lustre_packaging::store::tree_digest;
use lustre_repo_tests::command_line::{Home, Run, run};

use super::releases::{copy, releases};
use super::world::succeed;

fn bundle(home: &Home, dist: &Path, out: &Path) -> Run {
    let mut command = home.command(&["bundle", "--release"]);
    command.arg(dist).arg("--public-key");
    command.arg(releases().at(0).join("RPM-GPG-KEY-lustre-repo"));
    run(command.arg("--output").arg(out))
}

#[test]
fn a_release_comes_out_of_its_archive_as_it_was_with_a_text_that_holds() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ran = bundle(&home, releases().at(0), &at("a.tar"));
    assert_eq!(ran.code, 0, "{ran:?}");
    // What it prints is a line of sha256sum.
    fs::write(at("sum"), &ran.stdout).unwrap();
    succeed(
        Command::new("sha256sum")
            .args(["--check", "--strict"])
            .arg(at("sum")),
    );
    // The same of a copy with other times; and it replaces one of its kind.
    copy(releases().at(0), &at("copy"));
    succeed(
        Command::new("find")
            .arg(at("copy"))
            .args(["-exec", "touch", "{}", "+"]),
    );
    let again = bundle(&home, &at("copy"), &at("a.tar"));
    assert_eq!((again.code, &again.stdout), (0, &ran.stdout), "{again:?}");

    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(folder.path())
            .arg("-xf")
            .arg(at("a.tar")),
    );
    let mut unpacked = fs::read_dir(folder.path())
        .unwrap()
        .map(|it| it.unwrap().path());
    let unpacked = unpacked
        .find(|path| path.join("README.txt").is_file())
        .unwrap();
    let repository = unpacked.join("repository");
    assert_eq!(
        tree_digest(&repository).unwrap(),
        tree_digest(releases().at(0)).unwrap()
    );
    assert_eq!(fs::read_dir(&unpacked).unwrap().count(), 2);

    // What the text says to do is done as it says it: its checks, and its file for dnf.
    let text = fs::read_to_string(unpacked.join("README.txt")).unwrap();
    let name = unpacked.file_name().unwrap().to_str().unwrap();
    let here = text.replace("/MOUNTED", folder.path().to_str().unwrap());
    assert!(here.contains(&format!(
        "baseurl=file://{}/{name}/repository/x86_64\n",
        folder.path().display()
    )));
    let commands = |begins: &[&str]| -> Vec<String> {
        let lines = here.lines().map(str::trim_start);
        let wanted = lines.filter(|line| begins.iter().any(|begin| line.starts_with(begin)));
        wanted.map(str::to_owned).collect()
    };
    let checks = commands(&["cd /", "keys=", "gpg ", "gpgv ", "sha256sum "]);
    assert_eq!(checks.len(), 6, "{checks:?}");
    succeed(
        Command::new("sh")
            .args(["-ec", &checks.join("\n")])
            .env("GNUPGHOME", folder.path()),
    );
    let start = here.find("    [lustre]").unwrap();
    let end = here.find("\nThen:").unwrap();
    let repo_file: String = here[start..end]
        .lines()
        .map(|line| format!("{}\n", line.trim_start()))
        .collect();
    fs::create_dir(at("repos")).unwrap();
    fs::write(at("repos/lustre-disk.repo"), repo_file).unwrap();
    let listed = succeed(
        Command::new("dnf")
            .args([
                "--quiet",
                "--assumeyes",
                "--disablerepo=*",
                "--enablerepo=lustre",
                "repoquery",
            ])
            .arg(format!("--setopt=reposdir={}", at("repos").display()))
            .arg(format!("--setopt=cachedir={}", at("cache").display()))
            .arg(format!("--installroot={}", at("root").display()))
            .arg("--releasever=9"),
    );
    assert!(listed.contains("site-tool"), "{listed}");
}

#[test]
fn only_a_repository_whose_sums_and_proofs_hold_is_written() {
    let home = Home::new();
    let folder = tempfile::tempdir().unwrap();
    let [dist, out] = ["dist", "out.tar"].map(|name| folder.path().join(name));
    type Change = (&'static str, fn(&Path));
    let changes: [Change; 4] = [
        ("proof.json", |dist| {
            fs::remove_file(dist.join("proof.json")).unwrap()
        }),
        ("more", |dist| {
            fs::write(dist.join("x86_64/more"), "more").unwrap()
        }),
        ("link", |dist| {
            std::os::unix::fs::symlink("index.html", dist.join("link")).unwrap()
        }),
        ("key", |dist| {
            fs::write(dist.join("RPM-GPG-KEY-lustre-repo"), "").unwrap()
        }),
    ];
    for (named, change) in changes {
        copy(releases().at(0), &dist);
        change(&dist);
        let ran = bundle(&home, &dist, &out);
        assert_eq!(ran.code, 3, "{named}: {ran:?}");
        assert!(ran.stderr.contains(named), "{named}: {ran:?}");
        assert!(!out.exists(), "{named}");
    }
    // Nobody says which key to expect.
    let mut command = home.command(&["bundle", "--release"]);
    command.arg(releases().at(0)).arg("--output").arg(&out);
    let ran = run(&mut command);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(
        ran.stderr.contains("--public-key") && !out.exists(),
        "{ran:?}"
    );
}
