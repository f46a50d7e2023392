//! Who uses a store: one run at a time builds, others look on, and nobody does either while it is cleaned.
//!
//! A lock is `flock` on a file, which the kernel drops when its holder ends, however it ends. What the file says is
//! only for people: after a `kill -9` it names a run that is no more, and nobody waits for that.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Error, PathError};
use crate::process;

/// The run that holds a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// What it is, as its user would call it: "cargo xtask repo --target rehearsal".
    pub command: String,
    /// When it took the store, in seconds since 1970.
    pub started: u64,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.pid == 0 {
            return write!(f, "a run that has not said its name yet");
        }
        let ago = now().saturating_sub(self.started);
        let (minutes, seconds) = (ago / 60, ago % 60);
        write!(
            f,
            "`{}` (process {}, since {minutes} min {seconds} s)",
            self.command, self.pid
        )
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

const POLL: Duration = Duration::from_millis(100);
/// How many polls a waiting run gives the holder to write its name.
const UNNAMED_POLLS: u32 = 10;

/// What a lock keeps out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All others.
    Exclusive,
    /// Those who want it for themselves.
    Shared,
}

/// Takes the lock, waiting while another run is in the way; `on_wait` hears once of every run that `whom` says is waited for. None where
/// the file was removed meanwhile.
pub(super) fn take(
    path: &Path,
    who: &str,
    kind: Kind,
    whom: &dyn Fn() -> Option<Holder>,
    on_wait: &mut super::OnWait<'_>,
) -> Result<Option<File>, Error> {
    let mut file = open(path)?;
    let operation = match kind {
        Kind::Exclusive => FlockOperation::NonBlockingLockExclusive,
        Kind::Shared => FlockOperation::NonBlockingLockShared,
    };
    let mut told: Option<Holder> = None;
    let mut unnamed = 0;
    loop {
        match flock(&file, operation) {
            Ok(()) if is_at(&file, path) => break,
            // `clean --all` removed it while we waited: a lock on a file without a name keeps nobody out.
            Ok(()) => return Ok(None),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(PathError::new("lock", path, errno.into()).into()),
        }
        if process::interrupted() {
            return Err(Error::Interrupted);
        }
        // Between taking the lock and writing its name, the holder's file is empty or names the run before.
        match whom().filter(|holder| alive(holder.pid)) {
            Some(holder) if told.as_ref() != Some(&holder) => {
                on_wait(&holder);
                told = Some(holder);
            }
            Some(_) => {}
            None => {
                unnamed += 1;
                if unnamed == UNNAMED_POLLS && told.is_none() {
                    let holder = Holder {
                        pid: 0,
                        command: String::new(),
                        started: 0,
                    };
                    on_wait(&holder);
                    told = Some(holder);
                }
            }
        }
        std::thread::sleep(POLL);
    }
    if kind == Kind::Exclusive {
        write(&mut file, &text(who)).map_err(|source| PathError::new("write", path, source))?;
    }
    Ok(Some(file))
}

/// Opens the lock's file, made where it is missing.
fn open(path: &Path) -> Result<File, Error> {
    let failed = |source| PathError::new("open", path, source);
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(failed)?;
    Ok(file)
}

/// Whether `file` is still what stands at `path`.
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    let place = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => place(open) == place(there),
        _ => false,
    }
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The run that a lock's file names.
pub(super) fn read(path: &Path) -> Option<Holder> {
    parse(&fs::read(path).ok()?)
}

/// The run that the text of a lock's file names.
pub(super) fn parse(text: &[u8]) -> Option<Holder> {
    serde_json::from_slice(text).ok()
}

/// What a lock's file says of this process.
pub(super) fn text(who: &str) -> String {
    let holder = Holder {
        pid: std::process::id(),
        command: who.to_owned(),
        started: now(),
    };
    // Numbers and text can always be said.
    let mut text = serde_json::to_string(&holder).unwrap_or_default();
    text.push('\n');
    text
}

fn write(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_store_that_was_removed_is_opened_anew_by_who_waited_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("store");
        let held = Store::open(&root, "first", &mut |_| {}).unwrap();
        let (send, waits) = std::sync::mpsc::channel();
        let second = {
            let root = root.clone();
            std::thread::spawn(move || {
                Store::open(&root, "second", &mut |holder| {
                    send.send(holder.clone()).unwrap();
                })
            })
        };
        assert_eq!(waits.recv().unwrap().command, "first");
        fs::remove_dir_all(&root).unwrap();
        drop(held);
        let _second = second.join().unwrap().unwrap();
        assert!(root.join(crate::store::MARK).is_file());
        let third = File::open(root.join(crate::store::LOCK)).unwrap();
        let kept_out = flock(&third, FlockOperation::NonBlockingLockExclusive);
        assert_eq!(kept_out, Err(rustix::io::Errno::WOULDBLOCK));
    }
}
