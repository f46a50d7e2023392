//! What the page is made of.

use super::words;
use crate::assets::Assets;
use crate::history::History;
use crate::manifest::Manifest;
use crate::proof::report::Proof;

/// What the page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// What the repository is made of.
    pub manifest: &'a Manifest,
    /// The releases that it has; none where it does not say.
    pub releases: Option<&'a History>,
    /// Which assets its packages are; none where they are beside it.
    pub assets: Option<&'a Assets>,
    /// What was checked of it; none where it was not.
    pub proof: Option<&'a Proof>,
    /// On which kernels its modules load; none where that is not known.
    pub kernels: Option<&'a [Kernel]>,
    /// The names of the files at the top of the tree, without this one and those that are in no sums.
    pub files: &'a [String],
}

/// A kernel, and whether the modules load on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// It, as `name-version-release.architecture`.
    pub name: String,
    /// The repository that has it.
    pub repository: String,
    /// Whether they load, where that can be told.
    pub loads: Option<bool>,
    /// What else there is to say, in lines.
    pub notes: String,
}

impl Page<'_> {
    /// Where a package is, as a link on the page: beside it, or as an asset.
    pub(super) fn link(&self, file: &str) -> String {
        self.asset(file).unwrap_or_else(|| words::href(file))
    }

    /// Where a package is as an asset.
    pub(super) fn asset(&self, file: &str) -> Option<String> {
        let assets = self.assets?;
        assets.at(file).map(|asset| assets.url_of(asset))
    }

    /// What the repository is called.
    pub(super) fn title(&self) -> String {
        words::shown(&match &self.manifest.repository {
            Some(repository) => repository.name.clone(),
            None => format!("Lustre for {}", self.manifest.target),
        })
    }

    /// Which tool made it, and which version of that.
    pub(super) fn made_by(&self) -> String {
        let tool = &self.manifest.tool;
        words::shown(format!("{} {}", tool.name, tool.version).trim())
    }
}
