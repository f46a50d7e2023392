//! Logs of what is run: one holds a run alone, and all of it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;

/// The logs that this run has begun.
static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

pub(crate) fn log_error(log: &Path) -> impl Fn(io::Error) -> Error {
    let log = log.to_owned();
    move |source| Error::Log {
        log: log.clone(),
        source,
    }
}

/// The log, opened for more, with the command in it.
pub(crate) fn open_log(log: &Path, shown: &str) -> Result<File, Error> {
    let open = || {
        let mut out = log_file(log)?;
        writeln!(out, "+ {shown}")?;
        Ok(out)
    };
    open().map_err(log_error(log))
}

/// The log at `log`, opened for more of what this run has to say.
pub fn log_file(log: &Path) -> io::Result<File> {
    begin_log(log)?;
    File::options().create(true).append(true).open(log)
}

/// Removes what an earlier run left at `log`, where this one has not begun it yet: it would mislead.
pub fn begin_log(log: &Path) -> io::Result<()> {
    let log = std::path::absolute(log)?;
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if begun.contains(&log) {
        return Ok(());
    }
    if let Some(parent) = log.parent() {
        fs::create_dir_all(parent)?;
    }
    // Removed, not emptied: the file may be linked to that of another store.
    match fs::remove_file(&log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    begun.insert(log);
    Ok(())
}

/// Cuts the log at `log` after `length` bytes, and says so in it.
pub(crate) fn cut(log: &Path, length: u64, why: &str) -> io::Result<()> {
    let mut out = File::options().append(true).open(log)?;
    out.set_len(length)?;
    writeln!(out, "\n{why}")
}

/// The last `lines` lines of a text file, read from its end; empty where it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    const WINDOW: u64 = 32 * 1024;
    let read = || -> io::Result<String> {
        let mut file = lustre_files::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(WINDOW)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let all: Vec<&str> = text.lines().collect();
        Ok(all[all.len().saturating_sub(lines)..].join("\n"))
    };
    read().unwrap_or_default()
}
