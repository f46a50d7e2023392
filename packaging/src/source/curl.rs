//! Driving curl.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::Duration;

use super::{Error, Location};
use crate::process;
use crate::store::PathError;

/// What one run of curl came to.
pub(crate) enum Outcome {
    Done,
    /// Worth another try here; whether from the beginning.
    Again {
        why: String,
        afresh: bool,
    },
    /// Not worth another try here.
    GiveUp {
        why: String,
    },
    /// There is more than the limit.
    TooLarge,
}

/// curl's options: no configuration of the user, no endless waiting, going on after what is there.
#[rustfmt::skip]
const OPTIONS: &[&str] = &[
    "--disable", "--fail", "--location", "--max-redirs", "10", "--silent", "--show-error", "--globoff",
    "--connect-timeout", "30", "--speed-limit", "1000", "--speed-time", "60",
];

/// Ends a program whose file grows beyond its limit, whatever a server announced: curl heeds only announcements.
const TOO_LARGE: i32 = 25;

/// What of a file is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// What is not there yet.
    Rest,
    /// So many bytes from its beginning.
    Beginning(u64),
}

/// One run of curl for `source`, from `place` into the file `into`, never beyond `limit` bytes, with more lines of its configuration.
/// `report` is called ten times a second meanwhile.
pub(super) fn curl(
    source: &str,
    place: &Location,
    into: &Path,
    limit: u64,
    part: Part,
    more: &str,
    report: &dyn Fn(),
) -> Result<Outcome, Error> {
    let config = url_line(place) + more;
    // What was asked of an encrypted place is not taken from one that is not.
    let (protocols, further) = match (place.is_remote(), place.is_https()) {
        (false, _) => ("=file", "=https"),
        (true, false) => ("=http,https", "=http,https"),
        (true, true) => ("=https", "=https"),
    };
    let mut command = process::command("prlimit");
    command
        .args([&format!("--fsize={limit}:{limit}"), "--core=0", "curl"])
        .args(OPTIONS)
        .args(["--proto", protocols, "--proto-redir", further])
        .args(["--max-filesize", &limit.to_string()])
        .args(match part {
            Part::Rest => ["--continue-at".to_owned(), "-".to_owned()],
            Part::Beginning(bytes) => ["--range".to_owned(), format!("0-{}", bytes.max(1) - 1)],
        })
        .arg("--output")
        .arg(into)
        .args(["--config", "-"]);
    let result = std::thread::scope(|scope| {
        let here = std::thread::current();
        let running = scope.spawn(move || {
            let result = process::output_with_input(&mut command, config.as_bytes());
            here.unpark();
            result
        });
        while !running.is_finished() {
            report();
            std::thread::park_timeout(Duration::from_millis(100));
        }
        running.join()
    });
    report();
    match result {
        Ok(Ok(_)) => Ok(Outcome::Done),
        Ok(Err(process::Error::Output { status, .. })) if status.signal() == Some(TOO_LARGE) => {
            Ok(Outcome::TooLarge)
        }
        Ok(Err(process::Error::Output { status, stderr, .. })) if status.code().is_some() => {
            judge(place, into, status.code().unwrap_or_default(), &stderr)
        }
        // Ended by a signal: an interruption, not something to try again.
        Ok(Err(process::Error::Interrupted { .. } | process::Error::Output { .. })) => {
            Err(Error::Interrupted {
                source_name: source.to_owned(),
                url: place.to_string(),
            })
        }
        Ok(Err(error)) => Err(Error::Tool {
            source_name: source.to_owned(),
            source: Box::new(error),
        }),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// One run of curl that puts `file` at `place`, which is not asked where else it may go.
pub(super) fn upload(source: &str, place: &Location, file: &Path) -> Result<Outcome, Error> {
    let mut command = process::command("curl");
    let options = OPTIONS.iter().filter(|option| **option != "--location");
    command
        .args(options)
        .args(["--proto", "=http,https", "--output", "/dev/null"])
        .args(["--write-out", "%{http_code}", "--upload-file"])
        .arg(file)
        .args(["--config", "-"]);
    match process::output_with_input(&mut command, url_line(place).as_bytes()) {
        // It takes a redirection for an answer.
        Ok(status) if status.starts_with(b"2") => Ok(Outcome::Done),
        Ok(status) => Ok(Outcome::GiveUp {
            why: format!(
                "it answered with the status {}",
                String::from_utf8_lossy(&status)
            ),
        }),
        Err(process::Error::Output { status, stderr, .. }) if status.code().is_some() => judge(
            place,
            Path::new("/dev/null"),
            status.code().unwrap_or_default(),
            &stderr,
        ),
        Err(process::Error::Interrupted { .. } | process::Error::Output { .. }) => {
            Err(Error::Interrupted {
                source_name: source.to_owned(),
                url: place.to_string(),
            })
        }
        Err(error) => Err(Error::Tool {
            source_name: source.to_owned(),
            source: Box::new(error),
        }),
    }
}

/// How long is waited for a server.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// While nearly nothing comes.
    pub stall: Duration,
    /// For a whole answer that is short, however it comes; what is long has its time for each byte in addition.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            answer: Duration::from_secs(5 * 60),
        }
    }
}

/// One request of an API.
#[derive(Debug)]
pub(crate) struct Request<'r> {
    /// `GET`, `PUT` or `POST`.
    pub method: &'static str,
    pub place: &'r Location,
    /// The file that is sent.
    pub body: Option<&'r Path>,
    /// More lines of curl's configuration: who asks, which is not for the process list.
    pub more: &'r str,
    /// No answer is larger (bytes).
    pub limit: u64,
    pub patience: Patience,
    /// How long all of it may take: a server that sends a byte now and then is never stalled.
    pub time: Duration,
    /// Whether a proxy of the environment is passed over: what is sent without encryption is for this machine alone.
    pub direct: bool,
}

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub status: u16,
    /// Where it sends whoever asks; empty where it does not.
    pub location: String,
}

/// One run of curl for `request`, whose answer goes into the file `into`: the status of the answer, whatever it is. Nothing that was asked
/// with a password is asked elsewhere, so a redirection is an answer like any other.
pub(crate) fn request(
    request: &Request<'_>,
    into: &Path,
) -> Result<Result<Answered, Outcome>, Error> {
    let Request {
        method,
        place,
        limit,
        patience,
        time,
        direct,
        ..
    } = request;
    let shown = place.to_string();
    lustre_files::if_there(fs::remove_file(into))
        .map_err(|source| PathError::new("remove", into, source))?;
    let mut command = process::command("prlimit");
    command
        .args([&format!("--fsize={limit}:{limit}"), "--core=0", "curl"])
        .args(["--disable", "--silent", "--show-error", "--globoff"])
        .args(["--proto", "=http,https", "--speed-limit", "1"])
        .args([
            "--connect-timeout",
            &patience.connect.as_secs().max(1).to_string(),
        ])
        .args(["--speed-time", &patience.stall.as_secs().max(1).to_string()])
        .args(["--max-time", &format!("{:.1}", time.as_secs_f64().max(1.0))])
        .args(["--max-filesize", &limit.to_string()])
        .args(["--write-out", "%{http_code} %{redirect_url}"])
        .args(["--request", method])
        .arg("--output")
        .arg(into);
    if *direct {
        command.args(["--noproxy", "*"]);
    }
    if let Some(body) = request.body {
        // Some servers answer no question whether they would take it.
        command
            .args(["--header", "Expect:"])
            .args(["--header", "Content-Type: application/octet-stream"])
            .arg("--upload-file")
            .arg(body);
    } else if *method == "POST" {
        command.args(["--data", ""]);
    }
    command.args(["--config", "-"]);
    let config = url_line(place) + request.more;
    let interrupted = || Error::Interrupted {
        source_name: shown.clone(),
        url: shown.clone(),
    };
    match process::output_with_input(&mut command, config.as_bytes()) {
        Ok(status) => {
            let text = String::from_utf8_lossy(&status).into_owned();
            let (status, location) = text.split_once(' ').unwrap_or((&text, ""));
            let answered = status.trim().parse().map(|status| Answered {
                status,
                location: location.trim().to_owned(),
            });
            Ok(answered.map_err(|_| Outcome::GiveUp {
                why: format!("curl told no status, but {text:?}"),
            }))
        }
        Err(process::Error::Output { status, .. }) if status.signal() == Some(TOO_LARGE) => {
            Ok(Err(Outcome::TooLarge))
        }
        Err(process::Error::Output { status, stderr, .. }) if status.code().is_some() => {
            judge(place, into, status.code().unwrap_or_default(), &stderr).map(Err)
        }
        Err(process::Error::Interrupted { .. } | process::Error::Output { .. }) => {
            Err(interrupted())
        }
        Err(error) => Err(Error::Tool {
            source_name: shown,
            source: Box::new(error),
        }),
    }
}

/// The line of curl's configuration that names the URL: it may hold a password, which is not for the process list. A location has no
/// blank and no control character in it, so it stays on its line; these two have a meaning between quotation marks.
pub(crate) fn url_line(place: &Location) -> String {
    let quoted = place.as_str().replace('\\', "\\\\").replace('"', "\\\"");
    format!("url = \"{quoted}\"\n")
}

/// What curl's exit status (its manual's "EXIT CODES") asks for.
fn judge(place: &Location, into: &Path, code: i32, stderr: &str) -> Result<Outcome, Error> {
    // curl repeats a URL as it is, with a password.
    let why = stderr
        .trim_start_matches("curl: ")
        .replace(place.as_str(), &place.to_string());
    let again = |afresh| Outcome::Again {
        why: why.clone(),
        afresh,
    };
    Ok(match code {
        22 => match status_in(&why) {
            // The part that is there is longer than the file.
            Some(416) => again(true),
            Some(408 | 425 | 429 | 500..=599) => again(false),
            _ => Outcome::GiveUp { why },
        },
        63 => Outcome::TooLarge,
        // No name, no connection, cut short, too slow, nothing received, TLS: these pass.
        5 | 6 | 7 | 16 | 18 | 28 | 35 | 52 | 55 | 56 | 92 => again(false),
        // The server cannot resume.
        33 | 36 => again(true),
        23 => {
            probe(into)?;
            Outcome::GiveUp { why }
        }
        _ => Outcome::GiveUp { why },
    })
}

/// The HTTP status in curl's message ("The requested URL returned error: 503").
pub(super) fn status_in(message: &str) -> Option<u16> {
    let (_, rest) = message.split_once("returned error: ")?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Finds out why curl could not write, by writing: a full disk is told as such.
fn probe(into: &Path) -> Result<(), PathError> {
    let before = length(into);
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).open(into)?;
        file.write_all(&[0; 1 << 16])?;
        file.sync_all()
    };
    let result = write();
    if let Ok(file) = OpenOptions::new().write(true).open(into) {
        // What was probed is no part of the download; where cutting fails, its digest tells.
        let _ = file.set_len(before);
    }
    result.map_err(|source| PathError::new("write", into, source))
}

pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_one_line_of_curls_configuration() {
        for text in [
            "https://a.example/\"\\x?q=\"\\&r='",
            "https://me:p\"w@a.example/?\\",
            "/srv/a\"b\\c",
        ] {
            let line = url_line(&Location::parse(text).unwrap());
            let inner = line
                .strip_prefix("url = \"")
                .and_then(|rest| rest.strip_suffix("\"\n"))
                .unwrap();
            assert!(!inner.contains('\n'), "{line}");
            let unescaped = inner.replace("\\\\", "").replace("\\\"", "");
            assert!(!unescaped.contains(['"', '\\']), "{line}");
        }
    }

    #[test]
    fn the_status_is_read_from_the_message() {
        assert_eq!(
            status_in("(22) The requested URL returned error: 503"),
            Some(503)
        );
        assert_eq!(
            status_in("(22) The requested URL returned error: 404 Not Found"),
            Some(404)
        );
        assert_eq!(status_in("(7) Failed to connect"), None);
    }
}
