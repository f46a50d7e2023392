//! Running other programs: with a log file, and an error that carries its last lines.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::sign::Secret;

/// How many of a log's last lines an error shows.
const TAIL_LINES: usize = 25;

/// How long an interrupted child has to end by itself: `unshare --fork`, for one, is deaf to anything but SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Set once the run is interrupted; nothing is started after that.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The children that run now, so that an interruption can end them.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// A program that could not be run or that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The program is not there or could not be started.
    #[error("cannot start `{program}`: {source}")]
    Start {
        /// The program's name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The program ran and ended with a failure.
    #[error("`{program}` failed ({status}); log: {}\n{tail}", log.display())]
    Failed {
        /// The program and its first arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// The whole of its output.
        log: PathBuf,
        /// The last lines of its output.
        tail: String,
    },
    /// The program's output is not what it should be, or it failed without a log.
    #[error("`{program}` failed ({status}): {stderr}")]
    Output {
        /// The program and its first arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// The log could not be written.
    #[error("cannot write the log {}: {source}", log.display())]
    Log {
        /// The log's path.
        log: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The run was interrupted (Ctrl-C).
    #[error("`{program}` was interrupted")]
    Interrupted {
        /// The program and its first arguments.
        program: String,
    },
}

/// Runs `command` with both outputs appended to `log`, without standard input.
///
/// # Errors
/// When the program cannot be started or ends with anything but success; the error shows the log's last lines.
pub fn run_logged(command: &mut Command, log: &Path) -> Result<(), Error> {
    let shown = describe(command);
    let out = open_log(log, &shown)?;
    let err = out.try_clone().map_err(log_error(log))?;
    let child = spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))?;
    let status = wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted { program: shown });
    }
    if status.success() {
        return Ok(());
    }
    Err(Error::Failed {
        program: shown,
        status,
        log: log.to_owned(),
        tail: tail(log, TAIL_LINES),
    })
}

/// Runs `command` and gives its standard output, as bytes.
///
/// # Errors
/// When the program cannot be started or ends with anything but success; the error shows its standard error.
pub fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    output_with_input(command, &[])
}

/// Runs `command` with `input` on its standard input and gives its standard output.
///
/// # Errors
/// As [`output`].
pub fn output_with_input(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, Error> {
    let shown = describe(command);
    let mut child = spawn(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let (status, stdout, stderr) = std::thread::scope(|scope| {
        // A child that ends early closes the pipe: its own message says why, not ours.
        scope.spawn(move || stdin.map(|mut pipe| pipe.write_all(input)));
        let stderr = scope.spawn(move || drain(stderr));
        let stdout = drain(child.stdout.take());
        let status = wait(child, command);
        (status, stdout, stderr.join().unwrap_or_default())
    });
    let status = status?;
    if interrupted() {
        return Err(Error::Interrupted { program: shown });
    }
    if status.success() {
        return Ok(stdout);
    }
    Err(Error::Output {
        program: shown,
        status,
        stderr: String::from_utf8_lossy(&stderr).trim().to_owned(),
    })
}

/// How a watched program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// Because whoever watched it had seen enough.
    Stopped,
    /// Because its time was over.
    TimedOut,
}

/// How often a watched program is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `command` with both outputs appended to `log`, without standard input, until it ends, `enough` says yes, or `limit` is
/// over. In the latter two cases it is killed.
///
/// # Errors
/// When the program cannot be started, the log cannot be written, or the run was interrupted.
pub fn watch(
    command: &mut Command,
    log: &Path,
    limit: Duration,
    enough: &mut dyn FnMut() -> bool,
) -> Result<Ended, Error> {
    let shown = describe(command);
    let out = open_log(log, &shown)?;
    let err = out.try_clone().map_err(log_error(log))?;
    let mut child = spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))?;
    let end = Instant::now() + limit;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ended::Exited(status),
            // Waiting below says what is wrong.
            Err(_) => break Ended::Stopped,
            Ok(None) if interrupted() => break Ended::Stopped,
            Ok(None) if enough() => break Ended::Stopped,
            Ok(None) if Instant::now() >= end => break Ended::TimedOut,
            Ok(None) => std::thread::sleep(LOOK),
        }
    };
    // It may have ended by itself in the meantime.
    let _ = child.kill();
    wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted { program: shown });
    }
    Ok(ended)
}

fn log_error(log: &Path) -> impl Fn(io::Error) -> Error {
    let log = log.to_owned();
    move |source| Error::Log {
        log: log.clone(),
        source,
    }
}

/// The log, opened for more, with the command in it.
fn open_log(log: &Path, shown: &str) -> Result<File, Error> {
    if let Some(parent) = log.parent() {
        fs::create_dir_all(parent).map_err(log_error(log))?;
    }
    let mut out = File::options()
        .create(true)
        .append(true)
        .open(log)
        .map_err(log_error(log))?;
    writeln!(out, "+ {shown}").map_err(log_error(log))?;
    Ok(out)
}

/// Everything a pipe gives until it is closed.
fn drain(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is still the best there is to show.
        let _ = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// Ends all children and lets nothing start any more: for Ctrl-C. A child that does not heed it within [`GRACE`] is killed.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    signal_children(Signal::TERM);
    let patience = Instant::now() + GRACE;
    while Instant::now() < patience {
        if children().is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    signal_children(Signal::KILL);
}

fn children() -> MutexGuard<'static, Vec<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal_children(signal: Signal) {
    for id in children().iter() {
        if let Some(pid) = i32::try_from(*id).ok().and_then(Pid::from_raw) {
            // It may have ended by itself in the meantime.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Starts a child and remembers it.
fn spawn(command: &mut Command) -> Result<Child, Error> {
    // Holding the lock while starting leaves no moment in which an interruption misses a child.
    let mut children = children();
    if interrupted() {
        return Err(Error::Interrupted {
            program: program_name(command),
        });
    }
    // No other program has to know them.
    for secret in [Secret::KEY_VARIABLE, Secret::PASSPHRASE_VARIABLE] {
        command.env_remove(secret);
    }
    let child = command.spawn().map_err(|source| Error::Start {
        program: program_name(command),
        source,
    })?;
    children.push(child.id());
    Ok(child)
}

/// Waits for a child and forgets it.
fn wait(mut child: Child, command: &Command) -> Result<ExitStatus, Error> {
    let result = child.wait();
    let id = child.id();
    children().retain(|known| *known != id);
    result.map_err(|source| Error::Start {
        program: program_name(command),
        source,
    })
}

/// The last `lines` lines of a text file, read from its end; empty where it cannot be read.
pub fn tail(path: &Path, lines: usize) -> String {
    const WINDOW: u64 = 32 * 1024;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
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

fn program_name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// The command as one line, cut where it gets too long to read. Of a command run in a sandbox, what is run there.
fn describe(command: &Command) -> String {
    const LIMIT: usize = 400;
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let inside = arguments.iter().rposition(|argument| *argument == "--");
    let (mut line, rest) = match inside {
        Some(at) if arguments.contains(&OsStr::new("bwrap")) => {
            ("(in the chroot)".to_owned(), &arguments[at + 1..])
        }
        _ => (program_name(command), &arguments[..]),
    };
    for argument in rest {
        line.push(' ');
        line.push_str(&quote(argument));
        if line.len() > LIMIT {
            let cut = (0..=LIMIT).rev().find(|at| line.is_char_boundary(*at));
            line.truncate(cut.unwrap_or(0));
            line.push('…');
            break;
        }
    }
    line
}

fn quote(argument: &OsStr) -> String {
    let text = OsString::from(argument).to_string_lossy().into_owned();
    if !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || "-_=./:,+@%{}".contains(c))
    {
        text
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_last_lines_and_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("a/b.log");
        let error = run_logged(
            Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
            &log,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("two"), "{error}");
        assert!(error.contains(&log.display().to_string()), "{error}");
        assert!(error.contains('3'), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut Command::new("no-such-program-here"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn input_reaches_the_program() {
        let out = output_with_input(&mut Command::new("cat"), b"hello").unwrap();
        assert_eq!(out, b"hello");
    }

    #[test]
    fn a_watched_program_ends_by_itself_by_its_watcher_or_by_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let ends = |script: &str, limit: u64, enough: &mut dyn FnMut() -> bool| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            watch(&mut command, &log, Duration::from_secs(limit), enough).unwrap()
        };
        match ends("echo said; exit 3", 60, &mut || false) {
            Ended::Exited(status) => assert_eq!(status.code(), Some(3)),
            other => panic!("{other:?}"),
        }
        assert_eq!(tail(&log, 1), "said");
        let clock = Instant::now();
        assert_eq!(ends("exec sleep 60", 60, &mut || true), Ended::Stopped);
        assert_eq!(ends("exec sleep 60", 1, &mut || false), Ended::TimedOut);
        assert!(clock.elapsed() < Duration::from_secs(30));
    }
}
