//! Running other programs: without our secrets, with an end when the run is interrupted, and with an error that says what they said.

#![cfg_attr(
    test,
    allow(clippy::disallowed_methods, reason = "tests look from outside")
)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, WaitOptions};

pub mod room;
pub mod secrets;

pub use secrets::command;

/// How many of a log's last lines an error shows.
const TAIL_LINES: usize = 25;

/// How long an interrupted child has to end by itself: `unshare --fork`, for one, is deaf to anything but SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// Set once the run is interrupted; nothing is started after that.
static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// Whether one of the children may be this very program.
static OURSELVES: AtomicBool = AtomicBool::new(false);

/// The children that run now, so that an interruption can end them.
static CHILDREN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// Set once an interruption has ended what ran.
static ENDED_ALL: AtomicBool = AtomicBool::new(false);

/// The logs that this run has begun.
static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

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
        /// The last lines of its output, and a hint where the disk was full.
        tail: String,
    },
    /// The program's output is not what it should be, or it failed without a log.
    #[error("`{program}` failed ({status}): {stderr}")]
    Output {
        /// The program and its first arguments.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, and a hint where the disk was full.
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

/// A command that becomes this very program again, by way of `program`. It gets the secrets by [`secrets::become_again`] or
/// [`secrets::give`].
pub fn ourselves(program: impl AsRef<OsStr>) -> Command {
    OURSELVES.store(true, Ordering::SeqCst);
    command(program)
}

/// Runs `command` with both outputs appended to `log`, which holds this run alone, without standard input.
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
    let mut tail = tail(log, TAIL_LINES);
    room::explain(command, &mut tail, &[log]);
    Err(Error::Failed {
        program: shown,
        status,
        log: log.to_owned(),
        tail,
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
///
/// # Errors
/// When the program cannot be started or the run was interrupted.
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
///
/// # Errors
/// As [`capture`].
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

/// Runs `command` with the outputs that it was given, and says how it ended.
///
/// # Errors
/// As [`capture`].
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

fn capture_with_input(command: &mut Command, input: &[u8]) -> Result<Output, Error> {
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
    let open = || {
        let mut out = log_file(log)?;
        writeln!(out, "+ {shown}")?;
        Ok(out)
    };
    open().map_err(log_error(log))
}

/// The log at `log`, opened for more of what this run has to say.
///
/// # Errors
/// As [`begin_log`]; or it cannot be made.
pub fn log_file(log: &Path) -> io::Result<File> {
    begin_log(log)?;
    File::options().create(true).append(true).open(log)
}

/// Removes what an earlier run left at `log`, where this one has not begun it yet: it would mislead.
///
/// # Errors
/// When it cannot be removed, or there can be no file.
pub fn begin_log(log: &Path) -> io::Result<()> {
    let log = std::path::absolute(log)?;
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if begun.contains(&log) {
        return Ok(());
    }
    if let Some(parent) = log.parent() {
        fs::create_dir_all(parent)?;
    }
    // Removed, not emptied: the file may be linked to that of another store.
    match fs::remove_file(&log) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    begun.insert(log);
    Ok(())
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

/// From here on, what a program started and left behind when it ended is ours, and ends with the run: an interruption finds it below us.
/// What ends before that does not stay as a process that nobody waits for.
///
/// # Errors
/// When the system does not let us.
pub fn adopt_orphans() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    std::thread::Builder::new()
        .name("orphans".to_owned())
        .spawn(bury_orphans)?;
    Ok(())
}

/// How long what ended may stay before it is looked for again.
const ENDED: Duration = Duration::from_millis(200);

/// Waits for what ended and that nothing here has started.
fn bury_orphans() {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        // There may be no child at all.
        if rustix::process::waitid(WaitId::All, ended).is_ok() {
            // Holding the lock, no child is being started: what is not among those has nobody else who waits for it.
            let children = children();
            for id in ended_children() {
                if !children.contains(&id)
                    && let Some(pid) = pid_of(id)
                {
                    // That it is no child of ours any more is no error.
                    let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
                }
            }
        }
        std::thread::sleep(ENDED);
    }
}

/// Ends all children, and what they started, and lets nothing start any more: for Ctrl-C. What does not heed it within [`GRACE`] is killed.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    end_children();
    ENDED_ALL.store(true, Ordering::SeqCst);
}

fn end_children() {
    signal_children(Signal::TERM);
    let grace = if OURSELVES.load(Ordering::SeqCst) {
        // It gives its own children as long, and cleans up after them, which takes time on a busy machine.
        GRACE * 12
    } else {
        GRACE
    };
    let patience = Instant::now() + grace;
    while Instant::now() < patience {
        if children().is_empty() && (0..2).all(|_| descendants().is_empty()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    kill_children();
}

/// What a signal's handler sets for [`interrupt`] to follow: at once, since a signal from a terminal ends children as well, and what they fail
/// with is the interruption from then on.
pub fn interruption() -> Arc<AtomicBool> {
    Arc::clone(&INTERRUPTED)
}

/// Where the run is interrupted, waits until [`interrupt`] has ended what runs: a program that ends as soon as its children have would leave
/// what those started.
pub fn finish_interruption() {
    while interrupted() && !ENDED_ALL.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills all children, and what they started, at once, and lets nothing start any more.
pub fn kill() {
    INTERRUPTED.store(true, Ordering::SeqCst);
    kill_children();
}

/// Kills until nothing runs any more: what was just being started is among none of those that were found, and what is killed goes on for a
/// moment, with files open in a store that another run may take as soon as this one has ended. What waits for a disk that never answers is
/// not waited for longer than [`GRACE`].
fn kill_children() {
    let patience = Instant::now() + GRACE;
    loop {
        signal_children(Signal::KILL);
        // A look at all processes takes a while, in which one may change its parent: nothing is there when it was not there twice.
        let none = (0..2).all(|_| descendants().is_empty());
        if none || Instant::now() > patience {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn children() -> MutexGuard<'static, Vec<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each of them gets the signal once: for some, a second one means to end without cleaning up.
fn signal_children(signal: Signal) {
    let mut found = descendants();
    found.extend(children().iter());
    let group_of = |id: &u32| rustix::process::getpgid(Some(pid_of(*id)?)).ok();
    let leads = |id: &&u32| group_of(id).is_some_and(|group| pid_of(**id) == Some(group));
    let leaders: Vec<u32> = found.iter().filter(leads).copied().collect();
    let groups: Vec<Pid> = leaders.iter().filter_map(|id| pid_of(*id)).collect();
    // What goes by itself in the meantime is no error, here and below.
    for id in &found {
        if !group_of(id).is_some_and(|group| groups.contains(&group))
            && let Some(pid) = pid_of(*id)
        {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
    for group in groups {
        // One that leads a group of its own takes the group along.
        let _ = rustix::process::kill_process_group(group, signal);
    }
}

fn pid_of(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// All processes that there are; none where the system does not tell.
fn processes() -> impl Iterator<Item = (u32, Process)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let id = entry.file_name().to_str()?.parse().ok()?;
        Some((id, Process::of(id)?))
    })
}

/// The children of this process that have ended and that nobody has waited for.
fn ended_children() -> Vec<u32> {
    let us = std::process::id();
    processes()
        .filter(|(_, process)| process.ended && process.parent == us)
        .map(|(id, _)| id)
        .collect()
}

/// All processes that run and that this one started, or those that it started; none where the system does not tell.
fn descendants() -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (id, process) in processes().filter(|(_, process)| !process.ended) {
        children.entry(process.parent).or_default().push(id);
    }
    let mut found = BTreeSet::new();
    let mut next = vec![std::process::id()];
    while let Some(one) = next.pop() {
        for child in children.remove(&one).unwrap_or_default() {
            found.insert(child);
            next.push(child);
        }
    }
    found
}

/// What the system tells of a process.
struct Process {
    parent: u32,
    /// Whether it only waits for its parent to ask how it ended.
    ended: bool,
}

impl Process {
    fn of(id: u32) -> Option<Self> {
        let stat = lustre_files::read(format!("/proc/{id}/stat"), lustre_files::TEXT).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // The name before may have blanks and brackets in it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        Some(Self { parent, ended })
    }
}

/// Whether [`interrupt`] was called.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Starts a child and remembers it.
#[allow(
    clippy::disallowed_methods,
    reason = "this is where programs are started"
)]
fn spawn(command: &mut Command) -> Result<Child, Error> {
    // Holding the lock while starting leaves no moment in which an interruption misses a child.
    let mut children = children();
    if interrupted() {
        return Err(Error::Interrupted {
            program: program_name(command),
        });
    }
    let child = command.spawn().map_err(|source| Error::Start {
        program: program_name(command),
        source,
    })?;
    children.push(child.id());
    Ok(child)
}

/// Runs `command`, without standard input, gives every line of its standard output to `each`, and says how it ended. Its standard error
/// is ours.
///
/// # Errors
/// As [`capture`].
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
///
/// # Errors
/// When the program cannot be started.
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
        let mut file = lustre_files::open(path)?;
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

/// The command as one line, cut where it gets too long to read: of a command run in a sandbox what is run there, of git without the settings
/// that it is always given.
fn describe(command: &Command) -> String {
    const LIMIT: usize = 400;
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let inside = arguments.iter().rposition(|argument| *argument == "--");
    let (mut line, program, mut rest) = match inside {
        Some(at) if arguments.contains(&OsStr::new("bwrap")) && at + 1 < arguments.len() => (
            "(in a sandbox) ".to_owned(),
            arguments[at + 1],
            &arguments[at + 2..],
        ),
        _ => (String::new(), command.get_program(), &arguments[..]),
    };
    line.push_str(&quote(program));
    if program == "git" {
        while let [option, _, after @ ..] = rest
            && *option == "-c"
        {
            rest = after;
        }
    }
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
            command("sh").args(["-c", "echo one; echo two >&2; exit 3"]),
            &log,
        )
        .unwrap_err()
        .to_string();
        assert!(error.contains("two"), "{error}");
        assert!(error.contains(&log.display().to_string()), "{error}");
        assert!(error.contains('3'), "{error}");
    }

    #[test]
    fn a_log_holds_this_run_alone_and_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let [ran, watched, told] = ["ran", "watched", "told"].map(|name| dir.path().join(name));
        let linked = dir.path().join("linked");
        for log in [&ran, &watched, &told] {
            fs::write(log, "error of an earlier run\n").unwrap();
        }
        fs::hard_link(&ran, &linked).unwrap();
        for word in ["one", "two"] {
            let mut command = command("echo");
            command.arg(word);
            run_logged(&mut command, &ran).unwrap();
            watch(&mut command, &watched, Duration::from_secs(60), &mut || {
                false
            })
            .unwrap();
            writeln!(log_file(&told).unwrap(), "{word}").unwrap();
        }
        let text = |log: &Path| fs::read_to_string(log).unwrap();
        for log in [&ran, &watched] {
            assert_eq!(text(log), "+ echo one\none\n+ echo two\ntwo\n", "{log:?}");
        }
        assert_eq!(text(&told), "one\ntwo\n");
        assert_eq!(text(&linked), "error of an earlier run\n");
    }

    #[test]
    fn a_command_is_shown_by_what_tells_it_from_others() {
        let words = ["-c", "gc.auto=0", "-c", "a b", "log", "-c", "x y"];
        let mut git = command("git");
        assert_eq!(describe(git.args(words)), "git log -c 'x y'");
        let mut sandboxed = command("setpriv");
        sandboxed.args(["--reset-env", "bwrap", "--ro-bind", "/", "/", "--", "git"]);
        assert_eq!(
            describe(sandboxed.args(words)),
            "(in a sandbox) git log -c 'x y'"
        );
        let mut shell = command("sh");
        assert_eq!(describe(shell.args(["-c", "x y"])), "sh -c 'x y'");
        let mut long = command("echo");
        assert!(describe(long.arg("é".repeat(999))).ends_with("é…"));
    }

    #[test]
    fn a_full_disk_is_named_whatever_the_program_calls_it() {
        let said = |script: &str| {
            let dir = tempfile::tempdir().unwrap();
            let mut command = command("sh");
            command.args(["-c", script]);
            let logged = run_logged(&mut command, &dir.path().join("log"));
            let captured = output(&mut command);
            [
                logged.unwrap_err().to_string(),
                captured.unwrap_err().to_string(),
            ]
        };
        for error in said("cat /proc/version >/dev/full") {
            assert!(error.contains("disk was full"), "{error}");
            assert!(
                error.contains("MiB free") && error.contains("make room"),
                "{error}"
            );
        }
        for error in said("echo other >&2; exit 1") {
            assert!(!error.contains("disk"), "{error}");
        }
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = output(&mut command("no-such-program-here"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no-such-program-here"), "{error}");
    }

    #[test]
    fn a_program_is_started_without_the_variables_that_hold_secrets() {
        let removed = |command: &Command, name: &str| {
            command
                .get_envs()
                .any(|(variable, value)| variable == name && value.is_none())
        };
        for secret in secrets::VARIABLES {
            assert!(removed(&command("env"), secret), "{secret}");
            assert!(removed(&ourselves("env"), secret), "{secret}");
        }
    }

    #[test]
    fn lines_are_given_one_by_one_and_the_end_is_told() {
        let mut seen = Vec::new();
        let status = lines(
            command("sh").args(["-c", "echo one; printf two; exit 3"]),
            &mut |line| seen.push(String::from_utf8_lossy(line).into_owned()),
        )
        .unwrap();
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn both_outputs_are_captured_whatever_the_end() {
        let done = capture(command("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap();
        assert_eq!(done.stdout, b"one\n");
        assert_eq!(done.stderr, b"two\n");
        assert_eq!(done.status.code(), Some(3));
    }

    #[test]
    fn a_program_that_never_rests_is_ended_at_its_bound() {
        let bounded = |script: &str| {
            capture_bounded(command("sh").args(["-c", script]), Duration::from_secs(1)).unwrap()
        };
        match bounded("echo one; exit 3") {
            Bounded::Ended(done) => assert_eq!(
                (&done.stdout[..], done.status.code()),
                (&b"one\n"[..], Some(3))
            ),
            Bounded::Busy => panic!("it does next to nothing"),
        }
        let ended = bounded("while :; do :; done");
        assert!(matches!(ended, Bounded::Busy), "{ended:?}");
        // Also one that is deaf to the first signal.
        match bounded("trap '' XCPU; while :; do :; done") {
            Bounded::Ended(done) => assert_eq!(done.status.signal(), Some(Signal::KILL.as_raw())),
            Bounded::Busy => panic!("it is deaf"),
        }
    }

    #[test]
    fn input_reaches_the_program() {
        let out = output_with_input(&mut command("cat"), b"hello").unwrap();
        assert_eq!(out, b"hello");
    }

    #[test]
    fn a_watched_program_ends_by_itself_by_its_watcher_or_by_its_limit() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let ends = |script: &str, limit: u64, enough: &mut dyn FnMut() -> bool| {
            let mut command = command("sh");
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
