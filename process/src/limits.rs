//! How far a program may go that nobody can vouch for: how long it runs, what it writes, and what it says.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::room::Place;

/// How large a log may become, where nobody says otherwise: that of a kernel has some hundred MiB, with every command in it.
pub const LOG: u64 = 1 << 30;

/// What has to be left of a file system where a program writes that has a limit of the disk.
const LEFT: u64 = 1 << 30;

/// How often the files that a program wrote are counted, at most.
const COUNT: Duration = Duration::from_secs(5);

/// What an entry of a folder counts for at least: a file system has room for so many, too.
const ENTRY: u64 = 4 << 10;

/// How far a program may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run; none for as long as it takes.
    pub time: Option<Duration>,
    /// How many bytes it may write into its folder; none for as many as there is room for.
    pub disk: Option<u64>,
    /// How many bytes its log may have.
    pub log: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: None,
            disk: None,
            log: LOG,
        }
    }
}

/// Where a program writes.
#[derive(Debug, Clone, Copy)]
pub struct Written<'f> {
    pub folder: &'f Path,
    /// What was there before, in bytes.
    pub before: u64,
    /// Since when it is being written: of several programs, the first one began then.
    pub since: Instant,
}

/// What a program that was ended had come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    Time {
        limit: Duration,
    },
    Disk {
        limit: u64,
        written: u64,
    },
    /// The file system would have been full.
    Room {
        left: u64,
        place: Place,
    },
    Log {
        limit: u64,
    },
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Time { limit } => write!(f, "it ran for {}, its limit", span(*limit)),
            Self::Disk { limit, written } => write!(
                f,
                "it wrote {}, and its limit is {}",
                size(*written),
                size(*limit)
            ),
            Self::Room { left, place } => write!(
                f,
                "{} of the disk have to be left, and {place}",
                size(*left)
            ),
            Self::Log { limit } => write!(
                f,
                "it said more than {}, the limit of its log",
                size(*limit)
            ),
        }
    }
}

impl Reached {
    /// What to do about it.
    pub(crate) fn next(&self) -> &'static str {
        match self {
            Self::Time { .. } => {
                "if the log shows that it was at work, give it longer with --max-time HOURS"
            }
            Self::Disk { .. } => "if it needs more than that, allow it with --max-disk GIB",
            Self::Room { .. } => "make room, or use another disk with --store",
            Self::Log { .. } => {
                "look what it repeats; a build that has so much to say is allowed it with --max-log MIB"
            }
        }
    }
}

fn size(bytes: u64) -> String {
    match bytes >> 30 {
        0..10 => format!("{} MiB", bytes.div_ceil(1 << 20)),
        gib => format!("{gib} GiB"),
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        _ => format!("{} hours", seconds / 3600),
    }
}

/// What `folder` has, as it counts for a limit. Counting ends where there is more than `enough`. What goes meanwhile, or cannot be read,
/// counts for nothing.
pub fn written(folder: &Path, enough: u64) -> u64 {
    let mut sum: u64 = 0;
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries {
            // Not through a link.
            let Ok(found) = entry.metadata() else {
                continue;
            };
            if found.is_dir() {
                folders.push(entry.path());
            }
            sum = sum.saturating_add((found.blocks() * 512).max(ENTRY));
            if sum > enough {
                return sum;
            }
        }
    }
    sum
}

/// Looks whether a program that runs has gone too far.
pub(crate) struct Watch<'w> {
    limits: &'w Limits,
    log: &'w Path,
    written: Option<Written<'w>>,
    begun: Instant,
    /// When its files were counted last, how long that took, and what was free then.
    counted: Instant,
    took: Duration,
    free: u64,
}

impl<'w> Watch<'w> {
    pub(crate) fn new(limits: &'w Limits, log: &'w Path, written: Option<Written<'w>>) -> Self {
        let now = Instant::now();
        Self {
            limits,
            log,
            written,
            begun: written.map_or(now, |it| it.since),
            counted: now,
            took: Duration::ZERO,
            free: written
                .and_then(|it| Place::of(it.folder))
                .map_or(0, |it| it.free),
        }
    }

    /// What it has come to, where that is too much.
    pub(crate) fn look(&mut self) -> Option<Reached> {
        let limits = self.limits;
        if let Some(limit) = limits.time.filter(|limit| self.begun.elapsed() >= *limit) {
            return Some(Reached::Time { limit });
        }
        let said = std::fs::metadata(self.log).map_or(0, |it| it.len());
        if said > limits.log {
            return Some(Reached::Log { limit: limits.log });
        }
        self.look_at_disk(limits.disk?)
    }

    fn look_at_disk(&mut self, limit: u64) -> Option<Reached> {
        let written = self.written?;
        let place = Place::of(written.folder)?;
        // What is written into a file that nobody can find any more takes room all the same.
        if place.free < LEFT.min(place.total / 8) || place.no_files {
            let left = LEFT.min(place.total / 8);
            return Some(Reached::Room { left, place });
        }
        // Counting is not to take much of the machine; but what fills the disk fast is looked at soon.
        let since = self.counted.elapsed();
        let fast = self.free.saturating_sub(place.free) > limit / 8 && since > self.took * 2;
        if !fast && since < COUNT.max(self.took * 30) {
            return None;
        }
        let clock = Instant::now();
        let all = self::written(written.folder, limit.saturating_add(written.before));
        (self.took, self.counted, self.free) = (clock.elapsed(), Instant::now(), place.free);
        let written = all.saturating_sub(written.before);
        (written > limit).then_some(Reached::Disk { limit, written })
    }
}
