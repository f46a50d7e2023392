//! Running a program with its outputs in a log, or wherever they go.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::child::{spawn, wait};
use crate::error::Error;
use crate::interruption::{interrupted, kill_below};
use crate::limits::{Limits, Reached, Watch, Written};
use crate::log::{cut, log_error, open_log, tail};
use crate::room;
use crate::shown::describe;

/// How many of a log's last lines an error shows.
const TAIL_LINES: usize = 25;

/// How often a watched program is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Runs `command` with both outputs appended to `log`, which holds this run alone, without standard input. One that has more to say than a
/// log may hold is ended.
pub fn run_logged(command: &mut Command, log: &Path) -> Result<(), Error> {
    run_limited(command, log, &Limits::default(), None)
}

/// As [`run_logged`], and ends the program where it goes further than `limits`. What it writes is in `written`.
pub fn run_limited(
    command: &mut Command,
    log: &Path,
    limits: &Limits,
    written: Option<Written<'_>>,
) -> Result<(), Error> {
    let shown = describe(command);
    let out = open_log(log, &shown)?;
    let err = out.try_clone().map_err(log_error(log))?;
    let mut watch = Watch::new(limits, log, written);
    let clock = Instant::now();
    let mut child = spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))?;
    let reached = loop {
        match child.try_wait() {
            Ok(Some(_)) => break None,
            // Waiting below says what is wrong.
            Err(_) => break None,
            Ok(None) => {}
        }
        if let Some(reached) = watch.look() {
            break Some(reached);
        }
        // Of a short run, waiting is to be a small part.
        std::thread::sleep((clock.elapsed() / 16).clamp(LOOK / 100, LOOK));
    };
    if let Some(reached) = reached {
        kill_below(&mut child);
        wait(child, command)?;
        return Err(ended(shown, reached, log));
    }
    let status = wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted { program: shown });
    }
    if status.success() {
        return Ok(());
    }
    let mut tail = tail(log, TAIL_LINES);
    room::explain(command, &mut tail, &[log]);
    Err(Error::Failed {
        program: shown,
        status,
        log: log.to_owned(),
        tail,
    })
}

/// The error of a program that was ended, with a log that is no longer than it may be.
fn ended(program: String, reached: Reached, log: &Path) -> Error {
    if interrupted() {
        return Error::Interrupted { program };
    }
    if let Reached::Log { limit } = &reached {
        // What cannot be cut is long, and no less true.
        let _ = cut(log, *limit, &format!("… the rest is left out: {reached}"));
    }
    Error::Limit {
        program,
        tail: tail(log, TAIL_LINES),
        reached: Box::new(reached),
        log: log.to_owned(),
    }
}

/// Runs `command` with the outputs that it was given, and says how it ended.
pub fn status(command: &mut Command) -> Result<ExitStatus, Error> {
    let child = spawn(command)?;
    let status = wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted {
            program: describe(command),
        });
    }
    Ok(status)
}

/// Runs `command`, without standard input, gives every line of its standard output to `each`, and says how it ended. Its standard error
/// is ours.
pub fn lines(command: &mut Command, each: &mut dyn FnMut(&[u8])) -> Result<ExitStatus, Error> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    if let Some(output) = child.stdout.take() {
        // What cannot be read any more ends the lines, not the program.
        let lines = BufReader::new(output).split(b'\n');
        lines.map_while(Result::ok).for_each(|line| each(&line));
    }
    let status = wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted {
            program: describe(command),
        });
    }
    Ok(status)
}

/// Starts `command`, has `work` do what it does with it, and waits for its end once its standard input is closed.
pub fn with_child<T>(
    command: &mut Command,
    work: impl FnOnce(&mut Child) -> T,
) -> Result<T, Error> {
    let mut child = spawn(command)?;
    let done = work(&mut child);
    drop(child.stdin.take());
    wait(child, command)?;
    Ok(done)
}

/// How a watched program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchOutcome {
    /// By itself.
    Exited(ExitStatus),
    /// Because whoever watched it had seen enough.
    Stopped,
    /// Because its time was over.
    TimedOut,
}

/// Runs `command` with both outputs appended to `log`, without standard input, until it ends, `enough` says yes, or `limit` is
/// over. In the latter two cases it is killed.
pub fn watch(
    command: &mut Command,
    log: &Path,
    limit: Duration,
    enough: &mut dyn FnMut() -> bool,
) -> Result<WatchOutcome, Error> {
    let shown = describe(command);
    let out = open_log(log, &shown)?;
    let err = out.try_clone().map_err(log_error(log))?;
    let mut child = spawn(command.stdin(Stdio::null()).stdout(out).stderr(err))?;
    let end = Instant::now() + limit;
    let limits = Limits::default();
    let mut said = Watch::new(&limits, log, None);
    let mut reached;
    let outcome = loop {
        reached = said.look();
        match child.try_wait() {
            Ok(Some(status)) => break WatchOutcome::Exited(status),
            // Waiting below says what is wrong.
            Err(_) => break WatchOutcome::Stopped,
            Ok(None) if interrupted() => break WatchOutcome::Stopped,
            Ok(None) if reached.is_some() => break WatchOutcome::Stopped,
            Ok(None) if enough() => break WatchOutcome::Stopped,
            Ok(None) if Instant::now() >= end => break WatchOutcome::TimedOut,
            Ok(None) => std::thread::sleep(LOOK),
        }
    };
    // It may have ended by itself in the meantime.
    let _ = child.kill();
    wait(child, command)?;
    if interrupted() {
        return Err(Error::Interrupted { program: shown });
    }
    match reached {
        Some(reached) if outcome == WatchOutcome::Stopped => Err(ended(shown, reached, log)),
        _ => Ok(outcome),
    }
}
