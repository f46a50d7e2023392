//! What was seen of a target's repositories the last time: `watch/DIGEST.json` in the store.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use lustre_files::Aside;
use lustre_packaging::resolve::RepositoryState;
use lustre_packaging::store::{Digest, Store};
use serde::{Deserialize, Serialize};

/// The format's version.
const FORMAT: u32 = 1;

/// What was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    format: u32,
    /// The target, as the command line names it.
    pub target: String,
    /// The kernel that was locked then.
    pub locked: String,
    /// The newer kernels that were told.
    pub told: Vec<String>,
    /// The repositories, by their ids.
    pub repositories: BTreeMap<String, RepositoryState>,
}

impl State {
    /// Nothing was seen of `target` yet, whose lock pins the kernel `locked`.
    pub fn new(target: &str, locked: &str) -> Self {
        Self {
            format: FORMAT,
            target: target.to_owned(),
            locked: locked.to_owned(),
            ..Self::default()
        }
    }

    /// What was seen of `target`, as long as its lock pins the kernel `locked`: for another, something else is new.
    ///
    /// One that is damaged, or of another version of the tool, says nothing.
    pub fn read(store: &Store, target: &str, locked: &str) -> anyhow::Result<Self> {
        let path = place(store, target);
        let text = lustre_files::if_there(lustre_files::read(&path, lustre_files::TEXT))
            .with_context(|| path.display().to_string())?;
        let read = text.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        let wanted = |state: &Self| {
            state.format == FORMAT && state.target == target && state.locked == locked
        };
        Ok(read
            .filter(wanted)
            .unwrap_or_else(|| Self::new(target, locked)))
    }

    /// Writes it whole or not at all.
    pub fn write(&self, store: &Store) -> anyhow::Result<()> {
        let path = place(store, &self.target);
        let folder = store.watch_dir();
        let write = || -> anyhow::Result<()> {
            std::fs::create_dir_all(&folder)?;
            let mut file = Aside::new(store.tmp_dir())?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.write_all(b"\n")?;
            file.put(&path)?;
            Ok(())
        };
        write().with_context(|| path.display().to_string())
    }
}

fn place(store: &Store, target: &str) -> PathBuf {
    let name = Digest::of_bytes(target.as_bytes()).short();
    store.watch_dir().join(format!("{name}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_counts_for_the_same_lock_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        let mut state = State::new("site", "5-1");
        state.told.push("5-2".to_owned());
        state.write(&store).unwrap();
        assert_eq!(State::read(&store, "site", "5-1").unwrap(), state);
        for (target, locked) in [("site", "5-2"), ("other", "5-1")] {
            let read = State::read(&store, target, locked).unwrap();
            assert_eq!(read, State::new(target, locked));
        }
        std::fs::write(place(&store, "site"), "{\"format\": 1").unwrap();
        let read = State::read(&store, "site", "5-1").unwrap();
        assert_eq!(read, State::new("site", "5-1"));
    }
}
