//! Booting what was built: a disk image made of a chroot, started in QEMU, and what the guest reports.
//!
//! - [`needs`]: does the host have the memory and the disk for it?
//! - [`loader`]: which kernel the boot loader's files say, with which initial RAM disk.
//! - [`image`]: from a clone of a chroot to a root file system and its kernel; the guest's settings.
//! - [`qemu`]: the command line.
//! - [`accelerator`]: KVM where it works within a deadline, else emulation.
//! - [`guest`]: running the guest to its end, or to its limit.
//! - [`report`]: what the guest says, line by line.
//! - [`judge`]: what the report means: pass, or findings.
//! - [`kernel_log`]: error lines of the kernel log.
//!
//! The guest has no network but an interface that leads nowhere, and no disk but its own image.

mod error;

pub mod accelerator;
pub mod guest;
pub mod image;
pub mod judge;
pub mod kernel_log;
pub mod loader;
pub mod needs;
pub mod qemu;
pub mod report;

pub use error::Error;
pub use kernel_log::KernelLog;
pub(crate) use lustre_files::at;
pub use qemu::Accelerator;
pub use report::Report;
