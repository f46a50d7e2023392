//! What to check, and what the host's tools see of it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::assets;
use crate::digests::Digests;
use crate::repo_file::RepoFile;

/// What to check, and against what.
#[derive(Clone, Copy, Debug)]
pub struct StaticInput<'a> {
    /// The repository's tree, the folder with `manifest.json`.
    pub dist: &'a Path,
    /// The distribution's repositories on disk: folders with `repodata/`. Who signed them has been checked before.
    pub base_repos: &'a [PathBuf],
    /// Names of packages that must be there.
    pub expected: &'a [String],
    /// The target's name, which the manifest has to say.
    pub target: &'a str,
    /// What the repository's `.repo` file has to say.
    pub repo_file: &'a RepoFile,
    /// The armored public key that everything must be signed with.
    pub public_key: &'a str,
    /// What its files were found to be, for all checks of one run.
    pub digests: &'a Digests,
    /// Where the checks put their logs.
    pub logs: &'a Path,
    /// How tools of the host are kept from everything but what they look at.
    pub confine: Confine,
}

impl StaticInput<'_> {
    /// Whether the target has assets, or the repository what speaks of them.
    pub(super) fn has_assets(&self) -> bool {
        let there = |name: &str| fs::symlink_metadata(self.dist.join(name)).is_ok();
        self.repo_file.assets_url().is_some() || there(assets::FILE) || there(assets::FOLDER)
    }
}

/// The command by which a tool of the host, with arguments, looks at a folder and has another one as its home. It sees the first at
/// [`FILES`], where it cannot write, and the second at [`HOME`], which is empty of everything that is not for it.
pub type Confine = fn(&str, &[&str], &Path, &Path) -> io::Result<Command>;

/// Where a tool sees what it looks at.
pub const FILES: &str = "/files";

/// Where a tool has its home.
pub const HOME: &str = "/home";
