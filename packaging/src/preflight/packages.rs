//! The packages that chroots are made of: does the distribution have every name that the target lists? dnf would tell as well, but of
//! Lustre's buildroot only after the kernel was built.

use std::collections::BTreeSet;

use super::report::{Check, Problem};
use crate::target::Target;

/// Looks up the names that the target's chroots are made of among `offered`, what the distribution's packages have or provide.
pub(super) fn check(target: &Target, offered: &BTreeSet<String>) -> Check {
    let lists = [
        ("distribution.bootstrap", &target.distribution.bootstrap),
        ("distribution.buildroot", &target.distribution.buildroot),
        ("lustre.buildroot", &target.lustre.buildroot),
        ("install.base", &target.install.base),
    ];
    let mut looked_at = BTreeSet::new();
    let mut problems = Vec::new();
    for (list, names) in lists {
        for name in names {
            // `name >= version`: whether the version fits is for dnf to say.
            let plain = name.split_whitespace().next().unwrap_or(name);
            looked_at.insert(plain);
            if !offered.contains(plain) {
                let message = format!(
                    "{list}: no package of the distribution is named or provides `{plain}`"
                );
                problems.push(Problem::new(message));
            }
        }
    }
    let message = format!(
        "{} names in the target's lists of packages",
        looked_at.len()
    );
    Check::of("packages", message, problems)
        .hint("correct the name, or add the package or its Provides to the distribution's recipe")
}
