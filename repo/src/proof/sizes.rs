//! How large each file of a repository may be. One that is larger is told and not read: that alone could take hours.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::report;
use crate::history::{self, History};
use crate::manifest::{self, Manifest};
use crate::{assets, compat, page, repo_file, repodata, sbom, sums};

/// What tells how large the files of a repository may be.
#[derive(Debug)]
pub(super) struct Sizes {
    /// The packages by the manifest, and those that only earlier releases have; none where the manifest cannot be read, which the check of
    /// it says.
    packages: Option<BTreeMap<String, u64>>,
}

impl Sizes {
    /// For the repository at `dist`.
    pub(super) fn load(dist: &Path) -> Self {
        let manifest = Manifest::read(&dist.join(manifest::FILE)).ok();
        let packages = manifest.map(|manifest| {
            let releases = History::read(dist).ok().flatten();
            let sets = releases.into_iter().flat_map(|releases| releases.sets);
            let older = sets.skip(1).flat_map(|set| set.packages);
            let older = older.map(|one| (one.path, one.size));
            let packages = manifest.packages.into_iter();
            older
                .chain(packages.map(|one| (one.file, one.size)))
                .collect()
        });
        Self { packages }
    }

    /// Why the file `name` of `size` bytes is none to be read, if that can be told.
    pub(super) fn unfit(&self, name: &str, size: u64) -> Option<String> {
        if name.ends_with(".rpm") {
            let packages = self.packages.as_ref()?;
            let listed = packages.get(name);
            // Whose a package is that nobody lists is said all the same, where it is no larger than one that is listed.
            let fits = match listed {
                Some(listed) => *listed == size,
                None => packages.values().any(|one| *one >= size),
            };
            let file = manifest::FILE;
            let says = match listed {
                Some(listed) => format!("{file} says {listed}"),
                None => format!("{file} does not list it, nor one as large"),
            };
            return (!fits).then(|| not_read(size, &says));
        }
        let most = most(name)?;
        (size > most).then(|| not_read(size, &format!("more than {most}")))
    }

    /// The same of the file `name` at `dist`. What is not there, others say.
    pub(super) fn unfit_at(&self, dist: &Path, name: &str) -> Option<String> {
        let size = fs::symlink_metadata(dist.join(name)).ok()?.len();
        self.unfit(name, size)
    }
}

/// The words on a file of `size` bytes that is none to be read, because of what `says` of it.
pub(super) fn not_read(size: u64, says: &str) -> String {
    format!("it has {size} bytes, {says}; it was not read")
}

/// How large a file of that name may be, where its kind tells.
fn most(name: &str) -> Option<u64> {
    let in_repodata = name.rsplit_once("repodata/").map(|(_, file)| file);
    match in_repodata {
        Some("repomd.xml" | "repomd.xml.asc") => Some(lustre_files::SOURCE),
        Some(_) => Some(repodata::MAX_FILE),
        None => [
            manifest::FILE,
            manifest::LOCK_FILE,
            history::FILE,
            assets::FILE,
            compat::FILE,
            compat::TEXT,
            page::FILE,
            repo_file::FILE,
            repo_file::KEY_FILE,
            repo_file::NEXT_KEY_FILE,
            report::FILE,
            sums::FILE,
            sums::SIGNATURE,
            sums::PROVENANCE,
            sums::PROVENANCE_SIGNATURE,
            sbom::SPDX,
            sbom::CYCLONEDX,
        ]
        .contains(&name)
        .then_some(lustre_files::SOURCE),
    }
}
