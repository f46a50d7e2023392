//! Sources that are here, and how their content is taken out.

use std::path::{Path, PathBuf};

use super::git_command::Git;
use super::path::copy_tree;
use super::{Error, Locked, Override};
use crate::archive;
use crate::store::{Digest, Entry, EntryKind, PathError, Store};

/// A source whose content is on this machine.
#[derive(Debug, Clone)]
pub struct FetchedSource {
    /// Its name in the target.
    pub name: String,
    /// What it is pinned to.
    pub locked: Locked,
    /// Where its content is.
    pub content: Content,
    /// What it was replaced by, for the manifest.
    pub replaced: Option<Override>,
}

/// Where the content of a source is.
#[derive(Debug, Clone)]
pub enum Content {
    /// A tar archive in the store.
    Archive(Digest),
    /// A source package in the store.
    Srpm(Digest),
    /// A commit of a repository.
    Git {
        /// The repository: the store's mirror, or the clone that replaces it.
        repository: PathBuf,
        commit: String,
        /// Its time, in seconds since 1970.
        time: u64,
        /// What is not there and was allowed not to be.
        missing: Vec<String>,
    },
    /// A folder.
    Tree {
        path: PathBuf,
        /// Its files and links that count.
        entries: Vec<Entry>,
    },
    /// A commit that is pinned, and that was not fetched: what it is can be told, what is in it cannot.
    Elsewhere,
}

impl FetchedSource {
    /// What a stage that uses the source depends on.
    pub fn identity(&self) -> Digest {
        self.locked.identity()
    }

    /// The version that the repository's own release tags give the commit, as a package may have it: `2.17.57_62_gc881f8e`.
    pub fn version(&self, store: &Store) -> Result<Option<String>, Error> {
        let Content::Git {
            repository, commit, ..
        } = &self.content
        else {
            return Ok(None);
        };
        let name = Git::new(store, &self.name).describe(repository, commit)?;
        // The version of an RPM cannot hold a dash.
        Ok(name.map(|name| name.replace('-', "_")))
    }

    /// The text of one file of the source, without writing out the others; none where the source has no such file.
    pub fn text(&self, store: &Store, file: &str) -> Result<Option<String>, Error> {
        let lossy = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let read = |path: &Path| -> Result<Option<String>, Error> {
            let bytes = lustre_files::if_there(lustre_files::read(path, lustre_files::SOURCE))
                .map_err(|source| PathError::new("read", path, source))?;
            Ok(bytes.map(lossy))
        };
        match &self.content {
            Content::Git {
                repository, commit, ..
            } => Git::new(store, &self.name).text(repository, commit, file),
            Content::Tree { path, .. } => read(&path.join(file)),
            Content::Archive(_) => {
                let folder = store.temp_dir("read")?;
                let into = folder.path().join("part");
                if let Some(archive) = self.file(store)? {
                    archive::unpack_only(&archive, &into, 1, &|path| path == Path::new(file))
                        .map_err(|source| Error::Archive {
                            source_name: self.name.clone(),
                            source: Box::new(source),
                        })?;
                }
                read(&into.join(file))
            }
            Content::Srpm(_) => Ok(None),
            Content::Elsewhere => Err(self.elsewhere()),
        }
    }

    fn elsewhere(&self) -> Error {
        Error::Offline {
            source_name: self.name.clone(),
            what: match &self.locked {
                Locked::Git { commit, .. } => format!("commit {commit}"),
                _ => "its content".to_owned(),
            },
        }
    }

    /// The paths of files that are not there and were allowed not to be.
    pub fn missing(&self) -> &[String] {
        match &self.content {
            Content::Git { missing, .. } => missing,
            Content::Elsewhere => match &self.locked {
                Locked::Git { missing, .. } => missing,
                _ => &[],
            },
            _ => &[],
        }
    }

    /// The paths of all files of a commit or a folder, also of those whose content is missing. An archive or a source package is one file,
    /// and has none.
    pub fn paths(&self, store: &Store) -> Result<Vec<PathBuf>, Error> {
        match &self.content {
            Content::Git {
                repository, commit, ..
            } => Git::new(store, &self.name).paths(repository, commit),
            Content::Tree { entries, .. } => {
                let files = entries
                    .iter()
                    .filter(|entry| !matches!(entry.kind, EntryKind::Folder { .. }));
                Ok(files.map(|entry| PathBuf::from(&entry.path)).collect())
            }
            Content::Archive(_) | Content::Srpm(_) => Ok(Vec::new()),
            Content::Elsewhere => Err(self.elsewhere()),
        }
    }

    /// As [`FetchedSource::export`], of a commit or a folder those files alone that `takes` wants: no other is read.
    pub fn export_only(
        &self,
        store: &Store,
        into: &Path,
        tree_time: u64,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        match &self.content {
            Content::Git {
                repository,
                commit,
                missing,
                ..
            } => Git::new(store, &self.name).export_only(repository, commit, missing, into, takes),
            Content::Tree { path, entries } => {
                let wanted: Vec<Entry> = entries
                    .iter()
                    .filter(|entry| takes(Path::new(&entry.path)))
                    .cloned()
                    .collect();
                copy_tree(&self.name, path, &wanted, tree_time, into)
            }
            Content::Archive(_) | Content::Srpm(_) => Err(Error::Invalid {
                source_name: self.name.clone(),
                why: "it is a single file, not a tree".into(),
            }),
            Content::Elsewhere => Err(self.elsewhere()),
        }
    }

    /// Packs the files that [`FetchedSource::export_only`] would write as `out`, a tar archive compressed by xz in which every path begins with
    /// `top/`. The same files give the same bytes.
    pub fn pack_only(
        &self,
        store: &Store,
        top: &str,
        out: &Path,
        tree_time: u64,
        takes: &dyn Fn(&Path) -> bool,
    ) -> Result<(), Error> {
        let folder = store.temp_dir("pack")?;
        let failed = |source| Error::Archive {
            source_name: self.name.clone(),
            source: Box::new(source),
        };
        if let Content::Git {
            repository,
            commit,
            missing,
            ..
        } = &self.content
        {
            // A kernel has eighty thousand files: none of them is written on its own.
            let tar = folder.path().join("tree.tar");
            let prefix = format!("{top}/");
            Git::new(store, &self.name)
                .archive_only(repository, commit, missing, &prefix, &tar, takes)?;
            return archive::compress_xz(&tar, out).map_err(failed);
        }
        let tree = folder.path().join("tree");
        self.export_only(store, &tree, tree_time, takes)?;
        archive::pack_tar_xz(&tree, top, tree_time, out).map_err(failed)
    }

    /// The source as one file in the store, for an archive or a source package. Its digest is checked.
    pub fn file(&self, store: &Store) -> Result<Option<PathBuf>, Error> {
        match &self.content {
            Content::Archive(digest) | Content::Srpm(digest) => Ok(store.verified_file(digest)?),
            Content::Git { .. } | Content::Tree { .. } | Content::Elsewhere => Ok(None),
        }
    }

    /// Writes the source's files into `into`, a folder that is empty or not there: an archive's without its top folder, a
    /// source package's side by side, a commit's with the commit's time, a folder's with the time `tree_time` (seconds since
    /// 1970). Modes are 0644 or 0755; the same source gives the same tree.
    pub fn export(&self, store: &Store, into: &Path, tree_time: u64) -> Result<(), Error> {
        let bad_archive = |source| Error::Archive {
            source_name: self.name.clone(),
            source: Box::new(source),
        };
        match &self.content {
            Content::Archive(_) | Content::Srpm(_) => {
                let Some(file) = self.file(store)? else {
                    return Err(Error::Offline {
                        source_name: self.name.clone(),
                        what: "its file".to_owned(),
                    });
                };
                if matches!(self.content, Content::Srpm(_)) {
                    archive::unpack_srpm(&file, into).map_err(bad_archive)?;
                } else {
                    archive::unpack(&file, into, 1).map_err(bad_archive)?;
                }
                Ok(())
            }
            Content::Git {
                repository,
                commit,
                missing,
                ..
            } => Git::new(store, &self.name).export(repository, commit, missing, into),
            Content::Tree { path, entries } => {
                copy_tree(&self.name, path, entries, tree_time, into)
            }
            Content::Elsewhere => Err(self.elsewhere()),
        }
    }
}
