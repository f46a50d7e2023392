//! What building a target takes of a machine. Estimates: enough to say early that it cannot end well, and about when it will.

use serde::{Deserialize, Serialize};

/// The table `[needs]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Needs {
    /// How many cores the minutes are for.
    pub cores: u64,
    /// The memory of one job of a build, in MiB; as many run at a time as `-j` says.
    pub job_memory_mib: u64,
    /// Disk of the finished repository, in GiB, where it is put; that in the store is part of `base`.
    pub output_gib: u64,
    /// Fetching, base repositories, chroots, the signed repository and its proofs.
    pub base: Share,
    /// Building e2fsprogs.
    pub e2fsprogs: Share,
    /// Building the kernel; not counted where the servers run the distribution's own.
    pub kernel: Share,
    /// What the kernel's debuginfo adds, where there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debuginfo: Option<Debuginfo>,
    /// Building Lustre.
    pub lustre: Share,
}

/// What one part of the build takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Disk in the store while it runs, what stays included, in GiB.
    pub disk_gib: u64,
    /// Memory besides that of the jobs, in MiB.
    pub memory_mib: u64,
    /// Time, in minutes.
    pub minutes: u64,
}

/// What a kernel's debuginfo adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debuginfo {
    /// The option of the kernel's overlay that leaves it out.
    pub option: String,
    /// Disk in the store, in GiB.
    pub disk_gib: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Time, in minutes.
    pub minutes: u64,
}
