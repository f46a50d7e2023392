//! A folder that outlives every test.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

/// A temporary folder for a `static`, which is never dropped: it is removed when the program ends, in whatever way, by a shell that
/// waits for that.
#[derive(Debug)]
pub struct Folder {
    folder: TempDir,
    /// Its standard input ends with this program.
    _remover: Child,
}

impl Folder {
    /// Makes one.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a temporary folder")?;
        let remover = Command::new("sh")
            .args(["-c", "cat >/dev/null; rm -rf -- \"$1\"", "sh"])
            .arg(folder.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Out of reach of the terminal's Ctrl-C.
            .process_group(0)
            .spawn()
            .context("cannot start sh")?;
        Ok(Self {
            folder,
            _remover: remover,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn it_goes_when_nobody_holds_it_any_more() {
        let mut made = Folder::new().unwrap();
        let path = made.path().to_owned();
        std::fs::create_dir_all(path.join("a/b")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert!(path.join("a/b").exists());
        // As the end of the program does.
        drop(made._remover.stdin.take());
        let started = Instant::now();
        while path.exists() {
            assert!(started.elapsed() < Duration::from_secs(30), "it is there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
