//! A shared store: what one builder made, another takes; and what nobody vouches for who is trusted, nobody takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_packaging::shared::{Folder, Keys, Place};
use lustre_packaging::shared::{Shared, Standing};
use lustre_packaging::sign::{DEV_KEY_CREATED, Key};
use lustre_packaging::stage::{Planned, State, plan, plan_with};
use lustre_packaging::store::Store;

use builder::{RunReport, graph, run};

mod builder;
mod hostile;
mod kills;
mod served;

/// How large the large file of each stage is.
const SIZE: usize = 100_000;

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("Builder <b@example.org>", DEV_KEY_CREATED).unwrap())
}

fn other_key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::generate("Other <o@example.org>", DEV_KEY_CREATED).unwrap())
}

fn copy(key: &Key) -> Key {
    Key::from_armored(&key.secret_armored(None).unwrap(), "a test", None).unwrap()
}

/// Who accepts a key.
fn reads(key: &Key) -> Keys {
    Keys {
        accepted: vec![key.public_key()],
        signer: None,
    }
}

/// Who signs with a key, too.
fn writes(key: &Key) -> Keys {
    Keys {
        signer: Some(Box::new(copy(key))),
        ..reads(key)
    }
}

/// A machine with a store of its own.
struct Builder {
    _folder: tempfile::TempDir,
    store: Store,
}

impl Builder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), "a test", &mut |_| {}).unwrap();
        Self {
            _folder: folder,
            store,
        }
    }

    /// Builds all.
    fn run(&self, place: &dyn Place, keys: &Keys) -> RunReport {
        self.run_with(place, keys, "1")
    }

    /// The same with another input of the last stage.
    fn run_with(&self, place: &dyn Place, keys: &Keys, input: &str) -> RunReport {
        run(&self.store, place, keys, &|made| graph(input, SIZE, made))
    }

    /// That nothing is left of what was fetched or packed.
    fn is_tidy(&self) {
        for folder in [self.store.partial_dir(), self.store.tmp_dir().to_owned()] {
            let left: Vec<_> = fs::read_dir(folder).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// A folder in which a builder put all that it made.
fn filled() -> (tempfile::TempDir, Folder) {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder(folder.path().to_owned());
    let ran = Builder::new().run(&place, &writes(key()));
    assert_eq!(ran.made, ["first", "last", "own", "root", "second"]);
    assert_eq!(ran.given, ["first", "last", "root", "second"]);
    assert!(ran.warnings.is_empty(), "{ran:?}");
    (folder, place)
}

/// The entry of a stage.
fn entry(folder: &Path, stage: &str) -> PathBuf {
    let begins = format!("{stage}-");
    let items = fs::read_dir(folder.join("stages")).unwrap();
    let mut paths = items.map(|item| item.unwrap().path());
    paths
        .find(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with(&begins)
        })
        .unwrap()
}

/// What an entry says, and its signature.
fn signed(path: &Path) -> (serde_json::Value, String) {
    let read: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let statement = read["statement"].as_str().unwrap();
    let signature = read["signature"].as_str().unwrap().to_owned();
    (serde_json::from_str(statement).unwrap(), signature)
}

/// The archive of a stage.
fn archive(folder: &Path, stage: &str) -> PathBuf {
    let (statement, _) = signed(&entry(folder, stage));
    let digest = statement["content"]["sha256"].as_str().unwrap();
    folder.join(format!("contents/{digest}.tar.zst"))
}

#[test]
fn only_what_is_needed_is_taken_beginning_at_the_end() {
    let (folder, place) = filled();
    let builder = Builder::new();
    let ran = builder.run(&place, &reads(key()));
    assert_eq!(
        (ran.taken, ran.made),
        (vec!["last".to_owned()], vec!["own".to_owned()])
    );
    let last = &ran.done["last"];
    let taken = last.record.taken.as_ref().unwrap();
    assert_eq!(taken.signer, key().public_key().fingerprint());
    assert_eq!(taken.from, folder.path().display().to_string());
    assert_eq!(last.record.inputs.len(), 2, "its own, as they are here");
    // All of it is as it was, and what the store has no record of, too.
    let own = &ran.done["own"];
    assert_eq!(
        fs::read(last.path.join("large")).unwrap(),
        fs::read(own.path.join("large")).unwrap()
    );
    for path in ["large", "deep/tool", "deep/empty"] {
        let [here, there] = [last, own].map(|stage| fs::metadata(stage.path.join(path)).unwrap());
        assert_eq!(here.permissions(), there.permissions(), "{path}");
    }
    let time = fs::metadata(last.path.join("large"))
        .unwrap()
        .modified()
        .unwrap();
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(since.as_secs(), 1_600_000_000);
    assert!(last.path.join("deep/empty").is_dir());
    builder.is_tidy();
    // Of what is in the store, nobody is asked again.
    fs::remove_dir_all(folder.path().join("contents")).unwrap();
    let again = builder.run(&place, &reads(key()));
    assert!(again.made.is_empty() && again.taken.is_empty() && again.warnings.is_empty());
    // What follows from another input needs the one before it, and that none.
    let changed = Builder::new().run_with(&filled().1, &reads(key()), "2");
    assert_eq!(changed.taken, ["second"]);
    assert_eq!(changed.made, ["last", "own"]);
}

#[test]
fn of_some_stages_only_the_digests_are_shared_and_none_of_what_is_not_shared() {
    let (folder, place) = filled();
    let names = fs::read_dir(folder.path().join("stages")).unwrap().count();
    assert_eq!(names, 4, "not of `own`");
    let text = fs::read_to_string(entry(folder.path(), "root")).unwrap();
    assert!(!text.contains("content"), "{text}");
    // The stage behind it changed: it is made here, and is the same.
    fs::remove_file(entry(folder.path(), "second")).unwrap();
    let ran = Builder::new().run(&place, &reads(key()));
    assert_eq!(ran.taken, ["first", "last"]);
    assert_eq!(ran.made, ["own", "root", "second"]);
}

#[test]
fn what_others_made_is_not_given_away_in_ones_own_name() {
    let (_folder, place) = filled();
    let elsewhere = tempfile::tempdir().unwrap();
    let second = Folder(elsewhere.path().to_owned());
    let builder = Builder::new();
    builder.run(&place, &reads(key()));
    let ran = builder.run(&second, &writes(other_key()));
    assert_eq!(
        ran.given,
        ["first", "root", "second"],
        "not `last`: {ran:?}"
    );
    fs::remove_dir_all(elsewhere.path().join("stages")).unwrap();
    // What was here before is given where it is asked for.
    let builder = Builder::new();
    let nowhere = Folder(elsewhere.path().to_owned());
    builder.run(&nowhere, &reads(key()));
    let ran = builder.run(&second, &writes(other_key()));
    assert_eq!((ran.made.len(), ran.given.len()), (0, 4), "{ran:?}");
}

#[test]
fn nothing_is_taken_that_no_accepted_key_signed() {
    let (_folder, place) = filled();
    for keys in [
        reads(other_key()),
        Keys {
            accepted: Vec::new(),
            signer: None,
        },
    ] {
        let ran = Builder::new().run(&place, &keys);
        assert!(ran.taken.is_empty(), "{ran:?}");
        assert_eq!(ran.made.len(), 5);
        // Each is named, with what the matter is.
        assert_eq!(ran.warnings.len(), 4, "{ran:?}");
        for (warning, stage) in ran.warnings.iter().zip(["first", "root", "second", "last"]) {
            assert!(warning.contains("no accepted key signed it"), "{warning}");
            assert!(
                ran.warnings
                    .iter()
                    .any(|it| it.starts_with(&format!("{stage} here: "))),
                "{stage}"
            );
        }
    }
}

#[test]
fn another_result_of_the_same_inputs_is_named_and_left() {
    let (folder, place) = filled();
    let path = entry(folder.path(), "last");
    let before = fs::read(&path).unwrap();
    let builder = Builder::new();
    let keys = writes(key());
    let shared = Folder(tempfile::tempdir().unwrap().keep());
    // Here, the large file is another.
    run(&builder.store, &shared, &reads(key()), &|made| {
        graph("1", SIZE + 1, made)
    });
    let ran = run(&builder.store, &place, &keys, &|made| {
        graph("1", SIZE + 1, made)
    });
    let first = ran.warnings.iter().find(|it| it.starts_with("first kept"));
    assert!(
        first.is_some_and(|it| it.contains("another result of the same inputs")),
        "{ran:?}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_dir_all(&shared.0).unwrap();
}

#[test]
fn what_was_compiled_with_a_cache_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder(folder.path().to_owned());
    let builder = Builder::new();
    let ran = run(&builder.store, &place, &writes(key()), &|made| {
        let mut graph = graph("1", SIZE, made);
        graph[0].recipe = Box::new(|work| {
            work.cached.store(true, std::sync::atomic::Ordering::SeqCst);
            Ok(fs::write(work.output.join("a"), "b")?)
        });
        graph
    });
    assert!(ran.done["first"].record.compiler_cache);
    assert!(!ran.done["second"].record.compiler_cache);
    assert_eq!(ran.given, ["last", "root", "second"]);
    assert_eq!(ran.warnings.len(), 1, "{ran:?}");
    let warning = &ran.warnings[0];
    assert!(
        warning.starts_with("first kept: it was compiled with a compiler cache"),
        "{warning}"
    );
}

/// What is known of a chroot alone is what it was elsewhere.
#[test]
fn what_is_made_here_and_is_otherwise_than_what_was_said_of_it_counts() {
    let (folder, place) = filled();
    fs::remove_file(entry(folder.path(), "last")).unwrap();
    fs::remove_file(entry(folder.path(), "second")).unwrap();
    let builder = Builder::new();
    let ran = run(&builder.store, &place, &reads(key()), &|made| {
        let mut graph = graph("1", SIZE, made);
        let at = graph.iter().position(|stage| stage.name == "root").unwrap();
        graph[at].recipe = Box::new(|work| Ok(fs::write(work.output.join("mine"), "other")?));
        graph
    });
    assert_eq!(ran.made, ["last", "own", "second"], "once each: {ran:?}");
    let root = ran.done["root"].record.digest().to_string();
    assert_eq!(ran.done["second"].record.inputs["stage root"], root);
}

#[test]
fn two_that_put_at_once_leave_what_a_third_takes() {
    let folder = tempfile::tempdir().unwrap();
    let place = Folder(folder.path().to_owned());
    for _ in 0..3 {
        let builders: Vec<Builder> = (0..3).map(|_| Builder::new()).collect();
        std::thread::scope(|scope| {
            for builder in &builders {
                scope.spawn(|| {
                    let ran = builder.run(&place, &writes(key()));
                    assert!(ran.warnings.is_empty(), "{ran:?}");
                });
            }
        });
        let ran = Builder::new().run(&place, &reads(key()));
        assert_eq!(ran.taken, ["last"], "{ran:?}");
        fs::remove_dir_all(folder.path().join("stages")).unwrap();
    }
}

#[test]
fn a_folder_that_is_full_or_read_only_or_gone_is_named_and_the_build_goes_on() {
    let named = |place: &Path, word: &str| {
        let builder = Builder::new();
        let ran = builder.run(&Folder(place.to_owned()), &writes(key()));
        assert_eq!(ran.made.len(), 5);
        assert_eq!(ran.warnings.len(), 1, "once: {ran:?}");
        assert!(ran.warnings[0].contains(word), "{ran:?}");
        builder.is_tidy();
        // Nothing half is left.
        for item in walkdir::WalkDir::new(place)
            .into_iter()
            .filter_map(Result::ok)
        {
            let name = item.file_name().to_string_lossy().into_owned();
            assert!(!name.starts_with(".part-"), "{item:?}");
        }
        if place.join("stages").exists() {
            let ran = Builder::new().run(&Folder(place.to_owned()), &reads(key()));
            assert!(ran.warnings.is_empty(), "{ran:?}");
        }
    };
    let folder = tempfile::tempdir().unwrap();
    named(&folder.path().join("not mounted"), "cannot be asked");
    fs::write(folder.path().join("contents"), "no folder").unwrap();
    named(folder.path(), "does not take it");
    let disk = lustre_repo_tests::small_disk::SmallDisk::new("64k");
    named(disk.path(), "No space left");
}

/// What is here, what is there, and what neither has; and nothing is changed by looking.
#[test]
fn a_plan_tells_what_others_have_and_changes_nothing() {
    let (folder, place) = filled();
    let made = std::sync::Mutex::default();
    let stages = graph("1", SIZE, &made);
    let own = tempfile::tempdir().unwrap();
    let root = own.path().join("store");
    let store = Store::look(&root, "a test").unwrap();
    let look = |keys: &Keys| -> (Vec<Planned>, Vec<String>) {
        let standing = Standing::default();
        let remote = Shared::new(&store, &place, keys, builder::shares, &standing);
        let mut refused = Vec::new();
        let planned = plan_with(&stages, &store, &remote, &mut |stage, why| {
            refused.push(format!("{stage}: {why}"));
        });
        (planned.unwrap(), refused)
    };
    let (planned, refused) = look(&reads(key()));
    assert!(refused.is_empty(), "{refused:?}");
    let fingerprint = key().public_key().fingerprint();
    for one in &planned {
        match (one.stage.as_str(), &one.state) {
            ("first" | "second" | "last", State::Shared(from)) => {
                assert_eq!(from.signer, fingerprint);
                assert_eq!(from.from, folder.path().display().to_string());
            }
            ("root", State::Runs(why)) => assert!(why.contains("only its digest"), "{why}"),
            ("own", State::Runs(why)) => assert_eq!(why, "it has never run here"),
            (stage, state) => panic!("{stage}: {state:?}"),
        }
        assert!(one.key.is_some(), "{one:?}");
    }
    // Nobody vouches for it who is trusted.
    let (planned, refused) = look(&reads(other_key()));
    assert!(
        planned
            .iter()
            .all(|one| matches!(one.state, State::Runs(_)))
    );
    assert_eq!(refused.len(), 2, "{refused:?}");
    assert!(refused[0].contains("no accepted key"), "{refused:?}");
    assert!(planned.iter().all(|one| !one.unknown), "{planned:?}");
    // What cannot be asked is said once, and is no error; that it has nothing is not said.
    fs::remove_dir_all(folder.path()).unwrap();
    let (planned, refused) = look(&reads(key()));
    assert_eq!(refused.len(), 1, "{refused:?}");
    let alone = plan(&stages, &store).unwrap();
    for (one, other) in planned.iter().zip(&alone) {
        assert_eq!((&one.stage, &one.state), (&other.stage, &other.state));
        assert_eq!(one.unknown, one.stage != "own", "{one:?}");
        assert!(!other.unknown);
    }
    assert!(!root.exists() && made.lock().unwrap().is_empty());
}
