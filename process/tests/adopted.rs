//! What programs leave behind is adopted: alone in its process, since nothing else there may have children of its own.

// Clippy lets tests unwrap, but not the functions that they share; and tests look from outside.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs;
use std::time::{Duration, Instant};

use lustre_process::{adopt_orphans, capture, command};

/// Long enough for a slow machine; only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// The state of a process, as the kernel calls it, and its parent; none where it is gone.
fn state(id: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

/// Starts something that outlives what started it by `seconds`, and gives its id.
fn left_behind(seconds: &str) -> u32 {
    let script = format!("sleep {seconds} >/dev/null 2>&1 & echo $!");
    let done = capture(command("sh").args(["-c", &script])).unwrap();
    String::from_utf8(done.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn what_was_left_behind_does_not_stay_when_it_ends_and_each_child_says_how_it_ended() {
    adopt_orphans().unwrap();
    let lives = left_behind("600");
    let adopted = |id| state(id).is_some_and(|(_, parent)| parent == std::process::id());
    assert!(adopted(lives));
    let ended: Vec<u32> = (0..20).map(|_| left_behind("0.5")).collect();
    // Meanwhile children come and go, in several threads, and one ends long before anybody asks how.
    let clock = Instant::now();
    std::thread::scope(|scope| {
        for code in 1..5 {
            scope.spawn(move || {
                while clock.elapsed() < Duration::from_secs(2) {
                    let mut ends = command("sh");
                    ends.args(["-c", &format!("exit {code}")]);
                    assert_eq!(capture(&mut ends).unwrap().status.code(), Some(code));
                }
            });
        }
        scope.spawn(|| {
            let mut ends = command("sh");
            ends.args(["-c", "exit 7"]);
            let status = lustre_process::with_child(&mut ends, |child| {
                std::thread::sleep(Duration::from_secs(2));
                child.wait().unwrap()
            });
            assert_eq!(status.unwrap().code(), Some(7));
        });
    });
    let stays = |id: &&u32| state(**id).is_some();
    while ended.iter().any(|id| stays(&id)) {
        let left: Vec<_> = ended.iter().filter(stays).map(|id| state(*id)).collect();
        assert!(clock.elapsed() < PATIENCE, "{left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(adopted(lives));
    capture(command("kill").arg(lives.to_string())).unwrap();
}
