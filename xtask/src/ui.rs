//! What a person sees: a live line for every running stage on a terminal, plain lines otherwise; all on standard error.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use lustre_packaging::shown::{harmless, shortened};
use lustre_packaging::stage::Event;

/// The screen of one run.
#[derive(Debug)]
pub struct Screen {
    live: Option<MultiProgress>,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
    ran: Mutex<BTreeSet<String>>,
}

impl Screen {
    /// Live where standard error is a terminal that is not dumb.
    pub fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = std::io::stderr().is_terminal() && !dumb;
        Self {
            live: live.then(MultiProgress::new),
            bars: Mutex::default(),
            ran: Mutex::default(),
        }
    }

    /// One line that stays.
    pub fn line(&self, text: &str) {
        match &self.live {
            // A terminal that cannot be written to has nobody to tell.
            Some(live) => drop(live.println(harmless(text))),
            None => say(text),
        }
    }

    /// Shows what happens to a stage.
    pub fn event(&self, event: &Event<'_>) {
        match event {
            Event::Started { stage, log, .. } => self.started(stage, log),
            Event::Cached { .. } => {}
            Event::Damaged { stage, why } => {
                self.line(&format!("damaged {stage}: {why}; it is made again"))
            }
            Event::Finished { stage, took, .. } => {
                self.ended(stage);
                self.ran
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert((*stage).to_owned());
                self.line(&format!("done    {stage} in {}", duration(*took)));
            }
            Event::Failed { stage } => {
                self.ended(stage);
                self.line(&format!("failed  {stage}"));
            }
        }
    }

    /// How many stages ran; the others were found in the store.
    pub fn ran(&self) -> usize {
        self.ran
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    fn started(&self, stage: &str, log: &Path) {
        let Some(live) = &self.live else {
            say(&format!("start   {stage}, log {}", log.display()));
            return;
        };
        let bar = live.add(ProgressBar::new_spinner());
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} {elapsed:>5} {prefix:14} {msg:.dim}")
        {
            bar.set_style(style);
        }
        bar.set_prefix(stage.to_owned());
        bar.set_message(log.display().to_string());
        bar.enable_steady_tick(Duration::from_millis(250));
        self.bars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(stage.to_owned(), bar);
    }

    fn ended(&self, stage: &str) {
        let bar = self
            .bars
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(stage);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }
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

/// A line on standard error; nobody to read it is no reason to fail.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", harmless(text));
}

/// An error, on standard error.
pub fn error(text: &str) {
    say(&format!("error: {}", shortened(text)));
}

/// Why standard output does not take what it should, if it does not.
static LOST: Mutex<Option<String>> = Mutex::new(None);

/// A result, on standard output. A closed pipe ends the output, not the work: whoever closed it has seen enough. Whatever else keeps it
/// from being written, a full disk for one, is told by [`lost`].
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    written(writeln!(out, "{}", harmless(text)).and_then(|()| out.flush()));
}

/// Takes note of what became of a write to standard output.
pub fn written(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        LOST.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| error.to_string());
    }
}

/// Why a result did not reach standard output.
pub fn lost() -> Option<String> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(1540)), "1.5 s");
        assert_eq!(duration(Duration::from_secs(754)), "12 min 34 s");
    }
}
