//! What stages are called that others need, and where in what they put out the repository is.

use std::path::{Path, PathBuf};

use lustre_packaging::target;

/// Whether everything fits.
pub const PREFLIGHT: &str = "preflight";
/// The base and source repositories.
pub const DISTRIBUTION: &str = "distribution";
/// The chroot with the target's own dnf and rpm.
pub const BOOTSTRAP: &str = "bootstrap";
/// Lustre's source tree, with our fixups.
pub const LUSTRE_TREE: &str = "lustre-tree";
/// The kernel's sources, prepared for its source package.
pub const KERNEL_SOURCES: &str = "kernel-sources";
/// The kernel's source package.
pub const KERNEL_SRPM: &str = "kernel-srpm";
/// The chroot in which the kernel is built.
pub const KERNEL_ROOT: &str = "kernel-root";
/// The kernel's packages.
pub const KERNEL: &str = target::KERNEL;
/// The source package of e2fsprogs.
pub const E2FSPROGS_SRPM: &str = "e2fsprogs-srpm";
/// The chroot in which e2fsprogs is built.
pub const E2FSPROGS_ROOT: &str = "e2fsprogs-root";
/// The packages of e2fsprogs.
pub const E2FSPROGS: &str = target::E2FSPROGS;
/// The chroot in which Lustre is built.
pub const LUSTRE_ROOT: &str = "lustre-root";
/// Lustre's source package.
pub const LUSTRE_SRPM: &str = "lustre-srpm";
/// Lustre's packages.
pub const LUSTRE: &str = target::LUSTRE;
/// The chroot of the install proof: the base alone.
pub const INSTALL_ROOT: &str = "install-root";
/// The release package and the kernel guard, unsigned.
pub const RELEASE_PACKAGE: &str = "release-package";
/// All packages, signed.
pub const SIGN: &str = "sign";
/// When a repository with just this content was first released.
pub const RELEASE_TIME: &str = "release-time";
/// The repository.
pub const ASSEMBLE: &str = "assemble";
/// The proofs.
pub const PROVE: &str = "prove";
/// The proofs that need a running kernel.
pub const BOOT: &str = "boot";
/// The repository with its proofs.
pub const FINISH: &str = "finish";

/// The stage that makes the source package of `package`.
pub fn srpm(package: &str) -> String {
    format!("{package}-srpm")
}

/// The stage of the chroot in which `package` is built.
pub fn root(package: &str) -> String {
    format!("{package}-root")
}

/// The folder of the repository in what the stages `assemble` and `finish` put out.
pub const TREE: &str = "tree";

/// Where the stage `assemble` left the repository.
pub fn tree(assembled: &Path) -> PathBuf {
    assembled.join(TREE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_a_source_package_and_a_chroot_of_its_name() {
        for (package, stages) in [
            (KERNEL, [KERNEL_SRPM, KERNEL_ROOT]),
            (E2FSPROGS, [E2FSPROGS_SRPM, E2FSPROGS_ROOT]),
            (LUSTRE, [LUSTRE_SRPM, LUSTRE_ROOT]),
        ] {
            assert_eq!([srpm(package), root(package)], stages);
        }
    }
}
