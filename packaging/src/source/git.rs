//! Git repositories: mirrors in the store, commits out of them or out of any local clone.
//!
//! git runs without the user's and the system's configuration, without prompts, and never fetches what is missing behind
//! our back. It is never run in a repository that is not our own, whoever owns that: what such a one has in its configuration can
//! start any program. Its objects are borrowed by a repository of our own, which has copies of its references (`borrowed`).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::Error;
use super::alternates::{Alternates, is_repository};
use super::git_command::Git;
use crate::archive;
use crate::process;
use crate::store::PathError;

/// The folder in the store's `git/` of the mirror of `url` for the source `source`.
pub fn mirror_folder(source: &str, url: &str) -> String {
    super::url::folder_name(source, url).display().to_string()
}

/// A repository in which git may run.
pub(super) enum Opened<'r> {
    /// A mirror in the store.
    Ours(&'r Path),
    Alternates(Alternates),
}

impl Opened<'_> {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Ours(path) => path,
            Self::Alternates(borrowed) => borrowed.path(),
        }
    }
}

impl Git<'_> {
    /// A repository to run git in: `repository` itself where it is the store's, otherwise one that borrows from it.
    pub(super) fn open<'r>(&self, repository: &'r Path) -> Result<Opened<'r>, Error> {
        if repository.starts_with(self.store.git_dir()) {
            return Ok(Opened::Ours(repository));
        }
        Alternates::new(self, repository).map(Opened::Alternates)
    }

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

    /// The commit that a revision of a repository names; `None` where it has none.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(super) fn commit(&self, repository: &Path, rev: &str) -> Result<Option<String>, Error> {
        let name = format!("{rev}^{{commit}}");
        if !repository.exists() {
            return Ok(None);
        }
        let opened = self.open(repository)?;
        let mut command = self.at(opened.path());
        command.args([
            "rev-parse",
            "--quiet",
            "--verify",
            "--end-of-options",
            &name,
        ]);
        match process::output(&mut command) {
            Ok(commit) => {
                let commit = String::from_utf8_lossy(&commit).trim_end().to_owned();
                Ok(Some(commit).filter(|commit| !commit.is_empty()))
            }
            // So it says, without a word, that there is none.
            Err(process::Error::Output { status, stderr, .. })
                if status.code() == Some(1) && stderr.is_empty() =>
            {
                Ok(None)
            }
            Err(source) => Err(Error::Tool {
                source_name: self.source.to_owned(),
                source: Box::new(source),
            }),
        }
    }

    /// The name that the repository's annotated release tags, those that begin with a digit, give a commit: `2.17.0`, or
    /// `2.17.0-12-gabcdef0` for the twelfth commit after it.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(super) fn describe(
        &self,
        repository: &Path,
        commit: &str,
    ) -> Result<Option<String>, Error> {
        let opened = self.open(repository)?;
        // A tag whose content is missing would be passed over.
        let mut tags = self.at(opened.path());
        tags.args(["for-each-ref", "--format=%(objecttype)", "refs/tags/[0-9]*"]);
        self.run(&mut tags)?;
        let mut command = self.at(opened.path());
        command.args(["describe", "--match", "[0-9]*", "--abbrev=7", commit]);
        let Ok(name) = self.run(&mut command) else {
            // It says the same of a history without a tag and of one that it cannot follow.
            let mut history = self.at(opened.path());
            history.args(["rev-list", "--count", commit, "--"]);
            self.run(&mut history)?;
            return Ok(None);
        };
        Ok(Some(name).filter(|name| !name.is_empty()))
    }

    /// The text of a file of a commit, where it has one of that path.
    ///
    /// # Errors
    /// When the repository cannot be read.
    pub(super) fn text(
        &self,
        repository: &Path,
        commit: &str,
        file: &str,
    ) -> Result<Option<String>, Error> {
        let opened = self.open(repository)?;
        let mut command = self.at(opened.path());
        command.args(["ls-tree", "-z", "--full-tree", commit, "--", file]);
        let listed = self.run(&mut command)?;
        // `MODE TYPE ID<tab>PATH`
        let found = listed.split_once('\t').map(|(what, _)| what);
        let fields: Vec<&str> = found.unwrap_or_default().split(' ').collect();
        let [_, "blob", id] = fields[..] else {
            return Ok(None);
        };
        self.check_file(opened.path(), (repository, commit), file)?;
        let mut command = self.at(opened.path());
        command.args(["cat-file", "blob", id]);
        self.run(&mut command).map(Some)
    }

    /// The content of an annotated tag: what it names, its message, and its signature where it has one. None for a tag that is only a
    /// name.
    ///
    /// # Errors
    /// When the repository, or what the tag names, cannot be read.
    pub(super) fn tag_object(
        &self,
        repository: &Path,
        tag: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let opened = self.open(repository)?;
        let name = format!("refs/tags/{tag}");
        let mut command = self.at(opened.path());
        command.args(["rev-parse", "--quiet", "--verify", "--end-of-options"]);
        let done = process::capture(command.arg(&name)).map_err(|source| Error::Tool {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        if !done.status.success() {
            // Of a tag that is not there it says nothing, of one that is damaged it does.
            if done.status.code() == Some(1) && done.stderr.is_empty() {
                return Ok(None);
            }
            let said = String::from_utf8_lossy(&done.stderr);
            let place = repository.display();
            return Err(self.invalid(format!(
                "git cannot read {name} in {place} ({}): {}",
                done.status,
                said.trim()
            )));
        }
        let id = String::from_utf8_lossy(&done.stdout).trim_end().to_owned();
        let kind = self.run(self.at(opened.path()).args(["cat-file", "-t", &id]))?;
        if kind != "tag" {
            return Ok(None);
        }
        let mut command = self.at(opened.path());
        command.args(["cat-file", "tag", &id]);
        self.bytes(&mut command, &[]).map(Some)
    }

    /// The commit's time in seconds since 1970.
    pub(super) fn time(&self, repository: &Path, commit: &str) -> Result<u64, Error> {
        let opened = self.open(repository)?;
        let mut command = self.at(opened.path());
        command.args([
            "log",
            "--max-count=1",
            "--no-patch",
            "--format=%ct",
            commit,
            "--",
        ]);
        let text = self.run(&mut command)?;
        text.parse()
            .map_err(|_| self.invalid(format!("the commit {commit} has no time: `{text}`")))
    }

    /// What is changed and not committed in a work tree, ignored files aside.
    pub(super) fn changes(&self, repository: &Path) -> Result<Vec<String>, Error> {
        if !repository.join(".git").exists() {
            return Ok(Vec::new());
        }
        let borrowed = Alternates::with_index(self, repository)?;
        let mut command = self.at(borrowed.path());
        command
            .arg("--work-tree")
            .arg(repository)
            // Asking a submodule would be running git in it.
            .args([
                "status",
                "--porcelain",
                "--no-renames",
                "--ignore-submodules=all",
            ])
            .current_dir(repository);
        Ok(self.run(&mut command)?.lines().map(str::to_owned).collect())
    }

    /// Paths of a work tree that git knows or would add, relative to it.
    pub(super) fn files(&self, tree: &Path) -> Result<Vec<PathBuf>, Error> {
        use std::os::unix::ffi::OsStringExt;
        let borrowed = Alternates::with_index(self, tree)?;
        let mut command = self.at(borrowed.path());
        command
            .arg("--work-tree")
            .arg(tree)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .current_dir(tree);
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
                repository: super::url::shown(url),
                what: format!("tag {tag}"),
                hint: "`git ls-remote --tags` lists its tags".to_owned(),
            })
    }

    /// The store's mirror for `url`, made where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
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

    /// What of a commit's tree a repository lacks: files by path, submodules.
    pub(super) fn missing(&self, repository: &Path, commit: &str) -> Result<Vec<String>, Error> {
        let own = Alternates::for_export(self, repository)?;
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

    /// The paths of all files of a commit, also of those whose content is missing.
    pub(super) fn paths(&self, repository: &Path, commit: &str) -> Result<Vec<PathBuf>, Error> {
        use std::os::unix::ffi::OsStringExt;
        let opened = self.open(repository)?;
        let lines = self.entries(opened.path(), commit)?;
        let path = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let name = std::ffi::OsString::from_vec(line[tab + 1..].to_vec());
            Some(PathBuf::from(name))
        };
        Ok(lines.iter().filter_map(|line| path(line)).collect())
    }

    /// `MODE TYPE ID<tab>PATH` of every file of a commit in a repository of our own.
    fn entries(&self, repository: &Path, commit: &str) -> Result<Vec<Vec<u8>>, Error> {
        let mut command = self.at(repository);
        command.args(["ls-tree", "-r", "-z", "--full-tree", commit]);
        let out = self.bytes(&mut command, &[])?;
        let lines = out.split(|byte| *byte == 0);
        Ok(lines
            .filter(|line| !line.is_empty())
            .map(<[u8]>::to_vec)
            .collect())
    }

    /// Writes those files of a commit that `takes` wants, without those `missing`, into `into`, a folder that is empty or not there. All
    /// get the commit's time. Of the commit no other file is read.
    pub(super) fn export_only(
        &self,
        repository: &Path,
        commit: &str,
        missing: &[String],
        into: &Path,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        let own = Alternates::for_export(self, repository)?;
        let tar = own.path().join("tree.tar");
        self.part(&own, (repository, commit), missing, "", &tar, takes)?;
        archive::unpack(&tar, into, 0).map_err(|source| Error::Archive {
            source_name: self.source.to_owned(),
            source: Box::new(source),
        })?;
        Ok(())
    }

    /// The same files as a tar archive at `out`, every path behind `prefix`.
    pub(super) fn archive_only(
        &self,
        repository: &Path,
        commit: &str,
        missing: &[String],
        prefix: &str,
        out: &Path,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        let own = Alternates::for_export(self, repository)?;
        self.part(&own, (repository, commit), missing, prefix, out, takes)
    }

    fn part(
        &self,
        own: &Alternates,
        (repository, commit): (&Path, &str),
        missing: &[String],
        prefix: &str,
        tar: &Path,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        use std::os::unix::ffi::OsStrExt;
        let time = self.time(repository, commit)?;
        let missing: BTreeSet<&[u8]> = missing.iter().map(|path| path.as_bytes()).collect();
        self.check_tree(own.path(), (repository, commit), &missing, takes)?;
        let mut wanted = Vec::new();
        for line in self.entries(own.path(), commit)? {
            let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let path = &line[tab + 1..];
            let taken = takes(Path::new(std::ffi::OsStr::from_bytes(path)));
            if taken && !missing.contains(path) {
                wanted.extend_from_slice(&line);
                wanted.push(0);
            }
        }
        let mut command = self.at(own.path());
        command.args(["update-index", "-z", "--index-info"]);
        self.bytes(&mut command, &wanted)?;
        let tree = self.run(self.at(own.path()).args(["write-tree", "--missing-ok"]))?;
        // The archive of a commit has the commit's time, that of a tree the time of the day.
        let mut command = self.at(own.path());
        command.args(["commit-tree", "-m", "part", &tree]);
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "part")
                .env(format!("GIT_{who}_EMAIL"), "")
                .env(format!("GIT_{who}_DATE"), format!("@{time} +0000"));
        }
        let part = self.run(&mut command)?;
        let mut command = self.at(own.path());
        command
            .args([
                "archive",
                "--format=tar",
                &format!("--prefix={prefix}"),
                "--output",
            ])
            .arg(tar)
            .arg(&part);
        self.run(&mut command)?;
        Ok(())
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
        let own = Alternates::for_export(self, repository)?;
        let lost = missing.iter().map(|path| path.as_bytes()).collect();
        self.check_tree(own.path(), (repository, commit), &lost, &|_| true)?;
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_revision_that_cannot_be_read_is_not_taken_for_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        let git = Git::new(&store, "lustre");
        let repository = dir.path().join("clone");
        let run = |arguments: &[&str]| {
            let mut command = git.command();
            command.arg("-C").arg(&repository).args(arguments);
            git.run(&mut command).unwrap()
        };
        std::fs::create_dir(&repository).unwrap();
        run(&["init", "-q"]);
        let somebody = ["-c", "user.name=a", "-c", "user.email=a@b"];
        run(&[&somebody[..], &["commit", "-q", "--allow-empty", "-m", "a"]].concat());
        let head = run(&["rev-parse", "HEAD"]);
        assert_eq!(git.commit(&repository, "HEAD").unwrap(), Some(head.clone()));
        for absent in ["v1", "refs/tags/v1", &"1".repeat(head.len())] {
            assert_eq!(git.commit(&repository, absent).unwrap(), None, "{absent}");
        }
        let object = repository.join(format!(".git/objects/{}/{}", &head[..2], &head[2..]));
        std::fs::remove_file(&object).unwrap();
        std::fs::write(&object, "damaged").unwrap();
        assert!(git.commit(&repository, "HEAD").is_err());
    }

    /// A repository of two commits, with an annotated tag on the first and one on the second, and one that is only a name.
    fn repository(git: &Git<'_>, at: &Path) {
        git.run(git.command().args(["init", "--quiet"]).arg(at))
            .unwrap();
        for text in ["first", "second"] {
            fs::create_dir_all(at.join("folder")).unwrap();
            fs::write(at.join("folder/file"), text).unwrap();
            of(git, at, &["add", "."]);
            of(git, at, &["commit", "--quiet", "-m", text]);
        }
        of(git, at, &["tag", "-m", "x", "1.0", "HEAD~1"]);
        of(git, at, &["tag", "-m", "x", "v2"]);
        of(git, at, &["tag", "name"]);
    }

    fn of(git: &Git<'_>, at: &Path, arguments: &[&str]) -> String {
        let mut command = git.command();
        for who in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{who}_NAME"), "a test")
                .env(format!("GIT_{who}_EMAIL"), "test@example.com");
        }
        git.run(command.arg("-C").arg(at).args(arguments)).unwrap()
    }

    #[test]
    fn what_a_damaged_repository_cannot_tell_is_not_taken_for_absent() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("store"), "a test", &mut |_| {}).unwrap();
        let git = Git::new(&store, "linux");
        let at = dir.path().join("repository");
        repository(&git, &at);
        let id = |rev: &str| of(&git, &at, &["rev-parse", rev]);
        let (first, second) = (id("HEAD~1"), id("HEAD"));

        assert!(git.tag_object(&at, "v2").unwrap().is_some());
        assert_eq!(git.tag_object(&at, "name").unwrap(), None);
        assert_eq!(git.tag_object(&at, "none").unwrap(), None);
        let text = |file: &str| git.text(&at, &second, file);
        assert_eq!(text("folder/file").unwrap().unwrap(), "second");
        for none in ["none", "folder", "folder/none", "folder/file/none"] {
            assert_eq!(text(none).unwrap(), None, "{none}");
        }
        let name = git.describe(&at, &second).unwrap().unwrap();
        assert!(name.starts_with("1.0-1-g"), "{name}");

        let object = |id: &str| at.join(".git/objects").join(&id[..2]).join(&id[2..]);
        let without = |rev: &str, fails: &dyn Fn() -> bool| {
            let path = object(&id(rev));
            let aside = dir.path().join("aside");
            fs::rename(&path, &aside).unwrap();
            assert!(fails(), "{rev}");
            fs::rename(&aside, &path).unwrap();
            assert!(!fails(), "{rev}");
        };
        without("refs/tags/v2", &|| git.tag_object(&at, "v2").is_err());
        without("HEAD", &|| git.tag_object(&at, "name").is_err());
        without("HEAD:folder/file", &|| text("folder/file").is_err());
        without("HEAD:folder", &|| text("folder/none").is_err());
        without("refs/tags/1.0", &|| git.describe(&at, &second).is_err());
        let broken = at.join(".git/refs/tags/broken");
        fs::write(&broken, "nonsense\n").unwrap();
        let error = git.tag_object(&at, "broken").unwrap_err().to_string();
        assert!(error.contains("refs/tags/broken"), "{error}");
        fs::remove_file(&broken).unwrap();

        of(&git, &at, &["tag", "--delete", "1.0"]);
        assert_eq!(git.describe(&at, &second).unwrap(), None);
        without(&first, &|| git.describe(&at, &second).is_err());
    }
}
