//! Git repositories: what is asked of one, a mirror in the store (`git_fetch`) or any local clone; its files come by `git_export`.
//!
//! git runs without the user's and the system's configuration, without prompts, and never fetches what is missing behind
//! our back. It is never run in a repository that is not our own, whoever owns that: what such a one has in its configuration can
//! start any program. Its objects are borrowed by a repository of our own, which has copies of its references (`borrowed`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Error;
use super::alternates::Alternates;
use super::git_command::Git;
use crate::process;

/// A repository in which git may run.
pub(super) enum GitDir<'r> {
    /// A mirror in the store.
    Ours(&'r Path),
    Alternates(Alternates),
}

impl GitDir<'_> {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Ours(path) => path,
            Self::Alternates(borrowed) => borrowed.path(),
        }
    }
}

impl Git<'_> {
    /// A repository to run git in: `repository` itself where it is the store's, otherwise one that borrows from it.
    pub(super) fn open<'r>(&self, repository: &'r Path) -> Result<GitDir<'r>, Error> {
        if repository.starts_with(self.store.git_dir()) {
            return Ok(GitDir::Ours(repository));
        }
        Alternates::new(self, repository).map(GitDir::Alternates)
    }

    /// The commit that a revision of a repository names; `None` where it has none.
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
}

#[cfg(test)]
mod tests {
    use std::fs;

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
