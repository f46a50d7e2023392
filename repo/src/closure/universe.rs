//! All packages an installation could choose from, and what is missing among them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use rpm_version::Evr;

use super::capability::Capability;
use super::rich::Requirement;

/// Which side a package is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A package of the repository under test.
    Ours,
    /// A package of the distribution.
    Base,
}

/// A binary package, as far as dependencies go.
#[derive(Clone, Debug)]
pub struct Package {
    /// The name.
    pub name: String,
    /// Epoch, version and release.
    pub evr: Evr<'static>,
    /// The architecture.
    pub arch: String,
    /// Whose it is.
    pub origin: Origin,
    /// What it provides.
    pub provides: Vec<Capability>,
    /// What it requires.
    pub requires: Vec<Requirement>,
    /// What it obsoletes (by package name).
    pub obsoletes: Vec<Capability>,
    /// What it cannot be installed with.
    pub conflicts: Vec<Capability>,
    /// The paths it holds: files, directories and ghosts.
    pub files: Vec<String>,
}

impl Package {
    /// `name-[epoch:]version-release.arch`.
    pub fn nevra(&self) -> String {
        format!(
            "{}-{}.{}",
            self.name,
            super::capability::display_evr(&self.evr),
            self.arch
        )
    }

    /// Whether several versions of it can be installed side by side, as dnf decides by default.
    pub fn is_installonly(&self) -> bool {
        const NAMES: [&str; 2] = ["kernel", "kernel-PAE"];
        const PROVIDES: [&str; 4] = [
            "installonlypkg(kernel)",
            "installonlypkg(kernel-module)",
            "installonlypkg(vm)",
            "multiversion(kernel)",
        ];
        NAMES.contains(&self.name.as_str())
            || self
                .provides
                .iter()
                .any(|p| PROVIDES.contains(&p.name.as_str()))
    }

    fn is_self(&self, capability: &Capability) -> bool {
        let own = Capability {
            name: self.name.clone(),
            version: Some((super::Sense::Equal, self.evr.clone())),
        };
        own.overlaps(capability)
    }
}

/// A requirement nothing meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The NEVRA of the package that asks.
    pub package: String,
    /// What it asks for.
    pub requirement: String,
    /// What comes near: other versions of the capability, or providers that an installation would not choose.
    pub near: Vec<String>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nothing provides {} needed by {}",
            self.requirement, self.package
        )?;
        for near in &self.near {
            write!(f, "; {near}")?;
        }
        Ok(())
    }
}

/// Packages with an index of what they provide.
#[derive(Debug)]
pub struct Universe {
    packages: Vec<Package>,
    /// Base packages that ours replace (same name and architecture, or obsoleted): never chosen as providers.
    replaced: Vec<bool>,
    by_name: HashMap<String, Vec<(usize, usize)>>,
    by_file: HashMap<String, Vec<usize>>,
}

impl Universe {
    /// Indexes `packages`.
    ///
    /// A base package with the name and architecture of one of ours, or that ours obsoletes, counts as replaced: dnf takes
    /// ours, so what only the replaced one provides is missing. That is what makes a kmod built for the distribution's
    /// kernel a failure in a repository that ships its own.
    pub fn new(packages: Vec<Package>) -> Self {
        let ours: HashSet<(&str, &str)> = packages
            .iter()
            .filter(|p| p.origin == Origin::Ours)
            .map(|p| (p.name.as_str(), p.arch.as_str()))
            .collect();
        let obsoletes: Vec<&Capability> = packages
            .iter()
            .filter(|p| p.origin == Origin::Ours)
            .flat_map(|p| &p.obsoletes)
            .collect();
        let replaced = packages
            .iter()
            .map(|p| {
                p.origin == Origin::Base
                    && (ours.contains(&(p.name.as_str(), p.arch.as_str()))
                        || obsoletes.iter().any(|o| p.is_self(o)))
            })
            .collect();

        let mut wanted_files: HashSet<&str> = HashSet::new();
        let mut by_name: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        for (at, package) in packages.iter().enumerate() {
            for (nth, provide) in package.provides.iter().enumerate() {
                match by_name.get_mut(&provide.name) {
                    Some(list) => list.push((at, nth)),
                    None => {
                        by_name.insert(provide.name.clone(), vec![(at, nth)]);
                    }
                }
            }
            for requirement in &package.requires {
                requirement.each_capability(&mut |c| {
                    if c.name.starts_with('/') {
                        wanted_files.insert(&c.name);
                    }
                });
            }
        }
        let mut by_file: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, package) in packages.iter().enumerate() {
            for file in &package.files {
                if wanted_files.contains(file.as_str()) {
                    by_file.entry(file.clone()).or_default().push(at);
                }
            }
        }
        Self {
            packages,
            replaced,
            by_name,
            by_file,
        }
    }

    /// All packages, in the order given.
    pub fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Whether the package at `index` is one of the base that ours replaces.
    pub fn is_replaced(&self, index: usize) -> bool {
        self.replaced[index]
    }

    /// The packages that provide `capability`, those of the base that ours replaces left out.
    pub fn providers(&self, capability: &Capability) -> Vec<usize> {
        let mut found = self.all_providers(capability);
        found.retain(|at| !self.replaced[*at]);
        found
    }

    fn all_providers(&self, capability: &Capability) -> Vec<usize> {
        let mut found: Vec<usize> = Vec::new();
        for (at, nth) in self.by_name.get(&capability.name).into_iter().flatten() {
            if self.packages[*at].provides[*nth].overlaps(capability) {
                found.push(*at);
            }
        }
        if capability.version.is_none() {
            found.extend(self.by_file.get(&capability.name).into_iter().flatten());
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether `requirement` can be met, using providers for which `usable` holds.
    ///
    /// A condition counts as true when it *can* be installed, since then some system will have it: `(a if b)` needs `a`
    /// unless nothing provides `b`, and `(a unless b)` needs `a` or a way to have `b`.
    pub fn can_meet(&self, requirement: &Requirement, usable: &dyn Fn(usize) -> bool) -> bool {
        match requirement {
            Requirement::Plain(c) if c.name.starts_with("rpmlib(") => true,
            Requirement::Plain(_) | Requirement::With(_) | Requirement::Without(..) => self
                .packages_for(requirement)
                .into_iter()
                .any(|at| !self.replaced[at] && usable(at)),
            Requirement::And(all) => all.iter().all(|one| self.can_meet(one, usable)),
            Requirement::Or(all) => all.iter().any(|one| self.can_meet(one, usable)),
            Requirement::If {
                wanted,
                condition,
                otherwise,
            } => {
                if self.can_meet(condition, usable) {
                    self.can_meet(wanted, usable)
                } else {
                    otherwise
                        .as_deref()
                        .is_none_or(|otherwise| self.can_meet(otherwise, usable))
                }
            }
            Requirement::Unless {
                wanted,
                condition,
                otherwise,
            } => {
                if self.can_meet(condition, usable) {
                    otherwise
                        .as_deref()
                        .is_none_or(|otherwise| self.can_meet(otherwise, usable))
                } else {
                    self.can_meet(wanted, usable)
                }
            }
        }
    }

    /// The packages that by themselves meet a requirement, replaced ones included.
    fn packages_for(&self, requirement: &Requirement) -> Vec<usize> {
        match requirement {
            Requirement::Plain(c) => self.all_providers(c),
            Requirement::Or(all) => {
                let mut found: Vec<usize> =
                    all.iter().flat_map(|one| self.packages_for(one)).collect();
                found.sort_unstable();
                found.dedup();
                found
            }
            Requirement::With(all) | Requirement::And(all) => {
                let mut lists = all.iter().map(|one| self.packages_for(one));
                let mut found = lists.next().unwrap_or_default();
                for list in lists {
                    found.retain(|at| list.contains(at));
                }
                found
            }
            Requirement::Without(a, b) => {
                let not = self.packages_for(b);
                let mut found = self.packages_for(a);
                found.retain(|at| !not.contains(at));
                found
            }
            // rpm allows no conditions inside `with` and `without`.
            Requirement::If { .. } | Requirement::Unless { .. } => Vec::new(),
        }
    }

    /// Every requirement of our packages that nothing meets, in the order of packages and requirements.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        for package in self.packages.iter().filter(|p| p.origin == Origin::Ours) {
            for requirement in &package.requires {
                if !self.can_meet(requirement, &|_| true) {
                    missing.push(Missing {
                        package: package.nevra(),
                        requirement: requirement.to_string(),
                        near: self.near(requirement),
                    });
                }
            }
        }
        missing
    }

    /// Requirements of base packages that the base alone meets and that are no longer met once ours replace theirs:
    /// what an upgrade to our packages would break.
    ///
    /// Packages of which several versions can be installed (kernels) replace nothing.
    pub fn broken_base(&self) -> Vec<Missing> {
        let stays = |at: usize| {
            let package = &self.packages[at];
            package.origin == Origin::Ours
                || !self.replaced[at]
                || package.is_installonly()
        };
        let base_alone = |at: usize| self.packages[at].origin == Origin::Base;
        let mut broken = Vec::new();
        for (at, package) in self.packages.iter().enumerate() {
            if package.origin != Origin::Base || self.replaced[at] {
                continue;
            }
            for requirement in &package.requires {
                if self.met_by(requirement, &base_alone) && !self.met_by(requirement, &stays) {
                    broken.push(Missing {
                        package: package.nevra(),
                        requirement: requirement.to_string(),
                        near: self.near(requirement),
                    });
                }
            }
        }
        broken
    }

    /// As [`Self::can_meet`], but `usable` alone decides, also over replaced packages. Plain requirements only: a rich one
    /// is looked at through its parts.
    fn met_by(&self, requirement: &Requirement, usable: &dyn Fn(usize) -> bool) -> bool {
        match requirement {
            Requirement::Plain(c) if c.name.starts_with("rpmlib(") => true,
            Requirement::And(all) => all.iter().all(|one| self.met_by(one, usable)),
            Requirement::Or(all) => all.iter().any(|one| self.met_by(one, usable)),
            Requirement::If { .. } | Requirement::Unless { .. } => true,
            _ => self.packages_for(requirement).into_iter().any(usable),
        }
    }

    /// For an error: who provides the same names in other versions, or would, were it not replaced.
    fn near(&self, requirement: &Requirement) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut near = Vec::new();
        requirement.each_capability(&mut |wanted| {
            for (at, nth) in self.by_name.get(&wanted.name).into_iter().flatten() {
                let package = &self.packages[*at];
                let provide = &package.provides[*nth];
                let symbol = is_kernel_symbol(&wanted.name);
                let line = match (provide.overlaps(wanted), self.replaced[*at]) {
                    (true, true) => format!(
                        "{} of the base provides it, but a package of this repository replaces that one",
                        package.nevra()
                    ),
                    (false, false) if symbol => format!(
                        "{} provides {provide} (built from another kernel?)",
                        package.nevra()
                    ),
                    (false, false) => format!("{} provides {provide}", package.nevra()),
                    _ => continue,
                };
                if near.len() < SHOWN && !near.contains(&line) {
                    near.push(line);
                }
            }
        });
        near
    }
}

/// Whether a capability is a kernel symbol with its checksum, as the kernel (`kernel(…)`) and kmods (`ksym(…)`) of
/// Enterprise Linux provide and require them.
pub fn is_kernel_symbol(name: &str) -> bool {
    name.starts_with("kernel(") || name.starts_with("ksym(")
}
