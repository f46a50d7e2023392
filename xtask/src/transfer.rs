//! How far fetching is: what came is counted on the disk while it comes, and told as it goes, whoever fetches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::events::Amount;
use crate::ui::Screen;

/// How often it is looked at.
const TICK: Duration = Duration::from_millis(250);

/// From how many bytes on it takes long enough to tell people line by line.
const LARGE: u64 = 64 << 20;

/// After how long without a line there is one, however little has come.
const SLOW: Duration = Duration::from_secs(60);

/// Which steps were told: ten at most, however much there is.
#[derive(Debug, Default)]
struct Steps {
    told: u64,
    /// When something was last told, since the beginning.
    last: Duration,
}

impl Steps {
    /// Whether a further tenth of `all` has come.
    fn next(&mut self, come: Amount, all: Amount) -> bool {
        let tenth = come.bytes.saturating_mul(10) / all.bytes.max(1);
        let further = tenth > self.told;
        self.told = self.told.max(tenth);
        further
    }

    /// Whether it goes so slowly that it is told at `now`, since the beginning.
    fn slow(&mut self, now: Duration) -> bool {
        let slow = now.saturating_sub(self.last) >= SLOW;
        if slow {
            self.last = now;
        }
        slow
    }
}

/// Does `work`, which fetches `all`, and tells how much `come` finds meanwhile.
pub fn told<T>(
    screen: &Screen,
    all: Amount,
    come: &(dyn Fn() -> Amount + Sync),
    work: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    let since = Instant::now();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let bar = screen.fetches(all);
            let mut steps = Steps::default();
            loop {
                let last = over.load(Ordering::Acquire);
                let now = come();
                if let Some(bar) = &bar {
                    bar.set_position(now.bytes);
                }
                let took = since.elapsed();
                if steps.next(now, all) {
                    // All of it is told by what comes next.
                    let lines = all.bytes >= LARGE && steps.told < 10;
                    if lines {
                        steps.last = took;
                    }
                    screen.fetched(now, all, took, lines);
                } else if !last && steps.slow(took) {
                    screen.fetched(now, all, took, true);
                }
                if last {
                    break;
                }
                std::thread::park_timeout(TICK);
            }
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
        });
        // Also where the work panics: the scope waits for the watcher.
        let _ends = StopOnDrop(&over, watcher.thread());
        work()
    })
}

struct StopOnDrop<'a>(&'a AtomicBool, &'a std::thread::Thread);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        self.1.unpark();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_told_once_however_it_comes() {
        let all = Amount {
            files: 1000,
            bytes: 100_000,
        };
        let mut steps = Steps::default();
        let mut told = 0;
        for bytes in (0..=100_000).step_by(7).chain([100_000; 50]) {
            told += usize::from(steps.next(Amount { files: 1, bytes }, all));
        }
        assert_eq!(told, 10);
        // What is removed and comes again is not told again, and nothing at all does not divide.
        assert!(!steps.next(Amount { files: 1, bytes: 1 }, all));
        assert!(!Steps::default().next(Amount::default(), Amount::default()));
    }

    #[test]
    fn what_comes_slowly_is_told_each_minute() {
        let mut steps = Steps::default();
        let told: Vec<u64> = (0..200)
            .filter(|second| steps.slow(Duration::from_secs(*second)))
            .collect();
        assert_eq!(told, [60, 120, 180]);
    }

    #[test]
    fn what_comes_is_looked_at_while_the_work_goes_on_and_once_more_at_its_end() {
        use std::sync::atomic::AtomicU64;

        let looked = AtomicU64::new(0);
        let all = Amount { files: 1, bytes: 1 };
        let come = || {
            looked.fetch_add(1, Ordering::SeqCst);
            Amount::default()
        };
        let done = told(&Screen::new(), all, &come, || {
            while looked.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
            looked.load(Ordering::SeqCst)
        });
        assert!(looked.load(Ordering::SeqCst) > done);
    }
}
