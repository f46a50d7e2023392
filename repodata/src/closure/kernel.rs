//! Kernel symbol checksums: every `kernel(symbol) = checksum` of a kmod must come from *one* kernel.
//!
//! Each requirement by itself may find a provider somewhere (the distribution has several kernels and a debug flavour of
//! each), and the kmod would still load under none of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::rich::Requirement;
use super::universe::{Origin, Universe};
use crate::{Entry, Package};

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
            "{} requires {} kernel symbols, and no single kernel provides them all",
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit<'p> {
    /// The kernel, as `name-version-release.architecture`.
    pub kernel: String,
    /// The first of its packages.
    pub package: &'p Package,
    /// How many symbols it provides; where it provides none, nothing can be told of it.
    pub provides: usize,
    /// What it lacks, by symbol; nothing where it provides none.
    pub lacking: Vec<Lacking>,
}

/// A symbol that a kernel does not have as modules were built for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lacking {
    pub symbol: String,
    /// The checksum that the modules were built for.
    pub wanted: String,
    /// The kernel's; none where it does not have the symbol.
    pub has: Option<String>,
    /// The first of the modules' packages that asks for it.
    pub by: String,
}

/// How many symbols with their checksums `modules` ask kernels for.
pub fn symbols(modules: &[Package]) -> usize {
    wanted(modules).len()
}

/// Whether a package asks kernels for symbols by their checksums.
pub fn asks_for_symbols(package: &Package) -> bool {
    package.requires.iter().any(|one| symbol(one).is_some())
}

type RequiredSymbols<'p> = BTreeMap<(&'p str, String), (&'p Entry, String)>;

/// Symbol and checksum, and the first package that asks for it.
fn wanted(modules: &[Package]) -> RequiredSymbols<'_> {
    let mut wanted = RequiredSymbols::new();
    for package in modules {
        for entry in &package.requires {
            if let Some(symbol) = symbol(entry) {
                wanted
                    .entry((symbol, checksum(entry)))
                    .or_insert_with(|| (entry, package.nevra()));
            }
        }
    }
    wanted
}

/// A kernel's first package, and what all of its packages provide.
type Kernel<'p> = (&'p Package, BTreeMap<&'p str, Vec<&'p Entry>>);

/// For each kernel among `packages`, oldest first: what the modules in `modules` ask for that it does not have. A kernel counts with all
/// its parts, whether a server installs them or not.
pub fn fits<'p>(
    modules: &[Package],
    packages: impl IntoIterator<Item = &'p Package>,
) -> Vec<Fit<'p>> {
    let wanted = wanted(modules);
    let mut kernels: BTreeMap<String, Kernel<'p>> = BTreeMap::new();
    for package in packages.into_iter().filter(|one| is_kernel(one)) {
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
    let fit = |(kernel, (package, has)): (String, Kernel<'p>)| {
        let mut lacking = Vec::new();
        for ((symbol, checksum_wanted), (entry, by)) in &wanted {
            let there = has.get(symbol);
            let fits = there.is_some_and(|all| all.iter().any(|one| one.overlaps(entry)));
            if !fits && !has.is_empty() {
                lacking.push(Lacking {
                    symbol: (*symbol).to_owned(),
                    wanted: checksum_wanted.clone(),
                    has: there.and_then(|all| all.first()).map(|one| checksum(one)),
                    by: by.clone(),
                });
            }
        }
        Fit {
            kernel,
            package,
            provides: has.len(),
            lacking,
        }
    };
    kernels.into_iter().map(fit).collect()
}

/// Whether a package is part of a kernel that boots: it provides symbols, or is called as those are that should.
pub fn is_kernel(package: &Package) -> bool {
    let name = package.name.as_str();
    let named = name == "kernel" || (name.starts_with("kernel-") && name.ends_with("-core"));
    package.arch != "src" && (named || provides_symbols(package))
}

/// The symbol of `kernel(symbol)`. A package called `kernel` provides `kernel(x86-64)`, too, which is none.
fn symbol(entry: &Entry) -> Option<&str> {
    let name = entry.name.strip_prefix("kernel(")?.strip_suffix(')')?;
    (!name.contains('-')).then_some(name)
}

/// What follows the sign of equality: `0x0800473f`.
fn checksum(entry: &Entry) -> String {
    let evr = entry.evr.as_ref();
    evr.map_or_else(|| "any".to_owned(), ToString::to_string)
}

fn provides_symbols(package: &Package) -> bool {
    package.provides.iter().any(|one| symbol(one).is_some())
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
