//! The same where packages are assets of releases: a draft gets all of them, is published once, and nothing that is published is replaced.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_repo_tests::command_line::{Run, run};
use lustre_repo_tests::github::{Asset, Fault, GitHub, Release};
use lustre_repository::assets::Assets;
use lustre_repository::manifest::Manifest;
use lustre_repository::sums;

use super::client::Dnf;
use super::github::{Publisher, changes, killed};
use super::releases::{complete, copy};
use super::world::{EPOCH, Spec, Tree, key, world};

/// The URL that they say of themselves, which is that of the pages.
const URL: &str = "https://site.github.io/lustre/9.6";

/// The version of the tool in each; GitHub stores the first under another name.
const TOOLS: [&str; 3] = ["1.0~rc1^git2+3-1", "1.0-1", "1.0-2"];

/// Releases of a repository whose packages are assets, each of which follows the one before.
fn releases() -> &'static [PathBuf] {
    static RELEASES: OnceLock<Vec<PathBuf>> = OnceLock::new();
    RELEASES.get_or_init(|| {
        let mut tree = Tree::published_at(URL);
        let repo_file = tree.repo_file.clone();
        tree.repo_file = repo_file.with_assets(Some(&GitHub::assets_url())).unwrap();
        tree.signed_anew(key(), None, "1.el8");
        let mut made = Vec::new();
        for (number, evr) in TOOLS.into_iter().enumerate() {
            if number > 0 {
                tree.without(&format!("site-tool-{}.x86_64.rpm", TOOLS[number - 1]));
            }
            tree.with(&Spec {
                name: "site-tool",
                evr,
                tags: "",
                files: &[("/usr/share/site-tool", "a tool")],
            });
            tree.released = EPOCH + 86_400 * u32::try_from(number).unwrap();
            if number > 0 {
                tree.keeping(2);
            }
            tree.assemble().unwrap();
            complete(&tree);
            let manifest = tree.dist().join("manifest.json");
            let (digest, _) = sums::sha256(&manifest).unwrap();
            tree.replaces = Some(Manifest::read(&manifest).unwrap().replaced(digest));
            let kept = world().path().join(format!("release-of-assets-{number}"));
            copy(&tree.dist(), &kept);
            made.push(kept);
        }
        made
    })
}

/// What a release lists.
fn listed(number: usize) -> Assets {
    Assets::read(&releases()[number]).unwrap().unwrap()
}

fn publish(publisher: &Publisher, number: usize, more: &[&str]) -> Run {
    run(&mut publisher.command_of(&releases()[number], more))
}

#[track_caller]
fn published(publisher: &Publisher, number: usize) -> Run {
    let ran = publish(publisher, number, &["--url", "none"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    ran
}

/// Where the pages have it.
fn at(publisher: &Publisher) -> PathBuf {
    publisher.github.www().join("9.6")
}

/// The release that the pages have, of which all that is signed is there but packages, and each of those is an asset that is published. None
/// where there is no release yet.
#[track_caller]
fn whole(publisher: &Publisher) -> Option<usize> {
    let at = at(publisher);
    let text = fs::read_to_string(at.join("SHA256SUMS")).ok()?;
    let is = |number: &usize| {
        fs::read_to_string(releases()[*number].join("SHA256SUMS")).unwrap() == text
    };
    let number = (0..TOOLS.len()).find(is).unwrap();
    for (digest, path) in sums::all(&text) {
        if path.contains("/Packages/") {
            assert!(!at.join(path).exists(), "{path}");
            continue;
        }
        let (found, _) =
            sums::sha256(&at.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(found, digest, "{path}");
    }
    serves(publisher, number);
    Some(number)
}

/// That who has the index of a release finds the metadata that it names, and each package that those name, as it is.
#[track_caller]
fn serves(publisher: &Publisher, number: usize) {
    let text = fs::read_to_string(releases()[number].join("SHA256SUMS")).unwrap();
    for (digest, path) in sums::all(&text) {
        if path.contains("/repodata/") && !path.contains("/repomd.xml") {
            let found = sums::sha256(&at(publisher).join(path));
            let (found, _) = found.unwrap_or_else(|error| panic!("{path} of {number}: {error}"));
            assert_eq!(found, digest, "{path}");
        }
    }
    let there = publisher.github.releases();
    for package in listed(number).packages {
        let release = there
            .iter()
            .find(|it| it.tag == package.tag && !it.draft)
            .unwrap_or_else(|| panic!("{package}"));
        let found = release.assets.iter().find(|it| it.name == package.asset);
        let content = found.and_then(|it| it.content.as_ref()).unwrap();
        assert!(
            *content == fs::read(releases()[number].join(&package.path)).unwrap(),
            "{package}"
        );
    }
}

/// A draft of the tag of a release, with these assets.
fn draft(number: usize, assets: Vec<Asset>) -> Release {
    Release {
        id: 900 + number as u64,
        tag: listed(number).tag,
        title: String::new(),
        notes: String::new(),
        draft: true,
        assets,
    }
}

/// The asset that a package of a release is.
fn asset(number: usize, at: usize, id: u64) -> Asset {
    let assets = listed(number);
    let package = assets.with_tag(&assets.tag).nth(at).unwrap();
    let content = fs::read(releases()[number].join(&package.path)).unwrap();
    Asset {
        id,
        name: package.asset.clone(),
        content: Some(content),
    }
}

/// The same with other content of the same size.
fn other(number: usize, at: usize, id: u64) -> Asset {
    let mut asset = asset(number, at, id);
    asset.content.as_mut().unwrap()[0] ^= 1;
    asset
}

#[test]
fn servers_install_from_pages_and_releases_and_what_is_published_stays() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let url = format!("{}/9.6", github.pages());
    let client = Dnf::through(&github.proxy());
    for number in 0..TOOLS.len() {
        let before = github.releases();
        github.requests();
        let ran = publish(&publisher, number, &["--url", &url]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stderr.contains("clients see it at"), "{ran:?}");
        assert_eq!(whole(&publisher), Some(number));
        // All of it came before anybody saw anything, the release was published once, and the pages were changed last.
        let order: Vec<String> = changes(github)
            .iter()
            .filter_map(|line| {
                let kind = line.split(' ').next()?.to_owned();
                let what = line.split(' ').nth(1)?.rsplit('/').next()?.to_owned();
                let number = what.parse::<u64>().is_ok();
                Some(format!("{kind} {}", if number { "ID" } else { &what }))
            })
            .collect();
        let assets = listed(number);
        let own: Vec<String> = assets
            .with_tag(&assets.tag)
            .map(|it| it.asset.clone())
            .collect();
        let mut wanted = vec!["POST releases".to_owned()];
        wanted.extend(own.iter().map(|_| "POST assets".to_owned()));
        wanted.extend(["PATCH ID", "POST git-receive-pack"].map(str::to_owned));
        assert_eq!(order, wanted);
        if number > 0 {
            assert_eq!(own, [format!("site-tool-{}.x86_64.rpm", TOOLS[number])]);
        }
        if number > 0 {
            serves(&publisher, number - 1);
        }
        // What is published is as it was.
        let after = github.releases();
        assert_eq!(after[..before.len()], before);
        assert_eq!((after.len(), after[number].draft), (number + 1, false));
        assert_eq!(after[number].tag, assets.tag);
        assert!(
            after[number].notes.contains(URL),
            "{:?}",
            after[number].notes
        );
        let again = published(&publisher, number);
        assert!(again.stderr.contains("everything was there"), "{again:?}");
        assert_eq!(changes(github), Vec::<String>::new());
    }
    let names: BTreeSet<String> = github.releases()[0]
        .assets
        .iter()
        .map(|it| it.name.clone())
        .collect();
    assert!(
        names.contains("site-tool-1.0.rc1.git2.3-1.x86_64.rpm"),
        "{names:?}"
    );
    let url = format!("{url}/assets");
    for (package, file) in [
        ("site-tool", "usr/share/site-tool"),
        ("e2fsprogs", "usr/sbin/mke2fs"),
    ] {
        let (success, said) = client.installs(&url, package);
        assert!(success, "{package}: {said}");
        assert!(client.root().join(file).is_file(), "{package}: {said}");
    }
}

#[test]
fn an_upload_that_breaks_off_is_done_once_more_and_what_is_not_so_in_a_draft_is_replaced() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    for (method, path, fault) in [
        ("POST", "/assets", Fault::Cut(100)),
        ("POST", "/assets", Fault::Upstream),
        ("POST", "/assets", Fault::Status(500, "Server Error")),
        (
            "GET",
            "/assets",
            Fault::Slow(std::time::Duration::from_secs(1)),
        ),
    ] {
        github.fault(method, path, fault);
    }
    let ran = published(&publisher, 0);
    assert!(ran.stderr.contains("once more"), "{ran:?}");
    assert_eq!(whole(&publisher), Some(0));
    // What another run, or the same one, left of a draft.
    for (number, there) in [
        (1, vec![other(1, 0, 901)]),
        (
            2,
            vec![Asset {
                content: None,
                ..asset(2, 0, 902)
            }],
        ),
    ] {
        github.changes(|all| all.push(draft(number, there)));
        published(&publisher, number);
        assert_eq!(whole(&publisher), Some(number));
        assert_eq!(
            github.releases()[number].id,
            900 + number as u64,
            "another draft was made"
        );
    }
}

#[test]
fn a_run_that_cannot_go_on_leaves_a_draft_which_the_same_command_completes() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let own = listed(0);
    let count = own.with_tag(&own.tag).count();
    github.fault("GET", "/releases?", Fault::Meanwhile(Box::new(|| {})));
    for (status, message, word) in [
        (
            403,
            "You have exceeded a secondary rate limit",
            "limit is over",
        ),
        (401, "Bad credentials", "expired"),
        (
            403,
            "Resource not accessible by integration",
            "allowed to write",
        ),
    ] {
        // The third of them.
        let path = format!("name={}", asset(0, 2, 1).name);
        github.fault("POST", &path, Fault::Status(status, message));
        let ran = publish(&publisher, 0, &["--url", "none"]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(
            ran.stderr.contains(word) && ran.stderr.contains("is not published"),
            "{ran:?}"
        );
        let there = github.releases();
        assert_eq!(
            (there.len(), there[0].draft, there[0].assets.len()),
            (1, true, 2)
        );
        assert_eq!(whole(&publisher), None);
    }
    let before = github.releases()[0].assets.clone();
    github.fault("PATCH", "/releases/", Fault::Status(500, "Server Error"));
    let ran = publish(&publisher, 0, &["--url", "none"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let there = github.releases();
    assert_eq!(there[0].assets[..2], before);
    assert!(there[0].draft && there[0].assets.len() == count);
    // What is published goes on with the pages alone.
    github.fault(
        "POST",
        "git-receive-pack",
        Fault::Status(500, "Server Error"),
    );
    let ran = publish(&publisher, 0, &["--url", "none"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!github.releases()[0].draft && whole(&publisher).is_none());
    let kept = github.releases();
    published(&publisher, 0);
    assert_eq!((github.releases(), whole(&publisher)), (kept, Some(0)));
}

/// What somebody does to the releases that are there.
type Change = Box<dyn Fn(&mut Vec<Release>)>;

#[test]
fn nothing_that_is_published_is_replaced_and_nothing_of_somebody_else_is_published() {
    let first = Publisher::new();
    published(&first, 0);
    let kept = first.github.keep();
    let tag = listed(1).tag;
    let foreign = |content| Asset {
        id: 950,
        name: "theirs".to_owned(),
        content,
    };
    let changed: Vec<(&str, Change)> = vec![
        ("has sha256", {
            Box::new(|all| {
                all.push(Release {
                    draft: false,
                    ..draft(1, vec![other(1, 0, 901)])
                });
            })
        }),
        ("is published without", {
            Box::new(|all| {
                all.push(Release {
                    draft: false,
                    ..draft(1, vec![])
                })
            })
        }),
        ("which is no package of this repository", {
            let theirs = foreign(Some(vec![1]));
            Box::new(move |all| all.push(draft(1, vec![theirs.clone()])))
        }),
        ("2 drafts", {
            Box::new(|all| {
                all.push(draft(1, vec![]));
                all.push(Release {
                    id: 999,
                    ..draft(1, vec![])
                });
            })
        }),
        (
            "is published without",
            Box::new(|all| drop(all[0].assets.pop())),
        ),
        (
            "has sha256",
            Box::new(|all| {
                let content = all[0].assets[0].content.as_mut().unwrap();
                content[0] ^= 1;
            }),
        ),
    ];
    for (words, change) in changed {
        first.github.restore(&kept);
        first.github.changes(|all| change(all));
        let before = first.github.keep();
        first.github.requests();
        for more in [
            &["--url", "none"][..],
            &["--url", "none", "--replace-anyway"],
        ] {
            let ran = publish(&first, 1, more);
            assert_eq!(ran.code, 1, "{words}: {ran:?}");
            assert!(ran.stderr.contains(words), "{words}: {ran:?}");
            assert!(ran.stderr.contains("nothing was sent"), "{words}: {ran:?}");
        }
        assert_eq!(changes(&first.github), Vec::<String>::new());
        assert!(first.github.keep() == before);
    }
    // What somebody adds to what is published is theirs. Where nothing is said of digests, sizes are what there is.
    first.github.restore(&kept);
    first
        .github
        .changes(|all| all[0].assets.push(foreign(Some(vec![1]))));
    first.github.says_no_digests();
    published(&first, 1);
    assert_eq!(whole(&first), Some(1));
    assert!(first.github.releases().iter().any(|it| it.tag == tag));
}

#[test]
fn a_repository_that_was_made_and_not_published_is_published_with_the_one_that_follows_it() {
    let publisher = Publisher::new();
    published(&publisher, 1);
    assert_eq!(whole(&publisher), Some(1));
    let there = publisher.github.releases();
    let tags: Vec<&str> = there.iter().map(|it| it.tag.as_str()).collect();
    assert_eq!(tags, [listed(0).tag, listed(1).tag]);
    // Of the first, what the second still has.
    let second = listed(1);
    assert_eq!(
        there[0].assets.len(),
        second.with_tag(&listed(0).tag).count()
    );
}

#[test]
fn a_dry_run_lists_assets_and_changes_nothing_and_other_places_are_refused() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let ran = publish(&publisher, 0, &["--url", "none", "--dry-run"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let assets = listed(0);
    for package in &assets.packages {
        let line = format!("releases/download/{}/{}", package.tag, package.asset);
        assert!(
            ran.stdout.lines().any(|it| it.ends_with(&line)),
            "{line}: {ran:?}"
        );
    }
    assert!(!ran.stdout.contains("/Packages/"), "{ran:?}");
    let ran = publish(&publisher, 0, &["--url", "none", "--dry-run", "--json"]);
    let result: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let sent = result["sent"].as_array().unwrap();
    let of_assets = |it: &&serde_json::Value| {
        it["path"]
            .as_str()
            .unwrap()
            .starts_with("releases/download/")
    };
    assert_eq!(sent.iter().filter(of_assets).count(), assets.packages.len());
    assert_eq!((changes(github), github.releases()), (vec![], vec![]));
    let key = releases()[0].join("RPM-GPG-KEY-lustre-repo");
    let mut command = publisher.home.command(&["publish", "--public-key"]);
    command.arg(key).arg("--from").arg(&releases()[0]);
    command.envs(github.variables()).arg("github:site/other");
    let ran = run(&mut command);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains(&GitHub::assets_url()), "{ran:?}");
    // A folder has all of it, as ever.
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("www");
    let mut command = super::releases::command(
        &publisher.home,
        &releases()[0],
        to.to_str().unwrap(),
        &["--url", "none"],
    );
    let ran = run(&mut command);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(to.join(&assets.packages[0].path).is_file());
    let index: &Path = "assets/x86_64/repodata/repomd.xml".as_ref();
    assert!(to.join(index).is_file());
}

#[test]
fn releases_and_pages_are_whole_whenever_a_publish_is_killed() {
    for (before, number, from) in [(None, 0, 0.2), (Some(0), 1, 0.3)] {
        let publisher = Publisher::new();
        if let Some(before) = before {
            published(&publisher, before);
        }
        killed(
            &publisher,
            from,
            || publisher.command_of(&releases()[number], &["--url", "none"]),
            |attempt| {
                let read = whole(&publisher);
                assert!(
                    read == before || read == Some(number),
                    "attempt {attempt}: {read:?}"
                );
                if let Some(before) = before {
                    serves(&publisher, before);
                }
                read == Some(number)
            },
        );
    }
}

#[test]
fn where_the_pages_are_gone_a_later_release_with_packages_is_not_taken_for_none() {
    let publisher = Publisher::new();
    let github = &publisher.github;
    let empty = github.keep();
    published(&publisher, 0);
    published(&publisher, 1);
    let there = github.releases();
    github.restore(&empty);
    github.changes(|releases| *releases = there);
    let before = github.keep();
    let ran = publish(&publisher, 0, &["--url", "none"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    for words in [listed(1).tag.as_str(), "--replace-anyway"] {
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    assert_eq!(github.keep(), before);
    // The one that was there puts them right.
    published(&publisher, 1);
    assert_eq!(whole(&publisher), Some(1));
}
