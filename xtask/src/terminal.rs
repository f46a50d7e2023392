//! A terminal for a program in a sandbox: one of its own, between which and the user's the bytes are carried. It never has the user's, into
//! which it could type: each of its three streams that would be a terminal is the one that is made for it.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use lustre_packaging::process;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
    tcsetwinsize,
};
use signal_hook::consts::SIGWINCH;
use signal_hook::iterator::Signals;

/// Runs `command` with what this program reads from and writes to. Where that is a terminal, it gets one of its own, which the user's is
/// joined with meanwhile.
pub fn run(mut command: Command) -> anyhow::Result<ExitStatus> {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    let terminals = [
        stdout.is_terminal().then(|| stdout.as_fd()),
        stderr.is_terminal().then(|| stderr.as_fd()),
        stdin.is_terminal().then(|| stdin.as_fd()),
    ];
    // What is shown goes to the first of them.
    let Some(shown) = terminals.into_iter().flatten().next() else {
        return Ok(process::status(&mut command)?);
    };
    let shown = shown.try_clone_to_owned()?;
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let slave = rustix::fs::open(name, flags, Mode::empty())?;
    if let Ok(size) = tcgetwinsize(&shown) {
        tcsetwinsize(&master, size)?;
    }
    if stdout.is_terminal() {
        command.stdout(slave.try_clone()?);
    }
    if stderr.is_terminal() {
        command.stderr(slave.try_clone()?);
    }
    if stdin.is_terminal() {
        command.stdin(slave.try_clone()?);
        let to = File::from(master.try_clone()?);
        Raw::set()?;
        // It reads for ever, and ends with this program.
        std::thread::spawn(move || carry(io::stdin(), to));
    }
    let raw = Raw(shown.try_clone()?);
    resize(shown.try_clone()?, master.try_clone()?)?;
    // With the command goes what this program has of the other end, so that reading ends when nothing runs there.
    drop(slave);
    let running = std::thread::spawn(move || process::status(&mut command));
    carry(File::from(master), File::from(shown));
    let status = running.join();
    drop(raw);
    let status = status.ok().context("a thread of this tool panicked")?;
    Ok(status?)
}

/// Carries bytes until there are none. The end of a terminal reads as an error. Where nobody takes them any more, they are read all the same:
/// whoever writes them would wait for ever.
fn carry(mut from: impl Read, mut to: impl Write) {
    let mut bytes = [0; 4096];
    let mut taken = true;
    loop {
        match from.read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(length) => {
                taken = taken
                    && to
                        .write_all(&bytes[..length])
                        .and_then(|()| to.flush())
                        .is_ok();
            }
        }
    }
}

/// Gives `master` the size of the user's terminal `shown` whenever that changes.
fn resize(shown: OwnedFd, master: OwnedFd) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH])?;
    std::thread::spawn(move || {
        for _ in &mut signals {
            if let Ok(size) = tcgetwinsize(&shown) {
                let _ = tcsetwinsize(&master, size);
            }
        }
    });
    Ok(())
}

/// The user's terminal as it was before it handed on every key, while it does.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);

/// Makes the user's terminal what it was, where it hands on every key. What was typed there and not read is dropped: it may be what a program
/// had the terminal answer, and would be read as the next line for the user's shell.
pub fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &before);
    }
}

/// The user's terminal while a program runs; as it was, and without unread answers, when dropped.
struct Raw(OwnedFd);

impl Raw {
    /// Has standard input hand on every key.
    fn set() -> io::Result<()> {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let now = tcgetattr(io::stdin())?;
        let mut raw = now.clone();
        raw.make_raw();
        *before = Some(now);
        tcsetattr(io::stdin(), OptionalActions::Drain, &raw)?;
        Ok(())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
        let _ = tcflush(&self.0, QueueSelector::IFlush);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;
    use crate::signals::{AfterSignal, heed};

    const INSIDE: &str = "LUSTRE_REPO_TEST_INSIDE";

    /// A user's terminal: this end, and the one that programs have.
    fn terminal() -> (File, OwnedFd) {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name, flags, Mode::empty()).unwrap();
        (File::from(master), slave)
    }

    /// This program once more, where it runs the test `name` alone with `script` to run.
    fn again(name: &str, script: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let (_, module) = module_path!().split_once("::").unwrap();
        let name = format!("{module}::{name}");
        command.args(["--exact", &name, "--nocapture", "--test-threads=1"]);
        command.env(INSIDE, script);
        command
    }

    /// Reads what is shown until `wanted` is; what never comes is not waited for.
    fn shown(master: &mut File, wanted: &str) -> String {
        let mut all = Vec::new();
        while !String::from_utf8_lossy(&all).contains(wanted) {
            let said = String::from_utf8_lossy(&all);
            let patience = Timespec::try_from(Duration::from_secs(60)).unwrap();
            let ready = poll(&mut [PollFd::new(master, PollFlags::IN)], Some(&patience)).unwrap();
            assert_eq!(ready, 1, "`{wanted}` is not shown, but: {said}");
            let mut bytes = [0; 1024];
            let length = master.read(&mut bytes).unwrap();
            all.extend_from_slice(&bytes[..length]);
        }
        String::from_utf8(all).unwrap()
    }

    fn sh(script: &str) -> Command {
        let mut command = process::command("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_never_has_the_users_terminal() {
        if let Ok(script) = std::env::var(INSIDE) {
            assert!(run(sh(&script)).unwrap().success());
            return;
        }
        let streams = |chosen: [bool; 3]| -> Vec<String> {
            let (mut master, slave) = terminal();
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("links");
            let script = format!(
                "for fd in 0 1 2; do all=\"$all $(readlink /proc/$$/fd/$fd)\"; done; echo $all >{}; echo over >&2",
                file.display()
            );
            let mut command = again("a_program_never_has_the_users_terminal", &script);
            let stream = |terminal: bool| match terminal {
                true => Stdio::from(slave.try_clone().unwrap()),
                false => Stdio::null(),
            };
            command
                .stdin(stream(chosen[0]))
                .stdout(stream(chosen[1]))
                .stderr(stream(chosen[2]));
            let mut child = command.spawn().unwrap();
            drop(command);
            if chosen[2] {
                shown(&mut master, "over");
            }
            assert!(child.wait().unwrap().success());
            let users = rustix::pty::ptsname(&master, Vec::new()).unwrap();
            let users = users.into_string().unwrap();
            let has = std::fs::read_to_string(&file).unwrap();
            let has: Vec<&str> = has.split_whitespace().collect();
            assert_eq!(has.len(), 3, "{has:?}");
            has.iter()
                .map(|has| match *has {
                    "/dev/null" => "nothing".to_owned(),
                    has if *has == users => "the user's".to_owned(),
                    has if has.starts_with("/dev/pts/") => "its own".to_owned(),
                    has => has.to_owned(),
                })
                .collect()
        };
        for chosen in [
            [true, true, true],
            [false, true, true],
            [true, false, true],
            [true, true, false],
            [true, false, false],
            [false, false, false],
        ] {
            let wanted = chosen.map(|terminal| match terminal {
                true => "its own",
                false => "nothing",
            });
            assert_eq!(streams(chosen), wanted, "{chosen:?}");
        }
    }

    #[test]
    fn the_terminal_is_as_it_was_however_a_program_ends() {
        if let Ok(script) = std::env::var(INSIDE) {
            heed(AfterSignal::End).unwrap();
            let _ = run(sh(&script));
            return;
        }
        for (script, signals) in [
            ("echo ready", 0),
            ("echo ready; kill -9 $$", 0),
            ("echo ready; exec sleep 60", 1),
            ("trap '' TERM; echo ready; sleep 60; sleep 60", 2),
        ] {
            let (mut master, slave) = terminal();
            let state = || format!("{:?}", tcgetattr(&slave).unwrap());
            let before = state();
            let stream = || Stdio::from(slave.try_clone().unwrap());
            let name = "the_terminal_is_as_it_was_however_a_program_ends";
            let mut child = again(name, script)
                .stdin(stream())
                .stdout(stream())
                .stderr(stream())
                .spawn()
                .unwrap();
            shown(&mut master, "ready");
            let pid = rustix::process::Pid::from_child(&child);
            for _ in 0..signals {
                assert_ne!(state(), before, "{script}");
                // An answer to what the program asked for, as typed.
                master.write_all(b"\x1b[1;1R").unwrap();
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
                std::thread::sleep(Duration::from_millis(300));
            }
            let clock = Instant::now();
            while child.try_wait().unwrap().is_none() {
                assert!(clock.elapsed() < Duration::from_secs(30), "{script}");
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(state(), before, "{script}");
            assert_eq!(rustix::io::ioctl_fionread(&slave).unwrap(), 0, "{script}");
        }
    }

    #[test]
    fn what_nobody_takes_is_read_all_the_same() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let text = vec![b'x'; 1 << 20];
        let mut from = text.as_slice();
        carry(&mut from, writer);
        assert!(from.is_empty());
    }
}
