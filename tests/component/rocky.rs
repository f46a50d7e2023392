//! Targets of Enterprise Linux from their distribution's mirrors to the repository, on a stand-in for these.
//!
//! - `locks`: what is pinned for a patched kernel, and when an update is written.
//! - `runs`: `cargo xtask repo` of three targets, whole.
//! - `mirrors`: mirrors that misbehave.

mod locks;
mod mirrors;
mod runs;

use std::sync::{Mutex, MutexGuard, PoisonError};

use lustre_repo_tests::command_line::Run;
use lustre_repo_tests::stand_in::kernel::{EL8, EL9, EL10};
use lustre_repo_tests::stand_in::lustre::Lustre;
use lustre_repo_tests::stand_in::world::Wanted;

/// The guide for 8.10.
const GUIDE: Wanted = Wanted {
    target: "rocky-8.10-guide",
    release: EL8,
    location: "dl.rockylinux.org/pub/rocky",
    lustre: Lustre::V2_16,
    e2fsprogs: "1.47.0-wc1",
};

/// 9.6, with a kernel that we patch.
const PATCHED: Wanted = Wanted {
    target: "rocky-9.6",
    release: EL9,
    location: "dl.rockylinux.org/vault/rocky",
    lustre: Lustre::V2_17,
    e2fsprogs: "1.47.3-wc2",
};

/// 10.0, with the distribution's own kernel.
const PATCHLESS: Wanted = Wanted {
    target: "rocky-10.0",
    release: EL10,
    location: "dl.rockylinux.org/vault/rocky",
    lustre: Lustre::V2_17,
    e2fsprogs: "1.47.3-wc2",
};

/// One at a time: the builds use all cores, and all runs one store.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All that a run said.
fn said(run: &Run) -> String {
    format!("exit code {}\n{}\n{}", run.code, run.stdout, run.stderr)
}
