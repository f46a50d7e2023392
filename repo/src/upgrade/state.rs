//! What of a server is compared, before the upgrade and after it.

use std::collections::BTreeSet;

use super::pair::{KERNEL, packages_of};
use crate::history::Set;

/// Where modules of kernels are, and the folders there that have those of other packages.
pub(super) const MODULES: &str = "/lib/modules";

const ADDED: [&str; 3] = ["extra", "updates", "weak-updates"];

/// What of a server is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// All installed packages.
    pub(super) packages: BTreeSet<String>,
    /// What `rpm -Va` says.
    pub(super) complaints: BTreeSet<String>,
    /// The kernel that boots by default.
    pub(super) boots: Option<String>,
    pub(super) modules: BTreeSet<String>,
    /// Configuration files that rpm put aside.
    pub(super) put_aside: BTreeSet<String>,
}

/// The kernels of a set that are installed, as `uname -r` says them.
pub(super) fn kernels(state: &State, set: &Set) -> Vec<String> {
    packages_of(set)
        .filter_map(|one| {
            let release = one.nevra.strip_prefix(KERNEL)?.strip_prefix('-')?;
            Some(release.to_owned())
        })
        .filter(|release| state.packages.contains(&format!("{KERNEL}-{release}")))
        .collect()
}

/// The kernel that a file is Lustre's module of.
pub(super) fn with_lustre(path: &str) -> Option<String> {
    let (kernel, inside) = path
        .strip_prefix("/usr")
        .unwrap_or(path)
        .strip_prefix(MODULES)?
        .strip_prefix('/')?
        .split_once('/')?;
    let (folder, _) = inside.split_once('/')?;
    let file = inside.rsplit('/').next()?;
    (ADDED.contains(&folder) && file.starts_with("lustre.ko")).then(|| kernel.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_lustres_module_of_a_kernel_wherever_modules_of_others_may_be() {
        for (path, kernel) in [
            ("/lib/modules/6.1/extra/lustre/fs/lustre.ko.xz", Some("6.1")),
            ("/usr/lib/modules/6.1/weak-updates/lustre.ko", Some("6.1")),
            ("/lib/modules/6.1/kernel/fs/lustre.ko", None),
            ("/lib/modules/6.1/extra/mylustre.ko", None),
            ("/lib/modules/6.1/lustre.ko", None),
            ("/opt/lib/modules/6.1/extra/lustre.ko", None),
        ] {
            assert_eq!(with_lustre(path).as_deref(), kernel, "{path}");
        }
    }
}
