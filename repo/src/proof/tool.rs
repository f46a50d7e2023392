//! Running the users' own tools (`rpmkeys`, `gpg`): in English, without the caller's configuration, output kept.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use lustre_process as process;

/// What a tool said.
pub(super) struct Said {
    /// Whether it ended with success.
    pub(super) success: bool,
    /// Both outputs, standard output first.
    pub(super) text: String,
}

/// Runs a tool in a private home folder. Its output is appended to `log`, too.
///
/// Gives an error only where the tool could not be run at all.
pub(super) fn run(program: &str, args: &[&str], home: &Path, log: &Path) -> Result<Said, String> {
    let mut command = process::command(program);
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .env("GNUPGHOME", home.join(".gnupg"))
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC");
    let done = process::capture(&mut command)
        .map_err(|e| format!("{e}; install `{program}` and run again"))?;
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    let told = format!("+ {program} {}\n{text}", args.join(" "));
    process::log_file(log)
        .and_then(|mut file| file.write_all(told.as_bytes()))
        .map_err(|e| format!("cannot write the log {}: {e}", log.display()))?;
    Ok(Said {
        success: done.status.success(),
        text,
    })
}

/// A private folder for a tool's key store, with the public key in a file in it.
pub(super) fn home(public_key: &str) -> Result<(tempfile::TempDir, PathBuf), String> {
    let make = || {
        let home = tempfile::Builder::new().prefix("proof-").tempdir()?;
        fs::create_dir(home.path().join(".gnupg"))?;
        crate::files::set_mode(&home.path().join(".gnupg"), 0o700)?;
        let key = home.path().join("key.asc");
        fs::write(&key, public_key)?;
        Ok((home, key))
    };
    make().map_err(|e: std::io::Error| format!("cannot make a private folder for a key store: {e}"))
}
