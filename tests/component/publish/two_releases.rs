//! Two releases of a real target, the second of which has another version and a changed patch: what a client with the first one reads, with a cache
//! in between, at each kind of destination. `.ci/run upgrade` makes them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use lustre_repo_tests::command_line::{Home, run};
use lustre_repo_tests::nginx::Nginx;

use super::client::Dnf;
use super::releases::command;
use super::servers::{Rsyncd, S3};

/// The package that is another one in each, and one that is the same in both.
const CHANGED: &str = "lustre";
const SAME: &str = "e2fsprogs";

/// A release on this machine.
struct Release(PathBuf);

impl Release {
    #[track_caller]
    fn of(variable: &str) -> Self {
        let path = env::var_os(variable);
        let path = path.unwrap_or_else(|| panic!("{variable} has to name a release's folder"));
        Self(PathBuf::from(path))
    }

    fn key(&self) -> String {
        fs::read_to_string(self.0.join("RPM-GPG-KEY-lustre-repo")).unwrap()
    }

    /// The version and release of a package, from the name of its file.
    #[track_caller]
    fn version(&self, name: &str) -> String {
        let folder = fs::read_dir(self.0.join("x86_64/Packages")).unwrap();
        let mut versions = folder.filter_map(|entry| {
            let file = entry.unwrap().file_name().into_string().unwrap();
            let rest = file.strip_prefix(name)?.strip_prefix('-')?;
            let version = rest.strip_suffix(".x86_64.rpm")?;
            version
                .starts_with(|c: char| c.is_ascii_digit())
                .then(|| version.to_owned())
        });
        // Kept releases have theirs beside it: the newest is what a client is to see.
        let first = versions.next().unwrap();
        versions.fold(first, |newest, other| newest.max(other))
    }
}

#[track_caller]
fn publish(home: &Home, release: &Release, (to, url): (&str, &str), variables: &[(&str, String)]) {
    let variables = variables.iter().map(|(name, value)| (name, value));
    let ran = run(command(home, &release.0, to, &["--url", url]).envs(variables));
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Publishes both to `to`, which `server` serves at `path`.
#[track_caller]
fn a_client_goes_from_one_to_the_other(
    (first, second): (&Release, &Release),
    to: &str,
    variables: &[(&str, String)],
    (server, path): (&Nginx, &str),
) {
    let home = Home::new();
    let url = format!("{}/{path}", server.url());
    publish(&home, first, (to, &url), variables);
    let client = Dnf::with_key(&first.key());
    for package in [CHANGED, SAME] {
        assert_eq!(client.newest(&url, package), first.version(package), "{to}");
    }
    client.fetches(&url, CHANGED, &first.version(CHANGED));
    // What the cache was asked for before is old enough to be asked for again.
    server.ages();
    publish(&home, second, (to, &url), variables);
    // Whoever still has the metadata of the first finds what it names.
    client.fetches(&url, SAME, &first.version(SAME));
    server.ages();
    for package in [CHANGED, SAME] {
        assert_eq!(
            client.newest(&url, package),
            second.version(package),
            "{to}"
        );
    }
    client.fetches(&url, CHANGED, &second.version(CHANGED));
    assert!(server.hits() > 0, "{to}: the cache gave nothing");
}

#[test]
#[ignore = "needs two releases of a built target: a step of .ci/run"]
fn clients_go_from_one_release_of_a_target_to_the_next_wherever_it_is_published() {
    let (first, second) = (Release::of("FIRST_RELEASE"), Release::of("SECOND_RELEASE"));
    assert_ne!(first.version(CHANGED), second.version(CHANGED));
    assert_eq!(first.version(SAME), second.version(SAME));
    let both = (&first, &second);

    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let server = Nginx::caching(folder.path());
    let to = at("site/lustre");
    fs::create_dir(at("site")).unwrap();
    a_client_goes_from_one_to_the_other(both, text(&to), &[], (&server, "site/lustre"));
    fs::remove_dir_all(at("site")).unwrap();

    let daemon = Rsyncd::new("munge symlinks = no");
    let server = Nginx::caching(&daemon.path(""));
    let to = daemon.url("lustre");
    a_client_goes_from_one_to_the_other(both, &to, &[], (&server, "lustre"));
    drop(daemon);

    let store = S3::new();
    let server = Nginx::caching_url(&store.url(""));
    let variables = store.variables();
    a_client_goes_from_one_to_the_other(
        both,
        "s3://bucket/lustre",
        &variables,
        (&server, "lustre"),
    );
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
