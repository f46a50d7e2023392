//! What is expected of a guest, and a check of it, judged.

use crate::boot::kernel_log::KernelLog;
use crate::target::Boot;

/// What is expected of a guest.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The target's table.
    pub boot: &'a Boot,
    /// The release of the packaged kernel.
    pub release: &'a str,
    /// What the kernel must not say.
    pub kernel_log: &'a KernelLog,
}

/// A check, judged.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckOutcome {
    pub name: String,
    /// What was seen.
    pub evidence: Vec<String>,
    pub findings: Vec<String>,
    /// Why it did not run.
    pub not_run: Option<String>,
    /// How long it took in the guest, in seconds.
    pub seconds: f64,
    /// What it printed.
    pub output: Vec<String>,
}
