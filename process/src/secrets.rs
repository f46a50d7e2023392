//! The secrets of the environment, taken out of it: what a process was started with stays readable in `/proc/PID/environ`, for whatever
//! it starts and for as long as it runs. So the program becomes itself again without them, and hands them to itself in an open file
//! without a name, which is emptied when it is read.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, memfd_create};
use zeroize::Zeroizing;

use crate::table::Process;

/// The environment variable that may hold the armored secret key itself.
pub const KEY_VARIABLE: &str = "LUSTRE_REPO_KEY";

/// The environment variable that may hold the key's passphrase itself.
pub const PASSPHRASE_VARIABLE: &str = "LUSTRE_REPO_KEY_PASSPHRASE";

/// The environment variable that names the file with the key's passphrase; it is no secret itself.
pub const PASSPHRASE_FILE_VARIABLE: &str = "LUSTRE_REPO_KEY_PASSPHRASE_FILE";

/// The environment variable that may hold the password for an Open Build Service.
pub const OBS_PASSWORD_VARIABLE: &str = "LUSTRE_REPO_OBS_PASSWORD";

/// The variables that hold secrets.
pub(crate) const VARIABLES: [&str; 3] = [KEY_VARIABLE, PASSPHRASE_VARIABLE, OBS_PASSWORD_VARIABLE];

/// The variables by which the programs of a forge get a token. We read none of them, and only those programs get them ([`with_tokens`]).
const TOKENS: [&str; 4] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// What the file is called in which they are handed over.
const NAME: &str = "lustre-repo-secrets";

/// More than a system lets variables have.
const LIMIT: u64 = 16 << 20;

/// Secrets by variable.
type Values = Vec<(OsString, Zeroizing<Vec<u8>>)>;

/// What was handed over.
static TAKEN: OnceLock<Values> = OnceLock::new();

/// Takes the secrets out of the environment: where there are any, the program starts again without them. To be called before anything is
/// started. It comes back in a process whose environment has none, and never had.
pub fn take() -> io::Result<()> {
    let mut values = handed_over()?;
    let given = in_environment();
    if given.is_empty() {
        // It is called once.
        let _ = TAKEN.set(values);
        return Ok(());
    }
    values.retain(|(name, _)| given.iter().all(|(other, _)| other != name));
    values.extend(given);
    let mut arguments = env::args_os();
    let mut command = command(env::current_exe()?);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    Err(exec(with_tokens(command.args(arguments)), &values))
}

/// The secret of the variable `name`, where it was set to anything: what [`take`] took, else what the environment has.
pub fn value(name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let taken = TAKEN.get().into_iter().flatten();
    let mut taken = taken.filter(|(known, _)| known == name);
    taken
        .next()
        .map(|(_, value)| value.clone())
        .or_else(|| set(name))
}

/// Becomes `command`, which becomes this very program again: it gets the secrets. Comes back only with an error.
pub fn become_again(command: &mut Command) -> io::Error {
    exec(with_tokens(command), TAKEN.get().map_or(&[], Vec::as_slice))
}

/// Has `command`, which becomes this very program again, find the secrets at its standard input, which is empty when it has read them.
pub fn give(command: &mut Command) -> io::Result<&mut Command> {
    let values = TAKEN.get().map_or(&[][..], Vec::as_slice);
    if values.is_empty() {
        return Ok(command.stdin(Stdio::null()));
    }
    // The command's copy of it stays open, ours does not get to others that are started.
    Ok(command.stdin(Stdio::from(packed(values, MemfdFlags::CLOEXEC)?)))
}

/// Keeps other programs of this user, those that this one starts among them, from reading its memory, where a key may be. Root still can.
/// No sandbox can be made afterwards without being root: what makes one looks at this process's open files.
pub fn hide_memory() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// A process that this one descends from, and that still has a secret in its environment: its name and its id.
pub fn seen_in() -> Option<(String, u32)> {
    let mut id = std::os::unix::process::parent_id();
    while id > 1 {
        let of = PathBuf::from(format!("/proc/{id}"));
        // What another user runs, we cannot read, and neither can what we start.
        let environment = lustre_files::read(of.join("environ"), LIMIT).map(Zeroizing::new);
        if environment.is_ok_and(|text| text.split(|byte| *byte == 0).any(holds_secret)) {
            let name = lustre_files::read_to_string(of.join("comm"), lustre_files::TEXT);
            return Some((name.unwrap_or_default().trim().to_owned(), id));
        }
        id = Process::of(id)?.parent;
    }
    None
}

/// Whether an entry of an environment is one of the variables that hold secrets, and has one.
fn holds_secret(entry: &[u8]) -> bool {
    VARIABLES.iter().any(|name| {
        entry
            .strip_prefix(name.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"="))
            .is_some_and(|value| !value.is_empty())
    })
}

/// An empty variable is one that is not set: CI systems give what is missing so.
fn set(name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let value = Zeroizing::new(env::var_os(name)?.into_vec());
    (!value.is_empty()).then_some(value)
}

fn in_environment() -> Values {
    // An environment may have a name twice: that one of them is empty hides no other.
    let mut found = Values::new();
    for (name, value) in env::vars_os() {
        let is_one = VARIABLES.iter().any(|one| name == *one);
        if is_one && !value.is_empty() && found.iter().all(|(other, _)| *other != name) {
            found.push((name, Zeroizing::new(value.into_vec())));
        }
    }
    found
}

fn exec(command: &mut Command, values: &[(OsString, Zeroizing<Vec<u8>>)]) -> io::Error {
    let file = if values.is_empty() {
        Ok(None)
    } else {
        // Stays open in what we become. Nothing else is started any more.
        packed(values, MemfdFlags::empty()).map(Some)
    };
    match file {
        Ok(_open) => command.exec(),
        Err(error) => error,
    }
}

/// A file in memory with the secrets, each with its name, as an environment has them.
fn packed(values: &[(OsString, Zeroizing<Vec<u8>>)], flags: MemfdFlags) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(NAME, flags)?);
    for (name, value) in values {
        for part in [name.as_bytes(), b"=", value, b"\0"] {
            file.write_all(part)?;
        }
    }
    file.rewind()?;
    Ok(file.into())
}

/// The secrets in the open files of that name, which are empty afterwards, whoever has them open.
fn handed_over() -> io::Result<Values> {
    let mut values = Values::new();
    let wanted = format!("/memfd:{NAME} (deleted)");
    for item in fs::read_dir("/proc/self/fd")? {
        let path = item?.path();
        if fs::read_link(&path).is_ok_and(|target| target.as_os_str() == wanted.as_str()) {
            values.extend(unpacked(
                &mut File::options().read(true).write(true).open(path)?,
            )?);
        }
    }
    Ok(values)
}

fn unpacked(file: &mut File) -> io::Result<Values> {
    let length = file.metadata()?.len().min(LIMIT);
    // Never grows, so no copy of a secret is left behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(LIMIT).read_to_end(&mut text)?;
    file.set_len(0)?;
    let entries = text.split(|byte| *byte == 0);
    Ok(entries
        .filter_map(|entry| {
            let at = entry.iter().position(|byte| *byte == b'=')?;
            let name = OsStr::from_bytes(&entry[..at]).to_owned();
            Some((name, Zeroizing::new(entry[at + 1..].to_vec())))
        })
        .collect())
}

/// Has `command`, which talks to a forge, or becomes this very program again, find the tokens in its environment as we do in ours.
pub fn with_tokens(command: &mut Command) -> &mut Command {
    let there = TOKENS
        .iter()
        .filter_map(|name| Some((name, env::var_os(name)?)));
    command.envs(there)
}

/// A command that runs `program`, without the variables that hold secrets.
#[allow(
    clippy::disallowed_methods,
    reason = "the only place where programs are started"
)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for secret in VARIABLES.iter().chain(&TOKENS) {
        command.env_remove(secret);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_over_is_read_once_by_all_who_have_it_open() {
        let values: Values = [("A", &b"one=1\n\n"[..]), ("B", b"\xff")]
            .map(|(name, value)| (name.into(), Zeroizing::new(value.to_vec())))
            .into();
        let mut file = File::from(packed(&values, MemfdFlags::CLOEXEC).unwrap());
        let mut other = file.try_clone().unwrap();
        assert_eq!(unpacked(&mut file).unwrap(), values);
        other.rewind().unwrap();
        assert_eq!(unpacked(&mut other).unwrap(), Values::new());
        assert_eq!(other.metadata().unwrap().len(), 0);
    }

    #[test]
    fn an_entry_of_an_environment_has_a_secret_or_none() {
        for (entry, has) in [
            ("LUSTRE_REPO_KEY=x", true),
            ("LUSTRE_REPO_KEY_PASSPHRASE=x", true),
            ("LUSTRE_REPO_KEY=", false),
            ("LUSTRE_REPO_KEY_FILE=/x", false),
            ("", false),
        ] {
            assert_eq!(holds_secret(entry.as_bytes()), has, "{entry}");
        }
    }
}
