//! Git repositories: mirrors in the store, commits out of them or out of any local clone.
//!
//! git runs without the user's and the system's configuration, without prompts, and never fetches what is missing behind
//! our back. A commit's files are taken through a repository of our own that only borrows the objects, so that filters,
//! attributes and hooks of a clone do not change them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Error;
use crate::archive;
use crate::process;
use crate::store::{PathError, Store};

/// Attributes that no file has, whatever a `.gitattributes` says: `git archive` leaves nothing out and changes nothing.
const ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n";

/// git, for one source.
pub(super) struct Git<'s> {
    store: &'s Store,
    source: &'s str,
    config: PathBuf,
}

impl<'s> Git<'s> {
    pub(super) fn new(store: &'s Store, source: &'s str) -> Result<Self, Error> {
        let config = store.git_dir().join("config");
        // Only what is asked for by the command line is used as a source, whoever owns it.
        let text = "[safe]\n\tdirectory = *\n[gc]\n\tauto = 0\n[core]\n\tfsmonitor = false\n\thooksPath = /dev/null\n";
        if fs::read_to_string(&config).ok().as_deref() != Some(text) {
            fs::write(&config, text).map_err(|source| PathError::new("write", &config, source))?;
        }
        Ok(Self {
            store,
            source,
            config,
        })
    }

    /// git, isolated from its surroundings.
    fn command(&self) -> Command {
        let mut command = process::command("git");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GIT_") {
                command.env_remove(name);
            }
        }
        command
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", &self.config)
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("LC_ALL", "C");
        command
    }

    fn at(&self, repository: &Path) -> Command {
        let mut command = self.command();
        command.arg("-C").arg(repository);
        command
    }

    fn run(&self, command: &mut Command) -> Result<String, Error> {
        let out = process::output(command).map_err(|source| Error::Tool {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        Ok(String::from_utf8_lossy(&out).trim_end().to_owned())
    }

    /// Whether `path` is the top of a git repository, bare or not.
    pub(super) fn is_repository(path: &Path) -> bool {
        path.join(".git").exists()
            || ["HEAD", "objects", "refs"]
                .iter()
                .all(|part| path.join(part).exists())
    }

    /// The commit that a revision of a repository names; `None` where it has none.
    pub(super) fn commit(&self, repository: &Path, rev: &str) -> Option<String> {
        let name = format!("{rev}^{{commit}}");
        let mut command = self.at(repository);
        command.args([
            "rev-parse",
            "--quiet",
            "--verify",
            "--end-of-options",
            &name,
        ]);
        self.run(&mut command)
            .ok()
            .filter(|commit| !commit.is_empty())
    }

    /// The name that the repository's annotated release tags, those that begin with a digit, give a commit: `2.17.0`, or
    /// `2.17.0-12-gabcdef0` for the twelfth commit after it.
    pub(super) fn describe(&self, repository: &Path, commit: &str) -> Option<String> {
        let mut command = self.at(repository);
        command.args(["describe", "--match", "[0-9]*", "--abbrev=7", commit]);
        self.run(&mut command).ok().filter(|name| !name.is_empty())
    }

    /// The text of a file of a commit, where it has one of that path.
    pub(super) fn text(&self, repository: &Path, commit: &str, file: &str) -> Option<String> {
        let mut command = self.at(repository);
        command.args(["cat-file", "blob", &format!("{commit}:{file}")]);
        self.run(&mut command).ok()
    }

    /// The content of an annotated tag: what it names, its message, and its signature where it has one. None for a tag that is only a
    /// name.
    pub(super) fn tag_object(&self, repository: &Path, tag: &str) -> Option<Vec<u8>> {
        let mut command = self.at(repository);
        command.args(["cat-file", "tag", &format!("refs/tags/{tag}")]);
        process::output(&mut command).ok()
    }

    /// The commit's time in seconds since 1970.
    pub(super) fn time(&self, repository: &Path, commit: &str) -> Result<u64, Error> {
        let mut command = self.at(repository);
        command.args(["show", "--no-patch", "--format=%ct", commit]);
        let text = self.run(&mut command)?;
        text.parse()
            .map_err(|_| self.invalid(format!("the commit {commit} has no time: `{text}`")))
    }

    /// What is changed and not committed in a work tree, ignored files aside.
    pub(super) fn changes(&self, repository: &Path) -> Result<Vec<String>, Error> {
        let mut command = self.at(repository);
        command.args(["rev-parse", "--is-bare-repository"]);
        if self.run(&mut command)? == "true" {
            return Ok(Vec::new());
        }
        let mut command = self.at(repository);
        command.args(["status", "--porcelain", "--no-renames"]);
        Ok(self.run(&mut command)?.lines().map(str::to_owned).collect())
    }

    /// Paths of a work tree that git knows or would add, relative to it.
    pub(super) fn files(&self, tree: &Path) -> Result<Vec<PathBuf>, Error> {
        use std::os::unix::ffi::OsStringExt;
        let mut command = self.at(tree);
        command.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]);
        let out = process::output(&mut command).map_err(|source| Error::Tool {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        let names: BTreeSet<PathBuf> = out
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty())
            .map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.to_vec())))
            .collect();
        Ok(names.into_iter().collect())
    }

    /// The commit that a tag names at a URL.
    pub(super) fn remote_tag(&self, url: &str, tag: &str) -> Result<String, Error> {
        let name = format!("refs/tags/{tag}");
        let peeled = format!("{name}^{{}}");
        let mut command = self.command();
        command.args(["ls-remote", "--", url, &name, &peeled]);
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
                repository: super::url::shown(url),
                what: format!("tag {tag}"),
                hint: "`git ls-remote --tags` lists those it has".to_owned(),
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
        self.store
            .git_dir()
            .join(super::url::folder_name(self.source, url))
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
        let fetch = |arguments: &[&str]| {
            let mut command = self.at(mirror);
            command.args(["fetch", "--quiet", "--no-tags", "--no-auto-gc"]);
            command.args(arguments);
            self.run(&mut command)
        };
        let alone = fetch(&["--depth=1", "--", place, &one]);
        if alone.is_err() {
            let all = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
            // The first error is about the commit itself, and the one to tell.
            fetch(&["--", place, all[0], all[1]]).or(alone)?;
        }
        // Named, so that no clean-up of git's takes it.
        if self.commit(mirror, commit).is_some() {
            self.run(self.at(mirror).args(["update-ref", &pin, commit]))?;
        }
        Ok(())
    }

    /// A repository of our own that borrows the objects of another.
    fn borrow(&self, repository: &Path) -> Result<crate::store::TempDir, Error> {
        let mut command = self.at(repository);
        command.args([
            "rev-parse",
            "--path-format=absolute",
            "--git-path",
            "objects",
        ]);
        let objects = self.run(&mut command)?;
        let mut command = self.at(repository);
        command.args(["rev-parse", "--show-object-format"]);
        let format = self.run(&mut command)?;
        let own = self.store.temp_dir("git")?;
        let mut command = self.command();
        command
            .args(["init", "--quiet", "--bare"])
            .arg(format!("--object-format={format}"))
            .arg(own.path());
        self.run(&mut command)?;
        for (name, text) in [
            ("objects/info/alternates", format!("{objects}\n")),
            ("info/attributes", ATTRIBUTES.to_owned()),
        ] {
            let path = own.path().join(name);
            fs::create_dir_all(path.parent().unwrap_or(&path))
                .and_then(|()| fs::write(&path, text))
                .map_err(|source| PathError::new("write", &path, source))?;
        }
        Ok(own)
    }

    /// What of a commit's tree a repository lacks: files by path, submodules.
    pub(super) fn missing(&self, repository: &Path, commit: &str) -> Result<Vec<String>, Error> {
        let own = self.borrow(repository)?;
        let mut command = self.at(own.path());
        command.args([
            "rev-list",
            "--objects",
            "--no-walk",
            "--missing=print",
            commit,
        ]);
        let listed = self.run(&mut command)?;
        let lost: BTreeSet<&str> = listed
            .lines()
            .filter_map(|line| line.strip_prefix('?'))
            .collect();
        let mut command = self.at(own.path());
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let Ok(tree) = process::output(&mut command) else {
            // A folder's own list is missing: only ids are known.
            return Ok(lost.iter().map(|id| format!("object {id}")).collect());
        };
        let mut missing = Vec::new();
        for line in tree.split(|byte| *byte == 0) {
            let line = String::from_utf8_lossy(line);
            let Some((what, path)) = line.split_once('\t') else {
                continue;
            };
            match what.split(' ').collect::<Vec<_>>()[..] {
                [_, "commit", _] => missing.push(path.to_owned()),
                [_, _, id] if lost.contains(id) => missing.push(path.to_owned()),
                _ => {}
            }
        }
        Ok(missing)
    }

    /// Writes the files of a commit, without those `missing`, into `into`, a folder that is empty or not there. All get the
    /// commit's time.
    pub(super) fn export(
        &self,
        repository: &Path,
        commit: &str,
        missing: &[String],
        into: &Path,
    ) -> Result<(), Error> {
        let own = self.borrow(repository)?;
        let tar = own.path().join("tree.tar");
        let mut command = self.at(own.path());
        command
            .args(["archive", "--format=tar", "--output"])
            .arg(&tar)
            .args([commit, "--", "."])
            .args(
                missing
                    .iter()
                    .map(|path| format!(":(top,exclude,literal){path}")),
            );
        self.run(&mut command)?;
        archive::unpack(&tar, into, 0).map_err(|source| Error::Archive {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        Ok(())
    }

    fn invalid(&self, why: String) -> Error {
        Error::Invalid {
            source_name: self.source.to_owned(),
            why,
        }
    }
}
