//! Asking the server.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::answers;
use super::names;
use super::{Error, Login};
use crate::process;
use crate::source::{self, Location, Outcome, Patience, Request, Retry, request};
use crate::store::PathError;

/// No answer that is read is larger (bytes).
const LARGEST: u64 = 64 << 20;

/// No explanation of an error is (bytes).
const EXPLANATION: u64 = 1 << 20;

/// What is long comes at least as fast, all in all (bytes a second).
const SLOWEST: u64 = 32_000;

/// After how many tries the pause between them grows no more.
const LONGEST_PAUSE: u32 = 4;

/// An API, and who asks it.
#[derive(Debug, Clone)]
pub struct Api {
    /// Without a slash at its end.
    url: String,
    login: Option<Login>,
    retry: Retry,
    patience: Patience,
    /// Whether it is on this machine, so that no proxy is to hear of what is asked.
    here: bool,
    /// How long it may be out of reach.
    outage: Duration,
    /// When nothing is asked any more.
    until: Option<Instant>,
    /// Where what is sent and answered is kept for a while.
    folder: PathBuf,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    pub(super) path: &'q [&'q str],
    pub(super) query: &'q [(&'q str, &'q str)],
}

impl Api {
    /// The API at `url`.
    pub fn new(url: &str, login: Option<Login>) -> Result<Self, Error> {
        if !url.contains("://") {
            return Err(Error::Api {
                url: url.escape_debug().to_string(),
                why: "it has no scheme, such as https://api.opensuse.org has",
            });
        }
        let place = Location::parse(url)?;
        let bad = |why| Error::Api {
            url: place.to_string(),
            why,
        };
        if !place.is_remote() {
            return Err(bad("it is no http(s) URL"));
        }
        let text = place.as_str();
        if text.contains(['?', '#']) {
            return Err(bad("it has a query or a fragment"));
        }
        if text.contains('@') {
            return Err(bad(
                "it has a user in it: that is for the environment, where no other user of this machine sees it",
            ));
        }
        let here = is_here(text);
        if login.is_some() && !place.is_https() && !here {
            return Err(bad("a password is not sent without encryption: use https"));
        }
        Ok(Self {
            url: text.trim_end_matches('/').to_owned(),
            login,
            retry: Retry::default(),
            patience: Patience::default(),
            here,
            outage: Duration::ZERO,
            until: None,
            folder: std::env::temp_dir(),
        })
    }

    /// The same that tries otherwise.
    #[must_use]
    pub fn with(self, retry: Retry, patience: Patience) -> Self {
        Self {
            retry,
            patience,
            ..self
        }
    }

    /// The same that keeps what is sent and answered below `folder` for a while: packages are large, and who ends this program with it.
    #[must_use]
    pub fn with_folder(self, folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..self
        }
    }

    /// The same that goes on trying while the server is out of reach for less than `outage`.
    pub(super) fn through(&self, outage: Duration) -> Self {
        Self {
            outage,
            ..self.clone()
        }
    }

    /// The same that asks nothing after `until`.
    pub(super) fn until(&self, until: Option<Instant>) -> Self {
        Self {
            until,
            ..self.clone()
        }
    }

    /// A folder for what is sent and answered.
    pub(super) fn scratch(&self) -> Result<tempfile::TempDir, Error> {
        let made = tempfile::Builder::new()
            .prefix("obs-")
            .tempdir_in(&self.folder);
        Ok(made.map_err(|source| PathError::new("make a folder in", &self.folder, source))?)
    }

    /// The same that tries once.
    pub fn once(&self) -> Self {
        let retry = Retry {
            attempts: 1,
            ..self.retry
        };
        Self {
            retry,
            ..self.clone()
        }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    fn place(&self, question: Question<'_>) -> Result<Location, Error> {
        let mut text = self.url.clone();
        for part in question.path {
            text.push('/');
            text.push_str(&encoded(part));
        }
        for (at, (name, value)) in question.query.iter().enumerate() {
            text.push(if at == 0 { '?' } else { '&' });
            text.push_str(name);
            if !value.is_empty() {
                text.push('=');
                text.push_str(&encoded(value));
            }
        }
        Ok(Location::parse(&text)?)
    }

    /// What it answers to a question; none where there is no such thing.
    pub(super) fn get(&self, question: Question<'_>) -> Result<Option<Vec<u8>>, Error> {
        self.ask("GET", question, None)
    }

    /// As [`get`](Self::get), of what has to be there.
    pub(super) fn got(&self, question: Question<'_>) -> Result<Vec<u8>, Error> {
        self.get(question)?.ok_or_else(|| self.absent(question))
    }

    fn absent(&self, question: Question<'_>) -> Error {
        Error::Status {
            url: self.shown(question),
            status: 404,
            said: None,
        }
    }

    /// A question as it is shown.
    pub(super) fn shown(&self, question: Question<'_>) -> String {
        match self.place(question) {
            Ok(place) => place.to_string(),
            Err(_) => self.url.clone(),
        }
    }

    /// An answer that is not one.
    pub(super) fn odd(&self, question: Question<'_>, why: impl ToString) -> Error {
        Error::Answer {
            url: self.shown(question),
            why: names::line(&why.to_string()),
        }
    }

    /// Puts or posts a file.
    pub(super) fn send(
        &self,
        method: &'static str,
        question: Question<'_>,
        body: Option<&Path>,
    ) -> Result<Vec<u8>, Error> {
        self.ask(method, question, body)?
            .ok_or_else(|| self.absent(question))
    }

    /// Puts or posts a text.
    pub(super) fn send_text(
        &self,
        method: &'static str,
        question: Question<'_>,
        text: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let folder = self.scratch()?;
        let file = folder.path().join("body");
        fs::write(&file, text).map_err(|source| PathError::new("write", &file, source))?;
        self.send(method, question, Some(&file))
    }

    fn ask(
        &self,
        method: &'static str,
        question: Question<'_>,
        body: Option<&Path>,
    ) -> Result<Option<Vec<u8>>, Error> {
        let folder = self.scratch()?;
        let into = folder.path().join("answer");
        let long = match body {
            None => 0,
            Some(body) => fs::metadata(body)
                .map_err(|source| PathError::new("read", body, source))?
                .len(),
        };
        if !self.fetch(method, question, (body, long), LARGEST, &into)? {
            return Ok(None);
        }
        // Of nothing, curl makes no file.
        let read = lustre_files::if_there(lustre_files::read(&into, LARGEST));
        let bytes = read.map_err(|source| PathError::new("read", &into, source))?;
        Ok(Some(bytes.unwrap_or_default()))
    }

    /// Fetches a file of at most `limit` bytes into `into`; whether it is there.
    pub(super) fn file(
        &self,
        question: Question<'_>,
        limit: u64,
        into: &Path,
    ) -> Result<bool, Error> {
        self.fetch("GET", question, (None, limit), limit, into)
    }

    fn fetch(
        &self,
        method: &'static str,
        question: Question<'_>,
        (body, long): (Option<&Path>, u64),
        limit: u64,
        into: &Path,
    ) -> Result<bool, Error> {
        let place = self.place(question)?;
        let url = place.to_string();
        let more = self.login.as_ref().map(Login::line).unwrap_or_default();
        let time = self.patience.answer + Duration::from_secs(long / SLOWEST);
        let begun = Instant::now();
        let mut attempt = 0;
        loop {
            self.retry.pause(attempt.min(LONGEST_PAUSE));
            if process::interrupted() {
                let url = url.clone();
                return Err(Error::Curl(Box::new(source::Error::Interrupted {
                    source_name: url.clone(),
                    url,
                })));
            }
            attempt += 1;
            let now = Instant::now();
            let left = self.until.map(|end| end.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                let why = "the time for it is over".to_owned();
                return Err(Error::Failed { url, why });
            }
            let asked = Request {
                method,
                place: &place,
                body,
                more: &more,
                // One that is met would be one that is exceeded, and what a server says of an error may be longer than a short file.
                limit: limit.max(EXPLANATION) + 1,
                patience: self.patience,
                time: left.map_or(time, |left| left.min(time)),
                direct: self.here,
            };
            match self.asked(&asked, limit, into) {
                Err(error)
                    if error.is_transient()
                        && (attempt < self.retry.attempts || begun.elapsed() < self.outage) => {}
                // What is in front of a server may show one while the server is restarted.
                Err(Error::WebPage { .. }) if begun.elapsed() < self.outage => {}
                answer => return answer,
            }
        }
    }

    /// Asks once.
    fn asked(&self, asked: &Request<'_>, limit: u64, into: &Path) -> Result<bool, Error> {
        let url = asked.place.to_string();
        let answered = request(asked, into).map_err(|error| Error::Curl(Box::new(error)))?;
        let answered = answered.map_err(|outcome| match outcome {
            Outcome::Again { why, .. } => Error::Failed {
                url: url.clone(),
                why: names::line(&why),
            },
            Outcome::TooLarge => Error::TooLarge {
                url: url.clone(),
                limit,
            },
            Outcome::GiveUp { why } => Error::GivenUp {
                url: url.clone(),
                why: names::line(&why),
            },
            Outcome::Done => Error::GivenUp {
                url: url.clone(),
                why: "curl told no status".to_owned(),
            },
        })?;
        // A site's pages have neither these questions nor these answers: what is said not to be there may well be there.
        if matches!(answered.status, 200..=299 | 404 | 410) && begins_as_web_page(into)? {
            return Err(Error::WebPage { url });
        }
        match answered.status {
            200..=299 => Ok(true),
            404 | 410 => Ok(false),
            status @ 300..=399 => Err(Error::Redirected {
                url,
                status,
                to: shown_location(&answered.location),
            }),
            401 => Err(Error::Unauthorized {
                url,
                given: self.login.is_some(),
            }),
            403 => Err(Error::Forbidden {
                url,
                said: explanation(into),
            }),
            409 => Err(Error::Conflict {
                url,
                said: explanation(into),
            }),
            status => Err(Error::Status {
                url,
                status,
                said: explanation(into),
            }),
        }
    }
}

/// Whether what was answered into `file` begins as a page for people does. Of nothing, curl makes no file.
fn begins_as_web_page(file: &Path) -> Result<bool, Error> {
    let failed = |source| PathError::new("read", file, source);
    let opened = lustre_files::if_there(lustre_files::open(file)).map_err(failed)?;
    let mut bytes = Vec::new();
    if let Some(opened) = opened {
        let mut start = opened.take(EXPLANATION);
        start.read_to_end(&mut bytes).map_err(failed)?;
    }
    Ok(answers::is_web_page(&bytes))
}

/// Where an answer leads, without a password that it may have in it.
fn shown_location(text: &str) -> String {
    match Location::parse(text) {
        Ok(place) if place.is_remote() => names::line(&place.to_string()),
        _ => "another place".to_owned(),
    }
}

/// What an error says of itself.
fn explanation(file: &Path) -> Option<String> {
    let bytes = lustre_files::read(file, EXPLANATION).ok()?;
    let said = answers::summary(&bytes)?;
    let said: String = names::line(&said).chars().take(300).collect();
    (!said.is_empty()).then_some(said)
}

/// Whether a URL is of this machine.
fn is_here(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or_default();
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|here| {
        let rest = host.strip_prefix(here);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    })
}

/// A part of a URL in which nothing has a meaning.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                out.push(byte.into());
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::Secret;

    #[test]
    fn a_password_goes_nowhere_in_the_open() {
        let login = || Some(Login::new("me", Secret::new("secret")).unwrap());
        for url in [
            "https://api.example",
            "http://127.0.0.1:5352/",
            "http://localhost",
        ] {
            assert!(Api::new(url, login()).is_ok(), "{url}");
        }
        for url in [
            "http://api.example",
            "http://127.0.0.1.example",
            "http://localhost.example:1",
        ] {
            let error = Api::new(url, login()).unwrap_err().to_string();
            assert!(error.contains("encryption"), "{url}: {error}");
            assert!(Api::new(url, None).is_ok(), "{url}");
        }
        let error = Api::new("https://me:secret@api.example", None).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        for url in [
            "/srv/x",
            "file:///srv/x",
            "https://a.example/?x",
            "https://a.example/#x",
            "x",
        ] {
            assert!(Api::new(url, None).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_in_a_name_stays_in_its_part_of_the_url() {
        let api = Api::new("https://api.example/", None).unwrap();
        let path = ["source", "home:me", "p", "a+b?c#d/../%2f é"];
        let question = Question {
            path: &path,
            query: &[("rev", "repository"), ("view", "")],
        };
        assert_eq!(
            api.shown(question),
            "https://api.example/source/home:me/p/a%2Bb%3Fc%23d%2F..%2F%252f%20%C3%A9?rev=repository&view"
        );
    }
}
