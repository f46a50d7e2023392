//! One run at a time per store.
//!
//! The lock is `flock` on `store.lock`, which the kernel drops when its holder ends, however it ends. What the file says is
//! only for people: after a `kill -9` it names a run that is no more, and nobody waits for that.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
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

/// Takes the lock, waiting while another run holds it; `on_wait` hears once of every run that is waited for.
pub(super) fn take(
    path: &Path,
    who: &str,
    on_wait: &mut dyn FnMut(&Holder),
) -> Result<File, Error> {
    let mut file = open(path)?;
    let mut told: Option<Holder> = None;
    let mut unnamed = 0;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_at(&file, path) => break,
            // `clean --all` removed it while we waited: a lock on a file without a name keeps nobody out.
            Ok(()) => {
                file = open(path)?;
                continue;
            }
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(PathError::new("lock", path, errno.into()).into()),
        }
        if process::interrupted() {
            return Err(Error::Interrupted);
        }
        // Between taking the lock and writing its name, the holder's file is empty or names the run before.
        match read(&mut file).filter(|holder| alive(holder.pid)) {
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
    let holder = Holder {
        pid: std::process::id(),
        command: who.to_owned(),
        started: now(),
    };
    write(&mut file, &holder).map_err(|source| PathError::new("write", path, source))?;
    Ok(file)
}

/// Opens the lock's file, made where it is missing, folder and all.
fn open(path: &Path) -> Result<File, Error> {
    let failed = |source| PathError::new("open", path, source);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
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
fn is_at(file: &File, path: &Path) -> bool {
    let place = |meta: fs::Metadata| (meta.dev(), meta.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => place(open) == place(there),
        _ => false,
    }
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn read(file: &mut File) -> Option<Holder> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    let mut text = serde_json::to_string(holder)?;
    text.push('\n');
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_removed_with_its_store_is_taken_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store/store.lock");
        let held = take(&path, "first", &mut |_| {}).unwrap();
        let (send, waits) = std::sync::mpsc::channel();
        let second = {
            let path = path.clone();
            std::thread::spawn(move || {
                take(&path, "second", &mut |holder| {
                    send.send(holder.clone()).unwrap();
                })
            })
        };
        assert_eq!(waits.recv().unwrap().command, "first");
        fs::remove_dir_all(dir.path().join("store")).unwrap();
        drop(held);
        let second = second.join().unwrap().unwrap();
        assert!(is_at(&second, &path), "a third run would not wait for it");
    }
}
