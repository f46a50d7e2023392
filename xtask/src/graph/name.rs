//! What stages are called that others need, and where in what they put out the repository is.

use std::path::{Path, PathBuf};

/// Whether everything fits.
pub const PREFLIGHT: &str = "preflight";
/// The base and source repositories.
pub const DISTRIBUTION: &str = "distribution";
/// The chroot with the target's own dnf and rpm.
pub const BOOTSTRAP: &str = "bootstrap";
/// Lustre's source tree, with our fixups.
pub const LUSTRE_TREE: &str = "lustre-tree";
/// The chroot of the install proof: the base alone.
pub const INSTALL_ROOT: &str = "install-root";
/// The package that configures the repository on a server.
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

/// The folder of the repository in what the stages `assemble` and `finish` put out.
pub const TREE: &str = "tree";

/// Where the stage `assemble` left the repository.
pub fn tree(assembled: &Path) -> PathBuf {
    assembled.join(TREE)
}
