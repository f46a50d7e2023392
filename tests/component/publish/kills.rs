//! Publishing that is killed at any moment: what clients read is whole each time.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lustre_repo_tests::chance::Chance;
use lustre_repo_tests::command_line::{Home, run};
use rustix::process::{Pid, Signal, kill_process_group};

use super::client::{serves, tidy, whole};
use super::releases::{command, copy, published, releases, tool};
use super::servers::{Rsyncd, S3};

/// How often a run is killed.
const KILLS: u32 = 50;

/// The same where each takes longer.
const KILLS_OF_A_STORE: u32 = 20;

/// Starts a command and kills it and all that it started after that time. Whether it was still running, and how long it ran.
pub fn killed_at(command: &mut Command, until: Duration) -> (bool, Duration) {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    let clock = Instant::now();
    while clock.elapsed() < until && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let running = child.try_wait().unwrap().is_none();
    let ran = clock.elapsed();
    if running {
        let group = Pid::from_child(&child);
        kill_process_group(group, Signal::KILL).unwrap();
    }
    child.wait().unwrap();
    (running, ran)
}

/// How long a whole run takes, as far as the last one tells: the machine has other things to do, now more and now less of them.
pub fn next_guess(took: Duration, killed: bool, ran: Duration) -> Duration {
    match killed {
        true => took.mul_f64(1.02),
        false => took.min(ran),
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
    let mut chance = Chance::new(seed);
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
        // What it looks at before it sends anything takes most of the time of so small a repository.
        let until = took.mul_f64(0.2 + 0.85 * chance.next());
        let (running, ran) = killed_at(&mut command(&home, releases().at(1), to, &[]), until);
        took = next_guess(took, running, ran);
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

/// How many of the objects that are switched are those of the second release: the indexes and their signatures, in the order in which
/// `docs/releases.md` says that they are put. Each behind them is that of the first.
#[track_caller]
fn switched(at: &Path) -> usize {
    let mut found = Vec::new();
    for kind in ["source", "x86_64-debuginfo", "x86_64"] {
        for name in ["repomd.xml", "repomd.xml.asc"] {
            let path = format!("{kind}/repodata/{name}");
            let content = fs::read(at.join(&path)).unwrap();
            let of = |number| content == fs::read(releases().at(number).join(&path)).unwrap();
            assert!(of(0) || of(1), "{path} is of no release");
            found.push(of(1));
        }
    }
    let number = found.iter().take_while(|new| **new).count();
    assert!(found[number..].iter().all(|new| !new), "{found:?}");
    number
}

#[test]
#[allow(
    clippy::print_stderr,
    reason = "whoever looks into a failure needs the seed"
)]
fn an_object_store_has_one_release_whole_whenever_a_publish_is_killed_but_between_an_index_and_its_signature()
 {
    let home = Home::new();
    let server = S3::new();
    let publish = |number: usize, at: &str| {
        let to = format!("s3://bucket/{at}");
        let mut command = command(&home, releases().at(number), &to, &[]);
        command.envs(server.variables());
        command
    };
    let whole_run = |number: usize, at: &str| {
        let ran = run(&mut publish(number, at));
        assert_eq!(ran.code, 0, "{at}: {ran:?}");
    };
    let copied = |to: &str| {
        let [from, to] = ["first", to].map(|at| format!(":s3:bucket/{at}"));
        let done = server.rclone(&["copy", &from, &to]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    whole_run(0, "first");
    copied("measured");
    let clock = Instant::now();
    whole_run(1, "measured");
    let mut took = clock.elapsed();
    let seed = u64::from(std::process::id());
    eprintln!("seed {seed}, a whole run takes {took:?}");
    let mut chance = Chance::new(seed);
    let (mut died, mut begun, mut between) = (0, 0, 0);
    for attempt in 0.. {
        if died == KILLS_OF_A_STORE {
            break;
        }
        assert!(
            attempt < 3 * KILLS_OF_A_STORE,
            "of {attempt} runs only {died} were killed"
        );
        let at = format!("at-{attempt}");
        copied(&at);
        let until = took.mul_f64(0.3 + 0.75 * chance.next());
        let (running, ran) = killed_at(&mut publish(1, &at), until);
        took = next_guess(took, running, ran);
        died += u32::from(running);
        let there = server.fetched(&at);
        // Whoever has the index of the first finds all that it names; and so does whoever has that of the second.
        serves(&there, 0);
        let number = switched(&there);
        if number > 0 {
            serves(&there, 1);
        }
        between += usize::from(number % 2 == 1);
        begun += usize::from(there.join(tool(1)).exists());
        whole_run(1, &at);
        let there = server.fetched(&at);
        assert_eq!(whole(&there), 1, "attempt {attempt}");
        serves(&there, 0);
    }
    eprintln!(
        "{died} were killed, {begun} had sent a package, {between} an index without its signature"
    );
    assert!(begun > 0, "none had begun");
}

#[test]
fn an_object_store_that_has_the_sums_of_a_release_and_not_yet_the_rest_gets_it_by_the_same_command()
{
    let home = Home::new();
    let server = S3::new();
    let publish = |number: usize| {
        let mut command = command(&home, releases().at(number), "s3://bucket/lustre", &[]);
        run(command.envs(server.variables()))
    };
    let put = |number: usize, name: &str| {
        let file = releases().at(number).join(name);
        let to = format!(":s3:bucket/lustre/{name}");
        let done = server.rclone(&["copyto", file.to_str().unwrap(), &to]);
        assert!({ done }.status().unwrap().success());
    };
    let first = publish(0);
    assert_eq!(first.code, 0, "{first:?}");
    for more in [&["SHA256SUMS"][..], &["manifest.json", "SHA256SUMS.asc"]] {
        put(1, "SHA256SUMS");
        more.iter().for_each(|name| put(1, name));
        let ran = publish(1);
        assert_eq!(ran.code, 0, "{more:?}: {ran:?}");
        assert_eq!(whole(&server.fetched("lustre")), 1);
        put(0, "manifest.json");
        put(0, "SHA256SUMS.asc");
    }
}

#[test]
fn what_rsync_sends_is_whole_whenever_a_publish_is_killed() {
    let server = Rsyncd::new("munge symlinks = no");
    killed(&server.url("www"), &server.path("www"));
}
