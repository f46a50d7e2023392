//! Mirrors of repositories in the store, and what they are fetched from.

use std::fs;
use std::path::{Path, PathBuf};

use lustre_files::shown_url;

use super::Error;
use super::alternates::{Alternates, is_repository};
use super::git_command::Git;
use crate::store::PathError;

/// The folder in the store's `git/` of the mirror of `url` for the source `source`.
pub fn mirror_folder(source: &str, url: &str) -> String {
    super::url::folder_name(source, url).display().to_string()
}

impl Git<'_> {
    /// What git is to fetch from: a local repository by way of one that borrows from it, so that none of its settings count.
    fn source_of(&self, place: &str) -> Result<(String, Option<Alternates>), Error> {
        if !place.starts_with('/') {
            return Ok((place.to_owned(), None));
        }
        // As git has it: a repository may be named without its suffix.
        let found = [place.to_owned(), format!("{place}.git")]
            .into_iter()
            .find(|path| is_repository(Path::new(path)));
        let Some(found) = found else {
            return Err(self.invalid(format!("{place} is not a git repository")));
        };
        let borrowed = Alternates::new(self, Path::new(&found))?;
        Ok((borrowed.path().display().to_string(), Some(borrowed)))
    }

    /// The commit that a tag names at a URL.
    pub(super) fn remote_tag(&self, url: &str, tag: &str) -> Result<String, Error> {
        let name = format!("refs/tags/{tag}");
        let peeled = format!("{name}^{{}}");
        let (from, _held) = self.source_of(url)?;
        let mut command = self.command();
        command.args(["ls-remote", "--", &from, &name, &peeled]);
        let listed = self.run(&mut command)?;
        // An annotated tag has two lines; the one with `^{}` is the commit.
        let find = |wanted: &str| {
            listed
                .lines()
                .filter_map(|line| line.split_once('\t'))
                .find(|(_, found)| *found == wanted)
                .map(|(id, _)| id.to_owned())
        };
        find(&peeled)
            .or_else(|| find(&name))
            .ok_or_else(|| Error::NoRevision {
                source_name: self.source.to_owned(),
                repository: shown_url(url),
                what: format!("tag {tag}"),
                hint: "`git ls-remote --tags` lists its tags".to_owned(),
            })
    }

    /// The store's mirror for `url`, made where it is missing.
    pub(super) fn mirror(&self, url: &str) -> Result<PathBuf, Error> {
        let path = self.mirror_path(url);
        if !path.exists() {
            let temp = self.store.temp_dir("git")?;
            self.run(
                self.command()
                    .args(["init", "--quiet", "--bare"])
                    .arg(temp.path()),
            )?;
            fs::rename(temp.path(), &path)
                .map_err(|source| PathError::new("rename to", &path, source))?;
            temp.keep();
        }
        // Left by a git that was killed; no other run is here, because the store is locked.
        for lock in [
            "shallow.lock",
            "packed-refs.lock",
            "config.lock",
            "HEAD.lock",
        ] {
            let _ = fs::remove_file(path.join(lock));
        }
        Ok(path)
    }

    pub(super) fn mirror_path(&self, url: &str) -> PathBuf {
        self.store.git_dir().join(mirror_folder(self.source, url))
    }

    /// Fetches a commit, by its tag or by its id, from `place` into `mirror`: alone where the server gives it, otherwise with
    /// all branches and tags.
    pub(super) fn fetch(
        &self,
        mirror: &Path,
        place: &str,
        tag: Option<&str>,
        commit: &str,
    ) -> Result<(), Error> {
        let pin = format!("refs/pins/{commit}");
        let one = match tag {
            Some(tag) => format!("+refs/tags/{tag}:refs/tags/{tag}"),
            None => format!("+{commit}:{pin}"),
        };
        let (from, _held) = self.source_of(place)?;
        let fetch = |arguments: &[&str]| {
            let mut command = self.at(mirror);
            command.args(["fetch", "--quiet", "--no-tags", "--no-auto-gc"]);
            command.arg("--no-recurse-submodules");
            command.args(arguments);
            self.run(&mut command)
        };
        let alone = fetch(&["--depth=1", "--", &from, &one]);
        if alone.is_err() {
            let all = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
            // The first error is about the commit itself, and the one to tell.
            fetch(&["--", &from, all[0], all[1]]).or(alone)?;
        }
        // Named, so that no clean-up of git's takes it.
        if self.commit(mirror, commit)?.is_some() {
            self.run(self.at(mirror).args(["update-ref", &pin, commit]))?;
        }
        Ok(())
    }
}
