//! The commits of a git source: its history, and what came after it on the branches of its repository.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use lustre_files::advised;

use super::git_command::Git;
use super::{Content, Error, FetchedSource};
use crate::advisories::Commit;
use crate::advisories::commit;
use crate::process;
use crate::store::{PathError, Store};

/// No list of commits is larger (bytes). That of all branches of Lustre has a tenth of it.
const LARGEST: usize = 256 << 20;

/// How much of what git complains of is shown (bytes).
const COMPLAINT: u64 = 64 << 10;

/// A branch of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its name: `master`, `origin/master`.
    pub name: String,
    /// Its newest commit.
    pub commit: String,
    /// When that was committed, in seconds since 1970.
    pub time: u64,
}

/// The commits of a source, and those that came later.
#[derive(Debug, Clone)]
pub struct Histories {
    /// The commit that the source is.
    pub commit: String,
    /// The branches that were looked at.
    pub branches: Vec<Branch>,
    /// The commit and all before it, newest first.
    pub history: Vec<Commit>,
    /// What is on these branches and not in the history, newest first, with the names of the files that are changed.
    pub later: Vec<Commit>,
}

impl FetchedSource {
    /// The source's history, and what came after it on every branch whose newest commit is not older than the source: an older one
    /// has nothing that the source could have been waiting for.
    pub fn histories(&self, store: &Store) -> Result<Histories, Error> {
        let git = Git::new(store, &self.name);
        let Content::Git {
            repository,
            commit,
            time,
            ..
        } = &self.content
        else {
            return Err(git.invalid(advised(
                "it is not a commit of a git repository, and has no history",
                format!("give a clone: --source {}=PATH", self.name),
            )));
        };
        let opened = git.open(repository)?;
        let at = opened.path();
        if git.is_shallow(at)? {
            let what = format!(
                "the history in {} is shallow, so it is not known which commits it has",
                repository.display()
            );
            let next = format!(
                "fetch the rest (git -C CLONE fetch --unshallow), or use a full clone: git clone --bare URL lustre.git, and --source \
                 {}=lustre.git",
                self.name
            );
            return Err(git.invalid(advised(what, next)));
        }
        let mut branches = git.branches(at)?;
        branches.retain(|branch| branch.time >= *time);
        if branches.is_empty() {
            return Err(git.invalid(advised(
                format!(
                    "all branches of {} are older than {commit}, so later commits are missing",
                    repository.display()
                ),
                format!(
                    "fetch upstream's (git fetch), or use a clone that has them: --source {}=PATH",
                    self.name
                ),
            )));
        }
        let tips: Vec<&str> = branches.iter().map(|one| one.commit.as_str()).collect();
        let history = git.log(at, &[commit], None, false)?;
        let later = git.log(at, &tips, Some(commit), true)?;
        Ok(Histories {
            commit: commit.clone(),
            history,
            later,
            branches,
        })
    }
}

impl Git<'_> {
    /// The commits `to` and all before them, without `without` and those before it, children before their parents; with the names of
    /// the files that each changes where `names` says so. `at` is a repository of our own.
    fn log(
        &self,
        at: &Path,
        to: &[&str],
        without: Option<&str>,
        names: bool,
    ) -> Result<Vec<Commit>, Error> {
        let mut command = self.at(at);
        command.args(["-c", "core.quotePath=false", "log", "--topo-order"]);
        command.args(["--no-color", "--no-decorate", "--no-notes", "--no-mailmap"]);
        command.arg(format!("--format={}", commit::FORMAT));
        command.args(if names {
            &["--name-only", "--no-renames", "--no-ext-diff"][..]
        } else {
            &["--no-patch"]
        });
        command.args(to);
        command.args(without.map(|commit| format!("^{commit}")));
        command.arg("--");
        let log = self.bounded(&mut command)?;
        Commit::parse_log(&log).map_err(|error| self.invalid(error.to_string()))
    }

    /// The branches of a repository of our own, and those that it has of others.
    fn branches(&self, at: &Path) -> Result<Vec<Branch>, Error> {
        let mut command = self.at(at);
        // A name has no blank.
        let format = "--format=%(objectname) %(committerdate:unix) %(refname:lstrip=2) %(symref)";
        command.args(["for-each-ref", format, "refs/heads", "refs/remotes"]);
        let listed = self.bounded(&mut command)?;
        let mut branches: Vec<Branch> = Vec::new();
        for line in String::from_utf8_lossy(&listed).lines() {
            let &[id, time, name, of] = line.splitn(4, ' ').collect::<Vec<_>>().as_slice() else {
                continue;
            };
            // One that only stands for another says nothing of its own, and neither does one that is there under two names.
            let Ok(time) = time.parse() else { continue };
            if of.is_empty() && branches.iter().all(|known| known.commit != id) {
                branches.push(Branch {
                    name: name.to_owned(),
                    commit: id.to_owned(),
                    time,
                });
            }
        }
        Ok(branches)
    }

    /// Whether the history in a repository of our own ends before its beginning.
    fn is_shallow(&self, at: &Path) -> Result<bool, Error> {
        let mut command = self.at(at);
        command.args(["rev-parse", "--is-shallow-repository"]);
        Ok(self.run(&mut command)? == "true")
    }

    /// git's output, where that is not beyond all measure.
    fn bounded(&self, command: &mut Command) -> Result<Vec<u8>, Error> {
        let folder = self.store.temp_dir("git")?;
        let complaint = folder.path().join("stderr");
        let file = File::create(&complaint)
            .map_err(|error| PathError::new("create", &complaint, error))?;
        let mut out = Vec::new();
        let mut too_much = false;
        let mut each = |line: &[u8]| {
            too_much |= out.len() + line.len() >= LARGEST;
            if !too_much {
                out.extend_from_slice(line);
                out.push(b'\n');
            }
        };
        let status =
            process::lines(command.stderr(file), &mut each).map_err(|source| Error::Tool {
                source_name: self.source.to_owned(),
                source: Box::new(source),
            })?;
        if too_much {
            return Err(self.invalid(format!(
                "git lists more than {LARGEST} bytes of commits: this is not a repository of {}",
                self.source
            )));
        }
        if !status.success() {
            let said = lustre_files::read_to_string(&complaint, COMPLAINT).unwrap_or_default();
            return Err(self.invalid(format!(
                "git cannot list its commits ({status}): {}",
                said.trim()
            )));
        }
        Ok(out)
    }
}
