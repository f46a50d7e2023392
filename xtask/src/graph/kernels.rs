//! Which kernels the modules of a repository are held against, of the packages that its lock pins.

use lustre_packaging::lock::Lock;
use lustre_packaging::target::{DistributionKind, Target};
use lustre_repository::compat::{Ext4, Kernel};

use super::inputs::KERNEL_PACKAGE;

/// Which kernels the table in the repository has besides the repository's own.
pub const OF_LOCK: &str = "the kernels among the packages that the lock pins";

/// What can be told, of nothing but `lock`, of the ext4 of a kernel among the packages that it pins: the source package that it pins is
/// the one that ldiskfs is made of.
pub fn ext4_of(target: &Target, lock: &Lock, kernel: &Kernel) -> Ext4 {
    // Of the one kernel that there is, everything is made.
    if target.distribution.kind == DistributionKind::Rehearsal {
        return Ext4::same();
    }
    match lock.source.get(KERNEL_PACKAGE) {
        Some(pin) if pin.file == kernel.source => Ext4::same(),
        Some(pin) => Ext4::not_compared(format!(
            "the lock pins {} and not {}",
            pin.file, kernel.source
        )),
        None => Ext4::not_compared("the lock pins no source package of a kernel"),
    }
}
