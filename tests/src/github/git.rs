//! git, of nobody.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// git, of nobody.
pub(super) fn isolated() -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{who}_NAME"), "somebody else")
            .env(format!("GIT_{who}_EMAIL"), "else@example.org");
    }
    command
}

pub(super) fn git(arguments: &[&str], at: Option<&Path>) {
    let done = isolated().args(arguments).args(at).output().unwrap();
    assert!(done.status.success(), "{arguments:?}: {done:?}");
}

pub(super) fn fed(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // What does not want all of it says so.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let done = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.success(), done.stdout, said)
}

pub(super) fn git_of(repository: &Path, arguments: &[&str], input: &[u8]) -> Option<String> {
    let mut command = isolated();
    command.arg("--git-dir").arg(repository).args(arguments);
    let (success, out, _) = fed(&mut command, input);
    success.then(|| String::from_utf8(out).unwrap())
}
