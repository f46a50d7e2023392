//! What is new in the repositories of targets: what was found, as machines read it.
//!
//! - here: the report. [`state`]: what was seen the last time. [`text`]: the report for people.

pub mod state;
pub mod text;

use lustre_packaging::preflight::Check;
use lustre_repository::compat::Kernel;
use lustre_repository::manifest::KnownFault;
use serde::Serialize;

/// The format's version.
pub const FORMAT: u32 = 1;

/// What was found of all targets.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: u32,
    /// Whether a target has a new kernel.
    pub new: bool,
    /// The targets that could be looked at.
    pub targets: Vec<TargetReport>,
    /// Those that could not.
    pub failed: Vec<TargetError>,
}

/// A target that could not be looked at.
#[derive(Debug, Serialize)]
pub struct TargetError {
    pub target: String,
    pub error: String,
}

/// What was found of a target.
#[derive(Debug, Serialize)]
pub struct TargetReport {
    pub target: String,
    /// Its release of Lustre.
    pub lustre: String,
    /// The kernel that its lock pins, as `version-release`.
    pub locked: String,
    pub repositories: Vec<Repository>,
    /// Whether there is a kernel newer than the locked one that was not told yet.
    pub new: bool,
    /// These kernels, oldest first.
    pub kernels: Vec<New>,
    /// Whether everything fits the newest of them; none where there is none.
    pub preflight: Option<Preflight>,
    /// What is known to be wrong with its Lustre; told with a new kernel.
    pub faults: Vec<KnownFault>,
    /// What a new lock moves.
    pub moves: Vec<String>,
    /// Whether the new lock was written.
    pub updated: bool,
}

/// A repository of a target.
#[derive(Debug, Serialize)]
pub struct Repository {
    pub id: String,
    /// Where it was found, before mirrors.
    pub location: String,
    /// Whether it changed since it was looked at last.
    pub changed: bool,
    /// Whether it has advisories; none where nobody looked, or it has sources.
    pub updateinfo: Option<bool>,
}

/// A kernel newer than the one that is locked.
#[derive(Debug, Serialize)]
pub struct New {
    /// Its version and release.
    pub version: String,
    /// The repository with its source package.
    pub repository: String,
    /// What is known of it with the target's Lustre.
    pub known: Compatibility,
    /// Whether the modules of the target's repository load on it; none where that is not known.
    pub compat: Option<Kernel>,
    pub why_no_compat: Option<String>,
    /// The distribution's advisories of it.
    pub advisories: Vec<Advisory>,
}

/// What is known of a kernel with a Lustre.
#[derive(Debug, Serialize)]
pub struct Compatibility {
    /// `fail` where they are known not to go together, else `pass`.
    pub result: &'static str,
    pub why: Option<String>,
}

/// An advisory of the distribution.
#[derive(Debug, Serialize)]
pub struct Advisory {
    pub id: String,
    /// What it is for.
    pub kind: String,
    /// How grave it is.
    pub severity: Option<String>,
    /// What it is, in a few words.
    pub title: String,
    /// When it was issued.
    pub issued: Option<String>,
    pub cves: Vec<String>,
    /// The repository that has it.
    pub repository: String,
}

/// Whether everything fits the newest kernel.
#[derive(Debug, Serialize)]
pub struct Preflight {
    /// How it came out.
    pub result: Fits,
    pub kernel: String,
    /// Why it does not fit, or was not looked at, where no check says so.
    pub why: Option<String>,
    pub checks: Vec<Check>,
}

/// How preflight came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fits {
    /// Everything fits.
    Pass,
    /// Something does not.
    Fail,
    /// It could not be looked at.
    NotRun,
    /// The target does not move to another kernel by itself.
    NotNeeded,
}

impl TargetReport {
    /// Whether the target can move to the newest kernel, or need not.
    pub fn is_good(&self) -> bool {
        let fits = |one: &Preflight| matches!(one.result, Fits::Pass | Fits::NotNeeded);
        self.preflight.as_ref().is_none_or(fits)
    }
}
