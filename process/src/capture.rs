//! Running a program for what it puts out.

use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};

use crate::child::{spawn, wait};
use crate::error::Error;
use crate::interruption::interrupted;
use crate::room;
use crate::shown::describe;

/// Runs `command` and gives its standard output, as bytes.
pub fn output(command: &mut Command) -> Result<Vec<u8>, Error> {
    output_with_input(command, &[])
}

/// Runs `command` with `input` on its standard input and gives its standard output.
pub fn output_with_input(command: &mut Command, input: &[u8]) -> Result<Vec<u8>, Error> {
    let done = capture_with_input(command, input)?;
    if done.status.success() {
        return Ok(done.stdout);
    }
    let mut stderr = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    room::explain(command, &mut stderr, &[]);
    Err(Error::Output {
        program: describe(command),
        status: done.status,
        stderr,
    })
}

/// Runs `command`, without standard input, and gives both outputs and how it ended, whatever that is.
pub fn capture(command: &mut Command) -> Result<Output, Error> {
    capture_with_input(command, &[])
}

/// How a program ended that had a bound of processor time.
#[derive(Debug)]
pub enum Bounded {
    /// By itself, whatever its exit code.
    Ended(Output),
    /// Of the signal that came at its bound.
    Busy,
}

/// As [`capture`], and ends the program when it has taken `time` of the processor, which is the same on a busy machine. For programs that
/// whoever wrote their input could keep busy without end.
pub fn capture_bounded(command: &mut Command, time: Duration) -> Result<Bounded, Error> {
    let seconds = time.as_secs().max(1);
    let done = capture_child(command, &[], |child| bound_processor_time(child, seconds))?;
    Ok(if done.status.signal() == Some(Signal::XCPU.as_raw()) {
        Bounded::Busy
    } else {
        Bounded::Ended(done)
    })
}

fn bound_processor_time(child: &Child, seconds: u64) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let limit = Rlimit {
            current: Some(seconds),
            // It has a second to clean up, and one that is deaf to the first signal is killed then.
            maximum: Some(seconds + 1),
        };
        // This fails only where the program has ended already.
        let _ = rustix::process::prlimit(Some(pid), Resource::Cpu, limit);
    }
}

/// As [`capture`], with `input` on its standard input.
pub fn capture_with_input(command: &mut Command, input: &[u8]) -> Result<Output, Error> {
    capture_child(command, input, |_| {})
}

fn capture_child(
    command: &mut Command,
    input: &[u8],
    begin: impl FnOnce(&Child),
) -> Result<Output, Error> {
    let mut child = spawn(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    )?;
    begin(&child);
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
        return Err(Error::Interrupted {
            program: describe(command),
        });
    }
    Ok(Output {
        status,
        stdout,
        stderr,
    })
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
