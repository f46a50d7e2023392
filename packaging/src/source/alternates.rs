//! Repositories of our own that borrow the objects of another.
//!
//! Only what says where its objects and references are is read of the other: no setting, hook or attribute of it counts.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Error;
use super::git_command::Git;
use crate::store::{PathError, TempDir};

/// Attributes that no file has, whatever a `.gitattributes` says: `git archive` leaves nothing out and changes nothing.
const ATTRIBUTES: &str =
    "* -export-ignore -export-subst -text -eol -ident -filter -working-tree-encoding\n";

/// A reference, or a file that leads to others: a line.
const LINE: u64 = 64 << 10;

/// A repository's configuration, its list of packed references, its index.
const LIST: u64 = 1 << 30;

/// From how many others a repository may borrow objects.
const MOST_BORROWED: usize = 16;

/// Whether `path` is the top of a git repository, bare or not.
pub(super) fn is_repository(path: &Path) -> bool {
    path.join(".git").exists()
        || ["HEAD", "objects", "refs"]
            .iter()
            .all(|part| path.join(part).exists())
}

/// A bare repository with the objects of another, and copies of its references.
pub(super) struct Alternates(TempDir);

impl Alternates {
    /// Borrows from `repository`, a clone's work tree or a bare repository.
    pub(super) fn new(git: &Git<'_>, repository: &Path) -> Result<Self, Error> {
        let from = Places::of(git, repository)?;
        let objects = fs::canonicalize(from.common.join("objects"))
            .map_err(|source| PathError::new("find", &from.common.join("objects"), source))?;
        // One path on each line.
        let Some(text) = objects.to_str().filter(|text| !text.contains('\n')) else {
            return Err(git.invalid(format!(
                "{} has a name that git cannot borrow from",
                objects.display()
            )));
        };
        no_special_files(git, &objects)?;
        let own = Self(git.store.temp_dir("git")?);
        own.write("config", &from.config(git)?)?;
        own.write("objects/info/alternates", format!("{text}\n"))?;
        own.copy(&from.own, "HEAD", LINE)?;
        own.copy(&from.common, "packed-refs", LIST)?;
        own.copy(&from.common, "shallow", LIST)?;
        own.copy(&from.common, "info/exclude", LINE)?;
        own.copy_references(&from.common.join("refs"))?;
        Ok(own)
    }

    /// As [`new`](Self::new), for writing out files as they were committed.
    pub(super) fn for_export(git: &Git<'_>, repository: &Path) -> Result<Self, Error> {
        let own = Self::new(git, repository)?;
        own.write("info/attributes", ATTRIBUTES)?;
        Ok(own)
    }

    /// As [`new`](Self::new), with the list of the files of the work tree.
    pub(super) fn with_index(git: &Git<'_>, repository: &Path) -> Result<Self, Error> {
        let own = Self::new(git, repository)?;
        let from = Places::of(git, repository)?;
        own.copy(&from.own, "index", LIST)?;
        let failed = |source| PathError::new("read", &from.own, source);
        for item in fs::read_dir(&from.own).map_err(failed)? {
            let name = item.map_err(failed)?.file_name();
            // The larger part of an index that is split.
            if let Some(name) = name
                .to_str()
                .filter(|name| name.starts_with("sharedindex."))
            {
                own.copy(&from.own, name, LIST)?;
            }
        }
        Ok(own)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), PathError> {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(&path))
            .and_then(|()| fs::write(&path, content))
            .map_err(|source| PathError::new("write", &path, source))
    }

    /// The file `name` of `from`, where there is one.
    fn copy(&self, from: &Path, name: &str, limit: u64) -> Result<(), PathError> {
        let path = from.join(name);
        let content = lustre_files::if_there(lustre_files::read(&path, limit))
            .map_err(|source| PathError::new("read", &path, source))?;
        content.map_or(Ok(()), |content| self.write(name, content))
    }

    fn copy_references(&self, refs: &Path) -> Result<(), Error> {
        let own = self.path().join("refs");
        fs::create_dir_all(&own).map_err(|source| PathError::new("create", &own, source))?;
        for item in WalkDir::new(refs).min_depth(1) {
            let item = item.map_err(|error| PathError::new("read", refs, error.into()))?;
            let name = item.path().strip_prefix(refs).unwrap_or(item.path());
            if let (true, Some(name)) = (item.file_type().is_file(), name.to_str()) {
                let content = lustre_files::read(item.path(), LINE)
                    .map_err(|source| PathError::new("read", item.path(), source))?;
                self.write(&format!("refs/{name}"), content)?;
            }
        }
        Ok(())
    }
}

/// Where a repository keeps what.
struct Places {
    /// What is a work tree's own: HEAD and index.
    own: PathBuf,
    /// What all its work trees share: objects and references.
    common: PathBuf,
}

impl Places {
    fn of(git: &Git<'_>, repository: &Path) -> Result<Self, Error> {
        let line = |path: &Path| match lustre_files::read_to_string(path, LINE) {
            Ok(text) => Ok(Some(text.trim_end().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::from(PathError::new("read", path, error))),
        };
        let dot = repository.join(".git");
        let own = if dot.is_dir() {
            dot
        } else if dot.exists() {
            // A further work tree, or a submodule.
            let text = line(&dot)?.unwrap_or_default();
            let place = text.strip_prefix("gitdir: ").ok_or_else(|| {
                git.invalid(format!(
                    "{} does not say where its repository is",
                    dot.display()
                ))
            })?;
            repository.join(place)
        } else {
            repository.to_owned()
        };
        let common = match line(&own.join("commondir"))? {
            Some(place) => own.join(place),
            None => own.clone(),
        };
        Ok(Self { own, common })
    }

    /// The configuration of a repository that can read the objects of this one: all that counts of its own is their format.
    fn config(&self, git: &Git<'_>) -> Result<String, Error> {
        let path = self.common.join("config");
        let text = match lustre_files::read(&path, LIST) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(PathError::new("read", &path, error).into()),
        };
        let setting = |name: &str| {
            let mut command = git.command();
            command.args(["config", "--file", "-", "--no-includes", "--get", name]);
            match crate::process::output_with_input(&mut command, &text) {
                Ok(value) => Ok(String::from_utf8_lossy(&value).trim().to_owned()),
                Err(crate::process::Error::Output { status, .. }) if status.code() == Some(1) => {
                    Ok(String::new())
                }
                Err(source) => Err(Error::Tool {
                    source_name: git.source.to_owned(),
                    source: Box::new(source),
                }),
            }
        };
        let references = setting("extensions.refstorage")?;
        if !matches!(references.as_str(), "" | "files") {
            return Err(git.invalid(format!(
                "{} has references in the format `{references}`, which is not supported: clone it with --ref-format=files",
                self.common.display()
            )));
        }
        let format = match setting("extensions.objectformat")?.as_str() {
            "" | "sha1" => "",
            "sha256" => "[extensions]\n\tobjectFormat = sha256\n",
            other => {
                return Err(git.invalid(format!(
                    "{} has the object format `{other}`, which is not supported",
                    self.common.display()
                )));
            }
        };
        Ok(format!(
            "[core]\n\trepositoryFormatVersion = 1\n\tbare = true\n{format}"
        ))
    }
}

/// Whoever opens a pipe waits: neither `objects` nor what it borrows from, as far as git follows that, may have one.
fn no_special_files(git: &Git<'_>, objects: &Path) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    let mut open = vec![objects.to_owned()];
    while let Some(objects) = open.pop() {
        if !seen.insert(objects.clone()) {
            continue;
        }
        if seen.len() > MOST_BORROWED {
            return Err(git.invalid(format!(
                "{} borrows objects from more than {MOST_BORROWED} others",
                objects.display()
            )));
        }
        for item in WalkDir::new(&objects).follow_links(true) {
            let item = item.map_err(|error| PathError::new("read", &objects, error.into()))?;
            if !item.file_type().is_file() && !item.file_type().is_dir() {
                return Err(git.invalid(format!(
                    "{} is neither a file nor a folder, and not part of a repository",
                    item.path().display()
                )));
            }
        }
        let list = objects.join("info/alternates");
        let text = lustre_files::if_there(lustre_files::read_to_string(&list, LINE))
            .map_err(|source| PathError::new("read", &list, source))?;
        for line in text.unwrap_or_default().lines() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('"') {
                return Err(git.invalid(format!(
                    "{} quotes a name, which is not read here",
                    list.display()
                )));
            }
            // Where it is not there, git goes on without it.
            if let Ok(place) = fs::canonicalize(objects.join(line)) {
                open.push(place);
            }
        }
    }
    Ok(())
}
