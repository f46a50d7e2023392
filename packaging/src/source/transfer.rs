//! Files of a web server that is no source: fetched if they are there, and put there.

use std::fs::{self, File};
use std::path::Path;

use super::curl::{Outcome, Part, curl, length, status_in, upload};
use super::{Error, Location, Retry};
use crate::store::{Digest, PathError};

/// Why a file was not transferred.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error("{url}: {why}")]
    Failed {
        /// Without a password.
        url: String,
        why: String,
    },
    #[error("{url}: it is larger than it may be")]
    TooLarge { url: String },
    /// It came, and is another.
    #[error("{url} has the sha256 {found} in place of {expected}")]
    Wrong {
        url: String,
        expected: Digest,
        found: Digest,
    },
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Curl(Box<Error>),
}

/// Transfers files, and tries so often.
#[derive(Debug, Clone, Copy)]
pub struct Transfer {
    pub retry: Retry,
}

impl Transfer {
    /// The content of a file of at most `limit` bytes, fetched into `aside`; none where the server has no such file.
    pub fn get_small(
        &self,
        place: &Location,
        limit: u64,
        aside: &Path,
    ) -> Result<Option<Vec<u8>>, TransferError> {
        let came = self.tried(place, |_| {
            lustre_files::if_there(fs::remove_file(aside))
                .map_err(|source| PathError::new("remove", aside, source))?;
            let what = place.to_string();
            match curl(&what, place, aside, limit, Part::Rest, "", &|| {}) {
                // Nothing is answered to who asks for the rest of an empty file, and curl makes none.
                Ok(Outcome::GiveUp { why }) if matches!(status_in(&why), Some(404 | 410)) => {
                    Ok(Ok(None))
                }
                Ok(Outcome::Done) => Ok(Ok(Some(()))),
                Ok(other) => Ok(Err(other)),
                Err(error) => Err(TransferError::Curl(Box::new(error))),
            }
        })?;
        if came.is_none() {
            return Ok(None);
        }
        let bytes = lustre_files::if_there(lustre_files::read(aside, limit))
            .map_err(|source| PathError::new("read", aside, source))?;
        Ok(Some(bytes.unwrap_or_default()))
    }

    /// Fetches the file of `size` bytes with the digest `expected` into the file `into`, where what an interrupted try left is used.
    pub fn get(
        &self,
        place: &Location,
        (expected, size): (&Digest, u64),
        into: &Path,
    ) -> Result<(), TransferError> {
        self.tried(place, |attempt| {
            let before = length(into);
            if before < size {
                let what = place.to_string();
                match curl(&what, place, into, size, Part::Rest, "", &|| {}) {
                    Ok(Outcome::Done) => {}
                    Ok(other) => {
                        if matches!(&other, Outcome::Again { afresh: true, .. }) {
                            remove(into)?;
                        }
                        return Ok(Err(other));
                    }
                    Err(error) => return Err(TransferError::Curl(Box::new(error))),
                }
            } else if before == 0 {
                File::create(into).map_err(|source| PathError::new("create", into, source))?;
            }
            let (found, _) = Digest::of_file(into)?;
            if found == *expected {
                return Ok(Ok(()));
            }
            remove(into)?;
            // What was there before may have been the beginning of something else.
            if before > 0 && attempt == 0 {
                let why = format!("it has the sha256 {found} in place of {expected}");
                return Ok(Err(Outcome::Again { why, afresh: true }));
            }
            Err(TransferError::Wrong {
                url: place.to_string(),
                expected: *expected,
                found,
            })
        })
    }

    /// Puts `file` at `place`.
    pub fn put(&self, file: &Path, place: &Location) -> Result<(), TransferError> {
        self.tried(place, |_| match upload(&place.to_string(), place, file) {
            Ok(Outcome::Done) => Ok(Ok(())),
            Ok(other) => Ok(Err(other)),
            Err(error) => Err(TransferError::Curl(Box::new(error))),
        })
    }

    /// Does `once` until it is done or given up.
    fn tried<T>(
        &self,
        place: &Location,
        once: impl Fn(u32) -> Result<Result<T, Outcome>, TransferError>,
    ) -> Result<T, TransferError> {
        let failed = |why: String| TransferError::Failed {
            url: place.to_string(),
            why: why.trim().to_owned(),
        };
        let mut last = String::new();
        for attempt in 0..self.retry.attempts {
            self.retry.pause(attempt);
            match once(attempt)? {
                Ok(done) => return Ok(done),
                Err(Outcome::Again { why, .. }) => last = why,
                Err(Outcome::GiveUp { why }) => return Err(failed(why)),
                Err(Outcome::TooLarge) => {
                    return Err(TransferError::TooLarge {
                        url: place.to_string(),
                    });
                }
                Err(Outcome::Done) => {}
            }
        }
        Err(failed(last))
    }
}

fn remove(path: &Path) -> Result<(), PathError> {
    lustre_files::if_there(fs::remove_file(path))
        .map(drop)
        .map_err(|source| PathError::new("remove", path, source))
}
