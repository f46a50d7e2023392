//! Publishing that is killed at any moment: what clients read is whole each time.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use lustre_repo_tests::command_line::Home;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::client::{serves, tidy, whole};
use crate::releases::{command, copy, published, releases};
use crate::servers::Rsyncd;

/// How often a run is killed.
const KILLS: u32 = 50;

/// Numbers as if by chance, another list for another seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1u32 << 31)
    }
}

/// Kills publishes of the second release in place of the first at `to`, which is `at` on the disk, and looks each time.
#[allow(
    clippy::print_stderr,
    reason = "whoever looks into a failure needs the seed"
)]
fn killed(to: &str, at: &Path) {
    let home = Home::new();
    let kept = tempfile::tempdir().unwrap();
    let first = kept.path().join("first");
    published(&home, 0, to);
    copy(at, &first);
    let clock = Instant::now();
    published(&home, 1, to);
    let mut took = clock.elapsed();
    let seed = 20_260_731;
    eprintln!("seed {seed}, a whole run takes {took:?}");
    let mut chance = Chance(seed);
    let (mut died, mut second) = (0, 0);
    // A run that ends before its moment comes is none that was killed.
    for attempt in 0.. {
        if died == KILLS {
            break;
        }
        assert!(
            attempt < 3 * KILLS,
            "of {attempt} runs only {died} were killed"
        );
        copy(&first, at);
        let mut child = command(&home, releases().at(1), to, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        // What it looks at before it sends anything takes most of the time of so small a repository.
        let until = took.mul_f64(0.2 + 0.85 * chance.next());
        let clock = Instant::now();
        while clock.elapsed() < until && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let running = child.try_wait().unwrap().is_none();
        if !running {
            // It was measured on a machine that had other things to do.
            took = took.min(clock.elapsed());
        }
        if running {
            let group = Pid::from_child(&child);
            kill_process_group(group, Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        died += u32::from(running);
        let read = whole(at);
        assert!(read < 2, "attempt {attempt}");
        serves(at, 0);
        second += u32::from(read == 1);
        // The same command goes on, whatever is left.
        if attempt % 10 == 0 {
            published(&home, 1, to);
            assert_eq!(whole(at), 1, "attempt {attempt}");
            serves(at, 0);
            published(&home, 2, to);
            assert_eq!(whole(at), 2, "attempt {attempt}");
            tidy(at, 2);
        }
    }
    eprintln!("{died} were killed, {second} runs had switched");
    assert!(second > 0, "none had switched");
    let _ = fs::remove_dir_all(&first);
}

#[test]
fn a_folder_is_whole_whenever_a_publish_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("www");
    killed(at.to_str().unwrap(), &at);
}

#[test]
fn what_rsync_sends_is_whole_whenever_a_publish_is_killed() {
    let server = Rsyncd::new("munge symlinks = no");
    killed(&server.url("www"), &server.path("www"));
}
