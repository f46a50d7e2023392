//! What each target uses of a store, and what it used before: `targets/NAME.json`. Several targets share a store, and what one of them has
//! superseded may be what another needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Digest, Error, PathError, Store};

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
    /// What it used before, and something else took the place of.
    pub superseded: BTreeSet<String>,
}

impl Uses {
    /// The target uses the folder `folder` of `stages/` for the stage `name`.
    pub fn stage(&mut self, name: &str, folder: &str) {
        let path = format!("stages/{folder}");
        self.superseded.remove(&path);
        if let Some(before) = self.stages.insert(name.to_owned(), path.clone())
            && before != path
        {
            self.superseded.insert(before);
        }
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
        self.stages.values().chain(&self.files).chain(&self.git)
    }
}

impl Store {
    fn uses_place(&self, target: &str) -> PathBuf {
        let name = Digest::of_bytes(target.as_bytes()).short();
        self.root().join("targets").join(format!("{name}.json"))
    }

    /// Changes what is recorded of `target`; nothing is written where nothing changed.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn record_uses(&self, target: &str, change: impl FnOnce(&mut Uses)) -> Result<(), Error> {
        let path = self.uses_place(target);
        let before: Option<Uses> = lustre_files::read(&path, lustre_files::SOURCE)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let mut uses = before.clone().unwrap_or_default();
        uses.target = target.to_owned();
        change(&mut uses);
        if before.as_ref() == Some(&uses) {
            return Ok(());
        }
        let failed = |source| PathError::new("write", &path, source);
        // Names and paths can always be said.
        let mut text = serde_json::to_string_pretty(&uses).unwrap_or_default();
        text.push('\n');
        let mut file = tempfile::NamedTempFile::new_in(self.tmp_dir()).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }

    /// What is recorded of all targets.
    ///
    /// # Errors
    /// When one of them cannot be read: then nothing is known to be superseded.
    pub fn all_uses(&self) -> Result<Vec<Uses>, Error> {
        let folder = self.root().join("targets");
        let mut all = Vec::new();
        for item in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = item.path();
            let text = lustre_files::read(&path, lustre_files::SOURCE)
                .map_err(|source| PathError::new("read", &path, source))?;
            let uses =
                serde_json::from_slice(&text).map_err(|source| Error::Record { path, source })?;
            all.push(uses);
        }
        Ok(all)
    }
}
