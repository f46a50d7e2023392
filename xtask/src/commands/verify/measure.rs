//! What a repository is held against besides its own signatures: the target of this checkout, or what it says of itself.

use std::path::Path;

use lustre_packaging::target::Target;
use lustre_repository::manifest::{self, Manifest};
use lustre_repository::proof::{self, Check, Verdict};
use lustre_repository::repo_file::{self, RepoFile};

use crate::graph::finish;

/// What a repository is held against.
#[derive(Debug)]
pub struct Measure {
    /// The target that its manifest has to name.
    pub target: String,
    /// What it has to say to servers.
    pub repo_file: RepoFile,
}

impl Measure {
    /// What the target says now.
    pub fn of(target: &Target) -> anyhow::Result<Self> {
        Ok(Self {
            target: target.name.clone(),
            repo_file: finish::repo_file(target)?,
        })
    }

    /// What the repository at `dist` says of itself: its own manifest, which is signed. Or the check that does not hold.
    pub fn as_published(dist: &Path, logs: &Path) -> anyhow::Result<Result<Self, Check>> {
        let manifest = Manifest::read(&dist.join(manifest::FILE))?;
        let failed = |why: String| {
            Check::run(proof::MANIFEST, logs, || {
                Verdict::from_findings(manifest::FILE, vec![why])
            })
        };
        if manifest.repository.is_none() {
            return Ok(Err(failed(
                "it does not say what servers are told of the repository (`repository`), as an earlier version of the tool made it: \
                 verify it with --target"
                    .to_owned(),
            )));
        }
        Ok(said(dist, &manifest).map_err(failed).map(|repo_file| Self {
            target: manifest.target,
            repo_file,
        }))
    }
}

/// What the repository at `dist` tells servers of itself by its `manifest`; or why they cannot be told that.
pub fn said(dist: &Path, manifest: &Manifest) -> Result<RepoFile, String> {
    let told = manifest.repository.as_ref();
    let url = told.map_or("https://unknown.invalid/", |it| it.baseurl.as_str());
    let name = told.map_or("unknown", |it| it.name.as_str());
    let next = told.and_then(|it| it.next_key.as_ref());
    let next = next
        .map(|_| {
            let path = dist.join(repo_file::NEXT_KEY_FILE);
            lustre_files::read_no_link_to_string(path, lustre_files::SOURCE)
        })
        .transpose()
        .map_err(|error| format!("{}: {error}", repo_file::NEXT_KEY_FILE))?;
    RepoFile::new(url, name)
        .and_then(|file| file.with_assets(told.and_then(|it| it.assets_url.as_deref())))
        .and_then(|file| file.with_next_key(next.as_deref()))
        .map_err(|error| error.to_string())
}
