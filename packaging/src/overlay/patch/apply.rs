//! Whether patches apply to a tree, and applying them, with GNU `patch`.
//!
//! A series is tried cumulatively in a scratch folder that holds only the files it touches, so a whole kernel tree is
//! neither copied nor changed. Of a patch that fails those hunks stay that do apply, so that a later one is not blamed for what an earlier
//! one lacks: as close as one run comes to naming every patch that has to be changed, and only those.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use lustre_files::{help, tried};

use super::model::{Patch, PatchError};
use super::output::{BUSY, Failure, failures};
use crate::overlay::series::NamedPatch;
use crate::process::{self, Bounded};

/// How patches are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Lines of context a hunk may ignore. 2 is the default of `patch` and quilt, 0 that of rpm's `%patch`.
    pub fuzz: u8,
}

impl Default for ApplyOptions {
    fn default() -> Self {
        ApplyOptions { fuzz: 2 }
    }
}

/// What became of one patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchResult {
    /// The patch's name.
    pub name: String,
    /// Why it does not apply; empty when it does.
    pub failures: Vec<Failure>,
}

/// A series that could not be tried or that does not apply.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Parse(#[from] PatchError),
    #[error(transparent)]
    Path(#[from] lustre_files::PathError),
    /// A file the patch touches is reached through a symbolic link that leaves the tree, or is no regular file.
    #[error(
        "patch {patch} changes {}, which is outside of {} or is not a regular file; refused",
        file.display(),
        tree.display()
    )]
    Unsafe {
        patch: String,
        /// The file, as the patch names it.
        file: PathBuf,
        tree: PathBuf,
    },
    /// `patch` is not there.
    #[error("{}{}", .0, help!("install the package `patch`"))]
    NoTool(process::Error),
}

/// The scratch folder of a patch goes, whatever came of it.
fn removed(work: &Path) -> Result<(), ApplyError> {
    Ok(lustre_files::remove_tree(work).map_err(tried("remove", work))?)
}

/// Tries `patches` on `tree`, one upon the other, without changing the tree; with one result per patch, in order.
///
/// A patch that does not apply is no error here but has failures.
pub fn survey(
    tree: &Path,
    patches: &[NamedPatch],
    options: ApplyOptions,
) -> Result<Vec<PatchResult>, ApplyError> {
    Ok(Scratch::run(tree, patches, options)?.1)
}

/// As [`survey`], and leaves in `tree` all that applies: a copy that others are tried on.
pub fn survey_on(
    tree: &Path,
    patches: &[NamedPatch],
    options: ApplyOptions,
) -> Result<Vec<PatchResult>, ApplyError> {
    let (scratch, results) = Scratch::run(tree, patches, options)?;
    scratch.install(tree)?;
    Ok(results)
}

/// What `patch` made in `work` and should not have. It knows other formats, and finds them in what we take for prose; and it makes
/// symbolic links, through which a file of this machine would be copied into the tree.
fn unwanted(work: &Path, touched: &[PathBuf]) -> Result<Option<Failure>, ApplyError> {
    for entry in WalkDir::new(work).sort_by_file_name() {
        let entry = entry.map_err(tried("look through", work))?;
        let file = entry.path().strip_prefix(work).unwrap_or(entry.path());
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Ok(Some(Failure::NoFileMade(file.to_owned())));
        }
        if !touched.iter().any(|one| one == file) {
            return Ok(Some(Failure::Stray(file.to_owned())));
        }
    }
    Ok(None)
}

/// The files a series touches, as they are after the patches so far.
struct Scratch {
    folder: tempfile::TempDir,
    /// Files copied from the tree or made by a patch.
    known: BTreeSet<PathBuf>,
}

impl Scratch {
    fn run(
        tree: &Path,
        patches: &[NamedPatch],
        options: ApplyOptions,
    ) -> Result<(Self, Vec<PatchResult>), ApplyError> {
        let folder = tempfile::tempdir()
            .map_err(tried("make a scratch folder in", &std::env::temp_dir()))?;
        let mut scratch = Scratch {
            folder,
            known: BTreeSet::new(),
        };
        // Every patch is read before the first is tried: an unreadable one late in the list costs no time.
        let parsed: Vec<Patch> = patches
            .iter()
            .map(|patch| Patch::parse(&patch.content, &patch.name))
            .collect::<Result<_, _>>()?;
        let mut results = Vec::new();
        for (patch, parsed) in patches.iter().zip(&parsed) {
            let failures = scratch.one(tree, patch, parsed, options)?;
            results.push(PatchResult {
                name: patch.name.clone(),
                failures,
            });
        }
        Ok((scratch, results))
    }

    /// The state after the patches so far.
    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Tries one patch on a copy of its files and keeps the copy when it applies, or what applies of it.
    fn one(
        &mut self,
        tree: &Path,
        patch: &NamedPatch,
        parsed: &Patch,
        options: ApplyOptions,
    ) -> Result<Vec<Failure>, ApplyError> {
        let touched = parsed.touched();
        for file in &touched {
            self.fetch(tree, file, &patch.name)?;
        }
        let work = self.folder.path().join("work");
        fs::create_dir_all(&work).map_err(tried("make", &work))?;
        for file in &touched {
            // Of two names for a new file, `patch` takes the one for which it has to make fewer folders.
            let is_there = |folder: &&Path| {
                [tree, &self.state()]
                    .iter()
                    .any(|top| top.join(folder).is_dir())
            };
            if let Some(folder) = file.ancestors().skip(1).find(is_there) {
                let folder = work.join(folder);
                fs::create_dir_all(&folder).map_err(tried("make", &folder))?;
            }
            let from = self.state().join(file);
            if from.exists() {
                copy(&from, &work.join(file))?;
            }
        }
        let input = self.folder.path().join("input.patch");
        fs::write(&input, &patch.content).map_err(tried("write", &input))?;
        let mut command = process::command("patch");
        command
            .args([
                "-p1",
                "--unified",
                "--forward",
                "--batch",
                "--no-backup-if-mismatch",
            ])
            .args(["--reject-file=-", &format!("--fuzz={}", options.fuzz)])
            .arg("--directory")
            .arg(&work)
            .arg("--input")
            .arg(&input)
            .env("LC_ALL", "C")
            .env_remove("POSIXLY_CORRECT")
            .env_remove("PATCH_VERSION_CONTROL");
        let done = match process::capture_bounded(&mut command, BUSY).map_err(ApplyError::NoTool)? {
            Bounded::Ended(done) => done,
            Bounded::Busy => {
                removed(&work)?;
                return Ok(vec![Failure::Busy]);
            }
        };
        if let Some(failure) = unwanted(&work, &touched)? {
            removed(&work)?;
            return Ok(vec![failure]);
        }
        for file in &touched {
            let (from, to) = (work.join(file), self.state().join(file));
            if from.exists() {
                copy(&from, &to)?;
            } else if to.exists() {
                fs::remove_file(&to).map_err(tried("remove", &to))?;
            }
        }
        removed(&work)?;
        if done.status.success() {
            return Ok(Vec::new());
        }
        let words = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        Ok(failures(&words, parsed))
    }

    /// Copies `file` from the tree, the first time it is asked for.
    fn fetch(&mut self, tree: &Path, file: &Path, patch: &str) -> Result<(), ApplyError> {
        if !self.known.insert(file.to_owned()) {
            return Ok(());
        }
        let from = inside(tree, file, patch)?;
        match fs::symlink_metadata(&from) {
            Ok(_) => copy(&from, &self.state().join(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(tried("read", &from)(error).into()),
        }
    }

    /// Puts the results into the tree, each file written aside and renamed.
    fn install(&self, tree: &Path) -> Result<(), ApplyError> {
        for file in &self.known {
            let (from, to) = (self.state().join(file), tree.join(file));
            if !from.exists() {
                match fs::remove_file(&to) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(tried("remove", &to)(error).into());
                    }
                    _ => continue,
                }
            }
            let mut aside = to.clone().into_os_string();
            aside.push(".patched~");
            let aside = PathBuf::from(aside);
            copy(&from, &aside)?;
            fs::rename(&aside, &to).map_err(tried("replace", &to))?;
        }
        Ok(())
    }
}

/// The path of `file` in the tree, refused where a symbolic link leads elsewhere or it is not a regular file.
fn inside(tree: &Path, file: &Path, patch: &str) -> Result<PathBuf, ApplyError> {
    let refused = || ApplyError::Unsafe {
        patch: patch.to_owned(),
        file: file.to_owned(),
        tree: tree.to_owned(),
    };
    let mut path = tree.to_owned();
    let parts: Vec<_> = file.components().collect();
    for (index, part) in parts.iter().enumerate() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(meta) if index + 1 < parts.len() && meta.is_dir() => {}
            Ok(meta) if index + 1 == parts.len() && meta.is_file() => {}
            Ok(_) => return Err(refused()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(tree.join(file)),
            Err(error) => return Err(tried("read", &path)(error).into()),
        }
    }
    Ok(path)
}

/// Copies content and permissions, making folders as needed.
fn copy(from: &Path, to: &Path) -> Result<(), ApplyError> {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).map_err(tried("make", parent))?;
    }
    lustre_files::copy(from, to).map_err(tried("copy to", to))?;
    // A read-only source file (sources unpacked from some archives) must not stop the next patch.
    let mut mode = fs::metadata(to).map_err(tried("read", to))?.permissions();
    mode.set_mode(mode.mode() | 0o200);
    Ok(fs::set_permissions(to, mode).map_err(tried("change the mode of", to))?)
}

#[cfg(test)]
mod tests;
