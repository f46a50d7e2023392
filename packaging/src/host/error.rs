//! What a host can lack.

use std::path::PathBuf;

use lustre_files::help;
use serde::Deserialize;

/// A host that cannot do the work, or cannot be made to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{}: {message}", lustre_files::shown(path))]
    List { path: PathBuf, message: String },
    #[error(
        "missing on this host:\n{}\ninstall with: {install}\nor pass `--setup`",
        missing_lines(missing)
    )]
    Missing {
        /// The programs, each with what it is for.
        missing: Vec<Tool>,
        /// The line that installs them.
        install: String,
    },
    #[error("this host has neither apt-get nor dnf to install packages; missing programs: {0}")]
    NoInstaller(String),
    #[error("`{command}` failed{}", reason(message))]
    Install {
        /// What was run.
        command: String,
        /// Why it failed, where more is known than that it did.
        message: String,
    },
    /// Another program has the lock of the host's packages, and keeps it.
    #[error(
        "`{name}` (process {process}) has held the lock {} for {seconds} s; wait until it ends and run the same command again",
        lustre_files::shown(lock)
    )]
    Locked {
        lock: PathBuf,
        /// The other program.
        name: String,
        process: u32,
        /// How long it was waited for.
        seconds: u64,
    },
    #[error(
        "cannot create chroots: not root, and no user namespace with a range of ids is available ({}){}",
        .0,
        help!("run as root, or ask the administrator to allow unprivileged user namespaces, install the package with `newuidmap`, and give \
               your user a range in /etc/subuid and /etc/subgid")
    )]
    Unprivileged(String),
}

fn reason(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

fn missing_lines(missing: &[Tool]) -> String {
    let lines: Vec<String> = missing
        .iter()
        .map(|tool| format!("  {} ({})", tool.program, tool.why))
        .collect();
    lines.join("\n")
}

/// A program that the tool drives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name in the path.
    pub program: String,
    /// Where else it may be, under another name.
    #[serde(default)]
    pub also: Vec<PathBuf>,
    /// What it is for.
    pub why: String,
    /// Debian's package.
    pub apt: String,
    /// The package of EL and Fedora.
    pub dnf: String,
    /// A command that succeeds where the tool is whole: for what is no program of its own, such as a plugin. Without one, the program
    /// being in the path is enough.
    #[serde(default)]
    pub check: Vec<String>,
    /// Which commands need it.
    #[serde(rename = "for")]
    pub needed_for: Vec<String>,
}
