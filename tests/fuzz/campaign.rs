//! Starting workers, watching them, and saying what they died of.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::worker::{self, Counts, Inputs, MEMORY};
use crate::{Format, mutate, processes};

/// How long one input may wait for something. Those that compute are ended by the worker itself, and to wait for a processor, as on a busy
/// machine, is not to wait for something.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a worker is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// After how many looks at one input it is asked whether anybody is at work on it.
const ASK: u32 = 50;

/// What one format came to.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing was found.
    Clean(Counts),
    /// An input that something is wrong with.
    Found {
        what: String,
        /// Its number or place.
        at: u64,
        /// Which input: of which seed and number, or the name of an example.
        which: String,
        input: Vec<u8>,
        /// The end of what the worker said on standard error.
        words: String,
    },
}

/// Runs one worker of `program`, which is the `fuzz` binary, on the inputs.
pub fn run(program: &Path, format: &dyn Format, inputs: &Inputs) -> anyhow::Result<Outcome> {
    let scratch = tempfile::Builder::new()
        .prefix("fuzz-")
        .tempdir()
        .context("cannot make a folder for the inputs")?;
    let progress = scratch.path().join("progress");
    fs::write(&progress, 0u64.to_be_bytes()).context("cannot write the progress")?;
    let mut command = Command::new(program);
    command
        .arg("--worker")
        .arg(scratch.path())
        .arg(format.name());
    match inputs {
        Inputs::Cases { from } => {
            command.arg("--cases").arg("--from").arg(from.to_string());
        }
        Inputs::File(path) => {
            command.arg("--replay").arg(path);
        }
        Inputs::Made {
            seed,
            from,
            count,
            time,
        } => {
            command
                .arg("--seed")
                .arg(seed.to_string())
                .arg("--from")
                .arg(from.to_string());
            command
                .arg("--count")
                .arg(count.to_string())
                .arg("--seconds")
                .arg(time.as_secs_f64().to_string());
        }
    }
    // Whoever wants one runs the input again.
    command.env("RUST_BACKTRACE", "0");
    let errors = scratch.path().join("stderr");
    let file = File::create(&errors).context("cannot write what a worker says")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .context("cannot start a worker")?;
    let ended = watch(&mut child, &progress)?;
    let mut said = String::new();
    if let Some(mut out) = child.stdout.take() {
        out.read_to_string(&mut said)
            .context("cannot read what a worker says")?;
    }
    if ended.is_some_and(|status| status.success())
        && let Some(counts) = counts(&said)
    {
        return Ok(Outcome::Clean(counts));
    }
    let at = number(&File::open(&progress)?)?;
    let (which, input) = match inputs {
        Inputs::File(path) => (path.display().to_string(), fs::read(path)?),
        Inputs::Cases { .. } => match worker::cases(format).into_iter().nth(usize::try_from(at)?) {
            Some(case) => (format!("the example `{}`", case.name), case.bytes),
            None => ("no example".to_owned(), Vec::new()),
        },
        Inputs::Made { seed, .. } => (
            format!("input {at} of seed {seed}"),
            mutate::input(format, &format.seeds(), *seed, at),
        ),
    };
    let words = String::from_utf8_lossy(&fs::read(&errors)?).into_owned();
    let what = match said.strip_prefix("finding: ") {
        Some(what) => what.trim_end().to_owned(),
        None => died(ended, &words),
    };
    Ok(Outcome::Found {
        at,
        what,
        which,
        input,
        words: tail(&words),
    })
}

/// Waits for the worker's end; none where it had to be ended, because an input kept it waiting.
fn watch(child: &mut Child, progress: &Path) -> anyhow::Result<Option<ExitStatus>> {
    let progress = File::open(progress)?;
    let (mut last, mut since, mut looks) = (u64::MAX, Instant::now(), 0u32);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let now = number(&progress)?;
        looks += 1;
        if now != last || (looks.is_multiple_of(ASK) && processes::is_at_work(child.id())) {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            processes::kill_started_by(child.id());
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn number(progress: &File) -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    progress
        .read_exact_at(&mut bytes, 0)
        .context("cannot read the progress")?;
    Ok(u64::from_be_bytes(bytes))
}

/// The counts in a worker's last line, `done 12 5`.
fn counts(said: &str) -> Option<Counts> {
    let mut words = said.lines().last()?.strip_prefix("done ")?.split(' ');
    Some(Counts {
        inputs: words.next()?.parse().ok()?,
        accepted: words.next()?.parse().ok()?,
    })
}

/// What a worker died of.
fn died(ended: Option<ExitStatus>, words: &str) -> String {
    let has = |text: &str| words.contains(text);
    match ended {
        None => format!("waits for more than {} s", PATIENCE.as_secs()),
        Some(_) if has("has overflowed its stack") => "its stack overflowed".to_owned(),
        Some(_) if has("memory allocation of") => format!("more memory than {} MiB", MEMORY >> 20),
        Some(_) if has("panicked at") => "a panic".to_owned(),
        Some(status) => match status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("the worker failed ({status})"),
        },
    }
}

fn tail(words: &str) -> String {
    let lines: Vec<&str> = words.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

/// Keeps a failing input in a file of `folder`.
pub fn keep(folder: &Path, format: &str, input: &[u8]) -> anyhow::Result<PathBuf> {
    use sha2::Digest;
    let digest = format!("{:x}", sha2::Sha256::digest(input));
    let path = folder.join(format!("{format}-{}", &digest[..12]));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&path, input))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
