//! Sources that are replaced by something local: a clone, a folder, an archive, a source package.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::alternates::is_repository;
use super::download::LARGEST;
use super::fetch::{invalid, missing_of, size_of};
use super::git_command::Git;
use super::{Content, Error, FetchedSource, Fetcher, Locked, Override, Source};
use crate::store::PathError;

/// The first bytes of an RPM file.
const RPM_MAGIC: [u8; 4] = [0xed, 0xab, 0xee, 0xdb];

impl Fetcher<'_> {
    /// What `--source` names in place of a source.
    pub(super) fn replacement(
        &self,
        name: &str,
        source: &Source,
        locked: Option<&Locked>,
    ) -> Result<Option<FetchedSource>, Error> {
        let Some(by) = self.options.overrides.iter().find(|by| by.name == name) else {
            return Ok(None);
        };
        let path = fs::canonicalize(&by.path)
            .map_err(|source| PathError::new("find", &by.path, source))?;
        if is_repository(&path) {
            return self
                .replace_by_git(name, source, locked, by, path)
                .map(Some);
        }
        if by.rev.is_some() {
            let why = format!(
                "{} is not a git repository, so it has no revisions",
                path.display()
            );
            return Err(invalid(name, why));
        }
        if path.is_dir() {
            return self.tree(name, &path, Some(by.clone())).map(Some);
        }
        // A device may have no end, and a pipe no beginning.
        lustre_files::open_within(&path, LARGEST)
            .map_err(|source| PathError::new("read", &path, source))?;
        let (digest, stored) = self.store.insert_file(&path, None)?;
        let size = size_of(&stored)?;
        let (locked, content) = if is_rpm(&path)? {
            let meta = lustre_rpm_header::metadata(&path)
                .map_err(|error| invalid(name, format!("{}: {error}", path.display())))?;
            let nevra = meta
                .get_nevra()
                .map_err(|error| invalid(name, format!("{}: {error}", path.display())))?;
            let parent = path.parent().unwrap_or(&path);
            let locked = Locked::Srpm {
                nevra: format!("{}-{}.src", nevra.name(), nevra.evr().evr_short()),
                repository: parent.display().to_string(),
                href: path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
                sha256: digest,
                size,
            };
            (locked, Content::Srpm(digest))
        } else {
            let locked = Locked::Archive {
                urls: vec![path.display().to_string()],
                sha256: digest,
                size,
            };
            (locked, Content::Archive(digest))
        };
        Ok(Some(FetchedSource {
            name: name.to_owned(),
            locked,
            content,
            replaced: Some(by.clone()),
        }))
    }

    /// A local clone: the revision named with it; otherwise the commit that the lock or the target asks for; otherwise, where
    /// the source is not git's, its current commit.
    fn replace_by_git(
        &self,
        name: &str,
        source: &Source,
        locked: Option<&Locked>,
        by: &Override,
        path: PathBuf,
    ) -> Result<FetchedSource, Error> {
        let git = Git::new(self.store, name);
        let (rev, hint) = match (&by.rev, locked, source) {
            (Some(rev), _, _) => (rev.clone(), "fetch it there, or give another".to_owned()),
            (None, Some(Locked::Git { commit, .. }), Source::Git(_)) => (
                commit.clone(),
                format!("fetch it there, or use another commit: --source {by}@REV"),
            ),
            (None, _, Source::Git(git)) => (
                match (&git.rev, &git.tag) {
                    (Some(rev), _) => rev.clone(),
                    (None, Some(tag)) => format!("refs/tags/{tag}"),
                    (None, None) => "HEAD".to_owned(),
                },
                format!("fetch it there, or use another commit: --source {by}@REV"),
            ),
            (None, _, _) => {
                let changed = git.changes(&path)?;
                if !changed.is_empty() {
                    return Err(Error::Uncommitted {
                        source_name: name.to_owned(),
                        path,
                        changed,
                    });
                }
                ("HEAD".to_owned(), "it has no commit yet".to_owned())
            }
        };
        let commit = git.commit(&path, &rev)?.ok_or_else(|| Error::NoRevision {
            source_name: name.to_owned(),
            repository: path.display().to_string(),
            what: format!("commit {rev}"),
            hint,
        })?;
        let content = self.commit(name, &git, path.clone(), &commit, &[])?;
        Ok(FetchedSource {
            name: name.to_owned(),
            locked: Locked::Git {
                url: path.display().to_string(),
                tag: None,
                commit,
                missing: missing_of(&content),
            },
            content,
            replaced: Some(by.clone()),
        })
    }
}

fn is_rpm(path: &Path) -> Result<bool, PathError> {
    let mut start = Vec::new();
    lustre_files::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut start))
        .map_err(|source| PathError::new("read", path, source))?;
    Ok(start == RPM_MAGIC)
}
