//! The shape of a target's graph: its stages, and which of them each needs. It follows from the target alone, so it is known before
//! anything is locked; the stages themselves take what they need from here.

use lustre_packaging::build::ext4;
use lustre_packaging::target::Target;

use super::name;

/// The packages that targets build, in the order of the graph.
pub const PACKAGES: [&str; 3] = [name::E2FSPROGS, name::KERNEL, name::LUSTRE];

/// Those that `target` builds and its repository holds: no kernel where the servers run the distribution's own.
pub fn built(target: &Target) -> Vec<&'static str> {
    let patched = target.kernel.kind.is_patched();
    let all = PACKAGES.into_iter();
    all.filter(|package| patched || *package != name::KERNEL)
        .collect()
}

/// The stages of a repository with its static and install proofs, each after those that it needs. What is made only where the user gives
/// a kernel's tree, or where a time has to be found, is not among them.
pub fn stages(target: &Target) -> Vec<&'static str> {
    let mut stages = vec![name::DISTRIBUTION, name::BOOTSTRAP, name::LUSTRE_TREE];
    stages.extend(kernel(target));
    stages.extend([
        name::E2FSPROGS_SRPM,
        name::E2FSPROGS_ROOT,
        name::E2FSPROGS,
        name::LUSTRE_ROOT,
        name::LUSTRE_SRPM,
        name::LUSTRE,
        name::INSTALL_ROOT,
        name::RELEASE_PACKAGE,
        name::SIGN,
        name::ASSEMBLE,
        name::PROVE,
        name::FINISH,
    ]);
    stages
}

/// The stages that give Lustre its kernel.
pub fn kernel(target: &Target) -> &'static [&'static str] {
    match target.kernel.kind.is_patched() {
        true => &[
            name::KERNEL_SOURCES,
            name::KERNEL_SRPM,
            name::KERNEL_ROOT,
            name::KERNEL,
        ],
        false => &[ext4::NAME],
    }
}

/// What Lustre is built with that is built here.
pub fn before_lustre(target: &Target) -> Vec<&'static str> {
    // The last of those that give it its kernel is what it is built against.
    let kernel = kernel(target).last().copied();
    kernel.into_iter().chain([name::E2FSPROGS]).collect()
}

/// What `stage` needs.
pub fn needs(target: &Target, stage: &str) -> Vec<String> {
    let names: &[&str] = match stage {
        name::BOOTSTRAP => &[name::DISTRIBUTION],
        name::KERNEL_SOURCES => &[name::DISTRIBUTION, name::LUSTRE_TREE],
        name::KERNEL_SRPM => &[name::KERNEL_SOURCES, name::BOOTSTRAP],
        name::KERNEL_ROOT => &[name::DISTRIBUTION, name::BOOTSTRAP, name::KERNEL_SRPM],
        name::KERNEL => &[name::KERNEL_SOURCES, name::KERNEL_SRPM, name::KERNEL_ROOT],
        ext4::NAME => &[name::DISTRIBUTION, name::BOOTSTRAP, name::LUSTRE_TREE],
        name::E2FSPROGS_SRPM => &[name::BOOTSTRAP],
        name::E2FSPROGS_ROOT => &[name::DISTRIBUTION, name::BOOTSTRAP, name::E2FSPROGS_SRPM],
        name::E2FSPROGS => &[name::E2FSPROGS_SRPM, name::E2FSPROGS_ROOT],
        name::LUSTRE_ROOT => {
            let first = [name::DISTRIBUTION, name::BOOTSTRAP].into_iter();
            return owned(first.chain(before_lustre(target)));
        }
        name::LUSTRE_SRPM => &[name::LUSTRE_ROOT, name::LUSTRE_TREE],
        name::LUSTRE => &[name::LUSTRE_SRPM, name::LUSTRE_ROOT],
        name::INSTALL_ROOT => &[name::DISTRIBUTION, name::BOOTSTRAP],
        name::SIGN => {
            let packages = built(target).into_iter();
            let mut stages: Vec<String> = packages
                .flat_map(|package| [package.to_owned(), name::srpm(package)])
                .collect();
            stages.push(name::RELEASE_PACKAGE.to_owned());
            return stages;
        }
        name::ASSEMBLE | name::RELEASE_TIME => {
            let mut stages = owned([name::SIGN, name::DISTRIBUTION]);
            // Their lists of packages are part of what the repository says of itself.
            stages.extend(built(target).iter().map(|package| name::root(package)));
            return stages;
        }
        name::PROVE | name::BOOT => &[name::ASSEMBLE, name::DISTRIBUTION, name::INSTALL_ROOT],
        name::FINISH => &[name::ASSEMBLE, name::PROVE],
        // The distribution, Lustre's tree and the release package are made of sources alone.
        _ => &[],
    };
    owned(names.iter().copied())
}

/// What `stage` needs besides where packages are built by a build service.
pub fn needs_elsewhere(target: &Target, stage: &str) -> Vec<String> {
    let packages = built(target);
    let mut more: Vec<&str> = Vec::new();
    if packages.contains(&stage) {
        more.push(name::DISTRIBUTION);
        // The time of the kernel is set for all packages of the project.
        if target.kernel.kind.is_patched() {
            more.push(name::KERNEL_SRPM);
        }
        if stage == name::LUSTRE {
            more.extend(before_lustre(target));
        }
    }
    if matches!(stage, name::ASSEMBLE | name::RELEASE_TIME) {
        more.extend(packages);
    }
    let there = needs(target, stage);
    more.into_iter()
        .map(str::to_owned)
        .filter(|one| !there.contains(one))
        .collect()
}

fn owned<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use lustre_packaging::target::list;

    use super::*;
    use crate::place::specs;

    #[test]
    fn every_need_is_a_stage_that_comes_before() {
        for name in list(&specs()).unwrap() {
            let target = Target::load(&specs(), &name).unwrap();
            let stages = stages(&target);
            for (at, stage) in stages.iter().enumerate() {
                for need in needs(&target, stage) {
                    assert!(
                        stages[..at].contains(&need.as_str()),
                        "{name}: {stage} needs {need}"
                    );
                }
            }
        }
    }

    #[test]
    fn every_stage_but_the_last_is_needed() {
        for name in list(&specs()).unwrap() {
            let target = Target::load(&specs(), &name).unwrap();
            let stages = stages(&target);
            for stage in &stages[..stages.len() - 1] {
                let needed = |other: &&str| needs(&target, other).iter().any(|need| need == stage);
                assert!(stages.iter().any(needed), "{name}: {stage}");
            }
        }
    }
}
