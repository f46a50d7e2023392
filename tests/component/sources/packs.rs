//! Commits that are carried from one store to another as files.

use std::fs;
use std::path::Path;

use lustre_packaging::source::{self, Content, GitSource, Locked, Packed, Source};
use lustre_packaging::store::tree_digest;

use super::tools::{Place, Repository};

const URL: &str = "https://git.example.org/lustre";

fn source(commit: &str) -> Source {
    Source::Git(GitSource {
        url: URL.to_owned(),
        tag: None,
        rev: Some(commit.to_owned()),
    })
}

fn packed(commit: &str) -> Packed<'_> {
    Packed {
        name: "lustre",
        url: URL,
        commit,
    }
}

/// A place that has fetched the commit from a clone in place of the URL.
fn fetched(clone: &Path, commit: &str) -> Place {
    let mut place = Place::new();
    let mirror = format!("{URL}={}", clone.display());
    place.options.mirrors = vec![mirror.parse().unwrap()];
    place.lock(&source(commit)).unwrap();
    place.options.mirrors.clear();
    place
}

fn pack(place: &Place, commit: &str, name: &str) -> Result<Vec<u8>, String> {
    let folder = place.path(name);
    fs::create_dir_all(&folder).unwrap();
    let path = source::pack(&place.store(), &packed(commit), &folder);
    Ok(fs::read(path.map_err(|error| error.to_string())?).unwrap())
}

/// A clone with a history, and two commits of it.
fn clone(at: &Place) -> (Repository, String, String) {
    let clone = Repository::new(at.path("clone"));
    let long = "a line of text\n".repeat(2000);
    let first = clone.commit(&[("a", "first"), ("folder/b", &long)]);
    let more = format!("{long}more\n");
    let second = clone.commit(&[
        ("a", "second"),
        ("folder/c", &more),
        (".gitattributes", "a export-ignore\n"),
    ]);
    (clone, first, second)
}

#[test]
fn a_commit_is_the_same_pack_wherever_it_was_fetched_and_comes_out_as_it_was() {
    let inputs = Place::new();
    let (repository, first, second) = clone(&inputs);
    let one = fetched(&repository.0, &second);
    let whole = pack(&one, &second, "one").unwrap();

    // A store that has more of the repository, and in another form.
    let other = fetched(&repository.0, &first);
    let mirrors = fs::read_dir(other.store().git_dir()).unwrap();
    let mirror = mirrors.map(|entry| entry.unwrap().path()).next().unwrap();
    let history = Repository(mirror);
    history.git(&[
        "fetch",
        "--quiet",
        "--unshallow",
        repository.0.to_str().unwrap(),
        "main:main",
    ]);
    history.git(&["repack", "-q", "-a", "-d", "-f", "--depth=1"]);
    assert_eq!(pack(&other, &second, "other").unwrap(), whole);
    assert_ne!(pack(&other, &first, "first").unwrap(), whole);

    let mut site = Place::new();
    site.options.offline = true;
    let has = |place: &Place| source::has(&place.store(), &packed(&second)).unwrap();
    assert!(!has(&site));
    let file = site.path("pack");
    fs::write(&file, &whole).unwrap();
    source::unpack(&site.store(), &packed(&second), &file).unwrap();
    assert!(has(&site));
    let locked = Locked::Git {
        url: URL.to_owned(),
        tag: Some("2.17.0".to_owned()),
        commit: second.clone(),
        missing: Vec::new(),
    };
    let tagged = Source::Git(GitSource {
        url: URL.to_owned(),
        tag: Some("2.17.0".to_owned()),
        rev: None,
    });
    let come = site.fetch(&tagged, &locked).unwrap();
    assert!(matches!(&come.content, Content::Git { missing, .. } if missing.is_empty()));
    let out = site.export(&come);
    let there = one.export(
        &one.fetch(
            &source(&second),
            &Locked::Git {
                url: URL.to_owned(),
                tag: None,
                commit: second.clone(),
                missing: Vec::new(),
            },
        )
        .unwrap(),
    );
    assert_eq!(tree_digest(&out).unwrap(), tree_digest(&there).unwrap());
    assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "second");
    // And of that, the same file is made once more.
    assert_eq!(pack(&site, &second, "again").unwrap(), whole);
}

#[test]
fn a_pack_without_all_of_its_commit_brings_nothing() {
    let inputs = Place::new();
    let (repository, first, second) = clone(&inputs);
    let place = fetched(&repository.0, &first);
    let other = pack(&place, &first, "first").unwrap();
    let error = pack(&place, &second, "second").unwrap_err();
    assert!(error.contains(&second), "{error}");

    let site = Place::new();
    let file = site.path("pack");
    // A file whose content is only in the first commit has gone.
    let list = repository.git(&["rev-list", "--objects", "--no-walk", &first]);
    let blob = repository.git(&["rev-parse", &format!("{first}:a")]);
    let without: String = list
        .lines()
        .filter(|it| !it.starts_with(&blob))
        .map(|it| format!("{it}\n"))
        .collect();
    fs::write(inputs.path("list"), without).unwrap();
    let base = inputs.path("less");
    let command = format!(
        "pack-objects -q {} < {}",
        base.display(),
        inputs.path("list").display()
    );
    let hash = repository.git(&["-c", &format!("alias.less=!git {command}"), "less"]);
    let less = fs::read(format!("{}-{hash}.pack", base.display())).unwrap();
    let damaged = {
        let mut bytes = other.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    for (bytes, commit, part) in [
        (&less, &first, "the bundle"),
        (&other, &second, second.as_str()),
        (&damaged, &first, "index-pack"),
        (&b"PACK".to_vec(), &first, "index-pack"),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = source::unpack(&site.store(), &packed(commit), &file).unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert!(
            !source::has(&site.store(), &packed(commit)).unwrap(),
            "{part}"
        );
    }
    fs::write(&file, &other).unwrap();
    source::unpack(&site.store(), &packed(&first), &file).unwrap();
}
