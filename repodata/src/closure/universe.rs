//! All packages an installation could choose from, and what is missing among them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::iter;
use std::panic::resume_unwind;
use std::thread;

use smol_str::SmolStr;

use super::rich::{self, ParseError, Requirement};
use crate::{Entry, Flag, Package};

/// In how many threads requirements are looked up at most.
const MOST: usize = 8;

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
        name: package.name.as_str().into(),
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
    provided: Provided<'a>,
    by_file: HashMap<&'a str, Vec<usize>>,
}

/// What all packages provide, by name. Hundreds of thousands of names are provided once: none has a list of its own.
#[derive(Debug)]
struct Provided<'a> {
    /// The place in `all` of the first one of a name.
    first: HashMap<&'a str, usize>,
    all: Vec<Provide>,
}

/// One entry of a package's provides.
#[derive(Debug, Clone, Copy)]
struct Provide {
    /// The place of the package.
    at: usize,
    /// The place among what it provides.
    nth: usize,
    /// The place of the next one of this name.
    next: Option<usize>,
}

impl<'a> Provided<'a> {
    fn of(members: &[Member<'a>]) -> Self {
        let count = members.iter().map(|it| it.package.provides.len()).sum();
        let mut first = HashMap::with_capacity(count);
        let mut all = Vec::with_capacity(count);
        // From the end, so that those of a name come in the order of packages.
        for (at, member) in members.iter().enumerate().rev() {
            for (nth, provide) in member.package.provides.iter().enumerate().rev() {
                let next = first.insert(provide.name.as_str(), all.len());
                all.push(Provide { at, nth, next });
            }
        }
        Self { first, all }
    }

    /// Those of a name: the places of packages, and which of their provides.
    fn named(&self, name: &str) -> impl Iterator<Item = (usize, usize)> {
        let get = |place: usize| self.all[place];
        let first = self.first.get(name).copied().map(get);
        iter::successors(first, move |it| it.next.map(get)).map(|it| (it.at, it.nth))
    }
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

        // Each needs a look at all packages, and nothing of the other.
        let (provided, by_file) = thread::scope(|scope| {
            let provided = scope.spawn(|| Provided::of(&members));
            let by_file = by_file(&members);
            let provided = provided.join();
            (
                provided.unwrap_or_else(|panic| resume_unwind(panic)),
                by_file,
            )
        });
        Self {
            members,
            provided,
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
        let by_name = self.provided.named(&capability.name);
        let by_name = by_name
            .filter(|(at, nth)| self.members[*at].package.provides[*nth].overlaps(capability));
        let is_file = capability.name.starts_with('/') && capability.flags.is_none();
        let by_file = is_file.then(|| self.by_file.get(capability.name.as_str()));
        by_name
            .map(|(at, _)| at)
            .chain(by_file.flatten().into_iter().flatten().copied())
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
        // Each package by itself: in as many threads as there are processors.
        let threads = thread::available_parallelism().map_or(1, |count| count.get().min(MOST));
        let length = self.members.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let parts = self.members.chunks(length);
            let parts: Vec<_> = parts
                .map(|members| scope.spawn(|| self.missing_of(members)))
                .collect();
            let found = parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)));
            found.collect()
        })
    }

    fn missing_of(&self, members: &[Member<'a>]) -> Vec<Missing> {
        let mut missing = Vec::new();
        for member in members.iter().filter(|m| m.origin == Origin::Ours) {
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
            for (at, nth) in self.provided.named(&wanted.name) {
                let member = &self.members[at];
                let package = member.package;
                let provide = &package.provides[nth];
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

/// The packages that have a file, of those files that somebody requires.
fn by_file<'a>(members: &[Member<'a>]) -> HashMap<&'a str, Vec<usize>> {
    let mut wanted: HashSet<SmolStr> = HashSet::new();
    for requirement in members.iter().flat_map(|member| &member.requires) {
        requirement.each_capability(&mut |c| {
            if c.name.starts_with('/') && !wanted.contains(&c.name) {
                wanted.insert(c.name.clone());
            }
        });
    }
    let mut found: HashMap<&str, Vec<usize>> = HashMap::new();
    if wanted.is_empty() {
        return found;
    }
    for (at, member) in members.iter().enumerate() {
        for file in &member.package.files {
            if wanted.contains(file.path.as_str()) {
                found.entry(&file.path).or_default().push(at);
            }
        }
    }
    found
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
