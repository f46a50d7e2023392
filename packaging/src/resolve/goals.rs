//! The sets of packages that a target needs of its distribution.

use serde::Serialize;

use crate::build::roots::Buildroot;
use crate::target::{KernelKind, LUSTRE, Target};

/// Packages that go into one root together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Goal {
    /// Which root: what an error names.
    pub name: String,
    /// What is installed there, as dnf takes it: names, `name >= version`, `(a or b)`.
    pub install: Vec<String>,
}

/// What the builds require, by their specs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildRequires {
    pub e2fsprogs: Vec<String>,
    /// Of the kernel; none where it is the distribution's own.
    pub kernel: Option<Vec<String>>,
}

/// The packages of a kernel that the install proof has, where it is the distribution's own.
const KERNEL: [&str; 3] = ["kernel", "kernel-core", "kernel-modules"];

/// What a server has after a later kernel of the distribution was installed beside its own.
pub const LATER_KERNEL: &str = "later-kernel";

/// The one of them whose scriptlet has the boot entry made.
const KERNEL_CORE: &str = "kernel-core";

/// The goals of `target`, with the kernel's `version-release`.
pub fn goals(target: &Target, version: &str, requires: &BuildRequires) -> Vec<Goal> {
    let distribution = &target.distribution;
    let own = target.kernel.kind == KernelKind::Distribution;
    let goal = |name: &str, parts: &[&[String]]| {
        let mut install = parts.concat();
        let mut seen = std::collections::BTreeSet::new();
        install.retain(|one| seen.insert(one.clone()));
        Goal {
            name: name.to_owned(),
            install,
        }
    };
    let exactly = |name: &str| format!("{name}-{version}");
    let mut servers = target.install.base.clone();
    servers.extend(target.install.requires.iter().cloned());
    if own {
        // Kernels are installed side by side: a name alone would take the newest as well.
        servers.retain(|one| !KERNEL.contains(&one.as_str()));
        servers.extend(KERNEL.map(exactly));
    }
    let mut goals = vec![
        goal("bootstrap", &[&distribution.bootstrap]),
        goal(
            "e2fsprogs-root",
            &[&distribution.buildroot, &requires.e2fsprogs],
        ),
    ];
    if let Some(kernel) = &requires.kernel {
        goals.push(goal("kernel-root", &[&distribution.buildroot, kernel]));
    }
    let lustre = Buildroot::of(target, LUSTRE, Some(version)).of_distribution();
    goals.push(goal("lustre-root", &[&lustre]));
    goals.push(goal("install-root", &[&servers]));
    if own {
        // The newest as well, beside it: the install proof shows that a server does not boot it.
        goals.push(goal(LATER_KERNEL, &[&servers, &[KERNEL_CORE.to_owned()]]));
    }
    goals
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn load(name: &str) -> Target {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        Target::load(&specs, name).unwrap()
    }

    fn names(goals: &[Goal]) -> Vec<&str> {
        goals.iter().map(|goal| goal.name.as_str()).collect()
    }

    fn has(goals: &[Goal], name: &str, package: &str) -> bool {
        let goal = goals.iter().find(|goal| goal.name == name).unwrap();
        goal.install.iter().any(|one| one == package)
    }

    #[test]
    fn a_patched_kernel_is_built_and_the_distributions_newest_is_what_servers_have() {
        let requires = BuildRequires {
            e2fsprogs: vec!["texinfo".to_owned(), "gcc".to_owned()],
            kernel: Some(vec!["bison".to_owned()]),
        };
        let goals = goals(
            &load("rocky-8.10-guide"),
            "4.18.0-553.22.1.el8_10",
            &requires,
        );
        assert_eq!(
            names(&goals),
            [
                "bootstrap",
                "e2fsprogs-root",
                "kernel-root",
                "lustre-root",
                "install-root"
            ]
        );
        assert!(has(&goals, "e2fsprogs-root", "texinfo") && has(&goals, "kernel-root", "bison"));
        assert!(has(&goals, "install-root", "kernel"));
        let gcc = |one: &&String| *one == "gcc";
        let root = &goals[1].install;
        assert_eq!(root.iter().filter(gcc).count(), 1, "named once: {root:?}");
    }

    #[test]
    fn with_the_distributions_kernel_everything_has_exactly_that_one() {
        let requires = BuildRequires::default();
        let goals = goals(&load("rocky-10.0"), "6.12.0-55.43.1.el10_0", &requires);
        assert_eq!(
            names(&goals),
            [
                "bootstrap",
                "e2fsprogs-root",
                "lustre-root",
                "install-root",
                "later-kernel"
            ]
        );
        assert!(has(
            &goals,
            "lustre-root",
            "kernel-devel-6.12.0-55.43.1.el10_0"
        ));
        assert!(has(
            &goals,
            "install-root",
            "kernel-core-6.12.0-55.43.1.el10_0"
        ));
        assert!(!has(&goals, "install-root", "kernel"));
        for package in ["kernel-core-6.12.0-55.43.1.el10_0", "kernel-core"] {
            assert!(has(&goals, "later-kernel", package), "{package}");
        }
    }
}
