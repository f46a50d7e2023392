//! The locks of dpkg, apt and rpm: where another program holds one, for a moment mostly, it is waited for, with words.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Error;
use crate::process;

/// How long the other program may take: unattended upgrades may be installing a kernel.
pub(super) const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// How many looks have to find nobody.
const LOOKS: usize = 4;

/// How often is looked.
const LOOK: Duration = Duration::from_secs(1);

/// The locks of apt and dpkg.
pub(super) const APT: &[&str] = &[
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
];

/// The locks of rpm: where Enterprise Linux has its database, and where Fedora has it.
pub(super) const RPM: &[&str] = &["/var/lib/rpm/.rpm.lock", "/usr/lib/sysimage/rpm/.rpm.lock"];

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    lock: PathBuf,
    process: u32,
    name: String,
}

/// Waits until nobody holds any of `locks`, or `patience` is over. `tell` gets words for each holder.
pub(super) fn wait(
    locks: &[&Path],
    patience: Duration,
    tell: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let end = Instant::now() + patience;
    let mut told: Option<Holder> = None;
    while let Some(holder) = locks.iter().find_map(|lock| held(lock)) {
        if process::interrupted() || Instant::now() >= end {
            return Err(Error::Locked {
                lock: holder.lock,
                name: holder.name,
                process: holder.process,
                seconds: patience.as_secs(),
            });
        }
        if told.as_ref() != Some(&holder) {
            tell(&format!(
                "waiting for `{}` (process {}), which holds the lock {}",
                holder.name,
                holder.process,
                holder.lock.display()
            ));
            told = Some(holder);
        }
        std::thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// Whether somebody holds one of `locks`.
pub(super) fn any_held(locks: &[&Path]) -> bool {
    locks.iter().any(|lock| held(lock).is_some())
}

/// Who holds `lock`, if anybody does.
fn held(lock: &Path) -> Option<Holder> {
    let of = lock.metadata().ok()?;
    // The kernel gives the list in pieces: where another lock goes between two of them, a line is left out. So one look that finds
    // nothing proves nothing.
    let process = (0..LOOKS).find_map(|_| {
        let text = lustre_files::read_to_string("/proc/locks", lustre_files::SOURCE).ok()?;
        holder(&text, of.dev(), of.ino())
    })?;
    let name = lustre_files::read_to_string(format!("/proc/{process}/comm"), lustre_files::TEXT)
        .unwrap_or_default();
    Some(Holder {
        lock: lock.to_owned(),
        process,
        name: name.trim().to_owned(),
    })
}

/// The process that has a lock on the file of this device and number, by the text of `/proc/locks`. Those who wait have `->` in front.
fn holder(text: &str, device: u64, inode: u64) -> Option<u32> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    text.lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.get(1) != Some(&"->") && fields.get(5) == Some(&file.as_str()))
        .and_then(|fields| fields.get(4)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use rustix::fs::{FlockOperation, fcntl_lock, makedev};

    use super::*;

    #[test]
    fn who_has_a_lock_is_read() {
        let text = "1: FLOCK  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
                    2: POSIX  ADVISORY  WRITE 12 fe:00:78 0 EOF\n\
                    2: -> POSIX  ADVISORY  WRITE 13 fe:00:79 0 EOF\n";
        let device = makedev(0xfe, 0);
        assert_eq!(holder(text, device, 78), Some(12));
        assert_eq!(holder(text, device, 77), Some(11));
        assert_eq!(holder(text, device, 79), None);
        assert_eq!(holder(text, makedev(8, 1), 78), None);
    }

    #[test]
    fn a_lock_is_seen_while_others_come_and_go() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| std::fs::File::create(dir.path().join(name)).unwrap();
        let mine = file("lock");
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let (over, file) = (&over, &file);
                scope.spawn(move || {
                    let mut held = Vec::new();
                    while !over.load(Ordering::Relaxed) {
                        // More than the kernel gives at once.
                        let names = 0..200;
                        let files = names.map(|number| file(&format!("{thread}-{number}")));
                        for file in files.collect::<Vec<_>>() {
                            rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
                            held.push(file);
                        }
                        // From the first on, which is in front of all others in the list or behind them.
                        held.drain(..).for_each(drop);
                    }
                });
            }
            fcntl_lock(&mine, FlockOperation::LockExclusive).unwrap();
            let missed = (0..3000).filter(|_| held(&dir.path().join("lock")).is_none());
            let missed = missed.count();
            over.store(true, Ordering::Relaxed);
            assert_eq!(missed, 0);
        });
    }

    #[test]
    fn a_lock_that_is_held_is_waited_for_with_words() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let file = std::fs::File::create(&path).unwrap();
        fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
        let mut said = Vec::new();
        let error = wait(&[&path], Duration::from_millis(50), &mut |text| {
            said.push(text.to_owned());
        })
        .unwrap_err()
        .to_string();
        let us = std::process::id().to_string();
        for part in [us.as_str(), "lock", "again"] {
            assert!(error.contains(part), "{part} is not in {error}");
        }
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(&us) && said[0].contains(&path.display().to_string()));
        // Once it is let go, the way is free.
        let mut file = Some(file);
        wait(&[&path], Duration::from_secs(60), &mut |_| {
            drop(file.take())
        })
        .unwrap();
        assert!(file.is_none());
        wait(&[&path], Duration::ZERO, &mut |text| panic!("{text}")).unwrap();
    }
}
