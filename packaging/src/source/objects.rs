//! Whether the objects of a repository are what their names say.
//!
//! The name of an object is the digest of its content. Git compares the two when it takes objects from a server, not when it writes
//! out files of a repository that is there: a clone whose objects were changed or mixed up has the right commit, with other files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use lustre_files::advised;

use super::Error;
use super::git_command::Git;
use crate::process;

impl Git<'_> {
    /// Compares the objects of a commit with their names, in `own`, which has those of `repository`: the commit, its folders, and
    /// the files that `takes` wants, without those `missing`.
    pub(super) fn check_tree(
        &self,
        own: &Path,
        (repository, commit): (&Path, &str),
        missing: &BTreeSet<&[u8]>,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        // First what says where the rest is.
        let top = format!("{commit}\n{commit}^{{tree}}\n");
        self.check_objects(own, (repository, commit), &top, &|_| None)?;
        let mut command = self.at(own);
        command.args(["ls-tree", "-r", "-t", "-z", "--full-tree", commit]);
        let listed = self.bytes(&mut command, &[])?;
        let mut paths = BTreeMap::new();
        for line in listed.split(|byte| *byte == 0) {
            // `MODE TYPE ID<tab>PATH`
            let Some(tab) = line.iter().position(|byte| *byte == b'\t') else {
                continue;
            };
            let (what, path) = (String::from_utf8_lossy(&line[..tab]), &line[tab + 1..]);
            let path = Path::new(OsStr::from_bytes(path));
            match what.split(' ').collect::<Vec<_>>()[..] {
                [_, "tree", id] => drop(paths.insert(id.to_owned(), path)),
                [_, "blob", id]
                    if takes(path) && !missing.contains(path.as_os_str().as_bytes()) =>
                {
                    paths.insert(id.to_owned(), path);
                }
                _ => {}
            }
        }
        let mut names = String::new();
        for id in paths.keys() {
            names.push_str(id);
            names.push('\n');
        }
        self.check_objects(own, (repository, commit), &names, &|why| {
            let mut words = why.split(|c: char| !c.is_ascii_hexdigit());
            words
                .find_map(|word| paths.get(word))
                .map(|path| path.display().to_string())
        })
    }

    /// Compares a file of a commit, and all that leads to it from there, with their names.
    pub(super) fn check_file(
        &self,
        own: &Path,
        (repository, commit): (&Path, &str),
        file: &str,
    ) -> Result<(), Error> {
        let mut names = format!("{commit}\n{commit}^{{tree}}\n");
        for path in Path::new(file).ancestors() {
            if !path.as_os_str().is_empty() {
                names.push_str(&format!("{commit}:{}\n", path.display()));
            }
        }
        let name = |_: &str| Some(file.to_owned());
        self.check_objects(own, (repository, commit), &names, &name)
    }

    /// `names` is a line for each object; `path` finds the file that git speaks of.
    fn check_objects(
        &self,
        own: &Path,
        (repository, commit): (&Path, &str),
        names: &str,
        path: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), Error> {
        let mut command = self.at(own);
        command.args([
            "rev-list",
            "--quiet",
            "--no-walk",
            "--verify-objects",
            // No more than what is named.
            "--filter=tree:0",
            "--stdin",
        ]);
        match process::output_with_input(&mut command, names.as_bytes()) {
            Ok(_) => Ok(()),
            Err(process::Error::Output { stderr, .. }) => {
                let what = path(&stderr).map_or_else(String::new, |path| format!(" in {path}"));
                let why = stderr.lines().next().unwrap_or_default();
                let why = why.trim_start_matches("error: ");
                let place = repository.display();
                let next = if repository.starts_with(self.store.git_dir()) {
                    "remove it to fetch it again".to_owned()
                } else {
                    format!("use another clone; git -C {place} fsck --full reports all damage")
                };
                let what = format!(
                    "{place} is damaged at {commit}{what}: an object's content does not match its name (git: {why})\n  nothing of it was \
                     used"
                );
                Err(self.invalid(advised(what, next)))
            }
            Err(source) => Err(Error::Tool {
                source_name: self.source.to_owned(),
                source: Box::new(source),
            }),
        }
    }
}
