//! Servers that take a connection and give nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lustre_packaging::source::{Progress, Retry};

use crate::ui::Screen;

/// Servers that take a connection and give nothing: people are told of them while they are waited for.
pub struct Silence<'a> {
    screen: &'a Screen,
    /// How much of a file had come when something last came, when that was, and how often its silence was told since.
    heard: Mutex<HashMap<String, (u64, Instant, u32)>>,
}

impl<'a> Silence<'a> {
    pub fn new(screen: &'a Screen) -> Self {
        Self {
            screen,
            heard: Mutex::default(),
        }
    }

    pub fn heard(&self, progress: &Progress) {
        if let Some(line) = self.told(progress, Instant::now()) {
            self.screen.line(&line);
        }
    }

    /// What there is to say at the time `now`.
    fn told(&self, progress: &Progress, now: Instant) -> Option<String> {
        let mut all = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = all
            .entry(progress.url.clone())
            .or_insert((progress.bytes, now, 0));
        if heard.0 != progress.bytes {
            *heard = (progress.bytes, now, 0);
            return None;
        }
        let silent = now.duration_since(heard.1);
        if silent < QUIET * (heard.2 + 1) {
            return None;
        }
        heard.2 += 1;
        Some(format!(
            "nothing from {} for {} s; it is asked up to {} times",
            progress.url,
            silent.as_secs(),
            Retry::default().attempts
        ))
    }
}

/// After how long without a byte that is told, and told again.
const QUIET: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_gives_nothing_is_told_of_while_it_is_waited_for() {
        let screen = Screen::new();
        let silence = Silence::new(&screen);
        let start = Instant::now();
        let at = |seconds, bytes| {
            let progress = Progress {
                source: "served".to_owned(),
                url: "http://a.example/b".to_owned(),
                bytes,
                total: None,
                damaged: false,
            };
            silence.told(&progress, start + Duration::from_secs(seconds))
        };
        let told: Vec<u64> = (0..90).filter(|second| at(*second, 0).is_some()).collect();
        assert_eq!(told, [20, 40, 60, 80]);
        // Slow is not silent.
        assert!((90..200).all(|second| at(second, second).is_none()));
        let line = at(219, 199).unwrap();
        assert!(line.contains("http://a.example/b for 20 s"), "{line}");
    }
}
