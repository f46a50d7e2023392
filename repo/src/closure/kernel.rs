//! Kernel symbol checksums: every `kernel(symbol) = checksum` of a kmod must come from *one* kernel.
//!
//! Each requirement by itself may find a provider somewhere (the distribution has several kernels and a debug flavour of
//! each), and the kmod would still load under none of them.

use std::collections::BTreeMap;
use std::fmt;

use super::rich::Requirement;
use super::universe::{Origin, Universe};
use crate::repodata::Package;

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
