//! Programs of tests: scripts that are written and run at once.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// Writes the script `text` to `path`, to be run as a program. By a process of its own: what this one has open for writing, a program that
/// another test starts at this moment has open as well, until it is that program, and a file that somebody writes cannot be run (ETXTBSY).
pub fn write(path: impl AsRef<Path>, text: impl AsRef<str>) -> io::Result<()> {
    by_another(
        "cat >\"$1\" && chmod 755 \"$1\"",
        text.as_ref(),
        &[path.as_ref()],
    )
}

/// Copies the program `from` to `to`, to be run there; as [`write`].
pub fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let paths = [from.as_ref(), to.as_ref()];
    by_another("cp -T \"$1\" \"$2\" && chmod 755 \"$2\"", "", &paths)
}

fn by_another(script: &str, input: &str, paths: &[&Path]) -> io::Result<()> {
    let mut child = Command::new("sh")
        .args(["-ec", script, "sh"])
        .args(paths)
        .stdin(Stdio::piped())
        .spawn()?;
    let mut pipe = child.stdin.take();
    let written = pipe
        .iter_mut()
        .try_for_each(|pipe| io::Write::write_all(pipe, input.as_bytes()));
    drop(pipe);
    let ended = child.wait()?;
    written?;
    match ended.success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("{}: {ended}", paths[0].display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_script_can_be_run_at_once_while_others_start_programs() {
        let folder = tempfile::tempdir().unwrap();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !over.load(Ordering::SeqCst) {
                        Command::new("true").status().unwrap();
                    }
                });
            }
            let all = (0..150).map(|number| -> io::Result<()> {
                let path = folder.path().join(number.to_string());
                write(&path, "#!/bin/sh\nexit 0\n")?;
                assert!(Command::new(&path).status()?.success());
                Ok(())
            });
            let ran: io::Result<()> = all.collect();
            over.store(true, Ordering::SeqCst);
            ran.unwrap();
        });
    }
}
