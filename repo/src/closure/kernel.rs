//! Kernel symbol checksums: every `kernel(symbol) = checksum` of a kmod must come from *one* kernel.
//!
//! Each requirement by itself may find a provider somewhere (the distribution has several kernels and a debug flavour of
//! each), and the kmod would still load under none of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::rich::Requirement;
use super::universe::{Origin, Universe};
use crate::repodata::{Entry, Package};

/// A kmod whose symbols no single kernel provides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mixture {
    /// The NEVRA of the kmod.
    pub package: String,
    /// How many symbols it requires of the kernel.
    pub symbols: usize,
    /// The kernel that provides most of them, if any does.
    pub best: Option<String>,
    /// The requirements that this kernel lacks.
    pub lacking: Vec<String>,
}

impl fmt::Display for Mixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requires {} symbols of the kernel, and no single kernel provides them all",
            self.package, self.symbols
        )?;
        if let Some(best) = &self.best {
            write!(f, "; the nearest, {best}, lacks {}", self.lacking.len())?;
            for one in self.lacking.iter().take(3) {
                write!(f, ", {one}")?;
            }
        }
        Ok(())
    }
}

/// Our packages whose kernel symbols no single kernel provides. Where our repository ships a kernel, it has to be ours.
pub fn mixtures(universe: &Universe) -> Vec<Mixture> {
    let members = universe.members();
    let ours_has_kernel = universe.ours().any(|m| provides_symbols(m.package));
    let mut found = Vec::new();
    for member in universe.ours() {
        let wanted: Vec<_> = member
            .requires
            .iter()
            .filter_map(|r| match r {
                Requirement::Plain(c) if c.name.starts_with("kernel(") => Some(c),
                _ => None,
            })
            .collect();
        if wanted.is_empty() {
            continue;
        }
        // For each kernel: which of the wanted symbols it has.
        let mut kernels: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for (nth, capability) in wanted.iter().enumerate() {
            for at in universe.providers(capability) {
                let provider = &members[at];
                if ours_has_kernel && provider.origin != Origin::Ours {
                    continue;
                }
                kernels
                    .entry(kernel_of(provider.package))
                    .or_insert_with(|| vec![false; wanted.len()])[nth] = true;
            }
        }
        let count = |has: &[bool]| has.iter().filter(|h| **h).count();
        let best = kernels.iter().max_by_key(|(_, has)| count(has));
        if best.is_some_and(|(_, has)| count(has) == wanted.len()) {
            continue;
        }
        let has_none = vec![false; wanted.len()];
        let has = best.map_or(&has_none, |(_, has)| has);
        found.push(Mixture {
            package: member.package.nevra(),
            symbols: wanted.len(),
            best: best.map(|(kernel, _)| kernel.clone()),
            lacking: wanted
                .iter()
                .zip(has)
                .filter(|(_, has)| !**has)
                .map(|(capability, _)| capability.to_string())
                .collect(),
        });
    }
    found
}

/// A kernel, and what modules ask of kernels that it does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The kernel, as `name-version-release.architecture`.
    pub kernel: String,
    /// In how many symbols it is asked for something.
    pub symbols: usize,
    /// What it lacks, by symbol.
    pub lacking: Vec<Lacking>,
}

/// A symbol that a kernel does not have as modules were built for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Lacking {
    /// Its name.
    pub symbol: String,
    /// The checksum that the modules were built for.
    pub wanted: String,
    /// The kernel's; none where it does not have the symbol.
    pub has: Option<String>,
    /// The first of the modules' packages that asks for it.
    pub by: String,
}

impl Fit {
    /// Whether the modules load on it, as far as checksums tell.
    pub fn loads(&self) -> bool {
        self.lacking.is_empty()
    }
}

/// For each kernel among `packages`, oldest first: whether the modules in `modules` load on it. A kernel counts with all its parts,
/// whether a server installs them or not.
pub fn fits(modules: &[Package], packages: &[Package]) -> Vec<Fit> {
    // Symbol and checksum, and the first package that asks for it.
    let mut wanted: BTreeMap<(&str, String), (&Entry, String)> = BTreeMap::new();
    for package in modules {
        for entry in &package.requires {
            if let Some(symbol) = symbol(entry) {
                wanted
                    .entry((symbol, checksum(entry)))
                    .or_insert_with(|| (entry, package.nevra()));
            }
        }
    }
    let mut kernels: BTreeMap<String, (&Package, BTreeMap<&str, Vec<&Entry>>)> = BTreeMap::new();
    for package in packages.iter().filter(|one| provides_symbols(one)) {
        let (_, has) = kernels
            .entry(kernel_of(package))
            .or_insert_with(|| (package, BTreeMap::new()));
        for entry in &package.provides {
            if let Some(symbol) = symbol(entry) {
                has.entry(symbol).or_default().push(entry);
            }
        }
    }
    let mut kernels: Vec<_> = kernels.into_iter().collect();
    kernels.sort_by(|(a, (one, _)), (b, (other, _))| one.evr.compare(&other.evr).then(a.cmp(b)));
    let fit = |(kernel, (_, has)): (String, (&Package, BTreeMap<&str, Vec<&Entry>>))| {
        let lacks =
            |((symbol, checksum_wanted), (entry, by)): (&(&str, String), &(&Entry, String))| {
                let there = has.get(symbol);
                let is_there = there.is_some_and(|all| all.iter().any(|one| one.overlaps(entry)));
                (!is_there).then(|| Lacking {
                    symbol: (*symbol).to_owned(),
                    wanted: checksum_wanted.clone(),
                    has: there.and_then(|all| all.first()).map(|one| checksum(one)),
                    by: by.clone(),
                })
            };
        Fit {
            kernel,
            symbols: wanted.len(),
            lacking: wanted.iter().filter_map(lacks).collect(),
        }
    };
    kernels.into_iter().map(fit).collect()
}

/// The symbol of `kernel(symbol)`.
fn symbol(entry: &Entry) -> Option<&str> {
    entry.name.strip_prefix("kernel(")?.strip_suffix(')')
}

/// What follows the sign of equality: `0x0800473f`.
fn checksum(entry: &Entry) -> String {
    let evr = entry.evr.as_ref();
    evr.map_or_else(|| "any".to_owned(), ToString::to_string)
}

fn provides_symbols(package: &Package) -> bool {
    package
        .provides
        .iter()
        .any(|p| p.name.starts_with("kernel("))
}

/// The kernel a package is a part of: `kernel-core` and `kernel-modules-extra` of one version are the same kernel,
/// `kernel-debug-core` is another.
fn kernel_of(package: &Package) -> String {
    const PARTS: [&str; 6] = [
        "-modules-internal",
        "-modules-partner",
        "-modules-extra",
        "-modules-core",
        "-modules",
        "-core",
    ];
    let flavour = PARTS
        .iter()
        .find_map(|part| package.name.strip_suffix(part))
        .unwrap_or(&package.name);
    format!("{flavour}-{}.{}", package.evr, package.arch)
}
