//! From the store to the output folder: swapped in whole with its proof, compared by digest with what was recorded and proven, and looked
//! at again when nothing seems to have changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use lustre_files::advised;
use lustre_packaging::process::{
    self,
    room::{self, Place},
};
use lustre_packaging::store::{Digest, Entry, EntryKind, StageDir, Store, list_tree};
use lustre_repository::{files, layout, page, proof, sums};

use crate::graph::name::TREE;
use crate::leftovers;
use crate::ui::Screen;

/// What came of publishing.
#[derive(Debug, PartialEq, Eq)]
pub enum PublishOutcome {
    /// The output is as it has to be.
    Done,
    /// What the store holds is not what it recorded, and the output is as it was: what is wrong.
    Damaged(String),
}

/// Which repository lies at `output`, by the digest of its sums; none where there is none.
pub fn state(output: &Path) -> anyhow::Result<Option<Digest>> {
    let path = output.join(sums::FILE);
    let read = lustre_files::if_there(lustre_files::read_no_link(&path, lustre_files::SOURCE));
    let bytes = read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes.map(|bytes| Digest::of_bytes(&bytes)))
}

/// Makes `output` what the stage `made` recorded of a repository: in one step, and nothing is written where it is so already. Where that
/// is one without its proof, and the same lies there with one, that is left there. It was judged against what had the [`state`] `judged`:
/// what another run, of whatever store, has put there since is not replaced.
pub fn publish(
    store: &Store,
    made: &StageDir,
    output: &Path,
    judged: Option<Digest>,
    screen: &Screen,
) -> anyhow::Result<PublishOutcome> {
    let tree = made.path.join(TREE);
    let wanted = recorded(made);
    layout::judge(output)?;
    let mut here = Vec::new();
    if output.exists() {
        // What was recorded is what was proven; the store is not even read where the output is that already.
        here = list_tree(output).with_context(|| output.display().to_string())?;
        if here == wanted || is_proven(&here, &wanted, output)? {
            return Ok(PublishOutcome::Done);
        }
        if let Some(changed) = changed_by_hand(&here, &wanted, output) {
            screen.warn(&format!(
                "{} was changed ({changed}); it is replaced",
                output.display()
            ));
        }
    }
    has_room(store, output, &wanted)?;
    leftovers::noted(store, output, || {
        // One at a time, from the last look at what is there to the swap.
        let alone = alone(output)?;
        let mut damage = None;
        let swapped = layout::swap_in(output, |aside| {
            // Copies, since a link would let a change in the output reach the store.
            copy(&tree, aside, room::OTHER_DISK)?;
            let copied = list_tree(aside).map_err(std::io::Error::other)?;
            if copied != wanted {
                let what =
                    odd(&copied, &wanted).map(|entry| tree.join(&entry.path).display().to_string());
                damage = Some(what.unwrap_or_else(|| tree.display().to_string()));
                return Err(std::io::Error::other("it is damaged"));
            }
            if state(output).map_err(std::io::Error::other)? != judged {
                return Err(std::io::Error::other(advised(
                    "another run has published there in the meantime",
                    "run the same command again",
                )));
            }
            outdate(output, &here, aside, &wanted)
        });
        drop(alone);
        match damage {
            Some(what) => Ok(PublishOutcome::Damaged(format!(
                "{what} differs from its record"
            ))),
            None => swapped
                .map(|()| PublishOutcome::Done)
                .with_context(|| format!("cannot publish the repository at {}", output.display())),
        }
    })
}

/// Waits until nobody else puts anything at `output` or beside it; others wait until this is dropped.
pub fn alone(output: &Path) -> anyhow::Result<fs::File> {
    let parent = output.parent().filter(|parent| *parent != Path::new(""));
    let parent = parent.unwrap_or(Path::new("."));
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    let alone = lustre_files::open_folder(parent).with_context(|| parent.display().to_string())?;
    rustix::fs::flock(&alone, rustix::fs::FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock {}", parent.display()))?;
    Ok(alone)
}

/// Copies all of `tree` into the folder `aside`. `advice` is what to do where there is no room.
pub fn copy(tree: &Path, aside: &Path, advice: &str) -> std::io::Result<()> {
    let mut command = process::command("cp");
    command
        .args(["-a", "--reflink=auto", "-T"])
        .args([tree, aside]);
    let done = process::capture(&mut command).map_err(std::io::Error::other)?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(no_room(aside, &said, advice)
        .unwrap_or_else(|| std::io::Error::other(format!("cp: {}: {}", done.status, said.trim()))))
}

/// That there is room for `wanted` at `output`. On the file system of the store, copies may share what they are copies of.
fn has_room(store: &Store, output: &Path, wanted: &[Entry]) -> anyhow::Result<()> {
    let size = |entry: &Entry| match entry.kind {
        EntryKind::File { size, .. } => size,
        _ => 0,
    };
    let bytes: u64 = wanted.iter().map(size).sum();
    let what = format!("the repository at {}", output.display());
    Ok(room::at_output(&what, bytes, output, Some(store.root()))?)
}

/// That copying to `aside`, of which `said` was said, failed for lack of room there.
fn no_room(aside: &Path, said: &str, advice: &str) -> Option<std::io::Error> {
    let place = Place::of(aside)?;
    (place.is_full() || room::says_full(said))
        .then(|| std::io::Error::other(advised(format!("the disk is full: {place}"), advice)))
}

/// Makes each file in `aside` later than the one at `output` whose place it takes with other content, and no other earlier: rsync, proxies
/// and mirrors go by time and size, and a signature, a list of digests or a proof is of one size for ever.
fn outdate(output: &Path, here: &[Entry], aside: &Path, wanted: &[Entry]) -> std::io::Result<()> {
    let there: BTreeMap<&str, &Entry> = here.iter().map(|it| (it.path.as_str(), it)).collect();
    for entry in wanted {
        let Some(old) = there.get(entry.path.as_str()) else {
            continue;
        };
        let new = aside.join(&entry.path);
        let least = fs::symlink_metadata(output.join(&entry.path))?
            .mtime()
            .saturating_add(i64::from(old.kind != entry.kind));
        if fs::symlink_metadata(&new)?.mtime() < least {
            files::set_mtime(&new, u64::try_from(least).unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Whether what is here is what is wanted, with a proof of just that.
fn is_proven(here: &[Entry], wanted: &[Entry], output: &Path) -> anyhow::Result<bool> {
    let rest = |entries: &[Entry]| -> Vec<Entry> {
        let others = entries.iter();
        let others = others.filter(|entry| !layout::COMPLETED.contains(&entry.path.as_str()));
        others.cloned().collect()
    };
    let has = |entries: &[Entry]| entries.iter().any(|entry| entry.path == proof::FILE);
    let is_sums =
        |entry: &Entry| entry.path == sums::FILE && matches!(entry.kind, EntryKind::File { .. });
    if !has(here) || has(wanted) || rest(here) != rest(wanted) || !here.iter().any(is_sums) {
        return Ok(false);
    }
    let path = output.join(sums::FILE);
    let bytes = lustre_files::read_no_link(&path, lustre_files::SOURCE)
        .with_context(|| format!("cannot read {}", path.display()))?;
    // What is no text was not made here.
    let Ok(sums) = String::from_utf8(bytes) else {
        return Ok(false);
    };
    let mut pages = wanted.iter().filter(|entry| entry.path == page::FILE);
    let Some(EntryKind::File { sha256, .. }) = pages.next().map(|entry| &entry.kind) else {
        return Ok(false);
    };
    let assembled = layout::assembled_sums(&sums, &sha256.to_string());
    Ok(wanted.contains(&file_entry(sums::FILE, &assembled)))
}

/// What the stage recorded of its tree.
fn recorded(assembled: &StageDir) -> Vec<Entry> {
    let within = |path: &str| {
        let rest = path.strip_prefix(TREE)?.strip_prefix('/')?;
        Some(rest.to_owned())
    };
    let entries = assembled.record.outputs.iter();
    let mut entries: Vec<Entry> = entries
        .filter_map(|entry| {
            Some(Entry {
                path: within(&entry.path)?,
                kind: entry.kind.clone(),
            })
        })
        .collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

/// Where the output claims to be this very tree, what of it somebody changed.
fn changed_by_hand(here: &[Entry], wanted: &[Entry], output: &Path) -> Option<String> {
    let sums = |entries: &[Entry]| {
        entries
            .iter()
            .find(|entry| entry.path == sums::FILE)
            .cloned()
    };
    if sums(here).is_none() || sums(here) != sums(wanted) {
        // Another build: of course it differs.
        return None;
    }
    Some(output.join(&odd(here, wanted)?.path).display().to_string())
}

/// The first entry that is not the same in both.
fn odd<'e>(here: &'e [Entry], wanted: &'e [Entry]) -> Option<&'e Entry> {
    wanted
        .iter()
        .find(|entry| !here.contains(entry))
        .or_else(|| here.iter().find(|entry| !wanted.contains(entry)))
}

fn file_entry(path: &str, text: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        kind: EntryKind::File {
            sha256: Digest::of_bytes(text.as_bytes()),
            size: text.len() as u64,
            executable: false,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lustre_packaging::store::StageRecord;

    use super::*;
    use crate::leftovers::{NOTES, Note, recover, tell_leftovers};

    const MANIFEST: &str = r#"{"format": 1, "tool": {"name": "lustre-repo", "version": "1"}, "target": "x", "source_date_epoch": 1,
        "key_fingerprint": "0123456789ABCDEF0123456789ABCDEF01234567"}"#;

    /// A store with a stage that holds a repository, as far as this module looks at one; and where it is to be.
    struct World {
        dir: tempfile::TempDir,
        store: Store,
        screen: Screen,
    }

    impl World {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
            Self {
                dir,
                store,
                screen: Screen::new(),
            }
        }

        fn output(&self) -> PathBuf {
            self.dir.path().join("dist/x")
        }

        fn stage(&self, package: &str) -> StageDir {
            self.proven(package, None)
        }

        /// A stage that holds a repository with its proof.
        fn proven(&self, package: &str, proof: Option<&str>) -> StageDir {
            let key = Digest::of_bytes(format!("{package} {proof:?}").as_bytes());
            let stages = self.store.stages();
            let pending = stages.begin("assemble", &key).unwrap();
            let tree = pending.dir().join(TREE);
            fs::create_dir(&tree).unwrap();
            fs::write(tree.join("a.rpm"), package).unwrap();
            fs::write(tree.join(lustre_repository::manifest::FILE), MANIFEST).unwrap();
            // It shows the proof.
            fs::write(tree.join(page::FILE), proof.unwrap_or("no proof")).unwrap();
            if let Some(proof) = proof {
                fs::write(tree.join(proof::FILE), proof).unwrap();
            }
            sums::write(&tree).unwrap();
            let record = StageRecord {
                name: "assemble".to_owned(),
                key,
                inputs: BTreeMap::new(),
                outputs: pending.outputs(&[]).unwrap(),
                started: 0,
                milliseconds: 0,
                log: None,
                contents: None,
                taken: None,
                compiler_cache: false,
            };
            stages.finish(pending, &record).unwrap()
        }

        fn publish(&self, stage: &StageDir) -> PublishOutcome {
            let judged = state(&self.output()).unwrap();
            publish(&self.store, stage, &self.output(), judged, &self.screen).unwrap()
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.output().join(name)).unwrap()
        }

        fn beside(&self) -> usize {
            fs::read_dir(self.dir.path().join("dist")).unwrap().count()
        }
    }

    #[test]
    fn what_does_not_fit_on_another_file_system_is_not_begun() {
        let world = World::new();
        let wanted = |size| {
            [Entry {
                path: "a.rpm".to_owned(),
                kind: EntryKind::File {
                    sha256: Digest::of_bytes(b""),
                    size,
                    executable: false,
                },
            }]
        };
        let elsewhere = Path::new("/dev/shm/no-such-folder/x");
        has_room(&world.store, elsewhere, &wanted(1)).unwrap();
        let error = has_room(&world.store, elsewhere, &wanted(1 << 60)).unwrap_err();
        let said = error.to_string();
        for part in ["/dev/shm has", "MiB free", "--output"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("--store"), "{said}");
        // A copy on the store's own may take none.
        has_room(&world.store, &world.output(), &wanted(1 << 60)).unwrap();
    }

    #[test]
    fn a_damaged_store_is_noticed_and_never_published() {
        let world = World::new();
        let good = world.proven("good", Some("proof"));
        let next = world.proven("next", Some("proof of next"));
        assert_eq!(world.publish(&good), PublishOutcome::Done);
        // As long as before: no size tells.
        fs::write(next.path.join(TREE).join("a.rpm"), "nexT").unwrap();
        let published = world.publish(&next);
        assert!(
            matches!(&published, PublishOutcome::Damaged(what) if what.contains("a.rpm")),
            "{published:?}"
        );
        assert_eq!(world.read("a.rpm"), "good");
        assert_eq!(world.read(proof::FILE), "proof");
        assert_eq!(world.beside(), 1);
        // What is there already is not made worse by damage to what it came from.
        fs::write(good.path.join(TREE).join("a.rpm"), "gooD").unwrap();
        assert_eq!(world.publish(&good), PublishOutcome::Done);
        assert_eq!(world.read("a.rpm"), "good");
    }

    #[test]
    fn what_somebody_changed_is_replaced_and_what_is_right_is_not_touched() {
        let world = World::new();
        let stage = world.proven("package", Some("proof"));
        world.publish(&stage);
        let inode = || fs::metadata(world.output()).unwrap().ino();
        let before = inode();
        world.publish(&stage);
        // The same without its proof leaves the proven one there.
        world.publish(&world.stage("package"));
        assert_eq!(inode(), before);
        assert_eq!(world.read(proof::FILE), "proof");
        // Another proof of the same repository takes the other's place.
        world.publish(&world.proven("package", Some("more proof")));
        assert_ne!(inode(), before);
        assert_eq!(world.read(proof::FILE), "more proof");

        for (name, text) in [("a.rpm", "tampered"), (proof::FILE, "{}")] {
            fs::write(world.output().join(name), text).unwrap();
            world.publish(&stage);
            assert_eq!(world.read("a.rpm"), "package");
            assert_eq!(world.read(proof::FILE), "proof");
            assert_eq!(fs::read_dir(world.output()).unwrap().count(), 5);
        }
        // The proof of another repository goes with it.
        world.publish(&world.stage("other"));
        assert!(!world.output().join(proof::FILE).exists());
    }

    /// One file, with the time that every release has there.
    fn dated(world: &World, package: &str, proof: Option<&str>) -> StageDir {
        let stage = world.proven(package, proof);
        for entry in list_tree(&stage.path.join(TREE)).unwrap() {
            files::set_mtime(&stage.path.join(TREE).join(entry.path), 1000).unwrap();
        }
        stage
    }

    #[test]
    fn what_another_run_put_there_since_it_was_judged_is_not_replaced() {
        let world = World::new();
        world.publish(&world.stage("package"));
        let judged = state(&world.output()).unwrap();
        world.publish(&world.stage("a later package"));
        let there = list_tree(&world.output()).unwrap();
        let late = world.stage("an earlier package");
        for judged in [judged, None] {
            let ran = publish(&world.store, &late, &world.output(), judged, &world.screen);
            let why = format!("{:#}", ran.unwrap_err());
            assert!(why.contains("another run has published there"), "{why}");
            assert_eq!(list_tree(&world.output()).unwrap(), there);
            assert_eq!(
                lustre_files::swap::leftovers(&world.output()).unwrap(),
                [] as [PathBuf; 0]
            );
        }
    }

    #[test]
    fn what_goes_by_time_and_size_sees_every_file_that_changed() {
        let world = World::new();
        let times = || -> BTreeMap<String, i64> {
            let time = |entry: Entry| {
                let path = world.output().join(&entry.path);
                (entry.path, fs::metadata(path).unwrap().mtime())
            };
            let entries = list_tree(&world.output()).unwrap();
            entries.into_iter().map(time).collect()
        };
        world.publish(&dated(&world, "package", Some("proof 1")));
        let first = times();
        assert!(first.values().all(|time| *time == 1000), "{first:?}");
        // Another proof of the same repository, and another package of the same size and time.
        world.publish(&dated(&world, "package", Some("proof 2")));
        let second = times();
        for (file, time) in &second {
            let moved = [proof::FILE, page::FILE, sums::FILE].contains(&file.as_str());
            assert_eq!(*time > first[file], moved, "{file}");
        }
        world.publish(&dated(&world, "packagE", Some("proof 3")));
        let third = times();
        for name in ["a.rpm", proof::FILE, sums::FILE] {
            assert!(third[name] > second[name], "{name}");
        }
        // A change by hand is later than the release that takes its place.
        fs::write(world.output().join("a.rpm"), "by hand").unwrap();
        let changed = times()["a.rpm"];
        world.publish(&dated(&world, "packagE", Some("proof 3")));
        assert!(times()["a.rpm"] > changed);
        assert_eq!(times()[proof::FILE], third[proof::FILE]);
    }

    #[test]
    fn what_a_killed_run_left_beside_an_output_is_found_by_the_next_whatever_it_publishes() {
        let world = World::new();
        world.publish(&world.stage("package"));
        let left = world.dir.path().join("dist/.x.lustre-repo-aBcD01");
        fs::create_dir(&left).unwrap();
        let note = Note::write(&world.store, &world.output()).unwrap();
        let mut told = Vec::new();
        tell_leftovers(&world.store, &mut |line| told.push(line.to_owned())).unwrap();
        assert!(
            told.len() == 1 && told[0].contains(".x.lustre-repo-aBcD01"),
            "{told:?}"
        );
        assert!(left.exists() && note.0.exists());
        assert!(recover(&world.store).unwrap().is_empty());
        assert!(!left.exists() && !note.0.exists());
        assert_eq!(world.read("a.rpm"), "package");
        // A disk that is not mounted now: the only record of it stays.
        let away = world.dir.path().join("disk/x");
        let note = Note::write(&world.store, &away).unwrap();
        assert_eq!(recover(&world.store).unwrap()[0].output, away);
        assert!(note.0.exists());
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_absent() {
        let world = World::new();
        let wanted = recorded(&world.stage("package"));
        world.publish(&world.stage("package"));
        let output = world.output();
        fs::write(output.join(proof::FILE), "proof").unwrap();
        let here = list_tree(&output).unwrap();
        assert!(is_proven(&here, &wanted, &output).unwrap());
        let sums = output.join(sums::FILE);
        fs::remove_file(&sums).unwrap();
        std::os::unix::fs::symlink(&sums, &sums).unwrap();
        let error = is_proven(&here, &wanted, &output).unwrap_err().to_string();
        assert!(error.contains(sums.to_str().unwrap()), "{error}");
        // That it is another thing by now was seen when the tree was listed.
        let other: Vec<Entry> = here
            .into_iter()
            .filter(|it| it.path != sums::FILE)
            .collect();
        assert!(!is_proven(&other, &wanted, &output).unwrap());

        let notes = world.store.root().join(NOTES);
        fs::remove_dir_all(&notes).unwrap();
        recover(&world.store).unwrap();
        fs::write(&notes, "no folder").unwrap();
        let error = recover(&world.store).unwrap_err().to_string();
        assert!(error.contains(notes.to_str().unwrap()), "{error}");
    }

    #[test]
    fn a_change_by_hand_is_told_from_another_build() {
        let world = World::new();
        let listed = |package: &str, sums: &str| {
            let dir = tempfile::tempdir().unwrap();
            fs::write(dir.path().join("a.rpm"), package).unwrap();
            fs::write(dir.path().join(sums::FILE), sums).unwrap();
            list_tree(dir.path()).unwrap()
        };
        let made = listed("package", "sums");
        let changed = |here: &[Entry]| changed_by_hand(here, &made, &world.output());
        let named = changed(&listed("tampered", "sums")).unwrap();
        assert!(named.ends_with("dist/x/a.rpm"), "{named}");
        assert_eq!(
            changed(&listed("other", "other sums")),
            None,
            "another build"
        );
        let mut added = made.clone();
        added.push(file_entry(proof::FILE, "x"));
        assert!(changed(&added).unwrap().ends_with(proof::FILE));
    }
}
