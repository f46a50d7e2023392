//! Downloads, done by curl: resumed, retried, from one of several places, and checked before they are in the store.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lustre_files::shown_url;

use super::certificate::Certificate;
use super::curl::{Outcome, Part, curl, length};
use super::replace::rewrite;
use super::{Attempt, Error, Location, Mirror};
use crate::process;
use crate::store::{self, Digest, PathError, Store};

/// How often and how patiently a place is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// How many times.
    pub attempts: u32,
    /// How long to wait before the second try; every further wait is twice as long.
    pub first_pause: Duration,
}

impl Retry {
    /// Waits before the try `attempt`, counted from zero, or until an interruption.
    pub(crate) fn pause(self, attempt: u32) {
        if attempt > 0 {
            process::sleep(self.first_pause * 2_u32.saturating_pow(attempt - 1));
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            attempts: 5,
            first_pause: Duration::from_secs(1),
        }
    }
}

/// How far a download is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub source: String,
    /// Where it comes from, without a password.
    pub url: String,
    /// How many bytes are there.
    pub bytes: u64,
    /// How many it will be, where that is known.
    pub total: Option<u64>,
    /// Whether what came was damaged: its digest is another. It was removed, and is fetched again.
    pub damaged: bool,
}

/// Fetches files into the store.
pub struct Downloader<'s> {
    pub(super) store: &'s Store,
    offline: bool,
    mirrors: &'s [Mirror],
    certificates: Vec<Certificate>,
    pub(super) retry: Retry,
    progress: &'s (dyn Fn(&Progress) + Sync),
    /// The files that threads of this run are fetching: one thread per file.
    busy: Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>,
}

/// A small file is not larger than this: keys, and what names the files of a repository, stay far below.
pub(super) const SMALL: u64 = 64 << 20;

/// No file is larger than this: the largest package of a distribution stays far below.
pub(crate) const LARGEST: u64 = 16 << 30;

impl<'s> Downloader<'s> {
    /// A downloader for one run.
    pub fn new(
        store: &'s Store,
        offline: bool,
        mirrors: &'s [Mirror],
        retry: Retry,
        progress: &'s (dyn Fn(&Progress) + Sync),
    ) -> Self {
        Self {
            store,
            offline,
            mirrors,
            certificates: Vec::new(),
            retry,
            progress,
            busy: Mutex::default(),
        }
    }

    /// The same, with what some servers ask for.
    #[must_use]
    pub fn with_certificates(mut self, certificates: Vec<Certificate>) -> Self {
        self.certificates = certificates;
        self
    }

    /// The file with the digest `expected` in the store: it is there, or it is fetched from the first of `urls` that has it.
    /// An interrupted download goes on where it stopped, also in a later run.
    pub fn file(
        &self,
        source: &str,
        urls: &[String],
        expected: &Digest,
        size: Option<u64>,
    ) -> Result<PathBuf, Error> {
        let partial = self.store.partial_dir().join(expected.to_string());
        let lock = self.lock(&partial);
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = self.store.file(expected) {
            return Ok(path);
        }
        let places = self.places(
            source,
            urls,
            &format!("{} (sha256 {expected})", shown_url(first(urls))),
        )?;
        let adopt = |place: &Location| self.adopt(place, &partial, expected);
        self.try_places(source, urls, &places, &partial, expected, size, &adopt)
    }

    /// Fetches the file with the digest `expected`, of at most `limit` bytes, from `location` into the file `into`, and not into the store:
    /// whatever is there already. Tried again and resumed as any other.
    pub fn file_at(
        &self,
        source: &str,
        location: &str,
        expected: &Digest,
        limit: u64,
        into: &Path,
    ) -> Result<(), Error> {
        let urls = [location.to_owned()];
        let places = self.places(source, &urls, &shown_url(location))?;
        let adopt = |_: &Location| {
            if length(into) == 0 {
                // curl makes no file for an empty one.
                File::create(into).map_err(|source| PathError::new("create", into, source))?;
            }
            let (found, _) = Digest::of_file(into)?;
            if found == *expected {
                return Ok(Ok(into.to_owned()));
            }
            remove(into)?;
            Ok(Err(found))
        };
        let size = Some(limit);
        self.try_places(source, &urls, &places, into, expected, size, &adopt)
            .map(drop)
    }

    /// The file with the digest `expected`, which comes into `partial` and is adopted from there, from the first of `places` that has it.
    #[allow(clippy::too_many_arguments, reason = "they are those of one download")]
    fn try_places(
        &self,
        source: &str,
        urls: &[String],
        places: &[Location],
        partial: &Path,
        expected: &Digest,
        size: Option<u64>,
        adopt: &Adopt<'_>,
    ) -> Result<PathBuf, Error> {
        let mut tried = Vec::new();
        let mut mismatch = None;
        for place in places {
            match self.try_place(source, place, partial, size, adopt)? {
                Ok(path) => return Ok(path),
                Err(Failure::Unreachable(why)) => tried.push(Attempt {
                    url: place.to_string(),
                    why,
                }),
                Err(Failure::Wrong(found)) => {
                    let error = Error::Digest {
                        source_name: source.to_owned(),
                        url: place.to_string(),
                        expected: *expected,
                        found,
                    };
                    mismatch.get_or_insert(error);
                }
                Err(Failure::Larger(limit)) => {
                    let error = Error::Larger {
                        source_name: source.to_owned(),
                        url: place.to_string(),
                        expected: *expected,
                        limit,
                    };
                    mismatch.get_or_insert(error);
                }
            }
        }
        // A wrong file says more than a place that did not answer.
        Err(mismatch.unwrap_or(Error::Download {
            source_name: source.to_owned(),
            what: shown_url(first(urls)),
            tried,
        }))
    }

    /// The content of a small file whose digest is not known beforehand, such as signed metadata. Not kept.
    pub fn small(&self, source: &str, location: &str) -> Result<Vec<u8>, Error> {
        let dir = self.store.temp_dir("download")?;
        let file = dir.path().join("file");
        self.small_into(source, location, &file, None, "")?;
        lustre_files::read(&file, SMALL)
            .map_err(|source| PathError::new("read", &file, source).into())
    }

    /// Fetches a small file with further lines of curl's configuration, which may have curl write another file, `beside`. What an attempt
    /// left is gone before the next.
    pub(super) fn small_into(
        &self,
        source: &str,
        location: &str,
        into: &Path,
        beside: Option<&Path>,
        lines: &str,
    ) -> Result<(), Error> {
        let places = self.places(source, &[location.to_owned()], &shown_url(location))?;
        let mut why = String::new();
        for place in &places {
            for attempt in 0..self.retry.attempts {
                self.pause(attempt);
                for old in [Some(into), beside].into_iter().flatten() {
                    let _ = fs::remove_file(old);
                }
                match self.curl_with(source, place, into, None, SMALL, Part::Rest, lines)? {
                    Outcome::Done => return Ok(()),
                    Outcome::Again { why: reason, .. } => why = reason,
                    Outcome::GiveUp { why: reason } => {
                        why = reason;
                        break;
                    }
                    Outcome::TooLarge => {
                        why = format!("it is larger than the limit of {SMALL} bytes");
                        break;
                    }
                }
            }
        }
        Err(Error::Download {
            source_name: source.to_owned(),
            what: shown_url(location),
            tried: vec![Attempt {
                url: places.first().map(Location::to_string).unwrap_or_default(),
                why,
            }],
        })
    }

    /// The first `bytes` of a file, from the first of `urls` that has it; none where that gives no parts of files. Not kept.
    pub fn beginning(
        &self,
        source: &str,
        urls: &[String],
        bytes: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let places = self.places(source, urls, &shown_url(first(urls)))?;
        let dir = self.store.temp_dir("download")?;
        let file = dir.path().join("file");
        let mut tried = Vec::new();
        for place in &places {
            if let Some(path) = place.local_path() {
                match lustre_files::open(&path) {
                    Ok(file) => return part_of(file, &path, bytes).map(Some),
                    Err(error) => tried.push(Attempt {
                        url: place.to_string(),
                        why: error.to_string(),
                    }),
                }
                continue;
            }
            let mut why = String::new();
            for attempt in 0..self.retry.attempts {
                self.pause(attempt);
                let _ = fs::remove_file(&file);
                match self.curl(source, place, &file, None, bytes, Part::Beginning(bytes))? {
                    Outcome::Done => {
                        let opened = lustre_files::open(&file)
                            .map_err(|source| PathError::new("read", &file, source))?;
                        return part_of(opened, &file, bytes).map(Some);
                    }
                    // All of it was on the way.
                    Outcome::TooLarge => return Ok(None),
                    Outcome::Again { why: reason, .. } => why = reason,
                    Outcome::GiveUp { why: reason } => {
                        why = reason;
                        break;
                    }
                }
            }
            tried.push(Attempt {
                url: place.to_string(),
                why,
            });
        }
        Err(Error::Download {
            source_name: source.to_owned(),
            what: shown_url(first(urls)),
            tried,
        })
    }

    /// Where to look, after mirrors, without what may not be reached.
    pub(super) fn places(
        &self,
        source: &str,
        urls: &[String],
        what: &str,
    ) -> Result<Vec<Location>, Error> {
        let mut places: Vec<Location> = urls
            .iter()
            .map(|text| rewrite(&Location::parse(text)?, self.mirrors))
            .collect::<Result<_, _>>()
            .map_err(|why| Error::Location {
                source_name: source.to_owned(),
                source: why,
            })?;
        if self.offline {
            places.retain(|place| !place.is_remote());
            if places.is_empty() {
                return Err(Error::Offline {
                    source_name: source.to_owned(),
                    what: what.to_owned(),
                });
            }
        }
        Ok(places)
    }

    fn lock(&self, partial: &Path) -> Arc<Mutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(busy.entry(partial.to_owned()).or_default())
    }

    fn pause(&self, attempt: u32) {
        self.retry.pause(attempt);
    }

    fn curl(
        &self,
        source: &str,
        place: &Location,
        into: &Path,
        total: Option<u64>,
        limit: u64,
        part: Part,
    ) -> Result<Outcome, Error> {
        self.curl_with(source, place, into, total, limit, part, "")
    }

    /// The same with further lines of curl's configuration.
    #[allow(
        clippy::too_many_arguments,
        reason = "they are those of one run of curl"
    )]
    fn curl_with(
        &self,
        source: &str,
        place: &Location,
        into: &Path,
        total: Option<u64>,
        limit: u64,
        part: Part,
        lines: &str,
    ) -> Result<Outcome, Error> {
        if let Some(path) = place.local_path()
            && let Err(error) = lustre_files::open_within(&path, limit)
        {
            return Ok(Outcome::GiveUp {
                why: error.to_string(),
            });
        }
        let report = || {
            (self.progress)(&Progress {
                source: source.to_owned(),
                url: place.to_string(),
                bytes: length(into),
                total,
                damaged: false,
            });
        };
        // The longest location that it is below of says the most about the server.
        let certificate = self
            .certificates
            .iter()
            .filter(|one| one.is_for(place))
            .max_by_key(|one| one.below.len());
        let more = certificate
            .map(Certificate::lines)
            .transpose()?
            .unwrap_or_default()
            + lines;
        curl(source, place, into, limit, part, &more, &report)
    }

    fn try_place(
        &self,
        source: &str,
        place: &Location,
        partial: &Path,
        size: Option<u64>,
        adopt: &Adopt<'_>,
    ) -> Result<Result<PathBuf, Failure>, Error> {
        let limit = size.unwrap_or(LARGEST);
        let mut why = String::new();
        let mut attempt = 0;
        // A file that comes over a network may be damaged on its way. One that is wrong twice is wrong there.
        let mut again = place.is_remote();
        while attempt < self.retry.attempts {
            self.pause(attempt);
            let before = length(partial);
            // A part as long as the whole cannot be resumed: it is the whole, or it is wrong.
            let complete = before > 0 && size.is_some_and(|size| before >= size);
            let outcome = if complete {
                Outcome::Done
            } else {
                self.curl(source, place, partial, size, limit, Part::Rest)?
            };
            match outcome {
                Outcome::Done => match adopt(place)? {
                    Ok(path) => return Ok(Ok(path)),
                    // The part that was there may be of another file: once more from the beginning.
                    Err(_) if before > 0 => {
                        why = "the resumed file has the wrong digest".to_owned()
                    }
                    Err(_) if again => {
                        again = false;
                        (self.progress)(&Progress {
                            source: source.to_owned(),
                            url: place.to_string(),
                            bytes: 0,
                            total: size,
                            damaged: true,
                        });
                    }
                    Err(found) => return Ok(Err(Failure::Wrong(found))),
                },
                Outcome::Again {
                    why: reason,
                    afresh,
                } => {
                    why = reason;
                    if afresh {
                        remove(partial)?;
                    }
                    attempt += 1;
                }
                Outcome::GiveUp { why } => return Ok(Err(Failure::Unreachable(why))),
                Outcome::TooLarge => {
                    // What was taken of something larger is no part of what was asked for.
                    remove(partial)?;
                    return Ok(Err(Failure::Larger(limit)));
                }
            }
        }
        let times = self.retry.attempts;
        Ok(Err(Failure::Unreachable(format!(
            "{why} (tried {times} times)"
        ))))
    }

    /// Takes a finished download into the store; one with another digest is removed.
    fn adopt(
        &self,
        place: &Location,
        partial: &Path,
        expected: &Digest,
    ) -> Result<Result<PathBuf, Digest>, Error> {
        if length(partial) == 0 {
            // curl makes no file for an empty one.
            File::create(partial).map_err(|source| PathError::new("create", partial, source))?;
        }
        match self
            .store
            .adopt_file(partial, &place.to_string(), Some(expected))
        {
            Ok((_, path)) => Ok(Ok(path)),
            Err(store::Error::Digest { found, .. }) => {
                remove(partial)?;
                Ok(Err(found))
            }
            Err(other) => Err(other.into()),
        }
    }
}

fn part_of(file: File, path: &Path, bytes: u64) -> Result<Vec<u8>, Error> {
    let mut part = Vec::new();
    file.take(bytes)
        .read_to_end(&mut part)
        .map_err(|source| PathError::new("read", path, source))?;
    Ok(part)
}

/// Takes what came from a place where it is to be; or gives the digest that it has, where that is another one, and removes it.
type Adopt<'a> = dyn Fn(&Location) -> Result<Result<PathBuf, Digest>, Error> + 'a;

/// Why a place did not give the file.
enum Failure {
    Unreachable(String),
    Wrong(Digest),
    /// It has more than this many bytes.
    Larger(u64),
}

fn first(urls: &[String]) -> &str {
    urls.first().map_or("", String::as_str)
}

fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(PathError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}
