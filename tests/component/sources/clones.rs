//! Git sources: from a server, from local clones, moved, incomplete.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use lustre_packaging::source::{Content, GitSource, Locked, Override, PathSource, Source};
use lustre_packaging::store::tree_digest;
use lustre_repo_tests::http::Server;

use super::tools::{Place, Repository};

const FILES: &[(&str, &str)] = &[
    ("autogen.sh", "#!/bin/sh\n"),
    ("lustre/tests/llmount.sh", "mount\n"),
    ("VERSION", "$Format:%H$\n"),
    (
        ".gitattributes",
        "VERSION export-subst\nautogen.sh export-ignore\n*.txt text eol=crlf\n",
    ),
    ("notes.txt", "one\ntwo\n"),
];

/// A place with a repository in it that has an annotated tag.
fn tagged() -> (Place, Repository, String) {
    let place = Place::new();
    let repository = Repository::new(place.path("upstream"));
    let commit = repository.commit(FILES);
    repository.git(&["tag", "--annotate", "--message=x", "2.17.0"]);
    (place, repository, commit)
}

fn source(url: &str, tag: Option<&str>, rev: Option<&str>) -> Source {
    Source::Git(GitSource {
        url: url.to_owned(),
        tag: tag.map(str::to_owned),
        rev: rev.map(str::to_owned),
    })
}

fn of(repository: &Repository) -> String {
    format!("file://{}", repository.0.display())
}

fn replaced_by(path: &Path, rev: Option<&str>) -> Vec<Override> {
    vec![Override {
        name: "lustre".to_owned(),
        path: path.to_owned(),
        rev: rev.map(str::to_owned),
    }]
}

fn commit_of(locked: &Locked) -> &str {
    match locked {
        Locked::Git { commit, .. } => commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tag_is_pinned_to_its_commit_and_comes_out_as_it_was_committed() {
    let (mut place, repository, commit) = tagged();
    fs::set_permissions(
        repository.0.join("autogen.sh"),
        PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let later = repository.commit(&[]);
    repository.git(&["tag", "2.17.1"]);
    let asked = source(&of(&repository), Some("2.17.0"), None);
    let fetched = place.lock(&asked).unwrap();
    assert_eq!(commit_of(&fetched.locked), commit);
    let made = |time| matches!(fetched.content, Content::Git { time: of, .. } if of == time);
    assert!(made(1_500_000_000), "{fetched:?}");
    let out = place.export(&fetched);
    // No attribute of the tree changes what comes out.
    for (name, content) in FILES {
        assert_eq!(
            fs::read_to_string(out.join(name)).unwrap(),
            *content,
            "{name}"
        );
    }
    assert!(!out.join(".git").exists());
    let time = UNIX_EPOCH + Duration::from_secs(1_500_000_000);
    let meta = fs::metadata(out.join("autogen.sh")).unwrap();
    assert_eq!(meta.modified().unwrap(), time);
    let once = tree_digest(&out).unwrap();

    // A light tag, and from the store alone.
    let other = place
        .lock(&source(&of(&repository), Some("2.17.1"), None))
        .unwrap();
    assert_eq!(commit_of(&other.locked), later);
    let mode = fs::metadata(place.export(&other).join("autogen.sh"))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o755);
    place.options.offline = true;
    fs::remove_dir_all(&repository.0).unwrap();
    let again = place.fetch(&asked, &fetched.locked).unwrap();
    assert_eq!(tree_digest(&place.export(&again)).unwrap(), once);
}

#[test]
fn a_commit_is_fetched_by_its_id() {
    let (place, repository, commit) = tagged();
    repository.commit(&[("later", "x")]);
    let fetched = place
        .lock(&source(&of(&repository), None, Some(&commit)))
        .unwrap();
    assert!(!place.export(&fetched).join("later").exists());
    let error = place
        .lock(&source(&of(&repository), None, Some("2.17.0")))
        .unwrap_err();
    assert!(error.contains("not the full id"), "{error}");
    let error = place
        .lock(&source(&of(&repository), None, None))
        .unwrap_err();
    assert!(error.contains("`tag` or a `rev`"), "{error}");
}

#[test]
fn a_plain_http_server_is_enough() {
    let (mut place, repository, commit) = tagged();
    repository.git(&["update-server-info"]);
    let server = Server::start(&repository.0.join(".git")).unwrap();
    let mirror = format!("https://git.example/lustre={}", server.url("/"));
    place.options.mirrors = vec![mirror.parse().unwrap()];
    let fetched = place
        .lock(&source("https://git.example/lustre", Some("2.17.0"), None))
        .unwrap();
    assert_eq!(commit_of(&fetched.locked), commit);
    assert_eq!(
        fs::read_dir(place.export(&fetched)).unwrap().count(),
        FILES.len()
    );
}

#[test]
fn a_tag_that_moved_is_an_error_with_both_commits() {
    let (place, repository, commit) = tagged();
    let url = of(&repository);
    let asked = source(&url, Some("2.17.0"), None);
    let locked = Locked::Git {
        url: url.clone(),
        tag: Some("2.17.0".to_owned()),
        commit: commit.clone(),
        missing: Vec::new(),
    };
    let moved = repository.commit(&[("more", "x")]);
    repository.git(&["tag", "--force", "--annotate", "--message=x", "2.17.0"]);
    let error = place.fetch(&asked, &locked).unwrap_err();
    for part in [&commit, &moved, "2.17.0", "--update"] {
        assert!(error.contains(part), "{error}");
    }
    // The same for a target that pins both.
    let error = place
        .lock(&source(&url, Some("2.17.0"), Some(&commit)))
        .unwrap_err();
    assert!(error.contains(&moved), "{error}");
}

#[test]
fn what_a_repository_does_not_have_is_said_with_what_to_do() {
    let (mut place, repository, commit) = tagged();
    let url = of(&repository);
    let error = place.lock(&source(&url, Some("9.9"), None)).unwrap_err();
    assert!(
        error.contains("no tag 9.9") && error.contains("ls-remote"),
        "{error}"
    );
    let unknown = "0123456789abcdef0123456789abcdef01234567";
    let error = place.lock(&source(&url, None, Some(unknown))).unwrap_err();
    assert!(error.contains(unknown), "{error}");

    place.options.offline = true;
    let far = "https://git.example/lustre";
    let error = place.lock(&source(far, Some("2.17.0"), None)).unwrap_err();
    assert!(
        error.contains("--offline") && error.contains("2.17.0"),
        "{error}"
    );
    let error = place.lock(&source(far, None, Some(&commit))).unwrap_err();
    assert!(
        error.contains("cargo xtask fetch") && error.contains(&commit),
        "{error}"
    );
}

#[test]
fn a_local_clone_replaces_the_source_if_it_has_the_commit() {
    let (mut place, repository, commit) = tagged();
    let later = repository.commit(&[("later", "x")]);
    let asked = source("https://git.example/lustre", Some("2.17.0"), None);
    place.options.offline = true;
    let bare = place.path("mirror.git");
    repository.git(&[
        "clone",
        "--quiet",
        "--bare",
        ".",
        &bare.display().to_string(),
    ]);
    for path in [&repository.0, &bare] {
        place.options.overrides = replaced_by(path, None);
        let fetched = place.lock(&asked).unwrap();
        assert_eq!(commit_of(&fetched.locked), commit);
        assert_eq!(fetched.replaced, Some(place.options.overrides[0].clone()));
        assert!(!place.export(&fetched).join("later").exists());
        // The commit counts, not the place.
        let same = place.fetch(&asked, &fetched.locked).unwrap();
        assert_eq!(same.identity(), fetched.identity());
    }
    place.options.overrides = replaced_by(&bare, Some("main"));
    let fetched = place.lock(&asked).unwrap();
    assert_eq!(commit_of(&fetched.locked), later);
    assert!(place.export(&fetched).join("later").exists());

    let empty = Repository::new(place.path("empty"));
    place.options.overrides = replaced_by(&empty.0, None);
    let error = place.lock(&asked).unwrap_err();
    assert!(
        error.contains("2.17.0") && error.contains("@REV"),
        "{error}"
    );
    place.options.overrides = replaced_by(&place.path("nowhere"), None);
    let error = place.lock(&asked).unwrap_err();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn a_source_that_is_not_gits_is_replaced_by_what_is_committed() {
    let (mut place, repository, commit) = tagged();
    let asked = Source::Path(PathSource {
        path: place.path("model"),
    });
    place.options.overrides = replaced_by(&repository.0, None);
    assert_eq!(commit_of(&place.lock(&asked).unwrap().locked), commit);
    fs::write(repository.0.join("VERSION"), "changed").unwrap();
    let error = place.lock(&asked).unwrap_err();
    assert!(
        error.contains("VERSION") && error.contains("@HEAD"),
        "{error}"
    );
    place.options.overrides = replaced_by(&repository.0, Some("HEAD"));
    place.lock(&asked).unwrap();
}

#[test]
fn a_repository_that_lacks_files_is_noticed_and_they_are_named() {
    let (mut place, repository, commit) = tagged();
    let blob = repository.git(&["rev-parse", "HEAD:lustre/tests/llmount.sh"]);
    fs::remove_file(
        repository
            .0
            .join(".git/objects")
            .join(&blob[..2])
            .join(&blob[2..]),
    )
    .unwrap();
    let asked = source("https://git.example/lustre", Some("2.17.0"), None);
    place.options.overrides = replaced_by(&repository.0, None);
    let error = place.lock(&asked).unwrap_err();
    for part in ["incomplete", "lustre/tests/llmount.sh", commit.as_str()] {
        assert!(error.contains(part), "{error}");
    }
    // The user may say that it does not matter; that is recorded and is another source.
    place.options.allow_incomplete = vec!["lustre".to_owned()];
    let fetched = place.lock(&asked).unwrap();
    let Locked::Git { missing, .. } = &fetched.locked else {
        panic!("{:?}", fetched.locked);
    };
    assert_eq!(missing, &["lustre/tests/llmount.sh"]);
    let out = place.export(&fetched);
    assert!(out.join("VERSION").exists() && !out.join("lustre/tests/llmount.sh").exists());
    let whole = Locked::Git {
        url: String::new(),
        tag: None,
        commit,
        missing: Vec::new(),
    };
    assert_ne!(fetched.identity(), whole.identity());
}

/// Gives an object of a repository the content of another, under its old name: loose, or in a pack.
fn mix_up(repository: &Repository, object: &str, other: &str, packed: bool) {
    let file = |rev: &str| {
        let id = repository.git(&["rev-parse", rev]);
        let objects = repository.0.join(".git/objects");
        (objects.join(&id[..2]).join(&id[2..]), id)
    };
    let ((path, id), (from, _)) = (file(object), file(other));
    fs::remove_file(&path).unwrap();
    fs::copy(from, &path).unwrap();
    if packed {
        let pack = repository.0.join(".git/objects/pack/pack");
        let objects = repository.git(&["rev-list", "--all", "--objects", "--no-object-names"]);
        let list = repository.0.join("../list");
        fs::write(&list, objects).unwrap();
        let mut command = std::process::Command::new("git");
        command
            .args(["-C", repository.0.to_str().unwrap(), "pack-objects"])
            .arg(&pack)
            .stdin(fs::File::open(list).unwrap());
        super::tools::succeed(&mut command);
        repository.git(&["prune-packed"]);
        assert!(!path.exists(), "{id} is not in the pack");
    }
}

#[test]
fn an_object_that_is_not_what_its_name_says_is_refused_and_named() {
    let asked = source("https://git.example/lustre", Some("2.17.0"), None);
    for (object, other, named) in [
        // The content of a file.
        (
            "HEAD:lustre/tests/llmount.sh",
            "HEAD:autogen.sh",
            "lustre/tests/llmount.sh",
        ),
        // The list of a folder, and of the top.
        ("HEAD:lustre/tests", "HEAD:more", "lustre/tests"),
        ("HEAD^{tree}", "HEAD:more", ""),
    ] {
        for packed in [false, true] {
            let (mut place, repository, _) = tagged();
            let commit = repository.commit(&[("more/llmount.sh", "other\n"), ("notes.txt", "x")]);
            mix_up(&repository, object, other, packed);
            let case = format!("{object}, packed: {packed}");
            place.options.overrides = replaced_by(&repository.0, Some(&commit));
            let fetched = place.lock(&asked).unwrap();
            let into = place.path("out");
            let error = fetched.export(&place.store(), &into, 0);
            let error = error.expect_err(&case).to_string();
            for part in [&repository.0.display().to_string(), &commit, named, "fsck"] {
                assert!(error.contains(part), "{case}: {part}: {error}");
            }
            assert!(!into.exists(), "{case}");
        }
    }
    // Nor is such a file's text read, or written out with a part of the commit. The other files are.
    let (mut place, repository, _) = tagged();
    mix_up(&repository, "HEAD:VERSION", "HEAD:autogen.sh", false);
    place.options.overrides = replaced_by(&repository.0, None);
    let fetched = place.lock(&asked).unwrap();
    let text = |file| fetched.text(&place.store(), file);
    let error = text("VERSION").unwrap_err().to_string();
    assert!(
        error.contains("VERSION") && error.contains("fsck"),
        "{error}"
    );
    assert_eq!(
        text("lustre/tests/llmount.sh").unwrap().as_deref(),
        Some("mount")
    );
    assert_eq!(text("lustre/tests/gone").unwrap(), None);
    let part = |file: &'static str| {
        let into = place.path(file);
        let takes = move |path: &Path| path == Path::new(file);
        fetched
            .export_only(&place.store(), &into, 0, &takes)
            .map(|()| fs::read_to_string(into.join(file)).unwrap())
    };
    assert_eq!(part("notes.txt").unwrap(), FILES[4].1);
    let error = part("VERSION").unwrap_err().to_string();
    assert!(
        error.contains(" in VERSION: ") && error.contains("fsck"),
        "{error}"
    );
    assert!(!place.path("VERSION").exists());
}

#[test]
fn a_submodule_is_noticed() {
    let (place, repository, commit) = tagged();
    let entry = format!("160000,{commit},libcfs");
    repository.git(&["update-index", "--add", "--cacheinfo", &entry]);
    repository.git(&["commit", "--quiet", "--message=x"]);
    let head = repository.git(&["rev-parse", "HEAD"]);
    let error = place
        .lock(&source(&of(&repository), None, Some(&head)))
        .unwrap_err();
    assert!(
        error.contains("incomplete") && error.contains("libcfs"),
        "{error}"
    );
}

#[test]
fn a_link_that_leads_out_is_refused() {
    let (place, repository, _) = tagged();
    std::os::unix::fs::symlink("/etc/passwd", repository.0.join("users")).unwrap();
    let head = repository.commit(&[]);
    let fetched = place
        .lock(&source(&of(&repository), None, Some(&head)))
        .unwrap();
    let into = place.path("out");
    let error = fetched
        .export(&place.store(), &into, 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("users") && error.contains("/etc/passwd"),
        "{error}"
    );
    assert!(!into.exists());
}

#[test]
fn a_folder_counts_by_its_content() {
    let (place, repository, _) = tagged();
    fs::write(repository.0.join(".gitignore"), "*.o\n").unwrap();
    let asked = Source::Path(PathSource {
        path: repository.0.clone(),
    });
    let first = place.lock(&asked).unwrap();
    // Ignored files do not count, new and changed ones do.
    fs::write(repository.0.join("built.o"), "x").unwrap();
    assert_eq!(place.lock(&asked).unwrap().identity(), first.identity());
    fs::write(repository.0.join("new.c"), "x").unwrap();
    let second = place.lock(&asked).unwrap();
    assert_ne!(second.identity(), first.identity());
    let out = place.export(&second);
    assert!(out.join("new.c").exists() && !out.join("built.o").exists());
    assert!(!out.join(".git").exists());

    // What changes between looking and copying is noticed.
    fs::write(repository.0.join("new.c"), "y").unwrap();
    let into = place.path("late");
    let error = second
        .export(&place.store(), &into, 0)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("new.c") && error.contains("run again"),
        "{error}"
    );
    assert!(!into.exists());

    let nowhere = Source::Path(PathSource {
        path: place.path("nowhere"),
    });
    let error = place.lock(&nowhere).unwrap_err();
    assert!(error.contains("nowhere is not a folder"), "{error}");
}

#[test]
fn the_tags_of_a_repository_give_a_revision_its_version() {
    let (mut place, repository, _) = tagged();
    let asked = source("https://git.example/lustre", Some("2.17.0"), None);
    place.options.overrides = replaced_by(&repository.0, Some("2.17.0"));
    let fetched = place.lock(&asked).unwrap();
    assert_eq!(
        fetched.version(&place.store()).unwrap().as_deref(),
        Some("2.17.0")
    );
    let later = repository.commit(&[("more.txt", "more\n")]);
    place.options.overrides = replaced_by(&repository.0, Some("HEAD"));
    let fetched = place.lock(&asked).unwrap();
    let version = fetched.version(&place.store()).unwrap().unwrap();
    assert_eq!(version, format!("2.17.0_1_g{}", &later[..7]));
    // Another kind of source has no tags.
    place.options.overrides = replaced_by(&place.path("upstream/notes.txt"), None);
    let fetched = place.lock(&asked).unwrap();
    assert_eq!(fetched.version(&place.store()).unwrap(), None);
}
