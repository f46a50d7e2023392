//! What a program started and left behind when it ended.

use std::io;
use std::time::Duration;

use rustix::process::{WaitId, WaitIdOptions, WaitOptions};

use crate::interruption::children;
use crate::table::{ended_children, pid_of};

/// How long what ended may stay before it is looked for again.
const ENDED: Duration = Duration::from_millis(200);

/// From here on, what a program started and left behind when it ended is ours, and ends with the run: an interruption finds it below us.
/// What ends before that does not stay as a process that nobody waits for.
pub fn adopt_orphans() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    std::thread::Builder::new()
        .name("orphans".to_owned())
        .spawn(bury_orphans)?;
    Ok(())
}

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
