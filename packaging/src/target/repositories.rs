//! The repositories of a distribution that is there already: where they are, and which keys sign them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::check::{fingerprint, inside};
use super::model::Distribution;

/// One repository of a distribution, as dnf knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseRepository {
    /// Its id.
    pub id: String,
    /// Where it is: a URL, with `$NAME` for the distribution's variables and `$basearch`.
    pub baseurl: String,
    /// True for one that has source packages.
    #[serde(default)]
    pub source: bool,
    /// The name of the key that signs its packages, in the distribution's `keys`.
    pub key: String,
    /// True where that key signs the metadata as well (`repomd.xml.asc`). Otherwise only the signatures of the packages say where
    /// they are from, and nothing says that the metadata is of today.
    pub signed_metadata: bool,
    /// What it is needed for.
    pub why: String,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// Its fingerprint, 40 upper-case hexadecimal digits: what counts, wherever the key is from.
    pub fingerprint: String,
    /// Its file under `specs/`. Where it is not there, it is fetched once.
    pub file: String,
    /// Where the distribution publishes it.
    pub url: String,
}

impl KeyFile {
    /// What has to hold of the key that stands at `place` in a target.
    pub(super) fn check(&self, place: &str) -> Result<(), String> {
        fingerprint(&format!("{place}.fingerprint"), &self.fingerprint)?;
        inside(&format!("{place}.file"), &self.file)?;
        web(&format!("{place}.url"), &self.url)
    }
}

/// A location that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the baseurl `{baseurl}` of the repository `{repository}` has `${variable}` in it, which is none of the distribution's \
     variables ({})", known.join(", ")
)]
pub struct UnknownVariable {
    /// The repository.
    pub repository: String,
    /// Its baseurl.
    pub baseurl: String,
    /// The name behind the `$`.
    pub variable: String,
    /// The variables there are.
    pub known: Vec<String>,
}

impl Distribution {
    /// Where `repository` is, with every variable filled.
    ///
    /// # Errors
    /// [`UnknownVariable`].
    pub fn location(&self, repository: &BaseRepository) -> Result<String, UnknownVariable> {
        let mut variables: BTreeMap<&str, &str> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        variables.insert("basearch", &self.arch);
        let mut out = String::new();
        let mut rest = repository.baseurl.as_str();
        while let Some((before, after)) = rest.split_once('$') {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            let value = variables.get(name).ok_or_else(|| UnknownVariable {
                repository: repository.id.clone(),
                baseurl: repository.baseurl.clone(),
                variable: name.to_owned(),
                known: variables.keys().map(|&name| name.to_owned()).collect(),
            })?;
            out.push_str(before);
            out.push_str(value);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }

    /// What has to hold of the kind `repositories`.
    pub(super) fn check_repositories(&self) -> Result<(), String> {
        if !self.recipe.is_empty() || !self.kernel.spec.is_empty() {
            return Err(
                "a distribution of the kind `repositories` is there already: `recipe` and [distribution.kernel] belong to the \
                 kind `rehearsal`"
                    .to_owned(),
            );
        }
        for (name, key) in &self.keys {
            key.check(&format!("distribution.keys.{name}"))?;
        }
        if !self.keys.values().any(|key| key.fingerprint == self.key) {
            return Err(format!(
                "distribution.key, {}, is the fingerprint of none of [distribution.keys]",
                self.key
            ));
        }
        let mut ids = BTreeSet::new();
        for repository in &self.repository {
            let id = &repository.id;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.is_empty() || !id.chars().all(plain) {
                return Err(format!("distribution.repository: `{id}` is no id for dnf"));
            }
            if !ids.insert(id) {
                return Err(format!("distribution.repository: two have the id `{id}`"));
            }
            if !self.keys.contains_key(&repository.key) {
                return Err(format!(
                    "the repository `{id}` is signed with the key `{}`, which is not in [distribution.keys]",
                    repository.key
                ));
            }
            let location = self.location(repository).map_err(|e| e.to_string())?;
            web(&format!("the baseurl of the repository `{id}`"), &location)?;
        }
        for (source, what) in [(false, "binary packages"), (true, "source packages")] {
            if !self.repository.iter().any(|one| one.source == source) {
                return Err(format!(
                    "[[distribution.repository]] names none with {what}"
                ));
            }
        }
        Ok(())
    }
}

fn web(what: &str, url: &str) -> Result<(), String> {
    if url.starts_with("https://") {
        return Ok(());
    }
    Err(format!(
        "{what} is an https URL, not `{url}`; another location is given with --mirror"
    ))
}
