//! Does the host have what a guest needs? Found out before anything is made.

use std::path::{Path, PathBuf};

use lustre_files::help;

use crate::host;
use crate::needs;
use crate::target::Boot;

/// The emulator, by the names it has: Debian's and Fedora's, and where Enterprise Linux hides it.
pub const PROGRAMS: [&str; 2] = ["qemu-system-x86_64", "/usr/libexec/qemu-kvm"];

/// The emulator of this host.
pub fn find() -> Option<PathBuf> {
    let [in_path, hidden] = PROGRAMS;
    host::find_program(in_path).or_else(|| {
        let path = PathBuf::from(hidden);
        path.is_file().then_some(path)
    })
}

/// What QEMU takes besides the guest's memory, in MiB: its own, and the translated code of an emulated guest.
pub const OVERHEAD_MIB: u64 = 512;

/// A host that is too small.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "the guest needs {needed} MiB of memory ({guest} of its own, {} for QEMU), and {available} MiB are available{}",
        needed - guest,
        help!("free memory, or lower boot.memory_mib in the target")
    )]
    Memory {
        /// With QEMU's own, in MiB.
        needed: u64,
        /// The guest's, in MiB.
        guest: u64,
        /// What there is, in MiB.
        available: u64,
    },
    #[error(
        "the guest's disk may grow to {needed} MiB, and {} has {available} MiB left{}",
        folder.display(),
        help!("make room, name another store with --store, or lower boot.disk_mib in the target")
    )]
    Disk {
        /// Where the disk would be.
        folder: PathBuf,
        /// How large it may get, in MiB.
        needed: u64,
        /// What there is, in MiB.
        available: u64,
    },
    #[error(transparent)]
    Unknown(needs::Error),
}

/// Checks that the host has the memory for the guest, and the file system of `folder` the room for its disk.
pub fn check(boot: &Boot, folder: &Path) -> Result<(), Error> {
    let available = needs::available_memory_mib().map_err(Error::Unknown)?;
    enough_memory(boot, available)?;
    enough_disk(
        boot,
        folder,
        needs::free_mib(folder).map_err(Error::Unknown)?,
    )
}

fn enough_memory(boot: &Boot, available: u64) -> Result<(), Error> {
    let needed = boot.memory_mib + OVERHEAD_MIB;
    if available >= needed {
        return Ok(());
    }
    Err(Error::Memory {
        needed,
        guest: boot.memory_mib,
        available,
    })
}

fn enough_disk(boot: &Boot, folder: &Path, available: u64) -> Result<(), Error> {
    if available >= boot.disk_mib {
        return Ok(());
    }
    Err(Error::Disk {
        folder: folder.to_owned(),
        needed: boot.disk_mib,
        available,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::judge::tests::boot;

    #[test]
    fn too_little_is_said_with_all_figures() {
        let boot = boot();
        let needed = boot.memory_mib + OVERHEAD_MIB;
        assert!(enough_memory(&boot, needed).is_ok());
        let error = enough_memory(&boot, needed - 1).unwrap_err().to_string();
        for figure in [needed, boot.memory_mib, OVERHEAD_MIB, needed - 1] {
            assert!(error.contains(&figure.to_string()), "{error}");
        }
        assert!(enough_disk(&boot, Path::new("/store"), boot.disk_mib).is_ok());
        let error = enough_disk(&boot, Path::new("/store"), 7)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/store has 7 MiB") && error.contains(&boot.disk_mib.to_string()),
            "{error}"
        );
    }

    #[test]
    fn this_host_says_what_it_has() {
        let mut boot = boot();
        boot.memory_mib = 1 << 40;
        let here = std::env::temp_dir();
        assert!(matches!(check(&boot, &here), Err(Error::Memory { .. })));
        boot.memory_mib = 0;
        boot.disk_mib = 1 << 40;
        // A machine of tests has at least what QEMU itself takes.
        assert!(matches!(
            check(&boot, &here),
            Err(Error::Disk { .. } | Error::Memory { .. })
        ));
    }
}
