//! All packages an installation could choose from, and what is missing among them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::rich::{self, ParseError, Requirement};
use crate::{Entry, Flag, Package};

/// Which side a package is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A package of the repository under test.
    Ours,
    /// A package of the distribution.
    Base,
}

/// A binary package of the universe.
#[derive(Debug)]
pub struct Member<'a> {
    /// What repodata says of it.
    pub package: &'a Package,
    /// Whose it is.
    pub origin: Origin,
    /// Whether it is one of the base that ours replace (same name and architecture, or obsoleted): never chosen as a
    /// provider.
    pub replaced: bool,
    /// Its requirements, those that can be read.
    pub requires: Vec<Requirement>,
    /// Requirements that cannot be read, with the reason.
    pub unreadable: Vec<ParseError>,
}

impl Member<'_> {
    /// Whether several versions of it can be installed side by side, as dnf decides by default.
    pub fn is_installonly(&self) -> bool {
        const NAMES: [&str; 2] = ["kernel", "kernel-PAE"];
        const PROVIDES: [&str; 4] = [
            "installonlypkg(kernel)",
            "installonlypkg(kernel-module)",
            "installonlypkg(vm)",
            "multiversion(kernel)",
        ];
        NAMES.contains(&self.package.name.as_str())
            || self
                .package
                .provides
                .iter()
                .any(|p| PROVIDES.contains(&p.name.as_str()))
    }
}

/// Whether an `Obsoletes:` means this package: by its name and version, not by what it provides.
pub fn is_obsoleted(package: &Package, obsoletes: &Entry) -> bool {
    let own = Entry {
        name: package.name.clone(),
        flags: Some(Flag::Eq),
        evr: Some(package.evr.clone()),
        pre: false,
    };
    own.name == obsoletes.name && own.overlaps(obsoletes)
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
pub struct Universe<'a> {
    members: Vec<Member<'a>>,
    by_name: HashMap<&'a str, Vec<(usize, usize)>>,
    by_file: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Universe<'a> {
    /// Indexes our packages and those of the base; source packages are left out.
    ///
    /// A base package with the name and architecture of one of ours, or that ours obsoletes, counts as replaced: dnf takes
    /// ours, so what only the replaced one provides is missing. That is what makes a kmod built for the distribution's
    /// kernel a failure in a repository that ships its own.
    pub fn new(
        ours: impl IntoIterator<Item = &'a Package>,
        base: impl IntoIterator<Item = &'a Package>,
    ) -> Self {
        let ours = ours.into_iter().map(|p| (p, Origin::Ours));
        let base = base.into_iter().map(|p| (p, Origin::Base));
        Self::of(&ours.chain(base).collect::<Vec<_>>())
    }

    /// Of this crate, which is optimised in every build: what is generic is compiled where it is called.
    fn of(sides: &[(&'a Package, Origin)]) -> Self {
        let mut members: Vec<Member<'a>> = Vec::with_capacity(sides.len());
        for &(package, origin) in sides {
            if package.arch == "src" {
                continue;
            }
            let mut member = Member {
                package,
                origin,
                replaced: false,
                requires: Vec::with_capacity(package.requires.len()),
                unreadable: Vec::new(),
            };
            for entry in &package.requires {
                match rich::of_entry(entry) {
                    Ok(requirement) => member.requires.push(requirement),
                    Err(error) => member.unreadable.push(error),
                }
            }
            members.push(member);
        }
        mark_replaced(&mut members);

        let mut by_name: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        let mut wanted_files: HashSet<String> = HashSet::new();
        for (at, member) in members.iter().enumerate() {
            for (nth, provide) in member.package.provides.iter().enumerate() {
                by_name.entry(&provide.name).or_default().push((at, nth));
            }
            for requirement in &member.requires {
                requirement.each_capability(&mut |c| {
                    if c.name.starts_with('/') && !wanted_files.contains(&c.name) {
                        wanted_files.insert(c.name.clone());
                    }
                });
            }
        }
        let mut by_file: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, member) in members.iter().enumerate() {
            for file in &member.package.files {
                if wanted_files.contains(&file.path) {
                    by_file.entry(&file.path).or_default().push(at);
                }
            }
        }
        Self {
            members,
            by_name,
            by_file,
        }
    }

    /// All packages: ours, then the base's.
    pub fn members(&self) -> &[Member<'a>] {
        &self.members
    }

    /// Our packages.
    pub fn ours(&self) -> impl Iterator<Item = &Member<'a>> {
        self.members.iter().filter(|m| m.origin == Origin::Ours)
    }

    /// The packages that provide `capability`, those of the base that ours replace left out.
    pub fn providers(&self, capability: &Entry) -> Vec<usize> {
        let mut found = self.all_providers(capability);
        found.retain(|at| !self.members[*at].replaced);
        found
    }

    fn all_providers(&self, capability: &Entry) -> Vec<usize> {
        let mut found: Vec<usize> = self.each_provider(capability).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The packages that provide `capability`, in no order, and some of them more than once.
    fn each_provider(&self, capability: &Entry) -> impl Iterator<Item = usize> {
        let by_name = self.by_name.get(capability.name.as_str());
        let by_name = by_name
            .into_iter()
            .flatten()
            .filter(|(at, nth)| self.members[*at].package.provides[*nth].overlaps(capability));
        let by_file = self.by_file.get(capability.name.as_str());
        let by_file = by_file.filter(|_| capability.flags.is_none());
        by_name
            .map(|(at, _)| *at)
            .chain(by_file.into_iter().flatten().copied())
    }

    /// Whether `requirement` can be met by packages for which `usable` holds.
    ///
    /// A condition counts as true when it *can* be installed, since then some system will have it: `(a if b)` needs `a`
    /// unless nothing provides `b`, and `(a unless b)` needs `a` or a way to have `b`.
    fn can_meet(&self, requirement: &Requirement, usable: &dyn Fn(&Member<'a>) -> bool) -> bool {
        let or_nothing = |otherwise: &Option<Box<Requirement>>| {
            otherwise
                .as_deref()
                .is_none_or(|otherwise| self.can_meet(otherwise, usable))
        };
        match requirement {
            Requirement::Plain(c) if c.name.starts_with("rpmlib(") => true,
            Requirement::Plain(c) => self.each_provider(c).any(|at| usable(&self.members[at])),
            Requirement::With(_) | Requirement::Without(..) => self
                .packages_for(requirement)
                .into_iter()
                .any(|at| usable(&self.members[at])),
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
                    or_nothing(otherwise)
                }
            }
            Requirement::Unless {
                wanted,
                condition,
                otherwise,
            } => {
                if self.can_meet(condition, usable) {
                    or_nothing(otherwise)
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
        for member in self.ours() {
            for requirement in &member.requires {
                if !self.can_meet(requirement, &|m| !m.replaced) {
                    missing.push(self.describe(member, requirement));
                }
            }
            missing.extend(member.unreadable.iter().map(|error| Missing {
                package: member.package.nevra(),
                requirement: error.text.clone(),
                near: vec![format!("it cannot be read: {}", error.what)],
            }));
        }
        missing
    }

    /// Requirements of base packages that the base alone meets and that are no longer met once ours replace theirs:
    /// what an upgrade to our packages would break.
    ///
    /// Packages of which several versions can be installed (kernels) replace nothing.
    pub fn broken_base(&self) -> Vec<Missing> {
        let stays = |m: &Member<'a>| !m.replaced || m.is_installonly();
        let base_alone = |m: &Member<'a>| m.origin == Origin::Base;
        let mut broken = Vec::new();
        for member in &self.members {
            if member.origin != Origin::Base || member.replaced {
                continue;
            }
            for requirement in &member.requires {
                if !self.can_meet(requirement, &stays) && self.can_meet(requirement, &base_alone) {
                    broken.push(self.describe(member, requirement));
                }
            }
        }
        broken
    }

    fn describe(&self, member: &Member<'a>, requirement: &Requirement) -> Missing {
        Missing {
            package: member.package.nevra(),
            requirement: requirement.to_string(),
            near: self.near(requirement),
        }
    }

    /// For an error: who provides the same names in other versions, or would, were it not replaced.
    fn near(&self, requirement: &Requirement) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut near = Vec::new();
        requirement.each_capability(&mut |wanted| {
            for (at, nth) in self.by_name.get(wanted.name.as_str()).into_iter().flatten() {
                let member = &self.members[*at];
                let package = member.package;
                let provide = &package.provides[*nth];
                let symbol = is_kernel_symbol(&wanted.name);
                let line = match (provide.overlaps(wanted), member.replaced) {
                    (true, true) => format!(
                        "{} of the base provides it, but a package of this repository replaces that package",
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

fn mark_replaced(members: &mut [Member<'_>]) {
    let ours: Vec<&Package> = members
        .iter()
        .filter(|m| m.origin == Origin::Ours)
        .map(|m| m.package)
        .collect();
    let names: HashSet<(&str, &str)> = ours
        .iter()
        .map(|p| (p.name.as_str(), p.arch.as_str()))
        .collect();
    let mut obsoletes: HashMap<&str, Vec<&Entry>> = HashMap::new();
    for entry in ours.iter().flat_map(|p| &p.obsoletes) {
        obsoletes.entry(&entry.name).or_default().push(entry);
    }
    for member in members.iter_mut().filter(|m| m.origin == Origin::Base) {
        let package = member.package;
        member.replaced = names.contains(&(package.name.as_str(), package.arch.as_str()))
            || obsoletes
                .get(package.name.as_str())
                .is_some_and(|all| all.iter().any(|entry| is_obsoleted(package, entry)));
    }
}

/// Whether a capability is a kernel symbol with its checksum, as the kernel (`kernel(…)`) and kmods (`ksym(…)`) of
/// Enterprise Linux provide and require them.
pub fn is_kernel_symbol(name: &str) -> bool {
    name.starts_with("kernel(") || name.starts_with("ksym(")
}
