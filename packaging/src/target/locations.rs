//! Where the repositories of a distribution are, with every variable filled, and whether they fit together.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Distribution, DistributionKernel};
use super::repositories::{BaseRepository, UnknownVariable, web};

impl Distribution {
    /// Where `repository` is, with every variable filled: each place once, in the order that they are tried.
    ///
    /// # Errors
    /// [`UnknownVariable`].
    pub fn locations(&self, repository: &BaseRepository) -> Result<Vec<String>, UnknownVariable> {
        let mut all: Vec<String> = Vec::new();
        for baseurl in repository.baseurl.all() {
            let location = self.filled(repository, baseurl)?;
            if !all.contains(&location) {
                all.push(location);
            }
        }
        Ok(all)
    }

    /// Where else a file is that was at `uri` in one of the repositories: `uri` itself first, then the same path below the other places
    /// of that repository, so that what a lock pins is found after the distribution has moved it.
    pub fn places(&self, uri: &str) -> Vec<String> {
        let mut places = vec![uri.to_owned()];
        for repository in self.repository.iter().filter(|one| one.enabled) {
            // One whose location cannot be told was refused when the target was loaded.
            let locations = self.locations(repository).unwrap_or_default();
            let path = locations.iter().find_map(|location| {
                uri.strip_prefix(location.trim_end_matches('/'))?
                    .strip_prefix('/')
            });
            for location in locations.iter().filter(|_| path.is_some()) {
                let place = format!(
                    "{}/{}",
                    location.trim_end_matches('/'),
                    path.unwrap_or_default()
                );
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    fn filled(
        &self,
        repository: &BaseRepository,
        baseurl: &str,
    ) -> Result<String, UnknownVariable> {
        let mut variables: BTreeMap<&str, &str> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        variables.insert("basearch", &self.arch);
        let mut out = String::new();
        let mut rest = baseurl;
        while let Some((before, after)) = rest.split_once('$') {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            let (name, behind) = after.split_at(end);
            let value = variables.get(name).ok_or_else(|| UnknownVariable {
                repository: repository.id.clone(),
                baseurl: baseurl.to_owned(),
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
        if self.recipe.is_some() || self.kernel != DistributionKernel::default() {
            return Err(
                "a distribution of the kind `repositories` already exists: `recipe` and [distribution.kernel] belong to the kind \
                 `rehearsal`"
                    .to_owned(),
            );
        }
        for (name, key) in &self.keys {
            key.check(&format!("distribution.keys.{name}"))?;
        }
        if !self.keys.values().any(|key| key.fingerprint == self.key) {
            return Err(format!(
                "distribution.key, {}, is not the fingerprint of any of [distribution.keys]",
                self.key
            ));
        }
        let mut ids = BTreeSet::new();
        for repository in &self.repository {
            let id = &repository.id;
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if id.is_empty() || !id.chars().all(plain) {
                return Err(format!(
                    "distribution.repository: `{id}` is not a valid repository id"
                ));
            }
            if !ids.insert(id) {
                return Err(format!("distribution.repository: two have the id `{id}`"));
            }
            for key in repository.key.all() {
                if !self.keys.contains_key(key) {
                    return Err(format!(
                        "the repository `{id}` is signed with the key `{key}`, which is not in [distribution.keys]"
                    ));
                }
            }
            for location in self.locations(repository).map_err(|e| e.to_string())? {
                web(&format!("the baseurl of the repository `{id}`"), &location)?;
            }
            repository.check_certificates()?;
        }
        for (source, what) in [(false, "binary packages"), (true, "source packages")] {
            let fits = |one: &BaseRepository| one.enabled && one.source == source;
            if !self.repository.iter().any(fits) {
                return Err(format!(
                    "[distribution.repository] has no repository with {what}"
                ));
            }
        }
        Ok(())
    }
}
