//! Fetching pins with apt's own downloader, checked by SHA256.

use std::fs;
use std::io;
use std::path::Path;

use lustre_files::at;

use super::{Apt, Error};
use lustre_packaging::lock::FilePin;
use lustre_packaging::store::Digest;
use lustre_process as process;

/// apt's own downloader: it knows every kind of location that a sources file may hold, and the host's proxies.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";
/// How many files one downloader is asked for.
const BATCH: usize = 40;

impl Apt {
    /// Sees to it that every pinned file lies in `into` with the right contents, and fetches what does not.
    pub fn fetch(&self, pins: &[FilePin], into: &Path) -> Result<(), Error> {
        fs::create_dir_all(into).map_err(at(into))?;
        let mut missing = Vec::new();
        for pin in pins {
            let path = into.join(&pin.file);
            if !path.is_file() {
                missing.push(pin);
            } else if sha256(&path).map_err(at(&path))? != pin.sha256 {
                fs::remove_file(&path).map_err(at(&path))?;
                missing.push(pin);
            }
        }
        let part = into.join(".part");
        if !missing.is_empty() {
            fs::create_dir_all(&part).map_err(at(&part))?;
        }
        for batch in missing.chunks(BATCH) {
            let mut command = self.command(APT_HELPER);
            command.arg("download-file");
            for pin in batch {
                command
                    .arg(&pin.uri)
                    .arg(part.join(&pin.file))
                    .arg(format!("SHA256:{}", pin.sha256));
            }
            let log = self.dir.join("fetch.log");
            let done = process::run_logged(&mut command, &log);
            // One file that is gone fails the batch; the others are kept all the same.
            let mut failure = None;
            for pin in batch {
                if let Err(error) = accept(pin, &part, into, done.as_ref().err()) {
                    failure.get_or_insert(error);
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(lustre_files::remove_tree(&part).map_err(at(&part))?)
    }
}

/// Moves a downloaded file to its place if it is the pinned one.
fn accept(
    pin: &FilePin,
    part: &Path,
    into: &Path,
    failure: Option<&process::Error>,
) -> Result<(), Error> {
    let (from, to) = (part.join(&pin.file), into.join(&pin.file));
    // This is how the downloader leaves a file whose digest is another one.
    let refused = part.join(format!("{}.FAILED", pin.file));
    let candidate = if refused.is_file() { &refused } else { &from };
    if !candidate.is_file() {
        return Err(Error::Gone {
            file: pin.file.clone(),
            uri: pin.uri.clone(),
            reason: failure.map_or_else(
                || "the downloader left no file".to_owned(),
                process::Error::to_string,
            ),
        });
    }
    let found = sha256(candidate).map_err(at(candidate))?;
    if found != pin.sha256 {
        fs::remove_file(candidate).map_err(at(candidate))?;
        return Err(Error::Digest {
            file: pin.file.clone(),
            uri: pin.uri.clone(),
            found,
            pinned: pin.sha256.clone(),
        });
    }
    Ok(fs::rename(candidate, &to).map_err(at(&to))?)
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = lustre_files::open(path)?;
    Ok(Digest::of_reader(&mut file)?.0.to_string())
}
