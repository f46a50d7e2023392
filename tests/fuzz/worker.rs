//! The process that feeds inputs to one format. It may die of one; [`campaign`](crate::campaign) watches it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::{Case, Expected, Format, ParseOutcome, mutate, processes, words};

/// How much memory the reading of one input may take, in bytes. rpm allows headers of 256 MiB, and nothing here is near that.
pub const MEMORY: u64 = 512 << 20;
/// How much may be written into one file, in bytes.
const FILE: u64 = 256 << 20;
/// How much processor time the reading of one input may take, in code that is not optimised.
pub const TIME: Duration = Duration::from_secs(5);
/// The stack of the threads that the tool starts.
const STACK: usize = 2 << 20;

/// Which inputs.
#[derive(Debug, Clone)]
pub enum Inputs {
    /// The format's own examples from this one on, as they are.
    Cases {
        /// The first, by its place.
        from: u64,
    },
    /// Made ones, from this number on, until the time is over or so many are done.
    Made {
        seed: u64,
        /// The first number.
        from: u64,
        /// How many at most.
        count: u64,
        /// For how long at most.
        time: Duration,
    },
    /// One that was kept.
    File(std::path::PathBuf),
}

/// What became of the inputs.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// How many there were.
    pub inputs: u64,
    /// How many of them were read.
    pub accepted: u64,
}

/// An input that something is wrong with.
#[derive(Debug)]
pub struct Finding {
    /// Which, as [`number`] says it.
    pub at: u64,
    pub what: String,
}

/// Feeds the inputs, in order, until one of them is a finding. `progress` always holds the number of the one at hand.
fn run(
    format: &dyn Format,
    cases: &[Case],
    inputs: &Inputs,
    folder: &Path,
    progress: &File,
) -> anyhow::Result<Result<Counts, Finding>> {
    let watched = Arc::new(AtomicU64::new(NOTHING));
    watch(&watched);
    let mut counts = Counts::default();
    let mut one = |at: u64, bytes: &[u8], expected: Expected| -> anyhow::Result<Option<Finding>> {
        progress
            .write_all_at(&at.to_be_bytes(), 0)
            .context("cannot write the progress")?;
        let own = folder.join("input");
        fs::create_dir(&own).context("cannot make a folder for an input")?;
        watched.store(millis(processor_time()), Ordering::SeqCst);
        let judged = format.check(bytes, &own);
        watched.store(NOTHING, Ordering::SeqCst);
        remove(&own)?;
        counts.inputs += 1;
        let accepted = matches!(judged, Ok(ParseOutcome::Accepted));
        counts.accepted += u64::from(accepted);
        let what = match judged {
            Err(broken) => Some(broken),
            Ok(ParseOutcome::Refused(message)) if expected == Expected::Accepted => {
                Some(format!("a good example is refused: {message}"))
            }
            Ok(ParseOutcome::Accepted) if expected == Expected::Refused => {
                Some("is accepted".to_owned())
            }
            Ok(ParseOutcome::Refused(message)) => words::check(&message, bytes).err(),
            Ok(ParseOutcome::Accepted) => None,
        };
        let peak = peak()?;
        let what =
            what.or_else(|| (peak > MEMORY).then(|| format!("takes {} MiB of memory", peak >> 20)));
        Ok(what.map(|what| Finding { at, what }))
    };
    match inputs {
        Inputs::Cases { from } => {
            for (at, case) in cases.iter().enumerate().skip(usize::try_from(*from)?) {
                if let Some(finding) = one(at as u64, &case.bytes, case.expected)? {
                    return Ok(Err(finding));
                }
            }
        }
        Inputs::File(path) => {
            let bytes =
                fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            if let Some(finding) = one(0, &bytes, Expected::Either)? {
                return Ok(Err(finding));
            }
        }
        Inputs::Made {
            seed,
            from,
            count,
            time,
        } => {
            let end = Instant::now() + *time;
            for number in (*from..).take(usize::try_from(*count).unwrap_or(usize::MAX)) {
                if Instant::now() >= end {
                    break;
                }
                let bytes = mutate::input(format, cases, *seed, number);
                if let Some(finding) = one(number, &bytes, Expected::Either)? {
                    return Ok(Err(finding));
                }
            }
        }
    }
    Ok(Ok(counts))
}

/// All examples of a format.
pub fn cases(format: &dyn Format) -> Vec<Case> {
    let mut all = format.seeds();
    all.extend(format.hostile());
    all
}

/// As [`run`], with this process's memory bounded and a stack like that of the tool's threads.
pub fn bounded(
    format: &(dyn Format + Sync),
    inputs: &Inputs,
    folder: &Path,
    progress: &File,
) -> anyhow::Result<Result<Counts, Finding>> {
    // Made before, because making a bomb may take more than reading one.
    let cases = match inputs {
        Inputs::Cases { .. } => self::cases(format),
        Inputs::Made { .. } => format.seeds(),
        Inputs::File(_) => Vec::new(),
    };
    for (resource, limit) in [
        (Resource::Data, MEMORY + format.untouched()),
        (Resource::Fsize, FILE),
        (Resource::Core, 0),
    ] {
        let limit = Rlimit {
            current: Some(limit),
            maximum: Some(limit),
        };
        setrlimit(resource, limit).context("cannot bound this process")?;
    }
    // What was touched until here does not count.
    fs::write("/proc/self/clear_refs", "5").context("cannot reset the peak of memory")?;
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new()
            .name("reader".to_owned())
            .stack_size(STACK);
        let thread = builder
            .spawn_scoped(scope, || run(format, &cases, inputs, folder, progress))
            .context("cannot start a thread")?;
        match thread.join() {
            Ok(done) => done,
            // The words are on standard error already.
            Err(_) => bail!("panicked"),
        }
    })
}

/// The most memory that this process had at a time, in bytes.
fn peak() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .context("/proc/self/status does not say VmHWM")?;
    Ok(kib.trim().parse::<u64>()? << 10)
}

/// No input is being read.
const NOTHING: u64 = u64::MAX;

/// Ends this process when an input takes too long, or keeps a program busy that was started for it. The time is the processor's, so that
/// it is the same on a busy machine.
fn watch(began: &Arc<AtomicU64>) {
    let began = Arc::downgrade(began);
    let here = std::process::id();
    std::thread::spawn(move || {
        while let Some(began) = began.upgrade() {
            let began = began.load(Ordering::SeqCst);
            if began != NOTHING {
                let took = millis(processor_time()).saturating_sub(began);
                let started = || processes::started_by(here).into_iter();
                let who = if took > millis(TIME) {
                    Some("takes")
                } else if started().any(|id| processes::processor_time(id) > TIME) {
                    Some("a program that reads it takes")
                } else {
                    None
                };
                if let Some(who) = who {
                    processes::kill_started_by(here);
                    // The parent reads it; there is nobody else to tell.
                    let _ = writeln!(
                        io::stdout(),
                        "finding: {who} more than {} s of processor time",
                        TIME.as_secs()
                    );
                    std::process::exit(1);
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    });
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The processor time of this process, all threads together.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    lustre_packaging::store::remove_tree(folder)
        .with_context(|| format!("cannot remove {}", folder.display()))
}
