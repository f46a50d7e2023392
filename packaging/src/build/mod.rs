//! Builds: from a source tree or SRPM to RPMs, inside a sandbox, by the real rpmbuild.
//!
//! - [`workdir`]: the builder's home, the fixed `_topdir` and the macros that make a build repeatable.
//! - [`rpmbuild`]: making an SRPM and building it.
//! - [`kernel`], [`e2fsprogs`], [`lustre`]: what each package needs before and after.
//! - [`ccache`]: a compiler cache.
//! - [`kernel_tree`]: a kernel's tree in place of its source package.
//! - [`ext4`]: the ext4 source for a Lustre that is built for the distribution's own kernel.
//! - [`roots`]: which packages are in a buildroot.

mod error;

pub mod ccache;
pub mod circumstances;
pub mod e2fsprogs;
pub mod ext4;
pub mod kernel;
pub mod kernel_tree;
pub mod lustre;
pub mod roots;
pub mod rpmbuild;
pub mod workdir;

pub use error::Error;
pub(crate) use lustre_files::at;

#[cfg(test)]
mod tests;
