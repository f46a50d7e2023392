//! The host: which programs are there, installing those that are not, and whether chroots can be made at all.

mod error;
mod locks;

pub use error::{Error, Tool};

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde::Deserialize;

use crate::process;

impl Tool {
    fn is_there(&self) -> bool {
        if find_program(&self.program).is_none() && !self.also.iter().any(|path| path.is_file()) {
            return false;
        }
        let Some((program, arguments)) = self.check.split_first() else {
            return true;
        };
        process::capture(process::command(program).args(arguments))
            .is_ok_and(|done| done.status.success())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tool: Vec<Tool>,
}

/// The tools that `purpose` needs and that are not in the path; `specs/host-tools.toml` lists all.
pub fn missing(specs: &Path, purpose: &[&str]) -> Result<Vec<Tool>, Error> {
    let path = specs.join("host-tools.toml");
    let bad = |message: String| Error::List {
        path: path.clone(),
        message,
    };
    let text =
        lustre_files::read_to_string(&path, lustre_files::TEXT).map_err(|e| bad(e.to_string()))?;
    let list: List = crate::bounded_toml::from_str(&text).map_err(|e| bad(e.to_string()))?;
    Ok(list
        .tool
        .into_iter()
        .filter(|tool| {
            tool.needed_for
                .iter()
                .any(|one| purpose.contains(&one.as_str()))
        })
        .filter(|tool| !tool.is_there())
        .collect())
}

/// Where `program` is in the path, or in the folders for system programs that a user's path often lacks.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// How packages are installed on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Installer {
    Apt,
    Dnf,
}

impl Installer {
    /// The host's own: on Debian dnf may be there as well, but only apt knows the packages.
    fn find() -> Option<Self> {
        match (find_program("apt-get"), find_program("dnf")) {
            (Some(_), _) => Some(Self::Apt),
            (None, Some(_)) => Some(Self::Dnf),
            (None, None) => None,
        }
    }

    fn packages(self, tools: &[Tool]) -> BTreeSet<String> {
        let name = |tool: &Tool| match self {
            Self::Apt => tool.apt.clone(),
            Self::Dnf => tool.dnf.clone(),
        };
        tools.iter().map(name).collect()
    }

    fn locks(self) -> Vec<&'static Path> {
        let locks = match self {
            Self::Apt => locks::APT,
            Self::Dnf => locks::RPM,
        };
        locks.iter().map(Path::new).collect()
    }

    fn line(self) -> &'static [&'static str] {
        match self {
            Self::Apt => &["apt-get", "install", "--yes", "--no-install-recommends"],
            Self::Dnf => &["dnf", "install", "--assumeyes"],
        }
    }
}

/// Checks that nothing is missing; with `setup`, installs what is, after telling what.
pub fn ensure(
    specs: &Path,
    purpose: &[&str],
    setup: bool,
    tell: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let missing_tools = missing(specs, purpose)?;
    if missing_tools.is_empty() {
        return Ok(());
    }
    let Some(installer) = Installer::find() else {
        let names: Vec<&str> = missing_tools.iter().map(|t| t.program.as_str()).collect();
        return Err(Error::NoInstaller(names.join(", ")));
    };
    let packages = installer.packages(&missing_tools);
    let mut line: Vec<String> = Vec::new();
    if !rustix::process::geteuid().is_root() {
        line.push("sudo".to_owned());
    }
    line.extend(installer.line().iter().map(|word| (*word).to_owned()));
    line.extend(packages.iter().cloned());
    if !setup {
        return Err(Error::Missing {
            missing: missing_tools,
            install: line.join(" "),
        });
    }
    let names: Vec<&str> = packages.iter().map(String::as_str).collect();
    tell(&format!("installing on this host: {}", names.join(", ")));
    if installer == Installer::Apt {
        let mut update = vec!["apt-get".to_owned(), "update".to_owned()];
        if line[0] == "sudo" {
            update.insert(0, "sudo".to_owned());
        }
        // A mirror that is gone must not stop the others; what could not be had shows when installing.
        let _ = install_step(&update, &installer.locks(), tell);
    }
    install_step(&line, &installer.locks(), tell)?;
    let still = missing(specs, purpose)?;
    if still.is_empty() {
        return Ok(());
    }
    Err(Error::Missing {
        missing: still,
        install: line.join(" "),
    })
}

/// Runs one command of the installer. Another program that has one of `locks` is waited for, also where it comes in between.
fn install_step(line: &[String], locks: &[&Path], tell: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let end = Instant::now() + locks::PATIENCE;
    loop {
        locks::wait(locks, end.saturating_duration_since(Instant::now()), tell)?;
        match install_once(line) {
            Err(error) if !locks::any_held(locks) || Instant::now() >= end => return Err(error),
            Err(_) => {}
            Ok(()) => return Ok(()),
        }
    }
}

fn install_once(line: &[String]) -> Result<(), Error> {
    let failed = |message: String| Error::Install {
        command: line.join(" "),
        message,
    };
    // Standard output may carry JSON for a script: the installer talks on standard error.
    let mut command = process::command(&line[0]);
    command
        .args(&line[1..])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(std::io::stderr());
    let status = process::status(&mut command).map_err(|error| failed(error.to_string()))?;
    if status.success() {
        return Ok(());
    }
    let places = ["/", "/var/cache", "/var/lib", "/usr"].map(Path::new);
    let room = process::room::hint("", places);
    let room = room.map_or_else(String::new, |hint| format!("; {hint}"));
    Err(failed(format!("{status}{room}")))
}

/// The words in front of a command that give a user who is not root a user namespace with a range of ids.
const NAMESPACE: [&str; 9] = [
    "unshare",
    "--user",
    "--map-auto",
    "--map-root-user",
    "--setuid=0",
    "--setgid=0",
    "--mount",
    "--propagation=private",
    "--",
];

/// For root: nothing. For others: the command that runs `program`, which is this one, with `arguments` as root of a user namespace.
pub fn privileges(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
) -> Result<Option<Command>, Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let mut probe = process::command(NAMESPACE[0]);
    probe.args(&NAMESPACE[1..]).arg("true");
    let done =
        process::capture(&mut probe).map_err(|error| Error::Unprivileged(error.to_string()))?;
    if !done.status.success() {
        let text = String::from_utf8_lossy(&done.stderr);
        return Err(Error::Unprivileged(text.trim().to_owned()));
    }
    let mut command = process::ourselves(NAMESPACE[0]);
    command.args(&NAMESPACE[1..]).arg(program).args(arguments);
    Ok(Some(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(text: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("host-tools.toml"), text).unwrap();
        dir
    }

    const TWO: &str = r#"
[[tool]]
program = "sh"
why = "w"
apt = "dash"
dnf = "bash"
for = ["repo"]
[[tool]]
program = "no-such-program"
why = "shows that it is missing"
apt = "no-such-package"
dnf = "no-such-package"
for = ["repo"]
"#;

    #[test]
    fn only_what_is_not_there_and_needed_is_missing() {
        let dir = specs(TWO);
        let names = |purpose: &str| -> Vec<String> {
            let tools = missing(dir.path(), &[purpose]).unwrap();
            tools.into_iter().map(|tool| tool.program).collect()
        };
        assert_eq!(names("repo"), ["no-such-program"]);
        assert!(names("test").is_empty());
    }

    #[test]
    fn a_program_without_its_plugin_is_missing() {
        let tool = |check: &str| {
            format!(
                "[[tool]]\nprogram = \"sh\"\nwhy = \"w\"\napt = \"a\"\ndnf = \"d\"\nfor = [\"test\"]\n\
                 check = [\"sh\", \"-c\", \"{check}\"]\n"
            )
        };
        let there = specs(&tool("exit 0"));
        assert!(missing(there.path(), &["test"]).unwrap().is_empty());
        let not_there = specs(&tool("exit 3"));
        assert_eq!(missing(not_there.path(), &["test"]).unwrap().len(), 1);
    }

    #[test]
    fn an_installer_waits_for_a_lock_before_it_starts_and_tries_again_where_one_came_between() {
        let dir = tempfile::tempdir().unwrap();
        let [lock, tries] = ["lock", "tries"].map(|name| dir.path().join(name));
        let step = |script: &str, tell: &mut dyn FnMut(&str)| {
            let paths = [&tries, &lock].map(|path| path.display().to_string());
            let line = ["sh", "-ec", script, "sh", &paths[0], &paths[1]];
            let done = install_step(&line.map(str::to_owned), &[&lock], tell);
            let tried = std::fs::read_to_string(&tries).unwrap_or_default();
            let _ = std::fs::remove_file(&tries);
            (done.map_err(|error| error.to_string()), tried.len())
        };
        // Held by another: here, by a lock that goes when it is told of.
        let held = std::fs::File::create(&lock).unwrap();
        rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
        let mut held = Some(held);
        let mut told = 0;
        let once = "printf x >>$1; flock --nonblock $2 true";
        let (done, tried) = step(once, &mut |words| {
            assert!(words.contains("waiting for"), "{words}");
            told += 1;
            held = None;
        });
        assert_eq!((done, tried, told), (Ok(()), 1, 1));
        // Taken while the installer ran, which gives up then.
        let between =
            "printf x >>$1; test $(cat $1) = x || exit 0; exec 9>$2; flock 9; sleep 2 & exit 100";
        let mut told = 0;
        let (done, tried) = step(between, &mut |_| told += 1);
        assert_eq!((done, tried, told), (Ok(()), 2, 1));
        // What fails for another reason is not tried again.
        let (done, tried) = step("printf x >>$1; exit 100", &mut |words| panic!("{words}"));
        assert!(done.unwrap_err().contains("100"));
        assert_eq!(tried, 1);
    }

    #[test]
    fn without_setup_the_error_has_the_line_that_installs() {
        let dir = specs(TWO);
        let error = ensure(dir.path(), &["repo"], false, &mut |_| {})
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("no-such-package") && error.contains("install"),
            "{error}"
        );
        assert!(error.contains("shows that it is missing"), "{error}");
    }

    #[test]
    fn the_list_of_the_project_can_be_read() {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs");
        missing(&specs, &["repo", "test"]).unwrap();
    }
}
