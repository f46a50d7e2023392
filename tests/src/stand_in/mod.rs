//! A stand-in for Enterprise Linux: what its targets need of the world, made of the rehearsal's packages and sources and served on
//! loopback, so that these targets run as they are where nobody reaches the distribution.
//!
//! - [`base`]: what all is made of: the rehearsal's packages, the kernel's source, e2fsprogs; made once and kept.
//! - [`linux`], [`kernel`]: a small Linux, and the kernels of three releases as source packages that build.
//! - [`packages`]: packages for the names that the rehearsal's have none for.
//! - [`mirror`]: repositories in the distribution's layout, signed.
//! - [`lustre`], [`e2fsprogs`], [`git`]: the model and e2fsprogs under the tags that the targets ask for, in git repositories.
//! - [`world`]: all of that served, the targets that trust its key, and the tool that runs with it.

pub mod base;
pub mod e2fsprogs;
pub mod git;
pub mod kernel;
pub mod linux;
pub mod lustre;
pub mod mirror;
pub mod packages;
pub mod world;

use std::fs;
use std::path::Path;

use anyhow::Result;
use walkdir::WalkDir;

/// The time of all that the stand-in makes: 2024-01-01 00:00:00 UTC, in seconds since 1970.
pub const TIME: u32 = 1_704_067_200;

/// Copies the files below `from` to the new folder `into`, with their modes.
fn copy_tree(from: &Path, into: &Path) -> Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let place = into.join(entry.path().strip_prefix(from)?);
        if entry.file_type().is_dir() {
            fs::create_dir_all(place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
