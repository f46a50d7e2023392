//! The end of everything that runs, when the run is interrupted.

use std::ffi::OsStr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::secrets::command;
use crate::table::{descendants, pid_of};

/// How long an interrupted child has to end by itself: `unshare --fork`, for one, is deaf to anything but SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How often a sleeper looks for an interruption.
const LOOK: Duration = Duration::from_millis(100);

/// Set once the run is interrupted; nothing is started after that.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether one of the children may be this very program.
static OURSELVES: AtomicBool = AtomicBool::new(false);

/// The children that run now, so that an interruption can end them.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Set once an interruption has ended what ran.
static ENDED_ALL: AtomicBool = AtomicBool::new(false);

/// A command that becomes this very program again, by way of `program`. It gets the secrets by [`crate::secrets::become_again`] or
/// [`crate::secrets::give`].
pub fn ourselves(program: impl AsRef<OsStr>) -> Command {
    OURSELVES.store(true, Ordering::SeqCst);
    command(program)
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Sleeps for `time`, or until an interruption.
pub fn sleep(time: Duration) {
    let end = Instant::now() + time;
    while !interrupted() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(LOOK));
    }
}

/// What a signal's handler sets for [`interrupt`] to follow: at once, since a signal from a terminal ends children as well, and what they fail
/// with is the interruption from then on.
pub fn flag() -> Arc<AtomicBool> {
    Arc::clone(&INTERRUPTED)
}

/// Ends all children, and what they started, and lets nothing start any more: for Ctrl-C. What does not heed it within [`GRACE`] is killed.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    end_children();
    ENDED_ALL.store(true, Ordering::SeqCst);
}

/// Where the run is interrupted, waits until [`interrupt`] has ended what runs: a program that ends as soon as its children have would leave
/// what those started.
pub fn finish() {
    while interrupted() && !ENDED_ALL.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills all children, and what they started, at once, and lets nothing start any more.
pub fn kill() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    kill_children();
}

fn end_children() {
    signal_children(Signal::TERM);
    let grace = if OURSELVES.load(Ordering::SeqCst) {
        // It gives its own children as long, and cleans up after them, which takes time on a busy machine.
        GRACE * 12
    } else {
        GRACE
    };
    let patience = Instant::now() + grace;
    while Instant::now() < patience {
        if children().is_empty() && (0..2).all(|_| descendants().is_empty()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_children();
}

/// Kills until nothing runs any more: what was just being started is among none of those that were found, and what is killed goes on for a
/// moment, with files open in a store that another run may take as soon as this one has ended. What waits for a disk that never answers is
/// not waited for longer than [`GRACE`].
fn kill_children() {
    let patience = Instant::now() + GRACE;
    loop {
        signal_children(Signal::KILL);
        // A look at all processes takes a while, in which one may change its parent: nothing is there when it was not there twice.
        let none = (0..2).all(|_| descendants().is_empty());
        if none || Instant::now() > patience {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Each of them gets the signal once: for some, a second one means to end without cleaning up.
fn signal_children(signal: Signal) {
    let mut found = descendants();
    found.extend(children().iter());
    let group_of = |id: &u32| rustix::process::getpgid(Some(pid_of(*id)?)).ok();
    let leads = |id: &&u32| group_of(id).is_some_and(|group| pid_of(**id) == Some(group));
    let leaders: Vec<u32> = found.iter().filter(leads).copied().collect();
    let groups: Vec<Pid> = leaders.iter().filter_map(|id| pid_of(*id)).collect();
    // What goes by itself in the meantime is no error, here and below.
    for id in &found {
        if !group_of(id).is_some_and(|group| groups.contains(&group))
            && let Some(pid) = pid_of(*id)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
    for group in groups {
        // One that leads a group of its own takes the group along.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

pub(crate) fn children() -> MutexGuard<'static, Vec<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}
