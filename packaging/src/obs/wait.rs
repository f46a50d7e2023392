//! Waiting for a build.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use lustre_files::apart;

use super::answers::{self, Job, Status};
use super::api::Question;
use super::{Api, BUILDENV, Error, Place, Submitted, names};
use crate::process;
use crate::store::PathError;

/// How many lines of the end of a log are shown.
const TAIL: usize = 25;

/// No more of the end of a log is kept (bytes).
const LOG: u64 = 128 << 20;

/// How many times as long as a state has to settle it stands before a server is taken to have forgotten of which sources it is.
const FORGOTTEN: u32 = 10;

/// How patiently is waited.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between the first two looks; each further time is half as long again.
    pub first: Duration,
    /// At most.
    pub most: Duration,
    /// How often in a row a state has to be seen that the server may leave by itself when it has looked at what was submitted.
    pub settled: u32,
    /// How long a server may be out of reach meanwhile.
    pub outage: Duration,
    /// For all of it.
    pub limit: Duration,
}

impl Pace {
    /// As a server is asked whose builds take minutes to hours.
    pub fn polite(limit: Duration) -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(10),
            settled: 6,
            outage: Duration::from_secs(15 * 60),
            limit,
        }
    }
}

/// What is asked for before it is waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// Another build of what failed and was not changed since.
    Failed,
    /// Another build in any case. What is there stays until that succeeded.
    Rebuild,
    /// Another build, after what is there was removed: so the service cannot take the new one for unchanged.
    Wipe,
}

/// How a package stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// In the server's words: `blocked`, `scheduled`, `building`.
    pub code: String,
    /// What it says of it.
    pub details: String,
}

impl State {
    /// In a few words.
    pub fn words(&self) -> String {
        match self.details.is_empty() {
            true => self.code.clone(),
            false => format!("{} ({})", self.code, self.details),
        }
    }
}

/// A build that is waited for.
struct Waiting<'w> {
    api: &'w Api,
    place: &'w Place,
    srcmd5: &'w str,
    /// The last build before another one was asked for, where that was.
    before: Option<Option<Job>>,
    log: &'w Path,
    tell: &'w dyn Fn(&State),
    /// What is asked for before the first look.
    asks_first: Option<Again>,
    /// Whether a build that is taken for unchanged is none.
    counts_unchanged: bool,
    /// The state that was told last, and how often in a row it was seen.
    shown: Option<State>,
    seen: u32,
}

/// What a look at the server came to.
enum Look {
    Built,
    Goes,
}

/// Waits until `submitted` is built at `place`; `log` gets the log of the build, and `tell` hears of each state.
pub fn wait(
    api: &Api,
    place: &Place,
    submitted: &Submitted,
    again: Again,
    pace: Pace,
    log: &Path,
    tell: &dyn Fn(&State),
) -> Result<(), Error> {
    let clock = Instant::now();
    let mut waiting = Waiting {
        api: &api.until(clock.checked_add(pace.limit)),
        place,
        srcmd5: &submitted.srcmd5,
        asks_first: Some(again).filter(|again| *again != Again::Failed || submitted.unchanged),
        counts_unchanged: again == Again::Failed,
        before: None,
        log,
        tell,
        shown: None,
        seen: 0,
    };
    let mut out_since: Option<Instant> = None;
    let mut pause = pace.first;
    loop {
        match waiting.once(pace.settled) {
            Ok(Look::Built) => return Ok(()),
            Ok(Look::Goes) => out_since = None,
            Err(_) if process::interrupted() => {}
            // It may be restarted while it builds for hours, and what is in front of it show a page meanwhile.
            Err(error) if error.is_transient() || matches!(error, Error::WebPage { .. }) => {
                let since = *out_since.get_or_insert_with(Instant::now);
                if clock.elapsed() < pace.limit {
                    if since.elapsed() >= pace.outage {
                        return Err(error);
                    }
                    waiting.shows(State {
                        code: "out of reach".to_owned(),
                        details: apart(&error).0,
                    });
                }
            }
            Err(error) => return Err(error),
        }
        waiting.interrupted()?;
        if clock.elapsed() >= pace.limit {
            return Err(Error::TooLong {
                package: place.package.clone(),
                place: place.to_string(),
                minutes: pace.limit.as_secs() / 60,
                state: waiting
                    .shown
                    .map_or_else(|| "unknown".to_owned(), |state| state.words()),
            });
        }
        process::sleep(pause.min(pace.limit.saturating_sub(clock.elapsed())));
        pause = (pause * 3 / 2).min(pace.most);
        waiting.interrupted()?;
    }
}

impl Waiting<'_> {
    /// Tells a state that is another than the last.
    fn shows(&mut self, state: State) {
        if self.shown.as_ref() != Some(&state) {
            (self.tell)(&state);
            self.seen = 0;
            self.shown = Some(state);
        }
        self.seen = self.seen.saturating_add(1);
    }

    /// One look, and what it comes to.
    fn once(&mut self, settles: u32) -> Result<Look, Error> {
        match self.asks_first {
            None => {}
            Some(Again::Wipe) => self.asks("wipe")?,
            Some(Again::Rebuild) => self.asks("rebuild")?,
            Some(Again::Failed) if self.has_failed()? => self.asks("rebuild")?,
            Some(Again::Failed) => {}
        }
        self.asks_first = None;
        let found = self.status()?;
        let (code, details) = match &found {
            Some((status, _)) => (status.code.clone(), status.details.clone()),
            None => ("unknown".to_owned(), String::new()),
        };
        self.shows(State { code, details });
        // What is told may be of what somebody else submitted meanwhile.
        if self.seen.is_multiple_of(settles.max(1)) {
            self.are_ours()?;
        }
        let Some((status, false)) = &found else {
            return Ok(Look::Goes);
        };
        let look = self.look(status, self.seen >= settles)?;
        let is_over = matches!(status.code.as_str(), "succeeded" | "failed");
        if let Look::Goes = look
            && is_over
            && self.before.is_none()
            && self.seen >= settles.saturating_mul(FORGOTTEN)
        {
            // It stays with what it has, and does not know any more of what that is.
            self.asks("rebuild")?;
        }
        Ok(look)
    }

    /// That the sources there are still those that were submitted.
    fn are_ours(&self) -> Result<(), Error> {
        let path = ["source", &self.place.project, &self.place.package];
        let question = Question {
            path: &path,
            query: &[],
        };
        let found = match self.api.get(question)? {
            None => None,
            Some(found) => {
                answers::directory(&found)
                    .map_err(|why| self.api.odd(question, why))?
                    .srcmd5
            }
        };
        if found.as_deref() == Some(self.srcmd5) {
            return Ok(());
        }
        Err(Error::OtherSources {
            project: self.place.project.clone(),
            package: self.place.package.clone(),
            expected: self.srcmd5.to_owned(),
            found: found.map_or_else(|| "gone".to_owned(), |found| names::line(&found)),
        })
    }

    fn interrupted(&self) -> Result<(), Error> {
        match process::interrupted() {
            true => Err(Error::Interrupted {
                package: self.place.package.clone(),
            }),
            false => Ok(()),
        }
    }

    /// What the server says of the package, and whether that is not to be relied upon.
    fn status(&self) -> Result<Option<(Status, bool)>, Error> {
        let place = self.place;
        let path = ["build", &place.project, "_result"];
        let question = Question {
            path: &path,
            query: &place.query(),
        };
        let answer = match self.api.get(question) {
            // A package that was just made is not there for all parts of a server at once.
            Ok(None) => return Ok(None),
            Ok(Some(answer)) => answer,
            Err(error) => return Err(error),
        };
        let all = answers::results(&answer).map_err(|why| self.api.odd(question, why))?;
        let here = all
            .into_iter()
            .find(|one| one.repository == place.repository && one.arch == place.arch);
        Ok(here.and_then(|here| {
            let status = here
                .packages
                .into_iter()
                .find(|one| one.package == place.package);
            Some((status?, here.dirty))
        }))
    }

    /// What a state means that is no longer to be changed by a look of the server.
    fn look(&self, status: &Status, settled: bool) -> Result<Look, Error> {
        let not_built = |help| Error::NotBuilt {
            package: self.place.package.clone(),
            place: self.place.to_string(),
            state: status.code.clone(),
            details: status.details.clone(),
            help,
        };
        match status.code.as_str() {
            "succeeded" => self.succeeded(settled),
            "failed" => self.failed(),
            "unresolvable" if settled => Err(not_built(
                "a package that is needed is not in the base project, or in two: compare it with the lock, and the project's configuration with \
                 what `cargo xtask export obs` writes",
            )),
            "broken" if settled => Err(not_built("the server does not understand the sources")),
            "excluded" if settled => Err(not_built(
                "the project's configuration, or the spec, leaves this architecture out",
            )),
            "disabled" if settled => Err(not_built(
                "enable building in the project, and in the package",
            )),
            "locked" if settled => Err(not_built("unlock the package or the project")),
            _ => Ok(Look::Goes),
        }
    }

    /// Whether what is there was made of the sources: until the server has looked, it is what was built before. That a build of them is over,
    /// and what is there does not say that it is of them, is for who collects it.
    fn succeeded(&self, settled: bool) -> Result<Look, Error> {
        if self.before.is_some() {
            match self.new_job()? {
                None => return Ok(Look::Goes),
                Some(job) if job.code == "unchanged" && !self.counts_unchanged => {
                    return Err(Error::Unchanged {
                        package: self.place.package.clone(),
                        place: self.place.to_string(),
                    });
                }
                Some(_) => {}
            }
        }
        let path = self.place.path(Some(BUILDENV));
        let question = Question {
            path: &path,
            query: &[],
        };
        let is_of_these = match self.api.get(question)? {
            None => false,
            Some(found) => {
                let found = answers::buildenv(&found).map_err(|why| self.api.odd(question, why))?;
                found.srcmd5 == self.srcmd5
            }
        };
        if !is_of_these {
            let last = self.last_job()?.filter(|job| job.srcmd5 == self.srcmd5);
            match last.as_ref().map(|job| job.code.as_str()) {
                Some("unchanged") => {
                    return Err(Error::Unchanged {
                        package: self.place.package.clone(),
                        place: self.place.to_string(),
                    });
                }
                Some("succeeded") if settled => {}
                _ => return Ok(Look::Goes),
            }
        }
        match log(self.api, self.place, self.log) {
            Ok(()) => {}
            Err(error @ Error::Path(_)) => return Err(error),
            // What was built counts.
            Err(error) => (self.tell)(&State {
                code: "succeeded".to_owned(),
                details: format!("its log cannot be had: {}", apart(&error).0),
            }),
        }
        Ok(Look::Built)
    }

    fn failed(&self) -> Result<Look, Error> {
        if self.new_job()?.is_none() {
            return Ok(Look::Goes);
        }
        log(self.api, self.place, self.log)?;
        Err(Error::BuildFailed {
            package: self.place.package.clone(),
            place: self.place.to_string(),
            log: self.log.to_owned(),
            tail: process::tail(self.log, TAIL),
        })
    }

    /// The last build of the package that is over.
    fn last_job(&self) -> Result<Option<Job>, Error> {
        let path = self.place.history();
        let question = Question {
            path: &path,
            query: &[("package", &self.place.package), ("limit", "1")],
        };
        let Some(answer) = self.api.get(question)? else {
            return Ok(None);
        };
        answers::last_job(&answer).map_err(|why| self.api.odd(question, why))
    }

    /// The last build of these sources that is over, where it is not one from before another one was asked for.
    fn new_job(&self) -> Result<Option<Job>, Error> {
        let last = self.last_job()?;
        if self.before.as_ref() == Some(&last) {
            return Ok(None);
        }
        Ok(last.filter(|job| job.srcmd5 == self.srcmd5))
    }

    /// Whether its last build failed: a server does not build it again by itself.
    fn has_failed(&self) -> Result<bool, Error> {
        let status = self.status()?;
        Ok(status.is_some_and(|(status, _)| status.code == "failed"))
    }

    /// Asks for another build: by `rebuild`, or by `wipe`, which removes what is there first, so that nothing is kept as unchanged.
    fn asks(&mut self, command: &str) -> Result<(), Error> {
        if self.before.is_none() {
            self.before = Some(self.last_job()?);
        }
        let path = ["build", &self.place.project];
        let query = [&[("cmd", command)], &self.place.query()[..]].concat();
        let question = Question {
            path: &path,
            query: &query,
        };
        self.api.send("POST", question, None)?;
        Ok(())
    }
}

/// Writes the log of the last build into the file `log`, behind what is there: of a very long one, the end.
pub fn log(api: &Api, place: &Place, log: &Path) -> Result<(), Error> {
    let path = place.path(Some("_log"));
    let entry = Question {
        path: &path,
        query: &[("view", "entry")],
    };
    // A log may be gone.
    let Some(found) = api.get(entry)? else {
        return Ok(());
    };
    let size = answers::size_of(&found, "_log").map_err(|why| api.odd(entry, why))?;
    let start = size.saturating_sub(LOG);
    let from = start.to_string();
    let mut query = vec![("nostream", "1")];
    if start > 0 {
        query.push(("start", &from));
    }
    let question = Question {
        path: &path,
        query: &query,
    };
    let folder = api.scratch()?;
    let aside = folder.path().join("log");
    if !api.file(question, size.min(LOG), &aside)? {
        return Ok(());
    }
    let failed = |source| PathError::new("write", log, source);
    let Some(mut from) = lustre_files::if_there(lustre_files::open(&aside)).map_err(failed)? else {
        return Ok(());
    };
    let mut into = std::fs::File::options()
        .append(true)
        .create(true)
        .open(log)
        .map_err(failed)?;
    if start > 0 {
        writeln!(into, "[its first {start} bytes are on the server alone]").map_err(failed)?;
    }
    std::io::copy(&mut from, &mut into).map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_said_with_its_details() {
        let mut state = State {
            code: "blocked".to_owned(),
            details: String::new(),
        };
        assert_eq!(state.words(), "blocked");
        state.details = "kernel".to_owned();
        assert_eq!(state.words(), "blocked (kernel)");
    }
}
