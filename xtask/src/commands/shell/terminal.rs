//! A terminal for a program in a sandbox: one of its own, between which and the user's the bytes are carried. It never has the user's, into
//! which it could type.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Context as _;
use lustre_packaging::process;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

/// Runs `command` with what this program reads from and writes to.
pub fn run_as_is(mut command: Command) -> anyhow::Result<ExitStatus> {
    Ok(process::status(&mut command)?)
}

/// Runs `command` in a terminal of its own, which the user's is joined with meanwhile.
pub fn run_interactive(mut command: Command) -> anyhow::Result<ExitStatus> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty())?;
    if let Ok(size) = tcgetwinsize(io::stdin()) {
        tcsetwinsize(&master, size)?;
    }
    command
        .stdin(Stdio::from(slave.try_clone()?))
        .stdout(Stdio::from(slave.try_clone()?))
        .stderr(Stdio::from(slave));
    let raw = Raw::new()?;
    resize(master.try_clone()?)?;
    let to = File::from(master.try_clone()?);
    // It reads for ever, and ends with this program.
    std::thread::spawn(move || carry(io::stdin(), to));
    // With the command goes what this program has of the other end, so that reading ends when nothing runs there.
    let running = std::thread::spawn(move || process::status(&mut command));
    carry(File::from(master), io::stdout());
    let status = running.join();
    drop(raw);
    let status = status.ok().context("a thread of this tool broke off")?;
    Ok(status?)
}

/// Carries bytes until there are none, or nobody takes them. The end of a terminal reads as an error.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut bytes = [0; 4096];
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(length) => {
                let written = to.write_all(&bytes[..length]).and_then(|()| to.flush());
                if written.is_err() {
                    return;
                }
            }
        }
    }
}

/// Gives `master` the size of the user's terminal whenever that changes.
fn resize(master: OwnedFd) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            if let Ok(size) = tcgetwinsize(io::stdin()) {
                let _ = tcsetwinsize(master.as_fd(), size);
            }
        }
    });
    Ok(())
}

/// The user's terminal as it hands on every key; as it was, when dropped.
struct Raw(Termios);

impl Raw {
    fn new() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Drain, &self.0);
    }
}
