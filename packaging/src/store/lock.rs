//! Who uses a store: one run at a time builds, others look on, and nobody does either while it is cleaned.
//!
//! A lock is `flock` on a file, which the kernel drops when its holder ends, however it ends. What the file says is
//! only for people: after a `kill -9` it names a run that is no more, and nobody waits for that.
//!
//! Its first line says of which folder it is, since a copy of a store may be made of hard links: the kernel takes both names of a file for
//! one, and runs on two stores would wait for each other. A store gets a file of its own where that line is not its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::names::MARK;
use super::{Error, PathError};
use crate::process;

/// What is told of the run that is waited for.
pub type OnWait<'w> = dyn FnMut(&Holder) + 'w;

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
            return write!(f, "a run that has not recorded its name yet");
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
    whom: &dyn Fn() -> Result<Option<Holder>, Error>,
    on_wait: &mut super::OnWait<'_>,
) -> Result<Option<File>, Error> {
    let Some(mut file) = open(path)? else {
        return Ok(None);
    };
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
        match whom()?.filter(|holder| alive(holder.pid)) {
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
        write(&mut file, who).map_err(|source| PathError::new("write", path, source))?;
    }
    Ok(Some(file))
}

/// Opens the lock's file, made where it is missing or another store's. None where the store was removed meanwhile.
fn open(path: &Path) -> Result<Option<File>, Error> {
    let failed = |source| Error::from(PathError::new("open", path, source));
    if let Some(file) = there(path).map_err(failed)?
        && whose(&file, path) == Whose::Here
    {
        return Ok(Some(file));
    }
    // Only one run at a time gives the store another file: who holds one that was replaced would keep nobody out.
    let Some(mark) = there(&path.with_file_name(MARK)).map_err(failed)? else {
        return Ok(None);
    };
    while let Err(errno) = flock(&mark, FlockOperation::LockExclusive) {
        if errno != rustix::io::Errno::INTR {
            return Err(failed(errno.into()));
        }
    }
    if let Some(file) = there(path).map_err(failed)? {
        if whose(&file, path) == Whose::Here {
            return Ok(Some(file));
        }
        let links = file.metadata().map_err(failed)?.nlink();
        let held = || flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
        // Held by a run of a version that did not say whose it is.
        if links <= 1 && held() {
            return Ok(Some(file));
        }
        fs::remove_file(path).map_err(failed)?;
    }
    let make = || -> io::Result<File> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)?;
        file.write_all(first_line(path)?.as_bytes())?;
        Ok(file)
    };
    match make() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        made => made.map(Some).map_err(failed),
    }
}

/// The file at `path`, if there is one.
fn there(path: &Path) -> io::Result<Option<File>> {
    match File::options().read(true).write(true).open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which folder a lock's file is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// The one it lies in.
    Here,
    /// Another one, of which this is a copy.
    Elsewhere,
    /// It does not say.
    Unsaid,
}

/// How the first line of a lock's file begins.
const FOLDER: &str = "lock of the folder with the inode ";

/// The first line of the lock's file at `path`.
fn first_line(path: &Path) -> io::Result<String> {
    let folder = path.parent().unwrap_or(path);
    Ok(format!("{FOLDER}{}\n", fs::metadata(folder)?.ino()))
}

/// Which folder the lock's file `file`, which is at `path`, is of.
pub(super) fn whose(file: &File, path: &Path) -> Whose {
    let mut begin = [0; 80];
    let read = file.read_at(&mut begin, 0).unwrap_or(0);
    let begin = &begin[..read];
    match first_line(path) {
        Ok(line) if begin.starts_with(line.as_bytes()) => Whose::Here,
        Ok(_) if begin.starts_with(FOLDER.as_bytes()) && begin.contains(&b'\n') => Whose::Elsewhere,
        _ => Whose::Unsaid,
    }
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
    parse(&lustre_files::read(path, lustre_files::TEXT).ok()?)
}

/// The run that the text of a lock's file names.
pub(super) fn parse(text: &[u8]) -> Option<Holder> {
    let end = text.iter().position(|byte| *byte == b'\n');
    let named = match end {
        Some(end) if text.starts_with(FOLDER.as_bytes()) => &text[end..],
        _ => text,
    };
    serde_json::from_slice(named).ok()
}

/// What the lock's file at `path` says of this process.
pub(super) fn text(path: &Path, who: &str) -> io::Result<String> {
    Ok(first_line(path)? + &name(who))
}

/// How this process is named.
fn name(who: &str) -> String {
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

/// Names this process in its lock's file. The first line is never gone, not even for a moment.
fn write(file: &mut File, who: &str) -> io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    let mut line = Vec::new();
    BufReader::new(&mut *file).read_until(b'\n', &mut line)?;
    let end = if line.starts_with(FOLDER.as_bytes()) {
        line.len() as u64
    } else {
        0
    };
    file.set_len(end)?;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(name(who).as_bytes())
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

    #[test]
    fn a_copy_made_of_hard_links_is_a_store_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let [root, copied] = ["store", "copy"].map(|name| dir.path().join(name));
        let nobody = |holder: &Holder| panic!("waits for {holder}");
        let held = Store::open(&root, "first", &mut { nobody }).unwrap();
        let own = held.tmp_dir().join("mine");
        fs::write(&own, "").unwrap();
        let mut command = process::command("cp");
        process::output(command.arg("-al").arg(&root).arg(&copied)).unwrap();
        let name = |path: &Path| path.file_name().unwrap().to_owned();
        let runs_copy = copied.join("tmp").join(name(held.tmp_dir()));
        assert!(runs_copy.join("mine").is_file());

        // Neither who builds nor who clears there waits for the run here, and what it is at is no business of theirs.
        let other = Store::open(&copied, "second", &mut { nobody }).unwrap();
        assert_eq!(other.logs_dir(), copied.join("logs"));
        assert!(!runs_copy.exists());
        drop(other);
        drop(Store::clear(&copied, "third", &mut { nobody }).unwrap());
        assert!(own.is_file());

        // And here, all is as before.
        for path in [root.join(crate::store::LOCK), root.join("store.use")] {
            let file = File::open(&path).unwrap();
            let kept_out = flock(&file, FlockOperation::NonBlockingLockExclusive);
            assert_eq!(kept_out, Err(rustix::io::Errno::WOULDBLOCK), "{path:?}");
            assert_eq!(whose(&file, &path), Whose::Here);
        }
        assert_eq!(
            read(&root.join(crate::store::LOCK)).unwrap().command,
            "first"
        );
        let mut told = Vec::new();
        let waits = std::thread::scope(|scope| {
            let told = &mut told;
            let root = &root;
            let second = scope.spawn(move || {
                Store::open(root, "fourth", &mut |holder| {
                    told.push(holder.command.clone())
                })
                .map(drop)
            });
            std::thread::sleep(POLL * 5);
            let waits = !second.is_finished();
            drop(held);
            second.join().unwrap().unwrap();
            waits
        });
        assert!(waits);
        assert_eq!(told, ["first"]);
    }

    #[test]
    fn the_lock_of_an_earlier_version_is_heeded_while_a_run_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path(), "a test", &mut |_| {}).unwrap());
        let path = dir.path().join(crate::store::LOCK);
        fs::write(&path, name("an earlier version")).unwrap();
        let earlier = File::open(&path).unwrap();
        flock(&earlier, FlockOperation::NonBlockingLockExclusive).unwrap();
        let same = open(&path).unwrap().unwrap();
        assert!(is_at(&same, &path) && is_at(&earlier, &path));
        assert_eq!(read(&path).unwrap().command, "an earlier version");
        drop(earlier);
        let own = open(&path).unwrap().unwrap();
        assert_eq!(whose(&own, &path), Whose::Here);
    }
}
