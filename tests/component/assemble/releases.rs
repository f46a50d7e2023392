//! Two releases at one place: what mirrors, proxies and dnf make of the second.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use lustre_packaging::sign::PublicKey;
use lustre_repo_tests::nginx::Nginx;
use lustre_repository::repodata;

use super::clients::Dnf;
use super::world::{EPOCH, Tree, public_key, run, site_tool, succeed};

/// A tree in which a release with the first tool, of the time [`EPOCH`], is replaced by one with the second.
struct Releases(Tree);

impl Releases {
    fn first(url: &str) -> Self {
        let mut tree = Tree::published_at(url);
        tree.with(&site_tool("1.0-1"));
        tree.assemble().unwrap();
        Self(tree)
    }

    fn second(&mut self) {
        self.0.without("site-tool-1.0-1.x86_64.rpm");
        self.0.with(&site_tool("1.0-2"));
        self.0.released = EPOCH + 86_400;
        self.0.assemble().unwrap();
    }
}

/// The version of the tool that dnf sees at `url`, with nothing remembered but what `folder` holds; or what it says.
fn seen_by_dnf(folder: &Path, url: &str) -> String {
    let dnf = Dnf { folder };
    let key = folder.join("key.asc");
    fs::create_dir_all(folder).unwrap();
    fs::write(&key, public_key()).unwrap();
    let (success, text) = run(dnf
        .command()
        .arg(format!("--repofrompath=ours,{url}"))
        .args(["--repo=ours", "--refresh", "--setopt=ours.repo_gpgcheck=1"])
        .arg(format!("--setopt=ours.gpgkey=file://{}", key.display()))
        .args(["repoquery", "--quiet", "site-tool.x86_64"])
        .args(["--qf", "seen %{evr} at %{location}"]));
    let line = text.lines().find_map(|line| line.strip_prefix("seen "));
    match line {
        Some(line) if success => line.split(' ').next().unwrap().to_owned(),
        _ => text,
    }
}

/// dnf gets the tool out of the repository at `url`.
fn downloads(folder: &Path, url: &str) -> bool {
    let dnf = Dnf { folder };
    let to = folder.join("downloaded");
    let mut command = dnf.command();
    command
        .arg(format!("--repofrompath=ours,{url}"))
        .args(["--repo=ours", "download", "site-tool.x86_64"])
        .arg(format!("--destdir={}", to.display()));
    let (success, text) = run(&mut command);
    assert!(success, "{text}");
    to.join("site-tool-1.0-2.x86_64.rpm").is_file()
}

#[test]
fn everything_but_the_packages_moves_with_the_release_time() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let key = PublicKey::parse(public_key()).unwrap();
    let facts = |tree: &Tree| {
        let dist = tree.dist();
        let mut times = BTreeMap::new();
        for entry in walkdir::WalkDir::new(&dist) {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(&dist).unwrap();
            let mtime = u32::try_from(entry.metadata().unwrap().mtime()).unwrap();
            let is_package = entry.path().extension().is_some_and(|it| it == "rpm");
            times.insert(name.display().to_string(), (is_package, mtime));
        }
        let mut signed = Vec::new();
        for name in [
            "SHA256SUMS",
            "x86_64/repodata/repomd.xml",
            "source/repodata/repomd.xml",
        ] {
            let data = fs::read(dist.join(name)).unwrap();
            let signature = fs::read(dist.join(format!("{name}.asc"))).unwrap();
            signed.push(key.verify_detached(&data, signature).unwrap());
        }
        (
            times,
            signed,
            repodata::read(&dist.join("x86_64")).unwrap().repomd,
        )
    };
    for time in [EPOCH, EPOCH + 86_400] {
        let (times, signed, repomd) = facts(&releases.0);
        for (name, (is_package, mtime)) in &times {
            let wanted = if *is_package { EPOCH } else { time };
            assert_eq!(*mtime, wanted, "{name}");
        }
        assert_eq!(signed, [time; 3]);
        assert_eq!(repomd.revision, time.to_string());
        for record in &repomd.records {
            assert_eq!(record.timestamp, i64::from(time), "{}", record.kind);
        }
        if time == EPOCH {
            releases.second();
        }
    }
}

#[test]
fn plain_rsync_takes_the_second_release() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let mirror = tempfile::tempdir().unwrap();
    let sync = |tree: &Tree| {
        let mut from = tree.dist().into_os_string();
        from.push("/");
        succeed(
            Command::new("rsync")
                .args(["-a", "--delete"])
                .arg(from)
                .arg(mirror.path()),
        );
    };
    let url = format!("file://{}/x86_64", mirror.path().display());
    let client = tempfile::tempdir().unwrap();
    sync(&releases.0);
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    releases.second();
    sync(&releases.0);
    assert_eq!(
        lustre_repository::sums::verify(mirror.path(), &|_, _| None).unwrap(),
        []
    );
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-2");
}

#[test]
fn a_proxy_that_goes_by_time_and_size_gives_dnf_the_second_release() {
    let mut releases = Releases::first("https://repo.example.org/lustre");
    let nginx = Nginx::caching(&releases.0.dist());
    let url = format!("{}/x86_64", nginx.url());
    let client = tempfile::tempdir().unwrap();
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    // The proxy has it, and the server says so.
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-1");
    assert!(nginx.hits() > 0, "nothing was kept");
    releases.second();
    nginx.ages();
    assert_eq!(seen_by_dnf(client.path(), &url), "1.0-2");
    assert!(downloads(client.path(), &url));
}
