//! Two programs in turn: how long each takes, and how much memory.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use lustre_packaging::process;

use crate::statistics::{median, spread};

/// How many seconds a run says that it took.
type Seconds = fn(&[u8]) -> Result<f64>;

/// What is done before a run.
type Prepare<'a> = Box<dyn Fn() -> Result<()> + 'a>;

/// One side of a comparison.
pub struct Side<'a> {
    /// The program, with its arguments.
    pub command: Box<dyn Fn() -> Command + 'a>,
    /// What has to be as it was before each run; its time does not count.
    pub prepare: Prepare<'a>,
    /// Whether it ended as it should.
    pub good: fn(&Output) -> bool,
    /// Where not all of it counts: how many seconds do, as it says itself.
    pub seconds: Option<Seconds>,
}

impl<'a> Side<'a> {
    pub fn new(command: impl Fn() -> Command + 'a) -> Self {
        Self {
            command: Box::new(command),
            prepare: Box::new(|| Ok(())),
            good: |output| output.status.success(),
            seconds: None,
        }
    }

    pub fn prepared(mut self, prepare: impl Fn() -> Result<()> + 'a) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    pub fn good(mut self, good: fn(&Output) -> bool) -> Self {
        self.good = good;
        self
    }

    pub fn timed(mut self, seconds: fn(&[u8]) -> Result<f64>) -> Self {
        self.seconds = Some(seconds);
        self
    }

    /// One run: its seconds and its output.
    fn run(&self) -> Result<(f64, Vec<u8>)> {
        (self.prepare)()?;
        let mut command = (self.command)();
        let start = Instant::now();
        let output = process::capture(&mut command)?;
        let seconds = start.elapsed().as_secs_f64();
        let output = self.checked(&command, output)?;
        let seconds = self.seconds.map_or(Ok(seconds), |told| told(&output))?;
        Ok((seconds, output))
    }

    /// One run that is not timed: the most memory that it or any program that it started had, in KiB.
    ///
    /// The kernel counts it; Python hands it on. So nothing below what Python itself has, some 10 MB, can be told.
    fn memory(&self, folder: &Path) -> Result<u64> {
        const PROGRAM: &str = "import resource, subprocess, sys\n\
            code = subprocess.call(sys.argv[2:])\n\
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n\
            open(sys.argv[1], 'w').write(str(peak))\n\
            sys.exit(code)";
        (self.prepare)()?;
        let report = folder.join("peak");
        let inner = (self.command)();
        let mut command = Command::new("python3");
        command.args(["-I", "-S", "-c", PROGRAM]).arg(&report);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        if let Some(folder) = inner.get_current_dir() {
            command.current_dir(folder);
        }
        let output = process::capture(&mut command)?;
        self.checked(&inner, output)?;
        let peak = std::fs::read_to_string(&report)?;
        peak.parse().with_context(|| format!("a peak of {peak}"))
    }

    fn checked(&self, command: &Command, output: Output) -> Result<Vec<u8>> {
        ensure!(
            (self.good)(&output),
            "{} ended with {}: {}{}",
            command.get_program().display(),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        Ok(output.stdout)
    }
}

/// What one side took.
#[derive(Debug, Clone, Default)]
pub struct SideCost {
    /// The seconds of each round.
    pub seconds: Vec<f64>,
    /// The most memory, in KiB.
    pub memory: u64,
    /// What the last run printed.
    pub output: Vec<u8>,
}

/// What a row's runs took.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub ours: SideCost,
    pub theirs: Option<SideCost>,
}

impl Measured {
    /// How many times as fast ours is, and how far the rounds are from that.
    pub fn ratio(&self) -> Option<(f64, f64)> {
        let theirs = self.theirs.as_ref()?;
        let pairs = theirs.seconds.iter().zip(&self.ours.seconds);
        let ratios: Vec<f64> = pairs.map(|(theirs, ours)| theirs / ours).collect();
        Some((median(&ratios), spread(&ratios)))
    }
}

/// Runs both in turn, after a run of each that is not timed: then, what they read is in memory for either. Who is first changes.
pub fn pair(rounds: usize, folder: &Path, ours: &Side, theirs: &Side) -> Result<Measured> {
    let mut taken = [SideCost::default(), SideCost::default()];
    let sides = [ours, theirs];
    for (taken, side) in taken.iter_mut().zip(sides) {
        taken.memory = side.memory(folder)?;
    }
    for round in 0..rounds {
        for turn in [round % 2, (round + 1) % 2] {
            let (seconds, output) = sides[turn].run()?;
            taken[turn].seconds.push(seconds);
            taken[turn].output = output;
        }
    }
    let [ours, theirs] = taken;
    Ok(Measured {
        ours,
        theirs: Some(theirs),
    })
}

/// Runs ours alone, in the same way.
pub fn alone(rounds: usize, folder: &Path, ours: &Side) -> Result<Measured> {
    let mut taken = SideCost {
        memory: ours.memory(folder)?,
        ..SideCost::default()
    };
    for _ in 0..rounds {
        let (seconds, output) = ours.run()?;
        taken.seconds.push(seconds);
        taken.output = output;
    }
    Ok(Measured {
        ours: taken,
        theirs: None,
    })
}
