//! The files of a commit, out of a repository: which there are, which it lacks, and all or some of them as a tree or an archive.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Error;
use super::alternates::Alternates;
use super::git_command::Git;
use crate::archive;
use crate::process;

impl Git<'_> {
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
