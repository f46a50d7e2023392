//! Bundles as they are, and as somebody who means harm would make them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};

use super::archive::{BLOCK, header, padded};
use super::index::{INDEX, Index, Kind, LOCK, Member, Provenance};
use super::*;
use crate::json_index::JsonIndex as _;
use crate::lock::{FilePin, Lock, PackagePin};
use crate::store::{Digest, Store};

/// What the lock pins.
const CONTENTS: [&str; 3] = ["first", "second, longer", ""];

struct World {
    dir: tempfile::TempDir,
    store: Store,
    made: Provenance,
    lock: Lock,
    text: String,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir.path().join("store"));
        let packages = CONTENTS.iter().enumerate().map(|(at, content)| {
            let (digest, _) = store
                .insert_reader(&mut content.as_bytes(), "a test", None)
                .unwrap();
            PackagePin {
                name: format!("p{at}"),
                version: "1".to_owned(),
                arch: "all".to_owned(),
                file: FilePin {
                    file: format!("p{at}.deb"),
                    size: content.len() as u64,
                    sha256: digest.to_string(),
                    uri: format!("mirror:/p{at}.deb"),
                },
            }
        });
        let request = Digest::of_bytes(b"request");
        let (none, trees) = (BTreeMap::new(), BTreeMap::new());
        let lock = Lock::new("site", request, none, trees, packages.collect());
        let text = lock.to_toml().unwrap();
        let made = Provenance {
            tool: "1".to_owned(),
            code: "2".to_owned(),
            target: "site".to_owned(),
            lustre: None,
            specs: BTreeMap::from([("a.toml".to_owned(), Digest::of_bytes(b"a"))]),
        };
        Self {
            dir,
            store,
            made,
            lock,
            text,
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, site: &BTreeMap<String, PathBuf>) -> Result<WrittenArchive, Error> {
        let contents = Contents {
            made: &self.made,
            lock: &self.lock,
            lock_text: &self.text,
            site,
        };
        contents.write(&self.store, &self.at(name), &|_| {})
    }

    /// The bytes of a good one, with a file of the site.
    fn good(&self) -> Vec<u8> {
        fs::create_dir_all(self.at("site/overlay")).unwrap();
        fs::write(self.at("site/overlay/a.patch"), "patch").unwrap();
        let site = BTreeMap::from([(
            "overlay/a.patch".to_owned(),
            self.at("site/overlay/a.patch"),
        )]);
        self.write("good", &site).unwrap();
        fs::read(self.at("good")).unwrap()
    }

    /// What comes of a file with these bytes: of all that a run does with it.
    fn used(&self, bytes: &[u8], store: &Store) -> Result<ImportCounts, Error> {
        let path = self.at("given");
        fs::write(&path, bytes).unwrap();
        let bundle = Bundle::open(&path)?;
        bundle.site()?;
        bundle.take(store, &|_| {})
    }
}

fn open(root: &Path) -> Store {
    Store::open(root, "a test", &mut |_| {}).unwrap()
}

/// How many files are in a store, finished or not.
fn files(store: &Store) -> usize {
    ["files", "tmp", "git", "partial"]
        .iter()
        .flat_map(|part| walkdir::WalkDir::new(store.root().join(part)))
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        // Not the one that says whose run it is.
        .filter(|entry| entry.path().extension() != Some("run".as_ref()))
        .count()
}

/// An archive with this index and these members, whatever the index says of them.
fn forged(index: &Index, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let text = serde_json::to_string_pretty(index).unwrap() + "\n";
    for (path, content) in [(INDEX, text.as_bytes())].iter().chain(members) {
        // Some names no library writes: those are refused by the index.
        let size = content.len() as u64;
        let header = header(path, size, 0).unwrap_or_else(|_| header("x", size, 0).unwrap());
        bytes.extend(header.as_bytes());
        bytes.extend(*content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    }
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A good one, taken apart.
fn apart(bytes: &[u8]) -> (Index, Vec<(String, Vec<u8>)>) {
    let mut archive = ::tar::Archive::new(bytes);
    let mut members: Vec<(String, Vec<u8>)> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            (entry.path().unwrap().display().to_string(), content)
        })
        .collect();
    let index = members.remove(0);
    assert_eq!(index.0, INDEX);
    (Index::parse(&index.1).unwrap(), members)
}

#[test]
fn the_same_content_is_the_same_bytes_and_a_store_takes_it_once() {
    let world = World::new();
    let bytes = world.good();
    assert_eq!(world.good(), bytes);
    let written = world.write("none", &BTreeMap::new()).unwrap();
    let (sha256, size) = Digest::of_file(&world.at("none")).unwrap();
    assert_eq!(written, WrittenArchive { size, sha256 });

    // Any tar reads it.
    let (index, members) = apart(&bytes);
    let paths: Vec<&str> = members.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths[..2], [LOCK, "target/overlay/a.patch"]);
    assert_eq!(paths.len(), 2 + CONTENTS.len());
    assert_eq!(index.made, world.made);

    let bundle = Bundle::open(&world.at("good")).unwrap();
    assert_eq!(bundle.lock(), &world.lock);
    assert_eq!(bundle.lock_text(), world.text);
    assert_eq!(
        bundle.site().unwrap(),
        [("overlay/a.patch".to_owned(), b"patch".to_vec())]
    );
    assert_eq!(bundle.amount(), (3, 19));
    let other = open(&world.at("other"));
    let taken = |copied, there| ImportCounts { copied, there };
    let all: usize = CONTENTS.iter().map(|content| content.len()).sum();
    assert_eq!(bundle.missing(&other).unwrap(), all as u64);
    assert_eq!(bundle.take(&other, &|_| {}).unwrap(), taken(3, 0));
    assert_eq!(bundle.missing(&other).unwrap(), 0);
    assert_eq!(bundle.take(&other, &|_| {}).unwrap(), taken(0, 3));
    for content in CONTENTS {
        let digest = Digest::of_bytes(content.as_bytes());
        assert!(other.verified_file(&digest).unwrap().is_some());
    }
}

#[test]
fn what_broke_off_is_told_and_goes_on_where_it_stopped() {
    let world = World::new();
    let bytes = world.good();
    let other = open(&world.at("other"));
    let ends = [511, 512, 513, bytes.len() - 1];
    for length in (0..bytes.len()).step_by(61).chain(ends) {
        let error = world.used(&bytes[..length], &other).unwrap_err();
        let right = match error {
            Error::Incomplete { found, .. } => found == length as u64,
            Error::NotABundle { .. } => length < 512,
            _ => false,
        };
        assert!(right, "{length}: {error}");
    }
    assert_eq!(files(&other), 0);

    // Of a copy whose last file is damaged, the others are there already when the next one comes.
    let (index, members) = apart(&bytes);
    let last = members.iter().rposition(|(_, it)| !it.is_empty()).unwrap();
    let at = 512
        + padded(index.to_json().unwrap().len() as u64)
        + members[..last]
            .iter()
            .map(|(_, it)| 512 + padded(it.len() as u64))
            .sum::<u64>()
        + 512;
    let mut damaged = bytes.clone();
    damaged[at as usize] ^= 1;
    let error = world.used(&damaged, &other).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    let name = index.members[last].name.as_deref().unwrap();
    for part in [name, "given is damaged", "sha256sum"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    let come = files(&other);
    assert!(come < CONTENTS.len(), "{come}");
    let taken = world.used(&bytes, &other).unwrap();
    assert_eq!((taken.there, taken.copied), (come, CONTENTS.len() - come));
}

#[test]
fn a_header_that_is_not_the_one_that_the_index_says_is_refused_and_described() {
    let world = World::new();
    let bytes = world.good();
    let (index, members) = apart(&bytes);
    // The header of the site's file, the second member.
    let place = 512
        + padded(index.to_json().unwrap().len() as u64)
        + 512
        + padded(members[0].1.len() as u64);
    let place = usize::try_from(place).unwrap();
    let other = open(&world.at("other"));
    type Change = fn(&mut Header);
    let raw = |header: &mut Header, name: &[u8]| {
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
    };
    let changes: [(Change, &str); 9] = [
        (
            |it| it.set_entry_type(EntryType::Symlink),
            "the symbolic link `target/overlay/a.patch`",
        ),
        (|it| it.set_entry_type(EntryType::Link), "the hard link"),
        (|it| it.set_entry_type(EntryType::Directory), "the folder"),
        (|it| it.set_entry_type(EntryType::Block), "the device"),
        (|it| it.set_entry_type(EntryType::Fifo), "the pipe"),
        (
            |it| it.set_entry_type(EntryType::XHeader),
            "something special",
        ),
        (|it| it.set_size(1 << 40), "1099511627776 bytes"),
        (|it| it.set_mode(0o4755), "the file"),
        (|it| it.set_mtime(1), "the file"),
    ];
    let refused = |header: &Header, part: &str| {
        let mut changed = bytes.clone();
        changed[place..place + 512].copy_from_slice(header.as_bytes());
        let error = world.used(&changed, &other).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        for part in [part, "target/overlay/a.patch: in its place is"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
    };
    let own = || Header::from_byte_slice(&bytes[place..place + 512]).clone();
    for (change, part) in changes {
        let mut header = own();
        change(&mut header);
        header.set_cksum();
        refused(&header, part);
    }
    for name in [
        "../../../../etc/cron.d/a",
        "/etc/cron.d/aaaaaaaaaaaa",
        "files/../../../etc/pass",
    ] {
        let mut header = own();
        raw(&mut header, name.as_bytes());
        header.set_cksum();
        refused(&header, name);
    }
    let mut header = own();
    header.as_old_mut().cksum = *b"00000000";
    refused(&header, "no member of an archive");
    assert_eq!(files(&other), 0);
}

#[test]
fn what_the_lock_does_not_name_is_refused_before_anything_is_copied() {
    type Change = fn(&mut Index, &mut Vec<(String, Vec<u8>)>);
    fn file(index: &mut Index) -> &mut Member {
        index.members.last_mut().unwrap()
    }
    let changes: [(&str, Change, &str); 16] = [
        (
            "more",
            |index, members| {
                let digest = Digest::of_bytes(b"more");
                let path = format!("files/{digest}");
                index.members.push(Member {
                    path: path.clone(),
                    kind: Kind::File,
                    name: Some("m.deb".to_owned()),
                    size: 4,
                    sha256: digest,
                });
                members.push((path, b"more".to_vec()));
                index.members[2..].sort_by(|a, b| a.path.cmp(&b.path));
                members[2..].sort();
            },
            "the lock does not name it",
        ),
        (
            "less",
            |index, members| {
                index.members.pop();
                members.pop();
            },
            "the lock names it",
        ),
        (
            "twice",
            |index, members| {
                index.members.push(index.members.last().unwrap().clone());
                members.push(members.last().unwrap().clone());
            },
            "it is there twice",
        ),
        (
            "another order",
            |index, members| {
                index.members.swap(2, 3);
                members.swap(2, 3);
            },
            "not in its place",
        ),
        (
            "no lock first",
            |index, members| {
                index.members.swap(0, 1);
                members.swap(0, 1);
            },
            "lock.toml: it is not the first",
        ),
        (
            "no members",
            |index, members| {
                index.members.clear();
                members.clear();
            },
            "lock.toml: it is not the first",
        ),
        (
            "a tree",
            |index, _| {
                let it = file(index);
                it.path = "trees/lustre.pack".to_owned();
                it.kind = Kind::Tree;
                it.name = None;
            },
            "trees/lustre.pack: it is not in its place",
        ),
        (
            "another kind",
            |index, _| file(index).kind = Kind::Tree,
            "not in its place",
        ),
        (
            "another name",
            |index, _| file(index).name = Some("x.deb".to_owned()),
            "the lock calls it something else",
        ),
        (
            "another size",
            |index, _| {
                index
                    .members
                    .iter_mut()
                    .filter(|it| it.size > 9)
                    .for_each(|it| it.size -= u64::from(it.kind == Kind::File))
            },
            "the lock pins another size",
        ),
        (
            "another digest",
            |index, _| file(index).sha256 = Digest::of_bytes(b"x"),
            "the lock pins another size or digest",
        ),
        (
            "the site's way out",
            |index, _| index.members[1].path = "target/../x".to_owned(),
            "leads out of the folder",
        ),
        (
            "the site's root",
            |index, _| index.members[1].path = "target//x".to_owned(),
            "leads out of the folder",
        ),
        (
            "the site elsewhere",
            |index, _| index.members[1].path = "tarjet/x".to_owned(),
            "leads out of the folder",
        ),
        (
            "another target",
            |index, _| index.made.target = "other".to_owned(),
            "lock of the target `site`, and the bundle is for `other`",
        ),
        (
            "another lock",
            |_, members| members[0].1[10] ^= 1,
            "lock.toml: it has the sha256",
        ),
    ];
    let world = World::new();
    let (index, members) = apart(&world.good());
    let other = open(&world.at("other"));
    for (what, change, part) in changes {
        let (mut index, mut members) = (index.clone(), members.clone());
        change(&mut index, &mut members);
        let members: Vec<(&str, &[u8])> = members
            .iter()
            .zip(&index.members)
            .map(|((_, content), member)| (member.path.as_str(), content.as_slice()))
            .collect();
        let error = world.used(&forged(&index, &members), &other).unwrap_err();
        assert!(error.to_string().contains(part), "{what}: {error}");
        assert_eq!(files(&other), 0, "{what}");
    }
    // A name that would be read as the path of a target's file.
    for name in [
        "/etc/site.toml",
        "../site",
        ".site",
        "site.toml",
        "",
        "--all",
        "a b",
    ] {
        let mut lock = world.lock.clone();
        lock.target = name.to_owned();
        let text = lock.to_toml().unwrap();
        let (mut index, mut members) = (index.clone(), members.clone());
        index.made.target = name.to_owned();
        index.members[0].size = text.len() as u64;
        index.members[0].sha256 = Digest::of_bytes(text.as_bytes());
        members[0].1 = text.into_bytes();
        let members: Vec<(&str, &[u8])> = members
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
            .collect();
        let error = world.used(&forged(&index, &members), &other).unwrap_err();
        assert!(
            error.to_string().contains("not a valid name"),
            "{name}: {error}"
        );
    }
    // Sizes that no disk has are told before anything is read; sums of them do not go round.
    for size in [u64::MAX, u64::MAX / 2, 1 << 40] {
        let mut index = index.clone();
        for member in &mut index.members[2..] {
            member.size = size;
        }
        let error = world.used(&forged(&index, &[]), &other).unwrap_err();
        assert!(matches!(error, Error::Incomplete { .. }), "{error}");
    }
}

#[test]
fn what_is_hidden_is_found_and_what_is_something_else_is_told() {
    let world = World::new();
    let bytes = world.good();
    let (index, _) = apart(&bytes);
    let other = open(&world.at("other"));
    let text = index.to_json().unwrap();
    let used = |bytes: &[u8]| world.used(bytes, &other).unwrap_err().to_string();
    let at = |place: usize| {
        let mut changed = bytes.clone();
        changed[place] = b'x';
        used(&changed)
    };
    // Behind the index, behind the lock, at the end and behind that.
    assert!(at(512 + text.len()).contains("behind bundle.json"));
    let lock = 512 + padded(text.len() as u64) as usize + 512;
    assert!(at(lock + world.text.len()).contains("something is behind it"));
    assert!(at(bytes.len() - 1).contains("something is behind the last member"));
    let more = [&bytes[..], b"x"].concat();
    assert!(used(&more).contains("something is behind the last member"));

    // Other archives and other files.
    let mut release = Archive::create(&world.at("release"), 0).unwrap();
    let digest = Digest::of_bytes(b"text");
    release
        .add(
            "lustre-a/README.txt",
            9,
            (4, &digest),
            Path::new("x"),
            &mut &b"text"[..],
        )
        .unwrap();
    release.finish().unwrap();
    let error = used(&fs::read(world.at("release")).unwrap());
    assert!(
        error.contains("it begins with the file `lustre-a/README.txt` of 4 bytes"),
        "{error}"
    );
    assert!(begins_with(&world.at("release"), |name| name == "lustre-a/README.txt").unwrap());
    assert!(begins_with(&world.at("good"), |name| name == INDEX).unwrap());
    assert!(!begins_with(&world.at("good"), |_| false).unwrap());
    assert!(used(&vec![b'x'; 2048]).contains("no member of an archive"));

    // An index of another version, and one that says more than is read.
    let with = |from: &str, to: &str| {
        let text = text.replacen(from, to, 1);
        let mut bytes = header(INDEX, text.len() as u64, 0)
            .unwrap()
            .as_bytes()
            .to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(512) + 4096, 0);
        used(&bytes)
    };
    assert!(with("\"version\": 1", "\"version\": 2").contains("version 2, this tool reads 1"));
    assert!(with("lustre-repo bundle", "lustre-repo bumble").contains("lustre-repo bumble"));
    assert!(with("\"tool\"", "\"more\": 1, \"tool\"").contains("more"));
    assert!(with("\"tool\": \"1\"", "\"tool\":   \"1\"").contains("not written as this tool"));
    assert_eq!(files(&other), 0);
}

#[test]
fn a_bundle_is_there_whole_or_not_at_all_and_has_no_secret() {
    let world = World::new();
    let listed = || {
        let mut names: Vec<String> = fs::read_dir(world.dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    // What a killed run left goes, and what is somebody's stays.
    fs::write(world.at(".a.lustre-repo-dEad00"), "left").unwrap();
    fs::write(world.at(".a.part"), "mine").unwrap();
    let before = vec![".a.part".to_owned(), "store".to_owned()];
    let site = |text: &str| {
        fs::write(world.at("store/site.toml"), text).unwrap();
        BTreeMap::from([("site.toml".to_owned(), world.at("store/site.toml"))])
    };
    for key in [
        "-----BEGIN RSA PRIVATE KEY-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    ] {
        let error = world.write("a", &site(&format!("x\n{key}\n"))).unwrap_err();
        assert!(matches!(error, Error::Secret { .. }), "{error}");
    }
    assert!(
        world
            .write("a", &site("-----BEGIN CERTIFICATE-----"))
            .is_ok()
    );
    fs::remove_file(world.at("a")).unwrap();
    assert_eq!(listed(), before);

    // A file that was damaged in the store is said to be, and taken out of it.
    let digest = Digest::of_bytes(CONTENTS[1].as_bytes());
    let path = world.store.file(&digest).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, CONTENTS[1].replace('s', "S")).unwrap();
    let error = world.write("a", &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("damaged in the store"), "{error}");
    assert!(world.store.file(&digest).is_none());
    let error = world.write("a", &BTreeMap::new()).unwrap_err().to_string();
    assert!(error.contains("p1.deb: it is not in the store"), "{error}");
    assert_eq!(listed(), before);
}
