//! What of a store nothing needs any more, and what of it is damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{
    Digest, Error, StageDir, StageRecord, Store, StoredStage, Uses, folder, names, remove_tree,
};

/// Something of a store that may go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spare {
    /// Its path in the store.
    pub path: String,
    /// What it takes on the disk, in bytes.
    pub bytes: u64,
}

impl Store {
    /// What no target needs any more: results, downloads, git mirrors and logs that others took the place of, and what a killed download
    /// or comparison left. What no target is known to have used stays, but for results that a newer one of the same kind is there of.
    pub fn superseded(&self) -> Result<Vec<Spare>, Error> {
        let uses = self.all_uses()?;
        let listed = self.stages().list()?;
        let root = self.root();
        let current: BTreeSet<&str> = uses
            .iter()
            .flat_map(Uses::current)
            .map(String::as_str)
            .collect();
        let mut spare: BTreeSet<String> = uses
            .iter()
            .flat_map(|uses| uses.superseded.iter().cloned())
            .collect();
        spare.extend(old_results(&listed, &current, &spare, &uses));
        let kept: BTreeSet<String> = listed
            .iter()
            .map(name_in_store)
            .filter(|path| current.contains(path.as_str()) || !spare.contains(path))
            .collect();
        for (folder, is_spare) in [
            (
                "logs",
                &(|name: &str| spare_log(name, &kept)) as &dyn Fn(&str) -> bool,
            ),
            ("partial", &|name| {
                !name.get(..2).is_some_and(|two| {
                    current.contains(format!("files/sha256/{two}/{name}").as_str())
                })
            }),
            ("second", &|_| true),
        ] {
            for item in folder::list(&root.join(folder))? {
                let name = item.file_name().to_string_lossy().into_owned();
                if is_spare(&name) {
                    spare.insert(format!("{folder}/{name}"));
                }
            }
        }
        let there = spare
            .into_iter()
            .filter(|path| !current.contains(path.as_str()) && is_ours(path));
        Ok(there
            .filter(|path| fs::symlink_metadata(root.join(path)).is_ok())
            .map(|path| Spare {
                bytes: disk_usage(&root.join(&path)),
                path,
            })
            .collect())
    }

    /// Removes what [`Store::superseded`] gave.
    pub fn remove(&self, spare: &Spare) -> Result<(), Error> {
        let path = self.root().join(&spare.path);
        if spare.path.starts_with("stages/") {
            self.stages().discard(&path)?;
        } else {
            remove_tree(&path)?;
        }
        Ok(())
    }

    /// What each folder of the store takes on the disk.
    pub fn sizes(&self) -> Vec<Spare> {
        let folders = super::FOLDERS.iter();
        folders
            .filter(|folder| self.root().join(folder).exists())
            .map(|folder| Spare {
                path: (*folder).to_owned(),
                bytes: disk_usage(&self.root().join(folder)),
            })
            .collect()
    }

    /// Reads all finished stages and all files, and gives what is no longer as it was recorded, with what is wrong; `tell` hears of what
    /// is read.
    pub fn damage(&self, tell: &mut dyn FnMut(&str)) -> Result<Vec<(Spare, String)>, Error> {
        let mut damage = Vec::new();
        let mut found = |path: String, why: String| {
            let bytes = disk_usage(&self.root().join(&path));
            damage.push((Spare { path, bytes }, why));
        };
        for listed in self.stages().list()? {
            let name = name_in_store(&listed);
            tell(&name);
            let checked = listed.record.and_then(|record| {
                let path = listed.path;
                if names::place_name(&record.name, &record.key)
                    != name.trim_start_matches("stages/")
                {
                    return Err(format!("it is stage {}-{}", record.name, record.key));
                }
                self.stages().check(&StageDir { path, record })
            });
            if let Err(why) = checked {
                found(name, why);
            }
        }
        tell("files");
        for item in WalkDir::new(self.root().join("files/sha256")).min_depth(2) {
            let Ok(item) = item else { continue };
            let name = item.file_name().to_string_lossy();
            let path = item.path().strip_prefix(self.root()).unwrap_or(item.path());
            let path = path.display().to_string();
            // What has no digest's name was not put there by this tool.
            let Ok(wanted) = name.parse::<Digest>() else {
                continue;
            };
            match Digest::of_file(item.path()) {
                Ok((digest, _)) if digest == wanted => {}
                Ok((digest, _)) => found(path, format!("its sha256 is {digest}")),
                Err(error) => found(path, error.to_string()),
            }
        }
        // What was not read to its end is not damaged.
        if crate::process::interrupted() {
            return Err(Error::Interrupted);
        }
        Ok(damage)
    }
}

/// Whether a path in the store is one that may be removed from it: what is recorded may be damaged, too.
fn is_ours(path: &str) -> bool {
    let mut parts = Path::new(path).components();
    let first = matches!(parts.next(), Some(std::path::Component::Normal(first))
        if ["stages", "files", "git", "logs", "partial", "second"].iter().any(|one| first == *one));
    let mut rest = parts.peekable();
    first
        && rest.peek().is_some()
        && rest.all(|part| matches!(part, std::path::Component::Normal(_)))
}

fn name_in_store(listed: &StoredStage) -> String {
    format!(
        "stages/{}",
        listed
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
    )
}

/// Of the results that no target is known to have used, made before that was recorded or by a run that was killed: those that cannot be
/// read, and those of which there is a newer one, but for what the newest repository of a target was made of.
fn old_results(
    listed: &[StoredStage],
    current: &BTreeSet<&str>,
    superseded: &BTreeSet<String>,
    uses: &[Uses],
) -> Vec<String> {
    let mut newest: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    let mut unknown: Vec<(String, &StageRecord)> = Vec::new();
    let mut spare = Vec::new();
    for one in listed {
        let path = name_in_store(one);
        let Ok(record) = &one.record else {
            spare.push(path);
            continue;
        };
        let known = current.contains(path.as_str());
        if superseded.contains(&path) && !known {
            continue;
        }
        let seen = newest.entry(&record.name).or_default();
        if record.started >= seen.0 {
            *seen = (record.started, path.clone());
        }
        if !known {
            unknown.push((path, record));
        }
    }
    let records: Vec<&StageRecord> = listed
        .iter()
        .filter_map(|one| one.record.as_ref().ok())
        .collect();
    let needed = needed_by_repositories(&records, uses);
    spare.extend(unknown.into_iter().filter_map(|(path, record)| {
        let kept = newest
            .get(record.name.as_str())
            .is_some_and(|(_, newest)| *newest == path)
            || needed.contains(&(record.name.as_str(), record.key));
        (!kept).then_some(path)
    }));
    spare
}

/// What the newest repository was made of, of every target of which nothing is recorded.
fn needed_by_repositories<'r>(
    records: &[&'r StageRecord],
    uses: &[Uses],
) -> BTreeSet<(&'r str, Digest)> {
    let mut newest: BTreeMap<&str, &StageRecord> = BTreeMap::new();
    for record in records {
        // The stage that assembles names its target.
        if let Some(target) = record.inputs.get("target")
            && record.inputs.contains_key("stage sign")
            && !uses.iter().any(|uses| uses.target == *target)
            && newest
                .get(target.as_str())
                .is_none_or(|seen| seen.started < record.started)
        {
            newest.insert(target, record);
        }
    }
    let mut needed = BTreeSet::new();
    let mut left: Vec<&'r StageRecord> = Vec::new();
    for record in records {
        if newest
            .values()
            .any(|one| one.key == record.key && one.name == record.name)
        {
            left.push(record);
        }
    }
    while let Some(record) = left.pop() {
        if !needed.insert((record.name.as_str(), record.key)) {
            continue;
        }
        for (label, digest) in &record.inputs {
            let Some(name) = label.strip_prefix("stage ") else {
                continue;
            };
            left.extend(
                records
                    .iter()
                    .filter(|one| one.name == name && one.digest().to_string() == *digest),
            );
        }
    }
    needed
}

/// The logs of results that are gone, and of runs that looked on beside another.
fn spare_log(name: &str, kept: &BTreeSet<String>) -> bool {
    if name.starts_with(super::BESIDE) {
        return true;
    }
    name.strip_suffix(".log")
        .is_some_and(|stage| names::is_place(stage) && !kept.contains(&format!("stages/{stage}")))
}

/// What a file or folder takes on the disk, in bytes; what is linked into it more than once counts once.
fn disk_usage(path: &Path) -> u64 {
    let mut seen: BTreeSet<(u64, u64)> = BTreeSet::new();
    let items: Vec<PathBuf> = WalkDir::new(path)
        .into_iter()
        .flatten()
        .map(walkdir::DirEntry::into_path)
        .collect();
    items
        .iter()
        .filter_map(|item| fs::symlink_metadata(item).ok())
        .filter(|meta| seen.insert((meta.dev(), meta.ino())))
        .map(|meta| meta.blocks() * 512)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), "a test", &mut |_| {}).unwrap();
        (dir, store)
    }

    /// A finished stage; `inputs` are what it depends on. Gives its folder's name.
    fn make(store: &Store, name: &str, started: u64, inputs: &[(&str, String)]) -> StageDir {
        let inputs: BTreeMap<String, String> = inputs
            .iter()
            .map(|(label, value)| ((*label).to_owned(), value.clone()))
            .collect();
        let key = Digest::of_fields(
            inputs
                .iter()
                .chain([(&"started".to_owned(), &started.to_string())]),
        );
        let pending = store.stages().begin(name, &key).unwrap();
        fs::write(pending.dir().join("out"), format!("{name} {key}")).unwrap();
        let record = StageRecord {
            name: name.to_owned(),
            key,
            inputs,
            outputs: pending.outputs(&[]).unwrap(),
            started,
            milliseconds: 0,
            log: None,
            contents: None,
            taken: None,
            compiler_cache: false,
        };
        store.stages().finish(pending, &record).unwrap()
    }

    fn folder(stage: &StageDir) -> String {
        stage.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn spare(store: &Store) -> Vec<String> {
        store
            .superseded()
            .unwrap()
            .into_iter()
            .map(|one| one.path)
            .collect()
    }

    #[test]
    fn a_target_never_loses_what_another_supersedes() {
        let (_dir, store) = open();
        let uses = |target: &str, stage: &StageDir| {
            let folder = folder(stage);
            store
                .record_uses(target, |uses| uses.stage(&stage.record.name, &folder))
                .unwrap();
        };
        // The other target's is the oldest of all.
        let other = make(&store, "kernel", 1, &[]);
        uses("b", &other);
        let old = make(&store, "kernel", 2, &[]);
        uses("a", &old);
        let new = make(&store, "kernel", 3, &[]);
        uses("a", &new);
        // A run that was killed before it could say what it used.
        let killed = make(&store, "lustre", 4, &[]);
        fs::write(store.logs_dir().join(format!("{}.log", folder(&old))), "x").unwrap();
        fs::write(store.logs_dir().join(format!("{}.log", folder(&new))), "x").unwrap();
        fs::write(store.logs_dir().join("prove-install.log"), "x").unwrap();
        let (old, name) = (format!("stages/{}", folder(&old)), folder(&old));
        // The log of what goes goes with it.
        assert_eq!(spare(&store), [format!("logs/{name}.log"), old]);
        for one in store.superseded().unwrap() {
            assert!(one.bytes > 0, "{one:?}");
            store.remove(&one).unwrap();
        }
        assert_eq!(spare(&store), Vec::<String>::new());
        for stage in [&other, &new, &killed] {
            assert!(stage.path.is_dir());
        }
        // Back to what it was: that is no longer superseded.
        uses("a", &other);
        uses("b", &new);
        uses("b", &other);
        assert_eq!(
            spare(&store),
            [
                format!("logs/{}.log", folder(&new)),
                format!("stages/{}", folder(&new))
            ]
        );
    }

    #[test]
    fn of_a_store_from_before_the_newest_repository_of_every_target_stays_with_all_it_was_made_of()
    {
        let (_dir, store) = open();
        let repository = |target: &str, started| {
            let kernel = make(&store, "kernel", started, &[("of", target.to_owned())]);
            let of_kernel = ("stage kernel", kernel.record.digest().to_string());
            let sign = make(&store, "sign", started + 1, &[of_kernel]);
            let of_sign = ("stage sign", sign.record.digest().to_string());
            let assemble = make(
                &store,
                "assemble",
                started + 2,
                &[of_sign, ("target", target.to_owned())],
            );
            [kernel, sign, assemble]
        };
        let (b, old, a) = (repository("b", 1), repository("a", 10), repository("a", 20));
        let broken = store.root().join("stages/kernel-0123456789abcdef");
        fs::create_dir(&broken).unwrap();
        let mut wanted: Vec<String> = old
            .iter()
            .map(|stage| format!("stages/{}", folder(stage)))
            .collect();
        wanted.push("stages/kernel-0123456789abcdef".to_owned());
        wanted.sort();
        assert_eq!(spare(&store), wanted);
        for stage in b.iter().chain(&a) {
            assert!(!wanted.contains(&format!("stages/{}", folder(stage))));
        }
    }

    #[test]
    fn downloads_and_mirrors_go_when_every_target_that_pinned_them_pins_others() {
        let (_dir, store) = open();
        let file = |text: &str| {
            store
                .insert_reader(&mut text.as_bytes(), text, None)
                .unwrap()
        };
        let (first, second, unknown) = (file("first"), file("second"), file("unknown"));
        for folder in ["one", "two"] {
            fs::create_dir(store.git_dir().join(folder)).unwrap();
        }
        let pins = |target: &str, digest: Digest, mirror: &str| {
            store
                .record_uses(target, |uses| uses.sources([digest], [mirror.to_owned()]))
                .unwrap();
        };
        pins("a", first.0, "one");
        pins("b", first.0, "one");
        pins("a", second.0, "two");
        assert_eq!(spare(&store), Vec::<String>::new());
        pins("b", second.0, "two");
        let hex = first.0.to_string();
        assert_eq!(
            spare(&store),
            [
                format!("files/sha256/{}/{hex}", &hex[..2]),
                "git/one".to_owned()
            ]
        );
        // Half of a download that a target still needs is gone on with.
        fs::write(store.partial_dir().join(second.0.to_string()), "x").unwrap();
        fs::write(store.partial_dir().join(first.0.to_string()), "x").unwrap();
        assert!(spare(&store).contains(&format!("partial/{hex}")));
        assert!(!spare(&store).contains(&format!("partial/{}", second.0)));
        assert!(unknown.1.is_file());
    }

    #[test]
    fn what_is_recorded_of_targets_names_nothing_outside_the_store() {
        let (_dir, store) = open();
        for path in [
            "../mine",
            "stages/../../mine",
            "/etc",
            "stages",
            "tmp/x",
            "targets/x",
            "",
        ] {
            assert!(!is_ours(path), "{path}");
            store
                .record_uses("a", |uses| {
                    uses.superseded.insert(path.to_owned());
                })
                .unwrap();
        }
        assert!(is_ours("stages/kernel-0123456789abcdef") && is_ours("files/sha256/ab/abc"));
        assert_eq!(spare(&store), Vec::<String>::new());
    }

    #[test]
    fn damage_is_found_by_reading_and_named() {
        let (_dir, store) = open();
        let stage = make(&store, "kernel", 1, &[]);
        let (_, file) = store
            .insert_reader(&mut &b"hello"[..], "five bytes", None)
            .unwrap();
        let store = reopened(store);
        assert_eq!(store.damage(&mut |_| {}).unwrap(), []);
        let store = reopened(store);
        // As long as it was.
        let text = fs::read_to_string(stage.path.join("out"))
            .unwrap()
            .replace("kernel", "Kernel");
        fs::write(stage.path.join("out"), text).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, "hullo").unwrap();
        let damage = store.damage(&mut |_| {}).unwrap();
        let words: Vec<String> = damage
            .iter()
            .map(|(what, why)| format!("{}: {why}", what.path))
            .collect();
        assert_eq!(words.len(), 2, "{words:?}");
        assert!(
            words[0].contains("out differs from its record"),
            "{words:?}"
        );
        assert!(
            words[1].starts_with("files/sha256/") && words[1].contains("its sha256 is"),
            "{words:?}"
        );
        for (what, _) in &damage {
            store.remove(what).unwrap();
        }
        assert_eq!(store.damage(&mut |_| {}).unwrap(), []);
    }

    /// The same store for another run, which has read nothing of it yet.
    fn reopened(store: Store) -> Store {
        let root = store.root().to_owned();
        drop(store);
        Store::open(&root, "a test", &mut |_| {}).unwrap()
    }
}
