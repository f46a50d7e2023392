//! Starting a child, and waiting for it.

use std::process::{Child, Command, ExitStatus};

use crate::error::Error;
use crate::interruption::{children, interrupted};
use crate::shown::program_name;

/// Starts a child and remembers it.
#[allow(
    clippy::disallowed_methods,
    reason = "the only place where programs are started"
)]
pub(crate) fn spawn(command: &mut Command) -> Result<Child, Error> {
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

/// Waits for a child and forgets it.
pub(crate) fn wait(mut child: Child, command: &Command) -> Result<ExitStatus, Error> {
    let result = child.wait();
    let id = child.id();
    children().retain(|known| *known != id);
    result.map_err(|source| Error::Start {
        program: program_name(command),
        source,
    })
}
