//! Which packages say that they cannot be installed beside each other, and which of a set can be.

use super::rich::{self, Requirement};
use super::universe::is_obsoleted;
use crate::{Entry, Package};

/// Whether one of the two says that it cannot be installed with the other: by a conflict (plain, by a path or rich) or by replacing it.
pub fn exclude_each_other(a: &Package, b: &Package) -> bool {
    excludes(a, b) || excludes(b, a)
}

fn excludes(one: &Package, other: &Package) -> bool {
    // A package never conflicts with what it is itself.
    let conflicts = |conflict: &Entry| match rich::of_entry(conflict) {
        Ok(Requirement::Plain(plain)) => provides(other, &plain),
        Ok(conflict) => holds(&conflict, &[one, other]) && !holds(&conflict, &[one]),
        // That it cannot be read is said elsewhere.
        Err(_) => false,
    };
    one.conflicts.iter().any(conflicts)
        || one
            .obsoletes
            .iter()
            .any(|obsoletes| is_obsoleted(other, obsoletes))
}

/// Whether a package is or has what a capability names.
fn provides(package: &Package, capability: &Entry) -> bool {
    let provided = package
        .provides
        .iter()
        .any(|p| p.name == capability.name && p.overlaps(capability));
    provided
        || (capability.name.starts_with('/')
            && package
                .files
                .iter()
                .any(|file| file.path == capability.name))
}

/// Whether an expression is true of a system on which just these packages are installed.
fn holds(expression: &Requirement, installed: &[&Package]) -> bool {
    let otherwise = |other: &Option<Box<Requirement>>| {
        other
            .as_deref()
            .is_some_and(|other| holds(other, installed))
    };
    match expression {
        Requirement::Plain(capability) => installed.iter().any(|p| provides(p, capability)),
        Requirement::And(all) => all.iter().all(|one| holds(one, installed)),
        Requirement::Or(all) => all.iter().any(|one| holds(one, installed)),
        Requirement::With(all) => installed
            .iter()
            .any(|p| all.iter().all(|one| holds(one, &[p]))),
        Requirement::Without(a, b) => installed.iter().any(|p| holds(a, &[p]) && !holds(b, &[p])),
        // As a conflict, an `if` whose condition does not hold forbids nothing.
        Requirement::If {
            wanted,
            condition,
            otherwise: other,
        } => {
            if holds(condition, installed) {
                holds(wanted, installed)
            } else {
                otherwise(other)
            }
        }
        Requirement::Unless {
            wanted,
            condition,
            otherwise: other,
        } => {
            if holds(condition, installed) {
                otherwise(other)
            } else {
                holds(wanted, installed)
            }
        }
    }
}

/// Of `packages`, in their order, as many as can be installed beside each other; and for each of the others, the index of one that
/// keeps it out. Both are indexes into `packages`.
pub fn together(packages: &[&Package]) -> (Vec<usize>, Vec<(usize, usize)>) {
    let mut chosen: Vec<usize> = Vec::new();
    let mut left_out = Vec::new();
    for (at, package) in packages.iter().enumerate() {
        match chosen
            .iter()
            .find(|other| exclude_each_other(package, packages[**other]))
        {
            Some(other) => left_out.push((at, *other)),
            None => chosen.push(at),
        }
    }
    (chosen, left_out)
}
