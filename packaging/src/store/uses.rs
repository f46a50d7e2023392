//! What one target uses of a store.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Digest;

/// What one target uses. Things are named by their paths in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uses {
    /// The target, as the command line names it.
    pub target: String,
    /// The folder of every stage, by the stage's name, as of the last run that needed it.
    pub stages: BTreeMap<String, String>,
    /// The files that its lock pins.
    pub files: BTreeSet<String>,
    /// The git mirrors that its trees are in.
    pub git: BTreeSet<String>,
    /// The folders of the stages that its runs have begun and not ended: a run may be killed when one is finished and not yet recorded.
    #[serde(default)]
    pub begun: BTreeMap<String, String>,
    /// What it used before, and something else took the place of.
    pub superseded: BTreeSet<String>,
}

impl Uses {
    /// A run makes the folder `folder` of `stages/` for the stage `name`, which will be the target's when it is finished.
    pub fn begins(&mut self, name: &str, folder: &str) {
        let path = format!("stages/{folder}");
        if let Some(before) = self.begun.insert(name.to_owned(), path.clone())
            && before != path
        {
            // Of a run that was killed: it may be there, and nothing has taken it.
            self.superseded.insert(before);
        }
        self.superseded.remove(&path);
    }

    /// The target uses the folder `folder` of `stages/` for the stage `name`.
    pub fn stage(&mut self, name: &str, folder: &str) {
        if let Some(begun) = self.begun.remove(name)
            && !begun.ends_with(&format!("/{folder}"))
        {
            self.superseded.insert(begun);
        }
        let path = format!("stages/{folder}");
        self.superseded.remove(&path);
        if let Some(before) = self.stages.insert(name.to_owned(), path.clone())
            && before != path
        {
            self.superseded.insert(before);
        }
    }

    /// Whether all of what [`Uses::stage`] records is so.
    pub(super) fn is_stage(&self, name: &str, folder: &str) -> bool {
        let path = format!("stages/{folder}");
        self.stages.get(name) == Some(&path)
            && !self.begun.contains_key(name)
            && !self.superseded.contains(&path)
    }

    /// The target's lock pins these files, and its trees are in these folders of `git/`.
    pub fn sources(
        &mut self,
        files: impl IntoIterator<Item = Digest>,
        git: impl IntoIterator<Item = String>,
    ) {
        let files = files.into_iter().map(|digest| {
            let hex = digest.to_string();
            format!("files/sha256/{}/{hex}", &hex[..2])
        });
        let git = git.into_iter().map(|folder| format!("git/{folder}"));
        for (now, new) in [
            (&mut self.files, files.collect::<BTreeSet<_>>()),
            (&mut self.git, git.collect()),
        ] {
            self.superseded.extend(now.difference(&new).cloned());
            *now = new;
        }
        let (files, git) = (&self.files, &self.git);
        self.superseded
            .retain(|path| !files.contains(path) && !git.contains(path));
    }

    /// All that it uses now.
    pub fn current(&self) -> impl Iterator<Item = &String> {
        let stages = self.stages.values().chain(self.begun.values());
        stages.chain(&self.files).chain(&self.git)
    }
}
