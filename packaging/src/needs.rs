//! Does the machine have what building a target takes? Found out before anything is fetched or built.
//!
//! What is taken is the target's data, `[needs]`, by parts of the build: those that are in the store already take nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use lustre_files::help;
use serde::Serialize;

use crate::target::{Debuginfo, E2FSPROGS, KERNEL, LUSTRE, Share, Target};

/// A machine that is too small.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "building `{target}` needs about {needed} GiB of disk in {} (`[needs]` of the target), and {} GiB are free there{}",
        folder.display(),
        free_mib >> 10,
        help!("make room, or {}{}", .option, less(.debuginfo.as_deref()))
    )]
    Disk {
        target: String,
        folder: PathBuf,
        /// What it takes, in GiB.
        needed: u64,
        free_mib: u64,
        /// The option of the command line that moves it elsewhere.
        option: &'static str,
        /// What leaving the kernel's debuginfo out would save.
        debuginfo: Option<Box<Debuginfo>>,
    },
    #[error(
        "building `{target}` needs about {needed_mib} MiB of memory with {jobs} parallel jobs ({job_mib} MiB each), and {available_mib} \
         MiB are available{}",
        help!("free memory{}{}", fewer(*.needed_mib, *.available_mib, *.jobs, *.job_mib), less(.debuginfo.as_deref()))
    )]
    Memory {
        target: String,
        /// What it takes, in MiB.
        needed_mib: u64,
        available_mib: u64,
        /// How many jobs run at a time.
        jobs: u64,
        /// The memory of one, in MiB.
        job_mib: u64,
        /// What leaving the kernel's debuginfo out would save.
        debuginfo: Option<Box<Debuginfo>>,
    },
    #[error("cannot determine {what}: {source}")]
    Unknown {
        /// What was asked for.
        what: String,
        /// Why there is no answer.
        source: std::io::Error,
    },
}

/// What leaving debuginfo out saves, as the end of a sentence.
fn less(debuginfo: Option<&Debuginfo>) -> String {
    debuginfo.map_or_else(String::new, |debuginfo| {
        format!(
            "; without the kernel's debuginfo (`{}` among `kernel.options` of the target) it is {} GiB of disk and {} MiB of memory less",
            debuginfo.option, debuginfo.disk_gib, debuginfo.memory_mib
        )
    })
}

/// How many jobs there would be memory for, as the end of a sentence; nothing where not even one.
fn fewer(needed: u64, available: u64, jobs: u64, job: u64) -> String {
    let over = needed.saturating_sub(available).div_ceil(job.max(1));
    match jobs.saturating_sub(over) {
        0 => String::new(),
        fits => format!(", or build with fewer jobs: `-j {fits}`"),
    }
}

/// A part of the build that takes much of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Fetching, base repositories, chroots, the finished repository.
    Base,
    E2fsprogs,
    Kernel,
    Lustre,
}

impl Part {
    /// The part of the build that the stage `name` belongs to, where it is one that takes much.
    pub fn of_stage(name: &str) -> Option<Self> {
        Some(match name {
            "distribution" | "bootstrap" => Self::Base,
            E2FSPROGS => Self::E2fsprogs,
            KERNEL => Self::Kernel,
            LUSTRE => Self::Lustre,
            _ => return None,
        })
    }
}

/// What is to be built takes of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The parts that are to be built.
    pub parts: BTreeSet<Part>,
    /// Disk in the store, in GiB.
    pub disk_gib: u64,
    /// Disk where the repository is put, in GiB.
    pub output_gib: u64,
    /// Memory, in MiB, that of the jobs included.
    pub memory_mib: u64,
    pub job_memory_mib: u64,
    /// How many jobs run at a time.
    pub jobs: u64,
    /// Time with that many jobs on as many cores, in minutes.
    pub minutes: u64,
    /// What of it is the kernel's debuginfo.
    pub debuginfo: Option<Debuginfo>,
}

impl Estimate {
    /// What building `parts` of `target` takes with `jobs` jobs at a time; none for a target that does not say.
    pub fn of(target: &Target, parts: &BTreeSet<Part>, jobs: usize) -> Option<Self> {
        let needs = target.needs.as_ref()?;
        let jobs = u64::try_from(jobs).unwrap_or(1).max(1);
        let mut parts = parts.clone();
        if !target.kernel.kind.is_patched() {
            parts.remove(&Part::Kernel);
        }
        let mut shares: Vec<Share> = parts
            .iter()
            .map(|part| match part {
                Part::Base => needs.base,
                Part::E2fsprogs => needs.e2fsprogs,
                Part::Kernel => needs.kernel,
                Part::Lustre => needs.lustre,
            })
            .collect();
        let debuginfo = target.kernel_debuginfo();
        let debuginfo = debuginfo.filter(|_| parts.contains(&Part::Kernel)).cloned();
        if let Some(more) = &debuginfo {
            shares.push(Share {
                disk_gib: more.disk_gib,
                // On top of the kernel's, at the time when it links.
                memory_mib: needs.kernel.memory_mib + more.memory_mib,
                minutes: more.minutes,
            });
        }
        let minutes: u64 = shares.iter().map(|share| share.minutes).sum();
        let memory = shares.iter().map(|share| share.memory_mib).max();
        let builds = parts.iter().any(|part| *part != Part::Base);
        Some(Self {
            disk_gib: shares.iter().map(|share| share.disk_gib).sum(),
            output_gib: if parts.is_empty() {
                0
            } else {
                needs.output_gib
            },
            memory_mib: memory.unwrap_or(0)
                + if builds {
                    jobs * needs.job_memory_mib
                } else {
                    0
                },
            job_memory_mib: needs.job_memory_mib,
            jobs,
            minutes: (minutes * needs.cores).div_ceil(jobs),
            parts,
            debuginfo,
        })
    }
}

impl Estimate {
    /// The same where a build service builds all parts but the base: what is left here is disk for their packages, which the store has as
    /// they were collected, and as they are signed.
    pub fn on_service(target: &Target, parts: &BTreeSet<Part>, jobs: usize) -> Option<Self> {
        let whole = Self::of(target, parts, jobs)?;
        let base = parts.iter().copied().filter(|part| *part == Part::Base);
        let base = Self::of(target, &base.collect(), jobs)?;
        let is_collected = whole.parts.iter().any(|part| *part != Part::Base);
        let collected = if is_collected { whole.output_gib } else { 0 };
        Some(Self {
            disk_gib: base.disk_gib + collected,
            output_gib: whole.output_gib,
            parts: whole.parts,
            ..base
        })
    }
}

/// What the machine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    pub store: PathBuf,
    /// What is free there, in MiB.
    pub store_mib: u64,
    /// Where the repository is put.
    pub output: PathBuf,
    /// What is free there, in MiB; none where that is the store's file system.
    pub output_mib: Option<u64>,
    /// Available memory, in MiB.
    pub memory_mib: u64,
    pub cores: u64,
}

impl Machine {
    /// This machine, with the store at `store` and the repository to be put at `output`, which need not be there yet.
    pub fn here(store: &Path, output: &Path) -> Result<Self, Error> {
        let (store_there, output_there) = (existing(store), existing(output));
        let device = |path: &Path| {
            let metadata = std::fs::metadata(path);
            metadata.map(|it| it.dev()).map_err(unknown(path.display()))
        };
        let elsewhere = device(&store_there)? != device(&output_there)?;
        Ok(Self {
            store: store.to_owned(),
            store_mib: free_mib(&store_there)?,
            output: output.to_owned(),
            output_mib: elsewhere.then(|| free_mib(&output_there)).transpose()?,
            memory_mib: available_memory_mib()?,
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
        })
    }

    /// Checks that there is enough of everything for `estimate` of `target`.
    pub fn check(&self, target: &str, estimate: &Estimate) -> Result<(), Error> {
        let debuginfo = estimate.debuginfo.clone().map(Box::new);
        let mut store = estimate.disk_gib;
        if self.output_mib.is_none() {
            store += estimate.output_gib;
        }
        let elsewhere = self.output_mib.map(|free| {
            let option = "put it elsewhere with --output";
            (&self.output, estimate.output_gib, free, option, None)
        });
        let option = "use a store on another file system with --store";
        let in_store = (
            &self.store,
            store,
            self.store_mib,
            option,
            debuginfo.clone(),
        );
        for (folder, needed, free_mib, option, debuginfo) in
            std::iter::once(in_store).chain(elsewhere)
        {
            if free_mib < needed << 10 {
                return Err(Error::Disk {
                    target: target.to_owned(),
                    folder: folder.clone(),
                    needed,
                    free_mib,
                    option,
                    debuginfo,
                });
            }
        }
        if self.memory_mib < estimate.memory_mib {
            return Err(Error::Memory {
                target: target.to_owned(),
                needed_mib: estimate.memory_mib,
                available_mib: self.memory_mib,
                jobs: estimate.jobs,
                job_mib: estimate.job_memory_mib,
                debuginfo,
            });
        }
        Ok(())
    }
}

/// What is needed beside what is there, in one line.
#[derive(Debug)]
pub struct NeedsSummary<'a>(pub &'a Estimate, pub &'a Machine);

impl fmt::Display for NeedsSummary<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(estimate, machine) = self;
        if estimate.parts.is_empty() {
            return write!(out, "nothing large is left to build");
        }
        let shared = machine.output_mib.is_none();
        let disk = estimate.disk_gib + if shared { estimate.output_gib } else { 0 };
        write!(
            out,
            "about {disk} GiB of disk ({} free in {})",
            machine.store_mib >> 10,
            machine.store.display()
        )?;
        // Packages that are only collected.
        if estimate.minutes == 0 {
            return Ok(());
        }
        write!(
            out,
            ", {} MiB of memory ({} available) and {} minutes with {} jobs on {} cores",
            estimate.memory_mib, machine.memory_mib, estimate.minutes, estimate.jobs, machine.cores
        )?;
        if let Some(more) = &estimate.debuginfo {
            write!(
                out,
                "; {} GiB and {} minutes (on fewer or more cores: in proportion) of it are the kernel's debuginfo",
                more.disk_gib, more.minutes
            )?;
        }
        Ok(())
    }
}

/// `path`, or the nearest folder above it that is there.
fn existing(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find(|above| above.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn unknown(what: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.to_string();
    |source| Error::Unknown { what, source }
}

/// What is free for us in the file system of `folder`, in MiB.
pub fn free_mib(folder: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(folder)
        .map_err(|error| unknown(format!("what is free in {}", folder.display()))(error.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize) >> 20)
}

/// The memory that is available without swapping, in MiB.
pub fn available_memory_mib() -> Result<u64, Error> {
    let path = "/proc/meminfo";
    let text = lustre_files::read_to_string(path, lustre_files::TEXT).map_err(unknown(path))?;
    // A kernel that does not say how much is available has none of the interfaces that builds need, either.
    available_mib(&text)
        .ok_or_else(|| unknown(path)(std::io::Error::other("there is no line MemAvailable")))
}

/// The available memory in MiB, as `/proc/meminfo` gives it.
fn available_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib >> 10)
}

#[cfg(test)]
mod tests;
