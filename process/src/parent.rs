//! A child that is this very program ends with who started it: killed, that one ends nobody.

use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use crate::interruption::interrupt;

/// The variable that says who started the program, to end with it.
const VARIABLE: &str = "LUSTRE_REPO_ENDS_WITH";

/// Has `command`, which becomes this very program again, end with us. It has to be our own child: no other process is between the two.
pub fn ends_with_us(command: &mut Command) -> &mut Command {
    command.env(VARIABLE, getpid().as_raw_pid().to_string())
}

/// From here on, where this program was started to end with another, it is interrupted when that one ends.
pub fn end_with_parent() -> io::Result<()> {
    let parent = std::env::var(VARIABLE).ok();
    let parent = parent.and_then(|id| Pid::from_raw(id.parse().ok()?));
    let Some(parent) = parent else {
        return Ok(());
    };
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // It may have ended before.
    if getppid() != Some(parent) {
        interrupt();
    }
    Ok(())
}
