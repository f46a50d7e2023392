//! What a person sees: a live line for every running stage on a terminal, plain lines otherwise; all on standard error.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::builder::styling::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lustre_packaging::shown::{harmless, harmless_json, shortened};
use lustre_packaging::stage::Event;
use lustre_packaging::store::SharedOrigin;
use serde::de::IgnoredAny;

use crate::cli::Color;
use crate::events::{self, Amount, Running};
use crate::invocation::as_called;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Verbosity {
    Quiet,
    Normal,
    Verbose,
}

/// The [`Verbosity`] of this process.
static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);

/// Sets how much is said from here on.
pub fn set_verbosity(quiet: bool, verbose: bool) {
    let level = match (quiet, verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    };
    VERBOSITY.store(level as u8, Ordering::Relaxed);
}

/// Whether standard output has events for machines.
static STREAM: AtomicBool = AtomicBool::new(false);

/// Sets whether standard output has events for machines from here on.
pub fn set_stream(stream: bool) {
    STREAM.store(stream, Ordering::Relaxed);
}

fn streams() -> bool {
    STREAM.load(Ordering::Relaxed)
}

/// Whether the last line was written.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Says how the command ended, where machines listen: nothing comes after it, whichever thread is at what.
pub fn ended(exit_code: u8) {
    if streams() {
        let mut out = std::io::stdout().lock();
        if !ENDED.swap(true, Ordering::SeqCst) {
            let line = events::ended(exit_code);
            written(writeln!(out, "{line}").and_then(|()| out.flush()));
        }
    }
}

/// The same for a program that ends at once, while another thread may be writing what nobody takes: that is waited for a moment alone, and
/// then the stream is cut off.
pub fn ended_at_once(exit_code: u8) {
    const MOMENT: Duration = Duration::from_millis(500);
    if streams() {
        let (send, done) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            ended(exit_code);
            let _ = send.send(());
        });
        let _ = done.recv_timeout(MOMENT);
    }
}

fn says(least: Verbosity) -> bool {
    VERBOSITY.load(Ordering::Relaxed) >= least as u8
}

/// Sets whether there are colours from here on.
pub fn set_color(color: Color) {
    match color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
}

/// Whether standard error gets colours.
fn colored() -> bool {
    AutoStream::choice(&std::io::stderr()) != ColorChoice::Never
}

/// A word that says what a line is, as it is shown on standard error.
fn label(word: &str) -> String {
    let color = match word {
        "error:" | "failed" => Some(AnsiColor::Red),
        "warning:" | "damaged" => Some(AnsiColor::Yellow),
        "help:" => Some(AnsiColor::Cyan),
        "done" => Some(AnsiColor::Green),
        _ => None,
    };
    if !colored() {
        return word.to_owned();
    }
    let style = Style::new().bold().fg_color(color.map(AnsiColor::into));
    format!("{style}{word}{style:#}")
}

/// The screen of one run.
#[derive(Debug)]
pub struct Screen {
    live: Option<MultiProgress>,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
    ran: Mutex<BTreeSet<String>>,
    /// The stages of which it was said that they were taken from others.
    taken: Mutex<BTreeSet<String>>,
    graph: Mutex<Graph>,
    running: Running,
}

/// The stages of the graph that runs.
#[derive(Debug, Default)]
struct Graph {
    /// How many there are.
    stages: usize,
    /// Those that are over: found in the store, or made.
    over: BTreeSet<String>,
    /// How long they took before.
    past: BTreeMap<String, Duration>,
    /// The line that counts them, on a terminal.
    bar: Option<ProgressBar>,
}

impl Graph {
    fn count(&self) -> String {
        format!("{}/{}", self.over.len(), self.stages)
    }
}

impl Screen {
    /// Live where standard error is a terminal that is not dumb, and somebody wants to see it.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = std::io::stderr().is_terminal() && !dumb && says(Verbosity::Normal);
        Self {
            live: live.then(MultiProgress::new),
            bars: Mutex::default(),
            ran: Mutex::default(),
            taken: Mutex::default(),
            graph: Mutex::default(),
            running: Running::default(),
        }
    }

    /// Whether lines move: what is only shown there need not be found out otherwise.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// A graph of so many stages begins; `past` is how long they took before, as far as known.
    pub fn begins(&self, stages: usize, past: BTreeMap<String, Duration>) {
        let bar = self.live.as_ref().map(|live| {
            let bar = live.add(ProgressBar::new_spinner());
            style(&bar, "          {msg}");
            bar
        });
        *held(&self.graph) = Graph {
            stages,
            over: BTreeSet::new(),
            past,
            bar,
        };
    }

    /// The graph is over, whether it ran to its end or not.
    pub fn ends(&self) {
        if let Some(bar) = held(&self.graph).bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Fetching begins: the line for it, where lines move.
    pub fn fetches(&self, all: Amount) -> Option<ProgressBar> {
        let live = self.live.as_ref()?;
        let bar = live.add(ProgressBar::new(all.bytes));
        style(
            &bar,
            "{spinner} {elapsed:>5} {prefix:14} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left",
        );
        bar.set_prefix("fetching");
        bar.enable_steady_tick(Duration::from_millis(250));
        Some(bar)
    }

    /// A step of fetching was made; `line` says whether it is worth one.
    pub fn fetched(&self, come: Amount, all: Amount, took: Duration, line: bool) {
        if streams() {
            out(&events::fetched(come, all, took));
        }
        // A line that moves has said so.
        if line && self.live.is_none() {
            self.line(&format!(
                "fetched {} of {} files, {} of {} MiB, {}",
                come.files,
                all.files,
                come.bytes >> 20,
                all.bytes >> 20,
                rate(come.bytes, took)
            ));
        }
    }

    /// One line that stays.
    pub fn line(&self, text: &str) {
        if says(Verbosity::Normal) {
            self.put(&harmless(text));
        }
    }

    /// One line that is said however quiet the rest is.
    pub fn warn(&self, text: &str) {
        self.put(&harmless(text));
    }

    /// A line that begins with a word for what happened.
    fn happened(&self, word: &str, text: &str) {
        let pad = " ".repeat(8_usize.saturating_sub(word.len()));
        self.put(&format!("{}{pad}{}", label(word), harmless(text)));
    }

    fn put(&self, line: &str) {
        match &self.live {
            // A terminal that cannot be written to has nobody to tell.
            Some(live) => drop(live.println(as_called(line))),
            None => write(line),
        }
    }

    /// Shows what happens to a stage.
    pub fn event(&self, event: &Event<'_>) {
        // A command may run several graphs, and most of their stages are in all of them.
        let is_news = self.running.is_news(event);
        if streams() && is_news {
            out(&self.running.line(event));
        }
        match event {
            Event::Started { stage, log, .. } => self.started(stage, log),
            Event::Cached { stage, folder } => {
                self.over(stage);
                if says(Verbosity::Verbose) && is_news {
                    self.happened("cached", &format!("{stage} in {}", folder.display()));
                }
            }
            Event::Damaged { stage, why } => {
                self.happened("damaged", &format!("{stage}: {why}; rebuilding it"))
            }
            Event::Finished {
                stage,
                took,
                folder,
            } => {
                self.ended(stage);
                held(&self.ran).insert((*stage).to_owned());
                let count = self.over(stage);
                if says(Verbosity::Normal) {
                    let place = if says(Verbosity::Verbose) {
                        format!(", {}", folder.display())
                    } else {
                        String::new()
                    };
                    let took = duration(*took);
                    self.happened(
                        "done",
                        &format!("{stage} in {took} ({count} stages){place}"),
                    );
                }
            }
            Event::Failed { stage } => {
                self.ended(stage);
                self.happened("failed", stage);
            }
            Event::Taken {
                stage, taken, took, ..
            } => {
                held(&self.taken).insert((*stage).to_owned());
                let count = self.over(stage);
                if says(Verbosity::Normal) {
                    let took = duration(*took);
                    let SharedOrigin { from, signer } = taken;
                    self.happened(
                        "taken",
                        &format!(
                            "{stage} from {from}, signed by {signer}, in {took} ({count} stages)"
                        ),
                    );
                }
            }
            Event::NotTaken { stage, why } => self.happened(
                "warning:",
                &format!(" {stage} is not taken from the shared store, and is built here: {why}"),
            ),
            Event::Given { stage, without } => match without {
                None if says(Verbosity::Normal) => self.happened("shared", stage),
                Some(why) if says(Verbosity::Verbose) => {
                    self.happened("shared", &format!("{stage}, only its digests: {why}"));
                }
                _ => {}
            },
            Event::NotGiven { stage, why } => self.happened(
                "warning:",
                &format!(" {stage} is not put into the shared store: {why}"),
            ),
        }
    }

    /// Says how it stands with what a stage waits for: on its line, where lines move.
    pub fn stands(&self, stage: &str, words: &str) {
        match held(&self.bars).get(stage) {
            Some(bar) => bar.set_message(harmless(words).into_owned()),
            None => self.line(words),
        }
    }

    /// Says of a stage in the store that it was not made here, where that was not said yet.
    pub fn was_taken(&self, stage: &str, taken: &SharedOrigin) {
        if held(&self.taken).insert(stage.to_owned()) {
            let SharedOrigin { from, signer } = taken;
            self.line(&format!(
                "{stage} was not built here: it was taken from {from}, signed by {signer}"
            ));
        }
    }

    /// How many stages ran; the others were found in the store.
    pub fn ran(&self) -> usize {
        held(&self.ran).len()
    }

    /// Counts a stage that is over.
    fn over(&self, stage: &str) -> String {
        let mut graph = held(&self.graph);
        graph.over.insert(stage.to_owned());
        let count = graph.count();
        if let Some(bar) = &graph.bar {
            bar.set_message(format!("{count} stages"));
        }
        count
    }

    fn started(&self, stage: &str, log: &Path) {
        let Some(live) = &self.live else {
            if says(Verbosity::Normal) {
                self.happened("start", &format!("{stage}, log {}", log.display()));
            }
            return;
        };
        let graph = held(&self.graph);
        let bar = ProgressBar::new_spinner();
        // The line that counts is the last.
        let bar = match &graph.bar {
            Some(last) => live.insert_before(last, bar),
            None => live.add(bar),
        };
        style(&bar, "{spinner} {elapsed:>5} {prefix:14} {msg}");
        bar.set_prefix(stage.to_owned());
        let usually = graph.past.get(stage).map(|past| {
            let past = duration(*past);
            format!("last time {past}, ")
        });
        let said = format!("{}{}", usually.unwrap_or_default(), log.display());
        bar.set_message(dim(&said));
        bar.enable_steady_tick(Duration::from_millis(250));
        held(&self.bars).insert(stage.to_owned(), bar);
    }

    fn ended(&self, stage: &str) {
        if let Some(bar) = held(&self.bars).remove(stage) {
            bar.finish_and_clear();
        }
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Text that is less important than what stands beside it.
fn dim(text: &str) -> String {
    if !colored() {
        return text.to_owned();
    }
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}

/// Minutes and seconds, or seconds with a tenth where it was quick.
pub fn duration(took: Duration) -> String {
    let seconds = took.as_secs();
    if seconds < 60 {
        format!("{:.1} s", took.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// How much comes in a second, in words.
fn rate(bytes: u64, took: Duration) -> String {
    let seconds = took.as_secs_f64().max(0.001);
    format!("{:.1} MiB/s", bytes as f64 / (1 << 20) as f64 / seconds)
}

/// A line on standard error, for who wants to know how it goes.
pub fn say(text: &str) {
    if says(Verbosity::Normal) {
        warn(text);
    }
}

/// A line on standard error that is said however quiet the rest is.
pub fn warn(text: &str) {
    match text.strip_prefix("warning:") {
        Some(rest) => write(&format!("{}{}", label("warning:"), harmless(rest))),
        None => write(&harmless(text)),
    }
}

/// Writes a line as it is; nobody to read it is no reason to fail.
fn write(line: &str) {
    let _ = writeln!(std::io::stderr(), "{}", as_called(line));
}

/// What a line of an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What failed.
    Error,
    /// Why.
    Cause,
    /// Where to read on.
    Log,
    /// What to do next.
    Help,
}

/// A part of an error, on standard error: its first line after a word for what it is, all others below.
pub fn error(part: Part, text: &str) {
    let word = match part {
        Part::Error => "error:",
        Part::Cause => "caused by:",
        Part::Log => "log:",
        Part::Help => "help:",
    };
    let text = as_called(&shortened(text)).into_owned();
    if streams() {
        out(&events::error(
            match part {
                Part::Error => "error",
                Part::Cause => "cause",
                Part::Log => "log",
                Part::Help => "help",
            },
            text.trim_end(),
        ));
    }
    let text = text.trim_end().replace('\n', "\n  ");
    write(&format!("{} {}", label(word), harmless(&text)));
}

/// Why standard output does not take what it should, if it does not.
static LOST: Mutex<Option<String>> = Mutex::new(None);

/// A result, on standard output. A closed pipe ends the output, not the work: whoever closed it has seen enough. Whatever else keeps it
/// from being written, a full disk for one, is told by [`lost`].
pub fn print(text: &str) {
    // What is data stays as it is.
    let text = if text.starts_with(['{', '[']) {
        Cow::Borrowed(text)
    } else {
        as_called(text)
    };
    if streams() {
        out(&events::output(&text));
    } else {
        out(&text);
    }
}

/// A line, or a text of JSON, which stays one.
fn out(line: &str) {
    let is_json = line.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(line).is_ok();
    let line = if is_json {
        harmless_json(line)
    } else {
        harmless(line)
    };
    let mut out = std::io::stdout().lock();
    if ENDED.load(Ordering::SeqCst) {
        return;
    }
    written(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// The same for a result of our own that is not one for people, as it is.
pub fn print_as_is(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()));
}

/// Takes note of what became of a write to standard output.
pub fn written(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        held(&LOST).get_or_insert_with(|| error.to_string());
    }
}

/// Why a result did not reach standard output.
pub fn lost() -> Option<String> {
    held(&LOST).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(duration(Duration::from_secs(754)), "12 min 34 s");
        assert_eq!(rate(10 << 20, Duration::from_secs(4)), "2.5 MiB/s");
    }

    /// This program ends on a signal: the stream has its last line, unless nobody takes what comes before it.
    #[test]
    fn a_stream_has_its_end_where_a_signal_ends_the_program() {
        use std::io::Read as _;
        use std::process::{Command, Stdio};

        const INSIDE: &str = "LUSTRE_REPO_TEST_INSIDE";
        const WRITES: &str = "for ever";
        if let Some(does) = std::env::var_os(INSIDE) {
            set_stream(true);
            crate::signals::heed(crate::signals::AfterSignal::End).unwrap();
            print("begins");
            if does == WRITES {
                loop {
                    print(&"x".repeat(1000));
                }
            }
            std::thread::sleep(Duration::from_secs(60));
            return;
        }
        let name = "ui::tests::a_stream_has_its_end_where_a_signal_ends_the_program";
        use rustix::process::Signal;
        for (does, signal) in [("nothing", Signal::QUIT), (WRITES, Signal::TERM)] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["--exact", name, "--nocapture"])
                .env(INSIDE, does)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = child.stdout.take().unwrap();
            let mut said = Vec::new();
            while !String::from_utf8_lossy(&said).contains("begins") {
                let mut byte = [0];
                assert_eq!(stdout.read(&mut byte).unwrap(), 1);
                said.push(byte[0]);
            }
            // By then, the pipe is full.
            std::thread::sleep(Duration::from_millis(300));
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, signal).unwrap();
            assert_eq!(child.wait().unwrap().code(), Some(130), "{does}");
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            let last = rest.lines().last().unwrap();
            assert_eq!(last == events::ended(130), does != WRITES, "{does}: {last}");
        }
    }
}
