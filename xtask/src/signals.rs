//! What Ctrl-C, SIGTERM and SIGHUP do: the first ends everything that was started, the second this program, at once.

use lustre_packaging::process;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::INTERRUPTED;
use crate::ui;

/// What is left to do after the first signal, when nothing that was started runs any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The command ends by itself, and cleans up.
    CleanUp,
    /// The command may not notice: it is ended.
    End,
}

/// From here on, signals are heeded.
///
/// # Errors
/// When the system does not let us.
pub fn heed(then: Then) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    std::thread::spawn(move || {
        let mut signals = signals.forever();
        if signals.next().is_none() {
            return;
        }
        std::thread::spawn(move || {
            if then == Then::CleanUp {
                ui::say("interrupted: stopping builds and cleaning up; once more ends it at once");
            }
            process::interrupt();
            if then == Then::End {
                std::process::exit(INTERRUPTED.into());
            }
        });
        if signals.next().is_some() {
            process::kill();
            std::process::exit(INTERRUPTED.into());
        }
    });
    Ok(())
}
