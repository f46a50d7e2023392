//! What buildroots are made of, whoever makes them: a stage here, a project of a build service, a tag, mock.

use super::ext4;
use crate::target::{LUSTRE, Target};

/// The package with the tree that kernel modules are built against.
pub const KERNEL_DEVEL: &str = "kernel-devel";

/// The packages of a buildroot besides those that the spec of its package requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buildroot {
    /// Those of the distribution that every buildroot has.
    pub common: Vec<String>,
    /// Those of the distribution that this one has besides.
    pub own: Vec<String>,
    /// Names of those that are built before: of what the target says that is built.
    pub built: Vec<String>,
}

impl Buildroot {
    /// That of `package`. Where the servers run the distribution's own kernel, Lustre is built against that in `kernel`, its
    /// `VERSION-RELEASE`; without it, against the one of whoever builds.
    pub fn of(target: &Target, package: &str, kernel: Option<&str>) -> Self {
        let common = target.distribution.buildroot.clone();
        match package {
            LUSTRE => Self {
                common,
                ..Self::of_lustre(target, kernel)
            },
            _ => Self {
                common,
                own: Vec::new(),
                built: Vec::new(),
            },
        }
    }

    /// Lustre's configure looks for more than its spec requires: for what the target names, the kernel's tree, and what e2fsprogs has for
    /// building. A kernel that is not rebuilt lacks the ext4 source.
    fn of_lustre(target: &Target, kernel: Option<&str>) -> Self {
        let mut own = target.lustre.buildroot.clone();
        let mut built: Vec<&str> = Vec::new();
        if target.kernel.kind.is_patched() {
            built.extend(target.kernel.packages.iter().map(String::as_str));
        } else {
            own.push(match kernel {
                Some(version) => format!("{KERNEL_DEVEL}-{version}"),
                None => KERNEL_DEVEL.to_owned(),
            });
            built.push(ext4::NAME);
        }
        built.extend(target.e2fsprogs.packages.iter().map(String::as_str));
        built.retain(|name| is_for_building(name));
        Self {
            common: Vec::new(),
            own,
            built: built.into_iter().map(str::to_owned).collect(),
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<String> {
        [&self.common[..], &self.own, &self.built].concat()
    }

    /// Those of the distribution.
    pub fn of_distribution(&self) -> Vec<String> {
        [&self.common[..], &self.own].concat()
    }
}

/// Of the packages that are built before, those that Lustre's buildroot gets: no debuginfo, and no kernel to boot.
pub fn is_for_building(name: &str) -> bool {
    let debug = name.ends_with("-debuginfo") || name.ends_with("-debugsource");
    let kernel = name.starts_with("kernel") && name != KERNEL_DEVEL;
    !debug && !kernel
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::target::{E2FSPROGS, list};

    fn load(name: &str) -> Target {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        Target::load(&specs, name).unwrap()
    }

    #[test]
    fn lustre_gets_kernel_devel_and_no_kernel_to_boot() {
        let target = load("rocky-8.10");
        let root = Buildroot::of(&target, LUSTRE, None);
        let e2fsprogs = target.e2fsprogs.packages.clone();
        let built = [&[KERNEL_DEVEL.to_owned()][..], &e2fsprogs].concat();
        assert_eq!(root.built, built);
        assert_eq!(root.own, target.lustre.buildroot);
        for name in [
            "kernel",
            "kernel-core",
            "kernel-headers",
            "kernel-debuginfo",
            "e2fsprogs-debuginfo",
            "e2fsprogs-debugsource",
        ] {
            assert!(!is_for_building(name), "{name}");
        }
    }

    #[test]
    fn of_what_is_built_before_lustre_the_kernel_is_first_in_every_target() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        for name in list(&specs).unwrap() {
            let target = load(&name);
            let built = Buildroot::of(&target, LUSTRE, None).built;
            let first = match target.kernel.kind.is_patched() {
                true => KERNEL_DEVEL,
                false => ext4::NAME,
            };
            assert_eq!(built[0], first, "{name}");
            assert!(built.len() > 1, "{name}: {built:?}");
        }
    }

    #[test]
    fn a_kernel_of_the_distribution_is_just_that_one_and_has_its_ext4_beside_it() {
        let target = load("rocky-10.0");
        let root = Buildroot::of(&target, LUSTRE, Some("6.12.0-55"));
        assert_eq!(root.own.last().unwrap(), "kernel-devel-6.12.0-55");
        assert_eq!(root.built[0], ext4::NAME);
        let root = Buildroot::of(&target, LUSTRE, None);
        assert_eq!(root.own.last().unwrap(), KERNEL_DEVEL);
    }

    #[test]
    fn what_lustre_is_built_with_has_the_distributions_packages_alone() {
        let target = load("rehearsal");
        let root = Buildroot::of(&target, E2FSPROGS, None);
        assert_eq!(root.of_distribution(), target.distribution.buildroot);
        assert!(root.own.is_empty() && root.built.is_empty());
    }
}
