//! Running the users' own tools (`rpmkeys`, `gpg`): in English, without the caller's configuration, output kept. They read what a
//! stranger wrote, so they run where whoever asks for the checks says ([`Confine`]).

use std::fs;
use std::io::Write;
use std::path::Path;

use lustre_process as process;

use super::input::StaticInput;
use crate::repo_file;

/// Where it has the public key.
pub(super) const KEY: &str = "/home/key.asc";

/// What a tool said.
pub(super) struct ToolOutput {
    /// Whether it ended with success.
    pub(super) success: bool,
    /// Both outputs, standard output first.
    pub(super) text: String,
}

/// Runs a tool on the repository in a private home folder. Its output is appended to `log`, too.
///
/// Gives an error only where the tool could not be run at all.
pub(super) fn run(
    input: &StaticInput<'_>,
    program: &str,
    args: &[&str],
    home: &Path,
    log: &Path,
) -> Result<ToolOutput, String> {
    let mut command = (input.confine)(program, args, input.dist, home)
        .map_err(|e| format!("cannot make a sandbox for `{program}`: {e}"))?;
    let done = process::capture(&mut command)
        .map_err(|e| format!("{e}; install `{program}` and run again"))?;
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&done.stderr));
    let told = format!("+ {program} {}\n{text}", args.join(" "));
    process::log_file(log)
        .and_then(|mut file| file.write_all(told.as_bytes()))
        .map_err(|e| format!("cannot write the log {}: {e}", log.display()))?;
    Ok(ToolOutput {
        success: done.status.success(),
        text,
    })
}

/// The files of public keys that the repository has, as far as a tool may read them; what is wrong with others, other checks say.
pub(super) fn published_keys(input: &StaticInput<'_>) -> Vec<&'static str> {
    let all = [repo_file::KEY_FILE, repo_file::NEXT_KEY_FILE];
    let fit = |name: &&str| {
        lustre_files::read_no_link(input.dist.join(name), lustre_files::SOURCE).is_ok()
    };
    all.into_iter().filter(fit).collect()
}

/// A private folder for a tool's key store, with the public key in a file in it.
pub(super) fn home(public_key: &str) -> Result<tempfile::TempDir, String> {
    let make = || {
        let home = tempfile::Builder::new().prefix("proof-").tempdir()?;
        fs::create_dir(home.path().join(".gnupg"))?;
        crate::files::set_mode(&home.path().join(".gnupg"), 0o700)?;
        fs::write(home.path().join("key.asc"), public_key)?;
        Ok(home)
    };
    make().map_err(|e: std::io::Error| format!("cannot make a private folder for a key store: {e}"))
}
