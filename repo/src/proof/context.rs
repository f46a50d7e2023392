//! What the static checks look at, read once, and not before a check asks for it.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use lustre_sign::PublicKey;

use super::input::StaticInput;
use super::metadata;
use super::report::guarded;
use super::sizes::Sizes;
use crate::closure::Universe;
use crate::history::{History, Set, location};
use crate::layout::Kind;
use crate::repodata::{self, Metadata, Package};

/// The input with everything that several checks need of it.
pub(super) struct Context<'a> {
    pub(super) input: StaticInput<'a>,
    /// Paths of all RPM files in the tree, relative to it, sorted.
    pub(super) rpms: Result<Vec<String>, String>,
    /// How large its files may be.
    pub(super) sizes: Sizes,
    /// The releases that it has; none where it does not say.
    pub(super) releases: Option<History>,
    /// The key, or why it is none.
    pub(super) key: Result<PublicKey, String>,
    /// The metadata of our repositories, with the folder of each.
    ours: OnceLock<Result<Vec<(Kind, Metadata)>, String>>,
    /// The metadata of the distribution's repositories, with the folder of each.
    base: OnceLock<Result<Vec<(&'a Path, Metadata)>, String>>,
}

/// Our packages and those of the base, as one set to choose from.
pub(super) struct CombinedSet<'a> {
    /// The packages with their relations.
    pub(super) universe: Universe<'a>,
    /// Where each member's RPM file is, or would be: base repositories may be metadata alone.
    pub(super) files: Vec<PathBuf>,
    /// For each earlier release that is kept, when that was and its packages with the base's.
    pub(super) earlier: Vec<(u32, Universe<'a>)>,
}

impl<'a> Context<'a> {
    pub(super) fn load(input: StaticInput<'a>) -> Self {
        let rpms: Result<Vec<String>, String> = crate::sums::files(input.dist)
            .map(|files| files.into_iter().filter(|f| f.ends_with(".rpm")).collect())
            .map_err(|e| e.to_string());
        Self {
            input,
            rpms,
            sizes: Sizes::load(input.dist),
            // The check of it says what is wrong with it.
            releases: History::read(input.dist).ok().flatten(),
            key: PublicKey::parse(input.public_key).map_err(|error| error.to_string()),
            ours: OnceLock::new(),
            base: OnceLock::new(),
        }
    }

    /// The digest and the size of the file `name` of the tree, which is at `path`. Packages are read once for all that they are asked for.
    pub(super) fn sha256(&self, name: &str, path: &Path) -> io::Result<(String, u64)> {
        match &self.key {
            Ok(key) if name.ends_with(".rpm") => self.input.digests.sha256_of_package(path, key),
            _ => self.input.digests.sha256(path),
        }
    }

    fn read_ours(&self) -> Result<Vec<(Kind, Metadata)>, String> {
        // Who follows the links of a tree, or reads what is in it for ever, is led by who made it. And what nobody signed may unpack to
        // anything.
        self.rpms.as_ref().map_err(Clone::clone)?;
        Kind::ALL
            .into_iter()
            .map(|kind| {
                let root = self.input.dist.join(kind.folder());
                metadata::verified(&self.input, &metadata::index(kind))
                    .map_err(|why| format!("{why}; it was not read"))?;
                guarded(|| repodata::read(&root))?
                    .map(|metadata| (kind, metadata))
                    .map_err(|e| e.to_string())
            })
            .collect()
    }

    fn read_base(&self) -> Result<Vec<(&'a Path, Metadata)>, String> {
        self.input
            .base_repos
            .iter()
            .map(|path| {
                repodata::read(path)
                    .map(|metadata| (path.as_path(), metadata))
                    .map_err(|e| format!("the base repository {}: {e}", path.display()))
            })
            .collect()
    }

    /// The metadata of our repositories.
    pub(super) fn ours(&self) -> Result<&[(Kind, Metadata)], String> {
        self.ours
            .get_or_init(|| self.read_ours())
            .as_deref()
            .map_err(Clone::clone)
    }

    /// Our packages of some kinds, without those that only earlier releases have.
    pub(super) fn our_packages(&self, kinds: &[Kind]) -> Result<Vec<(Kind, &Package)>, String> {
        let older = self.releases.as_ref().map(History::older_paths);
        let older = older.unwrap_or_default();
        let mut all = self.all_packages(kinds)?;
        all.retain(|(kind, package)| !older.contains(location(*kind, package).as_str()));
        Ok(all)
    }

    /// Those of all releases that it has.
    fn all_packages(&self, kinds: &[Kind]) -> Result<Vec<(Kind, &Package)>, String> {
        Ok(self
            .ours()?
            .iter()
            .filter(|(kind, _)| kinds.contains(kind))
            .flat_map(|(kind, metadata)| metadata.packages.iter().map(|p| (*kind, p)))
            .collect())
    }

    /// The packages of each earlier release, with when that was.
    fn earlier_packages(&self, kinds: &[Kind]) -> Result<Vec<(u32, Vec<&Package>)>, String> {
        let all = self.all_packages(kinds)?;
        let all: BTreeMap<String, &Package> = all
            .into_iter()
            .map(|(kind, package)| (location(kind, package), package))
            .collect();
        let sets = self.releases.iter().flat_map(|releases| &releases.sets);
        // What is in no metadata, others say.
        let of = |set: &Set| {
            set.paths()
                .filter_map(|path| all.get(path).copied())
                .collect()
        };
        Ok(sets.skip(1).map(|set| (set.time, of(set))).collect())
    }

    /// The universe of our packages (debug packages require each other, so they are part of it) and the base's.
    pub(super) fn sides(&self) -> Result<CombinedSet<'_>, String> {
        let kinds = [Kind::Binary, Kind::Debuginfo];
        let ours = self.our_packages(&kinds)?;
        let base = self.base_packages()?;
        let universe = |ours: Vec<_>| Universe::new(ours, base.iter().map(|(_, p)| *p));
        let earlier = self.earlier_packages(&kinds)?.into_iter();
        let dist = self.input.dist;
        Ok(CombinedSet {
            universe: universe(ours.iter().map(|(_, p)| *p).collect()),
            files: ours
                .iter()
                .map(|(kind, p)| dist.join(kind.folder()).join(&p.location))
                .chain(base.iter().map(|(root, p)| root.join(&p.location)))
                .collect(),
            earlier: earlier.map(|(time, ours)| (time, universe(ours))).collect(),
        })
    }

    /// The binary packages of the distribution, with the folder of the repository each is in.
    fn base_packages(&self) -> Result<Vec<(&'a Path, &Package)>, String> {
        let base = self
            .base
            .get_or_init(|| self.read_base())
            .as_deref()
            .map_err(Clone::clone)?;
        if base
            .iter()
            .all(|(_, metadata)| metadata.packages.is_empty())
        {
            return Err(
                "there is no base repository to check against: give the distribution's repositories"
                    .to_owned(),
            );
        }
        Ok(base
            .iter()
            .flat_map(|(path, metadata)| metadata.packages.iter().map(|p| (*path, p)))
            .filter(|(_, p)| p.arch != "src")
            .collect())
    }
}
